"""Emphasis, row by row as A1111 1.10.1 reads it."""

import doctest

import pytest

from webui.domain.errors import TooLong
from webui.prompt import attention
from webui.prompt.attention import BREAK, parse_attention
from webui.prompt.limits import MOST_CHARACTERS, MOST_OPEN_BRACKETS, TooDeep

DOWN = 1 / 1.1

ROWS = [
    ("a (b) c", [("a ", 1.0), ("b", 1.1), (" c", 1.0)]),
    ("((x))", [("x", 1.1 * 1.1)]),
    ("[x]", [("x", DOWN)]),
    ("[[x]]", [("x", DOWN * DOWN)]),
    ("(x:1.3)", [("x", 1.3)]),
    ("(a:.5)", [("a", 0.5)]),
    ("(a:-1)", [("a", -1.0)]),
    ("(a:+2)", [("a", 2.0)]),
    ("(a: 1.3 )", [("a", 1.3)]),
    ("((a:1.2) b)", [("a", 1.2 * 1.1), (" b", 1.1)]),
    ("(a, (b:1.5):0.5)", [("a, ", 0.5), ("b", 0.75)]),
    ("(a:1.3:1.5)", [("a:1.3", 1.5)]),
    ("[a:1.3]", [("a:1.3", DOWN)]),
    ("(a:1.3, b)", [("a:1.3, b", 1.1)]),
    ("(a:)", [("a:", 1.1)]),
    ("(a:1,2)", [("a:1,2", 1.1)]),
    ("(x", [("x", 1.1)]),
    ("(x:1.2", [("x:1.2", 1.1)]),
    ("x)", [("x)", 1.0)]),
    ("a:1.2)", [("a:1.2)", 1.0)]),
    ("[x", [("x", DOWN)]),
    (r"\(x\)", [("(x)", 1.0)]),
    (r"\[x\]", [("[x]", 1.0)]),
    ("\\\\", [("\\", 1.0)]),
    (r"\:", [(":", 1.0)]),
    ("\\", [("", 1.0)]),
    ("a BREAK b", [("a", 1.0), BREAK, ("b", 1.0)]),
    ("a\n BREAK\tb", [("a", 1.0), BREAK, ("b", 1.0)]),
    ("aBREAKb", [("aBREAKb", 1.0)]),
    ("BREAKS", [("BREAKS", 1.0)]),
    ("break", [("break", 1.0)]),
    ("BREAK", [("", 1.0), BREAK, ("", 1.0)]),
    ("a BREAK BREAK b", [("a", 1.0), BREAK, ("", 1.0), BREAK, ("b", 1.0)]),
    ("(a BREAK b:1.2)", [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]),
    ("(a)(b)", [("ab", 1.1)]),
    ("", [("", 1.0)]),
    ("()", [("", 1.0)]),
    ("(x:100)", [("x", 100.0)]),
    ("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
     [("a ", 1.0), ("house", 1.3 * 1.1 * 1.1), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55),
      (", sun, ", 1.1), ("sky", 1.1 * 1.1 * 1.1 * 1.1), (".", 1.1)]),
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_brackets_weigh_as_in_a1111(text: str, expected: list[tuple[str, float]]) -> None:
    assert [piece for piece, _ in parse_attention(text)] == [piece for piece, _ in expected]
    assert [weight for _, weight in parse_attention(text)] == pytest.approx([weight for _, weight in expected])


def test_emphasis_none_leaves_the_text_as_it_stands() -> None:
    assert parse_attention("a (b:1.3) BREAK [c]", "None") == [("a (b:1.3) BREAK [c]", 1.0)]


@pytest.mark.parametrize("emphasis", ["Ignore", "Original", "No norm"])
def test_every_other_mode_parses(emphasis: str) -> None:
    assert parse_attention("(b:1.5)", emphasis) == [("b", 1.5)]


def test_a_weight_that_is_no_number_leaves_its_bracket_literal() -> None:
    assert parse_attention("(a:1.2.3)") == [("a:1.2.3)", 1.1)]


def test_a_prompt_past_the_limit_is_refused_with_its_length() -> None:
    with pytest.raises(TooLong) as refused:
        parse_attention("x" * (10 * 2**20))
    assert refused.value.fields == {"field": "prompt", "length": 10 * 2**20, "most": MOST_CHARACTERS}


@pytest.mark.parametrize("bracket", ["(", "[", "(a", "[(", "(a:1 "])
def test_ten_thousand_open_brackets_are_refused_in_words(bracket: str) -> None:
    with pytest.raises(TooDeep):
        parse_attention(bracket * 10_000)


@pytest.mark.parametrize("bracket", [")", "]", "a)", ":1.2)", "\\(", "()", "(a)"])
def test_ten_thousand_brackets_that_do_not_nest_are_read(bracket: str) -> None:
    assert parse_attention(bracket * 10_000)


def test_as_many_open_brackets_as_allowed_are_read() -> None:
    (text, weight), = parse_attention("(" * MOST_OPEN_BRACKETS + "a")
    assert text == "a"
    assert weight == pytest.approx(1.1**MOST_OPEN_BRACKETS)


@pytest.mark.parametrize("text", [" " * 99_000, ": " * 49_000, ":" + "1" * 99_000, "\\" * 99_000, "BREAK " * 16_000])
def test_long_runs_take_no_quadratic_time(text: str) -> None:
    assert parse_attention(text)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(attention).failed == 0
