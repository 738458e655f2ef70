"""Preprocessors that need no network: thresholds, blurs, colours. numpy and OpenCV only.

Every function takes a picture (height, width, 3), uint8 RGB, and a `Making`, and gives the map, (h, w, 3) or (h, w).
The arithmetic is sd-webui-controlnet 1.1.455's.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from webui.engine.control.making import Making, Map

GRID = 64
"""Sides a network sees are whole multiples of this many pixels, and one cell of the colour grid is as large."""
SHUFFLE_FLOW = 256
"""Pixels between the points of the shuffling flow."""


def resized(picture: Map, resolution: int) -> Map:
    """The picture with its shorter side at `resolution` pixels: area when it shrinks, cubic when it grows."""
    height, width = picture.shape[:2]
    scale = resolution / min(height, width)
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    size = (int(np.round(width * scale)), int(np.round(height * scale)))
    return _u8(cv2.resize(picture, size, interpolation=how))


def padded(picture: Map, resolution: int) -> tuple[Map, Callable[[Map], Map]]:
    """The resized picture, its right and lower edges drawn out to multiples of 64, and what cuts that off again."""
    small = resized(picture, resolution)
    height, width = small.shape[:2]
    wide = np.pad(small, ((0, -height % GRID), (0, -width % GRID), (0, 0)), mode="edge")
    return np.ascontiguousarray(wide), lambda made: np.ascontiguousarray(made[:height, :width])


def canny(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut(_u8(cv2.Canny(wide, int(making.a), int(making.b))))


def invert(picture: Map, making: Making) -> Map:
    return 255 - picture


def lineart_standard(picture: Map, making: Making) -> Map:
    """Dark strokes on a lighter ground: how much darker than its surroundings (6 px) a pixel is."""
    wide, cut = padded(picture, making.resolution)
    sharp = wide.astype(np.float32)
    darker = np.min(cv2.GaussianBlur(sharp, (0, 0), 6.0) - sharp, axis=2).clip(0, 255)
    strokes = darker[darker > 8]
    darker = darker / max(16.0, float(np.median(strokes)) if strokes.size else 0.0) * 127
    return cut(darker.clip(0, 255).astype(np.uint8))


def scribble_xdog(picture: Map, making: Making) -> Map:
    """Extended difference of Gaussians (Winnemoeller 2012) of 0.5 and 5 px."""
    wide, cut = padded(picture, making.resolution)
    sharp = wide.astype(np.float32)
    near, far = cv2.GaussianBlur(sharp, (0, 0), 0.5), cv2.GaussianBlur(sharp, (0, 0), 5.0)
    ground = (255 - np.min(far - near, axis=2)).clip(0, 255).astype(np.uint8)
    # Doubled in 8 bits, which wraps: the strongest edges come out hollow there too.
    return cut(_mask((255 - ground) * np.uint8(2) > making.a))


def threshold(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut(_mask(np.min(wide, axis=2) > making.a))


def blur_gaussian(picture: Map, making: Making) -> Map:
    return _u8(cv2.GaussianBlur(resized(picture, making.resolution), (0, 0), float(making.a)))


def tile_resample(picture: Map, making: Making) -> Map:
    if making.a < 1.1:
        return picture
    height, width = (max(1, int(side / making.a)) for side in picture.shape[:2])
    return _u8(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def recolor_luminance(picture: Map, making: Making) -> Map:
    """L of Lab, by gamma. The channels are taken in OpenCV's order, as there: it reads red as blue."""
    return _gamma(_u8(cv2.cvtColor(picture, cv2.COLOR_BGR2LAB))[:, :, 0], making.a)


def recolor_intensity(picture: Map, making: Making) -> Map:
    """V of HSV, by gamma."""
    return _gamma(_u8(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV))[:, :, 2], making.a)


def color_grid(picture: Map, making: Making) -> Map:
    """One colour for every 64 x 64 pixels."""
    height, width = picture.shape[:2]
    scale = making.resolution / min(height, width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    cells = cv2.resize(small, (max(1, size[0] // GRID), max(1, size[1] // GRID)), interpolation=cv2.INTER_CUBIC)
    return _u8(cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST))


def shuffle(picture: Map, making: Making) -> Map:
    """The picture's colours carried along a smooth random flow, another each time."""
    small = resized(picture, making.resolution)
    height, width = small.shape[:2]
    random = np.random.default_rng(making.seed)
    across = _noise(height, width, random) * (width - 1)
    down = _noise(height, width, random) * (height - 1)
    return _u8(cv2.remap(small, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR))


def inpaint(picture: Map, making: Making) -> Map:
    """The picture itself: what is masked is left out where the network's hint is made of it."""
    return picture


def mask_shown(picture: Map, mask: Map) -> NDArray[np.uint8]:
    """(height, width, 4) RGBA as sd-webui-controlnet shows an inpaint map: half seen through where the mask is."""
    return np.dstack((picture, 255 - mask // 2)).astype(np.uint8)


def white_background(picture: Map) -> bool:
    """True for dark strokes on paper: most of the picture is nearly as light as its lightest parts, and what is
    darker is little. Such a drawing guides only when it is inverted.
    """
    grey = np.min(picture, axis=2)
    paper = float(np.percentile(grey, 90))
    if paper < 176:
        return False
    light = float(np.mean(grey > paper - 32))
    dark = float(np.mean(grey < paper - 64))
    return light > 0.7 and 0.0005 < dark < 0.3


def _noise(height: int, width: int, random: np.random.Generator) -> NDArray[np.floating]:
    """(height, width), 0 to 1, smooth over 256 px."""
    grain = SHUFFLE_FLOW
    noise = random.uniform(size=(height // grain + 2, width // grain + 2))
    noise = cv2.resize(noise, (width + 2 * grain, height + 2 * grain), interpolation=cv2.INTER_CUBIC)
    noise = noise[grain : grain + height, grain : grain + width]
    noise = noise - np.min(noise)
    return noise / max(float(np.max(noise)), 1e-9)


def _gamma(channel: Map, gamma: float) -> Map:
    return ((channel.astype(np.float32) / 255.0) ** gamma * 255.0).clip(0, 255).astype(np.uint8)


def _mask(where: NDArray[np.bool_]) -> Map:
    return where.astype(np.uint8) * np.uint8(255)


def _u8(value: object) -> Map:
    return np.asarray(value, np.uint8)
