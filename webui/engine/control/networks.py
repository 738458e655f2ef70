"""Control networks in memory: filled from a file of any layout, asked for residuals.

`load_network` makes one; `cache.ControlCache` keeps it. What it answers, `Residuals`, is added to the UNet's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.adapter import T2IAdapter
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from torch import Tensor, nn
from torch.nn import functional

from webui.domain.errors import BadInput, BrokenFile
from webui.domain.model import ModelRecord
from webui.engine import keys
from webui.engine.control.layouts import Kind, Layout, controlnet_to_cldm, recognised
from webui.engine.loading import fill, fitting, unet_names
from webui.engine.placing import HOME
from webui.engine.weights import Weights, open_weights

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel

CLASSES: Mapping[Kind, type[nn.Module]] = {
    "controlnet": ControlNetModel, "union": ControlNetUnionModel, "t2i": T2IAdapter,
}  # fmt: skip
UNION_TYPES = {
    "OpenPose": 0, "Depth": 1, "Soft Edge": 2, "Hard Edge": 3, "Normal Map": 4, "Segmentation": 5, "Tile": 6,
    "Inpaint": 7,
}  # fmt: skip
"""What a union network can take a map for, in the order it was trained with; the first six in the older file."""


class ControlMisfit(BadInput):
    """A network made for another family or size of model. Fields: model, checkpoint, expects, has."""

    key = "control_misfit_shape"


class UnknownUnionType(BadInput):
    """Fields: name, model, known (list of names)."""

    key = "unknown_union_type"


@dataclass(slots=True, kw_only=True, eq=False)
class Residuals:
    """What is added inside a UNet: `skips` to what its encoder hands to its decoder, outermost first, `middle` to its
    middle block, `inner` after each level of its encoder. Each (rows, channels, h, w), or h = w = 1 where pooled.
    """

    skips: list[Tensor]
    middle: Tensor | None = None
    inner: list[Tensor]

    def add(self, other: "Residuals") -> None:
        """Add another unit's."""
        self.skips = _sum(self.skips, other.skips)
        self.inner = _sum(self.inner, other.inner)
        if other.middle is not None:
            self.middle = other.middle if self.middle is None else self.middle + other.middle

    def told(self) -> dict[str, Any]:
        """As UNet2DConditionModel is told of them."""
        told: dict[str, Any] = {}
        if self.middle is not None:
            told |= {"down_block_additional_residuals": self.skips, "mid_block_additional_residual": self.middle}
        if self.inner:
            # It takes them off the list one by one, and adds to what it is given in place.
            told["down_intrablock_additional_residuals"] = list(self.inner)
        return told


def _sum(ours: list[Tensor], theirs: list[Tensor]) -> list[Tensor]:
    if not ours or not theirs:
        return ours or theirs
    return [a + b for a, b in zip(ours, theirs, strict=True)]


@dataclass(slots=True, kw_only=True, eq=False)
class ControlNetwork:
    """A network on `device`. `calls` counts its forwards, `moves` how often it was brought to the device."""

    record: ModelRecord
    kind: Kind
    module: Any
    device: torch.device
    pools: bool = False
    calls: int = 0
    moves: int = 0
    _there: bool = False

    @property
    def dtype(self) -> torch.dtype:
        return next(self.module.parameters()).dtype

    @property
    def is_adapter(self) -> bool:
        """A T2I-Adapter, whose answer depends on the hint alone."""
        return self.kind == "t2i"

    def arrive(self) -> None:
        """Be on the device."""
        if not self._there:
            self.module.to(self.device)
            self._there = True
            self.moves += 1

    def leave(self) -> None:
        """Be in main memory."""
        if self._there and self.device.type != HOME.type:
            self.module.to(HOME)
            self._there = False

    @torch.no_grad()
    def features(self, hints: Tensor) -> list[Tensor]:
        """A T2I-Adapter's answer to hints (n, 3, H, W) in [0, 1], one tensor a level of the encoder."""
        self.calls += 1
        module = self.module
        seen = int(module.config.in_channels)
        return list(module(hints[:, :seen].to(self.dtype)))

    @torch.no_grad()
    def residuals(
        self, x: Tensor, timesteps: Tensor, states: Tensor, hints: Tensor, *,
        added: Mapping[str, Tensor] | None = None, union_type: int | None = None,
    ) -> tuple[list[Tensor], Tensor]:  # fmt: skip
        """(skips, middle) for x (n, c, h, w) as the UNet sees it, timesteps (n,), states (n, tokens, width) and hints
        (n, 3, 8h, 8w).
        """
        self.calls += 1
        dtype = self.dtype
        told: dict[str, Any] = {"added_cond_kwargs": added, "return_dict": False}
        given: Any = hints.to(dtype)
        if self.kind == "union":
            return self._united(x.to(dtype), timesteps, states.to(dtype), given, union_type, told)
        skips, middle = self.module(x.to(dtype), timesteps, states.to(dtype), given, **told)
        return list(skips), middle

    def _united(
        self, x: Tensor, timesteps: Tensor, states: Tensor, hints: Tensor, union_type: int | None, told: dict[str, Any]
    ) -> tuple[list[Tensor], Tensor]:
        """A union network's answer. Not told a type, it takes the hint as a plain ControlNet does."""
        module = self.module
        which = torch.zeros(len(x), int(module.config.num_control_type), device=x.device, dtype=x.dtype)
        if union_type is not None:
            which[:, union_type] = 1
            told |= {"control_type": which, "control_type_idx": [union_type]}
            skips, middle = module(x, timesteps, states, [hints], **told)
            return list(skips), middle
        embedded = module.controlnet_cond_embedding(hints)
        hook = module.conv_in.register_forward_hook(lambda _module, _given, answer: answer + embedded)
        try:
            skips, middle = module(x, timesteps, states, [], **told, control_type=which, control_type_idx=[])
        finally:
            hook.remove()
        return list(skips), middle

    def type_index(self, name: str) -> int | None:
        """The number of a union type; None for "". Raises UnknownUnionType for one it was not trained with."""
        if self.kind != "union" or not name:
            return None
        known = int(self.module.config.num_control_type)
        index = UNION_TYPES.get(name, -1)
        if not 0 <= index < known:
            raise UnknownUnionType(name=name, model=self.record.stem, known=list(UNION_TYPES)[:known])
        return index


def load_network(record: ModelRecord, base: "LoadedModel") -> tuple[ControlNetwork, bool]:
    """A network filled from its file, in the base's number type on its device, and whether it holds weights made of
    the base's.

    Raises ControlMisfit before a weight is read, and what opening and recognising a file raise.
    """
    with open_weights(record.path) as weights:
        layout = understood(weights, record, base)
        module = _empty(layout, weights)
        dtype, device = base.dtype, base.places.loading
        if layout.form == "plain":
            fill(module, weights, layout.names, dtype=dtype, device=device)
        else:
            _fill_over_base(module, weights, layout, base, dtype, device)
    if layout.kind == "union":
        _attend_alone(module)
    network = ControlNetwork(
        record=record, kind=layout.kind, module=module, device=base.device, pools=layout.pools,
    )  # fmt: skip
    network._there = device == base.device
    return network, layout.needs_base


def check_fit(record: ModelRecord, base: "LoadedModel") -> None:
    """Raises what `understood` raises; no weight is read."""
    with open_weights(record.path) as weights:
        understood(weights, record, base)


def understood(weights: Weights, record: ModelRecord, base: "LoadedModel") -> Layout:
    """The layout of a file for that base. Raises ControlMisfit, UnsupportedControl, WrongKind, BrokenFile."""
    unet = keys.config_of(base.unet)
    try:
        layout = recognised(weights, unet, name=record.path.stem)
    except KeyError as missing:
        raise BrokenFile(path=str(weights.path), reason=f"{missing.args[0]} is missing") from missing
    except (IndexError, ValueError, TypeError) as error:
        raise BrokenFile(path=str(weights.path), reason=f"a weight's shape makes no sense ({error})") from error
    expects, has = _needs(layout.config, layout.kind), _needs(_as_seen(unet, layout), layout.kind)
    if expects != has:
        raise ControlMisfit(model=record.stem, checkpoint=base.record.stem, expects=_told(expects), has=_told(has))
    return layout


def _needs(config: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """What of a network must be as in the model it guides."""
    if kind == "t2i":
        channels = list(config["channels"])
        return {"channels": [*channels, channels[-1]] if config.get("adapter_type") == "light_adapter" else channels}
    return {
        "context": config["cross_attention_dim"],
        "channels": list(config["block_out_channels"]),
        "layers": config["layers_per_block"],
        "numbers": config.get("projection_class_embeddings_input_dim") or 0,
    }


def _as_seen(unet: Mapping[str, Any], layout: Layout) -> Mapping[str, Any]:
    """The base's configuration as a network for it would have it."""
    if layout.kind != "t2i":
        return unet
    widths = list(unet["block_out_channels"])
    # SDXL's encoder has three levels; the adapter's fourth answer goes to the middle.
    xl = layout.config["adapter_type"] == "full_adapter_xl"
    if xl != bool(unet.get("projection_class_embeddings_input_dim")):
        return {"channels": [0]}
    return {"channels": [*widths, widths[-1]] if xl else widths}


def _told(needs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in needs.items() if value)


def _empty(layout: Layout, weights: Weights) -> nn.Module:
    try:
        with torch.device("meta"):
            module = CLASSES[layout.kind](**layout.config)
    except (ValueError, TypeError, ZeroDivisionError, KeyError, NotImplementedError, AssertionError) as error:
        raise BrokenFile(path=str(weights.path), reason=f"configuration: {error}") from error
    return module.eval().requires_grad_(False)


def _fill_over_base(
    module: nn.Module, weights: Weights, layout: Layout, base: "LoadedModel", dtype: torch.dtype, device: torch.device
) -> None:
    """Fill a "difference" file (its numbers are added to the base's) or low-rank parts (up · down is).

    The base's numbers are read from its file again: what it wears at the moment is not part of it.
    """
    config = keys.config_of(module)
    with open_weights(base.record.path) as own:
        names = unet_names(base.unet, folder="unet" in own.extra)
        shared = {name for name, _ in base.unet.named_parameters()}
        made = _difference if layout.form == "difference" else _low_rank
        for name, parameter in list(module.named_parameters()):
            theirs = _in_base(names, name, own) if name in shared else None
            stored = next((key for key in layout.names(name) if key in weights), None)
            under = None if theirs is None else _read(own, theirs, tuple(parameter.shape))
            low = next(iter(layout.names(name))).removesuffix(".weight")
            value = made(weights, stored, low, under, tuple(parameter.shape))
            if value is None:
                raise BrokenFile(
                    path=str(weights.path), reason=f"weights are missing: {controlnet_to_cldm(name, config)}"
                )
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner)._parameters[leaf] = nn.Parameter(
                value.to(device=device, dtype=dtype), requires_grad=False
            )


def _in_base(names: Callable[[str], Any], name: str, own: Weights) -> str | None:
    return next((key for key in names(name) if key in own), None)


def _read(weights: Weights, key: str, shape: tuple[int, ...]) -> Tensor:
    return weights.read(key, dtype=torch.float32).view(fitting(weights, key, shape))


def _difference(
    weights: Weights, stored: str | None, _low: str, under: Tensor | None, shape: tuple[int, ...]
) -> Tensor | None:
    if stored is None:
        return None
    value = _read(weights, stored, shape)
    return value if under is None else value + under


def _low_rank(
    weights: Weights, stored: str | None, low: str, under: Tensor | None, shape: tuple[int, ...]
) -> Tensor | None:
    """The file's whole tensor where it has one, else the base's with up · down on top, where those are."""
    if stored is not None:
        return _read(weights, stored, shape)
    if under is None or f"{low}.up" not in weights:
        return under
    up, down = weights.read(f"{low}.up", dtype=torch.float32), weights.read(f"{low}.down", dtype=torch.float32)
    return under + (up.flatten(1) @ down.flatten(1)).view(shape)


def _attend_alone(module: nn.Module) -> None:
    """Let a union network's merging attention see one row at a time.

    Trained and published on single pictures, it attends along the batch; rows of a batch would mix, and a picture
    would depend on its neighbours.
    """
    for layer in module.transformer_layes:  # pyright: ignore[reportGeneralTypeIssues]
        layer.attention = _Alone(layer.attn)


class _Alone:
    """Attention over (rows, tokens, width) in which every vector attends to itself alone, as in a batch of one."""

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        self._attention = attention

    def __call__(self, x: Tensor) -> Tensor:
        inner = self._attention
        width = x.shape[-1]
        weight: Any = inner.in_proj_weight
        bias: Any = inner.in_proj_bias
        value = functional.linear(x, weight[2 * width :], None if bias is None else bias[2 * width :])
        return inner.out_proj(value)
