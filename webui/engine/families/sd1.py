"""Stable Diffusion 1.x: a UNet of four-channel latents, one CLIP text model, eps or v prediction.

Configurations come from the shapes of the weights. What shapes cannot tell (heads, norm groups, native size) is Stable
Diffusion 1's own, unless the file carries `maple.config` in its metadata, or a diffusers folder its config.json.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from webui.domain.errors import BrokenFile
from webui.engine import keys
from webui.engine.families import known
from webui.engine.families.parts import Parts, TextPart
from webui.engine.loading import text_names
from webui.engine.weights import Weights

SCALE = 0.18215
"""Latents are multiplied by this; it makes the published VAE's latents unit variance."""
CHANNELS = (4, 9, 8)
_TEXT_WORDS = "embeddings.token_embedding.weight"


def claims(weights: Weights) -> bool:
    """A UNet of four channels (nine: inpainting, eight: pix2pix) that listens to a CLIP text model of the same width
    in the same file.
    """
    width = known.context_width(weights)
    return (
        width is not None
        and known.channels_in(weights) in CHANNELS
        and (width == 768 or _text_prefix(weights) is not None or "unet" in weights.extra)
    )


def configure(weights: Weights) -> Parts:
    """Module configurations. Raises BrokenFile when the file lacks its text encoder or its metadata cannot be read."""
    if "unet" in weights.extra:
        return _from_folder(weights)
    embedded = embedded_config(weights)
    prefix = _text_prefix(weights)
    if prefix is None:
        raise BrokenFile(path=str(weights.path), reason="no text encoder in it")
    has_vae = f"{keys.VAE}decoder.conv_in.weight" in weights
    return Parts(
        unet=plain(embedded.get("unet")) or unet_config(weights, keys.UNET),
        texts=(
            TextPart(
                name="clip_l",
                config=plain(embedded.get("text_encoder")) or text_config(weights, prefix),
                names=text_names(),
            ),
        ),
        vae=(plain(embedded.get("vae")) or vae_config(weights, keys.VAE)) if has_vae else None,
        scale=SCALE,
        native_size=native_size(weights, embedded),
        v_prediction=known.says_v(weights),
        zero_terminal_snr=known.says_zero_snr(weights),
        embedded=embedded,
    )


def embedded_config(weights: Weights) -> Mapping[str, Any]:
    """`maple.config` of the metadata: {"unet", "vae", "text_encoder", "native_size"}; empty when there is none."""
    text = weights.metadata.get("maple.config")
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise BrokenFile(path=str(weights.path), reason=f"maple.config: {error}") from None
    if not isinstance(value, dict):
        raise BrokenFile(path=str(weights.path), reason="maple.config is not a table")
    return value


def unet_config(weights: Weights, prefix: str) -> dict[str, Any]:
    """UNet2DConditionModel's arguments read off the shapes of LDM weights under `prefix`."""
    downs = numbers(weights, rf"{re.escape(prefix)}input_blocks\.(\d+)\.0\.op\.weight")
    blocks = numbers(weights, rf"{re.escape(prefix)}input_blocks\.(\d+)\.0\.in_layers\.2\.weight")
    layers = (downs[0] - 1) if downs else len(blocks)
    firsts = [1 + level * (layers + 1) for level in range(len(downs) + 1)]
    attends = [f"{prefix}input_blocks.{first}.1.norm.weight" in weights for first in firsts]
    channels = [weights.shape(f"{prefix}input_blocks.{first}.0.in_layers.2.weight")[0] for first in firsts]
    projection = next(
        (weights.shape(name) for name in weights if name.startswith(prefix) and name.endswith("proj_in.weight")), ()
    )
    return {
        "in_channels": weights.shape(f"{prefix}input_blocks.0.0.weight")[1],
        "out_channels": weights.shape(f"{prefix}out.2.weight")[0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if attend else "DownBlock2D" for attend in attends),
        "up_block_types": tuple("CrossAttnUpBlock2D" if attend else "UpBlock2D" for attend in reversed(attends)),
        "cross_attention_dim": known.context_width(weights),
        # diffusers' misnomer: SD 1 has 8 heads, not heads of 8 channels.
        "attention_head_dim": 8,
        "use_linear_projection": len(projection) == 2,
        "norm_num_groups": 32,
        "sample_size": 64,
    }


def vae_config(weights: Weights, prefix: str, *, scale: float = SCALE) -> dict[str, Any]:
    """AutoencoderKL's arguments read off the shapes of LDM weights under `prefix`."""
    escaped = re.escape(prefix)
    levels = numbers(weights, rf"{escaped}decoder\.up\.(\d+)\.block\.0\.conv1\.weight")
    channels = [weights.shape(f"{prefix}decoder.up.{level}.block.0.conv1.weight")[0] for level in levels]
    layers = len(numbers(weights, rf"{escaped}decoder\.up\.0\.block\.(\d+)\.conv1\.weight")) - 1
    return {
        "in_channels": weights.shape(f"{prefix}decoder.conv_out.weight")[0],
        "out_channels": weights.shape(f"{prefix}decoder.conv_out.weight")[0],
        "latent_channels": weights.shape(f"{prefix}decoder.conv_in.weight")[1],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": ("DownEncoderBlock2D",) * len(channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(channels),
        "norm_num_groups": 32,
        "sample_size": 512,
        "scaling_factor": scale,
    }


def text_config(weights: Weights, prefix: str) -> dict[str, Any]:
    """CLIPTextConfig's arguments read off the shapes; heads of 64 channels, as every published CLIP has."""
    words, hidden = weights.shape(prefix + _TEXT_WORDS)
    return {
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": weights.shape(f"{prefix}encoder.layers.0.mlp.fc1.weight")[0],
        "num_hidden_layers": len(numbers(weights, rf"{re.escape(prefix)}encoder\.layers\.(\d+)\.layer_norm1\.weight")),
        "num_attention_heads": max(1, hidden // 64),
        "max_position_embeddings": weights.shape(f"{prefix}embeddings.position_embedding.weight")[0],
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "projection_dim": hidden,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }


def _text_prefix(weights: Weights) -> str | None:
    for prefix in (keys.TEXT, keys.LEGACY_TEXT):
        if prefix + _TEXT_WORDS in weights:
            return prefix
    return None


def _from_folder(weights: Weights) -> Parts:
    extra = weights.extra
    if "text_encoder" not in extra:
        raise BrokenFile(path=str(weights.path), reason="no text encoder in it")
    unet = plain(extra["unet"])
    side = int(unet.get("sample_size") or 64) * 8
    embedded = embedded_config(weights)
    return Parts(
        unet=unet,
        texts=(TextPart(name="clip_l", config=plain(extra["text_encoder"]), names=text_names(folder=True)),),
        vae=plain(extra.get("vae")) or None,
        native_size=native_size(weights, embedded) if embedded else (side, side),
        scale=SCALE,
        v_prediction=known.says_v(weights),
        zero_terminal_snr=known.says_zero_snr(weights),
        embedded=embedded,
    )


def native_size(weights: Weights, embedded: Mapping[str, Any], default: int = 512) -> tuple[int, int]:
    """(width, height) by the file's own word, when that is sensible, else a square of `default`."""
    size = embedded.get("native_size") or re.findall(r"\d+", weights.metadata.get("modelspec.resolution", ""))
    width, height = [int(n) for n in size] if len(size) == 2 else (0, 0)
    return (width, height) if 64 <= min(width, height) <= max(width, height) <= 4096 else (default, default)


def plain(config: Any) -> dict[str, Any]:
    """A saved configuration without the notes diffusers and transformers add to it."""
    if not isinstance(config, Mapping):
        return {}
    notes = ("architectures", "transformers_version", "torch_dtype", "dtype", "model_type")
    return {key: value for key, value in config.items() if not key.startswith("_") and key not in notes}


def numbers(weights: Weights, pattern: str) -> list[int]:
    """The numbers a pattern's one group takes over all names, in order."""
    found = {int(match[1]) for name in weights if (match := re.fullmatch(pattern, name))}
    return sorted(found)
