"""The checkpoint that is shipped follows prompts nobody trained it on."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from webui.demo import checkpoint, text
from webui.demo.__main__ import CHECKPOINT
from webui.demo.judge import held_back, judge, score
from webui.demo.sample import sample

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]


def test_the_shipped_checkpoint_draws_what_held_back_prompts_ask():
    parts, size = checkpoint.opened(ROOT / CHECKPOINT, text.clip_rows())
    asked = held_back(24)  # enough that three misses of one shape do not decide
    pictures = sample(parts, [thing.prompt for thing in asked], seeds=range(24), size=size)
    result = score([judge(picture, thing) for picture, thing in zip(pictures, asked, strict=True)])
    assert result.background == 1
    assert result.colour == 1
    assert result.shape >= 0.75


def test_the_shipped_checkpoint_names_its_size_licence_and_settings():
    config = checkpoint.header(ROOT / CHECKPOINT)
    assert config["name"] == "Maple demo"
    assert config["licence"] == "CC0-1.0"
    assert config["native_size"] == [128, 128]
    assert (config["sampler"], config["steps"], config["cfg_scale"]) == ("Euler a", 20, 5.0)
    assert (ROOT / CHECKPOINT).stat().st_size <= 30_000_000
