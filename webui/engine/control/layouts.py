"""What a control file holds and how it names it: one table of layouts, asked in order, from tensor names and shapes.

Every layout leads to a diffusers module (ControlNetModel, ControlNetUnionModel, T2IAdapter): its constructor arguments,
and for each of its weights the names that weight may have in the file. `to_cldm` writes the single-file layout. Add
one: a function from `Weights` and the base's UNet configuration to a `Layout` or None, and its line in `LAYOUTS`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor, nn

from webui.domain.errors import BadFile, WrongKind
from webui.domain.model import ModelKind
from webui.engine import keys
from webui.engine.families import known, sd1, sdxl
from webui.engine.loading import Names
from webui.engine.weights import Weights

CLDM = "control_model."
"""Prefix of cldm files cut out of a whole checkpoint; others have none."""
HINT, MIDDLE, ZERO = "input_hint_block.", "middle_block_out.0.", "zero_convs."
Kind = Literal["controlnet", "union", "t2i"]
Form = Literal["plain", "difference", "lora"]
"""Whether a file's numbers stand for themselves, are added to the base's, or are low-rank parts beside the base's."""

# What a folder's config.json may say about the modules built; other keys choose code paths nobody publishes.
_STRUCTURE = frozenset(
    {
        "in_channels", "conditioning_channels", "down_block_types", "mid_block_type", "block_out_channels",
        "layers_per_block", "norm_num_groups", "norm_eps", "cross_attention_dim", "transformer_layers_per_block",
        "attention_head_dim", "num_attention_heads", "use_linear_projection", "addition_embed_type",
        "addition_time_embed_dim", "projection_class_embeddings_input_dim", "conditioning_embedding_out_channels",
        "controlnet_conditioning_channel_order", "num_control_type", "num_trans_channel", "num_trans_head",
        "num_trans_layer", "num_proj_channel", "channels", "num_res_blocks", "downscale_factor", "adapter_type",
    }
)  # fmt: skip
_TUPLES = frozenset({"down_block_types", "block_out_channels", "conditioning_embedding_out_channels", "channels"})


class UnsupportedControl(BadFile):
    """A control network that is known but not run. Fields: path, found (what it is)."""

    key = "control_unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """`config`: constructor arguments of the module; `names`: where its weights lie; `pools`: its residuals have no
    place in the picture, only their mean counts (shuffle).
    """

    kind: Kind
    config: Mapping[str, Any]
    names: Names
    form: Form = "plain"
    pools: bool = False

    @property
    def needs_base(self) -> bool:
        """Whether it can only be filled with the base's weights at hand."""
        return self.form != "plain"


def recognised(weights: Weights, base: Mapping[str, Any], *, name: str = "") -> Layout:
    """The layout of a control file. `base` is the UNet configuration of the model in force: it tells what shapes
    cannot (heads, groups); `name` is the file's, by which alone shuffle is told.

    Raises UnsupportedControl for what is known but not run, WrongKind for what is no control network.
    """
    for known_but, found in UNSUPPORTED:
        if known_but(weights):
            raise UnsupportedControl(path=str(weights.path), found=found)
    # The pooling is done where weights and regions are applied, not inside the module.
    pools = "shuffle" in name.lower()
    for read in LAYOUTS:
        layout = read(weights, base)
        if layout is not None:
            said = sd1.plain(weights.extra.get("")).get("global_pool_conditions")
            return replace(layout, pools=pools or bool(said))
    raise WrongKind(path=str(weights.path), expected=ModelKind.CONTROLNET.value, found=known.kind(weights))


def controlnet_to_cldm(name: str, config: Mapping[str, Any]) -> str:
    """The cldm name (without prefix) of a ControlNetModel's or ControlNetUnionModel's weight.

    >>> controlnet_to_cldm("controlnet_cond_embedding.blocks.5.bias", {})
    'input_hint_block.12.bias'
    """
    if name.startswith("controlnet_cond_embedding."):
        place, leaf = name.removeprefix("controlnet_cond_embedding.").rsplit(".", 1)
        if place == "conv_in":
            return f"{HINT}0.{leaf}"
        if place == "conv_out":
            return f"{HINT}{2 * (2 * len(config['conditioning_embedding_out_channels']) - 1)}.{leaf}"
        return f"{HINT}{2 * (int(place.split('.')[1]) + 1)}.{leaf}"
    if name.startswith("controlnet_down_blocks."):
        _, number, leaf = name.split(".")
        return f"{ZERO}{number}.0.{leaf}"
    if name.startswith("controlnet_mid_block."):
        return MIDDLE + name.rsplit(".", 1)[1]
    if name.startswith(UNION_PARTS):
        return name
    return keys.unet_to_ldm(name, {**config, "up_block_types": tuple(reversed(config["down_block_types"]))})


UNION_PARTS = ("task_embedding", "transformer_layes.", "spatial_ch_projs.", "control_add_embedding.")
"""What a union network has beside a ControlNet; both layouts name it alike."""


def to_cldm(network: nn.Module, *, prefix: str = CLDM) -> dict[str, Tensor]:
    """A ControlNetModel's (or union's) weights in cldm's single-file layout; nothing is copied."""
    config = keys.config_of(network)
    return {prefix + controlnet_to_cldm(name, config): value for name, value in network.state_dict().items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What the weights tell of a network's encoder."""

    channels: tuple[int, ...]
    layers: int
    depths: tuple[int, ...]
    """Transformer blocks by level; 0 without attention."""
    middle: int
    linear: bool
    context: int
    heard: int
    """Width of SDXL's pooled text and numbers; 0: not heard."""
    hints: tuple[int, ...]
    """Channels of the hint's own network: of the hint, then after each of its widening layers."""
    channels_in: int


def _cldm(weights: Weights, base: Mapping[str, Any]) -> Layout | None:
    prefix = next((prefix for prefix in (CLDM, "") if f"{prefix}{HINT}0.weight" in weights), None)
    if prefix is None or f"{prefix}input_blocks.0.0.weight" not in weights:
        return None
    shape = _cldm_shape(weights, prefix)
    form = "difference" if "difference" in weights or f"{prefix}difference" in weights else "plain"
    return _controlnet(weights, shape, base, lambda config: _cldm_names(config, prefix), form=form)


def _cldm_names(config: Mapping[str, Any], prefix: str) -> Names:
    return lambda name: (prefix + controlnet_to_cldm(name, config),)


def _cldm_shape(weights: Weights, prefix: str) -> _Shape:
    escaped = re.escape(prefix)
    downs = sd1.numbers(weights, rf"{escaped}input_blocks\.(\d+)\.0\.op\.weight")
    blocks = sd1.numbers(weights, rf"{escaped}input_blocks\.(\d+)\.0\.in_layers\.2\.weight")
    layers = (downs[0] - 1) if downs else len(blocks)
    firsts = [f"{prefix}input_blocks.{1 + level * (layers + 1)}" for level in range(len(downs) + 1)]
    numbers = sd1.numbers(weights, rf"{escaped}input_hint_block\.(\d+)\.weight")
    return _Shape(
        channels=tuple(weights.shape(f"{first}.0.in_layers.2.weight")[0] for first in firsts),
        layers=layers,
        depths=tuple(_depth(weights, f"{first}.1") for first in firsts),
        middle=_depth(weights, f"{prefix}middle_block.1"),
        hints=_hints(weights, [f"{prefix}{HINT}{number}.weight" for number in numbers]),
        channels_in=weights.shape(f"{prefix}input_blocks.0.0.weight")[1],
        **_told(weights, prefix, "label_emb.0.0.weight"),
    )


def _diffusers(weights: Weights, base: Mapping[str, Any]) -> Layout | None:
    if "controlnet_cond_embedding.conv_in.weight" not in weights:
        return None
    return _controlnet(weights, _diffusers_shape(weights), base, lambda _config: lambda name: (name,))


def _diffusers_shape(weights: Weights) -> _Shape:
    levels = sd1.numbers(weights, r"down_blocks\.(\d+)\.resnets\.0\.conv1\.weight")
    first = "controlnet_cond_embedding."
    blocks = sd1.numbers(weights, r"controlnet_cond_embedding\.blocks\.(\d+)\.weight")
    return _Shape(
        channels=tuple(weights.shape(f"down_blocks.{level}.resnets.0.conv1.weight")[0] for level in levels),
        layers=len(sd1.numbers(weights, r"down_blocks\.0\.resnets\.(\d+)\.conv1\.weight")),
        depths=tuple(_depth(weights, f"down_blocks.{level}.attentions.0") for level in levels),
        middle=_depth(weights, "mid_block.attentions.0"),
        hints=_hints(
            weights,
            [f"{first}conv_in.weight", *(f"{first}blocks.{n}.weight" for n in blocks), f"{first}conv_out.weight"],
        ),
        channels_in=weights.shape("conv_in.weight")[1],
        **_told(weights, "", "add_embedding.linear_1.weight"),
    )


def _told(weights: Weights, prefix: str, heard: str) -> dict[str, Any]:
    projection = next(
        (weights.shape(name) for name in weights if name.startswith(prefix) and name.endswith("proj_in.weight")), ()
    )
    keyed = next((name for name in weights if name.startswith(prefix) and name.endswith("attn2.to_k.weight")), None)
    return {
        "linear": len(projection) == 2,
        "context": weights.shape(keyed)[1] if keyed else 0,
        "heard": weights.shape(prefix + heard)[1] if prefix + heard in weights else 0,
    }


def _depth(weights: Weights, place: str) -> int:
    """Transformer blocks of one attention; 0 where there is none."""
    return len(sd1.numbers(weights, re.escape(place) + r"\.transformer_blocks\.(\d+)\.norm1\.weight"))


def _hints(weights: Weights, convolutions: Sequence[str]) -> tuple[int, ...]:
    """Channels of the hint, then of the first layer and of every second one after it but the last."""
    shapes = [weights.shape(name) for name in convolutions]
    return (shapes[0][1], shapes[0][0], *(shape[0] for shape in shapes[2:-1:2]))


def _controlnet(
    weights: Weights, shape: _Shape, base: Mapping[str, Any], names: Callable[[Mapping[str, Any]], Names],
    *, form: Form = "plain",
) -> Layout:  # fmt: skip
    given = weights.extra.get("") or sd1.embedded_config(weights).get("controlnet")
    config = _config(shape, base) | _structure(given)
    union = f"{CLDM}control_add_embedding.linear_1.weight", "control_add_embedding.linear_1.weight"
    added = next((name for name in union if name in weights), None)
    if added is None:
        return Layout(kind="controlnet", config=config, names=names(config), form=form)
    config = _without(config, "mid_block_type") | _union(weights, added.removesuffix(union[1]), config)
    return Layout(kind="union", config=config, names=names(config), form=form)


def _config(shape: _Shape, base: Mapping[str, Any]) -> dict[str, Any]:
    alike = tuple(base.get("block_out_channels", ())) == shape.channels
    heads: Any = base.get("attention_head_dim") if alike else None
    if heads is None:
        heads = tuple(max(1, width // sdxl.HEAD) for width in shape.channels) if shape.heard else 8
    config: dict[str, Any] = {
        "in_channels": shape.channels_in,
        "conditioning_channels": shape.hints[0],
        "conditioning_embedding_out_channels": shape.hints[1:],
        "block_out_channels": shape.channels,
        "layers_per_block": shape.layers,
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in shape.depths),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if shape.middle else "UNetMidBlock2D",
        # The middle is as deep as the last level says, also where that level itself has no attention.
        "transformer_layers_per_block": (*(depth or 1 for depth in shape.depths[:-1]), shape.middle or 1),
        "cross_attention_dim": shape.context or int(base.get("cross_attention_dim") or 768),
        "attention_head_dim": heads,
        "use_linear_projection": shape.linear,
        "norm_num_groups": int(base.get("norm_num_groups") or 32) if alike else 32,
    }
    if shape.heard:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": int(base.get("addition_time_embed_dim") or 256),
            "projection_class_embeddings_input_dim": shape.heard,
        }
    return config


def _union(weights: Weights, prefix: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a union network's own parts say; eight heads, as the published ones have."""
    types, width = weights.shape(f"{prefix}task_embedding")
    added = weights.shape(f"{prefix}control_add_embedding.linear_1.weight")[1] // types
    return {
        "num_control_type": types,
        "num_trans_channel": width,
        "num_proj_channel": weights.shape(f"{prefix}spatial_ch_projs.weight")[0],
        "num_trans_layer": len(sd1.numbers(weights, re.escape(prefix) + r"transformer_layes\.(\d+)\.ln_1\.weight")),
        "num_trans_head": int(config.get("num_trans_head") or 8),
        "addition_time_embed_dim": added,
    }


def _control_lora(weights: Weights, base: Mapping[str, Any]) -> Layout | None:
    """Low-rank parts beside the base's encoder: the base says what it is built like."""
    if "lora_controlnet" not in weights:
        return None
    numbers = sd1.numbers(weights, r"input_hint_block\.(\d+)\.weight")
    hints = _hints(weights, [f"{HINT}{number}.weight" for number in numbers])
    config = {key: value for key, value in base.items() if key in _STRUCTURE} | {
        "conditioning_channels": hints[0],
        "conditioning_embedding_out_channels": hints[1:],
        "in_channels": 4,
        "mid_block_type": "UNetMidBlock2DCrossAttn",
    }
    return Layout(kind="controlnet", config=_structure(config), names=_cldm_names(config, ""), form="lora")


def _t2i(weights: Weights, _base: Mapping[str, Any]) -> Layout | None:
    full = next((name for name in ("adapter.conv_in.weight", "conv_in.weight") if name in weights), None)
    ours = "adapter.body.0.resnets.0.block1.weight" in weights
    if full is not None and (ours or full.replace("conv_in", "body.0.block1") in weights):
        return _full_adapter(weights, full, ours=ours)
    light = next((name for name in ("adapter.body.0.in_conv.weight", "body.0.in_conv.weight") if name in weights), None)
    return _light_adapter(weights, light, ours=ours) if light is not None else None


def _full_adapter(weights: Weights, first: str, *, ours: bool) -> Layout:
    prefix = first.removesuffix("conv_in.weight")
    escaped = re.escape(prefix)
    blocks = 2
    if ours:
        levels = sd1.numbers(weights, escaped + r"body\.(\d+)\.resnets\.0\.block1\.weight")
        blocks = len(sd1.numbers(weights, escaped + r"body\.0\.resnets\.(\d+)\.block1\.weight"))
        widths = [weights.shape(f"{prefix}body.{level}.resnets.0.block1.weight")[0] for level in levels]
    else:
        levels = sd1.numbers(weights, escaped + r"body\.(\d+)\.block1\.weight")[::blocks]
        widths = [weights.shape(f"{prefix}body.{level}.block1.weight")[0] for level in levels]
    if any(name.endswith("down_opt.op.weight") for name in weights) or not _pointwise(weights, prefix, ours):
        raise UnsupportedControl(path=str(weights.path), found="T2I-Adapter with learned downsampling")
    seen = weights.shape(first)[1]
    xl = seen in (256, 768)
    factor = 16 if xl else 8
    config = {
        "in_channels": seen // factor**2,
        "channels": widths,
        "num_res_blocks": blocks,
        "downscale_factor": factor,
        "adapter_type": "full_adapter_xl" if xl else "full_adapter",
    }

    def names(name: str) -> Iterable[str]:
        found = re.fullmatch(r"adapter\.body\.(\d+)\.(?:resnets\.(\d+)\.)?(.+)", name)
        yield name
        if found is None:
            yield prefix + name.removeprefix("adapter.")
        else:
            yield f"{prefix}body.{int(found[1]) * blocks + int(found[2] or 0)}.{found[3]}"

    return Layout(kind="t2i", config=config, names=names)


def _pointwise(weights: Weights, prefix: str, ours: bool) -> bool:
    name = f"{prefix}body.0.resnets.0.block2.weight" if ours else f"{prefix}body.0.block2.weight"
    return weights.shape(name)[2] == 1


def _light_adapter(weights: Weights, first: str, *, ours: bool) -> Layout:
    prefix = first.removesuffix("body.0.in_conv.weight")
    escaped = re.escape(prefix)
    levels = sd1.numbers(weights, escaped + r"body\.(\d+)\.out_conv\.weight")
    inner = r"resnets" if ours else r"body"
    config = {
        "in_channels": weights.shape(first)[1] // 64,
        # diffusers adds a last level as wide as the one before.
        "channels": [weights.shape(f"{prefix}body.{level}.out_conv.weight")[0] for level in levels[:-1]],
        "num_res_blocks": len(sd1.numbers(weights, escaped + rf"body\.0\.{inner}\.(\d+)\.block1\.weight")),
        "downscale_factor": 8,
        "adapter_type": "light_adapter",
    }
    return Layout(
        kind="t2i",
        config=config,
        names=lambda name: (name, prefix + name.removeprefix("adapter.").replace(".resnets.", ".body.")),
    )


LAYOUTS: tuple[Callable[[Weights, Mapping[str, Any]], Layout | None], ...] = (_control_lora, _diffusers, _cldm, _t2i)


def _has(*parts: str) -> Callable[[Weights], bool]:
    return lambda weights: any(part in name for part in parts for name in weights)


UNSUPPORTED: tuple[tuple[Callable[[Weights], bool], str], ...] = (
    (_has("motion_modules."), "SparseCtrl"),
    (_has("image_proj.", "ip_adapter."), "IP-Adapter"),
    (_has("lllite_"), "ControlNet-LLLite"),
    (_has("style_embedding"), "T2I style adapter"),
)


def _structure(given: Any) -> dict[str, Any]:
    """Of a saved configuration what tells how a module is built; lists become tuples."""
    kept = {key: value for key, value in sd1.plain(given).items() if key in _STRUCTURE}
    return {key: tuple(value) if key in _TUPLES else value for key, value in kept.items() if value is not None}


def _without(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != name}
