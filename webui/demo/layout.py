"""From diffusers' names to those of a Stable Diffusion 1 single file: one function per part, tensors unchanged but for
the shapes the old layout wants. Ours is the way out; the engine's loader knows the way in.
"""

from typing import Any

from torch import Tensor

Tensors = dict[str, Tensor]

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def unet_layout(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """A UNet2DConditionModel's tensors under model.diffusion_model.*; levels and layers taken from its config."""
    places = _unet_places(config)
    found: Tensors = {}
    for key, tensor in tensors.items():
        place = max((place for place in places if key.startswith(f"{place}.")), key=len)
        rest = key[len(place) + 1 :]
        if ".resnets." in f".{place}":
            part, _, ending = rest.partition(".")
            rest = f"{_RESNET[part]}.{ending}"
        found[f"model.diffusion_model.{places[place]}.{rest}"] = tensor
    return found


def control_layout(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """A ControlNetModel's tensors under control_model.*, as a ControlNet's own single file names them."""
    hints = 2 * len(config["conditioning_embedding_out_channels"]) - 1
    places = {
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": f"input_hint_block.{2 * hints}",
        "controlnet_mid_block": "middle_block_out.0",
    }
    for number in range(hints - 1):
        places[f"controlnet_cond_embedding.blocks.{number}"] = f"input_hint_block.{2 * number + 2}"
    found: Tensors = {}
    encoder: Tensors = {}
    for key, tensor in tensors.items():
        place = next((place for place in places if key.startswith(f"{place}.")), None)
        if place:
            found[f"control_model.{places[place]}.{key[len(place) + 1 :]}"] = tensor
        elif key.startswith("controlnet_down_blocks."):
            _, number, ending = key.split(".")
            found[f"control_model.zero_convs.{number}.0.{ending}"] = tensor
        else:
            encoder[key] = tensor
    wide = {**config, "up_block_types": tuple(config["down_block_types"])}
    for key, tensor in unet_layout(encoder, wide).items():
        found[key.replace("model.diffusion_model.", "control_model.", 1)] = tensor
    return found


def _unet_places(config: dict[str, Any]) -> dict[str, str]:
    places = {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    for level in range(levels):
        attends_down = "CrossAttn" in config["down_block_types"][level]
        attends_up = "CrossAttn" in config["up_block_types"][level]
        last = level == levels - 1
        for layer in range(layers):
            block = f"input_blocks.{(layers + 1) * level + layer + 1}"
            places[f"down_blocks.{level}.resnets.{layer}"] = f"{block}.0"
            if attends_down:
                places[f"down_blocks.{level}.attentions.{layer}"] = f"{block}.1"
        for layer in range(layers + 1):
            block = f"output_blocks.{(layers + 1) * level + layer}"
            places[f"up_blocks.{level}.resnets.{layer}"] = f"{block}.0"
            if attends_up:
                places[f"up_blocks.{level}.attentions.{layer}"] = f"{block}.1"
        if not last:
            places[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{(layers + 1) * (level + 1)}.0.op"
            block = f"output_blocks.{(layers + 1) * (level + 1) - 1}"
            places[f"up_blocks.{level}.upsamplers.0.conv"] = f"{block}.{2 if attends_up else 1}.conv"
    return places


_VAE_PARTS = (
    ("mid_block.resnets.0.", "mid.block_1."),
    ("mid_block.resnets.1.", "mid.block_2."),
    ("mid_block.attentions.0.", "mid.attn_1."),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
)
_VAE_ATTENTION = (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"))


def vae_layout(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """An AutoencoderKL's tensors under first_stage_model.*; its attention's matrices become 1 × 1 convolutions."""
    levels = len(config["block_out_channels"])
    names = list(_VAE_PARTS)
    for level in range(levels):
        up = levels - 1 - level
        names += [
            (f"down_blocks.{level}.resnets.", f"down.{level}.block."),
            (f"down_blocks.{level}.downsamplers.0.", f"down.{level}.downsample."),
            (f"up_blocks.{level}.resnets.", f"up.{up}.block."),
            (f"up_blocks.{level}.upsamplers.0.", f"up.{up}.upsample."),
        ]
    found: Tensors = {}
    for key, tensor in tensors.items():
        name = _renamed(key, names)
        if ".attn_1." in name:
            name = _renamed(name, _VAE_ATTENTION)
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        found[f"first_stage_model.{name}"] = tensor
    return found


def _renamed(key: str, names: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> str:
    for ours, theirs in names:
        # Only a whole part of the name: `up_blocks.1.` must not be found inside another word.
        if f".{ours}" in f".{key}":
            key = f".{key}".replace(f".{ours}", f".{theirs}", 1)[1:]
    return key


def text_layout(tensors: Tensors) -> Tensors:
    """A CLIPTextModel's tensors under cond_stage_model.transformer.text_model.*, with or without the inner prefix."""
    prefix = "cond_stage_model.transformer.text_model."
    return {prefix + key.removeprefix("text_model."): tensor for key, tensor in tensors.items()}
