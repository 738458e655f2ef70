import itertools
import math
import random

import cv2
import numpy as np
import pytest

from webui.demo.drawings import (
    ARM,
    COLOUR_NAMES,
    FREE,
    KEYPOINTS,
    KIND_NAMES,
    LABEL_SIZES,
    LEG,
    LIMB,
    POSES,
    SHAPE_NAMES,
    Spec,
    caption,
    draw,
    edges,
    figure_height,
    held_back_pose,
    held_back_triples,
    keypoints,
    labels,
    plain_caption,
    random_spec,
    split_words,
    words,
)


def many_specs(count: int) -> list[Spec]:
    rng = random.Random(5)
    return [random_spec(rng) for _ in range(count)]


def circle(seed: int) -> Spec:
    return Spec(kind="single", seed=seed, background="blue", colour="red", shape="circle")


def test_the_same_spec_draws_the_same_picture():
    for spec in many_specs(30):
        assert draw(spec, 64).tobytes() == draw(spec, 64).tobytes()


def test_another_seed_moves_sizes_and_tints_the_same_request():
    first, second = (np.asarray(draw(circle(seed), 64), dtype=float) for seed in (1, 2))
    assert np.abs(first - second).mean() > 3


def test_a_fifth_of_all_triples_is_held_back():
    every = len(SHAPE_NAMES) * len(COLOUR_NAMES) * (len(COLOUR_NAMES) - 1)
    assert 0.18 < len(held_back_triples()) / every < 0.22


def test_every_colour_shape_and_background_is_both_held_back_and_taught():
    held = held_back_triples()
    for place, names in enumerate((COLOUR_NAMES, SHAPE_NAMES, COLOUR_NAMES)):
        for name in names:
            assert 0 < sum(triple[place] == name for triple in held) < len(held)


def test_no_training_picture_shows_a_held_back_triple():
    held = set(held_back_triples())
    shown = {triple for spec in many_specs(6000) for triple in spec.triples()}
    assert not shown & held
    assert len(shown) > 400


def test_single_shapes_are_the_clear_majority_and_every_kind_occurs():
    kinds = [spec.kind for spec in many_specs(3000)]
    assert kinds.count("single") > 0.6 * len(kinds)
    assert set(kinds) == set(KIND_NAMES)


def test_a_thing_never_has_its_background_colour():
    for spec in many_specs(3000):
        if spec.kind != "scene":
            assert spec.background != spec.colour
        if spec.kind == "pair":
            assert spec.background != spec.second_colour


def test_a_shape_stays_inside_the_picture_wherever_it_is_placed():
    for spec in many_specs(400):
        if spec.kind == "single" and not spec.gradient:
            border = np.asarray(draw(spec, 96), dtype=float)
            edge = np.concatenate([border[0], border[-1], border[:, 0], border[:, -1]])
            # The corner of a big triangle may come as near as half a pixel.
            assert np.ptp(edge, axis=0).max() < 60


def test_the_caption_of_a_single_shape_names_colour_and_shape():
    spec = circle(3)
    said = {caption(spec, random.Random(seed)) for seed in range(200)}
    assert len(said) > 20
    for sentence in said:
        assert "red" in sentence
        assert any(word in sentence for word in ("circle", "disc", "ball"))


def test_captions_use_only_the_listed_words():
    known, rng = set(words()), random.Random(8)
    for spec in many_specs(3000):
        assert set(split_words(caption(spec, rng))) <= known


def test_the_plain_caption_has_the_right_articles():
    assert plain_caption("orange", "star", "blue") == "an orange star on a blue background"


def test_facts_fit_their_tables():
    for spec in many_specs(1000):
        facts = labels(spec)
        assert len(facts) == len(LABEL_SIZES)
        assert all(0 <= fact < size for fact, size in zip(facts, LABEL_SIZES, strict=True))


@pytest.mark.parametrize("pose", POSES)
def test_a_figure_knows_its_eighteen_joints(pose: str):
    spec = Spec(kind="figure", seed=4, background="white", colour="black", pose=pose)
    joints = dict(zip(KEYPOINTS, keypoints(spec), strict=True))
    assert len(joints) == 18
    assert joints["nose"][1] < joints["neck"][1] < joints["left_hip"][1]
    picture = np.asarray(draw(spec, 128).convert("L"))
    for name in ("neck", "left_elbow", "right_knee"):
        x, y = joints[name]
        assert picture[round(y * 128), round(x * 128)] < 100


def test_raised_arms_are_above_the_head_and_hanging_ones_below():
    def wrists(pose: str) -> tuple[float, float, float]:
        spec = Spec(kind="figure", seed=9, background="white", colour="black", pose=pose)
        joints = dict(zip(KEYPOINTS, keypoints(spec), strict=True))
        return joints["left_wrist"][1], joints["right_wrist"][1], joints["neck"][1]

    left, right, neck = wrists("arms up")
    assert max(left, right) < neck
    left, right, neck = wrists("standing")
    assert min(left, right) > neck


def test_other_kinds_have_no_joints():
    assert keypoints(circle(1)) == []


def dancers(count: int) -> list[Spec]:
    rng = random.Random(12)
    return [
        Spec(kind="figure", seed=rng.getrandbits(31), background="white", colour="black", pose=FREE)
        for _ in range(count)
    ]


def test_some_of_all_free_poses_are_held_back_and_training_never_shows_one():
    held = [held_back_pose(spec) for spec in dancers(600)]
    assert 0.05 < sum(held) / len(held) < 0.3
    rng = random.Random(2)
    assert not any(held_back_pose(random_spec(rng, {"figure": 1})) for _ in range(600))


def test_free_poses_differ_and_stay_inside_the_picture():
    hands = {tuple(round(value, 1) for point in (keypoints(spec)[4], keypoints(spec)[7]) for value in point)
             for spec in dancers(200)}  # fmt: skip
    assert len(hands) > 100
    for spec in dancers(200):
        assert all(0 < value < 1 for point in keypoints(spec) for value in point)


def test_arms_and_legs_are_fixed_shares_of_the_figures_height():
    for spec in dancers(50):
        joints, height = dict(zip(KEYPOINTS, keypoints(spec), strict=True)), figure_height(spec)
        for flank in ("left", "right"):
            for start, end, share in (("shoulder", "elbow", ARM), ("elbow", "wrist", ARM), ("hip", "knee", LEG),
                                      ("knee", "ankle", LEG)):  # fmt: skip
                length = math.dist(joints[f"{flank}_{start}"], joints[f"{flank}_{end}"])
                assert length == pytest.approx(share * height)


def test_a_free_poses_hands_and_feet_keep_clear_of_each_other():
    for spec in dancers(100):
        joints = keypoints(spec)
        ends = [joints[KEYPOINTS.index(f"{flank}_{joint}")] for flank in ("left", "right")
                for joint in ("wrist", "ankle")]  # fmt: skip
        assert min(math.dist(one, other) for one, other in itertools.combinations(ends, 2)) > LIMB


def test_a_blob_may_have_a_hole_that_shows_the_paper():
    spec = Spec(kind="blob", seed=6, background="yellow", colour="blue", second_colour="yellow")
    said = {caption(spec, random.Random(seed)) for seed in range(20)}
    assert all("with a hole" in sentence for sentence in said)
    picture = np.asarray(draw(spec, 128), dtype=int)
    like_paper = (np.abs(picture - picture[0, 0]).max(axis=-1) < 6).astype(np.uint8)
    assert cv2.connectedComponents(like_paper)[0] - 1 == 2


def test_two_scenes_do_not_look_alike():
    rng = random.Random(3)
    seen = [edges(random_spec(rng, {"scene": 1}), 64) for _ in range(12)]
    both = [(one & other).sum() / (one | other).sum() for one, other in itertools.combinations(seen, 2)]
    assert np.mean(both) < 0.15
