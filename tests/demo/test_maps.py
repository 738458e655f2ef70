"""What a ControlNet is shown: the right lines, the right joints, in as many hands as people have."""

import random

import numpy as np
import pytest
from PIL import Image

from webui.demo.drawings import FREE, KINDS, Spec, draw, edges, keypoints, paper, random_spec, strokes
from webui.demo.maps import line_map, lineart_standard, pose_map, skeleton
from webui.engine.control.pose import COLOURS


def figure(seed: int = 3) -> Spec:
    return Spec(kind="figure", seed=seed, background="white", colour="black", pose=FREE)


def one_of(kind: str, seed: int = 5) -> Spec:
    return random_spec(random.Random(seed), {kind: 1})


@pytest.mark.parametrize("kind", list(KINDS))
def test_true_lines_are_thin_and_lie_where_colours_change(kind: str):
    spec = one_of(kind)
    lines = edges(spec, 128)
    assert lines.shape == (128, 128)
    assert 0.005 < lines.mean() < 0.15
    picture = np.asarray(draw(spec, 128).convert("RGB"), dtype=float)
    steps = np.abs(np.diff(picture, axis=0))[:, :-1].max(-1) + np.abs(np.diff(picture, axis=1))[:-1].max(-1)
    beside = steps[lines[:-1, :-1]].mean()
    assert beside > 8 * steps[~lines[:-1, :-1]].mean()


def test_a_gradient_has_no_lines_of_its_own():
    spec = Spec(kind="single", seed=1, background="blue", colour="red", shape="circle", gradient=True)
    plain = Spec(kind="single", seed=1, background="blue", colour="red", shape="circle")
    assert np.array_equal(edges(spec, 64), edges(plain, 64))


def test_the_figures_limbs_have_no_lines_where_they_meet():
    spec = figure()
    lines, (x, y) = edges(spec, 128), keypoints(spec)[1]
    assert not lines[round(y * 128), round(x * 128)]


def test_a_wider_pen_leaves_more_ink_and_broken_lines_less():
    spec, rng = one_of("scene"), random.Random(1)
    ink = [float(strokes(spec, 128, rng, width=width).sum()) for width in (1, 2, 4, 6)]
    assert ink == sorted(ink)
    assert ink[-1] > 3 * ink[0]
    whole = strokes(spec, 128, rng, width=2)
    broken = strokes(spec, 128, rng, width=2, broken=0.4)
    assert 0.3 < broken.sum() / whole.sum() < 0.9
    assert (broken <= whole + 1e-6).all()


def test_paper_has_the_asked_ink_on_the_asked_paper():
    drawn = np.asarray(paper(one_of("blob"), 64, random.Random(1), paper=(190, 215, 235), ink=(40, 40, 120), width=4))
    colours = {tuple(int(value) for value in pixel) for pixel in drawn.reshape(-1, 3)}
    assert {(190, 215, 235), (40, 40, 120)} <= colours


def test_lineart_standard_finds_dark_lines_on_any_paper_and_none_on_blank_paper():
    spec = one_of("cat")
    for sheet in ((255, 255, 255), (200, 200, 200)):
        found = lineart_standard(np.asarray(paper(spec, 128, random.Random(2), paper=sheet)), 6.0)
        lines = edges(spec, 128)
        assert found[lines].mean() > 80
        assert found[~lines].mean() < 15
    assert lineart_standard(np.full((32, 32, 3), 255, np.uint8), 6.0).max() == 0


def test_line_maps_are_light_on_dark_and_hardly_ever_the_same():
    spec, rng = one_of("single"), random.Random(4)
    lines = edges(spec, 64)
    maps = [line_map(spec, 64, rng) for _ in range(20)]
    assert len({made.tobytes() for made in maps}) >= 19
    lighter = [made[lines].mean() > made[~lines].mean() + 20 for made in maps]
    assert sum(lighter) >= 18
    assert all(made.shape == (64, 64, 3) and np.median(made) < 80 for made in maps)


def test_a_skeleton_has_its_joints_in_the_fields_colours():
    joints = keypoints(figure())
    made = skeleton(joints, 512, half=4)
    for (x, y), colour in list(zip(joints, COLOURS, strict=True))[:14]:
        assert tuple(int(value) for value in made[round(y * 512), round(x * 512)]) == colour


def test_a_skeleton_may_have_no_eyes_and_ears():
    joints = keypoints(figure())
    x, y = joints[16]
    assert skeleton(joints, 256, half=3)[round(y * 256), round(x * 256)].any()
    assert not skeleton(joints, 256, half=3, face=False)[round(y * 256), round(x * 256)].any()


def test_pose_maps_are_drawn_from_the_figures_own_joints_with_pens_of_many_widths():
    spec, rng = figure(), random.Random(6)
    ink = [float((pose_map(spec, 128, rng) > 0).mean()) for _ in range(20)]
    assert max(ink) > 1.8 * min(ink)
    assert not pose_map(one_of("single"), 64, rng).any()


def test_the_same_dice_draw_the_same_maps():
    spec = figure(9)
    for make in (line_map, pose_map):
        first, again = (Image.fromarray(make(spec, 64, random.Random(3))) for _ in range(2))
        assert first.tobytes() == again.tobytes()
