"""What a preprocessor is handed, what it may hand back, and the networks it keeps between maps."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from webui.domain.errors import BadFile
from webui.engine.weights import open_weights

Map: TypeAlias = NDArray[np.uint8]
"""(height, width, 3) RGB or (height, width) grey."""
Kept = TypeVar("Kept")


class AnnotatorMisfit(BadFile):
    """A preprocessor's file holds another network. Fields: path, detector, reason."""

    key = "annotator_misfit"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A map drawn from people found. `people`: OpenPose JSON, in pixels of the map."""

    map: Map
    people: list[dict[str, Any]]


class Networks:
    """Preprocessors' networks, filled once; the `keep` used last stay in memory, on the device they ran on."""

    def __init__(self, keep: int = 2) -> None:
        self.keep = keep
        self.loads = 0
        """How many were read from disk."""
        self._held: OrderedDict[object, object] = OrderedDict()

    def get(self, path: Path, what: str, device: torch.device, make: Callable[[], Kept]) -> Kept:
        """The network of that file, made when it is not held; a file replaced under its name is another."""
        facts = path.stat()
        key = (path, facts.st_size, facts.st_mtime_ns, what, str(device))
        if key not in self._held:
            made = make()
            self.loads += 1
            self._held[key] = made
            while len(self._held) > self.keep:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        found: Any = self._held[key]
        return found

    def clear(self) -> None:
        """Give their memory back."""
        self._held.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """One map being made: resolution (pixels of the shorter side), dials a and b, and the files, in the row's order."""

    detector: str
    resolution: int
    a: float = -1
    b: float = -1
    files: tuple[Path, ...] = ()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    networks: Networks = field(default_factory=Networks)
    seed: int | None = None

    def network(self, make: Callable[[], nn.Module], *, file: int = 0, inside: str = "", tails: bool = False) -> Any:
        """The network `make` builds, filled from a file, in float32 for evaluation.

        `inside`: the table of the file that holds its tensors, where there are several; `tails`: the file names them
        without their first part. Raises AnnotatorMisfit, BrokenFile, UnsafeFile, WrongFormat.
        """
        path = self.files[file]

        def filled() -> nn.Module:
            return fill(make(), path, detector=self.detector, inside=inside, tails=tails).to(self.device)

        return self.networks.get(path, inside, self.device, filled)

    def tensor(self, picture: Map) -> torch.Tensor:
        """(1, channels, height, width) float32 on the device, 0 to 255."""
        deep = picture if picture.ndim == 3 else picture[:, :, None]
        flat = torch.from_numpy(np.ascontiguousarray(deep)).permute(2, 0, 1)[None]
        return flat.to(self.device).float()


def fill(network: nn.Module, path: Path, *, detector: str, inside: str = "", tails: bool = False) -> nn.Module:
    """Copy a file's tensors into a network, by name. Nothing of the file is executed.

    What wraps the names (`module.`, `model.`, `state_dict.`, `inside`) is taken off. The file may hold more than the
    network has, never less. Raises AnnotatorMisfit, BrokenFile, UnsafeFile, WrongFormat.
    """
    own = network.state_dict()
    with open_weights(path) as weights:
        names = named(tuple(weights), own, inside=inside, tails=tails)
        lacking = [name for name in dict(network.named_parameters()) if name not in names]
        if lacking:
            raise AnnotatorMisfit(path=str(path), detector=detector, reason=f"{lacking[0]} (+{len(lacking) - 1})")
        for name, source in names.items():
            if tuple(own[name].shape) != weights.shape(source):
                reason = f"{name}: {list(weights.shape(source))} != {list(own[name].shape)}"
                raise AnnotatorMisfit(path=str(path), detector=detector, reason=reason)
        with torch.no_grad():
            for name, source in names.items():
                own[name].copy_(weights.read(source))
    return network.eval().requires_grad_(False)


def named(
    stored: tuple[str, ...], own: Mapping[str, object], *, inside: str = "", tails: bool = False
) -> dict[str, str]:
    """The network's names → those of the file, for all that the file has."""
    found: dict[str, str] = {}
    whole = {name.partition(".")[2]: name for name in own} if tails else {}
    for name in stored:
        bare = name.removeprefix(f"{inside}.") if inside else name
        for wrap in ("", "state_dict.", "model."):
            if not bare.startswith(wrap):
                continue
            rest = bare.removeprefix(wrap)
            for candidate in (rest, rest.replace("module.", ""), whole.get(rest, "")):
                if candidate in own:
                    found.setdefault(candidate, name)
    return found


def rgb(made: Map) -> Map:
    """(height, width, 3) of a grey or RGB map, of its own memory."""
    deep = np.repeat(made[:, :, None], 3, axis=2) if made.ndim == 2 else made
    return np.ascontiguousarray(deep[:, :, :3])
