"""What samplers share: walking the sigmas, one sigma for a batch, the ancestral split."""

from collections.abc import Iterator

import torch
from torch import Tensor


def pairs(sigmas: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(step, sigma, next sigma) down the schedule, scalars on the CPU, where they cost no synchronisation."""
    for step in range(len(sigmas) - 1):
        yield step, sigmas[step], sigmas[step + 1]


def level(x: Tensor, sigma: Tensor | float) -> Tensor:
    """One noise level for every picture of x: (batch,)."""
    return x.new_full((x.shape[0],), float(sigma))


def ancestral(sigma: Tensor, after: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """(down, up): step down to `down`, then add `up` of fresh noise to be at `after`; eta 0 adds none."""
    if not eta:
        return after, torch.zeros(())
    up = torch.minimum(after, eta * (after**2 * (sigma**2 - after**2) / sigma**2) ** 0.5)
    return (after**2 - up**2) ** 0.5, up
