"""Noise schedules: falling sigmas, fp32 on the CPU, computed step by step as A1111 does.

Every function takes (n, lo, hi), the number of sigmas and the least and largest, and what its row in
`catalog/schedules.py` names under `takes`. All but KL Optimal end with 0; `ddim` may give a sigma more or less than n.
"""

import math
import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor

from webui.catalog.samplers import TRAIN_STEPS, SamplerRow, check_steps
from webui.catalog.schedules import SCHEDULES, ScheduleRow
from webui.engine.prediction import Prediction

# https://research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html (Sabour et al. 2024)
AYS_SD1 = (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029)
AYS_SDXL = (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029)


def _then_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def uniform(n: int, lo: float, hi: float, *, prediction: Prediction) -> Tensor:
    """Evenly spaced timesteps of the model, whatever lo and hi are."""
    return prediction.uniform(n)


def karras(n: int, lo: float, hi: float, *, rho: float = 7.0) -> Tensor:
    """Karras et al. 2022, equation 5."""
    ramp = torch.linspace(0, 1, n)
    top, bottom = hi ** (1 / rho), lo ** (1 / rho)
    return _then_zero((top + ramp * (bottom - top)) ** rho)


def exponential(n: int, lo: float, hi: float) -> Tensor:
    """Evenly spaced in log sigma."""
    return _then_zero(torch.linspace(math.log(hi), math.log(lo), n).exp())


def polyexponential(n: int, lo: float, hi: float, *, rho: float = 1.0) -> Tensor:
    """Polynomial in log sigma."""
    ramp = torch.linspace(1, 0, n) ** rho
    return _then_zero((ramp * (math.log(hi) - math.log(lo)) + math.log(lo)).exp())


def sgm_uniform(n: int, lo: float, hi: float, *, prediction: Prediction) -> Tensor:
    """Evenly spaced timesteps that stop one short of the least sigma (Stability's generative-models)."""
    return _then_zero(prediction.t_to_sigma(_timesteps(n + 1, lo, hi, prediction)[:-1]))


def kl_optimal(n: int, lo: float, hi: float) -> Tensor:
    """Evenly spaced in arctan sigma, ending at lo (Sabour et al. 2024, theorem 3.1)."""
    bottom, top = torch.arctan(torch.tensor(lo)), torch.arctan(torch.tensor(hi))
    steps = torch.arange(n + 1)
    return torch.tan(steps / n * bottom + (1.0 - steps / n) * top)


def align_your_steps(n: int, lo: float, hi: float, *, sdxl: bool = False) -> Tensor:
    """The published table, read at n places by log-linear interpolation."""
    table = np.array(AYS_SDXL if sdxl else AYS_SD1)
    if n != len(table):
        rising = np.log(table[::-1])
        read = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(rising)), rising)
        table = np.exp(read)[::-1].copy()
    return _then_zero(torch.from_numpy(table).float())


def simple(n: int, lo: float, hi: float, *, prediction: Prediction) -> Tensor:
    """Every (steps/n)-th noise level of the model, from the largest."""
    stride = len(prediction.sigmas) / n
    return _then_zero(torch.stack([prediction.sigmas[-(1 + int(step * stride))] for step in range(n)]))


def normal(n: int, lo: float, hi: float, *, prediction: Prediction) -> Tensor:
    """Evenly spaced timesteps between hi and lo, both included."""
    return _then_zero(prediction.t_to_sigma(_timesteps(n, lo, hi, prediction)))


def ddim(n: int, lo: float, hi: float, *, prediction: Prediction) -> Tensor:
    """Every (steps // n)-th noise level from the second up."""
    stride = max(len(prediction.sigmas) // n, 1)
    return _then_zero(prediction.sigmas[1::stride].flip(0))


def beta(
    n: int, lo: float, hi: float, *, prediction: Prediction, beta_alpha: float = 0.6, beta_beta: float = 0.6
) -> Tensor:
    """Quantiles of a beta distribution, laid linearly over sigma (Lee et al. 2024, as A1111 reads it)."""
    places = special.betaincinv(beta_alpha, beta_beta, 1 - np.linspace(0, 1, n))
    return _then_zero(torch.from_numpy(lo + places * (hi - lo)).float())


def _timesteps(n: int, lo: float, hi: float, prediction: Prediction) -> Tensor:
    start, end = (float(prediction.sigma_to_t(torch.tensor(sigma))) for sigma in (hi, lo))
    return torch.linspace(start, end, n)


def chosen(row: ScheduleRow, sampler: SamplerRow) -> ScheduleRow:
    """The schedule that is really used: Automatic is the sampler's own, else Uniform. Raises LookupError."""
    if row.target:
        return row
    found = SCHEDULES.find(sampler.default_schedule or "Uniform")
    if found is None:
        raise LookupError(f"{sampler.name}: there is no schedule {sampler.default_schedule!r}")
    return found


def sigmas(
    row: ScheduleRow, n: int, prediction: Prediction, *, sampler: SamplerRow, options: Mapping[str, Any] | None = None
) -> Tensor:
    """Falling sigmas for n steps of a sampler, fp32 on the CPU, mostly n + 1 of them with a closing 0.

    Options: rho, sigma_min, sigma_max (0: the default), beta_alpha, beta_beta, discard_penultimate, sdxl,
    use_old_karras_sigmas. With discard_penultimate one more is computed and the last before 0 is left out.
    """
    options = options or {}
    row = chosen(row, sampler)
    discard = sampler.discard_penultimate or bool(options.get("discard_penultimate"))
    lo, hi = (0.1, 10.0) if options.get("use_old_karras_sigmas") else (prediction.sigma_min, prediction.sigma_max)
    lo, hi = options.get("sigma_min") or lo, options.get("sigma_max") or hi
    given: dict[str, Any] = {name: options[name] for name in row.takes if options.get(name)}
    if "prediction" in row.takes:
        given["prediction"] = prediction
    found = pkgutil.resolve_name(row.target)(n + 1 if discard else n, lo, hi, **given)
    return torch.cat([found[:-2], found[-1:]]) if discard else found


def timesteps(row: SamplerRow, n: int, options: Mapping[str, Any] | None = None) -> Tensor:
    """Rising whole timesteps for a timestep sampler: every (1000 // n)-th from 1; often one or more beyond n.

    Raises OutOfRange or TooFewSteps.
    """
    options = options or {}
    check_steps(row, n, options)
    asked = n + (1 if options.get("discard_penultimate") else 0)
    return torch.arange(0, TRAIN_STEPS, TRAIN_STEPS // asked).add(1).clamp(0, TRAIN_STEPS - 1)
