"""DPM-Solver of orders 1 to 3 with fixed and with adaptive steps; Lu et al. 2022, "DPM-Solver".

These walk t = -log sigma from the model's largest sigma to its smallest, so `sigmas` gives only the two ends (and
`steps` the number of model calls of `dpm_fast`).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from webui.engine.samplers.steps import ancestral, level
from webui.engine.types import Guided, Noise, OnStep

Eps = Callable[[Tensor, Tensor], Tensor]
"""(x, t) → predicted noise."""


def _sigma(t: Tensor) -> Tensor:
    return (-t).exp()


def _eps_of(guided: Guided) -> Eps:
    def eps(x: Tensor, t: Tensor) -> Tensor:
        sigma = _sigma(t)
        return (x - guided(x, level(x, sigma))) / sigma

    return eps


def _first(x: Tensor, t: Tensor, end: Tensor, e: Tensor) -> Tensor:
    return x - _sigma(end) * torch.expm1(end - t) * e


def _second(x: Tensor, t: Tensor, end: Tensor, e: Tensor, e_1: Tensor, r: float) -> Tensor:
    """Order 2 from the noise at t and at t + r h."""
    return _first(x, t, end, e) - _sigma(end) / (2 * r) * torch.expm1(end - t) * (e_1 - e)


def _third(eps: Eps, x: Tensor, t: Tensor, end: Tensor, e: Tensor, e_1: Tensor) -> Tensor:
    """Order 3 from the noise at t, at t + h/3 and, asked for here, at t + 2h/3."""
    h = end - t
    r_1, r_2 = 1 / 3, 2 / 3
    place = t + r_2 * h
    part = r_2 * h
    there = _first(x, t, place, e) - _sigma(place) * (r_2 / r_1) * (torch.expm1(part) / part - 1) * (e_1 - e)
    e_2 = eps(there, place)
    return _first(x, t, end, e) - _sigma(end) / r_2 * (torch.expm1(h) / h - 1) * (e_2 - e)


def _between(eps: Eps, x: Tensor, t: Tensor, end: Tensor, e: Tensor, r: float) -> Tensor:
    """The noise at t + r h, reached by a step of order 1."""
    place = t + r * (end - t)
    return eps(_first(x, t, place, e), place)


def _split(t: Tensor, end: Tensor, last: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """(where to step to, sigma of the noise to add there) for an ancestral step from t to end."""
    if not eta:
        return end, torch.zeros(())
    down, _ = ancestral(_sigma(t), _sigma(end), eta)
    target = torch.minimum(last, -down.log())
    return target, (_sigma(end) ** 2 - _sigma(target) ** 2) ** 0.5


def fast_orders(calls: int) -> list[int]:
    """Orders of the steps that spend exactly that many model calls: threes first."""
    threes, rest = divmod(calls, 3)
    return [3] * (threes - 1) + [2, 1] if rest == 0 else [3] * threes + [rest]


@torch.no_grad()
def dpm_fast(
    guided: Guided,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    steps: int,
    eta: float = 0.0,
    s_noise: float = 1.0,
) -> Tensor:
    """Even steps in -log sigma that spend `steps` model calls; Appendix D of the paper, with ancestral noise."""
    eps = _eps_of(guided)
    orders = fast_orders(steps)
    ts = torch.linspace(float(-sigmas.max().log()), float(-sigmas[sigmas > 0].min().log()), len(orders) + 1)
    for step, order in enumerate(orders):
        t, end = ts[step], ts[step + 1]
        target, up = _split(t, end, ts[-1], eta)
        e = eps(x, t)
        on_step(step, x, _sigma(t), x - _sigma(t) * e)
        if order == 1:
            x = _first(x, t, target, e)
        elif order == 2:
            x = _second(x, t, target, e, _between(eps, x, t, target, e, 1 / 2), 1 / 2)
        else:
            x = _third(eps, x, t, target, e, _between(eps, x, t, target, e, 1 / 3))
        fresh = noise.next()
        x = x + up * s_noise * fresh
    return x


RELATIVE, ABSOLUTE = 0.05, 0.0078
FIRST_STEP = 0.05
SAFETY = 0.81
ENOUGH = 1e-5


@torch.no_grad()
def dpm_adaptive(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 0.0, s_noise: float = 1.0
) -> Tensor:
    """Steps as long as orders 2 and 3 agree (DPM-Solver-23); their number is its own affair.

    One step length for the whole batch, as in A1111: here a picture does depend on those made beside it.
    """
    eps = _eps_of(guided)
    t, last = -sigmas.max().log(), -sigmas[sigmas > 0].min().log()
    h, order = FIRST_STEP, 1.5 if eta else 3.0
    before, step = x, 0
    while t < last - ENOUGH:
        end = torch.minimum(last, t + h)
        target, up = _split(t, end, last, eta)
        e = eps(x, t)
        on_step(step, x, _sigma(t), x - _sigma(t) * e)
        e_1 = _between(eps, x, t, target, e, 1 / 3)
        low = _second(x, t, target, e, e_1, 1 / 3)
        high = _third(eps, x, t, target, e, e_1)
        allowed = torch.clamp(RELATIVE * torch.maximum(low.abs(), before.abs()), min=ABSOLUTE)
        error = float(torch.linalg.norm((low - high) / allowed)) / x.numel() ** 0.5
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / order) - 1)
        h *= factor
        step += 1
        if factor >= SAFETY:
            before, t = low, end
            x = high + up * s_noise * noise.next()
    return x
