"""Pictures of models: the file beside one, or what lies in its header; and small copies of them, kept on disk."""

import base64
import binascii
import hashlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.domain import ModelRecord
from webui.domain.errors import UnreadablePicture

COVERS = "ssmd_cover_images"
THUMBNAIL = "modelspec.thumbnail"
LARGEST = (480, 720)
"""Pixels: twice the size a card usually has, so that dense screens show it sharp."""
log = logging.getLogger(__name__)


def has_embedded(record: ModelRecord) -> bool:
    """Whether the header holds a picture, as the index knows it."""
    return record.metadata.get(COVERS, "[]") != "[]" or THUMBNAIL in record.metadata


def embedded(metadata: Mapping[str, str]) -> list[bytes]:
    """Pictures in a header's metadata: covers by trainers' helpers first, then the model spec's thumbnail (a data
    address; https://github.com/Stability-AI/ModelSpec). What is no base64 is left out.
    """
    try:
        covers: Any = json.loads(metadata.get(COVERS, "[]") or "[]")
    except ValueError:
        covers = []
    texts = [text for text in cast("list[Any]", covers) if isinstance(text, str)] if isinstance(covers, list) else []
    if THUMBNAIL in metadata:
        texts.append(metadata[THUMBNAIL])
    return [body for text in texts if (body := _decoded(text))]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.partition(";base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        return b""


class Thumbnails:
    """Small WebP copies in one folder, each under its model's id and the picture's stamp; an old stamp's copy goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, id: str, stamp: str, picture: Callable[[], bytes | None]) -> bytes | None:
        """The copy, made from `picture()` when there is none yet; None when that is no picture."""
        path = self._folder / id[:2] / f"{id}-{stamp}.webp"
        try:
            return path.read_bytes()
        except OSError:
            pass
        body = picture()
        made = small(body) if body else None
        if made is not None:
            self._keep(path, id, made)
        return made

    def _keep(self, path: Path, id: str, body: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for old in path.parent.glob(f"{id}-*.webp"):
                old.unlink(missing_ok=True)
            handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            os.replace(part, path)
        except OSError as error:  # a full disk costs time, not the picture
            log.warning("the thumbnail %s cannot be kept: %s", path, error)


def small(body: bytes) -> bytes | None:
    """A picture as WebP within LARGEST, its first frame when it moves; None when it is none."""
    try:
        with Image.open(io.BytesIO(body)) as picture:
            picture.draft("RGB", LARGEST)
            picture.thumbnail(LARGEST)
            kept = picture.convert("RGBA" if _see_through(picture) else "RGB")
        made = io.BytesIO()
        kept.save(made, "WEBP", quality=82, method=2)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        log.info("a preview is no picture: %s", error)
        return None
    return made.getvalue()


def as_png(body: bytes, infotext: str) -> bytes:
    """A picture as PNG with its infotext. Raises UnreadablePicture."""
    info = PngInfo()
    if infotext:
        info.add_text("parameters", infotext)
    made = io.BytesIO()
    try:
        with Image.open(io.BytesIO(body)) as picture:
            picture.save(made, "PNG", pnginfo=info)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(reason=str(error)) from error
    return made.getvalue()


def _see_through(picture: Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info


def stamp_of(*facts: object) -> str:
    """A short name for a state of a file."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
