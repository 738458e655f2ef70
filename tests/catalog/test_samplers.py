"""The tables of samplers and schedules: names people wrote for years, and rows that hold together. No torch."""

import doctest
import subprocess
import sys

import pytest

from webui.catalog import samplers as table
from webui.catalog.samplers import SAMPLERS, TooFewSteps, check_steps, named_schedule, samplers, split_name
from webui.catalog.schedules import SCHEDULES
from webui.domain.errors import OutOfRange, UnknownSampler, UnknownSchedule

# fmt: off
A1111_ORDER = [
    "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler",
    "LMS", "Heun", "DPM2", "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC",
    "LCM",
]
A1111_SCHEDULES = [
    "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal", "Align Your Steps",
    "Simple", "Normal", "DDIM", "Beta",
]
# fmt: on


def test_samplers_and_schedules_stand_in_a1111s_order():
    assert SAMPLERS.names() == A1111_ORDER
    assert SCHEDULES.names() == A1111_SCHEDULES


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DPM++ 2M Karras", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE Heun Exponential", ("DPM++ 2M SDE Heun", "Exponential")),
        ("DPM++ 2M SDE Heun", ("DPM++ 2M SDE Heun", "Automatic")),
        ("DPM2 a Karras", ("DPM2 a", "Karras")),
        ("Euler a SGM Uniform", ("Euler a", "SGM Uniform")),
        ("Euler SGMUniform", ("Euler", "SGM Uniform")),
        ("euler A", ("Euler a", "Automatic")),
        ("k_dpmpp_2m", ("DPM++ 2M", "Automatic")),
        ("k_euler_ancestral karras", ("Euler a", "Karras")),
        ("DDIM", ("DDIM", "Automatic")),
        ("Euler DDIM", ("Euler", "DDIM")),
        ("LMS align_your_steps", ("LMS", "Align Your Steps")),
    ],
)
def test_names_of_old_infotexts_are_split(written: str, meant: tuple[str, str]):
    assert split_name(written) == meant


def test_an_unknown_sampler_is_answered_with_the_nearest_names():
    with pytest.raises(UnknownSampler) as caught:
        split_name("Eular a")
    assert "Euler a" in caught.value.fields["closest"]
    with pytest.raises(UnknownSchedule):
        named_schedule("Karas")


@pytest.mark.parametrize(("written", "meant"), [("", "Automatic"), ("karras", "Karras"), ("SGMUniform", "SGM Uniform")])
def test_a_schedule_is_found_by_label_key_and_alias(written: str, meant: str):
    assert named_schedule(written) == meant


def test_a_plugins_row_stays_in_its_own_registry():
    mine = samplers()
    mine.add("Mine", SAMPLERS.names() and table.ROWS[0], origin="my plugin", before="Euler")
    assert mine.names().index("Mine") + 1 == mine.names().index("Euler")
    assert SAMPLERS.find("Mine") is None


def test_default_schedules_exist():
    assert all(not row.default_schedule or SCHEDULES.find(row.default_schedule) for row in SAMPLERS)


def test_unipc_with_fewer_timesteps_than_its_order_is_refused_in_words():
    row = SAMPLERS.find("UniPC")
    assert row is not None
    with pytest.raises(TooFewSteps) as caught:
        check_steps(row, 2, {"unipc_order": 3})
    assert caught.value.fields == {"sampler": "UniPC", "steps": 2, "least": 3}
    check_steps(row, 3, {"unipc_order": 3})
    check_steps(row, 2, {"unipc_order": 2})


def test_steps_below_one_or_beyond_the_timesteps_are_refused():
    ddim, euler = SAMPLERS.find("DDIM"), SAMPLERS.find("Euler")
    assert ddim is not None and euler is not None
    with pytest.raises(OutOfRange):
        check_steps(euler, 0, {})
    with pytest.raises(OutOfRange):
        check_steps(ddim, 1001, {})
    check_steps(euler, 1001, {})


def test_the_tables_are_read_without_torch():
    code = "import sys, webui.catalog.samplers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_examples_in_the_table_hold():
    assert doctest.testmod(table).failed == 0
