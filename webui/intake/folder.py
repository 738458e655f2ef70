"""Pictures of a folder on the server, for a batch: which they are, which mask is whose, what they remember.

Names only come from the folder's own listing, links are left alone, and nothing but pictures is opened.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from webui.domain.errors import BadInput, MapleError, NotFound
from webui.gallery import infotext, metadata
from webui.gallery.infotext import Lookup
from webui.settings import Settings

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif"})
MOST = 10_000
"""Pictures of one batch."""
MOST_TEXT_BYTES = 512 * 2**20
TAKEN: Mapping[str, tuple[str, ...]] = {
    "Prompt": ("prompt",),
    "Negative prompt": ("negative_prompt",),
    "Seed": ("seed",),
    "CFG scale": ("cfg_scale",),
    "Sampler": ("sampler", "schedule"),
    "Steps": ("steps",),
    "Model hash": ("checkpoint",),
}
"""What can be taken from a picture's infotext → fields of the request."""
APPENDED = frozenset({"prompt", "negative_prompt"})


class FolderMissing(NotFound):
    """Fields: path."""

    key: ClassVar[str] = "folder_missing"


class FolderEmpty(NotFound):
    """No picture in a folder. Fields: path, endings."""

    key: ClassVar[str] = "folder_empty"


class TooManyPictures(BadInput):
    """Fields: given, most."""

    key: ClassVar[str] = "too_many_pictures"


def pictures_in(folder: Path) -> list[Path]:
    """Its pictures by name, without links and folders below. Raises FolderMissing, FolderEmpty, TooManyPictures."""
    try:
        with os.scandir(folder) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.is_file(follow_symlinks=False) and Path(entry.name).suffix.lower() in ENDINGS
            ]
    except OSError:
        raise FolderMissing(path=str(folder)) from None
    if not found:
        raise FolderEmpty(path=str(folder), endings=sorted(ENDINGS))
    if len(found) > MOST:
        raise TooManyPictures(given=len(found), most=MOST)
    return sorted(found, key=lambda path: (path.name.lower(), path.name))


def masks_for(stems: Iterable[str], masks: list[Path]) -> dict[str, Path]:
    """Stem of a picture → its mask: the one of the same stem, or the only one there is."""
    if len(masks) == 1:
        return dict.fromkeys(stems, masks[0])
    by_stem = {mask.stem: mask for mask in reversed(masks)}
    return {stem: by_stem[stem] for stem in stems if stem in by_stem}


def remembered(data: bytes, props: Iterable[str], *, settings: Settings, lookup: Lookup) -> dict[str, Any]:
    """The fields of a request that a picture's infotext tells of, of those asked for; {} where it tells of none."""
    wanted = {field for prop in props for field in TAKEN.get(prop, ())}
    if not wanted:
        return {}
    try:
        text = metadata.read_picture(data).infotext
    except MapleError:
        return {}
    if not text.strip():
        return {}
    read = infotext.read(text)
    found, overrides = infotext.request_from(read, settings=settings, lookup=lookup)
    told = dict(found)
    told |= [("checkpoint", value) for _, key, value in overrides if key == "model.checkpoint"]
    return {field: told[field] for field in wanted if told.get(field) not in (None, "")}
