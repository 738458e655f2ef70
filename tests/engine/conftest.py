"""A whole Stable Diffusion 1 in miniature: real classes, seeded weights, exact LDM names."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """Source modules (fp32, whole numbers of fp16, so that a half-precision file gives them back exactly)."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 32, 64, 64),
        cross_attention_dim=64,
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        scaling_factor=0.18215,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=1,
            vocab_size=600,
            bos_token_id=598,
            eos_token_id=599,
        )
    )
    for module in (unet, vae, text):
        module.eval().requires_grad_(False).half().float()
    return SimpleNamespace(unet=unet, vae=vae, text=text)


@pytest.fixture(scope="session")
def tiny_state(tiny: SimpleNamespace) -> dict[str, Any]:
    """The miniature's weights in LDM layout, fp16."""
    from webui.engine.keys import to_ldm

    state = to_ldm(unet=tiny.unet, vae=tiny.vae, text_encoder=tiny.text)
    return {name: value.half().contiguous() for name, value in state.items()}


@pytest.fixture
def record() -> Callable[..., Any]:
    """A catalog record of a file, without a catalog."""
    from webui.domain import ModelKind, ModelRecord

    def make(path: Path, kind: ModelKind = ModelKind.CHECKPOINT, **more: Any) -> ModelRecord:
        return ModelRecord(kind=kind, name=path.stem, path=path, **more)

    return make


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_file(tiny_state, path)
    return path


@pytest.fixture
def tiny_model(tiny_checkpoint: Path, record: Callable[..., Any]) -> Any:
    """The miniature, loaded in fp32 on the CPU."""
    import torch

    from webui.engine.cache import ModelCache

    return ModelCache(torch.device("cpu")).load(record(tiny_checkpoint), None)
