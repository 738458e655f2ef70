"""Embeddings hidden in pixels: what A1111 writes beside a picture is read, and ordinary pictures hold nothing."""

import json
import zlib
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.catalog.embeddings import embedding
from webui.catalog.pictured import embedded, rows_in
from webui.catalog.sniff import sniff
from webui.domain import ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile

ROWS = [[0.25, -1.5, 3.0, 0.5], [1.0, 2.0, -0.125, 4.0]]
HELD = {"name": "inner", "step": 7, "string_to_param": {"*": {"TORCHTENSOR": ROWS}}}


def noise() -> Any:
    """The generator that mixes the blocks; its first numbers are known: 253, 242, 127, 44, 157."""
    state = 0
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state % 255


def hidden(path: Path, data: bytes, *, height: int = 16, shade: int = 0x50) -> Path:
    """A picture with bytes in the low halves of two blocks beside it, as A1111 lays them out; `shade` is the pattern
    in the high halves.
    """
    packed = zlib.compress(data, 9)
    width = -(-len(packed) // (3 * height)) + 1
    packed = (packed * (3 * height * width // len(packed) + 1))[: 3 * height * width]
    blocks = [
        bytes((nibble ^ mask & 15) | shade for nibble, mask in zip(half, islice(noise(), len(packed)), strict=True))
        for half in (bytes(value & 15 for value in packed), bytes(value >> 4 for value in packed))
    ]
    middle = Image.effect_noise((24, height), 90).convert("RGB").point([value | 1 for value in range(256)] * 3)
    whole = Image.new("RGB", (2 * width + middle.width + 2, height))
    for block, left in zip(blocks, (0, width + middle.width + 2), strict=True):
        whole.paste(Image.frombytes("RGB", (width, height), block), (left, 0))
    whole.paste(middle, (width + 1, 0))
    frame = Image.new("RGB", (whole.width + 6, whole.height + 4))
    frame.paste(whole, (3, 2))
    frame.save(path, lossless=True)
    return path


def test_the_generator_is_the_known_one():
    assert list(islice(noise(), 5)) == [253, 242, 127, 44, 157]


@pytest.mark.parametrize("name", ["card.png", "card.webp"])
def test_an_embedding_in_the_pixels_is_read(tmp_path: Path, name: str):
    path = hidden(tmp_path / name, json.dumps(HELD).encode())
    held = embedded(path)
    assert held is not None
    assert rows_in(held) == {"*": ROWS}
    assert sniff(path).tensors["string_to_param.*"].shape == (2, 4)
    known = embedding(ModelRecord(kind=ModelKind.EMBEDDING, name="card", path=path, format=ModelFormat.PICTURE))
    assert known is not None
    assert (known.name, known.vectors, known.widths) == ("inner", 2, (("", 4),))


def test_ordinary_pictures_hold_nothing(tmp_path: Path):
    pictures = {
        "plain": Image.new("RGB", (8, 8), (200, 30, 90)),
        "black": Image.new("RGB", (8, 8)),
        "noise": Image.effect_noise((32, 32), 80).convert("RGB"),
        "see-through": Image.new("RGBA", (8, 8), (1, 2, 3, 0)),
        "striped": Image.merge("RGB", [Image.linear_gradient("L")] * 3),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / f"{name}.png")
        assert embedded(tmp_path / f"{name}.png") is None
    (tmp_path / "text.png").write_text("no picture")
    assert embedded(tmp_path / "text.png") is None


@pytest.mark.parametrize("data", [b"[]", b"not json", b"[" * 100_000])
def test_damaged_data_in_the_pixels_is_said(tmp_path: Path, data: bytes):
    with pytest.raises(BrokenFile):
        embedded(hidden(tmp_path / "a.png", data))


def test_data_of_another_shape_is_broken(tmp_path: Path):
    with pytest.raises(BrokenFile):
        sniff(hidden(tmp_path / "a.png", json.dumps({"string_to_param": 3}).encode()))
