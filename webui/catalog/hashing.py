"""Hashes of model files: SHA-256 of the whole, and the 64 KiB hash of A1111's first year."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from webui.catalog import diffusers_folder
from webui.domain import ModelRecord

CHUNK = 4 * 1024 * 1024
"""Bytes read between two looks at whether there is work."""
PAUSE = 0.002
"""Seconds left to others between two reads."""
LEGACY_START, LEGACY_LENGTH = 0x100000, 0x10000


def sha256(path: Path, may_go_on: Callable[[], bool] = lambda: True) -> str | None:
    """Hex digest of a file; of a diffusers folder, over its files' names and bytes in order. None when told to end.

    `may_go_on` is asked before every read and may wait. The bytes already hashed are kept meanwhile.
    """
    digest = hashlib.sha256()
    is_folder = path.is_dir()
    for part in diffusers_folder.weights(path) if is_folder else [path]:
        if is_folder:
            digest.update(part.relative_to(path).as_posix().encode() + b"\0")
        with open(part, "rb", buffering=0) as file:
            while True:
                if not may_go_on():
                    return None
                chunk = file.read(CHUNK)
                if not chunk:
                    break
                digest.update(chunk)
    return digest.hexdigest()


def legacy(path: Path) -> str:
    """First eight hex digits of the SHA-256 of 64 KiB at 1 MiB (AutoV1); "" for a folder."""
    if path.is_dir():
        return ""
    with open(path, "rb") as file:
        file.seek(LEGACY_START)
        return hashlib.sha256(file.read(LEGACY_LENGTH)).hexdigest()[:8]


def stamp(path: Path, record: ModelRecord) -> tuple[int, int]:
    """Size and time of the file as it is now; a folder's are those it was listed with. (-1, -1) when it is gone."""
    try:
        if path.is_dir():
            return record.size, record.mtime_ns
        stat = path.stat()
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
