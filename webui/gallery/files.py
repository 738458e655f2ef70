"""Files on the disk whole or not at all: written beside, synced, then given their name."""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Generator
from pathlib import Path

from webui.domain.errors import DiskFull, Failed

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PictureNotSaved(Failed):
    """Fields: path, reason."""

    key = "picture_not_saved"


@contextlib.contextmanager
def disk_errors(path: Path, needed: int) -> Generator[None]:
    """OSError in our own words."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(path=str(path), needed=needed, free=_free(path)) from error
        raise PictureNotSaved(path=str(path), reason=error.strerror or str(error)) from error


def _free(path: Path) -> int:
    for folder in (path, *path.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(folder).free
    return 0


def write_synced(path: Path, data: bytes) -> None:
    """`data` in the file and on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def publish(held: Path, path: Path) -> None:
    """`held` under its final name; raises FileExistsError when that is taken, atomically where the file system can."""
    try:
        path.hardlink_to(held)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in FULL:
            raise
        # exFAT and some network drives know no hard links: an empty file takes the name, the picture takes its place.
        path.touch(exist_ok=False)
        try:
            held.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    _folder_synced(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write over `path`, or create it: readers see the old file or the new one."""
    held = path.with_name(f".{path.stem[:60]}-{os.getpid()}-{time.monotonic_ns()}.tmp")
    try:
        write_synced(held, data)
        held.replace(path)
        _folder_synced(path.parent)
    finally:
        held.unlink(missing_ok=True)


def write_beside(path: Path, data: bytes) -> Path:
    """Write at `path`, or at `name-1`, `name-2` … when it is taken."""
    held = path.with_name(f".{path.stem[:60]}-{os.getpid()}-{time.monotonic_ns()}.tmp")
    tried, number = path, 0
    try:
        write_synced(held, data)
        while True:
            try:
                publish(held, tried)
                return tried
            except FileExistsError:
                number += 1
                tried = path.with_stem(f"{path.stem}-{number}")
    finally:
        held.unlink(missing_ok=True)


def _folder_synced(folder: Path) -> None:
    """A new name survives a power cut once its folder is on the disk; Windows has no such call."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
