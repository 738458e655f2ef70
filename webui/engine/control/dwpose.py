"""DWPose from the two .onnx files people have, on the CPU: yolox_l finds people, dw-ll_ucoco_384 their points.

Before and after the two networks stands what YOLOX and RTMPose's papers describe: a letterbox and boxes on three grids
(Ge 2021), a warped box for each person and coordinates as classes (Li 2022; Yang 2023). onnxruntime is an extra.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from webui.domain.errors import BadFile, BadInput
from webui.engine.control.making import Making, Map
from webui.engine.control.pose import Person, Point

BOX_SIDE = 640
LETTERBOX = 114
STRIDES = (8, 16, 32)
PERSON = 0
"""The class of people among YOLOX's 80."""
LEAST_BOX, LEAST_ANYTHING, OVERLAP = 0.3, 0.1, 0.45
POSE_SIZE = (288, 384)
"""Width and height in pixels of what the pose network sees."""
ROUND_A_BOX = 1.25
CLASSES_A_PIXEL = 2
LEAST_POINT = 0.3
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
POINTS = 133
# Where OpenPose's 18 stand among COCO's 17; None is the neck, between the shoulders (5 and 6).
BODY = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
FACE, LEFT, RIGHT = slice(23, 91), slice(91, 112), slice(112, 133)
EYES = (14, 15)


class ExtraMissing(BadInput):
    """A preprocessor's optional package is not installed. Fields: detector, package, command."""

    key = "extra_missing"


class OnnxMisfit(BadFile):
    """A file is no network of that kind. Fields: path, detector, reason."""

    key = "annotator_misfit"


def find_people(picture: Map, making: Making) -> list[Person]:
    """Everybody in a picture (height, width, 3) RGB, in its pixels. Raises ExtraMissing, OnnxMisfit."""
    boxes, points = (_session(making, number) for number in (0, 1))
    answer = _asked(boxes, _letterboxed(picture)[None], making, 0)[0][0]
    found = people_boxes(answer, picture.shape[:2])
    if not len(found):
        if float((answer[:, 4] * answer[:, 5:].max(axis=1)).max()) <= LEAST_ANYTHING:
            return []
        # Something is there that is hardly a person, a drawn one perhaps: the whole picture is looked at, as there.
        found = np.array([[0, 0, picture.shape[1], picture.shape[0]]], np.float32)
    return [_person(picture, box, points, making) for box in found]


def people_boxes(answer: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.floating]:
    """(people, 4) left, top, right, bottom in pixels of a picture (height, width), surest first.

    `answer` (8400, 85): middle and size by cell, how likely anything is there, how likely each class.
    """
    cells, strides = _grid()
    middle = (answer[:, :2] + cells) * strides
    half = np.exp(np.minimum(answer[:, 2:4], 20.0)) * strides / 2
    sure = answer[:, 4] * answer[:, 5 + PERSON]
    boxes = np.concatenate((middle - half, middle + half), axis=1) / _scale(size)
    kept = np.flatnonzero(sure > LEAST_BOX)
    return boxes[_apart(boxes, kept[np.argsort(-sure[kept], kind="stable")])]


def _apart(boxes: NDArray[np.floating], order: NDArray[np.intp]) -> list[int]:
    """The surest of boxes that lie over each other."""
    kept: list[int] = []
    while len(order):
        first, rest = int(order[0]), order[1:]
        kept.append(first)
        low, high = np.maximum(boxes[first, :2], boxes[rest, :2]), np.minimum(boxes[first, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(0, high - low + 1), axis=1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2] + 1, axis=1)
        order = rest[shared / (areas[first] + areas[rest] - shared) <= OVERLAP]
    return kept


def _person(picture: Map, box: NDArray[np.floating], session: Any, making: Making) -> Person:
    across, down = POSE_SIZE
    middle, size = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * ROUND_A_BOX
    # Widened or heightened to the network's proportions.
    width = max(float(size[0]), float(size[1]) * across / down, 1.0)
    scale = across / width
    corner = middle - np.array([width, width * down / across]) / 2
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    seen = cv2.warpAffine(picture, matrix, POSE_SIZE, flags=cv2.INTER_LINEAR)
    given = ((seen - np.array(MEAN)) / np.array(DEVIATION)).transpose(2, 0, 1)[None].astype(np.float32)
    xs, ys = _asked(session, given, making, 1)[:2]
    if xs.ndim != 3 or xs.shape[1] != POINTS or ys.shape[1] != POINTS:
        raise OnnxMisfit(path=str(making.files[1]), detector=making.detector, reason=f"{list(xs.shape)}")
    sure = np.minimum(xs[0].max(axis=1), ys[0].max(axis=1))
    places = np.stack((xs[0].argmax(axis=1), ys[0].argmax(axis=1)), axis=1) / CLASSES_A_PIXEL / scale + corner
    return person_of(places, sure)


def person_of(places: NDArray[np.floating], sure: NDArray[np.floating]) -> Person:
    """133 points (COCO whole body) as OpenPose's figure: a neck between the shoulders, eyes as the face's last two."""

    def points(chosen: slice) -> tuple[Point, ...]:
        seen = tuple(
            (float(x), float(y)) if each >= LEAST_POINT else None
            for (x, y), each in zip(places[chosen], sure[chosen], strict=True)
        )
        return seen if any(point is not None for point in seen) else ()

    all_points = points(slice(0, POINTS)) or (None,) * POINTS
    neck = np.mean(places[[5, 6]], axis=0) if min(sure[5], sure[6]) > LEAST_POINT else None
    between: Point = None if neck is None else (float(neck[0]), float(neck[1]))
    body = tuple(between if place is None else all_points[place] for place in BODY)
    face = points(FACE)
    return Person(
        body=body, left_hand=points(LEFT), right_hand=points(RIGHT),
        face=(*face, *(body[eye] for eye in EYES)) if face else (),
    )  # fmt: skip


def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(8400, 2) cells and (8400, 1) pixels a cell, of the three grids."""
    cells = [np.stack(np.meshgrid(np.arange(BOX_SIDE // step), np.arange(BOX_SIDE // step)), -1).reshape(-1, 2)
             for step in STRIDES]  # fmt: skip
    steps = [np.full((len(each), 1), step) for each, step in zip(cells, STRIDES, strict=True)]
    return np.concatenate(cells).astype(np.float32), np.concatenate(steps).astype(np.float32)


def _scale(size: tuple[int, ...]) -> float:
    return min(BOX_SIDE / size[0], BOX_SIDE / size[1])


def _letterboxed(picture: Map) -> NDArray[np.float32]:
    """(3, 640, 640), 0 to 255: the picture in the upper left corner, grey around."""
    scale = _scale(picture.shape[:2])
    height, width = (max(1, int(side * scale)) for side in picture.shape[:2])
    canvas = np.full((BOX_SIDE, BOX_SIDE, 3), LETTERBOX, np.float32)
    canvas[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(canvas.transpose(2, 0, 1))


def _session(making: Making, file: int) -> Any:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError:
        raise ExtraMissing(
            detector=making.detector,
            package="onnxruntime",
            command=f'"{sys.executable}" -m pip install -c constraints.txt onnxruntime',
        ) from None
    path = making.files[file]

    def opened() -> Any:
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own errors share no base but Exception
            raise _misfit(path, making, error) from error

    return making.networks.get(path, "onnx", making.device, opened)


def _asked(session: Any, given: NDArray[np.float32], making: Making, file: int) -> list[NDArray[np.float32]]:
    try:
        return session.run(None, {session.get_inputs()[0].name: given})
    except Exception as error:  # as above
        raise _misfit(making.files[file], making, error) from error


def _misfit(path: Path, making: Making, error: Exception) -> OnnxMisfit:
    return OnnxMisfit(path=str(path), detector=making.detector, reason=str(error).splitlines()[0][:200])
