"""Geometric eyes for what a control map asks: where a figure's joints are, and where a picture's edges lie.

Nothing here is trained. `joints` finds the 18 joints of a drawn figure from its silhouette alone, by making
silhouettes: the largest disc in it is the head and tells the scale, the proportions of drawn figures tell the torso,
and the four limbs are searched for the angles whose capsules cover the silhouette best, all of it and nothing else.
Which limb is the left one follows from the side it hangs from. `edge_score` lays a picture's edges over those asked.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import least_squares

from webui.demo.drawings import ARM, HEAD, LEG, LIMB, PELVIS, SHOULDER, Point
from webui.demo.judge import DIFFERENT, lab

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]
Cells = NDArray[np.float32]
Bone = tuple[Point, Point]

NEAR = 0.06
"""A joint is right within this share of the figure's height."""
TOLERANCE = 2.0
"""An edge is right within this many pixels."""

# --- figures -------------------------------------------------------------------------------------

GRID = 64
"""Silhouettes are compared on a grid of this side."""
STEP = 12
"""Degrees between the angles tried first."""
# Of a drawn figure, in its heights, downward from the top of the head.
NOSE, NECK, HIP = HEAD, 2.2 * HEAD, 0.56
DROP = 0.02
"""How far the shoulders lie below the neck."""
SKULL = 1.2 * 0.83 * HEAD
"""The radius of the head."""
FACE = ((-0.35, -0.2), (0.35, -0.2), (-0.83, 0.0), (0.83, 0.0))
"""Eyes and ears about the nose, in `HEAD`s."""
# Degrees an upper limb may be away from straight down, toward its own side, and a lower one from its upper one.
ARMS, LEGS, BENDS = (0, 180), (-12, 96), (-108, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure's place and pose. Fractions of the picture's side; angles in degrees from straight down, positive to the
    picture's right: upper and lower left arm, right arm, left leg, right leg. The figure faces the viewer."""

    x: float
    top: float
    height: float
    lean: float
    """The hip's middle, to the right of `x`."""
    angles: tuple[float, ...]

    @property
    def nose(self) -> Point:
        return self.x, self.top + NOSE * self.height

    @property
    def neck(self) -> Point:
        return self.x, self.top + NECK * self.height

    def joints(self) -> list[Point]:
        """The 18 joints in `KEYPOINTS` order, as fractions of the picture's side."""
        left_arm, right_arm, left_leg, right_leg = (self.limb(number) for number in range(4))
        x, y = self.nose
        face = [(x + dx * HEAD * self.height, y + dy * HEAD * self.height) for dx, dy in FACE]
        return [self.nose, self.neck, *right_arm, *left_arm, *right_leg, *left_leg, *face]

    def limb(self, number: int) -> list[Point]:
        """The three joints of left arm, right arm, left leg or right leg."""
        x, y = self.root(number)
        found = [(x, y)]
        for angle in self.angles[2 * number : 2 * number + 2]:
            turn, length = math.radians(angle), self.height * (ARM if number < 2 else LEG)
            x, y = x + length * math.sin(turn), y + length * math.cos(turn)
            found.append((x, y))
        return found

    def root(self, number: int) -> Point:
        """Where a limb begins: a shoulder or a hip."""
        side = _side(number)
        if number < 2:
            return self.x + side * SHOULDER * self.height, self.top + (NECK + DROP) * self.height
        return self.x + self.lean + side * PELVIS * self.height, self.top + HIP * self.height

    def trunk(self) -> list[Bone]:
        """Neck, body and shoulders as segments."""
        return [(self.nose, self.neck), *((self.neck, self.root(number)) for number in range(4))]

    def bones(self) -> list[Bone]:
        """Everything but the head as segments."""
        return [*self.trunk(), *(bone for number in range(4) for bone in pairwise(self.limb(number)))]


def _side(number: int) -> int:
    """1 for the left limbs, which are drawn to the right, -1 for the others."""
    return 1 if number % 2 == 0 else -1


def figure(picture: Image.Image) -> Figure | None:
    """The figure drawn in a picture; None where next to nothing is drawn."""
    mask = silhouette(picture)
    if mask.sum() < 0.01 * mask.size:
        return None
    # Arms beside the head make its disc too large, so that a smaller one is tried as well.
    tried = [_refined(_searched(start, mask), mask) for start in (_standing(mask), _standing(mask, share=0.85))]
    return min(tried, key=lambda one: one[0])[1]


def joints(picture: Image.Image) -> list[Point]:
    """The 18 joints in `KEYPOINTS` order, as fractions of the picture's side; empty where nothing is drawn."""
    found = figure(picture)
    return found.joints() if found else []


def near(found: Sequence[Point], true: Sequence[Point], height: float) -> float:
    """The share, 0-1, of the 18 joints that lie within `NEAR` of the figure's height of where they should."""
    if not found:
        return 0.0
    close = [math.dist(one, two) <= NEAR * height for one, two in zip(found, true, strict=True)]
    return sum(close) / len(close)


def silhouette(picture: Image.Image, side: int = GRID) -> Floats:
    """How much of each cell of a side × side grid belongs to what is drawn, 0-1. A background may fade downward."""
    pixels = np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.BILINEAR), dtype=np.float64)
    seen = lab(pixels)
    rows = np.median(np.concatenate([seen[:, :4], seen[:, -4:]], axis=1), axis=1)
    backdrop = np.stack([_smooth(rows[:, channel]) for channel in range(3)], axis=-1)
    thing = np.linalg.norm(seen - backdrop[:, None], axis=-1) > DIFFERENT
    cells = cv2.resize(_whole(thing).astype(np.float64), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float64)


def _smooth(values: Floats) -> Floats:
    """A parabola through most of the values: what touches a picture's sides in a few rows is not its background."""
    rows = np.linspace(-1, 1, len(values))
    keep = np.ones(len(values), dtype=bool)
    fitted = values
    for _ in range(4):
        fitted = np.asarray(np.polyval(np.polyfit(rows[keep], values[keep], 2), rows), np.float64)
        away = np.abs(values - fitted)
        keep = away <= max(3.0, 2 * float(np.median(away)))
    return fitted


def _whole(thing: Bits) -> Bits:
    """The thing without specks: its largest piece and those at least a tenth of it."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(thing.astype(np.uint8), connectivity=8)
    if count <= 1:
        return thing
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.isin(pieces, 1 + np.flatnonzero(areas >= areas.max() / 10))


def _standing(mask: Floats, *, share: float = 1.0) -> Figure:
    """A figure whose head is the largest disc, or a share of it toward its top."""
    inside = cv2.distanceTransform((np.pad(mask, 1) > 0.5).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    radius = share * float(inside.max()) / GRID
    height = min(1.0, max(0.4, radius / SKULL))
    x, y = (float(column) + 0.5) / GRID, (float(row) + 0.5) / GRID - (1 / share - 1) * radius
    return Figure(x=x, top=y - NOSE * height, height=height, lean=0.0, angles=(0.0,) * 8)


def _searched(start: Figure, mask: Floats) -> Figure:
    """The lean and the limbs that explain the silhouette best: arms together, legs together."""
    found = max((_limbs(replace(start, lean=lean), mask) for lean in LEANS), key=lambda one: one[0])
    return found[1]


LEANS = (-0.045, 0.0, 0.045)


def _limbs(start: Figure, mask: Floats) -> tuple[float, Figure]:
    """How well the best limbs explain the silhouette, and the figure that has them."""
    trunk = _stamp(start.trunk(), head=start)
    tried = [_candidates(start, number) for number in range(4)]
    chosen = [0, 0, 0, 0]
    others, worth = trunk, 0.0
    for one, two in ((0, 1), (2, 3)):
        chosen[one], chosen[two], gain = _best_pair(tried[one], tried[two], mask.ravel(), others)
        others = np.maximum(others, np.maximum(tried[one].covers[chosen[one]], tried[two].covers[chosen[two]]))
        worth += gain
    angles = [angle for number in range(4) for angle in tried[number].angles[chosen[number]]]
    worth += float(((2 * mask.ravel() - 1) * trunk).sum())
    return worth, replace(start, angles=tuple(angles))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """Angles (n, 2) of one limb, the cells (n, cells) it covers at each, and how unlikely each is, in cells."""

    angles: list[tuple[float, float]]
    covers: Cells
    odd: Cells


def _candidates(start: Figure, number: int) -> _Tried:
    side = _side(number)
    low, high = ARMS if number < 2 else LEGS
    pairs = [
        (float(side * upper), float(side * (upper + bend)))
        for upper in range(low, high + 1, STEP)
        for bend in range(BENDS[0], BENDS[1] + 1, STEP)
    ]
    covers = np.zeros((len(pairs), GRID * GRID), np.float32)
    blank = [0.0] * 8
    for cover, pair in zip(covers, pairs, strict=True):
        blank[2 * number : 2 * number + 2] = pair
        cover[:] = _stamp(pairwise(replace(start, angles=tuple(blank)).limb(number)))
    turns = np.radians(np.array(pairs))
    odd = BEND * (1 - np.cos(turns[:, 0] - turns[:, 1]))
    return _Tried(angles=pairs, covers=covers, odd=odd.astype(np.float32))


BEND = 1.0
"""The cells a limb must explain more when it is bent by a right angle."""


def _stamp(bones: Iterable[Bone], head: Figure | None = None) -> Cells:
    """The cells that segments, and a head, cover."""
    canvas = np.zeros((GRID, GRID), np.float32)
    for one, two in bones:
        cv2.line(canvas, _fixed(one), _fixed(two), 1, round(LIMB * GRID), shift=4)
    if head:
        cv2.circle(canvas, _fixed(head.nose), round(SKULL * head.height * GRID * 16), 1, -1, shift=4)
    return canvas.ravel()


def _fixed(point: Point) -> tuple[int, int]:
    """A point in OpenCV's sixteenths of a pixel, pixel centres at whole numbers."""
    return round((point[0] * GRID - 0.5) * 16), round((point[1] * GRID - 0.5) * 16)


def _best_pair(one: _Tried, two: _Tried, mask: Floats, others: Cells) -> tuple[int, int, float]:
    """The two candidates that together cover most of what `others` leave and least beside it, and how much that is."""
    worth = ((2 * mask - 1) * (1 - others)).astype(np.float32)
    first, second = one.covers @ worth - one.odd, two.covers @ worth - two.odd
    some, more = np.argsort(-first)[:100], np.argsort(-second)[:100]
    both = (one.covers[some] * worth) @ two.covers[more].T
    total = first[some, None] + second[None, more] - both
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    return int(some[row]), int(more[column]), float(total.max())


def _refined(start: Figure, mask: Floats) -> tuple[float, Figure]:
    """The nearby figure whose soft silhouette differs least from the one seen, and how much it still differs."""
    goal = cv2.GaussianBlur(mask, (0, 0), 0.8)
    around = _stamp(start.bones(), head=start).reshape(mask.shape) + mask > 0.02
    rows, columns = np.nonzero(cv2.dilate(around.astype(np.uint8), np.ones((7, 7), np.uint8)))
    cells = ((np.stack([columns, rows], axis=-1) + 0.5) / GRID).astype(np.float32)
    seen = goal[rows, columns]

    def posed(values: Floats) -> Figure:
        x, top, height, lean, *turns = values.tolist()
        return Figure(
            x=start.x + x,
            top=start.top + top,
            height=start.height + height,
            lean=start.lean + lean,
            angles=tuple(angle + 100 * turn for angle, turn in zip(start.angles, turns, strict=True)),
        )

    def off(values: Floats) -> Floats:
        return np.concatenate([_soft(posed(values), cells) - seen, 3 * values[:4], 0.05 * values[4:]])

    reach = np.array([0.06, 0.06, 0.15, 0.05] + [0.4] * 8)
    found = least_squares(off, np.zeros(12), bounds=(-reach, reach), max_nfev=10, diff_step=3e-3, x_scale=reach)
    return float(found.cost) + float((goal**2).sum() - (seen**2).sum()) / 2, posed(found.x)


def _soft(posed: Figure, cells: Cells) -> Floats:
    """How much of each cell (n, 2) a figure covers, 0-1, falling off over a cell or two."""
    bones = np.array(posed.bones(), dtype=np.float32)
    start, along = bones[:, 0], bones[:, 1] - bones[:, 0]
    x, y = cells[:, :1] - start[:, 0], cells[:, 1:] - start[:, 1]
    part = np.clip((x * along[:, 0] + y * along[:, 1]) / np.maximum((along**2).sum(-1), 1e-9), 0, 1)
    gap = np.hypot(x - part * along[:, 0], y - part * along[:, 1]).min(axis=1) - LIMB / 2
    nose = posed.nose
    skull = np.hypot(cells[:, 0] - nose[0], cells[:, 1] - nose[1]) - SKULL * posed.height
    return 1 / (1 + np.exp(np.clip(np.minimum(gap, skull) * GRID * 1.6, -30, 30)))


# --- edges ---------------------------------------------------------------------------------------


def edges(picture: Image.Image) -> Bits:
    """Where colours meet in a picture, thinned to a line (height, width): Canny's edges of its steepest Lab channel."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    seen = cv2.GaussianBlur(lab(pixels).astype(np.float32), (0, 0), 0.9)
    across, down = cv2.Sobel(seen, cv2.CV_32F, 1, 0), cv2.Sobel(seen, cv2.CV_32F, 0, 1)
    steepest = (across**2 + down**2).argmax(axis=-1)[..., None]
    dx, dy = (np.take_along_axis(one, steepest, axis=-1)[..., 0] * 8 for one in (across, down))
    return cv2.Canny(dx.round().astype(np.int16), dy.round().astype(np.int16), LOW, HIGH, L2gradient=True) > 0


# A step of one unit of Lab is about 14 here.
LOW, HIGH = 120, 280


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeScore:
    """How a picture's edges agree with those asked, 0-1."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def edge_score(picture: Image.Image, true: Bits) -> EdgeScore:
    """Precision and recall of the picture's edges against the true ones (height, width), within `TOLERANCE` pixels."""
    seen = edges(picture)
    return EdgeScore(precision=_within(seen, true), recall=_within(true, seen))


def _within(some: Bits, others: Bits) -> float:
    """The share of `some` pixels that have one of `others` within reach."""
    if not some.any() or not others.any():
        return 0.0
    away = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, 5)
    return float((away[some] <= TOLERANCE).mean())
