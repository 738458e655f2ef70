"""One course of training: a loop that steps, averages, saves every two minutes and goes on where it stopped.

Nothing random is carried from step to step: what a step draws is seeded by (seed, step, rank), so a course that was
stopped and resumed ends in the very same weights as one that ran through. Several one-thread processes on a CPU share a
course by averaging their gradients; on small models that uses the cores better than threads do.
"""

# The foreach functions and torch.distributed's are public in use, private in PyTorch's stubs.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false, reportCallIssue=false

import json
import multiprocessing
import multiprocessing.connection
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """This process's place among those that train together."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, values: Tensor) -> Tensor:
        """The mean of `values` over all peers, in place."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Dice:
    """What one step may draw from: Python's and torch's generators, seeded by (seed, step, rank)."""

    python: random.Random
    torch: torch.Generator

    @classmethod
    def cast(cls, seed: int, step: int, rank: int) -> "Dice":
        mixed = random.Random(f"{seed} {step} {rank}")
        return cls(python=mixed, torch=torch.Generator().manual_seed(mixed.getrandbits(62)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parts trained at the same share of the course's learning rate."""

    parts: dict[str, nn.Module]
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a training runs. `warm` and `flat` shape the learning rate: up over `warm` steps, level until the `flat`
    fraction of all steps, then straight down to a twentieth. `average` is the decay of the running mean of weights."""

    name: str
    folder: Path
    steps: int
    rate: float
    seed: int = 0
    warm: int = 40
    flat: float = 0.6
    average: float = 0.996
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    save_every: float = 120.0
    """Seconds."""
    pause_at: int | None = None
    """Save and leave off at this step, to be resumed another time."""

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pt"

    def rate_at(self, step: int) -> float:
        done = step / max(1, self.steps)
        fall = 1.0 if done < self.flat else 1.0 - 0.95 * (done - self.flat) / (1.0 - self.flat)
        return self.rate * min(1.0, (step + 1) / self.warm) * fall


Loss = Callable[[int, Dice], Tensor]


def train(course: Course, groups: list[Group], loss_at: Loss, *, peers: Peers) -> None:
    """Step until `course.steps`, from the saved state if there is one. Leaves the averaged weights in the modules and
    the whole state in `course.file`."""
    parts = {name: part for group in groups for name, part in group.parts.items()}
    optimizer = torch.optim.AdamW(
        [{"params": _weights(group.parts), "share": group.share} for group in groups],
        betas=course.betas,
        weight_decay=course.weight_decay,
    )
    weights = _weights(parts)
    means = [weight.detach().clone() for weight in weights]
    first = _resume(course, parts, optimizer, means, peers.device)
    last_save, recent = time.monotonic(), []
    end = min(course.steps, course.pause_at or course.steps)
    bar = tqdm(range(first, end), course.name, course.steps, initial=first, disable=not peers.leads, mininterval=5)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = course.rate_at(step) * group["share"]
        loss = loss_at(step, Dice.cast(course.seed, step, peers.rank))
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        _share_gradients(weights, peers)
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(means, weights, 1 - min(course.average, (1 + step) / (10 + step)))
        recent.append(loss.detach())
        if peers.leads and (step + 1) % 25 == 0:
            value = float(torch.stack(recent).mean())
            recent.clear()
            bar.set_postfix(loss=f"{value:.4f}", refresh=False)
            _note(course, step + 1, value)
        if peers.leads and time.monotonic() - last_save > course.save_every:
            _save(course, parts, optimizer, means, step + 1)
            last_save = time.monotonic()
    if peers.leads and first < end:
        _save(course, parts, optimizer, means, end)
    with torch.no_grad():
        torch._foreach_copy_(weights, means)


def averaged(file: Path, part: str, module: nn.Module) -> int:
    """Load the running mean of `part`'s weights from a course's file into `module`; the step it was saved at."""
    state = torch.load(file, map_location="cpu", weights_only=True)
    names = [name for name, _ in _named({part: module})]
    means = dict(zip(state["names"], state["means"], strict=True))
    with torch.no_grad():
        for name, weight in zip(names, _weights({part: module}), strict=True):
            weight.copy_(means[name])
    return int(state["step"])


def _named(parts: dict[str, nn.Module]) -> list[tuple[str, nn.Parameter]]:
    return [(f"{name}/{key}", weight) for name, part in parts.items() for key, weight in part.named_parameters()]


def _weights(parts: dict[str, nn.Module]) -> list[nn.Parameter]:
    return [weight for _, weight in _named(parts)]


def _share_gradients(weights: list[nn.Parameter], peers: Peers) -> None:
    if peers.count == 1:
        return
    grads = [weight.grad if weight.grad is not None else torch.zeros_like(weight) for weight in weights]
    flat = peers.share(torch.cat([grad.flatten() for grad in grads]))
    for weight, grad in zip(weights, flat.split([weight.numel() for weight in weights]), strict=True):
        weight.grad = grad.view_as(weight)


def _save(
    course: Course, parts: dict[str, nn.Module], optimizer: torch.optim.Optimizer, means: list[Tensor], step: int
) -> None:
    state = {
        "step": step,
        "parts": {name: part.state_dict() for name, part in parts.items()},
        "optimizer": optimizer.state_dict(),
        "names": [name for name, _ in _named(parts)],
        "means": means,
    }
    partial = course.file.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(course.file)


def _resume(
    course: Course,
    parts: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    means: list[Tensor],
    device: torch.device,
) -> int:
    if not course.file.exists():
        return 0
    state: dict[str, Any] = torch.load(course.file, map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state["parts"][name])
    optimizer.load_state_dict(state["optimizer"])
    torch._foreach_copy_(means, state["means"])
    return int(state["step"])


def _note(course: Course, step: int, loss: float) -> None:
    with (course.folder / f"{course.name}.log").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, "loss": round(loss, 5), "at": round(time.time())}) + "\n")


def together(work: Callable[..., None], *args: Any, processes: int) -> None:
    """Call `work(*args, peers=…)` in each of `processes` processes; on a GPU, and for one process, right here."""
    if torch.cuda.is_available():
        work(*args, peers=Peers(device=torch.device("cuda")))
        return
    if processes == 1:
        work(*args, peers=Peers())
        return
    with tempfile.TemporaryDirectory() as meeting:
        torch.multiprocessing.spawn(_join, (processes, f"file://{meeting}/peers", work, args), nprocs=processes)


def _join(rank: int, count: int, meeting: str, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    _end_with_parent()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    try:
        work(*args, peers=Peers(rank=rank, count=count))
    finally:
        dist.destroy_process_group()


def _end_with_parent() -> None:
    """A training that is killed takes its workers along: one that went on would write over the next one's state."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))
