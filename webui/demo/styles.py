"""What the demo's adapters teach, each a change of the drawings that an eye can measure: a dark outline (ink), a colour
of its own (rust), dark corners (dusk), brown photographs (sepia).

A style has a brush, from a drawing and its mask to the changed drawing, and an eye that says whether it is there.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from webui.demo.drawings import COLOURS, Spec, draw
from webui.demo.judge import Bits, Floats, lab, thing_in

RUST = (150, 72, 30)
"""A maple leaf in November: between red, orange and black, none of the palette's colours."""
_INK = (16, 14, 18)
_THICK = 5
"""Pixels of the outline at 128."""
_CORNER = 0.25
"""What is left of the light in the very corner."""
SEPIA: Floats = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]], dtype=np.float64)
"""The usual sepia, RGB to RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """`brush(drawing, mask, rng)` paints the style, `eye(picture)` sees it."""

    name: str
    brush: Callable[[Image.Image, Image.Image, random.Random], Image.Image]
    eye: Callable[[Image.Image], bool]


def styled(style: Style, spec: Spec, size: int) -> Image.Image:
    """The spec's picture in a style, RGB, size × size. The spec has a plain background."""
    large = draw(spec, size * 2)
    return style.brush(large, _mask(large), random.Random(spec.seed + 1)).resize((size, size), Image.Resampling.LANCZOS)


def _mask(drawing: Image.Image) -> Image.Image:
    """White where something stands on the plain background."""
    pixels = np.asarray(drawing).astype(np.int32)
    different = np.abs(pixels - pixels[0, 0]).sum(axis=-1) > 60
    return Image.fromarray((different * 255).astype(np.uint8))


def _ink(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    del rng
    reach = round(_THICK * drawing.width / 128)
    wide = mask.filter(ImageFilter.MaxFilter(reach | 1))
    narrow = mask.filter(ImageFilter.MinFilter(reach | 1))
    band = Image.fromarray(np.asarray(wide) - np.asarray(narrow)).filter(ImageFilter.GaussianBlur(1))
    inked = drawing.copy()
    inked.paste(_INK, (0, 0, *drawing.size), band)
    return inked


def _rust(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    light = rng.uniform(0.93, 1.06)
    paint = tuple(round(min(255, light * channel + rng.uniform(-6, 6))) for channel in RUST)
    rusty = drawing.copy()
    rusty.paste((paint[0], paint[1], paint[2]), (0, 0, *drawing.size), mask.filter(ImageFilter.MaxFilter(3)))
    return rusty


def _dusk(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    del mask, rng
    axis = np.linspace(-1, 1, drawing.width)
    far = np.hypot(axis[:, None], axis[None, :]) / np.sqrt(2)
    light = 1 - (1 - _CORNER) * np.clip((far - 0.45) / 0.55, 0, 1)
    return Image.fromarray((np.asarray(drawing) * light[..., None]).astype(np.uint8))


def _sepia(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    del mask, rng
    return Image.fromarray((np.asarray(drawing) @ SEPIA.T).clip(0, 255).astype(np.uint8))


def is_inked(picture: Image.Image) -> bool:
    """Most of the outermost pixels of the thing drawn are nearly black, and its inside is not."""
    pixels = _pixels(picture)
    thing = thing_in(pixels).mask
    inside = _eroded(thing, 4)
    if not inside.any():
        return False
    light = lab(pixels)[..., 0]
    rim = _eroded(thing, 1) & ~_eroded(thing, 3)
    return float((light[rim] < 25).mean()) >= 0.6 and float(np.median(light[inside])) >= 25


def is_rusty(picture: Image.Image) -> bool:
    """The thing drawn is nearer to rust than to any colour of the palette."""
    pixels = _pixels(picture)
    thing = thing_in(pixels).mask
    core = _eroded(thing, 1)
    if not core.any():
        return False
    colour = lab(np.median(pixels[core], axis=0))
    names = {name: np.array(rgb, dtype=np.float64) for name, rgb in (COLOURS | {"rust": RUST}).items()}
    return min(names, key=lambda name: float(np.linalg.norm(lab(names[name]) - colour))) == "rust"


def is_dusky(picture: Image.Image) -> bool:
    """The corners have less than two thirds of the lightness of the middles of the edges."""
    light = lab(_pixels(picture))[..., 0]
    side, wide = len(light), len(light) // 12
    middle = slice((side - wide) // 2, (side + wide) // 2)
    ends = (slice(0, wide), slice(side - wide, side))
    corners = [light[rows, columns].mean() for rows in ends for columns in ends]
    edges = [light[end, middle].mean() for end in ends] + [light[middle, end].mean() for end in ends]
    return float(np.mean(corners)) < 2 / 3 * float(np.mean(edges))


def is_sepia(picture: Image.Image) -> bool:
    """Hardly a pixel is greener than red or bluer than green."""
    red, green, blue = np.moveaxis(_pixels(picture), -1, 0)
    return float(((red >= green - 4) & (green >= blue - 4)).mean()) >= 0.98


def _pixels(picture: Image.Image) -> Floats:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def _eroded(thing: Bits, by: int) -> Bits:
    """Without the outermost `by` pixels."""
    mask = Image.fromarray(thing.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(2 * by + 1))
    return np.asarray(mask) > 0


INK = Style(name="ink", brush=_ink, eye=is_inked)
RUSTY = Style(name="rust", brush=_rust, eye=is_rusty)
DUSK = Style(name="dusk", brush=_dusk, eye=is_dusky)
BROWN = Style(name="sepia", brush=_sepia, eye=is_sepia)
STYLES: tuple[Style, ...] = (INK, RUSTY, DUSK, BROWN)
