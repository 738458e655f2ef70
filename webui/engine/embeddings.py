"""Embeddings (textual inversion): vectors that stand in a prompt where their name is written.

Files: .pt and .bin with `string_to_param` or a single tensor, .safetensors with `emb_params`, one tensor or `clip_l`
and `clip_g`, pictures that carry one (`catalog.pictured`), and LoRAs with some bundled in them (`bundle_emb.*`).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from webui.catalog import pictured
from webui.catalog.embeddings import Embedding
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile, ModelGone
from webui.engine.weights import open_weights
from webui.prompt.attention import BREAK, parse_attention
from webui.prompt.chunks import NamedEmbeddings
from webui.prompt.tokens import ClipTokenizer


class Shelf(NamedEmbeddings):
    """Embeddings that fit a model, their vectors read when first named. `widths`: of the words of its text encoders,
    {"clip_l": 768} or SDXL's {"clip_l": 768, "clip_g": 1280}.
    """

    def __init__(
        self, embeddings: Mapping[str, Embedding], tokenizer: ClipTokenizer, *, widths: Mapping[str, int]
    ) -> None:
        fitting = {name: each for name, each in embeddings.items() if fits(each, widths)}
        super().__init__({name: each.vectors for name, each in fitting.items()}, tokenizer)
        self.embeddings = fitting
        """By name, those that fit."""
        self.others = {name: each for name, each in embeddings.items() if name not in fitting}
        """By name, those that do not."""
        lengths = {name: each.vectors for name, each in self.others.items()}
        self._strangers = NamedEmbeddings(lengths, tokenizer) if lengths else None
        self._tokenizer = tokenizer
        self.sides = {encoder: Side(self, encoder) for encoder in widths}
        """As each text encoder sees them."""
        self._read: dict[str, dict[str, Tensor]] = {}

    def vectors(self, name: str, encoder: str = "clip_l") -> Tensor:
        """(vectors, width) fp32 for one text encoder. Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile."""
        if name not in self._read:
            each = self.embeddings[name]
            pictured = each.record.format is ModelFormat.PICTURE
            self._read[name] = read_vectors(each.record.path, picture=pictured, prefix=each.prefix)
        tensors = self._read[name]
        return tensors[encoder if encoder in tensors else ""]

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


class Side:
    """A shelf as one text encoder sees it: the same names, its own vectors."""

    def __init__(self, shelf: Shelf, encoder: str) -> None:
        self._shelf, self._encoder = shelf, encoder

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        """(name, vectors, tokens consumed) of the embedding named there, or None."""
        return self._shelf.match(tokens, position)

    def vectors(self, name: str) -> Tensor:
        """(vectors, width) fp32. Raises as `Shelf.vectors`."""
        return self._shelf.vectors(name, self._encoder)


def fits(embedding: Embedding, widths: Mapping[str, int]) -> bool:
    """Whether its vectors are as wide as the words of every one of a model's text encoders ({"clip_l": 768})."""
    known = dict(embedding.widths)
    if "" in known:
        return list(widths.values()) == [known[""]]
    return known == dict(widths)


def read_vectors(path: Path, *, picture: bool = False, prefix: str = "") -> dict[str, Tensor]:
    """Vectors (n, width) fp32 by text encoder, "" for the only one. `prefix`: of the tensors of one among several.

    Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile.
    """
    if picture:
        return {"": _vectors_in_picture(path)}
    with open_weights(path) as weights:
        inside = [name for name in weights if name.startswith(prefix)]
        if not inside:
            raise BrokenFile(path=str(path), reason="there is no embedding in it")
        if f"{prefix}clip_l" in weights and f"{prefix}clip_g" in weights:
            names = {"clip_l": f"{prefix}clip_l", "clip_g": f"{prefix}clip_g"}
        else:
            usual = (f"{prefix}string_to_param.", f"{prefix}emb_params")
            named = [name for name in inside if name.startswith(usual)]
            names = {"": (named or inside)[0]}
        # Copies: the vectors outlive the file.
        found = {ours: weights.read(name).to(torch.float32, copy=True) for ours, name in names.items()}
    return {encoder: value[None] if value.dim() == 1 else value for encoder, value in found.items()}


def _vectors_in_picture(path: Path) -> Tensor:
    try:
        held = pictured.embedded(path)
        if held is None:
            raise BrokenFile(path=str(path), reason="this picture holds no embedding")
        vectors = torch.tensor(next(iter(pictured.rows_in(held).values())), dtype=torch.float32)
    except FileNotFoundError:
        raise ModelGone(name=path.name, path=str(path)) from None
    except (OSError, KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
        raise BrokenFile(path=str(path), reason=f"the embedding in this picture cannot be read ({error!r})") from error
    if vectors.dim() not in (1, 2):
        raise BrokenFile(path=str(path), reason=f"its vectors have the shape {list(vectors.shape)}")
    return vectors[None] if vectors.dim() == 1 else vectors


class Shelves:
    """The shelf of each set of text widths, made anew when the embeddings have changed."""

    def __init__(self) -> None:
        self._of: dict[tuple[tuple[str, int], ...], tuple[Mapping[str, Embedding], Shelf]] = {}

    def shelf(
        self, embeddings: Mapping[str, Embedding], tokenizer: ClipTokenizer, *, widths: Mapping[str, int]
    ) -> Shelf:
        """The shelf of these very embeddings for text encoders of those widths."""
        key = tuple(widths.items())
        kept = self._of.get(key)
        if kept is None or kept[0] is not embeddings:
            kept = embeddings, Shelf(embeddings, tokenizer, widths=widths)
            self._of[key] = kept
        return kept[1]
