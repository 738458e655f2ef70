"""What a mask leaves alone: the init image's latents put back, at every call of the model and once at the end."""

from dataclasses import dataclass

from torch import Tensor

from webui.domain import SoftInpainting
from webui.engine.softinpaint import mixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """`original` (batch, c, h, w) latents of the init images; `painted` (batch or 1, 1, h, w), 1 where they are made
    anew; `soft`: mixed by grey and noise level instead.
    """

    original: Tensor
    painted: Tensor
    soft: SoftInpainting | None = None

    def at(self, latent: Tensor, level: Tensor) -> Tensor:
        """Latents (batch, c, h, w) with the original where the mask is 0, at a noise level (scalar)."""
        if self.soft is not None:
            return mixed(self.soft, self.original, latent, self.painted, level)
        return latent * self.painted + self.original * (1 - self.painted)

    def last(self, latent: Tensor) -> Tensor:
        """The same for what sampling has come to. Soft inpainting leaves it: its overlay does that work."""
        return latent if self.soft is not None else latent * self.painted + self.original * (1 - self.painted)

    def seen(self, x: Tensor, sigma: Tensor, level: Tensor) -> Tensor:
        """What the model is shown instead of x (batch, c, h, w) at sigma (batch,) by timestep samplers: blended in
        their own scale, with latents that carry no noise, as A1111 does.
        """
        scale = (1 + sigma[0] ** 2) ** 0.5
        return self.at(x / scale, level) * scale
