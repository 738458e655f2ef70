"""What a network's answer means: its noise levels, its timesteps, and how x0 follows from its output.

Latents travel in k-diffusion scale, x = x0 + sigma * noise; the network sees c_in * x and a timestep.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

TRAIN_STEPS = 1000


def scaled_linear_alphas(start: float = 0.00085, end: float = 0.012, steps: int = TRAIN_STEPS) -> Tensor:
    """alphas_cumprod (steps,) fp32 of Stable Diffusion: betas linear in their root (Rombach et al. 2022)."""
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """The same schedule stretched to end in pure noise (Lin et al. 2024, Algorithm 1).

    The last value is a tiny number, not 0, so that sigma stays finite (4518).
    """
    root = alphas_cumprod.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    stretched = ((root - last) * (first / (first - last))) ** 2
    stretched[-1] = 4.8973451890853435e-08
    return stretched


def _like(values: Tensor, x: Tensor) -> Tensor:
    """(n,) → (n, 1, 1, ...) to stand beside x."""
    return values.reshape(-1, *(1,) * (x.ndim - 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """A discrete schedule (`alphas_cumprod`, (steps,)) and what the output is: the noise ("eps") or the velocity ("v").

    `quantize` rounds sigmas to whole timesteps; without it a sigma between two has a fractional timestep, as A1111.
    """

    kind: Literal["eps", "v"] = "eps"
    alphas_cumprod: Tensor
    quantize: bool = False
    to_pure_noise: bool = False
    """The schedule is already stretched to zero terminal SNR."""

    @cached_property
    def sigmas(self) -> Tensor:
        """Noise levels (steps,) fp32 on the CPU, rising."""
        alphas = self.alphas_cumprod.float().cpu()
        return ((1 - alphas) / alphas) ** 0.5

    @cached_property
    def log_sigmas(self) -> Tensor:
        return self.sigmas.log()

    @property
    def sigma_min(self) -> float:
        return self.sigmas[0].item()

    @property
    def sigma_max(self) -> float:
        return self.sigmas[-1].item()

    def uniform(self, n: int) -> Tensor:
        """n sigmas of evenly spaced timesteps, falling, then 0."""
        timesteps = torch.linspace(len(self.sigmas) - 1, 0, n)
        return torch.cat([self.t_to_sigma(timesteps), torch.zeros(1)])

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        """Timesteps of sigmas, same shape, fp32: linear in log sigma between neighbours, whole ones with `quantize`."""
        log_sigma = sigma.float().log()
        table = self.log_sigmas.to(sigma.device)
        if self.quantize:
            return (log_sigma.reshape(-1, 1) - table).abs().argmin(dim=1).reshape(sigma.shape).float()
        low = (torch.searchsorted(table, log_sigma, right=True) - 1).clamp(0, len(table) - 2)
        fraction = ((table[low] - log_sigma) / (table[low] - table[low + 1])).clamp(0, 1)
        return (1 - fraction) * low + fraction * (low + 1)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        """Sigmas of (fractional) timesteps, same shape."""
        t = t.float()
        table = self.log_sigmas.to(t.device)
        fraction = t.frac()
        return ((1 - fraction) * table[t.floor().long()] + fraction * table[t.ceil().long()]).exp()

    def c_in(self, sigma: Tensor) -> Tensor:
        """What x is multiplied with before the network sees it (Karras et al. 2022, table 1, VP), same shape as
        sigma."""
        return 1 / (sigma**2 + 1) ** 0.5

    def to_x0(self, x: Tensor, model_output: Tensor, sigma: Tensor) -> Tensor:
        """x0 (n, c, h, w) from noisy x (n, c, h, w), the network's output (same) and sigma (n,)."""
        sigma = _like(sigma, x)
        if self.kind == "eps":
            return x - sigma * model_output
        return x / (sigma**2 + 1) - model_output * sigma / (sigma**2 + 1) ** 0.5

    def mix(self, x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """x at noise level sigma (n,) from x0 and standard normal noise."""
        return x0 + _like(sigma, x0) * noise


def stretched(prediction: Prediction) -> Prediction:
    """The same with its schedule stretched to zero terminal SNR, once."""
    if prediction.to_pure_noise:
        return prediction
    return replace(
        prediction, alphas_cumprod=zero_terminal_snr(prediction.alphas_cumprod), to_pure_noise=True
    )  # fmt: skip


class LcmPrediction(Prediction):
    """The fifty noise levels a latent consistency model knows, out of the thousand (Luo et al. 2023).

    Timesteps still count to 999; a sigma belongs to the nearest of the fifty.
    """

    skip = TRAIN_STEPS // 50

    @cached_property
    def sigmas(self) -> Tensor:
        alphas = self.alphas_cumprod.float().cpu()[self.skip - 1 :: self.skip]
        return ((1 - alphas) / alphas) ** 0.5

    def uniform(self, n: int) -> Tensor:
        start, end = TRAIN_STEPS - 1, self.skip - 1
        return torch.cat([self.t_to_sigma(torch.linspace(start, end, n)), torch.zeros(1)])

    def sigma_to_t(self, sigma: Tensor) -> Tensor:
        return self.nearest(sigma) * self.skip + (self.skip - 1)

    def nearest(self, sigma: Tensor) -> Tensor:
        """Index 0..49 of the nearest of the fifty, in log sigma."""
        distance = (sigma.float().log().reshape(-1, 1) - self.log_sigmas.to(sigma.device)).abs()
        return distance.argmin(dim=1).reshape(sigma.shape)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        within = ((t - (self.skip - 1)) / self.skip).float().clamp(0, len(self.sigmas) - 1)
        return super().t_to_sigma(within)


def lcm_grid(prediction: Prediction) -> LcmPrediction:
    """The LCM sampler's grid over a model's schedule."""
    return LcmPrediction(kind=prediction.kind, alphas_cumprod=prediction.alphas_cumprod)
