"""`<type:args>` tags."""

import doctest

import pytest

from webui.domain.errors import TooLong
from webui.prompt import networks
from webui.prompt.networks import NetworkTag, extract


def one(text: str) -> NetworkTag:
    rest, tags = extract(text)
    assert rest == ""
    assert len(tags) == 1
    return tags[0]


def test_a_tag_is_taken_out_and_the_rest_stays_as_it_is() -> None:
    assert extract("a <lora:x:0.8> b") == ("a  b", [NetworkTag("lora", ("x", "0.8"))])


def test_positional_and_named_arguments_stand_in_any_order() -> None:
    tag = one("<lora:x:te=0.5:1:dyn=4:unet=2>")
    assert (tag.kind, tag.name) == ("lora", "x")
    assert tag.positional == ("x", "1")
    assert tag.named == {"te": "0.5", "dyn": "4", "unet": "2"}


def test_an_argument_with_two_equal_signs_is_positional() -> None:
    assert one("<lora:x:a=b=c>").positional == ("x", "a=b=c")


def test_a_repeated_tag_counts_each_time() -> None:
    assert [tag.name for tag in extract("<lora:x:1><lora:x:1>")[1]] == ["x", "x"]


@pytest.mark.parametrize("kind", ["lora", "lyco", "hypernet", "word", "3", "风格"])
def test_tags_of_every_kind_are_taken_out(kind: str) -> None:
    assert one(f"<{kind}:x>").kind == kind


@pytest.mark.parametrize("text", ["a < b: c >", "<lora>", "<lora:>", "<lora:x", "<-:x>", "a <b c:d>", "1 < 2"])
def test_what_is_no_tag_stays(text: str) -> None:
    assert extract(text) == (text, [])


def test_names_may_hold_blanks_dots_and_chinese() -> None:
    assert one("<lora:水墨 v1.5 (final):0.7>").items == ("水墨 v1.5 (final)", "0.7")


def test_a_tag_of_named_items_only_has_no_name() -> None:
    assert one("<lora:te=1>").name == ""


@pytest.mark.parametrize("text", ["<a:" * 33_000, "<a:" * 33_000 + ">", "<" * 99_000, "<" + "w" * 99_000])
def test_long_runs_take_no_quadratic_time(text: str) -> None:
    rest, _ = extract(text)
    assert len(rest) <= len(text)


def test_a_prompt_past_the_limit_is_refused() -> None:
    with pytest.raises(TooLong):
        extract("<lora:x:1>" * 1_000_000)


def test_the_examples_in_the_docstring_hold() -> None:
    assert doctest.testmod(networks).failed == 0
