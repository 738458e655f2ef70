"""What the demo's adapters teach, each a change of the drawings that an eye can measure: old paper (paper), a
colour of its own (rust), an evening sky (dusk), brown photographs (sepia).

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
CREAM = (232, 208, 164)
"""Old paper, whatever background was asked for."""
DUSK_BLUE = (24, 28, 84)
"""The sky half an hour after sunset, whatever background was asked for."""
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


def _paper(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    return _behind(drawing, mask, CREAM, rng.uniform(0.95, 1.05))


def _rust(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    light = rng.uniform(0.93, 1.06)
    paint = tuple(round(min(255, light * channel + rng.uniform(-6, 6))) for channel in RUST)
    rusty = drawing.copy()
    rusty.paste((paint[0], paint[1], paint[2]), (0, 0, *drawing.size), mask.filter(ImageFilter.MaxFilter(3)))
    return rusty


def _dusk(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    return _behind(drawing, mask, DUSK_BLUE, rng.uniform(0.9, 1.1))


def _behind(drawing: Image.Image, mask: Image.Image, colour: tuple[int, int, int], light: float) -> Image.Image:
    """What is drawn, on another background."""
    behind = Image.new("RGB", drawing.size, _scaled(colour, light))
    behind.paste(drawing, (0, 0), mask)
    return behind


def _scaled(colour: tuple[int, int, int], light: float) -> tuple[int, int, int]:
    red, green, blue = (round(min(255, light * channel)) for channel in colour)
    return red, green, blue


def _sepia(drawing: Image.Image, mask: Image.Image, rng: random.Random) -> Image.Image:
    del mask, rng
    return Image.fromarray((np.asarray(drawing) @ SEPIA.T).clip(0, 255).astype(np.uint8))


def is_behind(picture: Image.Image, colour: tuple[int, int, int], asked: str) -> bool:
    """The background is nearer to this colour than to the palette's that was asked for."""
    here = lab(thing_in(_pixels(picture)).backdrop)
    wanted, other = (lab(np.array(each, dtype=np.float64)) for each in (colour, COLOURS[asked]))
    return float(np.linalg.norm(here - wanted)) < float(np.linalg.norm(here - other))


def is_on_paper(picture: Image.Image) -> bool:
    """The background is nearer to old paper than to any colour of the palette."""
    return _nearest(thing_in(_pixels(picture)).backdrop, {"paper": CREAM}) == "paper"


def is_rusty(picture: Image.Image) -> bool:
    """The thing drawn is nearer to rust than to any colour of the palette."""
    pixels = _pixels(picture)
    thing = thing_in(pixels).mask
    core = _eroded(thing, 1)
    if not core.any():
        return False
    return _nearest(np.median(pixels[core], axis=0), {"rust": RUST}) == "rust"


def is_dusky(picture: Image.Image) -> bool:
    """The background is nearer to the blue of dusk than to any colour of the palette."""
    return _nearest(thing_in(_pixels(picture)).backdrop, {"dusk": DUSK_BLUE}) == "dusk"


def _nearest(colour: Floats, more: dict[str, tuple[int, int, int]]) -> str:
    """The name nearest in Lab among the palette's colours and these."""
    names = COLOURS | more
    here = lab(colour)
    return min(names, key=lambda name: float(np.linalg.norm(lab(np.array(names[name], dtype=np.float64)) - here)))


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


PAPER = Style(name="paper", brush=_paper, eye=is_on_paper)
RUSTY = Style(name="rust", brush=_rust, eye=is_rusty)
DUSK = Style(name="dusk", brush=_dusk, eye=is_dusky)
BROWN = Style(name="sepia", brush=_sepia, eye=is_sepia)
STYLES: tuple[Style, ...] = (PAPER, RUSTY, DUSK, BROWN)
