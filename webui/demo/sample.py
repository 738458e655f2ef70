"""The shortest way from prompts to the demo's pictures: Euler a with guidance on diffusers' parts, nothing else.

For looking at a model while it trains and for judging one before the engine exists around it.
"""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel

from webui.demo.pictures import SCALE
from webui.demo.unet import signal_to_noise

Rows = Callable[[str], list[int]]
Asked = tuple[ControlNetModel, Sequence[NDArray[np.uint8]]]
"""A ControlNet and one map (size, size, 3) of 0-255 per picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A model in its parts; `rows` turns a prompt into 77 token rows of the encoder."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    encoder: CLIPTextModel
    rows: Rows


@torch.no_grad()
def sample(
    parts: Parts, prompts: Sequence[str], *, seeds: Sequence[int], size: int, steps: int = 20, cfg_scale: float = 5.0,
    control: Asked | None = None,
) -> list[Image.Image]:  # fmt: skip
    """One picture of size × size per prompt and seed; Euler ancestral (Karras et al. 2022, appendix C; k-diffusion).
    `control` guides with and without prompt alike, at weight 1 from the first step to the last."""
    hidden = _read(parts, [*prompts, *("" for _ in prompts)])
    dice = [torch.Generator().manual_seed(seed) for seed in seeds]
    hints = control and _hints(control[1])
    sigmas = schedule(steps)
    x = sigmas[0] * _noise(dice, size)
    for sigma, after in pairwise(sigmas):
        d = _guided(parts.unet, x, sigma, hidden, cfg_scale, control and control[0], hints)
        down, up = _ancestral(sigma, after)
        x = x + d * (down - sigma)
        if after > 0:
            x = x + up * _noise(dice, size)
    pixels = torch.cat([parts.vae.decode(one / SCALE).sample for one in x.split(8)])
    whole = ((pixels + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(picture) for picture in whole]


def schedule(steps: int) -> Tensor:
    """sigmas (steps + 1,) from the noisiest down to 0, evenly spaced in Stable Diffusion's timesteps."""
    log_sigmas = signal_to_noise().rsqrt().log()
    times = torch.linspace(len(log_sigmas) - 1, 0, steps)
    low, high, part = times.floor().long(), times.ceil().long(), times.frac()
    return torch.cat([((1 - part) * log_sigmas[low] + part * log_sigmas[high]).exp(), torch.zeros(1)])


def _time_of(sigma: Tensor) -> Tensor:
    log_sigmas = signal_to_noise().rsqrt().log()
    high = int(torch.searchsorted(log_sigmas, sigma.log()).clamp(1, len(log_sigmas) - 1))
    part = (sigma.log() - log_sigmas[high - 1]) / (log_sigmas[high] - log_sigmas[high - 1])
    return (high - 1 + part).clamp(0, len(log_sigmas) - 1)


def _hints(maps: Sequence[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack([*maps, *maps])).permute(0, 3, 1, 2).float() / 255


def _guided(
    unet: UNet2DConditionModel, x: Tensor, sigma: Tensor, hidden: Tensor, cfg_scale: float,
    network: ControlNetModel | None, hints: Tensor | None,
) -> Tensor:  # fmt: skip
    """The guided noise estimate, which is dx/dsigma."""
    scaled, time = torch.cat([x, x]) / (sigma**2 + 1).sqrt(), _time_of(sigma)
    told = {}
    if network is not None:
        down, middle = network(scaled, time, hidden, hints, return_dict=False)
        told = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
    with_prompt, without = unet(scaled, time, hidden, **told).sample.chunk(2)
    return without + cfg_scale * (with_prompt - without)


def _ancestral(sigma: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    up = torch.minimum(after, (after**2 * (sigma**2 - after**2) / sigma**2).sqrt())
    return (after**2 - up**2).sqrt(), up


def _noise(dice: Sequence[torch.Generator], size: int) -> Tensor:
    return torch.stack([torch.randn((4, size // 8, size // 8), generator=die) for die in dice])


def _read(parts: Parts, prompts: Sequence[str]) -> Tensor:
    return parts.encoder(input_ids=torch.tensor([parts.rows(prompt) for prompt in prompts])).last_hidden_state


def grid(pictures: Sequence[Image.Image], *, columns: int) -> Image.Image:
    """The pictures side by side, row by row."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), "grey")
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    return sheet


def save_grid(file: Path, pictures: Sequence[Image.Image], *, columns: int) -> None:
    grid(pictures, columns=columns).save(file)
