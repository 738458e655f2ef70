"""The Brownian tree draws torchsde's numbers and behaves as Brownian motion."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torchsde

from webui.engine.brownian import BrownianNoise, BrownianTree

pytestmark = pytest.mark.torch
SHAPE = (4, 8, 8)


def draw(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", [0, 1, 4294967295, 2**40])
@pytest.mark.parametrize(("lo", "hi"), [(0.029167, 14.6146), (0.1, 10.0)])
def test_increments_are_torchsdes(seed: int, lo: float, hi: float):
    theirs = torchsde.BrownianTree(
        torch.tensor(lo).double(), torch.zeros(SHAPE), torch.tensor(hi).double(), entropy=seed
    )
    mine = BrownianTree(lo, hi, entropy=seed, draw=draw)
    places = [lo, *np.sort(np.random.default_rng(seed).uniform(lo, hi, 7)).tolist(), hi]
    for start, end in [*pairwise(places), (places[1], places[6]), (lo, hi)]:
        assert torch.allclose(mine.increment(start, end), theirs(start, end), atol=1e-5)


def test_the_motion_does_not_depend_on_how_it_is_asked():
    one, other = (BrownianTree(0.0, 10.0, entropy=3, draw=draw) for _ in range(2))
    other.increment(2.5, 2.6)
    other.increment(0.1, 9.0)
    assert torch.equal(one.increment(1.0, 7.0), other.increment(1.0, 7.0))
    whole = one.increment(1.0, 3.3) + one.increment(3.3, 7.0)
    assert torch.allclose(whole, one.increment(1.0, 7.0), atol=1e-5)


def test_noise_between_two_sigmas_has_unit_variance_and_turns_its_sign():
    noise = BrownianNoise(0.03, 14.6, seeds=list(range(40)), draw=draw)
    drawn = noise.between(5.0, 1.0)
    assert drawn.shape == (40, *SHAPE)
    assert abs(float(drawn.std()) - 1) < 0.03 and abs(float(drawn.mean())) < 0.03
    assert torch.equal(noise.between(1.0, 5.0), -drawn)


def test_walking_down_keeps_few_tensors_in_memory():
    tree = BrownianTree(0.03, 14.6, entropy=1, draw=draw)
    places = torch.linspace(14.6, 0.03, 100).tolist()
    for start, end in pairwise(places):
        tree.increment(end, start)
    kept = [tree._root]
    for node in kept:
        kept += node.halves or ()
    assert len(kept) < 150


def test_outside_the_tree_is_clamped_and_a_point_has_no_length():
    tree = BrownianTree(1.0, 2.0, entropy=1, draw=draw)
    assert torch.equal(tree.increment(0.5, 3.0), tree.increment(1.0, 2.0))
    assert not tree.increment(1.5, 1.5).any()
    assert math.isclose(float(tree.increment(1.0, 2.0).std()), 1.0, rel_tol=0.15)
