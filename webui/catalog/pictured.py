"""Embeddings kept in a picture: base64 JSON in the PNG text chunk `sd-ti-embedding`, or, in any lossless picture, JSON
in the low four bits of the pixels left and right of it (A1111's way, so that a site that drops chunks keeps it).

The pixels' layout: lower halves of the compressed bytes, one dark column, the picture itself, one dark column, upper
halves; both halves are mixed with the generator of `_mixed`. A column is dark when its pixels' low bits are all zero.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast

from PIL import Image, ImageChops

from webui.domain.errors import BrokenFile

PICTURES = frozenset({".png", ".webp", ".jxl", ".avif"})
CHUNK = b"sd-ti-embedding"
LARGEST = 16 * 1024 * 1024
"""Bytes of an embedding inside a picture."""
WIDEST = 40_000_000
"""Pixels of a picture that is looked into."""

Embedded = Mapping[str, Any]
"""The JSON: `string_to_param` of `{"TORCHTENSOR": rows}` by token, `name`, `step` and more."""


def embedded(path: Path) -> Embedded | None:
    """What a picture holds, None when it holds no embedding. Raises BrokenFile, OSError when it cannot be read."""
    try:
        data = _in_chunk(path)
        data = _in_pixels(path) if data is None else data
        return None if data is None else _table(data)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, zlib.error) as error:
        raise BrokenFile(path=str(path), reason=f"the embedding in this picture cannot be read ({error})") from error


def rows_in(held: Embedded) -> dict[str, list[Any]]:
    """Vectors by token. Raises KeyError, TypeError, AttributeError when the JSON is of another shape."""
    params = cast("dict[str, dict[str, list[Any]]]", held["string_to_param"])
    return {token: value["TORCHTENSOR"] for token, value in params.items()}


def _table(data: bytes) -> Embedded:
    held: Any = json.loads(data)
    if not isinstance(held, dict):
        raise TypeError("not a table")
    return cast("Embedded", held)


def _in_chunk(path: Path) -> bytes | None:
    with open(path, "rb") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return None
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind not in (b"tEXt", b"zTXt", b"iTXt"):
                file.seek(length + 4, 1)
                continue
            if length > LARGEST:
                return None
            name, _, text = file.read(length).partition(b"\0")
            file.seek(4, 1)
            if name == CHUNK:
                return base64.b64decode(_plain(kind, text))
    return None


def _plain(kind: bytes, text: bytes) -> bytes:
    """A text chunk's text: after the compression's kind, or after flags, language and translated name."""
    if kind == b"zTXt":
        return zlib.decompressobj().decompress(text[1:], LARGEST)
    return text[2:].split(b"\0", 2)[2] if kind == b"iTXt" else text


def _in_pixels(path: Path) -> bytes | None:
    """The JSON's bytes. Pictures without blocks of data have none."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > WIDEST:
                return None
            seen = image.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError):
        # No picture that can be seen: then it holds nothing.
        return None
    red, green, blue = seen.split()
    box = ImageChops.darker(ImageChops.darker(red, green), blue).getbbox()
    if box is None:
        return None
    low = seen.crop(box).point([value & 15 for value in range(256)] * 3)
    red, green, blue = low.split()
    lit = ImageChops.lighter(ImageChops.lighter(red, green), blue).tobytes()
    dark = [column for column in range(low.width) if not any(lit[column :: low.width])]
    if len(dark) < 2 or dark[0] == 0 or dark[0] != low.width - 1 - dark[-1]:
        return None
    lower = _mixed(low.crop((0, 0, dark[0], low.height)).tobytes())
    upper = _mixed(low.crop((dark[-1] + 1, 0, low.width, low.height)).tobytes())
    packed = bytes(below | above << 4 for below, above in zip(lower, upper, strict=True))
    try:
        return zlib.decompressobj().decompress(packed, LARGEST)
    except zlib.error:
        # Dark columns with no data beside them: an ordinary picture.
        return None


def _mixed(block: bytes) -> Iterator[int]:
    return (value ^ noise & 15 for value, noise in zip(block, islice(_noise(), len(block)), strict=True))


def _noise() -> Iterator[int]:
    """The linear congruential generator of Numerical Recipes, from 0."""
    state = 0
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state % 255
