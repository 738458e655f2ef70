"""One header from one path, whatever its ending says: files are told apart by their first bytes."""

import base64
import json
import zlib
from pathlib import Path
from typing import IO, Any, cast

from webui.catalog import diffusers_folder, header, pickles
from webui.catalog.header import Header, Tensor
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile

PICTURES = frozenset({".png", ".webp", ".jxl", ".avif"})
LARGEST_EMBEDDED = 16 * 1024 * 1024
"""Bytes of an embedding inside a picture."""


def sniff(path: Path) -> Header:
    """Reads only what tells what the file is. Raises BrokenFile for what is not a model, OSError when unreadable."""
    if path.is_dir():
        return diffusers_folder.read(path)
    if path.suffix.lower() in PICTURES:
        return _picture(path)
    with open(path, "rb") as file:
        return _weights(file, path)


def _weights(file: IO[bytes], path: Path) -> Header:
    start = file.read(9)
    if not start:
        raise BrokenFile(path=str(path), reason="it is empty")
    if start[8:9] == b"{" or (path.suffix.lower() == ".safetensors" and not _pickled(start)):
        return header.read_open(file, path)
    if start.lstrip()[:1] == b"<":
        raise BrokenFile(path=str(path), reason="it is a web page, not a model")
    return pickles.read_open(file, path)


def _pickled(start: bytes) -> bool:
    return start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"))


def _picture(path: Path) -> Header:
    """An embedding kept in a PNG's text chunk `sd-ti-embedding` (base64 JSON); other pictures have no tensors."""
    with open(path, "rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return Header(format=ModelFormat.PICTURE)
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind not in (b"tEXt", b"zTXt", b"iTXt"):
                file.seek(length + 4, 1)
                continue
            if length > LARGEST_EMBEDDED:
                break
            name, _, text = file.read(length).partition(b"\0")
            file.seek(4, 1)
            if name == b"sd-ti-embedding":
                return _embedded(path, kind, text)
    return Header(format=ModelFormat.PICTURE)


def _embedded(path: Path, kind: bytes, text: bytes) -> Header:
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], LARGEST_EMBEDDED)
        elif kind == b"iTXt":
            text = text[2:].split(b"\0", 2)[2]
        held = json.loads(base64.b64decode(text))
        tensors = {
            f"string_to_param.{token}": Tensor("F32", _shape(value["TORCHTENSOR"]))
            for token, value in cast("dict[str, Any]", held["string_to_param"]).items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, zlib.error) as error:
        raise BrokenFile(path=str(path), reason="the embedding in this picture cannot be read") from error
    words = {
        key: str(held[key])
        for key in ("name", "step", "sd_checkpoint", "sd_checkpoint_name")
        if held.get(key) is not None
    }
    return Header(format=ModelFormat.PICTURE, tensors=tensors, metadata=words)


def _shape(rows: Any) -> tuple[int, ...]:
    if not isinstance(rows, list) or not rows:
        return ()
    inner = cast("list[Any]", rows)
    return (len(inner), *_shape(inner[0]))
