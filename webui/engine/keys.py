"""Names of weights: diffusers' module names ↔ the LDM names single-file checkpoints use, both ways from one table.

The table is computed from a module's configuration, so that narrow models (the demo) and full ones share it. A
diffusers name comes in, an LDM name without its prefix goes out. Nothing here reads a file; `to_ldm` is the exporter.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

UNET = "model.diffusion_model."
VAE = "first_stage_model."
TEXT = "cond_stage_model.transformer.text_model."
SDXL_TEXT = "conditioner.embedders.0.transformer.text_model."
"""SDXL's first text encoder, CLIP-L, under transformers' names."""
SDXL_TEXT_2 = "conditioner.embedders.1.model."
"""SDXL's second, bigG, under OpenCLIP's names."""
REFINER_TEXT = "conditioner.embedders.0.model."
"""The refiner's only one, bigG too."""
LEGACY_TEXT = "cond_stage_model.transformer."
"""Checkpoints saved with an early transformers or by NovelAI lack `text_model.`; A1111 reads both."""
EMA = "model_ema."

_UNET_TOP = {
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "add_embedding.linear_1.": "label_emb.0.0.",
    "add_embedding.linear_2.": "label_emb.0.2.",
    "conv_in.": "input_blocks.0.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
    "mid_block.resnets.0.": "middle_block.0.",
    "mid_block.attentions.0.": "middle_block.1.",
    "mid_block.resnets.1.": "middle_block.2.",
}
_UNET_RESNET = {
    "norm1.": "in_layers.0.",
    "conv1.": "in_layers.2.",
    "time_emb_proj.": "emb_layers.1.",
    "norm2.": "out_layers.0.",
    "conv2.": "out_layers.3.",
    "conv_shortcut.": "skip_connection.",
}
_VAE_MID = {
    "mid_block.resnets.0.": "mid.block_1.",
    "mid_block.attentions.0.": "mid.attn_1.",
    "mid_block.resnets.1.": "mid.block_2.",
}
_VAE_INNER = {
    "conv_norm_out.": "norm_out.",
    "conv_shortcut.": "nin_shortcut.",
    "group_norm.": "norm.",
    "to_q.": "q.",
    "to_k.": "k.",
    "to_v.": "v.",
    "to_out.0.": "proj_out.",
}
_OPENCLIP_TOP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.": "ln_final.",
    "text_projection.weight": "text_projection",
}
_OPENCLIP_LAYER = {
    "layer_norm1.": "ln_1.",
    "layer_norm2.": "ln_2.",
    "mlp.fc1.": "mlp.c_fc.",
    "mlp.fc2.": "mlp.c_proj.",
    "self_attn.out_proj.": "attn.out_proj.",
}
QKV = ("q", "k", "v")
"""The order in which OpenCLIP stacks them in `in_proj`."""
_OLD_VAE_ATTENTION = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}


def unet_to_ldm(name: str, config: Mapping[str, Any]) -> str:
    """The LDM name (without prefix) of a `UNet2DConditionModel` weight. Raises KeyError for a name LDM has not."""
    for ours, theirs in _unet_places(config):
        if name.startswith(ours):
            rest = name[len(ours) :]
            return theirs + (_renamed(rest, _UNET_RESNET) if ".resnets." in ours else rest)
    raise KeyError(name)


def _unet_places(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(diffusers prefix, LDM prefix) of every block. LDM numbers blocks in one row, a sampler counting as one."""
    yield from _UNET_TOP.items()
    layers = int(config["layers_per_block"])
    for level, kind in enumerate(config["up_block_types"]):
        first = level * (layers + 1)
        down, up = f"down_blocks.{level}.", f"up_blocks.{level}."
        for layer in range(layers):
            yield f"{down}resnets.{layer}.", f"input_blocks.{first + layer + 1}.0."
            yield f"{down}attentions.{layer}.", f"input_blocks.{first + layer + 1}.1."
        yield f"{down}downsamplers.0.conv.", f"input_blocks.{first + layers + 1}.0.op."
        for layer in range(layers + 1):
            yield f"{up}resnets.{layer}.", f"output_blocks.{first + layer}.0."
            yield f"{up}attentions.{layer}.", f"output_blocks.{first + layer}.1."
        place = 2 if "Attn" in kind else 1
        yield f"{up}upsamplers.0.", f"output_blocks.{first + layers}.{place}."


def vae_to_ldm(name: str, config: Mapping[str, Any]) -> str:
    """The LDM name (without prefix) of an `AutoencoderKL` weight.

    LDM counts the decoder's levels from the picture's side.
    """
    half, _, rest = name.partition(".")
    if half not in ("encoder", "decoder"):
        return name
    last = len(config["block_out_channels"]) - 1
    for level in range(last + 1):
        there = f"up.{last - level}." if half == "decoder" else f"down.{level}."
        here = f"up_blocks.{level}." if half == "decoder" else f"down_blocks.{level}."
        rest = rest.replace(f"{here}resnets.", f"{there}block.")
        rest = rest.replace(f"{here}downsamplers.0.", f"{there}downsample.").replace(
            f"{here}upsamplers.0.", f"{there}upsample."
        )
    for ours, theirs in (_VAE_MID | _VAE_INNER).items():
        rest = rest.replace(ours, theirs)
    return f"{half}.{rest}"


def old_vae_name(name: str) -> str:
    """The name older diffusers gave an attention weight of the VAE (`query` for `to_q` …); others unchanged."""
    if ".attentions." not in name:
        return name
    for new, old in _OLD_VAE_ATTENTION.items():
        name = name.replace(new, old)
    return name


def text_to_ldm(name: str) -> str:
    """A `CLIPTextModel` weight without `text_model.`, which transformers had before 5.6 and files still have."""
    return name.removeprefix("text_model.")


def text_to_openclip(name: str) -> tuple[str, int | None]:
    """(OpenCLIP's name, which third of its rows) of a text model's weight; None: all of it, not a third.

    `text_projection` is the transpose of transformers' `text_projection.weight`. Raises KeyError for a name OpenCLIP
    has not.

    >>> text_to_openclip("text_model.encoder.layers.3.self_attn.k_proj.bias")
    ('transformer.resblocks.3.attn.in_proj_bias', 1)
    """
    name = text_to_ldm(name)
    if not name.startswith("encoder.layers."):
        for ours, theirs in _OPENCLIP_TOP.items():
            if name.startswith(ours):
                return theirs + name[len(ours) :], None
        raise KeyError(name)
    number, _, rest = name.removeprefix("encoder.layers.").partition(".")
    place = f"transformer.resblocks.{number}."
    for third, letter in enumerate(QKV):
        if rest.startswith(f"self_attn.{letter}_proj."):
            return f"{place}attn.in_proj_{rest.rpartition('.')[2]}", third
    if not rest.startswith(tuple(_OPENCLIP_LAYER)):
        raise KeyError(name)
    return place + _renamed(rest, _OPENCLIP_LAYER), None


def to_openclip(text_encoder: nn.Module) -> dict[str, Tensor]:
    """A text model's weights under OpenCLIP's names (without prefix), q, k and v stacked; only those are copies."""
    thirds: dict[str, dict[int, Tensor]] = {}
    state: dict[str, Tensor] = {}
    for name, value in text_encoder.state_dict().items():
        theirs, third = text_to_openclip(name)
        if third is None:
            state[theirs] = value.T if theirs == "text_projection" else value
        else:
            thirds.setdefault(theirs, {})[third] = value
    return state | {name: torch.cat([rows[0], rows[1], rows[2]]) for name, rows in thirds.items()}


def ema_name(ldm: str) -> str:
    """Where LDM keeps the running average of a UNet weight: its dots are dropped."""
    return EMA + f"diffusion_model.{ldm}".replace(".", "")


def is_vae_attention(name: str) -> bool:
    """True for the attention weights LDM keeps as 1×1 convolutions and diffusers as linear layers."""
    return ".attentions." in name and name.endswith("weight") and "group_norm" not in name


def to_ldm(
    *,
    unet: nn.Module | None = None,
    vae: nn.Module | None = None,
    text_encoder: nn.Module | None = None,
    text_encoder_2: nn.Module | None = None,
) -> dict[str, Tensor]:
    """Modules' weights under LDM names, in exact single-file layout. Only OpenCLIP's stacked tensors are copies.

    `text_encoder_2` (bigG) makes it SDXL's layout, without `text_encoder` its refiner's.
    """
    state: dict[str, Tensor] = {}
    if unet is not None:
        state |= {UNET + unet_to_ldm(name, config_of(unet)): value for name, value in unet.state_dict().items()}
    if vae is not None:
        for name, value in vae.state_dict().items():
            state[VAE + vae_to_ldm(name, config_of(vae))] = value[:, :, None, None] if is_vae_attention(name) else value
    if text_encoder is not None:
        prefix = TEXT if text_encoder_2 is None else SDXL_TEXT
        state |= {prefix + text_to_ldm(name): value for name, value in text_encoder.state_dict().items()}
    if text_encoder_2 is not None:
        prefix = REFINER_TEXT if text_encoder is None else SDXL_TEXT_2
        state |= {prefix + name: value for name, value in to_openclip(text_encoder_2).items()}
    return state


def config_of(module: nn.Module) -> Mapping[str, Any]:
    """The configuration a diffusers module was made with."""
    return cast(Any, module).config


def _renamed(rest: str, table: Mapping[str, str]) -> str:
    for ours, theirs in table.items():
        if rest.startswith(ours):
            return theirs + rest[len(ours) :]
    return rest
