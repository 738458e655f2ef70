"""The training of the shipped pose detector, and what it finds in drawings it was not taught."""

import math
import random
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from webui.demo import figures
from webui.demo.drawings import held_back_pose, keypoints, random_spec
from webui.demo.pictures import to_tensor
from webui.engine.control.demo_pose import CELLS, PoseNet, decoded

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]


def test_the_shipped_detector_finds_the_joints_of_held_back_poses():
    specs = figures.held_back(40)
    assert all(held_back_pose(spec) for spec in specs)
    assert figures.right(figures.opened(ROOT / figures.FILE), specs) >= 0.95


def test_peaks_sum_to_one_and_are_decoded_to_where_they_were_put():
    rng = random.Random(2)
    places = torch.tensor([keypoints(random_spec(rng, {"figure": 1})) for _ in range(4)])
    heat = figures.peaks(places.flatten(0, 1))
    assert torch.allclose(heat.sum(-1), torch.ones(72), atol=1e-5)
    found, _ = decoded(heat.log().view(4, 18, CELLS, CELLS))
    assert (found - places).abs().max() < 0.01


def test_shaken_joints_stay_on_their_pictures():
    """A white dot on black is where its joint says after moving and scaling."""
    pictures, places = torch.full((6, 3, 128, 128), -1.0), torch.full((6, 18, 2), 0.5)
    spots = [(0.4, 0.45), (0.55, 0.6), (0.5, 0.5), (0.6, 0.4), (0.45, 0.55), (0.5, 0.42)]
    for number, (x, y) in enumerate(spots):
        pictures[number, :, round(y * 128) - 3 : round(y * 128) + 3, round(x * 128) - 3 : round(x * 128) + 3] = 1.0
        places[number, 0] = torch.tensor([round(x * 128) / 128, round(y * 128) / 128])
    moved, points = figures.shaken(pictures, places, torch.Generator().manual_seed(1))
    for picture, (x, y) in zip(moved, points[:, 0].tolist(), strict=True):
        bright = picture.mean(0) > picture.mean(0).max() - 0.3
        row, column = (float(axis.float().mean()) for axis in bright.nonzero(as_tuple=True))
        assert math.dist(((column + 0.5) / 128, (row + 0.5) / 128), (x, y)) < 0.05


def test_a_course_is_written_and_read_again(tmp_path: Path):
    lesson = figures.Lesson(steps=2, batch=2, figures=3, others=1)
    file = figures.make(tmp_path, lesson, file=tmp_path / "pose.safetensors")
    network = figures.opened(file)
    assert isinstance(network, PoseNet)
    assert 0 <= figures.right(network, figures.held_back(1)) <= 1


def test_the_loss_of_pictures_without_a_figure_asks_for_no_joints():
    nobody = torch.full((2, 18, 2), math.nan)
    value = figures.loss(PoseNet(), to_tensor(torch.zeros(2, 64, 64, 3).byte().numpy()), nobody)
    assert torch.isfinite(value)
    assert value < 3
