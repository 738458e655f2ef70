"""Which text is in force at which model call, and what is encoded for it."""

from collections.abc import Sequence

import pytest
import torch

from webui.engine.conditioning import BatchConditioning, ConditioningCache, build
from webui.engine.types import COND, UNCOND, Encoded

pytestmark = pytest.mark.torch


class Encoder:
    """Stands for a text model: a text becomes one token holding its number, two when it is long; calls are kept."""

    def __init__(self) -> None:
        self.groups: list[tuple[str, ...]] = []
        self.roles: list[str] = []
        self.numbers: dict[str, int] = {}

    def __call__(self, texts: Sequence[str], role: str) -> list[Encoded]:
        self.groups.append(tuple(texts))
        self.roles.append(role)
        return [Encoded(torch.full((2 if "long" in text else 1, 4), self.number(text))) for text in texts]

    def number(self, text: str) -> float:
        return float(self.numbers.setdefault(text, len(self.numbers)))

    def name(self, encoded: Encoded) -> str:
        return next(text for text, number in self.numbers.items() if number == encoded.states[0, 0].item())


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


def seen(made: BatchConditioning, encoder: Encoder, calls: int) -> list[str]:
    """The first picture's first part at each call."""
    return [encoder.name(made.at(call)[0][0][0][0]) for call in range(calls)]


def test_the_first_text_lasts_one_call_longer_than_its_steps(encoder: Encoder) -> None:
    made = build(["[a:b:5]"], [""], encoder, steps=10)
    assert seen(made, encoder, 10) == ["a"] * 6 + ["b"] * 4


def test_alternating_words_show_the_first_twice(encoder: Encoder) -> None:
    made = build(["[a|b]"], [""], encoder, steps=6)
    assert seen(made, encoder, 6) == ["a", "a", "b", "a", "b", "a"]


def test_second_order_samplers_lay_schedules_over_twice_the_steps(encoder: Encoder) -> None:
    made = build(["[a:b:0.5]"], [""], encoder, steps=10, second_order=True)
    assert seen(made, encoder, 20) == ["a"] * 11 + ["b"] * 9


def test_the_second_pass_counts_on_from_the_first(encoder: Encoder) -> None:
    made = build(["[a:b:1.5] [c:d:12]"], [""], encoder, steps=10, hires_steps=6)
    assert seen(made, encoder, 6) == ["a c"] * 3 + ["a d"] + ["b d"] * 2


def test_the_second_pass_counts_on_from_the_calls_of_a_second_order_sampler(encoder: Encoder) -> None:
    made = build(["[a:b:22]"], [""], encoder, steps=10, second_order=True, hires_steps=5)
    assert seen(made, encoder, 5) == ["a"] * 3 + ["b"] * 2


def test_old_rules_keep_the_first_passes_timeline(encoder: Encoder) -> None:
    made = build(["[a:b:1.5]"], [""], encoder, steps=10, hires_steps=6, old=True)
    assert seen(made, encoder, 6) == ["a"] * 2 + ["b"] * 4


def test_past_the_end_the_first_text_is_in_force_again_as_in_a1111(encoder: Encoder) -> None:
    made = build(["[a:b:5]"], [""], encoder, steps=10)
    assert encoder.name(made.at(11)[0][0][0][0]) == "a"


def test_positive_prompts_are_split_on_and_with_their_weights(encoder: Encoder) -> None:
    made = build(["a AND b:0.5", "c"], ["x AND y", "z"], encoder, steps=4)
    parts, uncond = made.at(0)
    named = [[(encoder.name(text), weight) for text, weight in picture] for picture in parts]
    assert named == [[("a", 1.0), (" b", 0.5)], [("c", 1.0)]]
    assert [encoder.name(text) for text in uncond] == ["x AND y", "z"]


def test_negative_prompts_have_schedules_too(encoder: Encoder) -> None:
    made = build(["a"], ["[x:y:2]"], encoder, steps=4)
    assert [encoder.name(made.at(call)[1][0]) for call in range(4)] == ["x", "x", "x", "y"]


def test_all_variants_of_one_prompt_are_encoded_together_and_each_prompt_once(encoder: Encoder) -> None:
    build(["[a:b:2] AND c", "c AND [a:b:2]", "[a:b:2]"], ["n", "n", "d"], encoder, steps=4)
    assert sorted(encoder.groups) == [(" a", " b"), (" c",), ("a", "b"), ("c",), ("d",), ("n",)]


def test_a_batch_of_one_prompt_is_encoded_once(encoder: Encoder) -> None:
    build(["cat"] * 8, ["low"] * 8, encoder, steps=20)
    assert encoder.groups == [("low",), ("cat",)]


def test_shorter_parts_are_filled_with_their_last_token(encoder: Encoder) -> None:
    made = build(["a long one", "b"], ["", "long"], encoder, steps=4)
    parts, uncond = made.at(0)
    assert [text.tokens for picture in parts for text, _ in picture] == [2, 2]
    filled = parts[1][0][0].states
    assert torch.equal(filled[1], filled[0])
    assert [text.tokens for text in uncond] == [1, 2]


def test_what_was_encoded_is_kept_between_runs(encoder: Encoder) -> None:
    cache = ConditioningCache()
    first = build(["[a:b:2]"], ["n"], encoder, steps=4, cache=cache, key="model 1")
    again = build(["[a:b:2]"], ["n"], encoder, steps=4, cache=cache, key="model 1")
    assert encoder.groups == [("n",), ("a", "b")]
    assert again.at(0)[0][0][0][0] is first.at(0)[0][0][0][0]


def test_other_settings_are_another_key(encoder: Encoder) -> None:
    cache = ConditioningCache()
    for key in (("model 1", 1), ("model 1", 2), ("model 2", 1)):
        build(["a"], ["n"], encoder, steps=4, cache=cache, key=key)
    assert len(encoder.groups) == 6


def test_steps_alone_do_not_encode_again_when_the_texts_stay(encoder: Encoder) -> None:
    cache = ConditioningCache()
    build(["[a:b:2]"], ["n"], encoder, steps=4, cache=cache)
    made = build(["[a:b:3]"], ["n"], encoder, steps=9, cache=cache)
    assert len(encoder.groups) == 2
    assert seen(made, encoder, 9) == ["a"] * 4 + ["b"] * 5


def test_prompt_and_negative_of_one_text_are_encoded_each_in_its_role(encoder: Encoder) -> None:
    build(["same"], ["same"], encoder, steps=4, padding="empty")
    assert list(zip(encoder.groups, encoder.roles, strict=True)) == [
        (("same",), UNCOND), (("same",), COND), (("",), COND),
    ]  # fmt: skip


def test_the_cache_lets_the_longest_unused_go(encoder: Encoder) -> None:
    cache = ConditioningCache(most_bytes=2 * 16)
    for text in ("a", "b", "a", "c", "a", "b"):
        cache.encode((text,), COND, encoder, None)
    assert encoder.groups == [("a",), ("b",), ("c",), ("b",)]


def test_a_cleared_cache_encodes_anew(encoder: Encoder) -> None:
    cache = ConditioningCache()
    cache.encode(("a",), COND, encoder, None)
    cache.clear()
    cache.encode(("a",), COND, encoder, None)
    assert encoder.groups == [("a",), ("a",)]


def test_padding_fills_the_shorter_with_the_empty_prompt(encoder: Encoder) -> None:
    made = build(["a long one"], ["n"], encoder, steps=4, padding="empty")
    (uncond,) = made.at(0)[1]
    assert [number.item() for number in uncond.states[:, 0]] == [encoder.number("n"), encoder.number("")]
    made = build(["a"], ["a long one"], encoder, steps=4, padding="empty")
    ((text, _),) = made.at(0)[0][0]
    assert [number.item() for number in text.states[:, 0]] == [encoder.number("a"), encoder.number("")]


def test_padding_v0_repeats_the_last_token_and_cuts_a_longer_negative(encoder: Encoder) -> None:
    (uncond,) = build(["a long one"], ["n"], encoder, steps=4, padding="v0").at(0)[1]
    assert [number.item() for number in uncond.states[:, 0]] == [encoder.number("n")] * 2
    (uncond,) = build(["a"], ["a long one"], encoder, steps=4, padding="v0").at(0)[1]
    assert uncond.states.shape == (1, 4)


@pytest.mark.parametrize(("negative", "uneven"), [("n", False), ("a long one", True), ("[n:long:2]", True)])
def test_whether_padding_matters_is_known(encoder: Encoder, negative: str, uneven: bool) -> None:
    assert build(["a"], [negative], encoder, steps=4).uneven is uneven
