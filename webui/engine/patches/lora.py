"""LoRA and its kin, merged into the weights for as long as they are worn.

Sums are made in fp32 and rounded once to the weight's own type, in the order the adapters are named; a file named
twice counts twice. What a weight was is put aside whole and put back as it was, never computed back.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from webui.engine.patches.deltas import Misshapen, added, kind_of
from webui.engine.patches.layers import Layer, grouped, modules, said_alpha
from webui.engine.weights import Weights, open_weights

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel

Note = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """One adapter file at its strengths. `size` and `mtime_ns`: a file replaced under its name is another adapter."""

    path: Path
    te: float = 1.0
    unet: float = 1.0
    dyn: int | None = None
    """The first so many ranks only."""
    size: int = 0
    mtime_ns: int = 0

    def strength(self, part: str) -> float:
        return self.unet if part == "unet" else self.te

    @property
    def of_text(self) -> "Lora | None":
        """As the text encoder sees it: None when it is left alone."""
        return None if self.te == 0 else Lora(
            path=self.path, te=self.te, unet=0.0, dyn=self.dyn, size=self.size, mtime_ns=self.mtime_ns
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class Aside:
    """One weight put aside: its module's own parameter, and on a graphics card a copy of what it held."""

    module: nn.Module
    name: str
    parameter: nn.Parameter | None
    held: Tensor | None = None


@dataclass(slots=True, eq=False)
class Kept:
    """What `Merged` keeps in `LoadedModel.kept` while worn."""

    aside: list[Aside] = field(default_factory=list[Aside])
    notes: list[Note] = field(default_factory=list[Note])


@dataclass(slots=True, eq=False)
class Source:
    """An opened file with its layers. `fitted` and `unread` count layers that were and could not be merged."""

    lora: Lora
    weights: Weights
    layers: dict[Layer, dict[str, str]]
    alpha: dict[str, float]
    fitted: int = 0
    unread: int = 0

    def tensors(self, layer: Layer, device: torch.device) -> dict[str, Tensor]:
        """A layer's tensors, fp32."""
        names = self.layers[layer]
        found = {ours: self.weights.read(name, device=device).float() for ours, name in names.items()}
        if "alpha" not in found and layer[0] in self.alpha:
            found["alpha"] = torch.tensor(self.alpha[layer[0]])
        return found


@dataclass(frozen=True, slots=True)
class Merged:
    """Several adapters in order. Equal by value."""

    loras: tuple[Lora, ...]
    merges: ClassVar[bool] = True
    """It keeps the weights it found: what was merged after it comes off before it."""

    def put_on(self, model: "LoadedModel") -> None:
        """Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile; then the weights are as they were."""
        kept = Kept()
        try:
            with ExitStack() as opened:
                sources = [_opened(lora, opened) for lora in self.loras]
                for module, uses in _targets(model, sources):
                    _merge(module, uses, kept)
            kept.notes += [note for source in sources for note in _told(source)]
        except BaseException:
            _give_back(kept)
            raise
        model.kept[self] = kept

    def take_off(self, model: "LoadedModel") -> None:
        _give_back(model.kept.pop(self))

    def notes(self, model: "LoadedModel") -> list[Note]:
        """What the person should know of how it sits on the model that wears it."""
        return list(model.kept[self].notes)


def _opened(lora: Lora, opened: ExitStack) -> Source:
    weights = opened.enter_context(open_weights(lora.path))
    layers, strange = grouped(weights)
    return Source(lora, weights, layers, said_alpha(weights.metadata), unread=strange)


def _targets(
    model: "LoadedModel", sources: list[Source]
) -> Iterator[tuple[nn.Module, list[tuple[Source, Layer]]]]:  # fmt: skip
    """Every module to be changed with what changes it, in order."""
    table = modules(model)
    found: dict[nn.Module, list[tuple[Source, Layer]]] = {}
    for source in sources:
        for layer in source.layers:
            if layer not in table:
                source.unread += 1
            elif source.lora.strength(layer[0]) == 0:
                source.fitted += 1
            else:
                found.setdefault(table[layer], []).append((source, layer))
    yield from found.items()


@torch.no_grad()
def _merge(module: nn.Module, uses: list[tuple[Source, Layer]], kept: Kept) -> None:
    """One module's weight (and bias) with all that is added to it, rounded once."""
    original: Tensor = module.get_parameter("weight")
    weight, bias = original.float(), module._parameters.get("bias")
    shift: Tensor | None = None
    changed = False
    for source, layer in uses:
        kind = kind_of(frozenset(source.layers[layer]))
        if kind is None:
            source.unread += 1
            continue
        strength = source.lora.strength(layer[0])
        try:
            delta, more = added(kind, source.tensors(layer, weight.device), weight, dyn=source.lora.dyn)
            moved = None if more is None else (0 if shift is None else shift) + more.reshape(weight.shape[0]) * strength
        except (Misshapen, RuntimeError):
            source.unread += 1
            continue
        weight, shift, changed = weight + delta * strength, shift if moved is None else moved, True
        source.fitted += 1
    if changed:
        _replace(module, "weight", weight.to(original.dtype), kept)
    if shift is not None:
        _replace(module, "bias", (shift if bias is None else bias.float() + shift).to(original.dtype), kept)


def _replace(module: nn.Module, name: str, value: Tensor, kept: Kept) -> None:
    """Put a weight aside and another in its place.

    On the CPU the original (often a view of the mapped file) stays as it is. On a graphics card there is no room for
    two, so a copy goes to main memory.
    """
    parameter = module._parameters.get(name)
    if parameter is None or parameter.device.type == "cpu":
        kept.aside.append(Aside(module, name, parameter))
        module._parameters[name] = nn.Parameter(value, requires_grad=False)
        return
    kept.aside.append(Aside(module, name, parameter, parameter.data.to("cpu", copy=True)))
    parameter.data.copy_(value)


def _give_back(kept: Kept) -> None:
    while kept.aside:
        aside = kept.aside.pop()
        if aside.held is not None and aside.parameter is not None:
            aside.parameter.data.copy_(aside.held)
        aside.module._parameters[aside.name] = aside.parameter


def _told(source: Source) -> list[Note]:
    name = source.lora.path.stem
    if not source.fitted:
        return [("adapter_fits_nothing", {"name": name})]
    if source.unread:
        return [("adapter_fits_partly", {"name": name, "fitted": source.fitted, "unread": source.unread})]
    return []
