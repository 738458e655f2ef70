"""Configurations read off shapes: a full-size Stable Diffusion 1 gives exactly its own."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

UNET: dict[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "in_channels": 4,
    "out_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 64,
}
VAE: dict[str, Any] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "in_channels": 3,
    "out_channels": 3,
    "norm_num_groups": 32,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}


def _shapes(state: dict[str, Any]) -> Any:
    from webui.engine.weights import Entry, MemorySource, Weights

    nothing = MemorySource(bytearray())
    return Weights(Path("x"), {name: Entry(nothing, 0, v.dtype, tuple(v.shape)) for name, v in state.items()})


@pytest.fixture(scope="module")
def full_size() -> Any:
    """Stable Diffusion 1.5's layout, shapes only."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    from webui.engine.keys import to_ldm

    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
    with torch.device("meta"):
        return _shapes(
            to_ldm(unet=UNet2DConditionModel(**UNET), vae=AutoencoderKL(**VAE), text_encoder=CLIPTextModel(text))
        )


def test_full_size_shapes_give_stable_diffusions_own_configuration(full_size: Any) -> None:
    from webui.domain import Family
    from webui.engine.families import configured

    family, parts = configured(full_size)
    assert family is Family.SD1
    assert {key: parts.unet[key] for key in UNET} == UNET
    assert {key: (parts.vae or {})[key] for key in VAE} == VAE
    assert (parts.text["num_attention_heads"], parts.text["num_hidden_layers"]) == (12, 12)
    assert (parts.text["hidden_size"], parts.text["intermediate_size"], parts.text["vocab_size"]) == (768, 3072, 49408)
    assert parts.native_size == (512, 512)
    assert not parts.v_prediction


@pytest.mark.parametrize("resolution", ["768x768", "768", "", "nonsense", "3x3", "99999x99999"])
def test_the_native_size_comes_from_metadata_when_it_is_one(full_size: Any, resolution: str) -> None:
    from webui.engine.families.sd1 import configure
    from webui.engine.weights import Weights

    weights = Weights(Path("x"), full_size.entries, {"modelspec.resolution": resolution})
    assert configure(weights).native_size == ((768, 768) if resolution == "768x768" else (512, 512))


def test_a_file_without_text_encoder_is_said_to_lack_it(full_size: Any) -> None:
    from webui.domain.errors import BrokenFile
    from webui.engine.families import configured
    from webui.engine.weights import Weights

    entries = {name: entry for name, entry in full_size.entries.items() if not name.startswith("cond_stage_model.")}
    with pytest.raises(BrokenFile, match="text encoder"):
        configured(Weights(Path("x"), entries))
