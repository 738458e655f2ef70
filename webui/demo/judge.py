"""A strict eye: is this picture the shape, the colour and the background that were asked for?

The background is the border's median colour. Everything that differs from it is the thing drawn, smudges included; its
colour is its median. Its outline is laid, moved to the same centre and scaled to the same area, over the outline of
every shape in every rotation that drawings have. The shape is right when the asked outline covers it with an IoU of at
least 0.7 and every other outline covers it less. Colours are told apart in CIE Lab.
"""

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.demo.drawings import (
    COLOURS,
    ROTATIONS,
    SHAPE_NAMES,
    Spec,
    draw,
    held_back_triples,
    plain_caption,
    shape_mask,
)

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]

IOU = 0.7
"""The least overlap with the asked outline."""
DIFFERENT = 20.0
"""The distance in Lab from the background above which a pixel belongs to the thing drawn."""
FRAME = 96
"""The side of the frame in which outlines are compared; the thing's area is made `FILL` of it."""
FILL = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing to ask of a model."""

    colour: str
    shape: str
    background: str

    @property
    def prompt(self) -> str:
        return plain_caption(self.colour, self.shape, self.background)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is right in a picture; `overlap` is the IoU with the asked outline."""

    background: bool
    colour: bool
    shape: bool
    overlap: float

    @property
    def all(self) -> bool:
        return self.background and self.colour and self.shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Shares, 0-1, of pictures right in each respect."""

    count: int
    background: float
    colour: float
    shape: float
    all: float


def held_back(count: int, *, seed: int = 7) -> list[Asked]:
    """`count` things no training picture shows: every held-back triple once before any is asked again."""
    triples = held_back_triples()
    random.Random(seed).shuffle(triples)
    chosen = [triples[number % len(triples)] for number in range(count)]
    return [Asked(colour=colour, shape=shape, background=background) for colour, shape, background in chosen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is in a picture: its background (r, g, b), where something is drawn (height, width), and in what colour."""

    backdrop: Floats
    mask: Bits
    colour: Floats | None
    """None: next to nothing is drawn."""


def thing_in(pixels: Floats) -> Seen:
    """The thing drawn in a picture (height, width, 3) of 0-255."""
    backdrop = _border_colour(pixels)
    thing = np.linalg.norm(lab(pixels) - lab(backdrop), axis=-1) > DIFFERENT
    if thing.sum() < 0.003 * thing.size:
        return Seen(backdrop=backdrop, mask=thing, colour=None)
    return Seen(backdrop=backdrop, mask=thing, colour=np.median(pixels[_core(thing)], axis=0))


def judge(picture: Image.Image, asked: Asked) -> Verdict:
    """Look at one square RGB picture."""
    seen = thing_in(np.asarray(picture.convert("RGB"), dtype=np.float64))
    background = nearest_colour(seen.backdrop) == asked.background
    if seen.colour is None:
        return Verdict(background=background, colour=False, shape=False, overlap=0.0)
    colour = nearest_colour(seen.colour) == asked.colour
    overlaps = _overlaps(seen.mask)
    own = overlaps.pop(asked.shape)
    shape = own >= IOU and own > max(overlaps.values())
    return Verdict(background=background, colour=colour, shape=shape, overlap=own)


def score(verdicts: Sequence[Verdict]) -> Score:
    """Shares over at least one verdict."""
    rows = np.array([(v.background, v.colour, v.shape, v.all) for v in verdicts], dtype=np.float64)
    background, colour, shape, every = rows.mean(axis=0).tolist()
    return Score(count=len(verdicts), background=background, colour=colour, shape=shape, all=every)


def chance(pictures: Sequence[Image.Image], asked: Sequence[Asked]) -> Score:
    """The score of the same pictures against each other's prompts: what a model that cannot read would get."""
    order = list(range(len(asked)))
    random.Random(3).shuffle(order)
    turned = dict(zip(order, order[1:] + order[:1], strict=True))
    return score([judge(picture, asked[turned[number]]) for number, picture in enumerate(pictures)])


def table(pictures: Sequence[Image.Image], asked: Sequence[Asked]) -> str:
    """Model, chance and, as a check of this eye, true drawings of the same things, one row each."""
    truth = [_truth(thing, seed=number, size=pictures[0].width) for number, thing in enumerate(asked)]
    rows = {
        "model": score([judge(picture, thing) for picture, thing in zip(pictures, asked, strict=True)]),
        "shuffled prompts": chance(pictures, asked),
        "true drawings": score([judge(picture, thing) for picture, thing in zip(truth, asked, strict=True)]),
    }
    lines = ["| | pictures | background | colour | shape | all |", "| --- | --- | --- | --- | --- | --- |"]
    for name, row in rows.items():
        shares = " | ".join(f"{share:.1%}" for share in (row.background, row.colour, row.shape, row.all))
        lines.append(f"| {name} | {row.count} | {shares} |")
    return "\n".join(lines)


def _truth(thing: Asked, *, seed: int, size: int) -> Image.Image:
    spec = Spec(kind="single", seed=seed, background=thing.background, colour=thing.colour, shape=thing.shape)
    return draw(spec, size)


def nearest_colour(rgb: Floats) -> str:
    """The palette's name nearest in Lab to an (r, g, b) of 0-255."""
    names, palette = _palette()
    return names[int(np.linalg.norm(palette - lab(rgb), axis=-1).argmin())]


@functools.cache
def _palette() -> tuple[list[str], Floats]:
    return list(COLOURS), lab(np.array(list(COLOURS.values()), dtype=np.float64))


def _border_colour(pixels: Floats) -> Floats:
    wide = max(2, len(pixels) // 32)
    inner = pixels.copy()
    inner[wide:-wide, wide:-wide] = np.nan
    return np.nanmedian(inner.reshape(-1, 3), axis=0)


def lab(rgb: Floats) -> Floats:
    """sRGB (…, 3) of 0-255 to CIE Lab (…, 3), D65; IEC 61966-2-1 and CIE 15."""
    value = rgb / 255
    linear = np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92)
    to_xyz = np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    xyz = linear @ to_xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _core(thing: Bits) -> Bits:
    """The pixels whose four neighbours belong to the thing too; all of it where nothing is so thick."""
    padded = np.pad(thing, 1)
    core = thing & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return core if core.any() else thing


def _overlaps(thing: Bits) -> dict[str, float]:
    """The best IoU of the thing with each shape's outline over its rotations."""
    names, templates = _templates()
    flat = _framed(thing).ravel().astype(np.float32)
    both = templates @ flat
    ious = both / (templates.sum(axis=1) + flat.sum() - both)
    return {
        shape: float(max(iou for name, iou in zip(names, ious, strict=True) if name == shape)) for shape in SHAPE_NAMES
    }


@functools.cache
def _templates() -> tuple[list[str], NDArray[np.float32]]:
    names, masks = [], []
    for shape in SHAPE_NAMES:
        swing = ROTATIONS[shape]
        for degrees in np.linspace(-swing, swing, 1 + round(swing / 2)):
            mask = shape_mask(shape, 4 * FRAME, centre=(2 * FRAME, 2 * FRAME), radius=FRAME, degrees=float(degrees))
            masks.append(_framed(np.asarray(mask) > 127).ravel())
            names.append(shape)
    return names, np.array(masks, dtype=np.float32)


def _framed(thing: Bits) -> Bits:
    """The thing moved to the middle of the frame and scaled to its share of it."""
    ys, xs = np.nonzero(thing)
    step = math.sqrt(len(xs) / (FILL * FRAME * FRAME))
    left, top = xs.mean() + 0.5 - step * FRAME / 2, ys.mean() + 0.5 - step * FRAME / 2
    mask = Image.fromarray(thing.astype(np.uint8) * 255)
    moved = mask.transform(
        (FRAME, FRAME), Image.Transform.AFFINE, (step, 0, left, 0, step, top), Image.Resampling.BILINEAR
    )
    return np.asarray(moved) > 127
