"""What the shipped ControlNets do, over a few drawings; `python -m webui.demo control-effects` measures over fifty."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from webui.demo import control_effects, effects
from webui.demo.__main__ import CHECKPOINT
from webui.demo.drawings import Spec, draw, held_back_pose, is_held_back

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
COUNT = 5


@pytest.fixture(scope="module")
def studio() -> Iterator[effects.Studio]:
    with effects.studio(ROOT / CHECKPOINT) as studio:
        yield studio


@pytest.mark.parametrize("measure", control_effects.MEASURES)
def test_a_control_does_what_it_should_and_not_by_chance(measure: str, studio: effects.Studio):
    found = control_effects.MEASURES[measure](studio, COUNT)
    assert found
    failed = [one for one in found if not one.holds]
    assert not failed, control_effects.table(failed)


def test_sketches_are_of_every_kind_by_every_pen_and_none_was_taught():
    things = control_effects.sketches(42)
    assert {thing.spec.kind for thing in things} == set(control_effects.KINDS)
    assert {thing.pen.name for thing in things} == {pen.name for pen in control_effects.PENS}
    assert len({(thing.spec.kind, thing.pen.name) for thing in things}) == 42
    for thing in things:
        held = any(is_held_back(*triple) for triple in thing.spec.triples())
        assert held or held_back_pose(thing.spec) or not (thing.spec.triples() or thing.spec.pose)


def test_a_true_drawing_obeys_its_prompt_and_one_in_another_colour_does_not():
    for thing in control_effects.sketches(14):
        spec = thing.spec
        assert control_effects.obeys(draw(spec, 128), spec), spec
        free = next(
            name
            for name in ("green", "purple", "orange", "cyan")
            if name not in (spec.colour, spec.background, spec.second_colour)
        )
        assert not control_effects.obeys(draw(replace(spec, colour=free), 128), spec)


def test_a_sketch_is_ink_on_its_paper():
    thing = control_effects.sketches(3)[2]
    sheet = np.asarray(thing.handed_in())
    assert sheet.shape == (128, 128, 3)
    assert tuple(np.median(sheet.reshape(-1, 3), axis=0)) == thing.pen.sheet
    assert np.abs(sheet.astype(int) - thing.pen.ink).sum(axis=-1).min() < 60


def test_a_measure_fails_where_control_is_no_better_than_chance():
    row = control_effects.Measured(measure="any", count=5, found=0.9, without=0.3, shuffled=0.2, least=0.8, most=0.4)
    assert row.holds
    assert not replace(row, found=0.79).holds
    assert not replace(row, without=0.41).holds
    assert not replace(row, shuffled=0.41).holds


def test_a_skeleton_is_drawn_where_its_joints_are():
    joints = [(random.Random(number).uniform(0.2, 0.8), 0.1 + number / 25) for number in range(18)]
    drawn = np.asarray(control_effects.skeleton(joints))
    assert drawn.shape == (512, 512, 3)
    for x, y in joints:
        assert drawn[round(y * 512), round(x * 512)].any()


def test_a_figure_of_another_pose_has_few_joints_right():
    one, other = control_effects.figures(2)
    assert control_effects.joints_right(draw(one, 128), one) >= 0.97
    assert control_effects.joints_right(draw(other, 128), one) <= 0.3
    blank = Image.new("RGB", (128, 128), "white")
    assert (
        control_effects.joints_right(
            blank, Spec(kind="figure", seed=1, background="white", colour="red", pose="t pose")
        )
        == 0
    )
