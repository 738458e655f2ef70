"""Tensors on their way from one file to another: never more of them in memory than one part of a few megabytes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from webui.engine.weights import Entry

PART = 8 * 1024 * 1024
"""Bytes read at a time."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One tensor to be written. `entries` follow each other along the first axis; together they fill `shape`."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    entries: tuple[Entry, ...]

    @property
    def count(self) -> int:
        """Numbers in it."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes it will have."""
        return self.count * self.dtype.itemsize

    def cast(self, dtype: torch.dtype) -> "Piece":
        """The same in another number type, when it holds floating-point numbers."""
        return replace(self, dtype=dtype) if self.dtype.is_floating_point else self

    def shaped(self, shape: tuple[int, ...]) -> "Piece":
        """The same numbers in another shape. Raises ValueError when their count differs."""
        if math.prod(shape) != self.count:
            raise ValueError(f"{list(self.shape)} is not {list(shape)}")
        return replace(self, shape=shape)


def whole(entry: Entry) -> Piece:
    """A stored tensor as it is."""
    return Piece(entry.dtype, entry.shape, (entry,))


@dataclass(slots=True)
class Reader:
    """Reads pieces part by part. `on_bytes` hears how many bytes of the source were read."""

    on_bytes: Callable[[int], None] = lambda _count: None
    overflown: set[str] = field(default_factory=set[str])
    """Names of tensors with numbers too large for their new type."""

    def parts(self, name: str, piece: Piece) -> Iterator[memoryview]:
        """The bytes of a piece, little-endian, in order. A part is good until the next is asked for."""
        for entry in piece.entries:
            for part in self._strided(entry) if entry.stride is not None else self._stored(entry):
                yield _bytes(self._converted(name, part, piece.dtype))

    def _stored(self, entry: Entry) -> Iterator[Tensor]:
        step = PART // entry.dtype.itemsize * entry.dtype.itemsize
        buffer = bytearray(min(step, entry.size))
        for begin in range(0, entry.size, step):
            view = memoryview(buffer)[: min(step, entry.size - begin)]
            entry.source.read_into(view, entry.offset + begin)
            self.on_bytes(len(view))
            yield torch.frombuffer(view, dtype=entry.dtype)

    def _strided(self, entry: Entry) -> Iterator[Tensor]:
        """A tensor that does not lie in order must be seen whole to be put in order."""
        if not entry.size or entry.stride is None:
            return
        buffer = bytearray(entry.size)
        entry.source.read_into(memoryview(buffer), entry.offset)
        self.on_bytes(entry.size)
        seen = torch.frombuffer(buffer, dtype=entry.dtype).as_strided(entry.shape, entry.stride)
        rows = max(1, PART // max(1, math.prod(entry.shape[1:]) * entry.dtype.itemsize))
        for begin in range(0, entry.shape[0] if entry.shape else 1, rows):
            yield (seen[begin : begin + rows] if entry.shape else seen).contiguous().reshape(-1)

    def _converted(self, name: str, part: Tensor, dtype: torch.dtype) -> Tensor:
        if part.dtype == dtype:
            return part
        made = part.to(dtype)
        if torch.isfinite(part.float()).sum() != torch.isfinite(made.float()).sum():
            self.overflown.add(name)
        return made


def _bytes(part: Tensor) -> memoryview:
    seen: Any = part.view(torch.uint8).numpy()
    return memoryview(seen)
