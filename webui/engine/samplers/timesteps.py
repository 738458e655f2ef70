"""Samplers over whole timesteps, in variance-preserving scale: x = sqrt(a) x0 + sqrt(1 - a) noise.

They start from plain noise, which is A1111's way and not that of the k-samplers. `guided` still speaks sigma, so x is
divided by sqrt(a) on the way in. `timesteps` rise; the walk is from the last to the first and ends there, not at 0.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from webui.engine.prediction import Prediction
from webui.engine.samplers.steps import level
from webui.engine.types import Guided, Noise, OnStep


class GuidedApart(Protocol):
    """A Guided that still knows what the negative prompt alone gave at its last call."""

    uncond: Tensor

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor: ...


def _asked(guided: Guided, x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """(x0, sigma) of x in variance-preserving scale at cumulative alpha (scalar)."""
    sigma = ((1 - alpha) / alpha) ** 0.5
    return guided(x * (1 + sigma**2) ** 0.5, level(x, sigma)), sigma


def _eps(x: Tensor, x0: Tensor, alpha: Tensor) -> Tensor:
    return (x - alpha.sqrt() * x0) / (1 - alpha).sqrt()


Answer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x, alpha) → (x0 to step to, x0 whose noise leads there)."""


def _ddim(
    answer: Answer, x: Tensor, timesteps: Tensor, alphas: Tensor, noise: Noise, on_step: OnStep, eta: float
) -> Tensor:
    for step, index in enumerate(range(len(timesteps) - 1, 0, -1)):
        alpha, after = alphas[timesteps[index]], alphas[timesteps[index - 1]].double()
        x0, leading = answer(x, alpha)
        on_step(step, x / alpha.sqrt(), ((1 - alpha) / alpha) ** 0.5, x0)
        up = eta * ((1 - after) / (1 - alpha) * (1 - alpha / after)).sqrt()
        x = after.sqrt().float() * x0 + (1 - after - up**2).sqrt().float() * _eps(x, leading, alpha)
        if eta:
            x = x + up.float() * noise.next()
    return x


@torch.no_grad()
def ddim(
    guided: Guided,
    x: Tensor,
    timesteps: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    prediction: Prediction,
    eta: float = 0.0,
) -> Tensor:
    """Song et al. 2021, "Denoising Diffusion Implicit Models", equation 12."""

    def answer(x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        x0, _ = _asked(guided, x, alpha)
        return x0, x0

    return _ddim(answer, x, timesteps, prediction.alphas_cumprod.cpu(), noise, on_step, eta)


CFGPP_SCALE = 12.5
"""CFG scales of 0 to 12.5 stand for the paper's 0 to 1."""


@torch.no_grad()
def ddim_cfgpp(
    guided: GuidedApart,
    x: Tensor,
    timesteps: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    prediction: Prediction,
    eta: float = 0.0,
) -> Tensor:
    """Chung et al. 2024, "CFG++", Algorithm 2: a small step of guidance, noised again without it."""

    def answer(x: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        joined, _ = _asked(guided, x, alpha)
        return guided.uncond + (joined - guided.uncond) / CFGPP_SCALE, guided.uncond

    return _ddim(answer, x, timesteps, prediction.alphas_cumprod.cpu(), noise, on_step, eta)


ADAMS_BASHFORTH = ((1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))


@torch.no_grad()
def plms(
    guided: Guided, x: Tensor, timesteps: Tensor, *, noise: Noise, on_step: OnStep, prediction: Prediction
) -> Tensor:
    """Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds"; the first step asks twice."""
    alphas = prediction.alphas_cumprod.cpu()
    past: list[Tensor] = []
    for step, index in enumerate(range(len(timesteps) - 1, 0, -1)):
        alpha, after = alphas[timesteps[index]], alphas[timesteps[index - 1]]
        x0, sigma = _asked(guided, x, alpha)
        on_step(step, x / alpha.sqrt(), sigma, x0)
        e = _eps(x, x0, alpha)
        if past:
            past = [e, *past[:3]]
            e = sum((weight * old for weight, old in zip(ADAMS_BASHFORTH[len(past) - 1], past, strict=True)), 0 * e)
        else:
            past = [e]
            there = _moved(x, e, alpha, after)
            e = (e + _eps(there, _asked(guided, there, after)[0], after)) / 2
        x = _moved(x, e, alpha, after)
    return x


def _moved(x: Tensor, e: Tensor, alpha: Tensor, after: Tensor) -> Tensor:
    """x at `after` for the noise e at alpha."""
    return after.sqrt() * (x - (1 - alpha).sqrt() * e) / alpha.sqrt() + (1 - after).sqrt() * e


class Continuous:
    """A discrete schedule read at any time 0..1: log alpha is linear between the timesteps, (i + 1) / 1000 each."""

    def __init__(self, prediction: Prediction) -> None:
        self.log_alphas = 0.5 * prediction.alphas_cumprod.double().cpu().log()
        self.times = torch.linspace(0, 1, len(self.log_alphas) + 1, dtype=torch.float64)[1:]

    def log_alpha(self, time: Tensor) -> Tensor:
        return _interpolated(time, self.times, self.log_alphas)

    def half_log_snr(self, time: Tensor) -> Tensor:
        log_alpha = self.log_alpha(time)
        return log_alpha - 0.5 * torch.log(-torch.expm1(2 * log_alpha))

    def time_of(self, half_log_snr: Tensor) -> Tensor:
        log_alpha = -0.5 * torch.log1p(torch.exp(-2 * half_log_snr))
        return _interpolated(log_alpha, self.log_alphas.flip(0), self.times.flip(0))

    def even(self, kind: str, start: float, end: float, steps: int) -> Tensor:
        """steps + 1 times from start to end, evenly spaced in time, its root or the log of signal to noise."""
        ends = torch.tensor([start, end], dtype=torch.float64)
        if kind == "logSNR":
            top, bottom = self.half_log_snr(ends).tolist()
            return self.time_of(torch.linspace(top, bottom, steps + 1, dtype=torch.float64))
        power = 2 if kind == "time_quadratic" else 1
        return torch.linspace(start ** (1 / power), end ** (1 / power), steps + 1, dtype=torch.float64) ** power


def _interpolated(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Piecewise linear y(x) over rising xs; beyond the ends their lines go on."""
    low = (torch.searchsorted(xs, x.contiguous()) - 1).clamp(0, len(xs) - 2)
    fraction = (x - xs[low]) / (xs[low + 1] - xs[low])
    return ys[low] + fraction * (ys[low + 1] - ys[low])


@torch.no_grad()
def unipc(
    guided: Guided,
    x: Tensor,
    timesteps: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    prediction: Prediction,
    unipc_variant: str = "bh1",
    unipc_skip_type: str = "time_uniform",
    unipc_order: int = 3,
    unipc_lower_order_final: bool = True,
    start: float = 1.0,
) -> Tensor:
    """Zhao et al. 2023, "UniPC", Algorithms 5 to 8, predicting x0; as many steps as there are timesteps.

    `start`: the time (0..1) the noise of x belongs to. `unipc_variant`: B(h) = h ("bh1"), exp(h) - 1 ("bh2"), or
    varying coefficients ("vary_coeff").
    """
    schedule = Continuous(prediction)
    steps = len(timesteps)
    times = schedule.even(unipc_skip_type, start, 1 / len(schedule.times), steps)
    log_alphas, snrs = schedule.log_alpha(times), schedule.half_log_snr(times)
    update = _varying if unipc_variant == "vary_coeff" else _bh1 if unipc_variant == "bh1" else _bh2
    past: list[tuple[Tensor, Tensor]] = []

    def ask(index: int, x: Tensor) -> Tensor:
        x0, sigma = _asked(guided, x, (2 * log_alphas[index]).exp().float())
        on_step(index, x * (1 + sigma**2) ** 0.5, sigma, x0)
        return x0

    past.append((snrs[0], ask(0, x)))
    for index in range(1, steps + 1):
        order = min(index, unipc_order)
        if unipc_lower_order_final and index >= unipc_order:
            order = min(order, steps + 1 - index)
        (snr, x0), h = past[0], snrs[index] - past[0][0]
        alpha = log_alphas[index].exp()
        # sigma / sigma_before = alpha exp(-snr) / (alpha_before exp(-snr_before))
        plain = (log_alphas[index] - log_alphas[index - 1] - h).exp().float() * x - (
            alpha * torch.expm1(-h)
        ).float() * x0
        bends = [((other - snr) / h, earlier - x0) for other, earlier in past[1:order]]
        predict, correct = update(h, [float(place) for place, _ in bends])
        scale = alpha.float()
        there = plain - scale * _weighted(predict, [d for _, d in bends], x)
        if index == steps:
            return there
        x0_there = ask(index, there)
        x = plain - scale * _weighted(correct, [*(d for _, d in bends), x0_there - x0], x)
        past = [(snrs[index], x0_there), *past[: unipc_order - 1]]
    return x


def _weighted(weights: list[float], parts: list[Tensor], like: Tensor) -> Tensor:
    return sum((weight * part for weight, part in zip(weights, parts, strict=True)), torch.zeros_like(like))


Weights = tuple[list[float], list[float]]
"""Of the differences of x0: in the predictor (earlier ones), in the corrector (earlier ones and the new)."""


def _bh(h: Tensor, places: list[float], scale: Tensor) -> Weights:
    """Solve R rho = b (equation 9); a difference at place r enters as (its value) / r."""
    down = -h
    nodes = torch.tensor([*places, 1.0], dtype=torch.float64)
    order = len(nodes)
    rows = torch.stack([nodes**power for power in range(order)])
    phi, factorial, right = torch.expm1(down) / down - 1, 1.0, []
    for power in range(1, order + 1):
        right.append(phi * factorial / scale)
        factorial *= power + 1
        phi = phi / down - 1 / factorial
    b = torch.stack(right)
    if order == 1:
        predict, correct = torch.zeros(0), torch.tensor([0.5])
    elif order == 2:
        predict, correct = torch.tensor([0.5]), torch.linalg.solve(rows, b)
    else:
        predict, correct = torch.linalg.solve(rows[:-1, :-1], b[:-1]), torch.linalg.solve(rows, b)
    return (scale * predict / nodes[:-1]).tolist(), (scale * correct / nodes).tolist()


def _bh1(h: Tensor, places: list[float]) -> Weights:
    return _bh(h, places, -h)


def _bh2(h: Tensor, places: list[float]) -> Weights:
    return _bh(h, places, torch.expm1(-h))


def _varying(h: Tensor, places: list[float]) -> Weights:
    """Coefficients from the inverse of the Taylor matrix itself (Appendix C of the paper)."""
    down = -h
    nodes = torch.tensor([*places, 1.0], dtype=torch.float64)
    order = len(nodes)
    columns, column = [], torch.ones_like(nodes)
    for power in range(1, order + 1):
        columns.append(column)
        column = column * nodes / (power + 1)
    taylor = torch.stack(columns, dim=1)
    phis, phi, factorial = [], torch.expm1(down), 1.0
    for power in range(1, order + 2):
        phis.append(phi)
        phi = phi / down - 1 / factorial
        factorial *= power + 1
    growth = torch.stack(phis[1:])
    predict = growth[: order - 1] @ torch.linalg.inv(taylor[:-1, :-1]) if order > 1 else torch.zeros(0)
    inverse = torch.linalg.inv(taylor)
    # The last power enters through the new difference alone, and the sum runs one short: as published.
    correct = growth[: order - 1] @ inverse[: order - 1] if order > 1 else torch.zeros(1, dtype=torch.float64)
    correct = correct.clone()
    correct[-1] = growth[order - 1] * inverse[max(order - 2, 0), -1]
    return (predict / nodes[:-1]).tolist(), (correct / nodes).tolist()
