"""Control maps as pictures: brought to the size of what is drawn. Maps are uint8 (height, width, channels)."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from webui.domain import ControlResize

Map = NDArray[np.uint8]

FEW_COLOURS = 200
"""A map of fewer colours is one of labels (segments, poses): blending two of them would make a third."""
ROWS_AT_ONCE = 256
DARK, BRIGHT = 16, 240
GOLAY_L = (((-1, -1, -1), (0, 1, 0), (1, 1, 1)), ((0, -1, -1), (1, 1, -1), (0, 1, 0)))
"""Two neighbourhoods (1 line, -1 ground, 0 either) whose middle can go; with their turns they thin a line to one
pixel (Golay 1969; Serra 1982, "Image Analysis and Mathematical Morphology", chapter XI).
"""
ENDS = (((-1, -1, -1), (-1, 1, -1), (0, 0, -1)), ((-1, -1, -1), (-1, 1, -1), (-1, 0, 0)))
"""Ends of spurs."""
MOST_THINNINGS = 32
FLAT = 8
"""A map whose values differ by less says nothing."""


def pixel_perfect(size: tuple[int, int], target: tuple[int, int], mode: ControlResize) -> int:
    """The shorter side in pixels at which a picture (width, height) needs no further scaling to fill the target."""
    scales = target[0] / size[0], target[1] / size[1]
    scale = min(scales) if mode is ControlResize.FILL else max(scales)
    return round(scale * min(size))


def fitted(values: Map, mode: ControlResize, width: int, height: int) -> Map:
    """A map at exactly that size: stretched, cut, or filled up with the median of its border.

    A fourth channel is a mask: 0 or 255, and 255 where a fill adds to it.
    """
    if mode is ControlResize.STRETCH:
        return scaled(values, width, height)
    own_height, own_width = values.shape[:2]
    scales = width / own_width, height / own_height
    if mode is ControlResize.FILL:
        scale = min(scales)
        ground: Map = np.median(_border(values), axis=0).astype(np.uint8)
        ground[3:] = 255
        whole = np.tile(ground, (height, width, 1))
        inner = scaled(values, round(own_width * scale), round(own_height * scale))[:height, :width]
        top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
        whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return whole
    scale = max(scales)
    # Rounding must not leave it a pixel short.
    large = scaled(values, max(width, round(own_width * scale)), max(height, round(own_height * scale)))
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return np.ascontiguousarray(large[top : top + height, left : left + width])


def _border(values: Map) -> Map:
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def scaled(values: Map, width: int, height: int) -> Map:
    """A map scaled as its kind asks for: labels by the nearest pixel, black and white stays so, lines of one pixel
    stay one pixel wide, all else by area or cubic.
    """
    width, height = max(width, 1), max(height, 1)
    if values.shape[:2] == (height, width):
        return values
    colours, mask = values[..., :3], values[..., 3:]
    smaller = width * height < values.shape[0] * values.shape[1]
    count = colour_count(colours)
    drawn = count == 2 and int(colours.min()) < DARK and int(colours.max()) > BRIGHT
    way = cv2.INTER_NEAREST if 2 < count < FEW_COLOURS else cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    made = _resize(colours, width, height, way)
    if drawn:
        made = _redrawn(made, fine=_is_fine(colours), larger=not smaller)
    if mask.shape[2]:
        over = np.where(_resize(mask, width, height, way) > 127, np.uint8(255), np.uint8(0))
        made = np.concatenate([made, over], axis=2)
    return np.ascontiguousarray(made)


def _resize(values: Map, width: int, height: int, way: int) -> Map:
    made: Any = cv2.resize(values, (width, height), interpolation=way)
    return made if made.ndim == 3 else made[..., None]


def colour_count(values: Map, *, most: int = FEW_COLOURS) -> int:
    """How many colours a picture (h, w, 3) has, at most `most`; a photo is known by its first rows."""
    seen = np.zeros(1 << 24, dtype=bool)
    count = 0
    for start in range(0, len(values), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE].astype(np.uint32)
        seen[(part[..., 0] << 16 | part[..., 1] << 8 | part[..., 2]).ravel()] = True
        count = int(np.count_nonzero(seen))
        if count >= most:
            return most
    return count


def _is_fine(values: Map) -> bool:
    """True when most of what is drawn is lines of one pixel: an opening takes them away."""
    kernel = np.ones((3, 3), np.uint8)
    opened: Any = cv2.dilate(cv2.erode(values, kernel), kernel)
    return int(np.count_nonzero(opened < values)) * 2 > int(np.count_nonzero(values > 127))


def _redrawn(values: Map, *, fine: bool, larger: bool) -> Map:
    """Black and white again after scaling, by Otsu's threshold; fine lines thinned to one pixel."""
    grey = values.astype(np.float32).mean(axis=2).clip(0, 255).astype(np.uint8)
    if fine:
        grey = _ridges(grey)
    black_white: Any = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    made: Any = thinned(black_white, prune=larger) if fine else black_white
    return np.repeat(made[..., None], 3, axis=2)


def _ridges(grey: Map) -> Map:
    """What is the highest of three pixels in a row, in one of four directions; 0 elsewhere."""
    kept = np.zeros_like(grey)
    line = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.uint8)
    slope = np.eye(3, dtype=np.uint8)
    for kernel in (line, line.T, slope, np.fliplr(slope)):
        highest: Any = cv2.dilate(grey, np.ascontiguousarray(kernel))
        kept = np.where(highest == grey, grey, kept)
    return kept


def thinned(lines: Map, *, prune: bool) -> Map:
    """White lines (h, w) of 0 and 255 thinned until nothing goes, without spurs when `prune`."""
    lines = lines.copy()
    for _ in range(MOST_THINNINGS):
        if not _without(lines, GOLAY_L):
            break
    if prune:
        _without(lines, ENDS)
    return lines


def _without(lines: Map, neighbourhoods: tuple[tuple[tuple[int, ...], ...], ...]) -> bool:
    """Take out, in place, the middle of each neighbourhood in each of its four turns; whether anything went."""
    changed = False
    for rows in neighbourhoods:
        for turn in range(4):
            kernel = np.ascontiguousarray(np.rot90(np.array(rows, np.int32), turn))
            hit: Any = cv2.morphologyEx(lines, cv2.MORPH_HITMISS, kernel) > 127
            if hit.any():
                lines[hit] = 0
                changed = True
    return changed


def blank(values: Map) -> bool:
    """True when there is nothing to see on it."""
    colours = values[..., :3]
    return all(int(np.ptp(colours[..., n])) < FLAT for n in range(colours.shape[2]))
