"""Text hidden in the lowest bits of a picture's pixels (NovelAI, and extensions of A1111), column by column.

Fifteen letters name the kind, thirty-two bits the length in bits, then UTF-8 or gzip. Alpha holds one bit a pixel, RGB
three.
"""

import gzip
import io
import zlib

from PIL import Image

KINDS = {"stealth_pnginfo": False, "stealth_pngcomp": True, "stealth_rgbinfo": False, "stealth_rgbcomp": True}
"""The name → whether gzip follows."""
NAME_BITS = 15 * 8
LENGTH_BITS = 32
MOST_TEXT = 8 * 1024 * 1024
LOWEST_BIT = bytes(48 + value % 2 for value in range(256))
"""Translates a byte to "0" or "1"."""


def hidden_text(image: Image.Image) -> str:
    """The text, or "". `image` is loaded; palettes and grey have none."""
    for mode in ("A", "RGB"):
        if image.mode not in ("RGBA", "RGB") or (mode == "A" and image.mode != "RGBA"):
            continue
        if found := _read(image, mode):
            return found
    return ""


def _read(image: Image.Image, mode: str) -> str:
    channels = len(mode)
    head = _bits(image, mode, NAME_BITS + LENGTH_BITS)
    if len(head) < NAME_BITS + LENGTH_BITS:
        return ""
    packed = KINDS.get(_bytes(head[:NAME_BITS]).decode("latin-1"))
    length = int(head[NAME_BITS:], 2)
    room = image.width * image.height * channels - NAME_BITS - LENGTH_BITS
    if packed is None or length % 8 or not 0 < length <= min(room, MOST_TEXT * 8):
        return ""
    data = _bytes(_bits(image, mode, NAME_BITS + LENGTH_BITS + length)[NAME_BITS + LENGTH_BITS :])
    try:
        if packed:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(MOST_TEXT)
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return ""


def _bits(image: Image.Image, mode: str, count: int) -> bytes:
    """The first `count` bits as "0" and "1", columns from the left, each from the top."""
    columns = min(image.width, -(-count // (image.height * len(mode))))
    part = image.crop((0, 0, columns, image.height))
    part = part.getchannel("A") if mode == "A" else part.convert("RGB")
    return part.transpose(Image.Transpose.TRANSPOSE).tobytes().translate(LOWEST_BIT)[:count]


def _bytes(bits: bytes) -> bytes:
    return int(bits or b"0", 2).to_bytes(len(bits) // 8, "big")
