"""The extensions that come with the project do what they say."""

import random
import sys
from pathlib import Path
from types import ModuleType

import pytest

from webui.domain import GenerationRequest, Hires, Picture, Plan
from webui.hooks import Hooks
from webui.plugins import Plugins
from webui.settings import Settings
from webui.settings.flags import Flags


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    hooks = Hooks()
    Plugins.load(Flags(data_dir=tmp_path), Settings(), tmp_path, hooks)
    return hooks


def expanded(hooks: Hooks, **asked: object) -> GenerationRequest:
    request = GenerationRequest(**asked)  # type: ignore[arg-type]
    return hooks.transform("transform_request", request, "request", settings=None)


@pytest.fixture
def draw(hooks: Hooks) -> ModuleType:
    expanded(hooks, prompt="{a|b}")
    return sys.modules["maple_extensions.maple_wildcards.draw"]


def test_every_picture_of_a_batch_draws_its_own_prompt(hooks: Hooks) -> None:
    made = expanded(hooks, prompt="a {red|green|blue} __shape__", seed=7, batch_size=4, batch_count=3)
    assert len(made.prompts) == 12 and len(set(made.prompts)) > 3
    assert all("{" not in text and "__" not in text for text in made.prompts)
    assert made == expanded(hooks, prompt="a {red|green|blue} __shape__", seed=7, batch_size=4, batch_count=3)
    alone = expanded(hooks, prompt="a {red|green|blue} __shape__", seed=9)
    assert alone.prompts == made.prompts[2:3], "a picture's prompt goes by its own seed"


@pytest.mark.parametrize(
    "prompt", ["a red circle", "a {{{circle}}}", "[a|b] (c:1.2) <lora:x:1>", "__nobody__", r"\{a|b\}"]
)
def test_a_prompt_without_choices_stays_as_it_is(hooks: Hooks, prompt: str) -> None:
    assert expanded(hooks, prompt=prompt, seed=1) == GenerationRequest(prompt=prompt, seed=1)


def test_the_other_texts_draw_too(hooks: Hooks) -> None:
    made = expanded(hooks, prompt="p", negative_prompt="{x|x}", hires=Hires(prompt="{y|y}"), seed=1)
    assert (made.prompts, made.negative_prompt) == ((), "x")
    assert made.hires is not None and made.hires.prompt == "y"


def test_weights_counts_and_nesting(draw: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.txt").write_text("# a comment\n{x|x} __deep/two__\n\n", encoding="utf-8")
    (tmp_path / "deep" / "two.txt").write_text("2::y\n", encoding="utf-8")
    (tmp_path / "endless.txt").write_text("__endless__\n", encoding="utf-8")
    known = draw.Wildcards([tmp_path])
    drawn = [draw.draw("{9::a|b}", known, random.Random(seed)) for seed in range(300)]
    assert 240 < drawn.count("a") < 295
    assert draw.draw("__one__ __deep/*__", known, random.Random(0)) == "x y y"
    assert draw.draw("__endless__", known, random.Random(0)) == "__endless__"
    two = {draw.draw("{2$$ and $$a|b|c}", known, random.Random(seed)) for seed in range(40)}
    assert two == {"a and b", "b and a", "a and c", "c and a", "b and c", "c and b"}
    assert {len(draw.draw("{1-3$$a|b|c}", known, random.Random(seed)).split(", ")) for seed in range(40)} == {1, 2, 3}


def test_a_person_s_own_list_comes_before_ours(hooks: Hooks, tmp_path: Path) -> None:
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "shape.txt").write_text("hexagon\n", encoding="utf-8")
    assert expanded(hooks, prompt="__shape__", seed=1).prompt == "hexagon"


def planned(prompt: str) -> Plan:
    picture = Picture(prompt=prompt, negative="", seed=1, subseed=1)
    return Plan(request=GenerationRequest(), pictures=(picture,), passes=())


def test_nothing_is_put_around_the_model_when_no_contrast_is_asked_for(hooks: Hooks) -> None:
    def denoise(calls: object, context: object) -> list[object]:
        return []

    with hooks.around("wrap_run", plan=planned("a circle")):
        assert hooks.wrap("wrap_denoise", denoise, "denoise") is denoise
    with hooks.around("wrap_run", plan=planned("a circle <contrast:0.3>")):
        assert hooks.wrap("wrap_denoise", denoise, "denoise") is not denoise
    assert hooks.wrap("wrap_denoise", denoise, "denoise") is denoise, "a run's wish ends with it"
