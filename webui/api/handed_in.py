"""Pictures inside JSON: base64 with or without a data: prefix, kept under their content."""

import base64
import binascii

from webui.domain.errors import UnreadablePicture
from webui.gallery.blobs import ID, Blobs


def decoded(text: str) -> bytes:
    """Bytes of a base64 picture, with or without a data: prefix. Raises UnreadablePicture."""
    if text.startswith(("http://", "https://")):
        raise UnreadablePicture(reason="an address instead of a picture")
    try:
        return base64.b64decode(text.partition(";base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadablePicture(reason=str(error)) from error


def kept_or_known(text: str, blobs: Blobs) -> str:
    """A picture's blob id: the text itself where it is one, else of the picture in it. Raises as `kept`, BlobGone."""
    if ID.fullmatch(text):
        blobs.path(text)
        return text
    return kept(text, blobs)


def kept(text: str, blobs: Blobs) -> str:
    """A picture's blob id. Raises UnreadablePicture, NotAPicture, DiskFull."""
    return blobs.put(decoded(text))
