"""How units act on a model's answers."""

from typing import Any

import pytest

pytestmark = pytest.mark.torch


def _calls(batch: int = 1, *, size: int = 8, width: int = 64, extras: Any = None) -> list[Any]:
    import torch

    from webui.engine.types import COND, UNCOND, Call

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, size, size, generator=generator)
    texts = torch.randn(2, 7, width, generator=generator)
    rows = tuple(range(batch))
    return [
        Call(
            role=role, rows=rows, x=x, sigma=torch.full((batch,), 2.0), context=text.expand(batch, -1, -1),
            extras=extras or {},
        )
        for role, text in zip((COND, UNCOND), texts, strict=True)
    ]  # fmt: skip


def _at(call: int = 0, *, steps: int = 10, second_order: bool = False) -> Any:
    from webui.engine.types import StepContext

    per = 2 if second_order else 1
    return StepContext(call=call, step=call // per, calls=steps * per, steps=steps)


def _hint(batch: int = 1, size: int = 64) -> Any:
    import torch

    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def network(tiny_model: Any, cldm_record: Any) -> Any:
    from webui.engine.control import ControlCache

    return ControlCache().load(cldm_record, base=tiny_model)


def test_a_unit_of_weight_zero_gives_the_bytes_of_no_control(tiny_model: Any, network: Any) -> None:
    import torch

    from webui.engine.control import Applied, controlled

    plain = tiny_model.denoise(_calls(), _at())
    guided = controlled(tiny_model.denoise, [Applied(network=network, hints=_hint(), weight=0.0)])(_calls(), _at())
    assert all(torch.equal(a, b) for a, b in zip(plain, guided, strict=True))
    assert network.calls == 0


def test_a_unit_changes_what_is_drawn(tiny_model: Any, network: Any) -> None:
    import torch

    from webui.engine.control import Applied, controlled

    plain = tiny_model.denoise(_calls(), _at())
    guided = controlled(tiny_model.denoise, [Applied(network=network, hints=_hint())])(_calls(), _at())
    assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(plain, guided, strict=True))
    assert network.calls == 1
