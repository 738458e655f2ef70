"""Where a result goes: made whole under another name, then put in its place; a failure leaves nothing behind."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webui.domain.errors import BadInput, DiskFull

SHELTER = ".cache"
"""A folder that lists of models never look into; a folder in the making would show its parts."""


class AlreadyThere(BadInput):
    """Fields: path."""

    key = "already_there"


class NotWritableFolder(BadInput):
    """Fields: path, reason."""

    key = "not_writable_folder"


@contextmanager
def made(target: Path, *, needed: int, overwrite: bool) -> Iterator[Path]:
    """A path to write a file or folder to; when the block ends well, it stands at `target`.

    `needed`: bytes that will be written. Raises AlreadyThere, DiskFull, NotWritableFolder.
    """
    _free(target, overwrite)
    shelter = target.parent / SHELTER
    part = shelter / f"{target.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        with told_of(target, needed=needed):
            shelter.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(shelter).free
            if free < needed:
                raise DiskFull(path=str(target), needed=needed, free=free)
            yield part
            _free(target, overwrite)
            _put(part, target)
    finally:
        _remove(part)
        try:
            shelter.rmdir()  # only when nobody else uses it
        except OSError:
            pass


@contextmanager
def told_of(target: Path, *, needed: int = 0) -> Iterator[None]:
    """What the disk refuses while `target` is written, in our own words: DiskFull, NotWritableFolder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(path=str(target), needed=needed, free=shutil.disk_usage(target.parent).free) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise NotWritableFolder(path=str(target.parent), reason=error.strerror or str(error)) from error
        raise


def _free(target: Path, overwrite: bool) -> None:
    if os.path.lexists(target) and not overwrite:
        raise AlreadyThere(path=str(target))


def _put(part: Path, target: Path) -> None:
    """In one step; an old folder is moved away first, because a folder cannot be replaced in place."""
    if not target.is_dir() or target.is_symlink():
        if part.is_dir() and os.path.lexists(target):
            target.unlink()
        os.replace(part, target)
        return
    old = part.with_name(f"{part.name}.old")
    os.replace(target, old)
    try:
        os.replace(part, target)
    except OSError:
        os.replace(old, target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        path.unlink()
