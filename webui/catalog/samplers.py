"""The table of samplers, in A1111's order. Rows only; the functions are in `engine/samplers/`.

Add one: a function there that fulfils `engine.types.SamplerFn`, a row here. A row says what the function is handed:
`options` are the per-request numbers it takes, `extras` are fixed.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from webui.catalog.schedules import SCHEDULES, ScheduleRow
from webui.domain import Registry
from webui.domain.errors import BadInput, OutOfRange, UnknownSampler, UnknownSchedule

ORIGIN = "webui.catalog.samplers"
CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise")
# As A1111: Euler a, DPM adaptive and Restart do not hear "sigma noise".
ANCESTRAL = ("eta", "s_noise")
UNIPC = ("unipc_variant", "unipc_skip_type", "unipc_order", "unipc_lower_order_final")
TRAIN_STEPS = 1000


class TooFewSteps(BadInput):
    """Fields: sampler, steps, least."""

    key = "too_few_steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerRow:
    """One sampler. `target` is where its function is found."""

    name: str
    target: str
    aliases: tuple[str, ...] = ()
    default_schedule: str = ""
    """What Automatic means for it: a schedule's label; "" is Uniform."""
    options: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])
    second_order: bool = False
    """Two model calls a step: prompt schedules are counted in calls."""
    uses_ensd: bool = False
    """Draws from the picture's generator after the first noise, so ENSD changes it."""
    brownian: bool = False
    """Draws from Brownian trees over sigma."""
    discard_penultimate: bool = False
    timesteps: bool = False
    """Walks whole timesteps in variance-preserving scale; the schedule type is ignored."""
    model_range: bool = False
    """Walks from the model's largest sigma to its smallest on its own; the schedule gives only the first."""
    adaptive: bool = False
    """Chooses its own steps; the number of steps is ignored."""
    apart: bool = False
    """Wants the negative prompt's answer by itself too."""
    grid: str = ""
    """Where to find the noise levels it sees instead of the model's own."""

    @property
    def default_eta(self) -> float:
        return 0.0 if self.timesteps else 1.0


K = "webui.engine.samplers.k"
SDE = "webui.engine.samplers.sde"
DPM = "webui.engine.samplers.dpm_solver"
STEPS = "webui.engine.samplers.timesteps"

# fmt: off
ROWS = (
    SamplerRow(name="DPM++ 2M", target=f"{K}:dpmpp_2m", aliases=("k_dpmpp_2m",), default_schedule="Karras"),
    SamplerRow(name="DPM++ SDE", target=f"{SDE}:dpmpp_sde", aliases=("k_dpmpp_sde",), default_schedule="Karras",
               options=ANCESTRAL, second_order=True, brownian=True),
    SamplerRow(name="DPM++ 2M SDE", target=f"{SDE}:dpmpp_2m_sde", aliases=("k_dpmpp_2m_sde",),
               default_schedule="Exponential", options=ANCESTRAL, brownian=True),
    SamplerRow(name="DPM++ 2M SDE Heun", target=f"{SDE}:dpmpp_2m_sde", aliases=("k_dpmpp_2m_sde_heun",),
               default_schedule="Exponential", options=ANCESTRAL, extras={"solver": "heun"}, brownian=True),
    SamplerRow(name="DPM++ 2S a", target=f"{K}:dpmpp_2s_ancestral", aliases=("k_dpmpp_2s_a",),
               default_schedule="Karras", options=ANCESTRAL, second_order=True, uses_ensd=True),
    SamplerRow(name="DPM++ 3M SDE", target=f"{SDE}:dpmpp_3m_sde", aliases=("k_dpmpp_3m_sde",),
               default_schedule="Exponential", options=ANCESTRAL, brownian=True, discard_penultimate=True),
    SamplerRow(name="Euler a", target=f"{K}:euler_ancestral", aliases=("k_euler_a", "k_euler_ancestral"),
               options=("eta",), uses_ensd=True),
    SamplerRow(name="Euler", target=f"{K}:euler", aliases=("k_euler",), options=CHURN),
    SamplerRow(name="LMS", target=f"{K}:lms", aliases=("k_lms",)),
    SamplerRow(name="Heun", target=f"{K}:heun", aliases=("k_heun",), options=CHURN, second_order=True),
    SamplerRow(name="DPM2", target=f"{K}:dpm_2", aliases=("k_dpm_2",), default_schedule="Karras", options=CHURN,
               second_order=True, discard_penultimate=True),
    SamplerRow(name="DPM2 a", target=f"{K}:dpm_2_ancestral", aliases=("k_dpm_2_a",), default_schedule="Karras",
               options=ANCESTRAL, second_order=True, uses_ensd=True, discard_penultimate=True),
    SamplerRow(name="DPM fast", target=f"{DPM}:dpm_fast", aliases=("k_dpm_fast",), options=ANCESTRAL, uses_ensd=True,
               model_range=True),
    SamplerRow(name="DPM adaptive", target=f"{DPM}:dpm_adaptive", aliases=("k_dpm_ad",), options=("eta",),
               uses_ensd=True, model_range=True, adaptive=True),
    SamplerRow(name="Restart", target=f"{K}:restart", aliases=("restart",), default_schedule="Karras",
               second_order=True),
    SamplerRow(name="DDIM", target=f"{STEPS}:ddim", aliases=("ddim",), options=("eta",), timesteps=True),
    SamplerRow(name="DDIM CFG++", target=f"{STEPS}:ddim_cfgpp", aliases=("ddim_cfgpp",), options=("eta",),
               timesteps=True, apart=True),
    SamplerRow(name="PLMS", target=f"{STEPS}:plms", aliases=("plms",), timesteps=True),
    SamplerRow(name="UniPC", target=f"{STEPS}:unipc", aliases=("unipc",), options=UNIPC, timesteps=True),
    SamplerRow(name="LCM", target=f"{K}:lcm", aliases=("k_lcm",), grid="webui.engine.prediction:lcm_grid"),
)
# fmt: on


def samplers() -> Registry[SamplerRow]:
    """A fresh registry of the built-in rows, found by name and alias; plugins add theirs to it."""
    registry: Registry[SamplerRow] = Registry()
    for row in ROWS:
        others = {alias.casefold() for alias in row.aliases} - {row.name.casefold()}
        registry.add(row.name, row, origin=ORIGIN, aliases=tuple(sorted(others)))
    return registry


SAMPLERS = samplers()
"""The built-in rows; read it, and make your own with `samplers()` to add to."""


def split_name(
    name: str,
    known: Registry[SamplerRow] = SAMPLERS,
    schedule_types: Registry[ScheduleRow] = SCHEDULES,
) -> tuple[str, str]:
    """A sampler's name as old infotexts and requests spell it → (sampler, schedule), "Automatic" where none is named.

    Raises UnknownSampler with the nearest names.

    >>> split_name("DPM++ 2M Karras")
    ('DPM++ 2M', 'Karras')
    >>> split_name("k_euler_a")
    ('Euler a', 'Automatic')
    """
    whole = known.canonical(name.strip())
    if whole is not None:
        return whole, "Automatic"
    words = name.split()
    for cut in range(len(words) - 1, 0, -1):
        sampler = known.canonical(" ".join(words[:cut]))
        schedule = schedule_types.canonical(" ".join(words[cut:]))
        if sampler is not None and schedule is not None:
            return sampler, schedule
    raise UnknownSampler(name=name, closest=difflib.get_close_matches(name, known.names(), n=3, cutoff=0.4))


def named_schedule(name: str, known: Registry[ScheduleRow] = SCHEDULES) -> str:
    """A schedule's label for a label, key or alias; "" and None-like names are Automatic. Raises UnknownSchedule."""
    found = known.canonical(name.strip() or "Automatic")
    if found is None:
        raise UnknownSchedule(name=name, closest=difflib.get_close_matches(name, known.names(), n=3, cutoff=0.4))
    return found


def check_steps(row: SamplerRow, steps: int, options: Mapping[str, Any]) -> None:
    """Raises OutOfRange or TooFewSteps when the sampler cannot run that many steps."""
    if steps < 1:
        raise OutOfRange(field="steps", value=steps, lo=1, hi=TRAIN_STEPS)
    if not row.timesteps:
        return
    asked = steps + (1 if options.get("discard_penultimate") else 0)
    if asked > TRAIN_STEPS:
        raise OutOfRange(field="steps", value=steps, lo=1, hi=TRAIN_STEPS)
    order = int(options.get("unipc_order", 3)) if "unipc_order" in row.options else 1
    if len(range(0, TRAIN_STEPS, TRAIN_STEPS // asked)) < order:
        raise TooFewSteps(sampler=row.name, steps=steps, least=order)


def part_of_steps(steps: int, strength: float, *, whole: bool) -> tuple[int, int]:
    """(steps the schedule is laid out for, how many of them, from the end, are run), as A1111 counts them.

    `whole`: `steps` are to be run, and the schedule is longer; otherwise a share of `steps` is run. `strength` 0..1.
    """
    strength = min(strength, 0.999)
    if not whole:
        return steps, int(strength * steps) + 1
    return (int(steps / strength), steps) if strength > 0 else (steps, 0)
