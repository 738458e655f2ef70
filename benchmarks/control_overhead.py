"""What a ControlNet unit costs around the networks: CPU seconds outside the UNet's and the ControlNet's forwards ÷ CPU
seconds inside them.

    python -m benchmarks.control_overhead CHECKPOINT CONTROLNET [--calls 20] [--size 128] [--units 1]

Guided model calls (prompt and negative in one forward) through `webui.engine.control.controlled`, beside the same calls
without a unit. The first calls, which load and prepare, are not counted.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from webui.domain import ModelKind, ModelRecord
from webui.engine.cache import ModelCache
from webui.engine.control import Applied, ControlCache, controlled
from webui.engine.types import COND, UNCOND, Call, Denoise, StepContext


class Inside:
    """CPU seconds spent inside modules' forwards."""

    def __init__(self, *modules: Any) -> None:
        self.seconds = 0.0
        self._since = 0.0
        for module in modules:
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave)

    def _enter(self, *_given: Any) -> None:
        self._since = time.process_time()

    def _leave(self, *_given: Any) -> None:
        self.seconds += time.process_time() - self._since


def spent(ask: Callable[[int], object], inside: Inside, calls: int) -> tuple[float, float]:
    """CPU seconds (inside, outside) of so many calls."""
    ask(0)
    inside.seconds, began = 0.0, time.process_time()
    for call in range(calls):
        ask(call)
    return inside.seconds, time.process_time() - began - inside.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("controlnet", type=Path)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--size", type=int, help="pixels a side; the model's own without it")
    parser.add_argument("--units", type=int, default=1)
    measure(parser.parse_args())


def measure(given: argparse.Namespace) -> None:
    def record(path: Path, kind: ModelKind) -> ModelRecord:
        return ModelRecord(kind=kind, name=path.stem, path=path)

    model = ModelCache(torch.device("cpu")).load(record(given.checkpoint, ModelKind.CHECKPOINT), None)
    network = ControlCache().load(record(given.controlnet, ModelKind.CONTROLNET), base=model)
    side = (given.size or min(model.native_size)) // model.factor
    x, sigma = torch.randn(1, 4, side, side), torch.tensor([2.0])
    width = int(model.parts.unet["cross_attention_dim"])
    asked = [Call(role=role, rows=(0,), x=x, sigma=sigma, context=torch.randn(1, 77, width)) for role in (COND, UNCOND)]
    inside = Inside(model.unet, network.module)
    hint = torch.rand(1, 3, side * model.factor, side * model.factor)

    def at(denoise: Denoise) -> Callable[[int], object]:
        return lambda call: denoise(asked, StepContext(call=call, step=call, calls=given.calls, steps=given.calls))

    plain = spent(at(model.denoise), inside, given.calls)
    units = [Applied(network=network, hints=hint) for _ in range(given.units)]
    guided = spent(at(controlled(model.denoise, units)), inside, given.calls)
    for name, (within, outside) in (("no unit", plain), (f"{given.units} unit(s)", guided)):
        print(
            f"{given.checkpoint.name} {side * model.factor} px, {given.calls} calls, {name}: "
            f"inside {within:.3f} CPU s, outside {outside:.3f} CPU s = {outside / within:.2%}"
        )
    print(f"a unit adds {max(0.0, guided[1] - plain[1]) / guided[0] / given.units:.2%}")


if __name__ == "__main__":
    main()
