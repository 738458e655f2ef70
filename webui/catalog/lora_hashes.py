"""The hash by which infotexts name a LoRA: SHA-256 of what follows the safetensors header, so that editing the
metadata does not change it. Trainers write it into the header as `sshs_model_hash`.
"""

import hashlib
from pathlib import Path

from webui.catalog.catalog import Catalog
from webui.catalog.hashing import CHUNK
from webui.domain import ModelRecord
from webui.domain.errors import ModelGone

DIGITS = 12
"""Hex digits that an infotext shows, of LoRAs and of embeddings."""


class LoraHashes:
    """Hashes once worked out, kept for a file of that size and time."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def short(self, record: ModelRecord, catalog: Catalog) -> str:
        """Twelve hex digits; "" with --no-hashing. Raises ModelGone, OSError."""
        stamp = (record.path, record.size, record.mtime_ns)
        if stamp not in self._known:
            said = record.metadata.get("sshs_model_hash", "")
            whole = record.path.suffix.lower() != ".safetensors"
            if not said and catalog.hashes:
                said = catalog.hash(record) if whole else after_header(record.path)
            self._known[stamp] = said[:DIGITS]
        return self._known[stamp]


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
