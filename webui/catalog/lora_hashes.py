"""The hash by which infotexts name a LoRA: SHA-256 of what follows the safetensors header, so that editing the
metadata does not change it. Trainers write it into the header as `sshs_model_hash`.
"""

import hashlib
from pathlib import Path

from webui.catalog.catalog import Catalog
from webui.catalog.hashing import CHUNK
from webui.domain import ModelKind, ModelRecord
from webui.domain.errors import ModelGone

DIGITS = 12
"""Hex digits that an infotext shows, of LoRAs and of embeddings."""
LOOKED_THROUGH = 2 * 2**30
"""Bytes of files that are read for one search, the smallest first, where trainers wrote no hash."""


class LoraHashes:
    """Hashes once worked out, kept for a file of that size and time."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def short(self, record: ModelRecord, catalog: Catalog) -> str:
        """Twelve hex digits; "" with --no-hashing. Raises ModelGone, OSError."""
        known = self._at_hand(record)
        if not known and catalog.hashes:
            whole = record.path.suffix.lower() != ".safetensors"
            known = (catalog.hash(record) if whole else after_header(record.path))[:DIGITS]
            self._known[_stamp(record)] = known
        return known

    def find(self, digits: str, catalog: Catalog, *, first: ModelRecord | None = None) -> ModelRecord | None:
        """The LoRA with these twelve digits; `first` is looked at before the others. None when none is found."""
        wanted = digits[:DIGITS].lower()
        if len(wanted) < DIGITS:
            return None
        every = catalog.models(ModelKind.LORA)
        if first is not None:
            every = [first, *(record for record in every if record.path != first.path)]
        found = next((record for record in every if self._at_hand(record) == wanted), None)
        return found or self._read_for(wanted, [record for record in every if not self._at_hand(record)], catalog)

    def _read_for(self, wanted: str, unknown: list[ModelRecord], catalog: Catalog) -> ModelRecord | None:
        left = LOOKED_THROUGH
        # The one the tag names stays first: it is nearly always the right one.
        for record in unknown[:1] + sorted(unknown[1:], key=lambda each: each.size):
            left -= record.size
            if left < 0 or not catalog.hashes:
                return None
            try:
                if self.short(record, catalog) == wanted:
                    return record
            except (ModelGone, OSError):
                continue
        return None

    def _at_hand(self, record: ModelRecord) -> str:
        """What the header tells or was worked out before, else ""."""
        said = record.metadata.get("sshs_model_hash", "")
        return said[:DIGITS].lower() if said else self._known.get(_stamp(record), "")


def _stamp(record: ModelRecord) -> tuple[Path, int, int]:
    return record.path, record.size, record.mtime_ns


def after_header(path: Path) -> str:
    """Hex digest of a safetensors file's data. Raises ModelGone, OSError."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(8 + int.from_bytes(file.read(8), "little"))
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        raise ModelGone(name=path.name, path=str(path)) from None
    return digest.hexdigest()
