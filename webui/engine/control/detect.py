"""A picture to its map: limits, files, the row's function, and the maps made last.

`detect` makes one map. `Maps` is what a worker keeps: the last sixteen maps and the networks of the last two
preprocessors, so that a map shown in the page is not made again for the picture it guides. Rows stand in
`catalog.detectors`; the functions in `pixels`, `lines`, `depth` and `people` are named there and imported on first use.
"""

import hashlib
import pkgutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from webui.catalog.annotators import found, missing, place
from webui.catalog.detectors import DetectorRow
from webui.domain.errors import BadInput, NotFound
from webui.engine.control.making import Drawn, Making, Map, Networks, rgb
from webui.engine.control.pixels import white_background

Detect = Callable[[Map, Making], Map | Drawn]
Note = tuple[str, dict[str, Any]]
MOST_SIDE = 16384
MOST_PIXELS = 64 * 2**20
"""More than any picture one guides with, and little enough that a preprocessor's copies fit into memory."""
KEPT_MAPS = 16


class AnnotatorMissing(NotFound):
    """Fields: detector, files (names), folder (where they go), searched (folders), sources (addresses)."""

    key = "annotator_missing"


class PictureTooLarge(BadInput):
    """Fields: width, height, most (pixels a side), pixels (megapixels)."""

    key = "picture_too_large"


class PictureTooNarrow(BadInput):
    """Fields: width, height, resolution, longer (pixels), most."""

    key = "picture_too_narrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """`map` (h, w, 3) RGB; `poses`: OpenPose JSON people in its pixels, None where the row finds none by nature."""

    map: NDArray[np.uint8]
    poses: list[dict[str, Any]] | None = None
    notes: tuple[Note, ...] = ()


def detect(
    row: DetectorRow, picture: NDArray[np.uint8], *, resolution: int = -1, a: float = -1, b: float = -1,
    mask: NDArray[np.uint8] | None = None, folders: Sequence[Path], device: torch.device | str = "cpu",
    networks: Networks | None = None, seed: int | None = None,
) -> Detected:  # fmt: skip
    """The map of a picture (height, width, 3), uint8 RGB. -1 takes the row's default.

    `mask` is no part of a map made here: inpaint's is the picture, and the hint is blanked where it is made. `seed` is
    for rows that are random. Raises PictureTooLarge, PictureTooNarrow, AnnotatorMissing, AnnotatorMisfit, ExtraMissing,
    UnsafeFile, BrokenFile.
    """
    check_size(picture.shape[1], picture.shape[0])
    lacking = missing(row, folders)
    if lacking:
        raise AnnotatorMissing(
            detector=row.name, files=[file.name for file in lacking], folder=str(place(lacking[0], folders).parent),
            searched=[str(folder) for folder in folders], sources=[one for file in lacking for one in file.sources[:1]],
        )  # fmt: skip
    if not row.target:
        return Detected(map=rgb(picture))
    shorter, longer = sorted(picture.shape[:2])
    grown = longer * row.at(resolution) // shorter
    if grown > MOST_SIDE:
        raise PictureTooNarrow(
            width=picture.shape[1], height=picture.shape[0], resolution=row.at(resolution), longer=grown, most=MOST_SIDE
        )
    making = Making(
        detector=row.name, resolution=row.at(resolution), a=row.value_a(a), b=row.value_b(b),
        files=tuple(filter(None, (found(file, folders) for file in row.weights))), device=torch.device(device),
        networks=networks or Networks(), seed=seed,
    )  # fmt: skip
    function: Detect = pkgutil.resolve_name(row.target)
    with torch.inference_mode():
        made = function(rgb(picture), making)
    if isinstance(made, Drawn):
        notes = () if made.people else (("no_people", {}),)
        return Detected(map=rgb(made.map), poses=made.people, notes=notes)
    return Detected(map=rgb(made))


def check_size(width: int, height: int) -> None:
    """Raises PictureTooLarge; asked before a picture is decoded where its size is known."""
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise PictureTooLarge(width=width, height=height, most=MOST_SIDE, pixels=MOST_PIXELS // 2**20)


def is_white_background(picture: NDArray[np.uint8]) -> bool:
    """True for a drawing of dark lines on light paper, which guides only when it is inverted."""
    return white_background(rgb(picture))


class Maps:
    """The maps made last, by picture and numbers, and the networks that made them. `made` counts."""

    def __init__(self, *, keep: int = KEPT_MAPS) -> None:
        self.keep = keep
        self.made = 0
        self.networks = Networks()
        self._maps: OrderedDict[object, Detected] = OrderedDict()
        self._lock = threading.Lock()

    def detect(
        self, row: DetectorRow, picture: NDArray[np.uint8], *, resolution: int = -1, a: float = -1, b: float = -1,
        mask: NDArray[np.uint8] | None = None, folders: Sequence[Path], device: torch.device | str = "cpu",
    ) -> Detected:  # fmt: skip
        """As `detect`; a map made before is given again. A random row's is made anew each time, as everywhere."""
        given = {"resolution": row.at(resolution), "a": row.value_a(a), "b": row.value_b(b)}
        key = (row.name, *given.values(), picture.shape, _digest(picture))
        with self._lock:
            if key in self._maps:
                self._maps.move_to_end(key)
                return self._maps[key]
        made = detect(row, picture, **given, mask=mask, folders=folders, device=device, networks=self.networks)
        made = replace(made, map=_still(made.map))
        with self._lock:
            self.made += 1
            if row.random or not row.target:
                return made
            self._maps[key] = made
            while len(self._maps) > self.keep:
                self._maps.popitem(last=False)
        return made

    def clear(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._maps.clear()
        self.networks.clear()


def _digest(picture: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest()


def _still(made: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A view that cannot be written to: it is given out again."""
    view = made.view()
    view.flags.writeable = False
    return view
