"""Soft inpainting: latents are mixed by the mask's grey, step by step, and the original is laid over the result
where it has hardly changed. A1111's built-in script of that name (by CodeHatchling), number for number.
"""

import math

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from webui.domain import ResizeMode, SoftInpainting
from webui.engine.mask import Canvas, overlay_of, placed
from webui.engine.resize import resized

SOFTENED = 4
"""Pixels of blur that take the steps out of an enlarged mask."""
REACH = 2
DEVIATION = 1.5
"""Of the filter that looks at a latent pixel's neighbourhood."""


def mixed(soft: SoftInpainting, original: Tensor, latent: Tensor, painted: Tensor, level: Tensor) -> Tensor:
    """Original and denoised latents (batch, c, h, w) mixed for a noise level (scalar).

    `painted` (batch or 1, 1, h, w) in 0..1 is raised to a power that grows with the noise. Lengths are mixed apart
    from directions, so that contrast is not lost between two latents that point apart.
    """
    share = painted ** (level**soft.schedule_bias * soft.preservation_strength)
    made = original * (1 - share) + latent * share
    power = soft.transition_contrast_boost
    lengths = _length(original) ** power * (1 - share) + _length(latent) ** power * share
    return made * (lengths ** (1 / power) / (_length(made) + 1e-5)).to(made.dtype)


def _length(latent: Tensor) -> Tensor:
    """Over channels (batch, 1, h, w); double, for powers go up to 32."""
    wide = torch.float32 if latent.device.type == "mps" else torch.float64
    return torch.linalg.vector_norm(latent, dim=1, keepdim=True).to(wide)


def covers(soft: SoftInpainting, original: Tensor, latent: Tensor, painted: Tensor) -> list[np.ndarray]:
    """How much of each picture is painted anew, by how far its latents moved: (h, w) in 0..1 each."""
    kept = 1 - painted[:, 0].float().clamp(0, 1) ** (soft.preservation_strength / 2)
    lean = 0.5 * (1 - soft.mask_influence) + kept * soft.mask_influence
    lean = (lean / (1.00001 - lean)).cpu().numpy()
    distances = torch.linalg.vector_norm(latent - original, dim=1).float().cpu().numpy()
    kernel = _kernel()
    made: list[np.ndarray] = []
    for number, distance in enumerate(distances):
        spread = _ranked(_ranked(distance, kernel, 0.9, 1.0), kernel, 0.25, 0.75)
        half = soft.difference_threshold * lean[min(number, len(lean) - 1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            kept_there = 1 / (1 + np.nan_to_num(spread / half, nan=0.0) ** soft.difference_contrast)
        made.append(1 - _smooth(kept_there))
    return made


def softened(canvas: Canvas, original: Image.Image, cover: np.ndarray, *, width: int, height: int) -> Canvas:
    """The canvas with mask and overlay by `cover` (h, w) in 0..1 of the latents of a width × height picture.

    `original`: the init image as it lies under the result, whole.
    """
    mask = Image.fromarray((255 * cover).astype(np.uint8))
    mask = resized(mask, ResizeMode.FILL, width, height).convert("L")
    mask = mask.filter(ImageFilter.GaussianBlur(SOFTENED))
    if canvas.region is not None:
        mask = placed(mask.convert("RGB"), original.size, canvas.region).convert("L")
    overlay = overlay_of(original, mask) if canvas.overlay is not None else None
    return Canvas(overlay=overlay, mask=mask, region=canvas.region, colours=canvas.colours)


def _smooth(x: np.ndarray) -> np.ndarray:
    """Perlin's smootherstep."""
    return x * x * x * (x * (6 * x - 15) + 10)


def _kernel() -> np.ndarray:
    """A Gaussian of 5 × 5, 1 in the middle, that reaches 0 one pixel beyond its edge."""
    edge = math.exp(-((REACH + 1.0) ** 2) / DEVIATION**2)
    ys, xs = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    return np.maximum((np.exp(-(xs**2 + ys**2) / DEVIATION**2) - edge) / (1 - edge), 0.0)


def _ranked(values: np.ndarray, kernel: np.ndarray, low: float, high: float) -> np.ndarray:
    """For each pixel the weighted mean of those neighbours that rank between two shares of the weight, smallest first;
    a span of weight 1 at least. (0, 1) is a blur, (0.9, 1) near a maximum, (0.25, 0.75) near a median.
    """
    height, width = values.shape
    around = np.pad(values, REACH, constant_values=0.0)
    inside = np.pad(np.ones_like(values), REACH)
    places = [(y, x) for y in range(2 * REACH + 1) for x in range(2 * REACH + 1)]
    near = np.stack([around[y : y + height, x : x + width] for y, x in places], axis=-1)
    weights = np.stack([inside[y : y + height, x : x + width] * kernel[y, x] for y, x in places], axis=-1)
    order = np.argsort(near, axis=-1, kind="stable")
    near, weights = np.take_along_axis(near, order, -1), np.take_along_axis(weights, order, -1)
    ends = np.cumsum(weights, axis=-1)
    whole = ends[..., -1:]
    start, end = _span(whole, low, high)
    taken = np.clip(np.minimum(ends, end) - np.maximum(ends - weights, start), 0.0, None)
    weight = taken.sum(-1)
    return np.where(weight > 0, (near * taken).sum(-1) / np.where(weight > 0, weight, 1.0), 0.0)


def _span(whole: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the ranks to be taken begin and end, in weight; widened to 1 within the whole."""
    start, end = whole * low, whole * high
    narrow = end - start < 1.0
    middle = (start + end) / 2
    wide_start, wide_end = middle - 0.5, middle + 0.5
    over = wide_end > whole
    wide_start, wide_end = np.where(over, whole - 1.0, wide_start), np.where(over, whole, wide_end)
    under = wide_start < 0
    wide_start, wide_end = np.where(under, 0.0, wide_start), np.where(under, 1.0, wide_end)
    return np.where(narrow, wide_start, start), np.where(narrow, wide_end, end)
