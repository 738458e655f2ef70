"""The pose detector that comes with Maple: a small network that knows the demo checkpoint's drawn figures, and only
those. `webui.demo.figures` trains it.

A picture, squared with its own edge and reduced to 64 × 64, becomes 18 heatmaps of 32 × 32, one per joint, and one
number for whether a figure is there at all. A joint lies at the mean of its heatmap about the highest cell.
"""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from webui.engine.control.making import Drawn, Making, Map
from webui.engine.control.pixels import resized
from webui.engine.control.pose import draw_poses

SIDE, CELLS, JOINTS = 64, 32, 18
WIDTHS = (24, 32, 64)
WINDOW = 2
"""Cells on each side of the highest that a joint's place is the mean of."""
FIGURE = 0.5
"""Least probability of a figure."""
SURE = 0.2
"""Least share of a heatmap about its highest cell for the joint to be there."""


class PoseNet(nn.Module):
    """Heatmaps' logits (n, 18, 32, 32) and a figure's logit (n,) of pictures (n, 3, 64, 64) from -1 to 1."""

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        wide, wider, widest = widths
        self.stem = nn.Conv2d(3, wide, 5, stride=2, padding=2)
        self.down = nn.Conv2d(wide, wider, 3, stride=2, padding=1)
        self.middle = _Block(wider)
        self.downer = nn.Conv2d(wider, widest, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(_Block(widest), _Block(widest), _Block(widest))
        self.upper = nn.Conv2d(widest, wider, 1)
        self.again = _Block(wider)
        self.up = nn.Conv2d(wider, wide, 1)
        self.last = nn.Conv2d(wide, wide, 3, padding=1)
        self.heat = nn.Conv2d(wide, JOINTS, 1)
        self.figure = nn.Linear(widest, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        fine = functional.silu(self.stem(pictures))
        middle = self.middle(self.down(fine))
        coarse = self.coarse(self.downer(middle))
        middle = self.again(middle + functional.interpolate(self.upper(coarse), scale_factor=2.0))
        fine = fine + functional.interpolate(self.up(middle), scale_factor=2.0)
        return self.heat(functional.silu(self.last(fine))), self.figure(coarse.amax(dim=(2, 3)))[:, 0]


class _Block(nn.Module):
    """Two convolutions beside a straight way."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(4, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(functional.silu(self.first(functional.silu(self.norm(x)))))


def decoded(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Joints (n, 18, 2) as fractions (x, y) of the side, and how sure each is (n, 18), of heatmaps' logits."""
    shares = heat.flatten(2).softmax(-1)
    highest = shares.argmax(-1)
    rows, columns = highest // CELLS, highest % CELLS
    cells = torch.arange(CELLS, device=heat.device)
    near = ((cells[:, None] - rows[..., None, None]).abs() <= WINDOW) & (
        (cells[None, :] - columns[..., None, None]).abs() <= WINDOW
    )
    weights = shares.view_as(heat) * near
    sure = weights.sum(dim=(2, 3))
    middles = (cells + 0.5) / CELLS
    x = (weights.sum(dim=2) * middles).sum(-1) / sure
    y = (weights.sum(dim=3) * middles).sum(-1) / sure
    return torch.stack([x, y], dim=-1), sure


def joints(
    network: PoseNet, picture: NDArray[np.uint8], device: torch.device | str = "cpu"
) -> NDArray[np.float64] | None:
    """A figure's joints (18, 3): x and y as fractions of the picture's width and height, and how sure; None where no
    figure is. `picture` is (height, width, 3), uint8 RGB."""
    small, left, top, side = _squared(picture)
    tensor = torch.from_numpy(small).permute(2, 0, 1)[None].to(device).float() / 127.5 - 1
    with torch.no_grad():
        heat, figure = network(tensor)
        places, sure = decoded(heat)
    if torch.sigmoid(figure[0]) < FIGURE:
        return None
    height, width = picture.shape[:2]
    found = torch.cat([places[0], sure[0][:, None]], dim=-1).double().cpu().numpy()
    found[:, 0] = (found[:, 0] * side - left) / width
    found[:, 1] = (found[:, 1] * side - top) / height
    return found


def _squared(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int, int]:
    """The picture as the network sees it, and its left, top and side before it was reduced."""
    height, width = picture.shape[:2]
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    square = cv2.copyMakeBorder(picture, top, side - height - top, left, side - width - left, cv2.BORDER_REPLICATE)
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=how), np.uint8), left, top, side


def find_poses(picture: Map, making: Making) -> Drawn:
    """The drawn figure of a picture; nobody where there is none."""
    shown = resized(picture, making.resolution)
    height, width = shown.shape[:2]
    found = joints(making.network(PoseNet), picture, making.device)
    people: list[dict[str, Any]] = [] if found is None else [_person(found, width, height)]
    return Drawn(map=draw_poses(people, width, height), people=people)


def _person(found: NDArray[np.float64], width: int, height: int) -> dict[str, Any]:
    points = [
        value for x, y, sure in found for value in ((x * width, y * height, 1.0) if sure >= SURE else (0.0, 0.0, 0.0))
    ]
    return {"pose_keypoints_2d": [round(float(value), 3) for value in points]}
