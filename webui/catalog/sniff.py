"""One header from one path, whatever its ending says: files are told apart by their first bytes."""

from pathlib import Path
from typing import IO, Any, cast

from webui.catalog import diffusers_folder, header, pickles, pictured
from webui.catalog.header import Header, Tensor
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile


def sniff(path: Path) -> Header:
    """Reads only what tells what the file is. Raises BrokenFile for what is not a model, OSError when unreadable."""
    if path.is_dir():
        return diffusers_folder.read(path)
    if path.suffix.lower() in pictured.PICTURES:
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
    """An embedding kept in a picture; other pictures have no tensors."""
    held = pictured.embedded(path)
    if held is None:
        return Header(format=ModelFormat.PICTURE)
    try:
        tensors = {
            f"string_to_param.{token}": Tensor("F32", _shape(rows)) for token, rows in pictured.rows_in(held).items()
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
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
