"""The five types the engine is made of; every other module speaks in them.

A loaded model is a `Denoise`; a pass wraps it into a `Guided`; a `SamplerFn` walks `Guided` down the sigmas.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

COND = "cond"
UNCOND = "uncond"
CONTROLS = "controls"
"""Of `Call.extras`: the control units that guide it (`control.applied.Guide`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One text as a model reads it: `states` (tokens, width), and by name what else it is told once a text (one row of
    `Call.extras` each): "pooled" (width,), "numbers" (n,) of sizes and scores.
    """

    states: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def tokens(self) -> int:
        return self.states.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One conditioned evaluation of the model for some pictures of the batch.

    `x` (n, channels, height/8, width/8) noisy latents in k-diffusion scale (x0 + sigma * noise); `sigma` (n,);
    `context` (n, tokens, width) text states; `rows`: which pictures of the batch these n rows belong to;
    `weight`: of this part in AND composition; `extras`: what families and controls add. A loaded model reads "pooled"
    (n, width) and "numbers" (n, k) of SDXL's texts, "concat" (n, c, height/8, width/8), further channels for the
    network of an inpainting or pix2pix model, beside x as they are (not scaled with sigma), and "controls", the units
    that guide it.
    """

    role: str
    rows: tuple[int, ...]
    x: Tensor
    sigma: Tensor
    context: Tensor
    weight: float = 1.0
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Where the sampler is: `call` counts model evaluations (second-order samplers make two a step), both from 0."""

    call: int
    step: int
    calls: int
    steps: int


Denoise = Callable[[Sequence[Call], StepContext], list[Tensor]]
"""A loaded model: denoised latents (x0) for each call, in its shape. Batches or splits by memory."""

Guided = Callable[[Tensor, Tensor], Tensor]
"""(x (batch, c, h, w), sigma (batch,)) → x0: conditioned answers joined. Owned by the pass, which counts calls."""


class Noise(Protocol):
    """Where a sampler takes fresh noise from; one stream per picture, so a batch equals its pictures made alone."""

    def next(self) -> Tensor:
        """Standard normal noise (batch, c, h, w) for an ancestral step."""
        ...

    def between(self, sigma: float, sigma_next: float) -> Tensor:
        """Unit-variance Brownian increment between two sigmas (batch, c, h, w); torchsde's tree, seeded per picture."""
        ...


OnStep = Callable[[int, Tensor, Tensor, Tensor], None]
"""(step index, x, sigma, x0) after each step's first evaluation; may raise `Interrupted` to end the sampling."""


class SamplerFn(Protocol):
    def __call__(
        self, guided: Guided, x: Tensor, sigmas: Tensor, *, noise: Noise, on_step: OnStep, **options: Any
    ) -> Tensor: ...


class Interrupted(Exception):
    """Raised by on_step to leave a sampler at once. `latent` is the x0 to keep, or None to drop the batch."""

    def __init__(self, latent: Tensor | None) -> None:
        super().__init__("interrupted")
        self.latent = latent
