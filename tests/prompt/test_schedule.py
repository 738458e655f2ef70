"""Schedules, row by row as A1111 1.10.1 lays them out over ten steps."""

import doctest

import pytest

from webui.domain.errors import TooLong
from webui.prompt import schedule as module
from webui.prompt.schedule import schedule

Entries = list[tuple[int, str]]


def turns(*texts: str, steps: int = 10) -> Entries:
    return [(step, texts[(step - 1) % len(texts)]) for step in range(1, steps + 1)]


SWITCHES: list[tuple[str, Entries]] = [
    ("[cat:dog:5]", [(5, "cat"), (10, "dog")]),
    ("[cat:dog:0.5]", [(5, "cat"), (10, "dog")]),
    ("[cat:dog:.5]", [(5, "cat"), (10, "dog")]),
    ("[cat:5]", [(5, ""), (10, "cat")]),
    ("[cat::5]", [(5, "cat"), (10, "")]),
    ("[cat:dog:1]", [(1, "cat"), (10, "dog")]),
    ("[cat:dog:1.0]", [(10, "cat")]),
    ("[cat:dog:0]", [(10, "dog")]),
    ("[cat:dog:-1]", [(10, "dog")]),
    ("[cat:dog:10]", [(10, "cat")]),
    ("[cat:dog:12]", [(10, "cat")]),
    ("[cat:dog:5.0]", [(10, "cat")]),
    ("[cat:dog:1e999]", [(10, "cat")]),
    ("[[cat:dog:3]:bird:6]", [(3, "cat"), (6, "dog"), (10, "bird")]),
    ("[x:[a|b]:4]", [(step, "x" if step <= 4 else "ab"[(step - 1) % 2]) for step in range(1, 11)]),
    ("([cat:dog:5]:1.3)", [(5, "(cat:1.3)"), (10, "(dog:1.3)")]),
    ("[(cat:1.2):dog:3]", [(3, "(cat:1.2)"), (10, "dog")]),
    ("[cat : dog : 5]", [(5, "cat "), (10, " dog ")]),
    ("a [b: 3]", [(3, "a "), (10, "a b")]),
    ("a [[[b]]:2]", [(2, "a "), (10, "a [[b]]")]),
    ("a[b:[c:d:2]:1]e", [(1, "abe"), (2, "ace"), (10, "ade")]),
    (r"[\[cat\]:dog\::5]", [(5, r"\[cat\]"), (10, r"dog\:")]),
    ("[猫:狗:5]，好", [(5, "猫，好"), (10, "狗，好")]),
    ("a [{b::.5] c", [(5, "a {b c"), (10, "a  c")]),
]
ALTERNATES: list[tuple[str, Entries]] = [
    ("[a|b|c]", turns("a", "b", "c")),
    ("[a||b]", turns("a", "", "b")),
    ("[fe|]male", turns("female", "male")),
    ("[fe|||]male", turns("female", "male", "male", "male")),
    ("[a|(b:1.1)]", turns("a", "(b:1.1)")),
    ("[|]", turns("", "")),
]
TEXT = [
    "[cat]", "[cat:dog]", "[cat:dog:fish]", "[cat:dog:5:6]", "[(a:b:c):d:5]", "a [b", "a ]b[", "[a:b:]", "a:b",
    "(a:b:c)",
    "[cat:dog:5%]", "", "test", "猫，狗",
]
UNBALANCED: list[tuple[str, Entries]] = [
    ("[a:b:5] and [c", [(5, "a and [c"), (10, "b and [c")]),
    ("[a:b:5] and (c", [(5, "a and (c"), (10, "b and (c")]),
    ("[a:b:5] and c]", [(5, "a and c]"), (10, "b and c]")]),
    ("((a][:b:c [d:3]", [(3, "((a][:b:c "), (10, "((a][:b:c d")]),
    ("a [b [c:d:5]", [(5, "a [b c"), (10, "a [b d")]),
    ("[x [cat:dog] [y:z:5]:3", [(5, "[x [cat:dog] y:3"), (10, "[x [cat:dog] z:3")]),
]
WHOLE_PROMPT_LITERAL = [
    "[a:b:5] | x", "x | y", "[a:b:5] and [c|d", "[a|b:c] [d:e:5]", "[a:b:5|c]", "[(a|b):c:5]", "[a:b:5] \\",
    "[a:b:5] \\\n x", "(a|b) [c:d:5]",
]


@pytest.mark.parametrize(("text", "expected"), SWITCHES + ALTERNATES + UNBALANCED)
def test_schedules_are_laid_out_as_in_a1111(text: str, expected: Entries) -> None:
    assert schedule(text, 10) == expected


@pytest.mark.parametrize("text", TEXT + WHOLE_PROMPT_LITERAL)
def test_what_is_no_schedule_stays_text(text: str) -> None:
    assert schedule(text, 10) == [(10, text)]


@pytest.mark.parametrize("sign", "[](:)")
def test_a_stray_sign_touching_a_schedule_does_not_switch_it_off(sign: str) -> None:
    assert schedule(f"[a:b:5]{sign}", 10) == [(5, f"a{sign}"), (10, f"b{sign}")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[c:d:5]", [(10, "d")]),
        ("[c:d:0.5]", [(10, "d")]),
        ("[c:d:1.0]", [(10, "d")]),
        ("[c:d:1.5]", [(5, "c"), (10, "d")]),
        ("[c:d:15]", [(5, "c"), (10, "d")]),
        ("[c:d:25]", [(10, "c")]),
        ("[c:d:2.0]", [(10, "c")]),
        ("[a|b]", turns("a", "b")),
        ("a | b", [(10, "a | b")]),
    ],
)
def test_the_second_pass_goes_on_counting(text: str, expected: Entries) -> None:
    assert schedule(text, 10, hires_steps=10) == expected


def test_the_second_pass_may_have_other_steps() -> None:
    assert schedule("[c:d:1.5] [e:f:22]", 20, hires_steps=6) == [(2, "c e"), (3, "c f"), (6, "d f")]


@pytest.mark.parametrize("hires_steps", [None, 6])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[c:d:0.5]", [(5, "c"), (10, "d")]),
        ("[c:d:1.5]", [(1, "c"), (10, "d")]),
        ("[c:d:1.0]", [(1, "c"), (10, "d")]),
        ("[c:d:5]", [(5, "c"), (10, "d")]),
        ("[c:d:15]", [(10, "c")]),
    ],
)
def test_old_rules_give_both_passes_one_timeline(text: str, expected: Entries, hires_steps: int | None) -> None:
    assert schedule(text, 10, hires_steps=hires_steps, old=True) == expected


def test_the_classic_example_of_a_landscape_holds() -> None:
    text = (
        "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75]"
        "[ in foreground::0.6][ in background:0.25] [shoddy:masterful:0.5]"
    )
    assert schedule(text, 100) == [
        (25, "fantasy landscape with a mountain and an oak in foreground shoddy"),
        (50, "fantasy landscape with a lake and an oak in foreground in background shoddy"),
        (60, "fantasy landscape with a lake and an oak in foreground in background masterful"),
        (75, "fantasy landscape with a lake and an oak in background masterful"),
        (100, "fantasy landscape with a lake and a christmas tree in background masterful"),
    ]


def test_a_ten_megabyte_prompt_is_refused() -> None:
    with pytest.raises(TooLong):
        schedule("[a:b:5]" * 1_500_000, 10)


@pytest.mark.parametrize(
    "text",
    ["[" * 10_000, "(" * 10_000, "]" * 10_000, "[a:" * 10_000, "[a" * 10_000 + ":5]" * 9_000,
     "(a" * 10_000 + ")" * 10_000,
     "[" * 10_000 + "]" * 10_000, "[a|" * 10_000 + "]" * 10_000, "[a::5]" * 10_000, "\\" * 99_999, "a\\[" * 30_000],
)
def test_ten_thousand_brackets_end_in_a_result(text: str) -> None:
    entries = schedule(text, 20)
    assert entries[-1][0] == 20


def test_the_examples_in_the_docstring_hold() -> None:
    assert doctest.testmod(module).failed == 0
