"""Noise, number for number as A1111 draws it: one generator per picture, so a batch equals its pictures made alone.

Sources: CPU (torch's Mersenne Twister), NV (the Philox numbers an NVIDIA card would draw, computed on any machine)
and GPU (the card's own generator). Where there is no CUDA card, NV stands for GPU: it gives the numbers that those
who made their seeds on a card have.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from webui.domain import NoiseSource
from webui.engine.brownian import BrownianNoise

Shape = tuple[int, ...]


class Generator(Protocol):
    """A seeded stream of standard normal tensors."""

    def randn(self, shape: Shape) -> Tensor: ...


class TorchGenerator:
    """torch's own generator on a device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    def randn(self, shape: Shape) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device)


MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
UNIT = np.float32(2.3283064e-10)
"""2^-32 in the precision CUDA uses."""
UNIT_2PI = np.float32(2.3283064e-10 * 6.2831855)


class PhiloxGenerator:
    """What `torch.randn(..., device="cuda")` gives, for tensors small enough that each thread draws once.

    Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), then Box-Muller; of the four
    words of a block two make the one normal number that is used.
    """

    def __init__(self, seed: int) -> None:
        self._key = seed % 2**64
        self._calls = 0

    def randn(self, shape: Shape) -> Tensor:
        count = int(np.prod(shape))
        words = [
            np.full(count, self._calls, np.uint32),
            np.zeros(count, np.uint32),
            np.arange(count, dtype=np.uint32),
            np.zeros(count, np.uint32),
        ]
        self._calls += 1
        first, second = _philox(words, self._key)
        u = first * UNIT + UNIT / 2
        v = second * UNIT_2PI + UNIT_2PI / 2
        normal = np.sqrt(-2.0 * np.log(u)) * np.sin(v)
        return torch.from_numpy(normal.astype(np.float32).reshape(shape))


def _philox(words: list[np.ndarray], key: int) -> tuple[np.ndarray, np.ndarray]:
    """The first two words of Philox4x32-10 for counters `words` (four arrays below 2^32), each below 2^32."""
    # 64-bit throughout: a product's high half stays where it is until it is asked for.
    a, b, c, d = (word.astype(np.uint64) for word in words)
    low, high = key & 0xFFFFFFFF, key >> 32
    for _ in range(ROUNDS):
        a *= np.uint64(MULTIPLIERS[0])
        c *= np.uint64(MULTIPLIERS[1])
        b ^= (c >> np.uint64(32)) ^ np.uint64(low)
        d ^= (a >> np.uint64(32)) ^ np.uint64(high)
        a &= np.uint64(0xFFFFFFFF)
        c &= np.uint64(0xFFFFFFFF)
        a, b, c, d = b, c, d, a
        low, high = (low + WEYL[0]) & 0xFFFFFFFF, (high + WEYL[1]) & 0xFFFFFFFF
    return a, b


def available_source(source: NoiseSource, device: torch.device | str) -> NoiseSource:
    """The source that is really used on a device: NV stands for GPU where there is no CUDA card."""
    if source is NoiseSource.GPU and torch.device(device).type != "cuda":
        return NoiseSource.NV
    return source


def generator_for(seed: int, *, source: NoiseSource, device: torch.device | str) -> Generator:
    """A fresh generator for a seed (any integer)."""
    source = available_source(source, device)
    if source is NoiseSource.NV:
        return PhiloxGenerator(seed)
    return TorchGenerator(seed, torch.device("cpu") if source is NoiseSource.CPU else torch.device(device))


def slerp(fraction: float, low: Tensor, high: Tensor) -> Tensor:
    """From `low` (fraction 0) to `high` (fraction 1) along the sphere, column by column of (c, h, w).

    Angles are taken over the height, and nearly parallel noises are mixed the other way round: both are A1111's ways,
    and seeds with variations depend on them.
    """
    dot = (low / low.norm(dim=1, keepdim=True) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if dot.mean() > 0.9995:
        return low * fraction + high * (1 - fraction)
    angle = torch.acos(dot)
    whole = torch.sin(angle)
    from_low = (torch.sin((1.0 - fraction) * angle) / whole).unsqueeze(1)
    from_high = (torch.sin(fraction * angle) / whole).unsqueeze(1)
    return from_low * low + from_high * high


def paste_centred(noise: Tensor, onto: Tensor) -> Tensor:
    """`noise` (c, h, w) over the middle of `onto` (c, H, W), cropped where it is larger. Changes and returns `onto`."""
    spans: list[tuple[slice, slice]] = []
    for size, full in zip(noise.shape[1:], onto.shape[1:], strict=True):
        offset = (full - size) // 2
        length = size if offset >= 0 else size + 2 * offset
        to, start = max(offset, 0), max(-offset, 0)
        spans.append((slice(to, to + length), slice(start, start + length)))
    (rows, from_rows), (columns, from_columns) = spans
    onto[:, rows, columns] = noise[:, from_rows, from_columns]
    return onto


class NoiseStream:
    """The noise of one batch, in the order samplers take it; fulfils `engine.types.Noise`.

    `shape` (c, h, w) of one picture's latent; `seed_resize` (width, height) in pixels, (0, 0) for none; `ensd` is
    added to the seeds for everything after the first noise; `strength` 0..1 mixes in the noise of `subseeds`.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        shape: tuple[int, int, int],
        source: NoiseSource,
        subseeds: Sequence[int] = (),
        strength: float = 0.0,
        seed_resize: tuple[int, int] = (0, 0),
        ensd: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.seeds = tuple(seeds)
        self.shape = shape
        self.device = torch.device(device)
        self.source = available_source(source, device)
        self._subseeds = tuple(subseeds)
        self._strength = strength
        width, height = seed_resize
        self._drawn_shape = (shape[0], height // 8, width // 8) if width > 0 and height > 0 else shape
        self._ensd = ensd
        self._generators = [self._generator(seed) for seed in seeds]
        self._brownian: BrownianNoise | None = None

    def first(self) -> Tensor:
        """Starting noise (batch, c, h, w), standard normal. To be taken once, before `next`."""
        noises = [self._starting(index) for index in range(len(self.seeds))]
        if self._ensd:
            self._generators = [self._generator(seed + self._ensd) for seed in self.seeds]
        return torch.stack(noises).to(self.device)

    def next(self) -> Tensor:
        """Standard normal noise (batch, c, h, w) for one ancestral step."""
        return torch.stack([generator.randn(self.shape) for generator in self._generators]).to(self.device)

    def span(self, sigma_min: float, sigma_max: float) -> None:
        """Lay the Brownian trees over these sigmas; before `between`, once per pass."""
        self._brownian = BrownianNoise(sigma_min, sigma_max, seeds=self.seeds, draw=self._drawing())

    def between(self, sigma: float, sigma_next: float) -> Tensor:
        """Unit-variance Brownian increment (batch, c, h, w) between two sigmas."""
        if self._brownian is None:
            raise RuntimeError("span() tells the range of sigmas before between() draws inside it")
        return self._brownian.between(sigma, sigma_next).to(self.device)

    def _generator(self, seed: int) -> Generator:
        return generator_for(seed, source=self.source, device=self.device)

    def _drawing(self) -> Callable[[int], Tensor]:
        return lambda seed: self._generator(seed).randn(self.shape)

    def _starting(self, index: int) -> Tensor:
        """One picture's starting noise (c, h, w). With seed resize, the picture's own generator draws the margin."""
        seed, resized = self.seeds[index], self._drawn_shape != self.shape
        own = self._generators[index]
        noise = (self._generator(seed) if resized else own).randn(self._drawn_shape)
        if self._strength and self._subseeds:
            subseed = self._subseeds[index] if index < len(self._subseeds) else 0
            noise = slerp(self._strength, noise, self._generator(subseed).randn(self._drawn_shape))
        return paste_centred(noise, own.randn(self.shape)) if resized else noise
