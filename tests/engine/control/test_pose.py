"""OpenPose's people: every form read, what is malformed told, and the field's drawing, pixel by pixel."""

import json
import math

import numpy as np
import pytest

from webui.engine.control.pose import (
    COLOURS,
    LIMBS,
    BadPose,
    Person,
    Poses,
    draw_poses,
    read_poses,
    resized,
    write_poses,
)

pytestmark = pytest.mark.torch

STANDING = [
    (128, 40), (128, 70), (100, 70), (90, 110), (85, 150), (156, 70), (166, 110), (171, 150), (112, 150), (110, 200),
    (108, 245), (144, 150), (146, 200), (148, 245), (122, 34), (134, 34), (114, 38), (142, 38),
]  # fmt: skip


def numbers(points, sure: float = 1.0) -> list[float]:
    return [value for point in points for value in ((*point, sure) if point else (0, 0, 0))]


def written(width: int = 256, height: int = 256, **parts) -> dict:
    person = {"pose_keypoints_2d": numbers(STANDING), **parts}
    return {"people": [person], "canvas_width": width, "canvas_height": height}


def test_a_figure_is_drawn_as_the_field_draws_it():
    """The same pixels as controlnet-aux's functions, which are the field's."""
    from controlnet_aux.open_pose import util
    from controlnet_aux.open_pose.body import Keypoint

    face = [(float(x), float(y)) for x, y in np.random.default_rng(5).integers(20, 230, (70, 2))]
    ours = draw_poses(read_poses(written(face_keypoints_2d=numbers(face))).people, 256, 256)

    def parts(points):
        return [Keypoint(x=x / 256, y=y / 256) for x, y in points]

    theirs = util.draw_bodypose(np.zeros((256, 256, 3), np.uint8), parts(STANDING))
    assert (ours == util.draw_facepose(theirs, parts(face))).all()


def test_limbs_are_darker_than_joints_and_fingers_go_round_the_colours():
    made = draw_poses(read_poses(written()).people, 256, 256)
    for point, colour in zip(STANDING[:14], COLOURS, strict=False):
        assert tuple(made[point[1], point[0]]) == colour
    elbow = (np.array(STANDING[2]) + np.array(STANDING[3])) // 2
    assert tuple(made[elbow[1], elbow[0]]) == tuple(int(part * 0.6) for part in COLOURS[LIMBS.index((2, 3))])
    fan = [(128, 200), *((20 + 10 * place, 40) for place in range(20))]
    hand = draw_poses([{"hand_left_keypoints_2d": numbers(fan)}], 256, 256)
    assert tuple(hand[200, 128]) == (0, 0, 255), "joints are blue"
    assert tuple(hand[120, 74]) == (255, 0, 0), "the first finger's first bone is red"


def test_fractions_and_pixels_draw_the_same():
    fractions = [(x / 256, y / 256) for x, y in STANDING]
    there = draw_poses([{"pose_keypoints_2d": numbers(fractions)}], 256, 256)
    assert (there == draw_poses([{"pose_keypoints_2d": numbers(STANDING)}], 256, 256)).all()


def test_what_is_hidden_is_not_drawn_and_limbs_to_it_neither():
    hidden = [None if place in (3, 4) else point for place, point in enumerate(STANDING)]
    made = draw_poses([{"pose_keypoints_2d": numbers(hidden)}], 256, 256)
    assert not made[110, 80:100].any()
    assert made[70, 100].any()


def test_parts_can_be_left_out():
    person = written(face_keypoints_2d=numbers([(128, 40)] * 70))["people"][0]
    assert not draw_poses([person], 256, 256, body=False, face=False).any()
    face = draw_poses([person], 256, 256, body=False)
    assert set(np.unique(face)) == {0, 255}
    assert face.any()


def test_json_goes_out_as_it_came_in():
    told = written(hand_right_keypoints_2d=numbers(STANDING + STANDING[:3]))
    again = write_poses(read_poses(json.dumps(told)))
    assert again["people"][0]["pose_keypoints_2d"] == told["people"][0]["pose_keypoints_2d"]
    assert again["people"][0]["hand_right_keypoints_2d"] == told["people"][0]["hand_right_keypoints_2d"]
    assert again["people"][0]["face_keypoints_2d"] is None
    assert read_poses([told]) == read_poses(told)


def test_openposes_twenty_five_points_are_understood():
    twenty_five = [*STANDING[:8], (128, 150), *STANDING[8:], *[(0, 0)] * 6]
    told = {**written(), "people": [{"pose_keypoints_2d": numbers(twenty_five, sure=0.7)}]}
    assert read_poses(told).people == read_poses(written()).people


def test_a_canvas_of_another_size_takes_the_people_along():
    larger = resized(read_poses(written()), 512, 128)
    assert (larger.width, larger.height) == (512, 128)
    assert larger.people[0].body[0] == (256, 20)
    fractions = Poses(people=(Person(body=((0.5, 0.5),) * 18),), width=10, height=10)
    assert resized(fractions, 20, 20).people == fractions.people


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ([], "JSON"),
        ({"people": {}}, "people"),
        ({"people": [], "canvas_height": 5}, "canvas_width"),
        ({"people": [], "canvas_height": 5, "canvas_width": True}, "canvas_width"),
        ({"people": [], "canvas_height": 1e9, "canvas_width": 5}, "canvas_height"),
        ({**written(), "people": [7]}, "people[0]"),
        (written(pose_keypoints_2d=[1, 2]), "people[0].pose_keypoints_2d"),
        (written(pose_keypoints_2d=[1, 2, 1]), "people[0].pose_keypoints_2d"),
        (written(pose_keypoints_2d=["1"] * 54), "people[0].pose_keypoints_2d"),
        (written(pose_keypoints_2d=[math.nan] * 54), "people[0].pose_keypoints_2d"),
        (written(pose_keypoints_2d=[1e30] * 54), "people[0].pose_keypoints_2d"),
        (written(hand_left_keypoints_2d=[1.0] * 60), "people[0].hand_left_keypoints_2d"),
        (written(face_keypoints_2d=[1.0] * 300), "people[0].face_keypoints_2d"),
        ({**written(), "people": [{}] * 101}, "people"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_told_with_its_place(told, where: str):
    with pytest.raises(BadPose) as caught:
        read_poses(told)
    assert caught.value.fields["where"] == where
    assert caught.value.fields["reason"]


def test_nobody_is_a_black_canvas():
    assert draw_poses([], 64, 48).shape == (48, 64, 3)
    assert not draw_poses([{}], 64, 48).any()
