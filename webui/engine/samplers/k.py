"""Samplers in sigma space whose noise, if any, comes from the pictures' own generators.

Each walks x (batch, c, h, w), x0 + sigma * noise, down `sigmas` and returns it at the last; `guided(x, sigma)` is x0.
The formulas are of Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models" unless
said otherwise; that the numbers agree with k-diffusion's is what parity checks.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from webui.engine.prediction import LcmPrediction
from webui.engine.samplers.steps import ancestral, level, pairs
from webui.engine.schedules import karras
from webui.engine.types import Guided, Noise, OnStep

MOST_CHURN = math.sqrt(2) - 1


class Churn:
    """Noise thrown in before a step, and the higher sigma that is then stepped from (Algorithm 2, lines 4 to 6)."""

    def __init__(self, steps: int, noise: Noise, churn: float, lo: float, hi: float, scale: float) -> None:
        self._share = min(churn / steps, MOST_CHURN)
        self._noise, self._lo, self._hi, self._scale = noise, lo, hi, scale

    def __call__(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        if self._share <= 0:
            return x, sigma
        # Drawn at every step, used or not: so the noise of a later step does not depend on the range.
        fresh = self._noise.next() * self._scale
        if not self._lo <= float(sigma) <= self._hi:
            return x, sigma
        raised = sigma * (1 + self._share)
        return x + fresh * (raised**2 - sigma**2) ** 0.5, raised


@torch.no_grad()
def euler(
    guided: Guided,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Euler steps; Algorithm 2 without the correction."""
    churned = Churn(len(sigmas) - 1, noise, s_churn, s_tmin, s_tmax, s_noise)
    for step, start, after in pairs(sigmas):
        x, sigma = churned(x, start)
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        x = x + (x - x0) / sigma * (after - sigma)
    return x


@torch.no_grad()
def euler_ancestral(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """Euler steps further down than asked, with fresh noise back up."""
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        down, up = ancestral(sigma, after, eta)
        x = x + (x - x0) / sigma * (down - sigma)
        if after > 0:
            x = x + noise.next() * s_noise * up
    return x


@torch.no_grad()
def heun(
    guided: Guided,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Heun steps; Algorithm 2."""
    churned = Churn(len(sigmas) - 1, noise, s_churn, s_tmin, s_tmax, s_noise)
    for step, start, after in pairs(sigmas):
        x, sigma = churned(x, start)
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        x = _heun_step(guided, x, x0, sigma, after)
    return x


def _heun_step(guided: Guided, x: Tensor, x0: Tensor, sigma: Tensor, after: Tensor) -> Tensor:
    slope = (x - x0) / sigma
    there = x + slope * (after - sigma)
    if after == 0:
        return there
    slope_there = (there - guided(there, level(x, after))) / after
    return x + (slope + slope_there) / 2 * (after - sigma)


@torch.no_grad()
def dpm_2(
    guided: Guided,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Midpoint steps in log sigma, after DPM-Solver-2 (Lu et al. 2022)."""
    churned = Churn(len(sigmas) - 1, noise, s_churn, s_tmin, s_tmax, s_noise)
    for step, start, after in pairs(sigmas):
        x, sigma = churned(x, start)
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        x = _midpoint_step(guided, x, x0, sigma, after)
    return x


@torch.no_grad()
def dpm_2_ancestral(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """Midpoint steps in log sigma further down than asked, with fresh noise back up."""
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        down, up = ancestral(sigma, after, eta)
        x = _midpoint_step(guided, x, x0, sigma, down)
        if down > 0:
            x = x + noise.next() * s_noise * up
    return x


def _midpoint_step(guided: Guided, x: Tensor, x0: Tensor, sigma: Tensor, after: Tensor) -> Tensor:
    slope = (x - x0) / sigma
    if after == 0:
        return x + slope * (after - sigma)
    middle = sigma.log().lerp(after.log(), 0.5).exp()
    there = x + slope * (middle - sigma)
    slope_there = (there - guided(there, level(x, middle))) / middle
    return x + slope_there * (after - sigma)


@torch.no_grad()
def dpmpp_2s_ancestral(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """DPM-Solver++(2S) with ancestral noise; Lu et al. 2022, "DPM-Solver++", Algorithm 1."""
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        down, up = ancestral(sigma, after, eta)
        if down == 0:
            x = x + (x - x0) / sigma * (down - sigma)
        else:
            whole = sigma.log() - down.log()
            middle = (sigma.log() - whole / 2).exp()
            there = middle / sigma * x - torch.expm1(-whole / 2) * x0
            x = down / sigma * x - torch.expm1(-whole) * guided(there, level(x, middle))
        if after > 0:
            x = x + noise.next() * s_noise * up
    return x


@torch.no_grad()
def dpmpp_2m(guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep) -> Tensor:
    """DPM-Solver++(2M); Lu et al. 2022, "DPM-Solver++", Algorithm 2."""
    before: Tensor | None = None
    last_step = torch.zeros(())
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        if after == 0:
            x = x0
            continue
        h = sigma.log() - after.log()
        aimed = x0 if before is None else x0 + (x0 - before) * (h / (2 * last_step))
        x = after / sigma * x - torch.expm1(-h) * aimed
        before, last_step = x0, h
    return x


LMS_ORDER = 4


@torch.no_grad()
def lms(guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep) -> Tensor:
    """Linear multistep (Adams-Bashforth on uneven sigmas) of up to four slopes."""
    slopes: list[Tensor] = []
    places = sigmas.double().numpy()
    for step, sigma, _ in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        slopes = [(x - x0) / sigma, *slopes[: LMS_ORDER - 1]]
        weights = multistep_weights(places[step::-1][: len(slopes)], float(places[step]), float(places[step + 1]))
        for weight, slope in zip(weights, slopes, strict=True):
            x = x + weight * slope
    return x


def multistep_weights(places: np.ndarray, start: float, end: float) -> list[float]:
    """Weights of slopes at `places` so that their interpolating polynomial is integrated from start to end."""
    weights: list[float] = []
    for index, place in enumerate(places):
        others = np.delete(places, index)
        integral = np.polyint(np.atleast_1d(np.poly(others)))
        weights.append(float((np.polyval(integral, end) - np.polyval(integral, start)) / np.prod(place - others)))
    return weights


@torch.no_grad()
def restart(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, s_noise: float = 1.0
) -> Tensor:
    """Heun steps that jump back up and come down again; Xu et al. 2023, "Restart Sampling"."""
    last: Tensor | None = None
    for step, (sigma, after) in enumerate(restart_steps(sigmas)):
        if last is not None and last < sigma:
            x = x + noise.next() * s_noise * (sigma**2 - last**2) ** 0.5
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        x = _heun_step(guided, x, x0, sigma, after)
        last = after
    return x


def restart_steps(sigmas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(sigma, next) of every step: from 20 steps on, some are spent on coming down again from 2 to 0.1."""
    total = len(sigmas) - 1
    if total < 20:
        return list(pairwise(sigmas))
    again, times = (total // 4, 2) if total >= 36 else (9, 1)
    sigmas = karras(total - again * times, sigmas[-2].item(), sigmas[0].item())
    bottom, top = (int((sigmas - place).abs().argmin()) for place in (0.1, 2.0))
    steps = list(pairwise(sigmas))
    if top >= bottom:
        return steps
    climb = karras(again + 1, sigmas[bottom].item(), sigmas[top].item())[:-1]
    return steps[:bottom] + list(pairwise(climb)) * times + steps[bottom:]


SIGMA_DATA = 0.5
TIMESTEP_SCALE = 10.0


@torch.no_grad()
def lcm(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, prediction: LcmPrediction
) -> Tensor:
    """Jump to x0, noise it again; Luo et al. 2023, "Latent Consistency Models", Algorithm 3.

    The model is asked at the nearest of the fifty levels it was distilled for, with x at the real one: it is scaled
    so that the network sees the same input, and the noise it finds is used at the real sigma.
    """
    for step, sigma, after in pairs(sigmas):
        grid = prediction.sigmas[prediction.nearest(sigma)]
        scaled = x * (prediction.c_in(sigma) / prediction.c_in(grid))
        slope = (scaled - guided(scaled, level(x, grid))) / grid
        t = prediction.sigma_to_t(sigma) * TIMESTEP_SCALE
        c_skip = SIGMA_DATA**2 / (t**2 + SIGMA_DATA**2)
        c_out = t / (t**2 + SIGMA_DATA**2) ** 0.5
        x0 = c_out * (x - sigma * slope) + c_skip * x
        on_step(step, x, sigma, x0)
        x = x0 if after == 0 else x0 + noise.next() * after
    return x
