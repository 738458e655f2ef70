"""Decoding and encoding; VAE files of every layout; NaN in half precision."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webui.domain.errors import NotANumber, WrongKind

pytestmark = pytest.mark.torch


def _save(state: dict[str, Any], path: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save({"state_dict": state}, path)
    return path


def _ldm(tiny: SimpleNamespace) -> dict[str, Any]:
    from webui.engine.keys import VAE, to_ldm

    return {name.removeprefix(VAE): value for name, value in to_ldm(vae=tiny.vae).items()}


@pytest.mark.parametrize("layout", ["ldm", "first_stage_model", "diffusers", "old diffusers", "folder"])
def test_a_vae_of_any_layout_decodes_as_its_source(tiny: SimpleNamespace, tmp_path: Path, layout: str) -> None:
    import torch

    from webui.engine.keys import VAE, old_vae_name
    from webui.engine.vae import load_vae

    if layout == "folder":
        tiny.vae.save_pretrained(tmp_path / "vae")
        path = tmp_path / "vae"
    elif layout == "ldm":
        junk = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.zeros(1)}
        path = _save(_ldm(tiny) | junk, tmp_path / "x.vae.pt")
    elif layout == "first_stage_model":
        path = _save({VAE + name: value for name, value in _ldm(tiny).items()}, tmp_path / "x.ckpt")
    elif layout == "diffusers":
        path = _save(tiny.vae.state_dict(), tmp_path / "x.safetensors")
    else:
        path = _save({old_vae_name(name): value for name, value in tiny.vae.state_dict().items()}, tmp_path / "x.bin")
    vae = load_vae(path, dtype=torch.float32, device=torch.device("cpu"))
    latents = torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        assert torch.equal(vae.decode(latents).sample, tiny.vae.decode(latents).sample)


def test_a_file_that_is_no_vae_says_what_it_is(tmp_path: Path) -> None:
    import torch

    from webui.engine.vae import load_vae

    path = _save({"lora_unet_x.lora_up.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WrongKind) as refused:
        load_vae(path, dtype=None, device=torch.device("cpu"))
    assert refused.value.fields["found"] == "lora"


def test_pictures_are_in_range_and_a_batch_equals_its_pictures(tiny_model: Any) -> None:
    import torch

    latents = torch.randn(3, 4, 4, 4) * 4
    pictures = tiny_model.decode(latents)
    assert pictures.shape == (3, 3, 32, 32)
    assert pictures.dtype == torch.float32
    assert 0 <= pictures.min() <= pictures.max() <= 1
    assert torch.equal(pictures[1:2], tiny_model.decode(latents[1:2]))


def test_encoding_is_repeatable_with_seeds_and_the_mean_without(tiny_model: Any) -> None:
    import torch

    pictures = torch.rand(1, 3, 32, 32)
    drawn = [tiny_model.encode(pictures, seeds=[n]) for n in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(tiny_model.encode(pictures), tiny_model.encode(pictures))
    assert tiny_model.encode(pictures).shape == (1, 4, 4, 4)


def test_nan_in_half_precision_is_decoded_again_in_fp32_and_said(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    from webui.engine.cache import ModelCache
    from webui.engine.device import Precision

    state = dict(tiny_state)
    name = "first_stage_model.post_quant_conv.weight"
    # Beyond fp16's 65504 inside the decoder, harmless in fp32.
    state[name] = torch.full_like(state[name], 60000)
    path = _save(state, tmp_path / "x.safetensors")
    whole = ModelCache(torch.device("cpu")).load(record(path), None)
    half = ModelCache(torch.device("cpu"), Precision(vae=torch.float16)).load(record(path), None)
    latents = torch.full((1, 4, 4, 4), 0.18215 * 2)
    assert torch.allclose(half.decode(latents), whole.decode(latents), atol=1e-5)
    assert half.take_notes() == [("vae_retried_in_fp32", {"model": "x"})]
    assert half.take_notes() == []
    assert half.vae.dtype == torch.float16
    coarse = half.decode(latents, retry=torch.bfloat16)
    assert torch.allclose(coarse, whole.decode(latents), atol=0.05)
    assert half.take_notes() == [("vae_retried_in_bf16", {"model": "x"})]
    with pytest.raises(NotANumber):
        half.decode(latents, retry=None)
    assert whole.take_notes() == []


def test_nan_in_fp32_is_an_error(tiny_model: Any) -> None:
    import torch

    with pytest.raises(NotANumber):
        tiny_model.decode(torch.full((1, 4, 4, 4), float("nan")))
