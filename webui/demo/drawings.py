"""Captioned pictures drawn from a spec: what to draw is a small frozen noun, and everything else follows from it.

`draw` makes the picture, `caption` one of many sentences for it, `labels` its facts, `keypoints` a figure's skeleton,
`edges` its true lines, `paper` those lines as a person would draw them. The same spec gives the same picture on every
machine; position, size, rotation and tint come from the spec's own seed. A fifth of all colour × shape × background
triples is held back (`is_held_back`) and never drawn for training, and so is a fifth of all free poses
(`held_back_pose`): following a held-back prompt or skeleton means having learnt its parts.
"""

import functools
import hashlib
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (248, 216, 50),
    "green": (45, 155, 70),
    "cyan": (70, 205, 215),
    "blue": (45, 80, 215),
    "purple": (130, 55, 175),
    "pink": (247, 150, 195),
    "white": (250, 250, 250),
    "black": (22, 22, 22),
}
COLOUR_NAMES = tuple(COLOURS)
# Stars and hearts have the finest outlines and are drawn more often.
SHAPES: dict[str, float] = {"circle": 1.0, "square": 1.0, "triangle": 1.1, "star": 1.4, "heart": 1.4, "ring": 1.1}
SHAPE_NAMES = tuple(SHAPES)
KINDS: dict[str, float] = {"single": 66, "two": 7, "pair": 6, "figure": 13, "scene": 4, "cat": 4, "blob": 5}
KIND_NAMES = tuple(KINDS)
PLACES: dict[str, float] = {"center": 76, "left": 6, "right": 6, "top": 6, "bottom": 6}
PLACE_NAMES = tuple(PLACES)
SIZES: dict[str, float] = {"normal": 72, "small": 12, "big": 16}
SIZE_NAMES = tuple(SIZES)
FREE = "dancing"
"""The pose whose limbs lie as the seed has it; all other poses are stances with a name."""
POSES = ("standing", "waving", "arms up", "t pose", "running", FREE)

# Radius as a fraction of the picture's side, by size word; no word means normal.
RADII = {"normal": (0.21, 0.29), "small": (0.12, 0.16), "big": (0.33, 0.39)}
# Degrees either way. A star repeats after 72 degrees, so this is all of its angles; circle and ring have none.
ROTATIONS = {"circle": 0.0, "ring": 0.0, "square": 20.0, "triangle": 20.0, "heart": 20.0, "star": 36.0}
RING_HOLE = 0.6

KEYPOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""The 18 body keypoints of OpenPose's COCO layout, in its order."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One picture to draw. Fields a kind does not use are None."""

    kind: str
    seed: int
    background: str
    colour: str
    shape: str | None = None
    second_colour: str | None = None
    second_shape: str | None = None
    place: str = "center"
    size: str = "normal"
    pose: str | None = None
    gradient: bool = False
    tree: bool = False
    night: bool = False

    def triples(self) -> list[tuple[str, str, str]]:
        """Every (colour, shape, background) the picture shows."""
        shown = [(self.colour, self.shape, self.background)]
        if self.second_shape and self.second_colour:
            shown.append((self.second_colour, self.second_shape, self.background))
        return [(colour, shape, background) for colour, shape, background in shown if shape]


def is_held_back(colour: str, shape: str, background: str) -> bool:
    """Whether this triple belongs to the fifth that training never sees."""
    digest = hashlib.sha256(f"{colour} {shape} {background}".encode()).digest()
    return int.from_bytes(digest[:4]) % 5 == 0


def held_back_triples() -> list[tuple[str, str, str]]:
    """All held-back (colour, shape, background), colour and background different, in a fixed order."""
    return [
        (colour, shape, background)
        for shape in SHAPE_NAMES
        for colour in COLOUR_NAMES
        for background in COLOUR_NAMES
        if colour != background and is_held_back(colour, shape, background)
    ]


def random_spec(rng: random.Random, kinds: Mapping[str, float] = KINDS) -> Spec:
    """A spec for training: never one that shows a held-back triple or pose. `kinds` gives each kind's share."""
    while True:
        spec = any_spec(rng, kinds)
        if not any(is_held_back(*triple) for triple in spec.triples()) and not held_back_pose(spec):
            return spec


def held_back_pose(spec: Spec) -> bool:
    """Whether the figure's pose belongs to the fifth of free poses that training never sees; the hash is of all eight
    limbs' angles to the nearest 20 degrees, so that a pose hardly different from it is held back as well."""
    if spec.kind != "figure" or spec.pose != FREE:
        return False
    angles = [round(angle / 20) for limb in _free_stance(spec.seed).limbs for angle in limb]
    return int.from_bytes(hashlib.sha256(f"{angles}".encode()).digest()[:4]) % 5 == 0


def any_spec(rng: random.Random, kinds: Mapping[str, float] = KINDS) -> Spec:
    """A spec of any picture, held back or not."""
    kind = _weighted(rng, kinds)
    seed = rng.getrandbits(31)
    background = rng.choice(COLOUR_NAMES)
    if kind == "scene":
        night = rng.random() < 0.3
        sky = "black" if night else "cyan"
        tree = rng.random() < 0.5
        return Spec(kind=kind, seed=seed, background=sky, colour=rng.choice(COLOUR_NAMES), tree=tree, night=night)
    gradient = rng.random() < 0.1
    colour = _other(rng, background)
    if kind == "single":
        return Spec(
            kind=kind,
            seed=seed,
            background=background,
            colour=colour,
            gradient=gradient,
            shape=_weighted(rng, SHAPES),
            place=_weighted(rng, PLACES),
            size=_weighted(rng, SIZES),
        )
    if kind == "two":
        shape = _weighted(rng, SHAPES)
        return Spec(kind=kind, seed=seed, background=background, colour=colour, gradient=gradient, shape=shape)
    if kind == "pair":
        shape = _weighted(rng, SHAPES)
        return Spec(
            kind=kind,
            seed=seed,
            background=background,
            colour=colour,
            gradient=gradient,
            shape=shape,
            second_colour=_other(rng, background),
            second_shape=rng.choice([name for name in SHAPE_NAMES if name != shape]),
        )
    if kind == "figure":
        # Half of the figures are ink on paper: black on white, as poses are usually drawn.
        if rng.random() < 0.5:
            background, colour = "white", "black"
        pose = FREE if rng.random() < 0.65 else rng.choice(POSES[:-1])
        return Spec(kind=kind, seed=seed, background=background, colour=colour, gradient=gradient, pose=pose)
    if kind == "blob":
        inner = rng.choice((None, None, None, background, _other(rng, background)))
        inner = None if inner == colour else inner
        return Spec(kind=kind, seed=seed, background=background, colour=colour, gradient=gradient, second_colour=inner)
    return Spec(kind=kind, seed=seed, background=background, colour=colour, gradient=gradient)


def _weighted(rng: random.Random, table: Mapping[str, float]) -> str:
    return rng.choices(list(table), list(table.values()))[0]


def _other(rng: random.Random, background: str) -> str:
    return rng.choice([name for name in COLOUR_NAMES if name != background])


# Pictures


def outline(shape: str) -> list[Point]:
    """The shape's outer outline about the origin, y downward, reaching about 1 from it."""
    if shape in ("circle", "ring"):
        return [(math.cos(t), math.sin(t)) for t in _turns(96)]
    if shape == "square":
        return [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)]
    if shape == "triangle":
        return [(0.0, -1.1), (1.03, 0.68), (-1.03, 0.68)]
    if shape == "star":
        reach = [1.12 if corner % 2 == 0 else 0.47 for corner in range(10)]
        return [(r * math.sin(math.pi * i / 5), -r * math.cos(math.pi * i / 5)) for i, r in enumerate(reach)]
    if shape == "heart":
        return [_heart(t) for t in _turns(72)]
    raise ValueError(f"no outline for {shape!r}; shapes are {', '.join(SHAPE_NAMES)}")


def _turns(count: int) -> list[float]:
    return [2 * math.pi * i / count for i in range(count)]


def _heart(t: float) -> Point:
    x = 16 * math.sin(t) ** 3
    y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    return x / 16.0, -(y + 2.5) / 15.0


def shape_mask(shape: str, side: int, *, centre: Point, radius: float, degrees: float = 0.0) -> Image.Image:
    """A side × side mask (mode L), 255 inside the shape. `centre` and `radius` in pixels."""
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    turn = math.radians(degrees)
    cos, sin = radius * math.cos(turn), radius * math.sin(turn)
    pen.polygon([(centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y) for x, y in outline(shape)], fill=255)
    if shape == "ring":
        pen.polygon(
            [(centre[0] + RING_HOLE * radius * x, centre[1] + RING_HOLE * radius * y) for x, y in outline(shape)],
            fill=0,
        )
    return mask


def draw(spec: Spec, size: int) -> Image.Image:
    """The spec's picture: size × size, RGB, drawn at three times the size and reduced."""
    return _painted(spec, size * FINER, gradient=spec.gradient).resize((size, size), Image.Resampling.LANCZOS)


FINER = 3
"""Pictures are drawn this many times larger than asked for."""


def _painted(spec: Spec, side: int, *, gradient: bool) -> Image.Image:
    rng = random.Random(spec.seed)
    canvas = _backdrop(spec, side, rng, gradient=gradient)
    _DRAWERS[spec.kind](canvas, spec, rng)
    return canvas


def _tint(rng: random.Random, name: str) -> tuple[int, int, int]:
    """The named colour, a little lighter or darker, warmer or cooler."""
    light = rng.uniform(0.93, 1.06)
    return _rgb(light * channel + rng.uniform(-10, 10) for channel in COLOURS[name])


def _rgb(channels: Iterable[float]) -> tuple[int, int, int]:
    red, green, blue = (max(0, min(255, round(channel))) for channel in channels)
    return red, green, blue


def _backdrop(spec: Spec, side: int, rng: random.Random, *, gradient: bool) -> Image.Image:
    paint = _tint(rng, spec.background)
    canvas = Image.new("RGB", (side, side), paint)
    if not gradient:
        return canvas
    far = (255, 255, 255) if sum(paint) < 450 else (90, 90, 90)
    fade = Image.linear_gradient("L").resize((side, side)).point([round(value * 0.5) for value in range(256)])
    canvas.paste(far, (0, 0, side, side), fade)
    return canvas


def _stamp(
    canvas: Image.Image, shape: str, paint: tuple[int, int, int], rng: random.Random, *, centre: Point, radius: float
) -> None:
    swing = ROTATIONS[shape]
    mask = shape_mask(shape, canvas.width, centre=centre, radius=radius, degrees=rng.uniform(-swing, swing))
    canvas.paste(paint, (0, 0, *canvas.size), mask)


def _draw_single(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    radius = rng.uniform(*RADII[spec.size])
    room = max(0.0, 0.44 - radius)
    wander = min(0.08, room)
    x, y = rng.uniform(-wander, wander), rng.uniform(-wander, wander)
    reach = min(0.26, room)
    step = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}.get(spec.place)
    if step and step[0]:
        x = step[0] * (reach - abs(x) / 2)
    elif step:
        y = step[1] * (reach - abs(y) / 2)
    centre = (side * (0.5 + x), side * (0.5 + y))
    _stamp(canvas, spec.shape or "circle", _tint(rng, spec.colour), rng, centre=centre, radius=side * radius)


def _draw_two(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    radius = side * rng.uniform(0.16, 0.2)
    first = _tint(rng, spec.colour)
    second = _tint(rng, spec.second_colour) if spec.second_colour else first
    sway = [side * rng.uniform(-0.025, 0.025) for _ in range(4)]
    left, right = (side * 0.27 + sway[0], side * 0.5 + sway[1]), (side * 0.73 + sway[2], side * 0.5 + sway[3])
    _stamp(canvas, spec.shape or "circle", first, rng, centre=left, radius=radius)
    _stamp(canvas, spec.second_shape or spec.shape or "circle", second, rng, centre=right, radius=radius)


def _draw_figure(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    paint = _tint(rng, spec.colour)
    body = {name: (x * side, y * side) for name, (x, y) in zip(KEYPOINTS, keypoints(spec), strict=True)}
    pen = ImageDraw.Draw(canvas)
    limbs = [("nose", "neck"), ("neck", "right_hip"), ("neck", "left_hip")]
    for flank in ("right", "left"):
        chain = ["neck", f"{flank}_shoulder", f"{flank}_elbow", f"{flank}_wrist"]
        limbs += pairwise(chain)
        chain = [f"{flank}_hip", f"{flank}_knee", f"{flank}_ankle"]
        limbs += pairwise(chain)
    width = side * LIMB
    for start, end in limbs:
        _limb(pen, body[start], body[end], width=width, paint=paint)
    head = abs(body["right_ear"][0] - body["left_ear"][0]) * 0.6
    x, y = body["nose"]
    pen.ellipse([x - head, y - head, x + head, y + head], fill=paint)


def _limb(pen: ImageDraw.ImageDraw, start: Point, end: Point, *, width: float, paint: tuple[int, int, int]) -> None:
    pen.line([start, end], fill=paint, width=round(width))
    for x, y in (start, end):
        pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=paint)


# Arm and leg angles in degrees from straight down, positive to the picture's right: (upper, lower) for
# left arm, right arm, left leg, right leg of a figure that faces the viewer ("left" is drawn on the right).
_STANCES: dict[str, tuple[tuple[float, float], ...]] = {
    "standing": ((28, 14), (-28, -14), (14, 8), (-14, -8)),
    "waving": ((118, 165), (-28, -14), (14, 8), (-14, -8)),
    "arms up": ((142, 165), (-142, -165), (14, 8), (-14, -8)),
    "t pose": ((90, 90), (-90, -90), (14, 8), (-14, -8)),
    "running": ((50, 115), (-55, 20), (52, 5), (-18, -75)),
}
ARM, LEG, SHOULDER, PELVIS, HEAD = 0.17, 0.21, 0.06, 0.045, 0.1
"""Lengths as fractions of the figure's height: half an arm, half a leg, half the shoulders, half the hips, the head."""
LIMB = 0.05
"""How thick arms, legs and body are, as a fraction of the picture's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stance:
    """Where a figure stands and how its limbs lie; lengths as fractions of the side, angles as in `_STANCES`."""

    height: float
    x: float
    top: float
    lean: float
    limbs: tuple[tuple[float, float], ...]


def keypoints(spec: Spec) -> list[Point]:
    """The figure's 18 joints in `KEYPOINTS` order, as fractions of the picture's side; empty for other kinds."""
    if spec.kind != "figure" or spec.pose is None:
        return []
    return _joints(_free_stance(spec.seed) if spec.pose == FREE else _named_stance(spec.pose, spec.seed))


def figure_height(spec: Spec) -> float:
    """From the top of the head to the soles of straight legs, as a fraction of the picture's side; 0 without one."""
    if spec.kind != "figure" or spec.pose is None:
        return 0.0
    return (_free_stance(spec.seed) if spec.pose == FREE else _named_stance(spec.pose, spec.seed)).height


def _named_stance(pose: str, seed: int) -> _Stance:
    rng = random.Random(seed ^ 0x5EED)
    height = rng.uniform(0.76, 0.88)
    limbs = [(upper + rng.uniform(-7, 7), lower + rng.uniform(-7, 7)) for upper, lower in _STANCES[pose]]
    if pose in ("waving", "running") and rng.random() < 0.5:
        left, right, left_leg, right_leg = [(-upper, -lower) for upper, lower in limbs]
        limbs = [right, left, right_leg, left_leg]
    x, top = 0.5 + rng.uniform(-0.06, 0.06), 0.53 - height / 2 + rng.uniform(-0.02, 0.02)
    return _Stance(height=height, x=x, top=top, lean=rng.uniform(-0.02, 0.02), limbs=tuple(limbs))


@functools.lru_cache(maxsize=4096)
def _free_stance(seed: int) -> _Stance:
    """Limbs anyhow, but so that each can be seen: none lies on another or on the body, none leaves the picture."""
    rng = random.Random(seed ^ 0xDA2CE)
    while True:
        height = rng.uniform(0.66, 0.88)
        limbs: list[tuple[float, float]] = []
        for side in (1, -1):
            upper = rng.uniform(20, 165)
            limbs.append((side * upper, side * (upper + rng.uniform(-95, 105))))
        for side in (1, -1):
            upper = rng.uniform(6, 78)
            limbs.append((side * upper, side * (upper + rng.uniform(-85, 30))))
        stance = _Stance(
            height=height,
            x=0.5 + rng.uniform(-0.12, 0.12),
            top=0.5 - height / 2 + rng.uniform(-0.04, 0.12),
            lean=rng.uniform(-0.06, 0.06),
            limbs=tuple(limbs),
        )
        if _legible(_joints(stance)):
            return stance


def _joints(stance: _Stance) -> list[Point]:
    height, x, top = stance.height, stance.x, stance.top
    head = height * HEAD
    neck, hip = (x, top + 2.2 * head), (x + stance.lean, top + height * 0.56)
    shoulder, pelvis = height * SHOULDER, height * PELVIS
    left, right, left_leg, right_leg = stance.limbs
    left_arm = _chain((neck[0] + shoulder, neck[1] + head * 0.2), left, height * ARM)
    right_arm = _chain((neck[0] - shoulder, neck[1] + head * 0.2), right, height * ARM)
    left_leg = _chain((hip[0] + pelvis, hip[1]), left_leg, height * LEG)
    right_leg = _chain((hip[0] - pelvis, hip[1]), right_leg, height * LEG)
    nose = (x, top + head)
    face = [(x + dx * head, nose[1] + dy * head) for dx, dy in ((-0.35, -0.2), (0.35, -0.2), (-0.83, 0), (0.83, 0))]
    return [nose, neck, *right_arm, *left_arm, *right_leg, *left_leg, *face]


def _legible(joints: list[Point]) -> bool:
    """Whether limbs keep clear of each other, of body and head, and inside the picture."""
    body: dict[str, Point] = dict(zip(KEYPOINTS, joints, strict=True))
    if any(not 0.045 < value < 0.955 for point in joints for value in point):
        return False
    gap = 1.7 * LIMB
    chains = [[body[f"{flank}_{joint}"] for joint in ("shoulder", "elbow", "wrist")] for flank in ("right", "left")]
    chains += [[body[f"{flank}_{joint}"] for joint in ("hip", "knee", "ankle")] for flank in ("right", "left")]
    hands = [chain[1:] for chain in chains]
    if any(_apart(one, other) < gap for one, other in combinations(hands, 2)):
        return False
    trunk = [body["neck"], ((body["right_hip"][0] + body["left_hip"][0]) / 2, body["right_hip"][1])]
    if any(_apart(hand, trunk) < gap + LIMB / 2 for hand in hands[:2]):
        return False
    skull = [body["nose"], body["nose"]]
    head = abs(body["right_ear"][0] - body["left_ear"][0]) * 0.6
    return all(_apart(hand, skull) > head + 0.8 * LIMB for hand in hands[:2])


def _apart(one: list[Point], other: list[Point]) -> float:
    """The least distance between two segments, seen at nine places of each."""
    return min(math.dist(p, q) for p in _along(one) for q in _along(other))


def _along(segment: list[Point]) -> list[Point]:
    (x0, y0), (x1, y1) = segment
    return [(x0 + (x1 - x0) * step / 8, y0 + (y1 - y0) * step / 8) for step in range(9)]


def _chain(root: Point, angles: tuple[float, ...], length: float) -> list[Point]:
    joints = [root]
    for angle in angles:
        x, y = joints[-1]
        joints.append((x + length * math.sin(math.radians(angle)), y + length * math.cos(math.radians(angle))))
    return joints


def _draw_scene(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    pen = ImageDraw.Draw(canvas)

    def box(x0: float, y0: float, x1: float, y1: float) -> list[float]:
        return [x0 * side, y0 * side, x1 * side, y1 * side]

    ground = rng.uniform(0.5, 0.85)
    pen.rectangle(box(0, 0, 1, 1), fill=(25, 28, 70) if spec.night else (135, 205, 250))
    pen.rectangle(box(0, ground, 1, 1), fill=(30, 80, 45) if spec.night else (90, 180, 80))
    tree_left = rng.random() < 0.5
    wide, foot = rng.uniform(0.13, 0.2), min(0.94, ground + rng.uniform(0.02, 0.1))
    wall = rng.uniform(0.18, 0.3)
    roof = min(rng.uniform(0.14, 0.24), foot - wall - 0.05)
    eaves = wide + rng.uniform(0.03, 0.06)
    near, far = (0.5, 0.94 - eaves) if tree_left else (0.06 + eaves, 0.5)
    x = rng.uniform(near, max(near, far)) if spec.tree else rng.uniform(0.06 + eaves, 0.94 - eaves)
    pen.rectangle(box(x - wide, foot - wall, x + wide, foot), fill=(235, 215, 175))
    slopes = [(x - eaves, foot - wall), (x + eaves, foot - wall), (x, foot - wall - roof)]
    pen.polygon([(px * side, py * side) for px, py in slopes], fill=_tint(rng, spec.colour))
    door = rng.uniform(-0.5, 0.5) * wide
    pen.rectangle(box(x + door - 0.045, foot - wall * 0.55, x + door + 0.045, foot), fill=(110, 70, 40))
    sun_left = rng.random() < 0.5
    if spec.tree:
        room = x - eaves if tree_left else 1 - x - eaves
        crown = min(rng.uniform(0.09, 0.15), max(0.08, room / 2))
        at = max(crown + 0.02, room / 2) if tree_left else 1 - max(crown + 0.02, room / 2)
        stem, base = rng.uniform(0.08, 0.18), min(0.94, ground + rng.uniform(0.02, 0.08))
        pen.rectangle(box(at - 0.03, base - stem - crown, at + 0.03, base), fill=(110, 70, 40))
        middle = base - stem - crown
        pen.ellipse(box(at - crown, middle - crown, at + crown, middle + crown), fill=(40, 130, 60))
    disc = rng.uniform(0.05, 0.085)
    at, up = (rng.uniform(0.1, 0.3) if sun_left else rng.uniform(0.7, 0.9)), rng.uniform(0.1, 0.16)
    pen.ellipse(box(at - disc, up - disc, at + disc, up + disc), fill=(245, 245, 220) if spec.night else (255, 215, 60))


def _draw_cat(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    pen = ImageDraw.Draw(canvas)
    r = rng.uniform(0.18, 0.31)
    reach = max(0.0, 0.46 - 1.2 * r)
    x, y = 0.5 + rng.uniform(-reach, reach), 0.5 + 0.2 * r + rng.uniform(-0.9, 0.9) * max(0.0, 0.46 - 1.3 * r)
    turn = math.radians(rng.uniform(-22, 22))
    cos, sin = side * r * math.cos(turn), side * r * math.sin(turn)

    def fill(points: list[Point], paint: tuple[int, int, int]) -> None:
        pen.polygon([(side * x + cos * px - sin * py, side * y + sin * px + cos * py) for px, py in points], fill=paint)

    def oval(px: float, py: float, wide: float, high: float) -> list[Point]:
        return [(px + wide * math.cos(t), py + high * math.sin(t)) for t in _turns(64)]

    fur = _tint(rng, spec.colour)
    eyes = (250, 250, 250) if spec.colour == "black" else (20, 20, 20)
    nose = (120, 40, 70) if spec.colour == "pink" else (240, 120, 150)
    for flank in (-1, 1):
        fill([(flank * 0.95, -0.1), (flank * 0.85, -1.35), (flank * 0.15, -0.8)], fur)
    fill(oval(0, 0, 1.08, 0.92), fur)
    for flank in (-0.42, 0.42):
        fill(oval(flank, -0.15, 0.15, 0.17), eyes)
    fill([(-0.13, 0.18), (0.13, 0.18), (0, 0.34)], nose)


def _draw_blob(canvas: Image.Image, spec: Spec, rng: random.Random) -> None:
    side = canvas.width
    pen = ImageDraw.Draw(canvas)
    radius = rng.uniform(0.2, 0.34)
    reach = max(0.0, 0.45 - 1.25 * radius)
    x, y = 0.5 + rng.uniform(-reach, reach), 0.5 + rng.uniform(-reach, reach)
    ways = [_wobble(rng, 1.0) for _ in range(2)]
    paints = [_tint(rng, spec.colour)]
    if spec.second_colour:
        # A hole shows the paper as it is, without a tint of its own.
        hole = spec.second_colour == spec.background and not spec.gradient
        paints.append(canvas.getpixel((0, 0)) if hole else _tint(rng, spec.second_colour))  # pyright: ignore[reportArgumentType]
    for way, paint, share in zip(ways, paints, (1.0, rng.uniform(0.3, 0.45))):  # noqa: B905
        r = radius * share * side
        pen.polygon([(side * x + r * px, side * y + r * py) for px, py in way], fill=paint)


def _wobble(rng: random.Random, reach: float) -> list[Point]:
    """A closed smooth curve about the origin, nowhere farther from it than about 1.3 `reach`."""
    waves = [(wave, rng.uniform(0, 0.32 / wave**0.7), rng.uniform(0, 2 * math.pi)) for wave in (2, 3, 4, 5)]
    curve: list[Point] = []
    for t in _turns(160):
        r = reach * (0.9 + sum(size * math.cos(wave * t + start) for wave, size, start in waves) * 0.75)
        curve.append((r * math.cos(t), r * math.sin(t)))
    return curve


_DRAWERS = {
    "single": _draw_single,
    "two": _draw_two,
    "pair": _draw_two,
    "figure": _draw_figure,
    "scene": _draw_scene,
    "cat": _draw_cat,
    "blob": _draw_blob,
}


# Lines


def edges(spec: Spec, size: int) -> NDArray[np.bool_]:
    """The picture's true lines, size × size: where two colours meet when it is painted flat. One or two pixels thin."""
    fine = _meetings(spec, size * FINER)
    return np.asarray(fine.reshape(size, FINER, size, FINER).any(axis=(1, 3)), dtype=np.bool_)


def _meetings(spec: Spec, side: int) -> NDArray[np.bool_]:
    flat = np.asarray(_painted(spec, side, gradient=False)).astype(np.int32)
    colour = flat[..., 0] << 16 | flat[..., 1] << 8 | flat[..., 2]
    lines = np.zeros((side, side), bool)
    lines[:, :-1] |= colour[:, :-1] != colour[:, 1:]
    lines[:-1] |= colour[:-1] != colour[1:]
    return lines


def strokes(
    spec: Spec, size: int, rng: random.Random, *, width: float = 2.0, broken: float = 0.0
) -> NDArray[np.float32]:
    """The true lines drawn with a pen `width` pixels wide: (size, size), 0 where there is no ink, 1 where it covers.
    `broken` is the share of the lines, about, that is left out in gaps."""
    fine = _meetings(spec, size * FINER).astype(np.uint8)
    if broken > 0:
        ys, xs = np.nonzero(fine)
        radius = size * FINER * rng.uniform(0.01, 0.03)
        for _ in range(round(broken * len(xs) / (2 * radius))):
            pick = rng.randrange(len(xs))
            cv2.circle(fine, (int(xs[pick]), int(ys[pick])), round(radius), 0, -1)
    nib = max(1, round(width * FINER))
    thick = cv2.dilate(fine, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (nib, nib)))
    small = cv2.resize(thick.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32)


def paper(
    spec: Spec,
    size: int,
    rng: random.Random,
    *,
    paper: tuple[int, int, int] = (255, 255, 255),
    ink: tuple[int, int, int] = (0, 0, 0),
    width: float = 2.0,
    broken: float = 0.0,
) -> Image.Image:
    """The picture's lines as a person would hand them in: strokes of `ink` on `paper`, size × size, RGB."""
    cover = strokes(spec, size, rng, width=width, broken=broken)[..., None]
    mixed = np.array(paper, np.float32) * (1 - cover) + np.array(ink, np.float32) * cover
    return Image.fromarray(mixed.round().astype(np.uint8))


# Captions

# Each row: how the word may be said, the commonest first and most often. Plurals beside them.
_SAID: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "circle", "disc", "ball"),
    "square": ("square", "square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "heart": ("heart",),
    "ring": ("ring", "ring", "ring", "donut"),
}
_PLURAL: dict[str, str] = {"box": "boxes"}
_SIZE_WORDS = {"normal": ("",), "small": ("small ", "tiny ", "little "), "big": ("big ", "large ", "huge ")}
_PLACE_WORDS = {
    "center": ("", "", "", "", "in the center", "in the middle"),
    "left": ("on the left", "at the left side"),
    "right": ("on the right", "at the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
}
_POSE_WORDS = {
    "standing": ("standing", ""),
    "waving": ("waving", "waving hello"),
    "arms up": ("with arms up", "with raised arms", "cheering"),
    "t pose": ("in a t pose", "with arms out"),
    "running": ("running",),
    FREE: ("dancing", "dancing", "posing", "in a pose", ""),
}
_OPENINGS = ("",) * 12 + ("a picture of ", "a drawing of ", "an illustration of ", "a simple drawing of ")


def caption(spec: Spec, rng: random.Random) -> str:
    """One way of saying what the spec draws; ask again for another. Lower case."""
    thing = _thing(spec, rng)
    opening = rng.choice(_OPENINGS)
    if spec.kind == "scene":
        sky = ("at night", ", night sky") if spec.night else ("", "on a sunny day", ", daytime")
        return _joined(opening + thing, rng.choice(sky))
    if rng.random() < 0.05:
        return opening + thing
    shade = f"{spec.background} gradient" if spec.gradient else spec.background
    behind = [f"on {_a(shade)} background"] * 3 + [f"over {_a(shade)} background", f", {shade} background"]
    behind += [f"with {_a(shade)} background"]
    if not spec.gradient:
        behind.append(f"on {shade}")
    if rng.random() < 0.04:
        return f"{shade} background, {opening}{thing}"
    return _joined(opening + thing, rng.choice(behind))


def plain_caption(colour: str, shape: str, background: str) -> str:
    """The plainest sentence for one shape: 'a red circle on a blue background'."""
    return f"{_a(f'{colour} {shape}')} on {_a(background)} background"


def _joined(first: str, second: str) -> str:
    return first + second if second.startswith(",") else f"{first} {second}".strip()


def _a(words: str) -> str:
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _thing(spec: Spec, rng: random.Random) -> str:
    colour = spec.colour
    if spec.kind == "single":
        words = f"{rng.choice(_SIZE_WORDS[spec.size])}{colour} {rng.choice(_SAID[spec.shape or ''])}"
        said = rng.choice([_a(words)] * 5 + [words, f"one {words}"])
        return f"{said} {rng.choice(_PLACE_WORDS[spec.place])}".strip()
    if spec.kind == "two":
        name = rng.choice(_SAID[spec.shape or ""])
        plural = _plural(name)
        return rng.choice([f"two {colour} {plural}"] * 3 + [f"a pair of {colour} {plural}", f"2 {colour} {plural}"])
    if spec.kind == "pair":
        first = _a(f"{colour} {rng.choice(_SAID[spec.shape or ''])}")
        second = _a(f"{spec.second_colour} {rng.choice(_SAID[spec.second_shape or ''])}")
        ways = [f"{first} and {second}"] * 2 + [f"{first} next to {second}", f"{first} to the left of {second}"]
        return rng.choice([*ways, f"{second} to the right of {first}"])
    if spec.kind == "figure":
        who = rng.choice(("stick figure", "stick figure", "person", "stickman", "man"))
        shade = "" if spec.colour == "black" and rng.random() < 0.4 else f"{colour} "
        return f"{_a(shade + who)} {rng.choice(_POSE_WORDS[spec.pose or ''])}".strip()
    if spec.kind == "blob":
        inner = ""
        if spec.second_colour:
            inside = _a(f"{spec.second_colour} blob")
            inner = " with a hole" if spec.second_colour == spec.background else f" with {inside} inside"
        return rng.choice((_a(f"{colour} blob"), _a(f"{colour} blob"), f"{colour} blob")) + inner
    if spec.kind == "scene":
        beside = rng.choice((" and a tree", " beside a tree")) if spec.tree else ""
        return f"a house with {_a(f'{colour} roof')}{beside}"
    return rng.choice((_a(f"{colour} cat"), _a(f"{colour} cat face"), f"{colour} cat"))


def _plural(name: str) -> str:
    return _PLURAL.get(name, f"{name}s")


def words() -> list[str]:
    """Every word and mark a caption may hold, sorted."""
    rng = random.Random(0)
    found: set[str] = {",", "and", "of", "2"}
    for name, said in _SAID.items():
        found.add(name)
        found.update(said)
        found.update(_plural(one) for one in said)
    for _ in range(6000):
        found |= set(split_words(caption(any_spec(rng), rng)))
    return sorted(found)


def split_words(text: str) -> list[str]:
    """Words and marks of a caption; CLIP's tokenizer splits captions at the same places."""
    return text.replace(",", " , ").split()


# Facts

_LABELS: dict[str, tuple[str | None, ...]] = {
    "kind": KIND_NAMES,
    "shape": (None, *SHAPE_NAMES),
    "colour": COLOUR_NAMES,
    "background": COLOUR_NAMES,
    "place": PLACE_NAMES,
    "size": SIZE_NAMES,
    "second_shape": (None, *SHAPE_NAMES),
    "second_colour": (None, *COLOUR_NAMES),
    "pose": (None, *POSES),
}
LABEL_SIZES = (*(len(choices) for choices in _LABELS.values()), 2, 2, 2)


def labels(spec: Spec) -> tuple[int, ...]:
    """The spec's facts as class numbers, one per entry of `LABEL_SIZES`: what a caption can tell about a picture."""
    facts = [choices.index(getattr(spec, name)) for name, choices in _LABELS.items()]
    return (*facts, int(spec.gradient), int(spec.tree), int(spec.night))
