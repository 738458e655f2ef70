"""Where a model's parts are: all on the device, one part at a time, or the UNet layer by layer.

A1111's --medvram is `PARTS`, its --lowvram `BLOCKS`. Without a flag the header's sizes and the free memory choose, and
a run that meets the end of memory anyway tightens it (`tighten`).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import torch
from torch import nn

from webui.engine.budget import Need

HOME = torch.device("cpu")


class Placing(StrEnum):
    """From most memory and speed to least."""

    WHOLE = "whole"
    PARTS = "parts"
    BLOCKS = "blocks"


def fitting(need: Need, free: int) -> Placing:
    """The fastest placing for a need (bytes) and the free memory of a device."""
    if need.whole <= free:
        return Placing.WHOLE
    return Placing.PARTS if need.in_turns <= free else Placing.BLOCKS


class Places:
    """One model's parts between `HOME` (main memory) and its device. `moves` counts parts brought to the device.

    `parts` are the modules by part; a VAE may be exchanged there. On the CPU everything is at home for good.
    """

    def __init__(self, parts: dict[str, Sequence[nn.Module]], device: torch.device, placing: Placing) -> None:
        self.placing = placing if device.type != HOME.type else Placing.WHOLE
        self.device = device
        self.moves = 0
        self.parts = parts
        self._there: str | None = None
        self._hooks: list[Any] = []
        self._parked = False

    @property
    def is_whole(self) -> bool:
        return self.placing is Placing.WHOLE

    @property
    def loading(self) -> torch.device:
        """Where new weights are put."""
        return self.device if self.is_whole else HOME

    @property
    def on_device(self) -> int:
        """Bytes of weights that are on the device now, by turns."""
        modules = [] if self._there is None or self._hooks else self.parts.get(self._there, ())
        return sum(weight.numel() * weight.dtype.itemsize for each in modules for weight in each.parameters())

    def park(self) -> None:
        """Leave the device altogether until `wake`: another model works there."""
        if self.device.type != HOME.type and not self._parked:
            self._keep()
            self._move(HOME)
            self._there, self._parked = None, True

    def wake(self) -> None:
        """Be ready again after `park`. A model that is whole comes back to the device."""
        if self._parked and self.is_whole:
            self._move(self.device)
        self._parked = False

    def take(self, part: str) -> None:
        """Have a part ("text", "unet", "vae") ready to run on the device."""
        if self.is_whole or self._there == part:
            return
        self.send_home()
        if part == "unet" and self.placing is Placing.BLOCKS:
            return self._lend(self.parts[part])
        for module in self.parts.get(part, ()):
            module.to(self.device)
        self.moves += 1
        self._there = part

    def send_home(self) -> None:
        """Everything off the device. Weights are changed at home, so that a change costs the device nothing."""
        if self.is_whole:
            return
        self._keep()
        self._move(HOME)
        self._there = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def tighten(self) -> bool:
        """Take the next tighter placing; False when there is none."""
        if self.device.type == HOME.type or self.placing is Placing.BLOCKS:
            return False
        self.placing = Placing.PARTS if self.placing is Placing.WHOLE else Placing.BLOCKS
        self.send_home()
        return True

    def _move(self, where: torch.device) -> None:
        for module in (each for modules in self.parts.values() for each in modules):
            module.to(where)

    def _lend(self, modules: Sequence[nn.Module]) -> None:
        """Every layer's weights come when it is called and go when it has answered; those at home are never moved."""
        self._there = "unet"
        for module in (each for whole in modules for each in whole.modules()):
            if not module._parameters and not module._buffers:
                continue
            visit = _Visit(module, self.device)
            self._hooks.append(module.register_forward_pre_hook(visit.come))
            # Also when the layer fails: what came must go.
            self._hooks.append(module.register_forward_hook(visit.go, always_call=True))

    def _keep(self) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks = []


class _Visit:
    """One layer's weights, on the device for the length of one call."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._module, self._device = module, device
        self._home: tuple[dict[str, Any], dict[str, Any]] | None = None

    def come(self, _module: nn.Module, _given: Any) -> None:
        module, device = self._module, self._device
        if self._home is not None:
            return
        self._home = dict(module._parameters), dict(module._buffers)
        for name, weight in module._parameters.items():
            if weight is not None:
                module._parameters[name] = nn.Parameter(weight.to(device, non_blocking=True), requires_grad=False)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = value.to(device, non_blocking=True)

    def go(self, _module: nn.Module, _given: Any, _answer: Any) -> None:
        if self._home is None:
            return
        (parameters, buffers), self._home = self._home, None
        self._module._parameters.update(parameters)
        self._module._buffers.update(buffers)
