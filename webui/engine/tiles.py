"""A large tensor worked through in overlapping tiles, joined without a seam.

Group norms see the whole picture when there is no tiling. Here they keep one set of statistics for all tiles, taken
from the picture made small; with statistics of its own each tile would have its own colours.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def tiled(
    run: Callable[[Tensor], Tensor], x: Tensor, *, side: int, overlap: int, network: nn.Module, align: int = 1
) -> Tensor:
    """`run` over x (1, channels, height, width) in tiles of `side`, at least `overlap` of it shared by neighbours.

    Returns (1, channels', height', width') fp32 on the CPU, in whatever whole proportion `run` changes sizes.
    `network` holds the group norms that `run` uses; tiles begin at multiples of `align`. Raises what `run` raises.
    """
    if not _wraps(network):
        return _joined(run, x, side, overlap, network, align)
    # A picture that tiles sees its opposite edge; its tiles must not see theirs.
    margin = -(-overlap // align) * align
    with _plain_edges(network):
        made = _joined(run, functional.pad(x, (margin,) * 4, mode="circular"), side, overlap, network, align)
    cut = [round(made.shape[axis] / (x.shape[axis] + 2 * margin) * margin) for axis in (2, 3)]
    return made[:, :, cut[0] : made.shape[2] - cut[0], cut[1] : made.shape[3] - cut[1]]


def _joined(
    run: Callable[[Tensor], Tensor], x: Tensor, side: int, overlap: int, network: nn.Module, align: int
) -> Tensor:
    rows, columns = (starts(length, side, overlap, align) for length in x.shape[2:])
    with shared_norms(network) as measure:
        measure(lambda: run(shrunk(x, side)))
        made: Tensor | None = None
        weight: Tensor | None = None
        for top in rows:
            for left in columns:
                tile = x[:, :, top : top + side, left : left + side]
                answer = run(tile).float().cpu()
                up = answer.shape[2] / tile.shape[2]
                if made is None or weight is None:
                    size = round(x.shape[2] * up), round(x.shape[3] * up)
                    made, weight = answer.new_zeros(1, answer.shape[1], *size), answer.new_zeros(1, 1, *size)
                at_top, at_left = round(top * up), round(left * up)
                here = (..., slice(at_top, at_top + answer.shape[2]), slice(at_left, at_left + answer.shape[3]))
                ramp = _ramp(answer.shape[2], round(overlap * up))[:, None] * _ramp(
                    answer.shape[3], round(overlap * up)
                )
                made[here] += answer * ramp
                weight[here] += ramp
    assert made is not None and weight is not None
    return made / weight


def _wraps(network: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) and module.padding_mode == "circular" for module in network.modules())


@contextmanager
def _plain_edges(network: nn.Module) -> Iterator[None]:
    layers: list[Any] = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    modes = [layer.padding_mode for layer in layers]
    for layer in layers:
        layer.padding_mode = "zeros"
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.padding_mode = mode


def starts(length: int, side: int, overlap: int, align: int = 1) -> list[int]:
    """Where tiles begin so that they cover a length evenly, on multiples of `align` but for the last.

    >>> starts(100, 40, 10)
    [0, 30, 60]
    >>> starts(30, 40, 10)
    [0]
    """
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    last = length - side
    return [*(number * last // (count - 1) // align * align for number in range(count - 1)), last]


def shrunk(x: Tensor, side: int) -> Tensor:
    """The whole at a tile's size, with the mean and deviation of each channel it had."""
    scale = side / max(x.shape[2:])
    if scale >= 1:
        return x
    # Nearest keeps what is there: averaging latents would make them calmer than any picture's.
    size = [max(8, round(length * scale) // 8 * 8) for length in x.shape[2:]]
    small = functional.interpolate(x.float(), size=size, mode="nearest-exact")
    spread, mean = torch.std_mean(x.float(), dim=(2, 3), keepdim=True)
    own_spread, own_mean = torch.std_mean(small, dim=(2, 3), keepdim=True)
    return ((small - own_mean) / own_spread.clamp_min(1e-6) * spread + mean).to(x.dtype)


def _ramp(length: int, overlap: int) -> Tensor:
    """Weights (length,) that rise from an edge over the overlap, never to 0."""
    steps = torch.arange(length, dtype=torch.float32)
    return ((torch.minimum(steps, length - 1 - steps) + 1) / max(1, overlap)).clamp(max=1)


@contextmanager
def shared_norms(network: nn.Module) -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Group norms that remember: `measure(run)` has them take statistics, all that follows is normed by those."""
    norms = [module for module in network.modules() if isinstance(module, nn.GroupNorm)]
    kept: dict[nn.GroupNorm, tuple[Tensor, Tensor]] = {}
    measuring = False

    def normed(norm: nn.GroupNorm, x: Tensor) -> Tensor:
        grouped = x.float().reshape(len(x), norm.num_groups, -1)
        if measuring:
            variance, mean = torch.var_mean(grouped, dim=2, correction=0, keepdim=True)
            kept[norm] = mean, torch.rsqrt(variance + norm.eps)
        mean, scale = kept[norm]
        answer = ((grouped - mean) * scale).reshape(x.shape).to(x.dtype)
        if norm.weight is None:
            return answer
        shape = (1, -1, *[1] * (x.dim() - 2))
        return answer * norm.weight.to(x.dtype).reshape(shape) + norm.bias.to(x.dtype).reshape(shape)

    def measure(run: Callable[[], Any]) -> None:
        nonlocal measuring
        measuring = True
        try:
            run()
        finally:
            measuring = False

    for norm in norms:
        vars(norm)["forward"] = partial(normed, norm)
    try:
        yield measure
    finally:
        for norm in norms:
            del vars(norm)["forward"]
