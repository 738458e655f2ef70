"""One header from one path: by its first bytes, never by its ending; BrokenFile for what is no model."""

import base64
import json
import random
import zlib
from pathlib import Path

import pytest

from tests.catalog.files import legacy, png, safetensors, weights, zipped
from webui.catalog.sniff import sniff
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile

SHAPES = {"a.weight": (2, 3)}
HELD = {"string_to_param": {"*": {"TORCHTENSOR": [[0.0] * 768] * 2}}, "name": "cat", "step": 3}


@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "pt", "bin", "SAFETENSORS"])
def test_the_ending_decides_nothing(tmp_path: Path, ending: str):
    for write, form in ((safetensors, ModelFormat.SAFETENSORS), (None, ModelFormat.PICKLE)):
        path = tmp_path / f"a.{ending}"
        if write:
            write(path, SHAPES)
        else:
            zipped(path, weights(SHAPES))
        header = sniff(path)
        assert (header.format, header.tensors["a.weight"].shape) == (form, (2, 3))


def test_a_legacy_pickle_named_safetensors_is_a_pickle(tmp_path: Path):
    assert sniff(legacy(tmp_path / "a.safetensors", weights(SHAPES))).format is ModelFormat.PICKLE


@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "png", "webp"])
def test_noise_is_broken_and_nothing_worse(tmp_path: Path, ending: str):
    noise = random.Random(5)
    path = tmp_path / f"a.{ending}"
    for round_ in range(300):
        start = noise.choice([b"", b"PK\x03\x04", b"\x80\x02", b"\x89PNG\r\n\x1a\n", b"\x10\0\0\0\0\0\0\0{"])
        path.write_bytes(start + noise.randbytes(noise.randrange(200)))
        try:
            assert sniff(path).tensors == {}, round_
        except BrokenFile:
            continue


def test_a_web_page_saved_as_a_model_says_so(tmp_path: Path):
    (tmp_path / "a.ckpt").write_bytes(b"<!doctype html><title>404</title>")
    with pytest.raises(BrokenFile, match="web page"):
        sniff(tmp_path / "a.ckpt")


def test_an_empty_file_says_so(tmp_path: Path):
    (tmp_path / "a.ckpt").write_bytes(b"")
    with pytest.raises(BrokenFile, match="empty"):
        sniff(tmp_path / "a.ckpt")


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        sniff(tmp_path / "gone.ckpt")


def test_an_embedding_in_a_picture_is_read(tmp_path: Path):
    header = sniff(png(tmp_path / "a.png", {"sd-ti-embedding": base64.b64encode(json.dumps(HELD).encode())}))
    assert header.tensors["string_to_param.*"].shape == (2, 768)
    assert header.metadata == {"name": "cat", "step": "3"}


@pytest.mark.parametrize(
    "chunk",
    [b"", b"%%%", base64.b64encode(b"not json"), base64.b64encode(b"[]"), base64.b64encode(b'{"string_to_param": 3}')],
)
def test_a_picture_with_a_damaged_embedding_is_broken(tmp_path: Path, chunk: bytes):
    with pytest.raises(BrokenFile):
        sniff(png(tmp_path / "a.png", {"sd-ti-embedding": chunk}))


def test_pillow_writes_what_is_read_here(tmp_path: Path):
    from PIL import Image, PngImagePlugin

    text = base64.b64encode(json.dumps(HELD).encode()).decode()
    for compressed in (False, True):
        info = PngImagePlugin.PngInfo()
        info.add_text("sd-ti-embedding", text, zip=compressed)
        Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
        assert sniff(tmp_path / "a.png").tensors["string_to_param.*"].shape == (2, 768)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("sd-ti-embedding", text)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    assert sniff(tmp_path / "a.png").tensors["string_to_param.*"].shape == (2, 768)


def test_a_text_chunk_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path: Path):
    bomb = zlib.compress(b"A" * 50_000_000)
    path = png(tmp_path / "a.png", {"sd-ti-embedding": b"\0" + bomb})
    path.write_bytes(path.read_bytes().replace(b"tEXt", b"zTXt"))
    with pytest.raises(BrokenFile):
        sniff(path)


def test_a_diffusers_folder_with_a_broken_configuration_is_broken(tmp_path: Path):
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(BrokenFile, match="not JSON"):
        sniff(tmp_path)
