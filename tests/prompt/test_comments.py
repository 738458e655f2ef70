"""Comments, with the line breaks A1111 leaves."""

import doctest

import pytest

from webui.prompt import comments
from webui.prompt.comments import strip_comments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a photo of a cat # a dog\n# whole line\nmasterpiece, sharp", "a photo of a cat \nmasterpiece, sharp"),
        ("a, #1 best", "a, \n"),
        ("colour #ff00ff, cat", "colour \n"),
        (r"a \# b", "a \\\n"),
        ("# only", "\n"),
        ("a\n# x\nb", "a\nb"),
        ("a\n# x\n# y\nb", "a\n\nb"),
        ("no comment", "no comment"),
        ("", ""),
    ],
)
def test_comments_go_to_the_end_of_the_line(text: str, expected: str) -> None:
    assert strip_comments(text) == expected


def test_the_examples_in_the_docstring_hold() -> None:
    assert doctest.testmod(comments).failed == 0
