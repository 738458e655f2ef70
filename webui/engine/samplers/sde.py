"""Stochastic DPM-Solver++ samplers: their noise is a Brownian motion over sigma, fixed by each picture's seed.

Exponential integrators of the diffusion SDE in the half log signal-to-noise ratio, -log sigma; Lu et al. 2022,
"DPM-Solver++", section 5 and appendix. `eta` 0 is the ODE, 1 the whole SDE.
"""

import torch
from torch import Tensor

from webui.engine.samplers.steps import ancestral, level, pairs
from webui.engine.types import Guided, Noise, OnStep


def _fresh(noise: Noise, sigma: Tensor, after: Tensor) -> Tensor:
    return noise.between(float(sigma), float(after))


@torch.no_grad()
def dpmpp_sde(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """DPM-Solver++(2S) for the SDE: one call at sigma, one at the geometric middle."""
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        if after == 0:
            x = x0
            continue
        # The same roundings as going through t = -log sigma: the Brownian tree is asked at these very floats.
        t, t_after = -sigma.log(), -after.log()
        here, middle, there = (-t).exp(), (-(t + (t_after - t) * 0.5)).exp(), (-t_after).exp()
        down, up = ancestral(here, middle, eta)
        x_middle = _towards(x, x0, here, down)
        if eta:
            x_middle = x_middle + _fresh(noise, here, middle) * s_noise * up
        x0_middle = guided(x_middle, level(x, middle))
        down, up = ancestral(here, there, eta)
        x = _towards(x, x0_middle, here, down)
        if eta:
            x = x + _fresh(noise, here, there) * s_noise * up
    return x


def _towards(x: Tensor, x0: Tensor, sigma: Tensor, down: Tensor) -> Tensor:
    """The exact step from sigma to `down` for a constant x0."""
    return down / sigma * x - torch.expm1(down.log() - sigma.log()) * x0


@torch.no_grad()
def dpmpp_2m_sde(
    guided: Guided,
    x: Tensor,
    sigmas: Tensor,
    *,
    noise: Noise,
    on_step: OnStep,
    eta: float = 1.0,
    s_noise: float = 1.0,
    solver: str = "midpoint",
) -> Tensor:
    """DPM-Solver++(2M) for the SDE; `solver` "midpoint" or "heun" is how the previous x0 comes in."""
    before: Tensor | None = None
    last_step = torch.zeros(())
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        if after == 0:
            x = x0
            continue
        h = sigma.log() - after.log()
        whole = -h - eta * h
        gain = -torch.expm1(whole)
        x = after / sigma * torch.exp(-eta * h) * x + gain * x0
        if before is not None:
            share = gain / whole + 1 if solver == "heun" else 0.5 * gain
            x = x + share * (h / last_step) * (x0 - before)
        if eta:
            x = x + _fresh(noise, sigma, after) * after * (-torch.expm1(-2 * eta * h)).sqrt() * s_noise
        before, last_step = x0, h
    return x


@torch.no_grad()
def dpmpp_3m_sde(
    guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, eta: float = 1.0, s_noise: float = 1.0
) -> Tensor:
    """The same with three x0: linear, then quadratic in -log sigma."""
    earlier: list[tuple[Tensor, Tensor]] = []
    for step, sigma, after in pairs(sigmas):
        x0 = guided(x, level(x, sigma))
        on_step(step, x, sigma, x0)
        if after == 0:
            x = x0
            continue
        h = sigma.log() - after.log()
        whole = h * (eta + 1)
        phi_2 = torch.expm1(-whole) / whole + 1
        x = torch.exp(-whole) * x - torch.expm1(-whole) * x0
        if earlier:
            (x0_1, h_1), *rest = earlier
            first = (x0 - x0_1) / (h_1 / h)
            if not rest:
                x = x + phi_2 * first
            else:
                x0_2, h_2 = rest[0]
                r_1, r_2 = h_1 / h, h_2 / h
                bend = (first - (x0_1 - x0_2) / r_2) / (r_1 + r_2)
                x = x + phi_2 * (first + bend * r_1) - (phi_2 / whole - 0.5) * bend
        if eta:
            x = x + _fresh(noise, sigma, after) * after * (-torch.expm1(-2 * h * eta)).sqrt() * s_noise
        earlier = [(x0, h), *earlier[:1]]
    return x
