"""On a graphics card: NV noise is the card's, and every sampler gives there what it gives on the CPU."""

import pytest
import torch

from tests.engine.test_samplers import EPS, Guided, row_of, silent, uneven
from webui.catalog.samplers import SAMPLERS
from webui.catalog.schedules import SCHEDULES
from webui.domain import NoiseSource
from webui.engine.noise import NoiseStream, PhiloxGenerator
from webui.engine.samplers import sample

pytestmark = [pytest.mark.gpu, pytest.mark.torch]


def test_nv_noise_is_the_cards_noise():
    generator = torch.Generator("cuda").manual_seed(12345)
    ours = PhiloxGenerator(12345)
    for _ in range(3):
        card = torch.randn((4, 64, 64), generator=generator, device="cuda").cpu()
        assert torch.allclose(ours.randn((4, 64, 64)), card, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_a_card_and_the_cpu_agree(name: str):
    automatic = SCHEDULES.find("Automatic")
    assert automatic is not None
    made = []
    for device in ("cuda", "cpu"):
        noise = NoiseStream([1, 2], shape=(4, 8, 8), source=NoiseSource.CPU, device=device)
        made.append(
            sample(
                row_of(name), Guided(uneven), noise, EPS, steps=6, schedule=automatic, options={}, on_step=silent
            ).cpu()  # type: ignore[arg-type]
        )
    assert torch.allclose(*made, atol=1e-3)
