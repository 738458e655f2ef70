"""OpenPose's people: read, checked, written and drawn in the field's colours. numpy and OpenCV only.

The JSON is sd-webui-controlnet's: `{"people": [{"pose_keypoints_2d": [x, y, confidence, ...], "face_keypoints_2d",
"hand_left_keypoints_2d", "hand_right_keypoints_2d"}], "canvas_width", "canvas_height"}`, in pixels of the canvas or as
fractions of it. Body: 18 points in COCO's order; OpenPose's 25 are understood. Hands 21, faces up to 70.
"""

import colorsys
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from webui.domain.errors import BadInput

Point: TypeAlias = tuple[float, float] | None
"""x and y in pixels, or as fractions of the canvas; None: not to be seen."""
Points: TypeAlias = tuple[Point, ...]

BODY, HAND, FACE = 18, 21, 70
BODY_25 = (*range(8), *range(9, 15), *range(15, 19))
"""Where the 18 stand among OpenPose's 25: middle of the hips and feet are left out."""
# fmt: off
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
         (0, 14), (14, 16), (0, 15), (15, 17))
COLOURS = ((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
           (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
           (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))
"""Of the limbs in their order (at 0.6 of the brightness), and of the 18 points. RGB."""
FINGERS = ((0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (0, 9), (9, 10), (10, 11), (11, 12),
           (0, 13), (13, 14), (14, 15), (15, 16), (0, 17), (17, 18), (18, 19), (19, 20))
# fmt: on
LIMB_BRIGHTNESS = 0.6
HALF_WIDTH = 4
DOT, FACE_DOT = 4, 3
NEAR_ZERO = 0.01
"""A point of hands and faces this near the corner was not found: 0, 0 is how many tools write that."""
MOST_PEOPLE = 100
LARGEST_CANVAS = 8192
FARTHEST = 1e5
"""Points may lie outside the canvas, in reason: OpenCV counts in 32 bits."""


class BadPose(BadInput):
    """Fields: where, reason."""

    key = "bad_pose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One figure; () for a part that is not there."""

    body: Points = ()
    left_hand: Points = ()
    right_hand: Points = ()
    face: Points = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """People on a canvas of `width` by `height` pixels."""

    people: tuple[Person, ...]
    width: int
    height: int


def read_poses(value: object) -> Poses:
    """Poses from OpenPose JSON: text, the object, or a list that holds it. Raises BadPose."""
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadPose(where="JSON", reason=str(error)) from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, Mapping):
        raise BadPose(where="JSON", reason="not an object with people, canvas_width, canvas_height")
    people = value.get("people")
    if not isinstance(people, list) or len(people) > MOST_PEOPLE:
        raise BadPose(where="people", reason=f"not a list of at most {MOST_PEOPLE}")
    return Poses(
        people=tuple(read_person(one, f"people[{number}]") for number, one in enumerate(people)),
        width=_side(value, "canvas_width"),
        height=_side(value, "canvas_height"),
    )


def read_person(value: object, where: str = "people") -> Person:
    """One figure from its JSON. Raises BadPose."""
    if not isinstance(value, Mapping):
        raise BadPose(where=where, reason="not an object")
    body = _points(value, "pose_keypoints_2d", where)
    if len(body) == 25:
        body = tuple(body[number] for number in BODY_25)
    if body and len(body) != BODY:
        raise BadPose(where=f"{where}.pose_keypoints_2d", reason=f"{len(body)} points instead of {BODY}")
    hands = [_points(value, f"hand_{side}_keypoints_2d", where) for side in ("left", "right")]
    for side, hand in zip(("left", "right"), hands, strict=True):
        if hand and len(hand) != HAND:
            raise BadPose(where=f"{where}.hand_{side}_keypoints_2d", reason=f"{len(hand)} points instead of {HAND}")
    face = _points(value, "face_keypoints_2d", where)
    if len(face) > FACE:
        raise BadPose(where=f"{where}.face_keypoints_2d", reason=f"{len(face)} points instead of at most {FACE}")
    return Person(body=body, left_hand=hands[0], right_hand=hands[1], face=face)


def write_person(person: Person) -> dict[str, list[float] | None]:
    """One figure as JSON."""
    return {
        "pose_keypoints_2d": _numbers(person.body),
        "face_keypoints_2d": _numbers(person.face),
        "hand_left_keypoints_2d": _numbers(person.left_hand),
        "hand_right_keypoints_2d": _numbers(person.right_hand),
    }


def write_poses(poses: Poses) -> dict[str, Any]:
    """The JSON of sd-webui-controlnet."""
    people = [write_person(person) for person in poses.people]
    return {"people": people, "animals": [], "canvas_height": poses.height, "canvas_width": poses.width}


def resized(poses: Poses, width: int, height: int) -> Poses:
    """The same people on a canvas of another size, stretched to it."""
    across, down = width / poses.width, height / poses.height
    people = tuple(_moved(person, across, down) for person in poses.people)
    return Poses(people=people, width=width, height=height)


def draw_poses(
    people: Sequence[Person | Mapping[str, Any]], width: int, height: int, *, body: bool = True, hand: bool = True,
    face: bool = True,
) -> NDArray[np.uint8]:  # fmt: skip
    """(height, width, 3) RGB, black where nobody is; points in pixels of that size, or fractions. Raises BadPose."""
    canvas = np.zeros((height, width, 3), np.uint8)
    for number, one in enumerate(people):
        person = one if isinstance(one, Person) else read_person(one, f"people[{number}]")
        if body:
            _draw_body(canvas, _pixels(person.body, width, height))
        if hand:
            _draw_hand(canvas, _pixels(person.left_hand, width, height))
            _draw_hand(canvas, _pixels(person.right_hand, width, height))
        if face:
            for point in _found(_pixels(person.face, width, height)):
                if point is not None:
                    cv2.circle(canvas, point, FACE_DOT, (255, 255, 255), thickness=-1)
    return canvas


def _draw_body(canvas: NDArray[np.uint8], points: list[tuple[float, float] | None]) -> None:
    if not points:
        return
    for (one, other), colour in zip(LIMBS, COLOURS, strict=False):
        start, end = points[one], points[other]
        if start is None or end is None:
            continue
        across, down = start[0] - end[0], start[1] - end[1]
        middle = (int((start[0] + end[0]) / 2), int((start[1] + end[1]) / 2))
        axes = (int(math.hypot(across, down) / 2), HALF_WIDTH)
        angle = int(math.degrees(math.atan2(down, across)))
        outline = np.array(cv2.ellipse2Poly(middle, axes, angle, 0, 360, 1))
        cv2.fillConvexPoly(canvas, outline, [int(part * LIMB_BRIGHTNESS) for part in colour])
    for point, colour in zip(points, COLOURS, strict=True):
        if point is not None:
            cv2.circle(canvas, (int(point[0]), int(point[1])), DOT, colour, thickness=-1)


def _draw_hand(canvas: NDArray[np.uint8], points: list[tuple[float, float] | None]) -> None:
    if not points:
        return
    found = _found(points)
    for number, (one, other) in enumerate(FINGERS):
        start, end = found[one], found[other]
        if start is not None and end is not None:
            colour = [part * 255 for part in colorsys.hsv_to_rgb(number / len(FINGERS), 1.0, 1.0)]
            cv2.line(canvas, start, end, colour, thickness=2)
    for point in found:
        if point is not None:
            cv2.circle(canvas, point, DOT, (0, 0, 255), thickness=-1)


def _found(points: Sequence[Point]) -> list[tuple[int, int] | None]:
    whole = [None if point is None else (int(point[0]), int(point[1])) for point in points]
    return [point if point is not None and min(point) > NEAR_ZERO else None for point in whole]


def _pixels(points: Points, width: int, height: int) -> list[tuple[float, float] | None]:
    """In pixels: points that all lie between 0 and 1 are fractions."""
    seen = [point for point in points if point is not None]
    if not seen or not all(abs(x) <= 1 and abs(y) <= 1 for x, y in seen):
        return list(points)
    return [None if point is None else (point[0] * width, point[1] * height) for point in points]


def _moved(person: Person, across: float, down: float) -> Person:
    def moved(points: Points) -> Points:
        if all(point is None or (abs(point[0]) <= 1 and abs(point[1]) <= 1) for point in points):
            return points  # fractions fit any canvas
        return tuple(None if point is None else (point[0] * across, point[1] * down) for point in points)

    return replace(
        person, body=moved(person.body), left_hand=moved(person.left_hand), right_hand=moved(person.right_hand),
        face=moved(person.face),
    )  # fmt: skip


def _points(value: Mapping[str, Any], name: str, where: str) -> Points:
    numbers = value.get(name)
    if not numbers:
        return ()
    place = f"{where}.{name}"
    if not isinstance(numbers, list) or len(numbers) % 3:
        raise BadPose(where=place, reason="not a list of x, y, confidence")
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise BadPose(where=place, reason="holds something that is no number")
    if not all(math.isfinite(number) and abs(number) <= FARTHEST for number in numbers):
        raise BadPose(where=place, reason="a point lies out of reach")
    # sd-webui-controlnet sees a point from confidence 1 on; OpenPose itself writes fractions.
    return tuple((float(x), float(y)) if sure > 0 else None for x, y, sure in zip(*[iter(numbers)] * 3, strict=True))


def _numbers(points: Points) -> list[float] | None:
    if not points:
        return None
    return [number for point in points for number in ((*point, 1.0) if point is not None else (0.0, 0.0, 0.0))]


def _side(value: Mapping[str, Any], name: str) -> int:
    side = value.get(name)
    if isinstance(side, bool) or not isinstance(side, int | float) or not 1 <= side <= LARGEST_CANVAS:
        raise BadPose(where=name, reason=f"not a number of pixels from 1 to {LARGEST_CANVAS}")
    return int(side)
