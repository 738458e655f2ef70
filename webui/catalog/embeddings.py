"""Which words of a prompt are embeddings: trigger, number of vectors and width, from headers alone.

The trigger is the file's stem; an embedding inside a picture has the name stored in it. As in A1111 the last of two
with one trigger counts.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

from webui.catalog.catalog import Catalog
from webui.catalog.header import Header
from webui.catalog.sniff import sniff
from webui.domain import ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One trigger. `widths` by text encoder: {"": 768} for one that serves a single one, else clip_l and clip_g."""

    name: str
    record: ModelRecord
    vectors: int
    widths: tuple[tuple[str, int], ...]


class Embeddings:
    """Every embedding of a catalog; headers are read again only where a file is new or changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[Catalog, int] | None = None
        self._known: dict[tuple[Path, int, int], Embedding | None] = {}
        self._all: dict[str, Embedding] = {}

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


def lengths(embeddings: dict[str, Embedding]) -> dict[str, int]:
    """Vectors by trigger: what the token counter asks for."""
    return {name: each.vectors for name, each in embeddings.items()}


def embedding(record: ModelRecord) -> Embedding | None:
    """What a file's header says, or None."""
    try:
        header = sniff(record.path)
    except (BrokenFile, OSError):
        return None
    found = {key: header.tensors[key].shape for key in ("clip_l", "clip_g") if key in header.tensors}
    shapes = list(found.items()) if len(found) == 2 else _single(header)
    if not shapes or any(len(shape) not in (1, 2) for _, shape in shapes):
        return None
    stored = header.metadata.get("name", "") if header.format is ModelFormat.PICTURE else ""
    first = shapes[-1][1]
    return Embedding(
        name=stored or record.stem, record=record, vectors=first[0] if len(first) == 2 else 1,
        widths=tuple((encoder, shape[-1]) for encoder, shape in shapes),
    )  # fmt: skip


def _single(header: Header) -> list[tuple[str, tuple[int, ...]]]:
    named = [
        tensor.shape
        for key, tensor in header.tensors.items()
        if key.startswith("string_to_param.") or key == "emb_params"
    ]
    if not named and len(header.tensors) == 1:
        named = [tensor.shape for tensor in header.tensors.values()]
    return [("", named[0])] if named else []
