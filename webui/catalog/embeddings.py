"""Which words of a prompt are embeddings: trigger, number of vectors and width, from headers alone.

The trigger is the file's stem; an embedding inside a picture has the name stored in it, those bundled in a LoRA
(`bundle_emb.<name>.…`) have names of their own and count while it is worn. As in A1111 the last of two with one trigger
counts.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from webui.catalog.catalog import Catalog
from webui.catalog.header import Header
from webui.catalog.header import Tensor as TensorShape
from webui.catalog.sniff import sniff
from webui.domain import ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile

BUNDLE = "bundle_emb."


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One trigger. `widths` by text encoder: {"": 768} for one that serves a single one, else clip_l and clip_g."""

    name: str
    record: ModelRecord
    vectors: int
    widths: tuple[tuple[str, int], ...]
    prefix: str = ""
    """What its tensors' names begin with: "bundle_emb.<name>." inside a LoRA."""


class Embeddings:
    """Every embedding of a catalog; headers are read again only where a file is new or changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[Catalog, int] | None = None
        self._known: dict[tuple[Path, int, int], Embedding | None] = {}
        self._all: dict[str, Embedding] = {}
        self._in_loras: dict[tuple[Path, int, int], tuple[Embedding, ...]] = {}
        self._together: tuple[dict[str, Embedding], tuple[Embedding, ...], dict[str, Embedding]] | None = None

    def read(self, catalog: Catalog) -> dict[str, Embedding]:
        """By trigger. Files that cannot be read or hold no embedding are left out; the catalog says why."""
        with self._lock:
            version = catalog.version
            if self._seen == (catalog, version):
                return self._all
            known: dict[tuple[Path, int, int], Embedding | None] = {}
            for record in catalog.models(ModelKind.EMBEDDING):
                stamp = (record.path, record.size, record.mtime_ns)
                known[stamp] = self._known[stamp] if stamp in self._known else embedding(record)
            self._known = known
            self._all = {each.name: each for each in known.values() if each is not None}
            self._seen = (catalog, version)
            return self._all

    def with_bundled(self, catalog: Catalog, loras: Iterable[ModelRecord]) -> dict[str, Embedding]:
        """By trigger, with those that these LoRAs bring; they go before files of the same trigger."""
        base = self.read(catalog)
        with self._lock:
            more = tuple(each for lora in loras for each in self._of(lora))
            if not more:
                return base
            # The same answer is the same dict: what is made of it is kept.
            if self._together is None or self._together[0] is not base or self._together[1] != more:
                self._together = base, more, base | {each.name: each for each in more}
            return self._together[2]

    def _of(self, lora: ModelRecord) -> tuple[Embedding, ...]:
        stamp = (lora.path, lora.size, lora.mtime_ns)
        if stamp not in self._in_loras:
            self._in_loras[stamp] = bundled(lora)
        return self._in_loras[stamp]


def lengths(embeddings: dict[str, Embedding]) -> dict[str, int]:
    """Vectors by trigger: what the token counter asks for."""
    return {name: each.vectors for name, each in embeddings.items()}


def embedding(record: ModelRecord) -> Embedding | None:
    """What a file's header says, or None."""
    header = _header(record)
    if header is None:
        return None
    stored = header.metadata.get("name", "") if header.format is ModelFormat.PICTURE else ""
    return _among(header.tensors, record, name=stored or record.stem)


def bundled(lora: ModelRecord) -> tuple[Embedding, ...]:
    """The embeddings a LoRA's header lists."""
    header = _header(lora)
    if header is None:
        return ()
    inside: dict[str, dict[str, TensorShape]] = {}
    for key, tensor in header.tensors.items():
        if key.startswith(BUNDLE):
            name, _, rest = key[len(BUNDLE) :].partition(".")
            inside.setdefault(name, {})[rest] = tensor
    found = (_among(tensors, lora, name=name, prefix=f"{BUNDLE}{name}.") for name, tensors in inside.items())
    return tuple(each for each in found if each is not None)


def _header(record: ModelRecord) -> Header | None:
    try:
        return sniff(record.path)
    except (BrokenFile, OSError):
        return None


def _among(
    tensors: Mapping[str, TensorShape], record: ModelRecord, *, name: str, prefix: str = ""
) -> Embedding | None:  # fmt: skip
    found = {key: tensors[key].shape for key in ("clip_l", "clip_g") if key in tensors}
    shapes = list(found.items()) if len(found) == 2 else _single(tensors)
    if not shapes or any(len(shape) not in (1, 2) for _, shape in shapes):
        return None
    first = shapes[-1][1]
    return Embedding(
        name=name, record=record, vectors=first[0] if len(first) == 2 else 1,
        widths=tuple((encoder, shape[-1]) for encoder, shape in shapes), prefix=prefix,
    )  # fmt: skip


def _single(tensors: Mapping[str, TensorShape]) -> list[tuple[str, tuple[int, ...]]]:
    named = [
        tensor.shape for key, tensor in tensors.items() if key.startswith("string_to_param.") or key == "emb_params"
    ]
    if not named and len(tensors) == 1:
        named = [tensor.shape for tensor in tensors.values()]
    return [("", named[0])] if named else []
