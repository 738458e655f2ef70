"""What a model file says of itself: tensor names, shapes and dtypes; and the reading of safetensors headers.

A safetensors file is 8 bytes (little-endian length), that many bytes of JSON, then the tensors' bytes
(https://github.com/huggingface/safetensors#format). Only the first two parts are read.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile

LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors library itself."""

WHOLE: set[type] = {int}
BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "C64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}


class Tensor(NamedTuple):
    """One tensor as the header names it; `dtype` in safetensors' spelling ("F16", "BF16", ...).

    A named tuple, not a dataclass: ten thousand files have millions of them, and it is made in a third of the time.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All that is known of a file without its weights."""

    format: ModelFormat
    tensors: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    asked: tuple[str, ...] = ()
    """Dotted names of what a pickle asks to import; empty for safetensors."""
    refused: tuple[str, ...] = ()
    """Those of `asked` that weights have no need of: such a file is never loaded."""


def read_safetensors(path: Path) -> Header:
    """The header of a safetensors file. Raises BrokenFile when it is not whole, OSError when it cannot be read."""
    with open(path, "rb") as file:
        return read_open(file, path)


def read_open(file: IO[bytes], path: Path) -> Header:
    """As `read_safetensors`, of a file already open; `path` is for the messages."""
    size = file.seek(0, 2)
    file.seek(0)
    if size < 8:
        raise BrokenFile(path=str(path), reason=f"{size} bytes, too short for a safetensors header")
    length = int.from_bytes(file.read(8), "little")
    if length > LONGEST_HEADER or length > size - 8:
        raise BrokenFile(path=str(path), reason=f"its header claims {length} bytes, the file has {size}")
    return parse(file.read(length), path=path, payload=size - 8 - length)


def parse(raw: bytes, *, path: Path, payload: int) -> Header:
    """A Header from its JSON, checked against `payload`, the number of bytes behind it. Raises BrokenFile."""
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(path=str(path), reason="its header is not JSON") from error
    if not isinstance(table, dict):
        raise BrokenFile(path=str(path), reason="its header is not a JSON object")
    entries = cast("dict[str, Any]", table)
    metadata = entries.pop("__metadata__", None)
    tensors = {name: _tensor(name, entry, path=path, payload=payload) for name, entry in entries.items()}
    words = cast("dict[str, Any]", metadata) if isinstance(metadata, dict) else {}
    return Header(
        format=ModelFormat.SAFETENSORS,
        tensors=tensors,
        metadata={key: value if isinstance(value, str) else json.dumps(value) for key, value in words.items()},
    )


def _tensor(name: str, entry: Any, *, path: Path, payload: int) -> Tensor:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        elements = math.prod(shape)
        # One look for all: a float, a text or a boolean among the numbers is as wrong as a negative one.
        whole = set(map(type, (*shape, begin, end))) == WHOLE and min((*shape, begin)) >= 0 and begin <= end
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise BrokenFile(path=str(path), reason=f"its header describes {name!r} badly") from error
    if not whole or not isinstance(dtype, str):
        raise BrokenFile(path=str(path), reason=f"its header describes {name!r} badly")
    if end > payload:
        raise BrokenFile(path=str(path), reason=f"{name!r} ends at byte {end} of {payload}: cut short")
    bits = BITS.get(dtype)
    if bits is not None and (elements * bits + 7) // 8 != end - begin:
        held = f"{name!r} has {end - begin} bytes, not what {dtype} {list(shape)} needs"
        raise BrokenFile(path=str(path), reason=held)
    return Tensor(dtype, shape)
