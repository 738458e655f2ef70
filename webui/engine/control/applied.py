"""Control networks at work: which guide a call, with what strength, on which rows; their residuals summed.

The rules are sd-webui-controlnet's (1.1.455). `controlled` decides call by call and marks the calls; a loaded model
asks `residuals` beside each of its forwards, so that what splits a forward splits these too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from webui.domain.controlnet import ControlMode
from webui.engine.control.networks import ControlNetwork, Residuals
from webui.engine.control.reference import Reference, Referring, Shown
from webui.engine.control.timing import progress
from webui.engine.types import CONTROLS, Call, Denoise, StepContext

SOFT = 0.825
"""Where the prompt is to win, each residual counts so much less than the next inner one."""
SOFT_ADAPTER = (0.25, 0.62, 0.825, 1.0)
"""The same of a T2I-Adapter's four, outermost first."""
INNERMOST = 12
"""Stable Diffusion 1 has twelve skips and the middle; SDXL's ten count as that many of its first ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applied:
    """A unit, ready: `hints` (n or 1, 3, H, W) in [0, 1] (-1 where an inpainting network is to invent), one for each
    picture of the batch or for all; `region` (1, 1, h, w) in [0, 1]: where it has effect; `soft`: weaker outside the
    middle whatever the mode says (edges in a hires pass).
    """

    network: ControlNetwork
    hints: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: ControlMode = ControlMode.BALANCED
    layer_weights: tuple[float, ...] = ()
    region: Tensor | None = None
    union_type: str = ""
    low_vram: bool = False
    soft: bool = False

    def guides(self, context: StepContext) -> bool:
        """Whether it takes part in this call."""
        return self.weight != 0 and self.start <= progress(context) <= self.end

    def scales(self, count: int) -> Sequence[float]:
        """Factors of `count` residuals, outermost first, the middle last."""
        if self.layer_weights:
            return self.layer_weights
        if self.mode is ControlMode.BALANCED and not self.soft:
            return [self.weight] * count
        if self.network.is_adapter:
            return [self.weight * factor for factor in SOFT_ADAPTER]
        return [self.weight * SOFT ** (INNERMOST - place) for place in range(count)]

    @property
    def prompted_only(self) -> bool:
        """Whether the negative prompt's rows go without it."""
        return self.mode is ControlMode.CONTROL or self.network.pools


def controlled(denoise: Denoise, applied: Sequence[Applied | Reference]) -> Denoise:
    """`denoise` with these units beside it; for one pass. Without a unit it is `denoise` itself.

    Raises UnknownUnionType.
    """
    units = [each for each in applied if each.weight != 0]
    guides = [(each, Guide(each) if isinstance(each, Applied) else Referring(each)) for each in units]
    if not guides:
        return denoise

    def asked(calls: Sequence[Call], context: StepContext) -> list[Tensor]:
        now = tuple(
            Shown(guide, context.call) if isinstance(guide, Referring) else guide
            for unit, guide in guides
            if unit.guides(context)
        )
        if not now:
            return denoise(calls, context)
        return denoise([replace(call, extras={**call.extras, CONTROLS: now}) for call in calls], context)

    return asked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """One forward of the UNet: its inputs and, row by row, which picture of the batch it is for and whether the
    prompt (not the negative one) is asked.
    """

    x: Tensor
    timesteps: Tensor
    states: Tensor
    added: Mapping[str, Tensor] | None
    pictures: Sequence[int]
    prompted: Sequence[bool]


@dataclass(slots=True, eq=False)
class Guide:
    """An `Applied` for the length of a pass, with what has been worked out from it."""

    applied: Applied
    union_type: int | None = field(init=False)
    _kept: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.union_type = self.applied.network.type_index(self.applied.union_type)

    def residuals(self, asked: Asked, *, leaves: bool) -> Residuals | None:
        """What it adds to that forward; None where it has nothing to say. `leaves`: the network goes off the device
        afterwards.
        """
        unit = self.applied
        rows = [i for i, prompted in enumerate(asked.prompted) if prompted or not unit.prompted_only]
        if not rows:
            return None
        answer = self._adapter(asked, rows) if unit.network.is_adapter else self._network(asked, rows)
        if leaves or unit.low_vram:
            unit.network.leave()
        scaled = [self._placed(each * scale) for each, scale in zip(answer, self._scales(len(answer)), strict=False)]
        spread = [_spread(each, rows, len(asked.pictures)).to(asked.x.dtype) for each in scaled]
        if unit.network.is_adapter:
            return Residuals(skips=[], inner=spread)
        return Residuals(skips=spread[:-1], middle=spread[-1], inner=[])

    def _scales(self, count: int) -> Sequence[float]:
        return self.applied.scales(count)

    def _network(self, asked: Asked, rows: list[int]) -> list[Tensor]:
        network, whole = self.applied.network, len(rows) == len(asked.pictures)
        some = slice(None) if whole else rows
        x = asked.x[some][:, : network.module.config.in_channels]
        hints = self._hints(x, [asked.pictures[i] for i in rows])
        added = asked.added and {name: value[some] for name, value in asked.added.items()}
        network.arrive()
        skips, middle = network.residuals(
            x, asked.timesteps[some], asked.states[some], hints, added=added, union_type=self.union_type
        )
        return [*skips, middle]

    def _adapter(self, asked: Asked, rows: list[int]) -> list[Tensor]:
        """Its answer to each hint, computed once a pass and taken row by row."""
        height, width = asked.x.shape[2:]
        if ("features", height, width) not in self._kept:
            network = self.applied.network
            network.arrive()
            factor = int(network.module.downscale_factor)
            size = [-(-8 * side // factor) * factor for side in (height, width)]
            hints = _resized(self.applied.hints.to(asked.x.device, torch.float32), size[0], size[1])
            self._kept["features", height, width] = network.features(hints)
        features: list[Tensor] = self._kept["features", height, width]
        which = [asked.pictures[i] if len(self.applied.hints) > 1 else 0 for i in rows]
        return [each[which] for each in features]

    def _hints(self, x: Tensor, pictures: Sequence[int]) -> Tensor:
        height, width = (8 * side for side in x.shape[2:])
        if ("hints", height, width) not in self._kept:
            hints = self.applied.hints.to(x.device, torch.float32)
            self._kept["hints", height, width] = _resized(hints, height, width).to(self.applied.network.dtype)
        hints: Tensor = self._kept["hints", height, width]
        return hints.expand(len(pictures), -1, -1, -1) if len(hints) == 1 else hints[list(pictures)]

    def _placed(self, residual: Tensor) -> Tensor:
        """Only inside the region; and where the network pools, the mean of that."""
        region = self.applied.region
        if region is not None:
            size = tuple(residual.shape[2:])
            if ("region", size) not in self._kept:
                sized = functional.interpolate(region.to(residual.device, torch.float32), size=size, mode="bilinear")
                self._kept["region", size] = sized.to(residual.dtype)
            residual = residual * self._kept["region", size]
        return residual.mean(dim=(2, 3), keepdim=True) if self.applied.network.pools else residual


def residuals(guides: Sequence[Guide | Shown], asked: Asked, *, leaves: bool = False) -> Residuals | None:
    """What all of these add to a forward; None for nothing. References add nothing: they go through the UNet."""
    total: Residuals | None = None
    for guide in guides:
        if isinstance(guide, Shown):
            continue
        answer = guide.residuals(asked, leaves=leaves)
        if answer is None:
            continue
        if total is None:
            total = answer
        else:
            total.add(answer)
    return total


def _spread(residual: Tensor, rows: list[int], count: int) -> Tensor:
    """The rows where they belong, zeros elsewhere."""
    if len(rows) == count:
        return residual
    whole = residual.new_zeros(count, *residual.shape[1:])
    whole[rows] = residual
    return whole


def _resized(hints: Tensor, height: int, width: int) -> Tensor:
    if tuple(hints.shape[2:]) == (height, width):
        return hints
    return functional.interpolate(hints, size=(height, width), mode="nearest-exact")
