"""Embeddings' vectors from every layout; what fits a text encoder and what does not."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import save_file
from torch import nn

from webui.catalog.embeddings import Embedding, embedding
from webui.domain import ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile, ModelGone
from webui.engine.embeddings import Shelf, read_vectors
from webui.prompt.tokens import ClipTokenizer

pytestmark = pytest.mark.torch
VECTORS = torch.arange(12.0).reshape(3, 4)


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


def record(path: Path, **more: Any) -> ModelRecord:
    return ModelRecord(kind=ModelKind.EMBEDDING, name=path.stem, path=path, **more)


def in_picture(path: Path, text: str) -> Path:
    words = PngImagePlugin.PngInfo()
    words.add_text("sd-ti-embedding", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=words)
    return path


def encoded(**held: Any) -> str:
    return base64.b64encode(json.dumps(held).encode()).decode()


@pytest.mark.parametrize("zipped", [True, False])
def test_textual_inversion_as_a1111_and_its_trainer_saved_it(tmp_path: Path, zipped: bool) -> None:
    for held in ({"*": VECTORS}, nn.ParameterDict({"*": nn.Parameter(VECTORS)})):
        saved = {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": held, "name": "e", "step": 5}
        torch.save(saved, tmp_path / "e.pt", _use_new_zipfile_serialization=zipped)
        assert torch.equal(read_vectors(tmp_path / "e.pt")[""], VECTORS)
        known = embedding(record(tmp_path / "e.pt"))
        assert known is not None
        assert (known.name, known.vectors, known.widths) == ("e", 3, (("", 4),))


def test_a_concept_of_one_vector_and_a_pair_for_two_encoders(tmp_path: Path) -> None:
    torch.save({"<thing>": VECTORS[0].half()}, tmp_path / "learned_embeds.bin")
    found = read_vectors(tmp_path / "learned_embeds.bin")[""]
    assert (found.dtype, found.tolist()) == (torch.float32, [[0, 1, 2, 3]])
    save_file({"clip_l": VECTORS, "clip_g": torch.ones(3, 6)}, tmp_path / "pair.safetensors")
    pair = read_vectors(tmp_path / "pair.safetensors")
    assert {name: tuple(value.shape) for name, value in pair.items()} == {"clip_l": (3, 4), "clip_g": (3, 6)}
    known = embedding(record(tmp_path / "pair.safetensors"))
    assert known is not None
    assert (known.vectors, known.widths) == (3, (("clip_l", 4), ("clip_g", 6)))


def test_a_picture_has_its_name_inside(tmp_path: Path) -> None:
    held = {"name": "inner", "string_to_param": {"*": {"TORCHTENSOR": VECTORS.tolist()}}}
    path = in_picture(tmp_path / "outer.png", encoded(**held))
    assert torch.equal(read_vectors(path, picture=True)[""], VECTORS)
    known = embedding(record(path, format=ModelFormat.PICTURE))
    assert known is not None
    assert (known.name, known.vectors) == ("inner", 3)


@pytest.mark.parametrize("text", ["not base64", encoded(), encoded(string_to_param={}), encoded(string_to_param=3)])
def test_a_broken_picture_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(BrokenFile):
        read_vectors(in_picture(tmp_path / "broken.png", text), picture=True)
    with pytest.raises(ModelGone):
        read_vectors(tmp_path / "gone.png", picture=True)


def test_what_is_no_embedding_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    save_file({"a": torch.zeros(2, 4), "b": torch.zeros(2, 4)}, tmp_path / "two.safetensors")
    (tmp_path / "broken.pt").write_bytes(b"<html>")
    for name in ("photo.png", "two.safetensors", "broken.pt", "gone.pt"):
        assert embedding(record(tmp_path / name)) is None


@pytest.fixture
def known(tmp_path: Path) -> Callable[..., Embedding]:
    def make(name: str, width: int = 4) -> Embedding:
        path = tmp_path / f"{name}.safetensors"
        save_file({"emb_params": torch.ones(3, width)}, path)
        return Embedding(name=name, record=record(path), vectors=3, widths=(("", width),))

    return make


def test_names_are_found_in_any_case_longest_first_and_misfits_apart(
    known: Callable[..., Embedding], tokenizer: ClipTokenizer
) -> None:
    named = {each.name: each for each in (known("soft"), known("soft light"), known("wide", 8), known("unused"))}
    shelf = Shelf(named, tokenizer, widths={"clip_l": 4})
    texts = ["a (SOFT light:1.2), wide BREAK wide", "soft", "soft light"]
    assert shelf.named_in(texts) == (["soft light", "soft"], ["wide"])
    assert shelf.vectors("soft").tolist() == [[1.0] * 4] * 3
    assert list(shelf.others) == ["wide"]


def test_a_pair_fits_no_model_of_one_encoder(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    pair = Embedding(name="pair", record=record(tmp_path / "x"), vectors=1, widths=(("clip_l", 4), ("clip_g", 6)))
    assert Shelf({"pair": pair}, tokenizer, widths={"clip_l": 4}).named_in(["pair"]) == ([], ["pair"])
