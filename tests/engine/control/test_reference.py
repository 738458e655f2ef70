"""A picture as a guide, without any network."""

from typing import Any

import pytest

from tests.engine.control.test_applied import at, calls, equal

pytestmark = pytest.mark.torch
MODULES = ("reference_only", "reference_adain", "reference_adain+attn")


def latents(seed: int = 6, batch: int = 1) -> Any:
    import torch

    return torch.randn(batch, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


def guided(model: Any, *, batch: int = 1, where: Any = None, asked: Any = None, **how: Any) -> list[Any]:
    from webui.engine.control import Reference, controlled

    told = {"latents": latents(), "seeds": tuple(range(batch)), **how}
    return controlled(model.denoise, [Reference(**told)])(asked or calls(batch), where or at())


@pytest.mark.parametrize("module", MODULES)
def test_a_reference_changes_what_is_drawn_and_leaves_nothing_behind(model: Any, module: str) -> None:
    plain = model.denoise(calls(), at())
    one = guided(model, module=module)
    assert not equal(one, plain)
    assert equal(guided(model, module=module), one), "the noise follows the seed"
    assert not equal(guided(model, module=module, seeds=(9,)), one)
    assert not equal(guided(model, module=module, latents=latents(7)), one)
    assert equal(model.denoise(calls(), at()), plain), "the bytes come back"


def test_a_reference_of_weight_zero_or_out_of_its_steps_gives_the_bytes_of_none(model: Any) -> None:
    plain = model.denoise(calls(), at())
    assert equal(guided(model, weight=0.0), plain)
    assert equal(guided(model, start=0.9), plain)


@pytest.mark.parametrize("module", MODULES)
def test_full_fidelity_leaves_the_negative_prompts_rows_to_themselves(model: Any, module: str) -> None:
    import torch

    from webui.domain.controlnet import ControlMode

    plain = model.denoise(calls(), at())
    cases: list[dict[str, Any]] = [{"fidelity": 1.0}, {"mode": ControlMode.CONTROL}]
    for told in cases:
        prompted, negative = guided(model, module=module, **told)
        assert torch.allclose(negative, plain[1], atol=2e-3)
        assert not torch.allclose(prompted, plain[0], atol=2e-3)
    _, negative = guided(model, module=module, mode=ControlMode.PROMPT, fidelity=1.0)
    assert not torch.allclose(negative, plain[1], atol=2e-3)


def test_a_low_weight_reaches_fewer_layers(model: Any) -> None:
    from webui.engine.control.reference import _Places

    places: Any = _Places.of(model.unet)
    assert len(places.attentions) == 16, "Stable Diffusion 1 has as many"
    widths = [layer.to_q.in_features for layer, _ in places.attentions]
    assert widths == sorted(widths, reverse=True)
    assert [least for _, least in places.attentions] == [i / 16 for i in range(16)]
    assert len(places.blocks) == 1 + 6 + 8
    assert min(least for _, least in places.blocks) == 0
    assert not equal(guided(model, weight=0.1), guided(model, weight=1.0))


def test_attention_over_itself_alone_is_the_mean_of_both_halves(model: Any) -> None:
    """A reference equal to the picture doubles every key; attention then answers as without it."""
    import torch

    from webui.engine.control.reference import _attending, _Memory

    layer = model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    x = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(1))
    memory = _Memory([x], [0.5])
    with torch.no_grad():
        assert torch.allclose(_attending(layer, memory, [1])(x), layer(x), atol=1e-5)


def test_a_batch_equals_its_pictures_made_alone(model: Any) -> None:
    from dataclasses import replace

    import torch

    both = guided(model, batch=2, latents=latents(batch=2), seeds=(5, 6))
    for row in range(2):
        alone = [
            replace(call, rows=(0,), x=call.x[[row]], sigma=call.sigma[[row]], context=call.context[[row]])
            for call in calls(2)
        ]
        one = guided(model, asked=alone, latents=latents(batch=2)[[row]], seeds=(5 + row,))
        for together, apart in zip(both, one, strict=True):
            assert torch.allclose(together[[row]], apart, atol=2e-3)


def test_sdxl_bears_less_fidelity(model: Any) -> None:
    from webui.engine.control import Reference

    one = Reference(latents=latents(), seeds=(1,))
    assert one.style(xl=False) == 0.5
    assert one.style(xl=True) == 0.125
    assert Reference(latents=latents(), seeds=(1,), hires=True).style(xl=False) == 0
