"""SDXL's adapters: both text encoders and the UNet under every trainer's names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.patches.test_lora import lora, wear
from tests.small import save_small_sdxl

pytestmark = pytest.mark.torch

TE1 = "encoder.layers.0.self_attn.q_proj"
KEY = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_sdxl(tmp_path_factory.mktemp("sdxl") / "small.safetensors")


@pytest.fixture
def model(checkpoint: Path) -> Any:
    import torch

    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache

    return ModelCache(torch.device("cpu")).load(
        ModelRecord(kind=ModelKind.CHECKPOINT, name=checkpoint.stem, path=checkpoint), None
    )


def part(model: Any, name: str) -> Any:
    """A module of a text encoder by its name without `text_model.`, which transformers has or has not."""
    names = dict(model.named_modules())
    return names.get(name) or names[f"text_model.{name}"]


def touched(model: Any, before: dict[str, Any]) -> set[str]:
    import torch

    return {name for name, value in weights(model).items() if not torch.equal(value, before[name])}


def weights(model: Any) -> dict[str, Any]:
    parts = {"unet": model.unet, "te": model.text_encoder, "te2": model.text_encoder_2}
    return {
        f"{which}.{name.replace('text_model.', '')}": value.clone()
        for which, module in parts.items()
        for name, value in module.state_dict().items()
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    import torch
    from safetensors.torch import save_file

    def save(prefix: str, layer: Any, *, peft: bool) -> Path:
        out, inside = layer.weight.shape[0], layer.weight.shape[1:]
        up, down = ("lora_B", "lora_A") if peft else ("lora_up", "lora_down")
        path = tmp_path / f"{prefix.replace('.', '-')}.safetensors"
        save_file({
            f"{prefix}.{up}.weight": torch.ones(out, 1, *[1] * (len(inside) - 1)),
            f"{prefix}.{down}.weight": torch.ones(1, *inside),
        }, path)  # fmt: skip
        return path

    return save


@pytest.mark.parametrize(
    ("prefix", "which", "name"),
    [
        ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", "te", TE1),
        ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj", "te", TE1),
        ("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", "te2", TE1),
        ("lora_te2_text_model_encoder_layers_1_mlp_fc1", "te2", "encoder.layers.1.mlp.fc1"),
        ("text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj", "te2", TE1),
        ("lora_te2_text_projection", "te2", "text_projection"),
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_k", "unet", KEY),
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_k", "unet", KEY),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k", "unet", KEY),
        ("base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_k", "unet", KEY),
        ("lora_unet_middle_block_1_proj_in", "unet", "mid_block.attentions.0.proj_in"),
        ("lora_unet_output_blocks_0_0_in_layers_2", "unet", "up_blocks.0.resnets.0.conv1"),
        ("lora_unet_input_blocks_1_0_in_layers_2", "unet", "down_blocks.0.resnets.0.conv1"),
        ("lora_unet_label_emb_0_0", "unet", "add_embedding.linear_1"),
        ("lora_unet_time_embed_2", "unet", "time_embedding.linear_2"),
    ],
)
def test_a_layer_is_found_under_its_names(
    prefix: str, which: str, name: str, model: Any, saved: Callable[..., Path]
) -> None:
    module = {"unet": model.unet, "te": model.text_encoder, "te2": model.text_encoder_2}[which]
    layer, before = part(module, name), weights(model)
    with wear(model, lora(saved(prefix, layer, peft="." in prefix))):
        assert touched(model, before) == {f"{which}.{name}.weight"}
    model.bare()
    assert touched(model, before) == set()


def test_strengths_are_of_both_text_encoders_and_of_the_unet(model: Any, saved: Callable[..., Path]) -> None:
    import torch

    second = part(model.text_encoder_2, TE1)
    path = saved("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", second, peft=False)
    original = second.weight.clone()
    with wear(model, lora(path, te=0.25, unet=3.0)):
        assert torch.allclose(second.weight, original + 0.25, atol=1e-3)
