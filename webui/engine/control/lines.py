"""Preprocessors that find lines with a network: line art, soft edges, scribbles, straight lines.

The networks are controlnet-aux's classes (Manga's is `manga`); the arithmetic around them is sd-webui-controlnet
1.1.455's. Each takes a picture (height, width, 3) RGB and a `Making`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from controlnet_aux.hed import ControlNetHED_Apache2
from controlnet_aux.lineart import Generator
from controlnet_aux.lineart_anime import UnetGenerator
from controlnet_aux.mlsd.models.mbv2_mlsd_large import MobileV2_MLSD_Large
from controlnet_aux.mlsd.utils import pred_lines
from controlnet_aux.pidi.model import pidinet
from controlnet_aux.teed.ted import TED
from controlnet_aux.util import nms, safe_step
from numpy.typing import NDArray
from torch import Tensor, nn

from webui.engine.control.making import Making, Map, rgb
from webui.engine.control.manga import MangaLines
from webui.engine.control.pixels import lineart_standard, padded

ANIME_SIDES = 256
"""The anime network halves its input eight times."""
SMALLEST_STROKE = 12
"""Pixels; Anyline drops smaller specks."""


def lineart_realistic(picture: Map, making: Making) -> Map:
    """Chan 2022's drawings of photos; white on black."""
    wide, cut = padded(picture, making.resolution)
    network = making.network(lambda: Generator(3, 1, 3))
    line = network(making.tensor(wide) / 255.0)[0, 0]
    return cut(255 - _bytes(line * 255.0))


lineart_coarse = lineart_realistic
"""The same network with coarser weights."""


def lineart_anime(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    height, width = wide.shape[:2]
    sides = tuple(-(-side // ANIME_SIDES) * ANIME_SIDES for side in (width, height))
    plain: Any = partial(nn.InstanceNorm2d, affine=False, track_running_stats=False)
    network = making.network(lambda: UnetGenerator(3, 1, 8, 64, norm_layer=plain, use_dropout=False))
    grown = cv2.resize(wide, sides, interpolation=cv2.INTER_CUBIC)
    line = network(making.tensor(np.asarray(grown, np.uint8)) / 127.5 - 1.0)[0, 0] * 127.5 + 127.5
    line = cv2.resize(line.cpu().numpy(), (width, height), interpolation=cv2.INTER_CUBIC)
    return cut(255 - line.clip(0, 255).astype(np.uint8))


def lineart_anime_denoise(picture: Map, making: Making) -> Map:
    """Li 2017's lines of manga pages: screentone and noise left out."""
    wide, cut = padded(picture, making.resolution)
    grey = np.asarray(cv2.cvtColor(wide, cv2.COLOR_RGB2GRAY), np.uint8)
    line = making.network(MangaLines)(making.tensor(grey))[0, 0]
    return cut(_bytes(255.0 - line))


def softedge_hed(picture: Map, making: Making) -> Map:
    return _hed(picture, making, safe=0)


def softedge_hedsafe(picture: Map, making: Making) -> Map:
    return _hed(picture, making, safe=2)


def softedge_pidinet(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut((_pidinet(wide, making) * 255.0).clip(0, 255).astype(np.uint8))


def softedge_pidisafe(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut((safe_step(_pidinet(wide, making)) * 255.0).clip(0, 255).astype(np.uint8))


def sketch_pidinet(picture: Map, making: Making) -> Map:
    """Black and white, as T2I-Adapter's sketches."""
    wide, cut = padded(picture, making.resolution)
    return cut((_pidinet(wide, making) > 0.5).astype(np.uint8) * np.uint8(255))


def softedge_teed(picture: Map, making: Making) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut(_teed(wide, making))


def softedge_anyline(picture: Map, making: Making) -> Map:
    """MTEED's edges; where standard line art is faintest, in strokes and not in specks, they are taken out."""
    wide, cut = padded(picture, making.resolution)
    edges = _teed(wide, making)
    still = Making(detector=making.detector, resolution=min(wide.shape[:2]))
    faint = (lineart_standard(wide, still) == 1).astype(np.uint8)
    _, labels, facts, _ = cv2.connectedComponentsWithStats(faint, connectivity=4)
    large = facts[:, cv2.CC_STAT_AREA] >= SMALLEST_STROKE
    large[0] = False
    return cut(np.where(large[np.asarray(labels)], np.uint8(1), edges))


def scribble_hed(picture: Map, making: Making) -> Map:
    return _scribble(softedge_hed(picture, making))


def scribble_pidinet(picture: Map, making: Making) -> Map:
    return _scribble(softedge_pidinet(picture, making))


def mlsd(picture: Map, making: Making) -> Map:
    """Straight lines, one pixel wide; Gu 2022."""
    wide, cut = padded(picture, making.resolution)
    drawn = np.zeros_like(wide)
    network = making.network(MobileV2_MLSD_Large)
    try:
        lines = pred_lines(wide, network, list(wide.shape[:2]), making.a, making.b)
    except IndexError:
        lines = []  # the library's way of finding none
    for line in lines:
        left, top, right, bottom = (int(value) for value in line)
        cv2.line(drawn, (left, top), (right, bottom), (255, 255, 255), 1)
    return cut(drawn)


def _hed(picture: Map, making: Making, *, safe: int) -> Map:
    wide, cut = padded(picture, making.resolution)
    return cut(_joined(making.network(ControlNetHED_Apache2)(making.tensor(wide)), wide, safe=safe))


def _teed(wide: Map, making: Making) -> Map:
    return _joined(making.network(TED)(making.tensor(wide)), wide, safe=int(making.a))


def _joined(answers: Sequence[Tensor], wide: Map, *, safe: int) -> Map:
    """The mean of a network's answers at every scale, as a probability; in `safe` steps where that is not 0."""
    height, width = wide.shape[:2]
    grown = [cv2.resize(one[0, 0].float().cpu().numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
             for one in answers]  # fmt: skip
    edges = 1 / (1 + np.exp(-np.mean(np.stack(grown, axis=2), axis=2).astype(np.float64)))
    if safe:
        edges = safe_step(edges, safe)
    return (edges * 255.0).clip(0, 255).astype(np.uint8)


def _pidinet(wide: Map, making: Making) -> NDArray[np.float32]:
    """(height, width), 0 to 1; the network wants blue first."""
    blue_first = np.ascontiguousarray(wide[:, :, ::-1])
    return making.network(pidinet)(making.tensor(blue_first) / 255.0)[-1][0, 0].cpu().numpy()


def _scribble(edges: Map) -> Map:
    """Soft edges thinned to their ridges and drawn with a thick pen."""
    thin = cv2.GaussianBlur(nms(edges, 127, 3.0), (0, 0), 3.0)
    return rgb((np.asarray(thin) > 4).astype(np.uint8) * np.uint8(255))


def _bytes(values: Tensor) -> Map:
    return values.cpu().numpy().clip(0, 255).astype(np.uint8)
