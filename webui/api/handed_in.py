"""Pictures inside JSON: base64 with or without a data: prefix, or an address where the settings allow it, kept under
their content.
"""

import base64
import binascii

from webui.api.remote import fetched, is_address
from webui.domain.errors import UnreadablePicture
from webui.gallery.blobs import ID, Blobs
from webui.settings.groups.api import Api


def decoded(text: str, remote: Api | None = None) -> bytes:
    """Bytes of a base64 picture, with or without a data: prefix, or of what lies at an address; without `remote` no
    address is asked. Raises UnreadablePicture, RemoteOff, RemoteForbidden, RemoteFailed, RemoteTooLarge.
    """
    if is_address(text):
        if remote is None:
            raise UnreadablePicture(reason="an address instead of a picture")
        return fetched(text, remote)
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


def kept(text: str, blobs: Blobs, remote: Api | None = None) -> str:
    """A picture's blob id. Raises as `decoded`, NotAPicture, DiskFull."""
    return blobs.put(decoded(text, remote))
