"""What an adapter adds to one weight: a formula per kind, from the layer's tensors and the weight as it stands.

Formulas: LoRA (Hu et al. 2021), its convolutional and CP forms, LoHa (Hyeon-Woo et al. 2022, FedPara), LoKr (Edalati
et al. 2022), DoRA (Liu et al. 2024), and plain differences. Add a kind: a function here and its line in `KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Tensors = Mapping[str, Tensor]
"""One layer's tensors in fp32 by our names: up, down, mid, hada_w1_a, lokr_w2, diff, w_norm, alpha, magnitude, ..."""


class Misshapen(ValueError):
    """The layer's tensors do not make up a weight of the model's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`needs`: tensors that together show the kind. `rank`: tensors whose first axis counts ranks; the last one
    present divides alpha."""

    name: str
    needs: tuple[str, ...]
    delta: Callable[[Tensors, Tensor, int | None], Tensor]
    rank: tuple[str, ...] = ()


def low_rank(tensors: Tensors, weight: Tensor, dyn: int | None) -> Tensor:
    """up @ down; with a mid part, its CP decomposition. `dyn`: the first so many ranks only."""
    up, down = tensors["up"], tensors["down"]
    if "mid" in tensors:
        return torch.einsum("n m k l, i n, m j -> i j k l", tensors["mid"], up.flatten(1), down.flatten(1))
    return _product(up, down, dyn)


def hadamard(tensors: Tensors, weight: Tensor, dyn: int | None) -> Tensor:
    """The element-wise product of two low-rank products."""
    first = _half(tensors, "hada_w1", "hada_t1")
    return first * _half(tensors, "hada_w2", "hada_t2")


def kronecker(tensors: Tensors, weight: Tensor, dyn: int | None) -> Tensor:
    """The Kronecker product of two parts, each whole or of low rank."""
    first = tensors["lokr_w1"] if "lokr_w1" in tensors else tensors["lokr_w1_a"] @ tensors["lokr_w1_b"]
    if "lokr_w2" in tensors:
        second = tensors["lokr_w2"]
    elif "lokr_t2" in tensors:
        second = _half(tensors, "lokr_w2", "lokr_t2")
    else:
        second = tensors["lokr_w2_a"] @ tensors["lokr_w2_b"].flatten(1)
    return torch.kron(first.reshape(*first.shape, *[1] * (second.dim() - first.dim())), second.contiguous())


def difference(tensors: Tensors, weight: Tensor, dyn: int | None) -> Tensor:
    """The difference itself."""
    return tensors["diff"]


def norm_difference(tensors: Tensors, weight: Tensor, dyn: int | None) -> Tensor:
    """The difference of a normalisation's scale."""
    return tensors["w_norm"]


KINDS: tuple[Kind, ...] = (
    Kind(name="lora", needs=("up", "down"), delta=low_rank, rank=("down",)),
    Kind(
        name="loha", needs=("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), delta=hadamard, rank=("hada_w1_b",),
    ),
    Kind(name="lokr", needs=("lokr_w1", "lokr_w2"), delta=kronecker),
    Kind(name="lokr", needs=("lokr_w1", "lokr_w2_a", "lokr_w2_b"), delta=kronecker, rank=("lokr_w2_b",)),
    Kind(name="lokr", needs=("lokr_w1_a", "lokr_w1_b", "lokr_w2"), delta=kronecker, rank=("lokr_w1_b",)),
    Kind(
        name="lokr", needs=("lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"), delta=kronecker, rank=("lokr_w2_b",),
    ),
    Kind(name="full", needs=("diff",), delta=difference),
    Kind(name="norm", needs=("w_norm",), delta=norm_difference),
)  # fmt: skip


def kind_of(names: frozenset[str]) -> Kind | None:
    """The first kind whose tensors are all there, or None."""
    return next((kind for kind in KINDS if names.issuperset(kind.needs)), None)


def added(kind: Kind, tensors: Tensors, weight: Tensor, *, dyn: int | None = None) -> tuple[Tensor, Tensor | None]:
    """(what to add to `weight` (fp32) at strength 1, what to add to its bias or None). Raises Misshapen."""
    try:
        delta = _fitted(kind.delta(tensors, weight, dyn), weight) * _scale(kind, tensors)
        if "magnitude" in tensors:
            delta = decomposed(delta, weight, tensors["magnitude"])
    except (RuntimeError, IndexError) as error:
        raise Misshapen(str(error)) from error
    return delta, tensors.get("diff_b", tensors.get("b_norm"))


def decomposed(delta: Tensor, weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA: the sum is brought to the learned length, row by row or column by column as the magnitude's shape says."""
    whole = weight + delta
    if magnitude.dim() == 1:
        magnitude = magnitude[:, None]
    magnitude = magnitude.reshape(*magnitude.shape, *[1] * (whole.dim() - magnitude.dim()))
    axes = [axis for axis in range(whole.dim()) if magnitude.shape[axis] == 1]
    length = torch.linalg.vector_norm(whole, dim=axes, keepdim=True)
    return whole * (magnitude / length) - weight


def _scale(kind: Kind, tensors: Tensors) -> float:
    if "scale" in tensors:
        return float(tensors["scale"])
    ranks = [tensors[name].shape[0] for name in kind.rank]
    return float(tensors["alpha"]) / ranks[-1] if "alpha" in tensors and ranks else 1.0


def _product(left: Tensor, right: Tensor, dyn: int | None) -> Tensor:
    shape = (left.shape[0], right.shape[1], *right.shape[2:])
    return (left.flatten(1)[:, :dyn] @ right.flatten(1)[:dyn]).reshape(shape)


def _half(tensors: Tensors, name: str, core: str) -> Tensor:
    left, right = tensors[f"{name}_a"], tensors[f"{name}_b"]
    if core not in tensors:
        return _product(left, right, None)
    return torch.einsum("i j k l, j r, i p -> p r k l", tensors[core], right, left)


def _fitted(delta: Tensor, weight: Tensor) -> Tensor:
    """In the weight's shape. An adapter of a plain model fits an inpainting one: the mask's channels get nothing."""
    if delta.dim() == weight.dim() == 4 and (delta.shape[1], weight.shape[1]) == (4, 9):
        delta = functional.pad(delta, (0, 0, 0, 0, 0, 5))
    if delta.numel() != weight.numel():
        raise Misshapen(f"{list(delta.shape)} for {list(weight.shape)}")
    return delta.reshape(weight.shape)
