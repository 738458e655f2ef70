"""What a ControlNet of the demo is shown: line maps and pose maps as the field makes them, each time another way.

White lines on black as lineart preprocessors give them, and OpenPose's coloured skeletons; both at the picture's size.
People hand in thick and thin pens, pencil, broken lines, maps made at 512 pixels and reduced: training draws them all.
"""

import random

import cv2
import numpy as np
from numpy.typing import NDArray

from webui.demo.drawings import Spec, draw, keypoints, paper, strokes
from webui.engine.control.pose import COLOURS, LIMB_BRIGHTNESS, LIMBS

Map = NDArray[np.uint8]
"""(size, size, 3), RGB, 0-255."""

_SKELETON = 512
"""Skeletons are drawn at the side OpenPose is made for, and reduced."""


def line_map(spec: Spec, size: int, rng: random.Random) -> Map:
    """The picture's lines as some preprocessor would give them: mostly pens of 1 to 6 pixels, a third of them broken,
    many grey or soft; some as lineart_standard finds them on paper or in the picture itself, some as inverted paper."""
    chosen = rng.random()
    if chosen < 0.05:
        return lineart_standard(np.asarray(draw(spec, size)), rng.choice((1.5, 3.0, 6.0)))
    width = rng.choice((1.0, 1.0, 1.5, 2.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    broken = rng.uniform(0.05, 0.4) if rng.random() < 0.33 else 0.0
    if chosen < 0.35:
        sheet = rng.choice(((255, 255, 255), (255, 255, 255), (210, 210, 210), (245, 235, 205), (190, 215, 235)))
        ink = rng.choice(((0, 0, 0), (0, 0, 0), (70, 70, 70), (110, 110, 110), (40, 40, 120)))
        drawn = np.asarray(paper(spec, size, rng, paper=sheet, ink=ink, width=width, broken=broken))
        if rng.random() < 0.3:
            return 255 - drawn
        return lineart_standard(drawn, rng.choice((1.5, 3.0, 6.0)))
    cover = strokes(spec, size, rng, width=width, broken=broken)
    if rng.random() < 0.4:
        cover = cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        cover = (cover > 0.4).astype(np.float32)
    bright = 1.0 if rng.random() < 0.5 else rng.uniform(0.35, 1.0)
    return _grey(cover * bright * 255)


def lineart_standard(picture: NDArray[np.uint8], sigma: float) -> Map:
    """What the field's lineart_standard finds: how much darker a pixel is than its blurred surroundings, with the
    middle of what stands out brought to the same brightness. `sigma` in pixels; 6 on a side of 512."""
    pixels = picture.astype(np.float32)
    found = (cv2.GaussianBlur(pixels, (0, 0), sigma) - pixels).min(axis=2).clip(0, 255)
    standing = found[found > 8]
    middle = max(16.0, float(np.median(standing)) if standing.size else 16.0)
    return _grey(found / middle * 127)


def pose_map(spec: Spec, size: int, rng: random.Random) -> Map:
    """The figure's skeleton in OpenPose's colours, sticks and joints of 1 to 4 pixels' half width at 128; a fifth have
    no eyes and ears, as for people seen from afar. Black for a picture without a figure."""
    half = rng.choice((1.0, 1.0, 1.5, 2.0, 3.0, 4.0))
    return skeleton(keypoints(spec), size, half=half * size / 128, face=rng.random() < 0.8)


def skeleton(joints: list[tuple[float, float]], size: int, *, half: float = 1.0, face: bool = True) -> Map:
    """18 joints, as fractions of the side, drawn as OpenPose does; `half`: half a stick's width in pixels of `size`."""
    canvas = np.zeros((_SKELETON, _SKELETON, 3), np.uint8)
    points = [(x * _SKELETON, y * _SKELETON) for x, y in joints]
    radius = half * _SKELETON / size
    seen = [number for number in range(len(points)) if face or number < 14]
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if start in seen and end in seen:
            (x0, y0), (x1, y1) = points[start], points[end]
            degrees = np.degrees(np.arctan2(y1 - y0, x1 - x0))
            middle = (round((x0 + x1) / 2), round((y0 + y1) / 2))
            axes = (round(np.hypot(x1 - x0, y1 - y0) / 2), round(radius))
            stick = np.asarray(cv2.ellipse2Poly(middle, axes, round(degrees), 0, 360, 4), dtype=np.int32)
            cv2.fillConvexPoly(canvas, stick, [channel * LIMB_BRIGHTNESS for channel in colour])
    for number in seen:
        x, y = points[number]
        cv2.circle(canvas, (round(x), round(y)), round(radius), COLOURS[number], -1)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _grey(values: NDArray[np.float32]) -> Map:
    return np.repeat(values.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
