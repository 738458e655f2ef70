"""Preprocessors that find people: OpenPose through controlnet-aux's networks, DWPose through onnxruntime.

Each takes a picture (height, width, 3) RGB and a `Making` and gives the figures drawn and, as JSON, in pixels of the
map. Proven here in loading and drawing only: the weights are their authors'.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from controlnet_aux.open_pose import OpenposeDetector, util
from controlnet_aux.open_pose.body import Body, BodyResult
from controlnet_aux.open_pose.face import Face, FaceNet, params
from controlnet_aux.open_pose.hand import Hand
from controlnet_aux.open_pose.model import bodypose_model, handpose_model
from torch import nn

from webui.engine.control.dwpose import find_people
from webui.engine.control.making import Drawn, Making, Map
from webui.engine.control.pixels import padded
from webui.engine.control.pose import FACE, Person, Point, draw_poses, write_person

FOUND = 1e-6
"""OpenPose's parts write a point they have not found as 0, 0."""
SURE = 0.05
Part = TypeVar("Part")


def openpose(picture: Map, making: Making) -> Drawn:
    return _openpose(picture, making)


def openpose_hand(picture: Map, making: Making) -> Drawn:
    return _openpose(picture, making, hand=1)


def openpose_face(picture: Map, making: Making) -> Drawn:
    return _openpose(picture, making, face=1)


def openpose_faceonly(picture: Map, making: Making) -> Drawn:
    return _openpose(picture, making, body=False, face=1)


def openpose_full(picture: Map, making: Making) -> Drawn:
    return _openpose(picture, making, hand=1, face=2)


def dw_openpose_full(picture: Map, making: Making) -> Drawn:
    """Yang 2023. Runs on the CPU, as everywhere."""
    wide, cut = padded(picture, making.resolution)
    people = find_people(wide, making)
    drawn = cut(draw_poses(people, wide.shape[1], wide.shape[0]))
    return Drawn(map=drawn, people=[write_person(person) for person in people])


def _openpose(picture: Map, making: Making, *, body: bool = True, hand: int = 0, face: int = 0) -> Drawn:
    """`hand`, `face`: which of the row's files holds their network; 0: they are not looked for. Cao 2019."""
    wide, cut = padded(picture, making.resolution)
    height, width = wide.shape[:2]
    finder = OpenposeDetector(_part(Body, _named_deeper(making, bodypose_model, 0)))
    if hand:
        finder.hand_estimation = _part(Hand, _named_deeper(making, handpose_model, hand))
    whose = Faces(making.network(FaceNet, file=face)) if face else None
    # Blue first, as the networks were trained.
    turned = np.ascontiguousarray(wide[:, :, ::-1])
    people: list[Person] = []
    for found in finder.body_estimation.format_body_result(*finder.body_estimation(turned)):
        left, right = finder.detect_hands(found, turned) if hand else (None, None)
        people.append(
            Person(
                body=tuple(None if each is None else (float(each.x), float(each.y)) for each in found.keypoints),
                left_hand=_points(left, width, height), right_hand=_points(right, width, height),
                face=whose.find(found, turned) if whose else (),
            )
        )  # fmt: skip
    drawn = draw_poses(people, width, height, body=body)
    return Drawn(map=cut(drawn), people=[write_person(person) for person in people])


class Faces:
    """OpenPose's face network: up to 70 points of one face."""

    def __init__(self, network: nn.Module) -> None:
        self._face = _part(Face, network)

    def find(self, body: BodyResult, turned: Map) -> tuple[Point, ...]:
        """In pixels of the picture; () where the body shows no face."""
        box = util.faceDetect(body, turned)
        if box is None:
            return ()
        left, top, side = box
        heat = self._face(turned[top : top + side, left : left + side])[:FACE]
        found: list[Point] = []
        for one in heat:
            down, across = np.unravel_index(int(np.argmax(one)), one.shape)
            sure = float(one[down, across]) > SURE
            found.append((float(across + left), float(down + top)) if sure else None)
        return tuple(found) if any(found) else ()


def _points(found: Sequence[Any] | None, width: int, height: int) -> tuple[Point, ...]:
    """controlnet-aux's fractions in pixels; those it has not found are left of the picture there."""
    if not found:
        return ()
    return tuple(
        (float(each.x) * width, float(each.y) * height) if min(each.x, each.y) > FOUND else None for each in found
    )


def _part(kind: Callable[..., Part], network: nn.Module) -> Part:
    """One of controlnet-aux's finders around a filled network: its own constructor would unpickle a file."""
    finder: Any = object.__new__(kind)  # pyright: ignore[reportArgumentType, reportCallIssue]
    finder.model = network
    finder.inference_size = params["inference_img_size"]
    finder.sigma, finder.threshold = params["gaussian_sigma"], params["heatmap_peak_thresh"]
    return finder


def _named_deeper(making: Making, make: Callable[[], nn.Module], file: int) -> nn.Module:
    """OpenPose's files name their tensors without the block they stand in: `conv1_1.weight` for `model0.conv1_1`."""
    return making.network(make, file=file, tails=True)


__all__ = ["dw_openpose_full", "openpose", "openpose_face", "openpose_faceonly", "openpose_full", "openpose_hand"]
