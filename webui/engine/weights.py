"""Weight files as tables: name → shape, dtype and place, each tensor read when it is asked for. Nothing is executed.

`open_weights` reads .safetensors, .ckpt, .pt, .pth, .bin and diffusers folders. A tensor comes either as a view of the
mapped file (own dtype on the CPU: no copy where it lies well) or through one scratch buffer (any other dtype or
device), so that loading never holds more than the result and one tensor.
"""

import json
import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from webui.domain.errors import BadFile, BrokenFile, ModelGone

SAFETENSORS_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
PICKLE_ENDINGS = (".ckpt", ".pt", ".pth", ".bin")
# A real header is below one megabyte; safetensors itself refuses more than this.
LARGEST_HEADER = 100_000_000
# A product with one row rounds differently when its matrix begins off a 16-byte boundary (measured with AVX-512), and
# safetensors promises 8 only: such a tensor is copied, so that a picture does not depend on its checkpoint's format.
ALIGNMENT = 16


class WrongFormat(BadFile):
    """The file's ending promises another format. Fields: path, expected, found."""

    key = "wrong_format"


class Source(Protocol):
    """Where bytes lie."""

    size: int

    def read_into(self, buffer: memoryview, offset: int) -> None: ...

    def view(self, offset: int, size: int) -> memoryview | None:
        """The bytes without copying, writable without touching the file; None when there is no such view."""
        ...

    def close(self) -> None: ...


class FileSource:
    """A file, read through its descriptor or seen through a private mapping (writes stay in memory)."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except FileNotFoundError:
            raise ModelGone(name=path.name, path=str(path)) from None
        except OSError as error:
            raise BrokenFile(path=str(path), reason=error.strerror or str(error)) from None
        self.path = path
        self.size = os.fstat(self._file.fileno()).st_size
        self._map: mmap.mmap | None = None

    def read_into(self, buffer: memoryview, offset: int) -> None:
        self._file.seek(offset)
        done = 0
        while done < len(buffer):
            count = self._file.readinto(buffer[done:])
            if not count:
                raise BrokenFile(path=str(self.path), reason=f"it ends at byte {offset + done}")
            done += count

    def view(self, offset: int, size: int) -> memoryview | None:
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        return memoryview(self._map)[offset : offset + size]

    def close(self) -> None:
        """Close the descriptor. A mapping lives on as long as tensors look at it."""
        self._map = None
        self._file.close()


class MemorySource:
    """Bytes already in memory: a compressed archive's member."""

    def __init__(self, data: bytearray) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def read_into(self, buffer: memoryview, offset: int) -> None:
        buffer[:] = self._data[offset : offset + len(buffer)]

    def view(self, offset: int, size: int) -> memoryview | None:
        return self._data[offset : offset + size]

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor: where its bytes begin, its shape and, when it is not laid out in order, its strides (in elements)."""

    source: Source
    offset: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    stride: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Bytes from the first element to the last."""
        if 0 in self.shape:
            return 0
        if self.stride is None:
            return math.prod(self.shape) * self.dtype.itemsize
        return (1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))) * self.dtype.itemsize


@dataclass(slots=True)
class Weights:
    """A file's tensors by name. Use as a context; views of the mapped file outlive it."""

    path: Path
    entries: dict[str, Entry]
    metadata: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What a pickle holds beside tensors (plain values only), or a folder's component configurations."""
    _scratch: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.entries[name].shape

    def read(self, name: str, *, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> Tensor:
        """The tensor in `dtype` (None: as stored) on `device`. Stored so and on the CPU, it is a view of the file
        where its place allows.

        Raises KeyError for a name the file has not, BrokenFile when the file is shorter than it says.
        """
        entry = self.entries[name]
        wanted = dtype if dtype is not None and entry.dtype.is_floating_point else entry.dtype
        if entry.size == 0:
            return torch.empty(entry.shape, dtype=wanted, device=device)
        if torch.device(device).type != "cpu" or wanted != entry.dtype:
            return self._converted(entry, wanted, device)
        view = entry.source.view(entry.offset, entry.size) if entry.offset % ALIGNMENT == 0 else None
        if view is None:
            # Memory of torch's own, for its alignment.
            view = torch.empty(entry.size, dtype=torch.uint8).numpy().data
            entry.source.read_into(view, entry.offset)
        return _shaped(view, entry)

    def _converted(self, entry: Entry, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        if len(self._scratch) < entry.size:
            self._scratch = bytearray(entry.size)
        view = memoryview(self._scratch)[: entry.size]
        entry.source.read_into(view, entry.offset)
        # A copy even when the type stays: the scratch is used again.
        return _shaped(view, entry).to(device=device, dtype=dtype, copy=True)

    def close(self) -> None:
        self._scratch = bytearray()
        for source in {id(entry.source): entry.source for entry in self.entries.values()}.values():
            source.close()


def _shaped(buffer: memoryview, entry: Entry) -> Tensor:
    flat = torch.frombuffer(buffer, dtype=entry.dtype)
    return flat.view(entry.shape) if entry.stride is None else flat.as_strided(entry.shape, entry.stride)


def open_weights(path: Path) -> Weights:
    """Open a weight file or a diffusers folder. Raises ModelGone, BrokenFile, WrongFormat or UnsafeFile."""
    from webui.engine import folders, pickles  # both speak of Weights and Entry

    if path.is_dir():
        return folders.open_folder(path)
    found = sniff(path)
    ending = path.suffix.lower()
    if ending == ".safetensors" and found != "safetensors":
        raise WrongFormat(path=str(path), expected="safetensors", found=found)
    if ending in PICKLE_ENDINGS and found == "safetensors":
        raise WrongFormat(path=str(path), expected="PyTorch pickle", found=found)
    return open_safetensors(path) if found == "safetensors" else pickles.open_pickle(path)


def sniff(path: Path) -> str:
    """What a file is by its first bytes: "safetensors", "zip", "pickle" or "tar".

    Raises BrokenFile for anything else, or nothing at all.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise ModelGone(name=path.name, path=str(path)) from None
    except OSError as error:
        raise BrokenFile(path=str(path), reason=error.strerror or str(error)) from None
    if not head:
        raise BrokenFile(path=str(path), reason="it is empty")
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if head[:1] == b"\x80" and head[1:2] <= b"\x05" and head[8:9] != b"{":
        return "pickle"
    if head[257:262] == b"ustar":
        return "tar"
    if head[8:9] == b"{":
        return "safetensors"
    shown = (
        "a web page"
        if head.lstrip()[:1] == b"<"
        else "a Git LFS pointer"
        if head.startswith(b"version https://git-lfs")
        else "no known format"
    )
    raise BrokenFile(path=str(path), reason=f"its content is {shown}")


def open_safetensors(path: Path) -> Weights:
    """Read a safetensors header: 8 bytes of length, JSON, then data.

    Raises BrokenFile when they do not fit together.
    """
    source = FileSource(path)
    try:
        header, start = _header(source)
        metadata = {str(key): str(value) for key, value in header.pop("__metadata__", {}).items()}
        entries = {name: _entry(source, start, row) for name, row in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        source.close()
        raise BrokenFile(path=str(path), reason=f"header: {error}") from None
    except BrokenFile:
        source.close()
        raise
    return Weights(path, entries, metadata)


def _header(source: FileSource) -> tuple[dict[str, Any], int]:
    if source.size < 8:
        raise ValueError(f"only {source.size} bytes")
    first = bytearray(8)
    source.read_into(memoryview(first), 0)
    (length,) = struct.unpack("<Q", first)
    if length > min(LARGEST_HEADER, source.size - 8):
        raise ValueError(f"it claims {length} bytes, the file has {source.size}")
    text = bytearray(length)
    source.read_into(memoryview(text), 8)
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("not a table")
    return header, 8 + length


def _entry(source: FileSource, start: int, row: Mapping[str, Any]) -> Entry:
    begin, end = row["data_offsets"]
    if row["dtype"] not in SAFETENSORS_DTYPES:
        raise ValueError(f"unknown dtype {row['dtype']}")
    entry = Entry(source, start + begin, SAFETENSORS_DTYPES[row["dtype"]], tuple(int(n) for n in row["shape"]))
    if begin < 0 or min(entry.shape, default=0) < 0 or entry.size != end - begin:
        raise ValueError("offsets and shapes disagree")
    if start + end > source.size:
        raise ValueError(
            f"tensors reach to byte {start + end}, the file ends at {source.size}: the download is incomplete"
        )
    return entry
