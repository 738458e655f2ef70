"""The tiny pose detector that is shipped, trained on figures whose joints are known because we drew them.

Figures in all colours and poses but the held-back ones, and other drawings, so that it learns when nobody is there.
Each time a picture is shown it is moved, scaled, bent, recoloured, blurred and made noisy anew: a checkpoint draws
limbs less straight than we do. `python -m webui.demo figures` trains it in two minutes of one core.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from webui.demo import eyes
from webui.demo.checkpoint import LICENCE, NAME
from webui.demo.course import Course, Dice, Group, Peers, train
from webui.demo.drawings import Spec, any_spec, draw, figure_height, held_back_pose, keypoints, random_spec
from webui.demo.pictures import to_tensor
from webui.engine.control.demo_pose import CELLS, JOINTS, SIDE, WIDTHS, PoseNet, joints

FILE = Path("models/ControlNet/annotators/maple-demo-pose.safetensors")
BLUR = 1.2
"""The width of a joint's peak in the heatmap that is asked for, in cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How long and how fast the detector learns."""

    steps: int = 1000
    batch: int = 16
    rate: float = 2e-3
    figures: int = 3000
    others: int = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """Pictures (n, 64, 64, 3) of 0-255 and joints (n, 18, 2) as fractions; NaN where no figure is."""

    pictures: NDArray[np.uint8]
    joints: NDArray[np.float32]


def make(folder: Path, lesson: Lesson | None = None, *, file: Path = FILE) -> Path:
    """Train the detector and write it; states are kept in `folder`."""
    lesson = lesson or Lesson()
    torch.manual_seed(4)
    network = PoseNet()
    taught = _taught(lesson)
    course = Course(name="figures", folder=folder, steps=lesson.steps, rate=lesson.rate, flat=0.5)

    def loss_at(step: int, dice: Dice) -> Tensor:
        some = torch.randint(len(taught.pictures), (lesson.batch,), generator=dice.torch).numpy()
        pictures, places = shaken(to_tensor(taught.pictures[some]), torch.from_numpy(taught.joints[some]), dice.torch)
        return loss(network, pictures, places)

    train(course, [Group(parts={"pose": network})], loss_at, peers=Peers())
    trained = f"Trained from scratch on {len(taught.pictures)} drawn pictures; {lesson.steps} steps."
    return export(file, network, trained)


def export(file: Path, network: PoseNet, trained: str) -> Path:
    """Write the detector, fp16; what its weights cannot tell is in the header."""
    half = {name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()}
    config = {"licence": LICENCE, "pose": {"widths": list(WIDTHS), "side": SIDE, "cells": CELLS}}
    said = {
        "format": "pt",
        "maple.config": json.dumps(config),
        "modelspec.title": f"{NAME}: pose detector",
        "modelspec.author": "Maple WebUI",
        "modelspec.description": trained,
        "modelspec.license": LICENCE,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(half, file, metadata=said)
    file.chmod(0o644)
    return file


def opened(file: Path = FILE) -> PoseNet:
    """The detector of a file, ready to look."""
    network = PoseNet()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(file).items()})
    return network.eval().requires_grad_(False)


def held_back(count: int, *, seed: int = 7) -> list[Spec]:
    """Figures in free poses that no training picture shows."""
    rng, found = random.Random(seed), []
    while len(found) < count:
        spec = any_spec(rng, {"figure": 1})
        if held_back_pose(spec):
            found.append(spec)
    return found


def right(network: PoseNet, specs: Sequence[Spec], *, size: int = 128) -> float:
    """The share, 0-1, of joints that the detector finds in true drawings."""
    shares = []
    for spec in specs:
        found = joints(network, np.asarray(draw(spec, size)))
        points = [] if found is None else [(x, y) for x, y, _ in found.tolist()]
        shares.append(eyes.near(points, keypoints(spec), figure_height(spec)))
    return sum(shares) / len(shares)


def _taught(lesson: Lesson) -> Taught:
    rng = random.Random(3)
    others = {"single": 2, "two": 1, "pair": 1, "scene": 2, "cat": 2, "blob": 3}
    specs = [random_spec(rng, {"figure": 1}) for _ in range(lesson.figures)]
    specs += [random_spec(rng, others) for _ in range(lesson.others)]
    pictures = np.stack([np.asarray(draw(spec, SIDE)) for spec in specs])
    nobody = [(float("nan"),) * 2] * JOINTS
    places = np.array([keypoints(spec) or nobody for spec in specs], dtype=np.float32)
    return Taught(pictures=pictures, joints=places)


def shaken(pictures: Tensor, places: Tensor, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    """The pictures (n, 3, h, w), -1 to 1, moved, scaled, bent, recoloured, blurred and noisy, and their joints
    (n, 18, 2)."""
    n = len(pictures)

    def even(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand((n, *shape), generator=dice)

    scale, shift = even(0.85, 1.3, 1), even(-0.2, 0.2, 2)
    # Pixel p of the new picture shows the old one's scale * p + shift, both from -1 to 1.
    lens = torch.zeros(n, 2, 3)
    lens[:, 0, 0] = lens[:, 1, 1] = scale[:, 0]
    lens[:, :, 2] = shift
    field = functional.affine_grid(lens, list(pictures.shape), align_corners=False)
    # Bent by less than a limb is thick: the joints stay where they are.
    bend = functional.interpolate(even(-0.025, 0.025, 2, 9, 9), pictures.shape[2:], mode="bicubic")
    field = field + bend.permute(0, 2, 3, 1)
    moved = functional.grid_sample(pictures, field, padding_mode="border", align_corners=False)
    points = ((places * 2 - 1 - shift[:, None]) / scale[:, None] + 1) / 2
    if torch.rand((), generator=dice) < 0.25:
        moved = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    if torch.rand((), generator=dice) < 0.3:
        moved = moved[:, torch.randperm(3, generator=dice)]
    moved = moved * even(0.75, 1.1, 1, 1, 1) + even(-0.15, 0.15, 3, 1, 1)
    moved = moved + even(0.0, 0.12, 1, 1, 1) * torch.randn(moved.shape, generator=dice)
    return moved.clamp(-1, 1), points


def loss(network: PoseNet, pictures: Tensor, places: Tensor) -> Tensor:
    """How far heatmaps are from peaks at the joints that lie inside, and the figure's number from what is there."""
    heat, figure = network(pictures)
    there = ~places.isnan().any(dim=(1, 2))
    entropy = functional.binary_cross_entropy_with_logits(figure, there.float())
    inside = there[:, None] & (places > 0).all(-1) & (places < 1).all(-1)
    if not inside.any():
        return entropy
    asked = peaks(places[inside])
    own = heat[inside].flatten(1).log_softmax(-1)
    return functional.kl_div(own, asked, reduction="batchmean") + entropy


def peaks(places: Tensor) -> Tensor:
    """Heatmaps (n, cells) that sum to 1, with a round peak at each place (n, 2)."""
    middles = (torch.arange(CELLS) + 0.5) / CELLS
    x = torch.exp(-((middles - places[:, :1]) ** 2) * CELLS**2 / (2 * BLUR**2))
    y = torch.exp(-((middles - places[:, 1:]) ** 2) * CELLS**2 / (2 * BLUR**2))
    heat = (y[:, :, None] * x[:, None, :]).flatten(1)
    return heat / heat.sum(-1, keepdim=True)
