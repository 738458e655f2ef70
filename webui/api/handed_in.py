"""Pictures inside JSON: base64 with or without a data: prefix, kept under their content."""

import base64
import binascii

from webui.domain.errors import UnreadablePicture
from webui.gallery.blobs import Blobs


def decoded(text: str) -> bytes:
    """Bytes of a base64 picture, with or without a data: prefix. Raises UnreadablePicture."""
    if text.startswith(("http://", "https://")):
        raise UnreadablePicture(reason="an address instead of a picture")
    try:
        return base64.b64decode(text.partition(";base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadablePicture(reason=str(error)) from error


def kept(text: str, blobs: Blobs) -> str:
    """A picture's blob id. Raises UnreadablePicture, NotAPicture, DiskFull."""
    return blobs.put(decoded(text))
