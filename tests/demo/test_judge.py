import numpy as np
import pytest
from PIL import Image

from webui.demo.drawings import COLOURS, SHAPE_NAMES, Spec, draw, is_held_back
from webui.demo.judge import Asked, chance, held_back, judge, nearest_colour, score, table


def truth(asked: Asked, *, seed: int, size: str = "normal", side: int = 128) -> Image.Image:
    spec = Spec(
        kind="single", seed=seed, background=asked.background, colour=asked.colour, shape=asked.shape, size=size
    )
    return draw(spec, side)


@pytest.mark.parametrize("side", [128, 256])
def test_true_drawings_pass(side: int):
    asked = held_back(120)
    verdicts = [judge(truth(thing, seed=number, side=side), thing) for number, thing in enumerate(asked)]
    assert score(verdicts).all >= 0.98


@pytest.mark.parametrize("size", ["small", "big"])
def test_small_and_big_true_drawings_pass(size: str):
    asked = held_back(60)
    verdicts = [judge(truth(thing, seed=number, size=size), thing) for number, thing in enumerate(asked)]
    assert score(verdicts).all >= 0.98


def test_shuffled_prompts_are_near_chance():
    asked = held_back(220)
    shuffled = chance([truth(thing, seed=number) for number, thing in enumerate(asked)], asked)
    assert shuffled.colour < 0.2
    assert shuffled.background < 0.2
    assert shuffled.shape < 0.3
    assert shuffled.all < 0.05


def test_every_wrong_answer_fails_only_where_it_is_wrong():
    picture = truth(Asked(colour="red", shape="circle", background="blue"), seed=1)
    verdict = judge(picture, Asked(colour="green", shape="circle", background="blue"))
    assert (verdict.background, verdict.colour, verdict.shape) == (True, False, True)
    verdict = judge(picture, Asked(colour="red", shape="circle", background="pink"))
    assert (verdict.background, verdict.colour, verdict.shape) == (False, True, True)


def test_no_shape_passes_for_another():
    for drawn in SHAPE_NAMES:
        picture = truth(Asked(colour="red", shape=drawn, background="white"), seed=2)
        passed = [
            asked for asked in SHAPE_NAMES if judge(picture, Asked(colour="red", shape=asked, background="white")).shape
        ]
        assert passed == [drawn]


def test_a_heart_on_its_head_is_not_a_heart():
    asked = Asked(colour="red", shape="heart", background="white")
    picture = truth(asked, seed=3)
    assert judge(picture, asked).shape
    assert not judge(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), asked).shape


def test_a_smudge_beside_the_shape_counts_against_it():
    asked = Asked(colour="red", shape="circle", background="white")
    picture = truth(asked, seed=4)
    picture.paste(COLOURS["red"], (8, 8, 40, 40))
    assert not judge(picture, asked).shape


def test_an_empty_picture_fails():
    asked = Asked(colour="red", shape="circle", background="white")
    verdict = judge(Image.new("RGB", (128, 128), "white"), asked)
    assert verdict.background
    assert not verdict.colour
    assert not verdict.shape


def test_every_palette_colour_is_nearest_to_itself():
    for name, rgb in COLOURS.items():
        assert nearest_colour(np.array(rgb, dtype=float)) == name


def test_only_held_back_things_are_asked():
    asked = held_back(200)
    assert len(asked) == 200
    assert all(is_held_back(thing.colour, thing.shape, thing.background) for thing in asked)


def test_the_table_shows_chance_and_truth_beside_the_model():
    asked = held_back(30)
    lines = table([Image.new("RGB", (64, 64), "white") for _ in asked], asked).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["model", "shuffled prompts", "true drawings"]
    assert lines[2].endswith("| 0.0% |")
    assert lines[4].endswith("| 100.0% |")
