"""Every style is seen in drawings of it and not in plain ones."""

import random

import pytest

from webui.demo.drawings import Spec, draw, random_spec
from webui.demo.styles import STYLES, Style, styled


def specs(count: int) -> list[Spec]:
    rng = random.Random(5)
    found: list[Spec] = []
    while len(found) < count:
        spec = random_spec(rng)
        if spec.kind == "single" and not spec.gradient and "black" not in (spec.colour, spec.background):
            found.append(spec)
    return found


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_an_eye_sees_its_style_and_nothing_else(style: Style):
    drawn = specs(10)
    assert all(style.eye(styled(style, spec, 128)) for spec in drawn)
    assert sum(style.eye(draw(spec, 128)) for spec in drawn) <= 2
    for other in STYLES:
        # Sepia makes rust and old paper of many colours, and finds itself in them.
        if other is not style and "sepia" not in (style.name, other.name):
            assert sum(style.eye(styled(other, spec, 128)) for spec in drawn) <= 4


def test_a_style_changes_nothing_but_itself():
    for spec in specs(5):
        for style in STYLES:
            assert styled(style, spec, 64).size == (64, 64)
            assert styled(style, spec, 64).tobytes() == styled(style, spec, 64).tobytes()
