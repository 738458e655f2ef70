"""Samplers: pure functions that walk a noisy latent down to a picture, and `sample`, which starts and feeds one.

`k` (sigma space), `sde` (Brownian noise), `dpm_solver` (its own steps), `timesteps` (variance-preserving). Add one: a
function that fulfils `engine.types.SamplerFn`, and a row in `catalog/samplers.py`. May import engine's types,
prediction and schedules.
"""

import math
import pkgutil
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from webui.catalog.samplers import SamplerRow
from webui.catalog.schedules import ScheduleRow
from webui.engine import schedules
from webui.engine.guidance import Guidance
from webui.engine.noise import NoiseStream
from webui.engine.prediction import Prediction
from webui.engine.types import OnStep, SamplerFn

__all__ = ["sample", "sampler_options"]


def sampler_options(row: SamplerRow, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the row's function is handed: its own options where set, its extras. `eta` falls back to
    eta_ancestral/eta_ddim."""
    given = {name: options[name] for name in row.options if options.get(name) is not None}
    if "eta" in row.options and "eta" not in given:
        kept = options.get("eta_ddim" if row.timesteps else "eta_ancestral")
        given["eta"] = row.default_eta if kept is None else kept
    if "s_tmax" in given:
        given["s_tmax"] = given["s_tmax"] or math.inf  # 0 stands for no limit
    return given | dict(row.extras)


def grid_of(row: SamplerRow, prediction: Prediction) -> Prediction:
    """The noise levels the sampler sees: the model's, or those its row names."""
    return pkgutil.resolve_name(row.grid)(prediction) if row.grid else prediction


def sample(
    row: SamplerRow,
    guided: Guidance,
    noise: NoiseStream,
    prediction: Prediction,
    *,
    steps: int,
    schedule: ScheduleRow,
    options: Mapping[str, Any],
    on_step: OnStep,
) -> Tensor:
    """From seeds to latents (batch, c, h, w) in k-diffusion scale at the last sigma, mostly 0.

    Draws the starting noise and scales it: by the first sigma, by sqrt(1 + sigma²) with `sgm_noise_multiplier`, not
    at all for timestep samplers. Raises what `on_step` raises, OutOfRange and TooFewSteps.
    """
    run: SamplerFn = pkgutil.resolve_name(row.target)
    given = sampler_options(row, options)
    prediction = grid_of(row, prediction)
    x = noise.first()
    guided.keep_uncond = row.apart
    # A1111 hands these samplers' denoiser a timestep where the others have sigma, and compares that.
    guided.level = prediction.sigma_to_t if row.timesteps else None
    if row.timesteps:
        given["prediction"] = prediction
        return run(guided, x, schedules.timesteps(row, steps, options), noise=noise, on_step=on_step, **given)
    sigmas = schedules.sigmas(schedule, steps, prediction, sampler=row, options=options)
    x = x * ((1 + sigmas[0] ** 2) ** 0.5 if options.get("sgm_noise_multiplier") else sigmas[0])
    if row.brownian:
        noise.span(float(sigmas[sigmas > 0].min()), float(sigmas.max()))
    if row.grid:
        given["prediction"] = prediction
    if row.model_range:
        sigmas = prediction.sigmas[[-1, 0]]
        given |= {} if row.adaptive else {"steps": steps}
    return run(guided, x, sigmas, noise=noise, on_step=on_step, **given)
