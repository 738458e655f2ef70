"""DWPose's two networks through onnxruntime, with answers known by construction."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.engine.control.onnx import write_onnx
from webui.catalog.detectors import find_detector
from webui.engine.control.detect import detect
from webui.engine.control.dwpose import BODY, ExtraMissing, OnnxMisfit, people_boxes, person_of
from webui.engine.control.pose import read_person

pytestmark = pytest.mark.torch

ROW = find_detector("dw_openpose_full")
BOX = (64.0, 32.0, 256.0, 288.0)
"""Left, top, right, bottom in pixels of a 320 x 320 picture."""


def answers(*boxes: tuple[tuple[float, ...], float], person: int = 0) -> np.ndarray:
    """YOLOX's answer for boxes in pixels of its 640 x 640 input, each in a cell of the coarsest grid."""
    made = np.zeros((1, 8400, 85), np.float32)
    for place, ((left, top, right, bottom), sure) in enumerate(boxes):
        row = 6400 + 1600 + place  # the first cells of the 20 x 20 grid of 32 pixels
        made[0, row, :2] = (left + right) / 64 - place, (top + bottom) / 64
        made[0, row, 2:4] = np.log((right - left) / 32), np.log((bottom - top) / 32)
        made[0, row, 4], made[0, row, 5 + person] = sure, 1.0
    return made


def points(seed: int = 3, sure: float = 0.9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(133, 2) places in pixels of the pose network's 288 x 384 input, and their coordinates as classes."""
    places = np.random.default_rng(seed).integers((20, 20), (260, 360), (133, 2)).astype(float)
    xs, ys = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    for place, (x, y) in enumerate(places):
        xs[0, place, int(x * 2)] = ys[0, place, int(y * 2)] = sure
    return places, xs, ys


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    doubled = tuple(2 * side for side in BOX)
    write_onnx(
        tmp_path / "yolox_l.onnx",
        takes=("images", (1, 3, 640, 640)),
        gives={"output": answers((doubled, 0.95), ((70, 70, 500, 560), 0.9), ((0, 0, 40, 40), 0.2))},
    )
    _, xs, ys = points()
    write_onnx(
        tmp_path / "dw-ll_ucoco_384.onnx",
        takes=("input", (1, 3, 384, 288)),
        gives={"simcc_x": xs, "simcc_y": ys},
    )
    return tmp_path


def test_a_figure_is_found_where_the_networks_say(weights: Path) -> None:
    picture = np.full((320, 320, 3), 90, np.uint8)
    made = detect(ROW, picture, resolution=320, folders=(weights,))
    assert made.map.shape == (320, 320, 3)
    assert made.poses is not None
    assert len(made.poses) == 1, "of two boxes over each other the surer one; the third is not sure"
    person = read_person(made.poses[0])
    places, _, _ = points()
    # The box, a quarter larger, widened to 288 : 384 around its middle (160, 160): 240 x 320 pixels.
    expected = places * (240 / 288) + (160 - 120, 160 - 160)
    assert person.body[1] == pytest.approx(expected[[5, 6]].mean(axis=0), abs=0.01), "the neck"
    for place, whole in enumerate(BODY):
        if whole is not None:
            assert person.body[place] == pytest.approx(expected[whole], abs=0.01)
    assert person.left_hand == pytest.approx(expected[91:112], abs=0.01)
    assert len(person.face) == 70
    assert made.map.any()


def test_nobody_is_said(tmp_path: Path) -> None:
    write_onnx(tmp_path / "yolox_l.onnx", takes=("images", (1, 3, 640, 640)), gives={"output": answers()})
    _, xs, ys = points()
    gives = {"simcc_x": xs, "simcc_y": ys}
    write_onnx(tmp_path / "dw-ll_ucoco_384.onnx", takes=("input", (1, 3, 384, 288)), gives=gives)
    made = detect(ROW, np.full((70, 64, 3), 90, np.uint8), resolution=64, folders=(tmp_path,))
    assert made.poses == []
    assert made.notes == (("no_people", {}),)
    assert not made.map.any()


def test_where_something_is_that_is_hardly_a_person_the_whole_picture_is_looked_at(weights: Path) -> None:
    faint = answers(((70, 70, 500, 560), 0.2))
    write_onnx(weights / "yolox_l.onnx", takes=("images", (1, 3, 640, 640)), gives={"output": faint})
    made = detect(ROW, np.full((320, 240, 3), 90, np.uint8), resolution=240, folders=(weights,))
    assert made.poses is not None
    assert len(made.poses) == 1


def test_boxes_of_other_things_and_unsure_ones_are_left_out() -> None:
    dog = answers(((10, 10, 300, 300), 0.99), person=16)[0]
    assert len(people_boxes(dog, (640, 640))) == 0
    apart = people_boxes(answers(((0, 0, 100, 200), 0.5), ((300, 0, 400, 200), 0.8))[0], (640, 640))
    assert apart == pytest.approx(np.array([[300, 0, 400, 200], [0, 0, 100, 200]]), abs=0.01)


def test_points_not_sure_enough_are_not_there() -> None:
    places, sure = np.ones((133, 2)), np.full(133, 0.9)
    sure[[6, 9]] = 0.1
    sure[112:133] = 0.2
    person = person_of(places, sure)
    assert person.body[1] is None, "a neck needs both shoulders"
    assert person.body[2] is None
    assert person.right_hand == ()
    assert person.left_hand != ()


def test_without_onnxruntime_it_is_said_what_to_do(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExtraMissing) as caught:
        detect(ROW, np.zeros((64, 64, 3), np.uint8), folders=(weights,))
    assert "pip install" in caught.value.fields["command"]


def test_a_file_that_is_no_network_of_that_kind_is_told(weights: Path) -> None:
    (weights / "yolox_l.onnx").write_bytes(b"\x08no network at all")
    with pytest.raises(OnnxMisfit):
        detect(ROW, np.zeros((64, 64, 3), np.uint8), folders=(weights,))
