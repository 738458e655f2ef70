"""`a AND b:0.5`: one picture from several prompts (Liu et al. 2022, composable diffusion). Positive prompts only.

>>> split_and("a AND b:0.5 AND c:-1")
[('a', 1.0), (' b', 0.5), (' c', -1.0)]
"""

import re

from webui.prompt.limits import check_length

_AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*")


def split_and(text: str) -> list[tuple[str, float]]:
    """Parts and their weights, at least one part.

    The trailing `: number` of a part is its weight even when there is no AND: a prompt that ends in `16:9` has weight 9
    and ends in `16`. A1111 reads it so, and old seeds hang on it.
    """
    return [_weighed(part) for part in _AND.split(check_length(text))]


def _weighed(part: str) -> tuple[str, float]:
    head, colon, tail = part.rpartition(":")
    number = _WEIGHT.fullmatch(tail) if colon else None
    if number is None:
        return part.rstrip(), 1.0
    return head.rstrip(), float(number[1])
