"""The shipped pose detector: its decoding here, and that it finds the demo's figures."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from safetensors import safe_open

from webui.catalog.annotators import missing
from webui.catalog.detectors import find_detector
from webui.engine.control.demo_pose import CELLS, JOINTS, SIDE, PoseNet, decoded, joints
from webui.engine.control.detect import detect

pytestmark = pytest.mark.torch

FOLDER = Path(__file__).parents[3] / "models" / "ControlNet" / "annotators"
FILE = FOLDER / "maple-demo-pose.safetensors"


class Pointing(PoseNet):
    """A network that sees joints where it is told, and a figure or none."""

    def __init__(self, *, figure: float = 9.0) -> None:
        super().__init__()
        self.logit = figure

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        heat = torch.full((len(pictures), JOINTS, CELLS, CELLS), -20.0)
        heat[:, :, CELLS // 2, CELLS // 4] = 0.0
        return heat, torch.full((len(pictures),), self.logit)


def test_a_joint_between_two_cells_is_found_between_them():
    heat = torch.full((1, JOINTS, CELLS, CELLS), -30.0)
    heat[:, :, 8, 10] = heat[:, :, 8, 11] = 0.0
    places, sure = decoded(heat)
    assert places[0, 0].tolist() == pytest.approx([11 / CELLS, 8.5 / CELLS], abs=1e-4)
    assert sure.min() > 0.99


def test_a_heatmap_with_two_peaks_is_unsure_and_takes_one_of_them():
    heat = torch.full((1, JOINTS, CELLS, CELLS), -30.0)
    heat[:, :, 8, 4], heat[:, :, 8, 28] = 0.1, 0.0
    places, sure = decoded(heat)
    assert places[0, 0, 0].item() == pytest.approx(4.5 / CELLS, abs=1e-3)
    assert 0.4 < sure.min() < 0.6


@pytest.mark.parametrize(("height", "width"), [(128, 128), (96, 192), (300, 100)])
def test_joints_are_fractions_of_the_pictures_own_sides(height: int, width: int):
    found = joints(Pointing(), np.zeros((height, width, 3), np.uint8))
    assert found is not None
    side = max(height, width)
    x = (CELLS // 4 + 0.5) / CELLS * side - (side - width) // 2
    y = (CELLS // 2 + 0.5) / CELLS * side - (side - height) // 2
    assert found[3, :2].tolist() == pytest.approx([x / width, y / height], abs=0.01)


def test_a_picture_without_a_figure_has_no_joints():
    assert joints(Pointing(figure=-9.0), np.zeros((64, 64, 3), np.uint8)) is None


def test_the_network_takes_pictures_of_its_side_only_and_gives_a_map_per_joint():
    heat, figure = PoseNet()(torch.zeros(2, 3, SIDE, SIDE))
    assert heat.shape == (2, JOINTS, CELLS, CELLS)
    assert figure.shape == (2,)


def test_the_shipped_file_is_small_and_says_what_it_is():
    assert FILE.stat().st_size <= 1_000_000
    with safe_open(FILE, "pt") as file:
        said = file.metadata()
        assert all(file.get_slice(name).get_dtype() == "F16" for name in file.keys())  # noqa: SIM118
    assert said["modelspec.license"] == "CC0-1.0"
    assert '"licence": "CC0-1.0"' in said["maple.config"]


def test_the_row_finds_its_file_and_draws_the_skeleton_of_a_figure():
    from PIL import Image, ImageDraw

    row = find_detector("openpose_demo")
    assert missing(row, [FOLDER]) == []
    assert row.poses
    picture = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse([107, 24, 149, 66], fill="black")
    for line in ([128, 45, 128, 140], [128, 76, 60, 80], [60, 80, 25, 70], [128, 76, 196, 80], [196, 80, 231, 70],
                 [128, 140, 100, 186], [100, 186, 90, 230], [128, 140, 156, 186], [156, 186, 166, 230]):  # fmt: skip
        pen.line(line, fill="black", width=13)
    found = detect(row, np.asarray(picture), folders=[FOLDER])
    assert found.poses is not None
    assert len(found.poses) == 1
    points = np.array(found.poses[0]["pose_keypoints_2d"]).reshape(18, 3)
    assert found.map.shape == (512, 512, 3)
    assert np.hypot(*(points[0, :2] - (256, 90))) < 40  # the nose
    assert points[4, 0] < 120  # the right hand, on the left
    assert points[7, 0] > 392
    assert found.map[round(points[1, 1]), round(points[1, 0])].any()


def test_shapes_are_nobody():
    picture = np.full((128, 128, 3), 250, np.uint8)
    picture[40:90, 40:90] = (200, 30, 30)
    found = detect(find_detector("openpose_demo"), picture, folders=[FOLDER])
    assert found.poses == []
    assert not found.map.any()
    assert found.notes == (("no_people", {}),)
