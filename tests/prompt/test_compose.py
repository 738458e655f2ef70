"""AND and its weights, as A1111 1.10.1 splits them."""

import doctest

import pytest

from webui.domain.errors import TooLong
from webui.prompt import compose
from webui.prompt.compose import split_and


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [("a", 1.0)]),
        ("", [("", 1.0)]),
        ("a AND b:0.5 AND c:-1", [("a", 1.0), (" b", 0.5), (" c", -1.0)]),
        ("a AND b :+2.", [("a", 1.0), (" b", 2.0)]),
        ("a AND b: .5\n", [("a", 1.0), (" b", 0.5)]),
        ("a AND (b:1.2)", [("a", 1.0), (" (b:1.2)", 1.0)]),
        ("a AND (b:1.2):0.7", [("a", 1.0), (" (b:1.2)", 0.7)]),
        ("a and b", [("a and b", 1.0)]),
        ("aANDb SAND", [("aANDb SAND", 1.0)]),
        ("a\nAND\nb", [("a", 1.0), ("\nb", 1.0)]),
        ("line one\nline two :2", [("line one\nline two", 2.0)]),
        ("wide screen 16:9", [("wide screen 16", 9.0)]),
        ("x:1.2", [("x", 1.2)]),
        ("time 12:30 clock", [("time 12:30 clock", 1.0)]),
        ("a:b:3", [("a:b", 3.0)]),
        ("a:1e3", [("a:1e3", 1.0)]),
        ("AND", [("", 1.0), ("", 1.0)]),
    ],
)
def test_parts_and_weights_are_those_of_a1111(text: str, expected: list[tuple[str, float]]) -> None:
    assert split_and(text) == expected


@pytest.mark.parametrize("text", [" " * 99_000 + "x", ":" * 99_000, " :1" * 30_000, "AND " * 24_000])
def test_long_runs_take_no_quadratic_time(text: str) -> None:
    assert split_and(text)


def test_a_prompt_past_the_limit_is_refused() -> None:
    with pytest.raises(TooLong):
        split_and("a AND " * 2_000_000)


def test_the_examples_in_the_docstring_hold() -> None:
    assert doctest.testmod(compose).failed == 0
