"""On a graphics card: NV noise is the card's, every sampler gives there what it gives on the CPU, small cards do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


# --- capped memory: nothing is chosen by hand, everything comes out

GIGABYTE = 2**30


@pytest.fixture
def capped() -> Iterator[Callable[[float], None]]:
    """Make the card small: torch gets so many gigabytes of it."""
    total = torch.cuda.mem_get_info()[1]

    def cap(gigabytes: float) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.set_per_process_memory_fraction(min(1.0, gigabytes * GIGABYTE / total))

    yield cap
    torch.cuda.set_per_process_memory_fraction(1.0)


def random_checkpoint(path: Path, family: str) -> Path:
    """A checkpoint of the real size in the real layout, seeded random weights in fp16."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    from tests.engine.families.test_sd1 import UNET, VAE
    from tests.engine.families.test_sdxl import BIG, WHOLE
    from webui.engine.keys import to_ldm

    clip = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
    with torch.device("meta"):
        state = to_ldm(
            unet=UNet2DConditionModel(**(UNET if family == "sd1" else WHOLE)),
            vae=AutoencoderKL(**VAE),
            text_encoder=CLIPTextModel(clip),
            text_encoder_2=None if family == "sd1" else CLIPTextModelWithProjection(CLIPTextConfig(**BIG)),
        )
    seeded = torch.Generator().manual_seed(0)
    save_file({name: (torch.randn(value.shape, generator=seeded) * 0.02).half() for name, value in state.items()}, path)
    return path


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("family", "gigabytes", "side", "hires"),
    [("sd1", 4, 512, 2), ("sd1", 6, 512, 2), ("sdxl", 6, 1024, 1), ("sdxl", 8, 1024, 1), ("sdxl", 4, 1024, 1)],
)
def test_a_small_card_makes_the_picture_without_flags(
    family: str, gigabytes: float, side: int, hires: int, capped: Callable[[float], None], tmp_path: Path
):
    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache
    from webui.engine.types import Call, StepContext

    path = random_checkpoint(tmp_path / "real.safetensors", family)
    capped(gigabytes)
    cache = ModelCache(torch.device("cuda"))
    model = cache.load(ModelRecord(kind=ModelKind.CHECKPOINT, name="real", path=path), None)
    model.precision = type(model.precision)(unet=torch.float16, text=torch.float16, vae=torch.float16, check_nan=False)
    for scale in dict.fromkeys((1, hires)):
        size = side * scale // 8
        said: Any = model.make_room(side * scale, side * scale)
        calls = [
            Call(
                role=role, rows=(0,), x=torch.randn(1, 4, size, size), sigma=torch.tensor([5.0]),
                context=torch.randn(1, 77, 768 if family == "sd1" else 2048),
                extras={} if family == "sd1" else {"pooled": torch.randn(1, 1280), "numbers": torch.randn(1, 6)},
            )
            for role in ("cond", "uncond")
        ]  # fmt: skip
        (x0, _) = model.denoise(calls, StepContext(call=0, step=0, calls=1, steps=1))
        picture = model.decode(x0)
        assert picture.shape == (1, 3, side * scale, side * scale)
        print(family, gigabytes, side * scale, model.places.placing, said, model.take_notes())
    assert torch.cuda.max_memory_reserved() <= gigabytes * GIGABYTE
