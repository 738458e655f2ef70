"""What the demo's ControlNets do to its pictures, measured by geometry (`eyes`) beside what happens without them.

Every picture goes through `generate.run` with a real `ControlUnit`, from a person's drawing or skeleton to a picture.
Drawings and poses are held back from training. "Shuffled" is drawn by another one's map and judged as if it were by its
own: what a network that only makes pictures tidier would get.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.demo import eyes
from webui.demo.drawings import (
    COLOUR_NAMES,
    Point,
    Spec,
    any_spec,
    caption,
    draw,
    edges,
    figure_height,
    held_back_pose,
    is_held_back,
    keypoints,
    paper,
)
from webui.demo.effects import BATCH, Studio, pixels
from webui.demo.judge import nearest_colour
from webui.domain import ControlUnit
from webui.engine.control.pose import draw_poses

SIZE = 128
LINES, POSE = "maple-demo-lineart", "maple-demo-openpose"
KINDS = ("single", "figure", "scene", "cat", "blob", "two", "pair")
SKELETON = 512
"""The side skeletons are handed in at, as the pose editor does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """One way a person draws lines, and the preprocessor for it."""

    name: str
    module: str = "lineart_standard"
    sheet: tuple[int, int, int] = (255, 255, 255)
    ink: tuple[int, int, int] = (0, 0, 0)
    width: float = 2.0
    broken: float = 0.0


PENS = (
    Pen(name="grey", ink=(120, 120, 120)),
    Pen(name="broken", broken=0.25),
    Pen(name="coloured paper", sheet=(245, 225, 185), ink=(40, 40, 90)),
    Pen(name="white on black", module="none", sheet=(0, 0, 0), ink=(255, 255, 255)),
    Pen(name="1 px", width=1.0),
    Pen(name="6 px", width=6.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A mean over `count` pictures, 0-1, with control; without it and with the maps shuffled where that is measured."""

    measure: str
    count: int
    found: float
    without: float | None = None
    shuffled: float | None = None
    least: float | None = None
    """`found` may not fall below this."""
    most: float | None = None
    """`without` and `shuffled` may not rise above this."""

    @property
    def holds(self) -> bool:
        others = [one for one in (self.without, self.shuffled) if one is not None and self.most is not None]
        return self.found >= (self.least or 0) and all(one <= (self.most or 1) for one in others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A drawing nobody was taught, what is said about it, and the pen its lines are drawn with."""

    spec: Spec
    prompt: str
    pen: Pen

    def handed_in(self) -> Image.Image:
        """The lines as a person hands them in, RGB."""
        return paper(
            self.spec, SIZE, random.Random(self.spec.seed), paper=self.pen.sheet, ink=self.pen.ink,
            width=self.pen.width, broken=self.pen.broken,
        )  # fmt: skip


def sketches(count: int, *, seed: int = 17) -> list[Sketch]:
    """Kinds and pens in turn; held-back triples and poses where the kind has them, unseen seeds elsewhere."""
    rng = random.Random(seed)
    found: list[Sketch] = []
    for number in range(count):
        spec = _unseen(rng, KINDS[number % len(KINDS)])
        found.append(Sketch(spec=spec, prompt=_said(spec, rng), pen=PENS[number % len(PENS)]))
    return found


def figures(count: int, *, seed: int = 23) -> list[Spec]:
    """Figures in held-back poses, half of them ink on paper, as everywhere in the demo."""
    rng = random.Random(seed)
    return [_unseen(rng, "figure") for _ in range(count)]


def _unseen(rng: random.Random, kind: str) -> Spec:
    while True:
        spec = replace(any_spec(rng, {kind: 1}), gradient=False)
        triples = spec.triples()
        if held_back_pose(spec) or any(is_held_back(*triple) for triple in triples):
            return spec
        if kind != "figure" and not triples:
            return spec


def _said(spec: Spec, rng: random.Random) -> str:
    """A caption that names all the colours that are asked for."""
    while True:
        said = caption(spec, rng)
        if all(name in said for name in colours(spec).values()):
            return said


# --- seeing --------------------------------------------------------------------------------------


def colours(spec: Spec) -> dict[str, str]:
    """The colours a caption can ask for, by their field. A hole has none of its own."""
    asked = {"colour": spec.colour}
    if spec.kind != "scene":
        asked["background"] = spec.background
    if spec.second_colour and spec.second_colour != spec.background:
        asked["second_colour"] = spec.second_colour
    return asked


def region(spec: Spec, field: str) -> NDArray[np.bool_]:
    """Where a true drawing (128 × 128) shows that field's colour, without its rim: what changes when it does."""
    used = set(colours(spec).values())
    # Black and pink change a cat's eyes and nose as well.
    free = [name for name in COLOUR_NAMES if name not in used | {"black", "pink"}]
    one, other = (pixels(draw(replace(spec, **{field: name}), SIZE)) for name in free[:2])
    changed = (np.abs(one - other).max(axis=-1) > 30).astype(np.uint8)
    inner = cv2.erode(changed, np.ones((3, 3), np.uint8))
    return (inner if inner.any() else changed) > 0


def obeys(picture: Image.Image, spec: Spec) -> bool:
    """Whether every colour that was asked for is where the drawing has it."""
    seen = pixels(picture)
    return all(
        nearest_colour(np.median(seen[region(spec, field)], axis=0)) == name for field, name in colours(spec).items()
    )


def joints_right(picture: Image.Image, spec: Spec) -> float:
    """The share, 0-1, of the 18 joints that are where the skeleton has them."""
    return eyes.near(eyes.joints(picture), keypoints(spec), figure_height(spec))


# --- making --------------------------------------------------------------------------------------


def guided(studio: Studio, prompt: str, seed: int, handed_in: Image.Image, *, module: str, model: str) -> Image.Image:
    """One picture by one unit."""
    unit = ControlUnit(module=module, model=model, image=studio.keep(handed_in), save_map=False)
    return studio.make(replace(studio.base, prompt=prompt, seed=seed, controls=(unit,)))[0]


def unguided(studio: Studio, prompts: Sequence[str]) -> list[Image.Image]:
    """The same prompts with the same seeds and no unit."""
    made: list[Image.Image] = []
    for start in range(0, len(prompts), BATCH):
        some = tuple(prompts[start : start + BATCH])
        made += studio.make(replace(studio.base, seed=1 + start, batch_size=len(some), prompts=some))
    return made


def skeleton(joints: Sequence[Point]) -> Image.Image:
    """A skeleton as the pose editor sends it, from joints as fractions of the side."""
    points = [value for x, y in joints for value in (x * SKELETON, y * SKELETON, 1.0)]
    return Image.fromarray(draw_poses([{"pose_keypoints_2d": points}], SKELETON, SKELETON))


# --- measures ------------------------------------------------------------------------------------


def line_art(studio: Studio, count: int) -> list[Measured]:
    """Drawings of all kinds by all pens: are the edges where the lines are, and the colours those of the prompt?"""
    things = sketches(count)

    def drawn(shift: int) -> list[Image.Image]:
        """Each prompt by the map of the sketch `shift` further on."""
        return [
            guided(studio, thing.prompt, 1 + number, by.handed_in(), module=by.pen.module, model=LINES)
            for number, thing in enumerate(things)
            for by in [things[(number + shift) % count]]
        ]

    def fits(made: Sequence[Image.Image]) -> list[float]:
        pairs = zip(made, things, strict=True)
        return [eyes.edge_score(one, edges(thing.spec, SIZE)).f for one, thing in pairs]

    own, other, none = drawn(0), drawn(1), unguided(studio, [thing.prompt for thing in things])
    by_own, by_other, by_none = fits(own), fits(other), fits(none)
    found = [
        Measured(
            measure="line art: edge F-score", count=count, found=_mean(by_own), without=_mean(by_none),
            shuffled=_mean(by_other), least=0.8, most=0.4,
        ),
        Measured(
            measure="line art: colours of the prompt", count=count, least=0.85,
            found=_mean([obeys(one, thing.spec) for one, thing in zip(own, things, strict=True)]),
        ),
    ]  # fmt: skip
    for pen in PENS:
        some = [number for number, thing in enumerate(things) if thing.pen == pen]
        if some:
            means = [_mean([scores[number] for number in some]) for scores in (by_own, by_none, by_other)]
            found.append(
                Measured(measure=f"– {pen.name}", count=len(some), found=means[0], without=means[1], shuffled=means[2])
            )
    return found


def poses(studio: Studio, count: int) -> list[Measured]:
    """Figures by skeletons: are the joints where the skeleton has them?"""
    specs = figures(count)
    rng = random.Random(5)
    prompts = [_said(spec, rng) for spec in specs]
    made = [
        guided(studio, prompt, 1 + number, skeleton(keypoints(spec)), module="none", model=POSE)
        for number, (prompt, spec) in enumerate(zip(prompts, specs, strict=True))
    ]
    free = unguided(studio, prompts)
    # Another skeleton's picture judged by this one: its prompt says nothing about where limbs are.
    others = specs[1:] + specs[:1]
    return [
        Measured(
            measure="pose: joints where the skeleton has them", count=count,
            found=_mean([joints_right(one, spec) for one, spec in zip(made, specs, strict=True)]),
            without=_mean([joints_right(one, spec) for one, spec in zip(free, specs, strict=True)]),
            shuffled=_mean([joints_right(one, spec) for one, spec in zip(made, others, strict=True)]),
            least=0.85, most=0.3,
        )
    ]  # fmt: skip


def round_trip(studio: Studio, count: int) -> list[Measured]:
    """A picture, its pose by the detector that is shipped, a new picture in that pose, and once more from there."""
    specs = figures(count, seed=29)
    rng = random.Random(6)
    prompts = [_said(spec, rng) for spec in specs]
    first = [draw(spec, SIZE) for spec in specs]
    # Another colour is asked for than the picture has, so that nothing but the pose can come from it.
    second = [
        guided(
            studio, "a black stick figure on a white background", 50 + number, one, module="openpose_demo", model=POSE
        )
        for number, one in enumerate(first)
    ]
    again = [
        guided(studio, prompt, 150 + number, one, module="openpose_demo", model=POSE)
        for number, (prompt, one) in enumerate(zip(prompts, second, strict=True))
    ]
    others = specs[1:] + specs[:1]
    seen = [eyes.joints(one) for one in second]
    return [
        Measured(
            measure="drawing → openpose_demo → picture", count=count,
            found=_mean([joints_right(one, spec) for one, spec in zip(second, specs, strict=True)]),
            shuffled=_mean([joints_right(one, spec) for one, spec in zip(second, others, strict=True)]),
            least=0.7, most=0.3,
        ),
        Measured(
            measure="that picture → openpose_demo → another picture", count=count,
            found=_mean([_same(*three) for three in zip(again, seen, specs, strict=True)]),
            shuffled=_mean([_same(*three) for three in zip(again, seen[1:] + seen[:1], others, strict=True)]),
            least=0.7, most=0.3,
        ),
    ]  # fmt: skip


def _same(picture: Image.Image, joints: Sequence[Point], spec: Spec) -> float:
    return eyes.near(eyes.joints(picture), joints, figure_height(spec)) if joints else 0.0


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


MEASURES: Mapping[str, Callable[[Studio, int], list[Measured]]] = {
    "lines": line_art,
    "pose": poses,
    "round-trip": round_trip,
}


def table(found: Sequence[Measured]) -> str:
    """One row each, as Markdown."""

    def said(value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{sign}{value:.2f}"

    lines = ["| | pictures | with control | without | maps shuffled | asked |", "| --- | --- | --- | --- | --- | --- |"]
    for one in found:
        asked = ", ".join(filter(None, (said(one.least, "≥ "), said(one.most, "others ≤ "))))
        cells = (one.measure, one.count, said(one.found), said(one.without), said(one.shuffled), asked)
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)
