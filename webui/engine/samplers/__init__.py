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

__all__ = ["sample", "sample_from", "sampler_options"]


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
    given = sampler_options(row, options)
    grid = _prepared(row, guided, prediction, given)
    x = noise.first()
    if row.timesteps:
        return _run(row, guided, x, schedules.timesteps(row, steps, options), noise, on_step, given)
    sigmas = schedules.sigmas(schedule, steps, grid, sampler=row, options=options)
    x = x * ((1 + sigmas[0] ** 2) ** 0.5 if options.get("sgm_noise_multiplier") else sigmas[0])
    if row.brownian:
        noise.span(float(sigmas[sigmas > 0].min()), float(sigmas.max()))
    if row.model_range:
        sigmas = grid.sigmas[[-1, 0]]
        given |= {} if row.adaptive else {"steps": steps}
    return _run(row, guided, x, sigmas, noise, on_step, given)


def sample_from(
    row: SamplerRow,
    guided: Guidance,
    latents: Tensor,
    noise: Tensor,
    stream: NoiseStream,
    prediction: Prediction,
    *,
    steps: int,
    run: int,
    schedule: ScheduleRow,
    options: Mapping[str, Any],
    on_step: OnStep,
    extra_noise: float = 0.0,
) -> Tensor:
    """From latents (batch, c, h, w) with `noise` of the same shape thrown over them to latents again.

    The last `run` of `steps` are walked; `catalog.samplers.part_of_steps` gives both. `stream` is where samplers draw
    from on the way, `extra_noise` a further share of `noise`. Raises as `sample` does.
    """
    if run < (2 if row.timesteps else 1):
        return latents
    given = sampler_options(row, options)
    grid = _prepared(row, guided, prediction, given)
    if row.timesteps:
        timesteps = schedules.timesteps(row, steps, options)
        alpha = grid.alphas_cumprod.cpu()[timesteps[run - 1]]
        x = latents * alpha.sqrt() + noise * ((1 - alpha).sqrt() + extra_noise * alpha.sqrt())
        if "unipc_order" in row.options:
            # One beyond the last timestep, over 1000: where the walk begins.
            given["start"] = (int(timesteps[run - 2]) + 1) / len(grid.alphas_cumprod)
        return _run(row, guided, x, timesteps[: run - 1], stream, on_step, given)
    sigmas = schedules.sigmas(schedule, steps, grid, sampler=row, options=options)
    if row.brownian:
        # Over the whole schedule, not the part that is run: A1111's trees.
        stream.span(float(sigmas[sigmas > 0].min()), float(sigmas.max()))
    sigmas = sigmas[max(steps - run, 0) :]
    x = latents + noise * (sigmas[0] + extra_noise)
    if row.model_range:
        given |= {} if row.adaptive else {"steps": len(sigmas) - 1}
        sigmas = sigmas[[0, -2]]
    return _run(row, guided, x, sigmas, stream, on_step, given)


def _prepared(row: SamplerRow, guided: Guidance, prediction: Prediction, given: dict[str, Any]) -> Prediction:
    """Guidance told what the sampler asks of it, and the noise levels the sampler sees; adds to `given`."""
    grid = grid_of(row, prediction)
    guided.keep_uncond = row.apart
    # A1111 hands these samplers' denoiser a timestep where the others have sigma, and compares that.
    guided.level = grid.sigma_to_t if row.timesteps else None
    if row.timesteps or row.grid:
        given["prediction"] = grid
    return grid


def _run(
    row: SamplerRow, guided: Guidance, x: Tensor, levels: Tensor, noise: NoiseStream, on_step: OnStep,
    given: Mapping[str, Any],
) -> Tensor:  # fmt: skip
    target: SamplerFn = pkgutil.resolve_name(row.target)
    return target(guided, x, levels, noise=noise, on_step=on_step, **given)
