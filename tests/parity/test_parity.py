"""A1111 1.10.1's own pictures come out again, through the whole of our path. A wrong checkpoint fails; nothing is
skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = [
    "nv_eulera", "smp_lms", "sampler_dpmpp2m_karras", "sampler_ddim", "smp_lcm", "smp_dpmfast", "quant_dpmppsde_karras",
    "prompt_nested", "prompt_weights", "prompt_160", "batch4_matrix", "tiling", "seedresize",
    "i2i_fill", "i2i_unipc8", "inp_whole_fill", "inp_masked_original",
]  # fmt: skip
ON_DEMAND = {"smp_lms", "smp_dpmfast", "prompt_weights", "i2i_fill"}
"""Left to `python -m webui.parity`: each has a near neighbour above, and the suite has a quarter of an hour."""
DATA_ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.parity, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    from webui.parity import SHIPPED, read_cases

    return {case.name: case for case in read_cases(SHIPPED)}


@pytest.fixture(scope="module")
def make(cases: dict[str, Any]) -> Iterator[Callable[[Any], Any]]:
    """Builds the checkpoint the first time, as `python -m webui.parity` does."""
    from webui.parity import ready

    with ready(list(cases.values()), DATA_ROOT / "cache" / "parity") as made:
        yield made


def test_every_shipped_case_is_checked_here(cases: dict[str, Any]):
    assert list(cases) == NAMES
    assert not any(case.needs for case in cases.values())
    assert set(NAMES) >= ON_DEMAND


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ON_DEMAND])
def test_a1111s_picture_comes_out_again(name: str, cases: dict[str, Any], make: Callable[[Any], Any]):
    outcome = make(cases[name])
    assert outcome.latent is not None and outcome.noise is not None
    assert outcome.passed, f"{outcome.part}: {outcome}"
