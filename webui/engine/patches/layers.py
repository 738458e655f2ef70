"""Names in adapter files → layers of a model: kohya's, LyCORIS', PEFT's and diffusers' old ones, through one table.

A file's name is cut into part (unet, te, te2), layer (underscores between its words) and tensor (our short name). A
model's modules are listed by the same layer names, the UNet's under LDM's too, as some trainers write them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from torch import nn

from webui.engine import keys
from webui.engine.weights import Weights

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel

Layer = tuple[str, str]
"""(part, layer name with underscores)."""

_PLAIN = (
    *("alpha", "scale", "diff", "diff_b", "w_norm", "b_norm", "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    *("hada_t1", "hada_t2", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
)
SUFFIXES: Mapping[str, str] = {
    **{f".{name}": name for name in _PLAIN},
    ".dora_scale": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    ".lora_B.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.default.weight": "down",
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    "_lora.alpha": "alpha",
}
"""How a name ends → which tensor of its layer it is."""
_ENDING = re.compile(f"(?:{'|'.join(re.escape(suffix) for suffix in sorted(SUFFIXES, key=len, reverse=True))})\\Z")

PREFIXES: Mapping[str, str] = {
    "lora_unet_": "unet",
    "lycoris_": "unet",
    "lora_te1_": "te",
    "lora_te2_": "te2",
    "lora_te_": "te",
    "base_model.model.text_model.": "te",
    "base_model.model.": "unet",
    "model.diffusion_model.": "unet",
    "diffusion_model.": "unet",
    "unet.": "unet",
    "text_encoder_2.": "te2",
    "text_encoder.": "te",
    "text_model.": "te",
    "down_blocks.": "unet",
    "mid_block.": "unet",
    "up_blocks.": "unet",
}
"""How a name begins → which part of the model it is for; a more particular one stands before a shorter."""
_KEPT = ("down_blocks.", "mid_block.", "up_blocks.")
_OLD_TEXT = {
    "self_attn_to_q": "self_attn_q_proj",
    "self_attn_to_k": "self_attn_k_proj",
    "self_attn_to_v": "self_attn_v_proj",
    "self_attn_to_out": "self_attn_out_proj",
}


def split(name: str) -> tuple[Layer, str] | None:
    """((part, layer), tensor) of a name in an adapter file, or None for one that is no layer's.

    >>> split("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight")
    (('unet', 'mid_block_attentions_0_proj_in'), 'up')
    >>> split("unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down.weight")
    (('unet', 'mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0'), 'down')
    """
    ending = _ENDING.search(name)
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
    if ending is None or prefix is None:
        return None
    part = PREFIXES[prefix]
    layer = name[: ending.start()]
    layer = layer if prefix in _KEPT else layer[len(prefix) :]
    layer = layer.replace(".processor.", ".").replace(".", "_").removeprefix("unet_")
    if part == "unet":
        return (part, f"{layer}_0" if layer.endswith("_to_out") else layer), SUFFIXES[ending[0]]
    layer = layer.removeprefix("text_model_")
    for old, new in _OLD_TEXT.items():
        layer = layer.replace(old, new)
    return (part, layer), SUFFIXES[ending[0]]


def grouped(weights: Weights) -> tuple[dict[Layer, dict[str, str]], int]:
    """A file's layers, each its tensors' names in the file by our short names; and how many names are no layer's."""
    layers: dict[Layer, dict[str, str]] = {}
    strange = 0
    for name in weights:
        found = split(name)
        if found is None:
            strange += not name.startswith("bundle_emb.")
            continue
        layers.setdefault(found[0], {})[found[1]] = name
    return layers, strange


def modules(model: "LoadedModel") -> dict[Layer, nn.Module]:
    """The model's modules that hold a weight, by every layer name that may mean them."""
    table: dict[Layer, nn.Module] = {}
    for part, whole in parts(model):
        for name, module in whole.named_modules():
            if not isinstance(getattr(module, "weight", None), nn.Parameter):
                continue
            if part == "unet":
                ldm = keys.unet_to_ldm(f"{name}.weight", keys.config_of(whole)).removesuffix(".weight")
                table[part, ldm.replace(".", "_")] = module
            table[part, keys.text_to_ldm(name).replace(".", "_")] = module
    return table


def parts(model: "LoadedModel") -> Iterator[tuple[str, nn.Module]]:
    """What adapters can change: the UNet and every text encoder."""
    yield "unet", model.unet
    yield "te", model.text_encoder
    second = getattr(model, "text_encoder_2", None)
    if second is not None:
        yield "te2", second


def said_alpha(metadata: Mapping[str, str]) -> dict[str, float]:
    """Alpha by part, where diffusers keeps PEFT's configuration in the header and no alpha beside the weights."""
    try:
        told = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        names = {"unet": "unet", "text_encoder": "te", "text_encoder_2": "te2"}
        return {ours: float(told[f"{theirs}.lora_alpha"]) for theirs, ours in names.items()
                if f"{theirs}.lora_alpha" in told}  # fmt: skip
    except (ValueError, TypeError, AttributeError):
        return {}
