"""Pictures handed in (init images, masks), kept under the hash of their bytes, so that a queued request survives a
restart and the same picture is stored once.
"""

import contextlib
import hashlib
import io
import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from PIL import ExifTags, Image

from webui.domain.errors import BadInput, NotFound
from webui.gallery.files import disk_errors, write_whole

ID = re.compile(r"[0-9a-f]{40}\.[a-z0-9]{2,5}")
MOST_PIXELS = 200_000_000
KEPT_DAYS = 30.0


class NotAPicture(BadInput):
    """Fields: reason."""

    key: ClassVar[str] = "blob_not_a_picture"


class BlobGone(NotFound):
    """A picture that a request names is no longer there. Fields: id."""

    key: ClassVar[str] = "blob_gone"


class Blobs:
    """A folder of pictures by content. Ids look like "<40 hex digits>.png"; nothing else reaches the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep a picture file as it is; its id. Raises NotAPicture, DiskFull.

        It is decoded once, whole: what enters the queue can be opened when its turn comes.
        """
        try:
            with Image.open(io.BytesIO(data)) as image:
                ending = (image.format or "").lower()
                if image.width * image.height > MOST_PIXELS:
                    raise NotAPicture(reason=f"{image.width}×{image.height}")
                image.load()
        except NotAPicture:
            raise
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise NotAPicture(reason=str(error)[:200]) from error
        return self._keep(data, "jpg" if ending == "jpeg" else ending)

    def put_image(self, image: Image.Image) -> str:
        """Keep a picture as PNG; its id. Raises DiskFull."""
        made = io.BytesIO()
        image.save(made, "PNG", compress_level=1)
        return self._keep(made.getvalue(), "png")

    def open(self, id: str) -> Image.Image:
        """The picture, decoded, as stored (any mode). Raises BlobGone."""
        path = self.path(id)
        try:
            with Image.open(path) as image:
                image.load()
                return image
        except (OSError, ValueError, SyntaxError) as error:
            raise BlobGone(id=id) from error

    def size(self, id: str) -> tuple[int, int]:
        """(width, height) in pixels as it is shown, turned as its EXIF says. Raises BlobGone."""
        try:
            with Image.open(self.path(id)) as image:
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
                return (image.height, image.width) if turned else image.size
        except (OSError, ValueError, SyntaxError) as error:
            raise BlobGone(id=id) from error

    def path(self, id: str) -> Path:
        """Where it lies. Raises BlobGone for what is not there and for what is no id."""
        path = self._folder / id[:2] / id
        if not ID.fullmatch(id) or not path.is_file():
            raise BlobGone(id=id)
        return path

    def prune(self, *, named: Collection[str] = (), days: float = KEPT_DAYS) -> int:
        """Delete what is older than `days` and not among `named` (what waiting requests need); the number deleted."""
        oldest, gone = time.time() - days * 86400, 0
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.name not in named and path.lstat().st_mtime < oldest:
                    path.unlink()
                    gone += 1
        return gone

    def _keep(self, data: bytes, ending: str) -> str:
        id = f"{hashlib.sha256(data).hexdigest()[:40]}.{ending}"
        path = self._folder / id[:2] / id
        with disk_errors(path.parent, len(data)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                path.touch()  # used again: its age counts from now
            else:
                write_whole(path, data)
        return id
