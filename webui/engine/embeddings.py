"""Embeddings (textual inversion): vectors that stand in a prompt where their name is written.

Files: .pt and .bin with `string_to_param` or a single tensor, .safetensors with `emb_params`, one tensor or `clip_l`
and `clip_g`, and PNG pictures that carry base64 JSON in the text chunk `sd-ti-embedding`.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from webui.catalog.embeddings import Embedding
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile, ModelGone
from webui.engine.weights import open_weights
from webui.prompt.attention import BREAK, parse_attention
from webui.prompt.chunks import NamedEmbeddings
from webui.prompt.tokens import ClipTokenizer

CHUNK = "sd-ti-embedding"


class Shelf(NamedEmbeddings):
    """Embeddings that fit one text encoder, their vectors read when first named. `encoder`: "clip_l" or "clip_g"."""

    def __init__(
        self, embeddings: Mapping[str, Embedding], tokenizer: ClipTokenizer, *, width: int, encoder: str = "clip_l"
    ) -> None:
        fitting = {name: each for name, each in embeddings.items() if fits(each, {encoder: width})}
        super().__init__({name: each.vectors for name, each in fitting.items()}, tokenizer)
        self.embeddings = fitting
        """By name, those that fit."""
        self.others = {name: each for name, each in embeddings.items() if name not in fitting}
        """By name, those that do not."""
        lengths = {name: each.vectors for name, each in self.others.items()}
        self._strangers = NamedEmbeddings(lengths, tokenizer) if lengths else None
        self._tokenizer = tokenizer
        self._encoder = encoder
        self._read: dict[str, Tensor] = {}

    def vectors(self, name: str) -> Tensor:
        """(vectors, width) fp32. Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile."""
        if name not in self._read:
            each = self.embeddings[name]
            tensors = read_vectors(each.record.path, picture=each.record.format is ModelFormat.PICTURE)
            self._read[name] = tensors[self._encoder if self._encoder in tensors else ""]
        return self._read[name]

    def named_in(self, texts: Iterable[str], *, emphasis: str = "Original") -> tuple[list[str], list[str]]:
        """(names that fit, names that do not) in plain texts without schedules, in order, each once."""
        own: dict[str, None] = {}
        misfits: dict[str, None] = {}
        for text in texts:
            parts = [part for part in parse_attention(text, emphasis) if part != BREAK]
            for tokens in self._tokenizer.encode_many([words for words, _ in parts]):
                self._walk(tokens, own, misfits)
        return list(own), list(misfits)

    def _walk(self, tokens: Sequence[int], own: dict[str, None], misfits: dict[str, None]) -> None:
        position = 0
        while position < len(tokens):
            found = self.match(tokens, position)
            if found is None and self._strangers is not None and (other := self._strangers.match(tokens, position)):
                misfits[other[0]] = None
            if found is not None:
                own[found[0]] = None
            position += found[2] if found is not None else 1


def fits(embedding: Embedding, widths: Mapping[str, int]) -> bool:
    """Whether its vectors are as wide as the words of every one of a model's text encoders ({"clip_l": 768})."""
    known = dict(embedding.widths)
    if "" in known:
        return list(widths.values()) == [known[""]]
    return known == dict(widths)


def read_vectors(path: Path, *, picture: bool = False) -> dict[str, Tensor]:
    """Vectors (n, width) fp32 by text encoder, "" for the only one.

    Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile.
    """
    if picture:
        return {"": _vectors_in_picture(path)}
    with open_weights(path) as weights:
        if "clip_l" in weights and "clip_g" in weights:
            names = {"clip_l": "clip_l", "clip_g": "clip_g"}
        else:
            named = [name for name in weights if name.startswith("string_to_param.") or name == "emb_params"]
            names = {"": (named or list(weights))[0]}
        # Copies: the vectors outlive the file.
        found = {ours: weights.read(name).to(torch.float32, copy=True) for ours, name in names.items()}
    return {encoder: value[None] if value.dim() == 1 else value for encoder, value in found.items()}


def _vectors_in_picture(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            held: Any = json.loads(base64.b64decode(image.info[CHUNK]))
        value = next(iter(held["string_to_param"].values()))["TORCHTENSOR"]
        vectors = torch.tensor(value, dtype=torch.float32)
    except FileNotFoundError:
        raise ModelGone(name=path.name, path=str(path)) from None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
        raise BrokenFile(path=str(path), reason=f"the embedding in this picture cannot be read ({error!r})") from error
    if vectors.dim() not in (1, 2):
        raise BrokenFile(path=str(path), reason=f"its vectors have the shape {list(vectors.shape)}")
    return vectors[None] if vectors.dim() == 1 else vectors


class Shelves:
    """The shelf of each text width, made anew when the embeddings have changed."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, int], tuple[Mapping[str, Embedding], Shelf]] = {}

    def shelf(
        self, embeddings: Mapping[str, Embedding], tokenizer: ClipTokenizer, *, width: int, encoder: str = "clip_l"
    ) -> Shelf:
        """The shelf of these very embeddings for a text encoder of that width."""
        kept = self._of.get((encoder, width))
        if kept is None or kept[0] is not embeddings:
            kept = embeddings, Shelf(embeddings, tokenizer, width=width, encoder=encoder)
            self._of[encoder, width] = kept
        return kept[1]
