"""Brownian motion over sigma, one tree per picture: the noise of the SDE samplers.

A dyadic tree fixed by its seed alone (Li et al. 2020, "Scalable Gradients for Stochastic Differential Equations",
section 4): the same numbers come out whatever the steps are. It draws what torchsde's `BrownianTree` draws (0.2.6,
tolerance 1e-6, a pool of 24), but takes its normal numbers from the noise source of the run, which torchsde cannot be
told.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

DIGITS = 6
"""Decimals of sigma that are told apart."""
POOL = 24
"""Words in numpy's seed sequence."""

Draw = Callable[[int], Tensor]
"""Seed → standard normal tensor of the picture's shape."""


@dataclass(slots=True, eq=False)
class Node:
    """W(end) − W(start) over one interval of the tree, and its two halves once something inside it was asked for."""

    start: float
    end: float
    key: int
    depth: int
    increment: Tensor
    middle: float = 0.0
    halves: "tuple[Node, Node] | None" = None


class BrownianTree:
    """W over [start, end] for one picture; `entropy` is its seed."""

    def __init__(self, start: float, end: float, *, entropy: int, draw: Draw) -> None:
        self._entropy = entropy % 2**64
        self._draw = draw
        first = int(np.random.SeedSequence(self._entropy, pool_size=POOL).generate_state(3)[0])
        whole = draw(first) * math.sqrt(end - start)
        self._root = Node(round(start, DIGITS), round(end, DIGITS), 0, 0, whole)

    def increment(self, start: float, end: float) -> Tensor:
        """W(end) − W(start), for start ≤ end; what lies outside the tree is clamped to it."""
        lo, hi = self._root.start, self._root.end
        start, end = (round(min(max(sigma, lo), hi), DIGITS) for sigma in (start, end))
        if start == end:
            return torch.zeros_like(self._root.increment)
        found = self._sum(self._root, start, end)
        self._forget(end)
        return found

    def _forget(self, above: float) -> None:
        """Let go of what lies above a sigma: samplers walk down. If it is asked again it is drawn again, the same."""
        node = self._root
        while node.halves:
            left, right = node.halves
            if above <= node.middle:
                right.halves = None
                node = left
            else:
                node = right

    def _sum(self, node: Node, start: float, end: float) -> Tensor:
        while (start, end) != (node.start, node.end):
            left, right = node.halves or self._halve(node)
            if end <= node.middle:
                node = left
            elif start >= node.middle:
                node = right
            else:
                return self._sum(left, start, node.middle) + self._sum(right, node.middle, end)
        return node.increment

    def _halve(self, node: Node) -> tuple[Node, Node]:
        """A Brownian bridge to the middle of the interval."""
        middle = round(0.5 * (node.start + node.end), DIGITS)
        sequence = np.random.SeedSequence(self._entropy, spawn_key=(node.key, node.depth), pool_size=POOL)
        normal = self._draw(int(sequence.generate_state(4)[0]))
        before, after, per_length = middle - node.start, node.end - middle, 1 / (node.end - node.start)
        left = before * node.increment * per_length + math.sqrt(before * after * per_length) * normal
        node.middle = middle
        node.halves = (
            Node(node.start, middle, 2 * node.key, node.depth + 1, left),
            Node(middle, node.end, 2 * node.key + 1, node.depth + 1, node.increment - left),
        )
        return node.halves


class BrownianNoise:
    """Unit-variance increments (batch, c, h, w) between two sigmas, one tree per picture."""

    def __init__(self, sigma_min: float, sigma_max: float, *, seeds: Sequence[int], draw: Draw) -> None:
        self._trees = [BrownianTree(sigma_min, sigma_max, entropy=seed, draw=draw) for seed in seeds]

    def between(self, sigma: float, sigma_next: float) -> Tensor:
        """The increment from `sigma` to `sigma_next`, divided by the root of their distance."""
        lo, hi = sorted((sigma, sigma_next))
        sign = 1.0 if sigma <= sigma_next else -1.0
        drawn = torch.stack([tree.increment(lo, hi) for tree in self._trees])
        return drawn * (sign / math.sqrt(hi - lo))
