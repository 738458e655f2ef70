"""Emphasis: `(a)`, `(a:1.3)`, `[a]`, `\\(` and BREAK, read exactly as A1111 1.10.1 reads them.

>>> parse_attention("a (b) c")
[('a ', 1.0), ('b', 1.1), (' c', 1.0)]
>>> parse_attention("((a:1.2) b)")
[('a', 1.32), (' b', 1.1)]
>>> parse_attention("a BREAK b")
[('a', 1.0), ('BREAK', -1.0), ('b', 1.0)]
"""

import re
from collections.abc import Iterator

from webui.prompt.limits import MOST_OPEN_BRACKETS, TooDeep, check_length

BREAK = ("BREAK", -1.0)
"""The marker: text *and* weight. Inside brackets the weight changes and the word is encoded as text, as in A1111."""
EMPHASIS_MODES = ("None", "Ignore", "Original", "No norm")
UP = 1.1
DOWN = 1 / 1.1

_PIECE = re.compile(
    r"""
    \\(?P<escaped>[()\[\]\\]?)              # one escaped sign; before anything else the backslash alone is dropped
    | (?P<open>[(\[])
    | :\s*(?P<weight>[+-]?[.\d]+)\s*(?P<weighed>\))
    | (?P<close>[)\]])
    | (?P<text>[^\\()\[\]:]+ | :)
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\bBREAK\b\s*")


def parse_attention(text: str, emphasis: str = "Original") -> list[tuple[str, float]]:
    """Pieces of text with their weights, neighbours of equal weight joined; never empty.

    `emphasis` is one of EMPHASIS_MODES; "None" leaves the text as it stands. A weight that is no number (`1.2.3`)
    leaves its bracket literal. Raises TooLong, and TooDeep past MOST_OPEN_BRACKETS open brackets.
    """
    check_length(text)
    if emphasis == "None":
        return [(text, 1.0)]
    texts: list[str] = []
    weights: list[float] = []
    round_open: list[int] = []
    square_open: list[int] = []

    def weigh(start: int, factor: float) -> None:
        # Item by item and bracket by bracket: the order of multiplications decides the last bit, and seeds hang on it.
        weights[start:] = [weight * factor for weight in weights[start:]]

    for found in _PIECE.finditer(text):
        piece = found[0]
        factor = _number(found["weight"])
        if found["escaped"] is not None:
            texts.append(piece[1:])
            weights.append(1.0)
        elif found["open"]:
            (round_open if piece == "(" else square_open).append(len(texts))
            if len(round_open) + len(square_open) > MOST_OPEN_BRACKETS:
                raise TooDeep(field="prompt", most=MOST_OPEN_BRACKETS)
        elif factor is not None and round_open:
            weigh(round_open.pop(), factor)
        elif piece == ")" and round_open:
            weigh(round_open.pop(), UP)
        elif piece == "]" and square_open:
            weigh(square_open.pop(), DOWN)
        else:
            for part, weight in _split_break(piece):
                texts.append(part)
                weights.append(weight)
    for start in round_open:
        weigh(start, UP)
    for start in square_open:
        weigh(start, DOWN)
    return _joined(texts, weights)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _split_break(text: str) -> Iterator[tuple[str, float]]:
    # Blanks before the word are stripped here: in the pattern they would be tried once for every blank of a long run.
    *before, last = _BREAK.split(text)
    for part in before:
        yield part.rstrip(), 1.0
        yield BREAK
    yield last, 1.0


def _joined(texts: list[str], weights: list[float]) -> list[tuple[str, float]]:
    """Runs of one weight as one piece."""
    if not texts:
        return [("", 1.0)]
    runs: list[tuple[list[str], float]] = []
    for text, weight in zip(texts, weights, strict=True):
        if runs and runs[-1][1] == weight:
            runs[-1][0].append(text)
        else:
            runs.append(([text], weight))
    return [("".join(parts), weight) for parts, weight in runs]
