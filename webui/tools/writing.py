"""The two kinds of weight files, written as a stream: safetensors, and the zip archive of `torch.save`.

The archive is laid out as PyTorch did before 2.6 (no `.format_version`, no `.storage_alignment`), so that readers with
a list of allowed members (A1111's among them) take it, and `torch.load(weights_only=True)` does.
"""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import IO, Any

import torch
from torch._utils import _rebuild_tensor_v2

from webui.domain.errors import BadInput
from webui.engine.pickles import STORAGES
from webui.engine.weights import SAFETENSORS_DTYPES
from webui.tools.pieces import Piece, Reader

_NAMES = {dtype: name for name, dtype in SAFETENSORS_DTYPES.items()}
_STORAGES = {dtype: name for name, dtype in STORAGES.items()}
ROOT = "archive"
ALIGNED = 64
"""Bytes on whose multiples the archive's tensors begin."""


class NotWritable(BadInput):
    """A number type the format has no word for. Fields: name, dtype, format."""

    key = "not_writable"


def write_safetensors(file: IO[bytes], pieces: Mapping[str, Piece], metadata: Mapping[str, str], read: Reader) -> None:
    """Header, then data; wider number types first, so that every tensor lies on a multiple of its type's size.

    Raises NotWritable.
    """
    ordered = sorted(pieces, key=lambda name: -pieces[name].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in ordered:
        piece = pieces[name]
        if piece.dtype not in _NAMES:
            raise NotWritable(name=name, dtype=str(piece.dtype), format="safetensors")
        header[name] = {
            "dtype": _NAMES[piece.dtype],
            "shape": list(piece.shape),
            "data_offsets": [end, end + piece.size],
        }
        end += piece.size
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    for name in ordered:
        for part in read.parts(name, pieces[name]):
            file.write(part)


def write_archive(file: IO[bytes], value: Any, read: Reader) -> None:
    """A value of tables, lists and plain values with `Piece` for tensors, as `torch.save` would. Raises NotWritable."""
    table = io.BytesIO()
    pickler = _Pickler(table)
    pickler.dump(value)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _member(archive, "data.pkl", [memoryview(table.getvalue())], table.tell())
        _member(archive, "byteorder", [memoryview(b"little")], 6)
        for number, piece in enumerate(pickler.pieces):
            _member(archive, f"data/{number}", read.parts(f"#{number}", piece), piece.size)
        _member(archive, "version", [memoryview(b"3\n")], 2)


def _member(archive: zipfile.ZipFile, name: str, parts: list[memoryview] | Iterator[memoryview], size: int) -> None:
    info = zipfile.ZipInfo(f"{ROOT}/{name}")
    info.file_size = size
    begin = archive.fp.tell() + 30 + len(info.filename) + 4 if archive.fp else 0
    padding = -begin % ALIGNED
    # The field PyTorch pads with; readers skip what they do not know.
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    with archive.open(info, "w") as member:
        for part in parts:
            member.write(part)


class _Storage:
    """Stands for a tensor's data while its table is pickled."""

    def __init__(self, key: str, piece: Piece) -> None:
        self.key, self.piece = key, piece


class _Pickler(pickle.Pickler):
    """Writes the names `torch.save` writes; `pieces` are the tensors met, in order."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, protocol=2)
        self.pieces: list[Piece] = []

    def reducer_override(self, obj: Any, /) -> Any:
        if not isinstance(obj, Piece):
            return NotImplemented
        if obj.dtype not in _STORAGES:
            raise NotWritable(name=f"tensor {len(self.pieces)}", dtype=str(obj.dtype), format=".ckpt")
        self.pieces.append(obj)
        steps: list[int] = []
        step = 1
        for side in reversed(obj.shape):
            steps.insert(0, step)
            step *= side
        held = _Storage(str(len(self.pieces) - 1), obj)
        return _rebuild_tensor_v2, (held, 0, obj.shape, tuple(steps), False, OrderedDict())

    def persistent_id(self, obj: Any, /) -> Any:
        if not isinstance(obj, _Storage):
            return None
        return "storage", getattr(torch, _STORAGES[obj.piece.dtype]), obj.key, "cpu", obj.piece.count
