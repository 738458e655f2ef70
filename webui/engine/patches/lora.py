"""LoRA and its kin, merged into the weights for as long as they are worn.

Sums are made in fp32 and rounded once to the weight's own type, in the order the adapters are named; a file named
twice counts twice. What a weight was is put aside whole and put back as it was, never computed back. A set that follows
another changes only the modules in which they differ.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
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

    def for_part(self, part: str) -> "Lora":
        """As that part sees it: the other's strength is nothing to it."""
        return replace(self, te=0.0) if part == "unet" else replace(self, unet=0.0)

    @property
    def of_text(self) -> "Lora | None":
        """As the text encoder sees it: None when it is left alone."""
        return None if self.te == 0 else self.for_part("te")


@dataclass(slots=True, eq=False)
class Aside:
    """One weight put aside: its module's own parameter, and on a graphics card a copy of what it held."""

    module: nn.Module
    name: str
    parameter: nn.Parameter | None
    held: Tensor | None = None


Use = tuple["Lora", Layer]
"""An adapter with its strengths (the other part's is 0) and which of its layers."""


@dataclass(slots=True, eq=False)
class Changed:
    """One module as it is merged: what was put aside, by what it was changed, and which of these could be read."""

    aside: list[Aside]
    uses: tuple[Use, ...]
    fitted: tuple[bool, ...]


@dataclass(slots=True, eq=False)
class Kept:
    """What `Merged` keeps in `LoadedModel.kept` while worn."""

    changed: dict[nn.Module, Changed] = field(default_factory=dict[nn.Module, Changed])
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
        self._merge_into(model, Kept())

    def take_over(self, model: "LoadedModel", other: "Merged") -> None:
        """Put on in place of another set that is worn: modules that both change alike stay as they are.

        Raises what `put_on` raises; then neither is worn.
        """
        self._merge_into(model, model.kept.pop(other))

    def _merge_into(self, model: "LoadedModel", kept: Kept) -> None:
        """`kept`: of what is worn now; it becomes this set's."""
        try:
            with ExitStack() as opened:
                sources = [_opened(lora, opened) for lora in self.loras]
                wanted = _targets(model, sources)
                for module in [module for module in kept.changed if module not in wanted]:
                    _give_back(kept.changed.pop(module))
                for module, uses in wanted.items():
                    _bring(module, uses, kept)
            kept.notes = [note for source in sources for note in _told(source)]
        except BaseException:
            for changed in kept.changed.values():
                _give_back(changed)
            raise
        model.kept[self] = kept

    def take_off(self, model: "LoadedModel") -> None:
        for changed in model.kept.pop(self).changed.values():
            _give_back(changed)

    def notes(self, model: "LoadedModel") -> list[Note]:
        """What the person should know of how it sits on the model that wears it."""
        return list(model.kept[self].notes)


def _opened(lora: Lora, opened: ExitStack) -> Source:
    weights = opened.enter_context(open_weights(lora.path))
    layers, strange = grouped(weights)
    return Source(lora, weights, layers, said_alpha(weights.metadata), unread=strange)


def _targets(model: "LoadedModel", sources: list[Source]) -> dict[nn.Module, list[tuple[Source, Layer]]]:
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
    return found


def _bring(module: nn.Module, uses: list[tuple[Source, Layer]], kept: Kept) -> None:
    """One module to what it should be, from what it is."""
    wanted = tuple((source.lora.for_part(layer[0]), layer) for source, layer in uses)
    before = kept.changed.get(module)
    if before is None or before.uses != wanted:
        if before is not None:
            _give_back(kept.changed.pop(module))
        aside: list[Aside] = []
        try:
            fitted = _merge(module, uses, aside)
        finally:
            # Even when it failed half way: what was put aside is known and can be given back.
            before = kept.changed[module] = Changed(aside, wanted, ())
        before.fitted = fitted
    for (source, _), fits in zip(uses, before.fitted, strict=True):
        source.fitted += fits
        source.unread += not fits


@torch.no_grad()
def _merge(module: nn.Module, uses: list[tuple[Source, Layer]], aside: list[Aside]) -> tuple[bool, ...]:
    """One module's weight (and bias) with all that is added to it, rounded once; which of these could be read."""
    original: Tensor = module.get_parameter("weight")
    weight, bias = original.float(), module._parameters.get("bias")
    shift: Tensor | None = None
    fitted: list[bool] = []
    for source, layer in uses:
        strength = source.lora.strength(layer[0])
        found = _added(source, layer, weight)
        fitted.append(found is not None)
        if found is None:
            continue
        weight = weight + found[0] * strength
        if found[1] is not None:
            moved = found[1].reshape(weight.shape[0]) * strength
            shift = moved if shift is None else shift + moved
    if any(fitted):
        _replace(module, "weight", weight.to(original.dtype), aside)
    if shift is not None:
        _replace(module, "bias", (shift if bias is None else bias.float() + shift).to(original.dtype), aside)
    return tuple(fitted)


def _added(source: Source, layer: Layer, weight: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """What one adapter adds to a weight and its bias, None when it does not fit or is of a kind not read."""
    kind = kind_of(frozenset(source.layers[layer]))
    if kind is None:
        return None
    try:
        delta, more = added(kind, source.tensors(layer, weight.device), weight, dyn=source.lora.dyn)
    except (Misshapen, RuntimeError):
        return None
    return None if more is not None and more.numel() != weight.shape[0] else (delta, more)


def _replace(module: nn.Module, name: str, value: Tensor, aside: list[Aside]) -> None:
    """Put a weight aside and another in its place.

    On the CPU the original (often a view of the mapped file) stays as it is. On a graphics card there is no room for
    two, so a copy goes to main memory.
    """
    parameter = module._parameters.get(name)
    if parameter is None or parameter.device.type == "cpu":
        aside.append(Aside(module, name, parameter))
        module._parameters[name] = nn.Parameter(value, requires_grad=False)
        return
    aside.append(Aside(module, name, parameter, parameter.data.to("cpu", copy=True)))
    parameter.data.copy_(value)


def _give_back(changed: Changed) -> None:
    while changed.aside:
        aside = changed.aside.pop()
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
