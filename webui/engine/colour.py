"""Results given the colours of the picture they came from."""

import cv2
import numpy as np
from PIL import Image

WEIGHTS = np.array([0.3, 0.59, 0.11])
"""Of red, green and blue in lightness, as the W3C's blend modes count it."""


def corrected(picture: Image.Image, target: Image.Image) -> Image.Image:
    """The picture with its values in CIELAB spread as the target's are, and its own lightness (RGB, its size)."""
    lab = cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2LAB)
    like = cv2.cvtColor(np.asarray(target.convert("RGB")), cv2.COLOR_RGB2LAB)
    matched = np.stack([_matched(lab[..., channel], like[..., channel]) for channel in range(3)], axis=-1)
    colours = cv2.cvtColor(matched.astype(np.uint8), cv2.COLOR_LAB2RGB)
    return Image.fromarray(_with_lightness(colours, np.asarray(picture.convert("RGB"))))


def _matched(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Values mapped so that their cumulative histogram becomes that of `like` (histogram matching)."""
    _, places, counts = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    levels, like_counts = np.unique(like.ravel(), return_counts=True)
    shares, like_shares = np.cumsum(counts) / values.size, np.cumsum(like_counts) / like.size
    return np.interp(shares, like_shares, levels)[places].reshape(values.shape)


def _with_lightness(colours: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Hue and saturation of one picture, lightness of another (W3C Compositing, "luminosity"); bytes (h, w, 3)."""
    base, wanted = colours / 255.0, (like / 255.0) @ WEIGHTS
    made = base + (wanted - base @ WEIGHTS)[..., None]
    light = (made @ WEIGHTS)[..., None]
    low, high = made.min(-1, keepdims=True), made.max(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        made = np.where(low < 0, light + (made - light) * light / (light - low), made)
        made = np.where(high > 1, light + (made - light) * (1 - light) / (high - light), made)
    return (np.clip(np.nan_to_num(made), 0, 1) * 255).round().astype(np.uint8)
