"""Masks of inpainting: white is painted anew. From the picture handed in to what lies over latents and results.

Masks here are Pillow pictures of mode L in the init image's size, unless said otherwise.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from webui.domain import ResizeMode
from webui.engine.resize import Box, resized

FILL_RADII = ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1))
"""(pixels of blur, how often it is laid on) of A1111's "fill", from far to near."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """What one result is laid into. `overlay` RGBA: the original, with holes where the mask is; None: nothing is put
    back.
    """

    overlay: Image.Image | None
    mask: Image.Image | None
    """As it is shown and saved, in the size of the finished picture."""
    region: Box | None = None
    """(left, top, right, bottom) of the part that was worked on, with "only masked"."""
    colours: Image.Image | None = None
    """The picture whose colours the result is to have."""


def mask_of(picture: Image.Image, *, rounded: bool) -> Image.Image:
    """The mask a picture stands for: its alpha channel when that says anything, else its lightness."""
    if picture.mode in ("LA", "PA"):
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA" and picture.getextrema()[-1] != (255, 255):
        alpha = picture.getchannel("A")
        return alpha.point([255 if value > 128 else 0 for value in range(256)]) if rounded else alpha
    return picture.convert("L")


def blurred(mask: Image.Image, x: float, y: float) -> Image.Image:
    """Gaussian blur with a standard deviation in pixels for each direction, 0 for none."""
    values = np.asarray(mask)
    if x > 0:
        values = cv2.GaussianBlur(values, (_kernel(x), 1), x)
    if y > 0:
        values = cv2.GaussianBlur(values, (1, _kernel(y)), y)
    return Image.fromarray(np.ascontiguousarray(values))


def _kernel(deviation: float) -> int:
    return 2 * int(2.5 * deviation + 0.5) + 1


def region_of(mask: Image.Image, *, padding: int, width: int, height: int) -> Box | None:
    """The part of a picture that "only masked" works on: the mask's bounds, `padding` pixels around them, made as
    wide or tall as width × height is in proportion, within the picture. None when the mask is empty.
    """
    bounds = mask.getbbox()
    if bounds is None:
        return None
    left, top, right, bottom = bounds
    left, top = max(left - padding, 0), max(top - padding, 0)
    right, bottom = min(right + padding, mask.width), min(bottom + padding, mask.height)
    ratio = width / height
    if (right - left) / (bottom - top) > ratio:
        top, bottom = _widened(top, bottom, int((right - left) / ratio - (bottom - top)), mask.height)
    else:
        left, right = _widened(left, right, int((bottom - top) * ratio - (right - left)), mask.width)
    return left, top, right, bottom


def _widened(start: int, end: int, more: int, limit: int) -> tuple[int, int]:
    """A span `more` longer, half at each end, moved back inside 0..limit and cut off where it is longer than that."""
    start -= more // 2
    end += more - more // 2
    over = max(end - limit, 0)
    start, end = start - over, end - over
    under = max(-start, 0)
    return start + under, min(end + under, limit)


def strengthened(mask: Image.Image) -> Image.Image:
    """Twice as strong: where the blur is half through, the original is wholly covered."""
    return mask.convert("L").point([min(2 * value, 255) for value in range(256)])


def filled(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """What lies under the mask replaced by the colours around it, blurred from near and far."""
    kept = holed(picture, mask)
    made = Image.new("RGBA", picture.size)
    for radius, times in FILL_RADII:
        layer = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(times):
            made.alpha_composite(layer)
    return made.convert("RGB")


def holed(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture with premultiplied alpha (mode RGBa), clear where the mask is white."""
    made = Image.new("RGBa", picture.size)
    made.paste(picture.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    return made


def overlay_of(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """What is laid over a result: the original where it is to stay (RGBA)."""
    return holed(picture, mask).convert("RGBA")


def placed(picture: Image.Image, size: tuple[int, int], region: Box) -> Image.Image:
    """A result of "only masked" back at its place, on a clear ground (RGBA, `size`)."""
    left, top, right, bottom = region
    whole = Image.new("RGBA", size)
    whole.paste(resized(picture, ResizeMode.CROP, right - left, bottom - top), (left, top))
    return whole


def composited(picture: Image.Image, canvas: Canvas) -> tuple[Image.Image, Image.Image]:
    """(the result under its overlay, RGB; the result alone, at its place). Without an overlay both are the result."""
    overlay = canvas.overlay
    if overlay is None:
        return picture, picture
    alone = placed(picture, overlay.size, canvas.region) if canvas.region else picture
    whole = alone.convert("RGBA")
    whole.alpha_composite(overlay)
    return whole.convert("RGB"), alone


def composite(alone: Image.Image, mask: Image.Image) -> Image.Image:
    """What was painted anew, clear elsewhere (RGBA)."""
    shown = resized(mask, ResizeMode.FILL, *alone.size).convert("L")
    painted = alone.convert("RGBA").convert("RGBa")
    return Image.composite(painted, Image.new("RGBa", alone.size), shown).convert("RGBA")


def over_latents(mask: Image.Image, *, width: int, height: int, rounded: bool) -> Tensor:
    """A mask (1, height, width) fp32 in 0..1 over latents of that size; 0 and 1 alone when `rounded`."""
    small = mask.convert("RGB").resize((width, height)).getchannel(0)
    values = torch.from_numpy(np.asarray(small).astype(np.float32) / 255)[None]
    return values.round() if rounded else values
