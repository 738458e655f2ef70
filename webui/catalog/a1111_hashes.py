"""SHA-256 that another A1111 has already computed, only read: its `cache.json`, or its diskcache `cache/hashes`."""

import io
import json
import logging
import pickle
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from webui.domain import ModelKind

SECTIONS = {
    ModelKind.CHECKPOINT: "checkpoint",
    ModelKind.EMBEDDING: "textual_inversion",
    ModelKind.HYPERNETWORK: "hypernet",
}
"""Kinds whose titles there name one file, and whose hash is of the whole of it (a LoRA's leaves the header out)."""
SLACK = 2.0
"""Seconds two file systems may disagree about one file's time."""
LARGEST = 256 * 1024 * 1024
"""Bytes of a cache.json."""
log = logging.getLogger(__name__)


class A1111Hashes:
    """Hashes by title. A folder without a cache, or with a broken one, has none."""

    def __init__(self, home: Path) -> None:
        self._entries: dict[str, tuple[float, str]] = {}
        for read in (_from_json, _from_diskcache):
            try:
                for title, entry in read(home).items():
                    self._add(title, entry)
            except (
                OSError,
                ValueError,
                sqlite3.Error,
                pickle.UnpicklingError,
                EOFError,
                IndexError,
                KeyError,
                TypeError,
                AttributeError,
            ) as error:
                log.warning("hashes of %s cannot be read: %s", home, error)

    def _add(self, title: str, entry: object) -> None:
        if not isinstance(entry, dict):
            return
        words = cast("dict[str, Any]", entry)
        sha256, mtime = words.get("sha256"), words.get("mtime")
        if isinstance(sha256, str) and len(sha256) == 64 and isinstance(mtime, int | float):
            self._entries[title.replace("\\", "/")] = (float(mtime), sha256.lower())

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, kind: ModelKind, name: str, *, filename: str, mtime_ns: int) -> str | None:
        """The hash of `name` (below its root) if the file has not changed since."""
        section = SECTIONS.get(kind)
        if section is None:
            return None
        title = filename if kind is ModelKind.CHECKPOINT else name.rsplit("/", 1)[-1]
        mtime, sha256 = self._entries.get(f"{section}/{title}", (0.0, ""))
        return sha256 if sha256 and abs(mtime - mtime_ns / 1e9) <= SLACK else None


def _from_json(home: Path) -> Mapping[str, object]:
    path = home / "cache.json"
    if not path.is_file() or path.stat().st_size > LARGEST:
        return {}
    table = json.loads(path.read_text(encoding="utf-8"))
    return cast("dict[str, object]", table.get("hashes", {}))


def _from_diskcache(home: Path) -> Mapping[str, object]:
    path = home / "cache" / "hashes" / "cache.db"
    if not path.is_file():
        return {}
    # immutable: no lock, journal or shared memory file may appear in a folder that is not ours.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        rows = connection.execute(
            "SELECT key, value FROM Cache WHERE raw = 1 AND mode = 4 AND value IS NOT NULL"
        ).fetchall()
    finally:
        connection.close()
    return {str(key): _PlainUnpickler(io.BytesIO(value)).load() for key, value in rows}


class _PlainUnpickler(pickle.Unpickler):
    """Numbers, text and containers only: diskcache keeps its values pickled."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} has no place in a hash cache")
