import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from webui.demo import eyes
from webui.demo.drawings import (
    KEYPOINTS,
    KIND_NAMES,
    Spec,
    any_spec,
    draw,
    edges,
    figure_height,
    held_back_pose,
    keypoints,
)


def held_back_figures(count: int) -> list[Spec]:
    rng, found = random.Random(11), []
    while len(found) < count:
        spec = any_spec(rng, {"figure": 1})
        if held_back_pose(spec):
            found.append(spec)
    return found


def test_the_joints_of_a_true_drawing_are_found_and_those_of_another_are_not():
    specs = held_back_figures(12)
    found = [eyes.joints(draw(spec, 128)) for spec in specs]
    own = [eyes.near(one, keypoints(spec), figure_height(spec)) for one, spec in zip(found, specs, strict=True)]
    others = specs[1:] + specs[:1]
    other = [eyes.near(one, keypoints(spec), figure_height(spec)) for one, spec in zip(found, others, strict=True)]
    assert np.mean(own) >= 0.97
    assert np.mean(other) <= 0.3


@pytest.mark.parametrize("pose", ["standing", "waving", "arms up", "t pose", "running"])
def test_the_joints_of_a_named_pose_are_found(pose: str):
    spec = Spec(kind="figure", seed=8, background="yellow", colour="purple", pose=pose)
    assert eyes.near(eyes.joints(draw(spec, 128)), keypoints(spec), figure_height(spec)) >= 0.95


def test_joints_are_found_in_a_larger_picture_and_through_noise():
    spec = held_back_figures(1)[0]
    pixels = np.asarray(draw(spec, 192), dtype=float) + np.random.default_rng(0).normal(0, 6, (192, 192, 3))
    found = eyes.joints(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    assert eyes.near(found, keypoints(spec), figure_height(spec)) >= 0.95


def test_a_picture_of_nothing_has_no_joints():
    assert eyes.joints(Image.new("RGB", (128, 128), "teal")) == []
    assert eyes.near([], [(0.5, 0.5)] * 18, 0.8) == 0


def test_a_joint_counts_as_found_up_to_six_hundredths_of_the_height_away():
    true = [(0.5, 0.5)] * 18
    moved = [(0.5 + 0.047, 0.5)] * 9 + [(0.5, 0.5 - 0.049)] * 9
    assert eyes.near(moved, true, 0.8) == 0.5


def test_left_is_the_figures_own_left():
    spec = held_back_figures(1)[0]
    found = dict(zip(KEYPOINTS, eyes.joints(draw(spec, 128)), strict=True))
    assert found["left_shoulder"][0] > found["right_shoulder"][0]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_a_true_drawing_has_its_own_edges(kind: str):
    rng = random.Random(6)
    specs = [any_spec(rng, {kind: 1}) for _ in range(8)]
    scores = [eyes.edge_score(draw(spec, 128), edges(spec, 128)).f for spec in specs]
    assert np.mean(scores) >= 0.97
    assert min(scores) >= 0.9


def test_a_true_drawing_has_not_the_edges_of_another():
    rng = random.Random(6)
    specs = [any_spec(rng) for _ in range(24)]
    pictures = [draw(spec, 128) for spec in specs]
    others = specs[1:] + specs[:1]
    scores = [eyes.edge_score(one, edges(spec, 128)).f for one, spec in zip(pictures, others, strict=True)]
    assert np.mean(scores) <= 0.4


def test_precision_falls_with_what_was_not_asked_and_recall_with_what_is_missing():
    one, two = Image.new("RGB", (128, 128), "white"), Image.new("RGB", (128, 128), "white")
    ImageDraw.Draw(one).rectangle([20, 20, 50, 50], fill="red")
    ImageDraw.Draw(two).rectangle([20, 20, 50, 50], fill="red")
    ImageDraw.Draw(two).rectangle([80, 80, 110, 110], fill="blue")
    less, more = (eyes.edge_score(one, eyes.edges(two)), eyes.edge_score(two, eyes.edges(one)))
    assert (less.precision, more.recall) == (1, 1)
    assert math.isclose(less.recall, 0.5, abs_tol=0.03)
    assert math.isclose(more.precision, 0.5, abs_tol=0.03)


def test_an_edge_three_pixels_off_is_wrong_and_one_two_pixels_off_is_right():
    pictures = []
    for left in (30, 32, 33):
        picture = Image.new("RGB", (128, 128), "white")
        ImageDraw.Draw(picture).rectangle([left, 0, 127, 127], fill="black")
        pictures.append(picture)
    true = eyes.edges(pictures[0])
    assert eyes.edge_score(pictures[1], true).f == 1
    assert eyes.edge_score(pictures[2], true).f == 0


def test_a_blank_picture_has_no_edges():
    true = edges(Spec(kind="single", seed=1, background="white", colour="red", shape="star"), 128)
    assert eyes.edge_score(Image.new("RGB", (128, 128), "white"), true).f == 0
