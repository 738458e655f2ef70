"""What a picture file says of itself: into PNG chunks and EXIF, and out of every place programs have used.

PNG: text chunks `parameters` (infotext) and `maple` (the whole request as JSON). JPEG, WebP, AVIF: EXIF UserComment and
MakerNote. GIF: its comment. Beside any file: `<name>.txt`.
"""

import html
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from webui.domain.errors import UnreadablePicture
from webui.gallery.foreign import Note, hidden_text, translate

MOST_PIXELS = 178_956_970
"""Where Pillow itself speaks of a decompression bomb: 13 000 pixels squared, half a gigabyte in memory."""
MOST_BYTES = 512 * 1024 * 1024
MOST_SIDECAR = 1024 * 1024

Image.init()
FORMATS = [kind for kind in ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF") if kind in Image.OPEN]
"""Formats that are opened; those Pillow hands to other programs (EPS) are not."""

EXIF_IFD, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
COMFY_TAGS = (0x010F, 0x0110)
MAPLE_MARK = b"MAPLE\0"

TECHNICAL = frozenset({
    "jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp", "duration",
    "progressive", "progression", "icc_profile", "chromaticity", "photoshop", "gamma", "srgb", "transparency", "mp",
    "mpoffset", "version", "extension", "interlace", "aspect", "adobe", "adobe_transform", "compression", "resolution",
    "xmp", "xml:com.adobe.xmp", "gps", "blend", "default_image", "disposal",
})  # fmt: skip
"""Entries of Pillow's `info` that describe the file, not the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureInfo:
    """What was found. `items` are the other texts of the file; `damaged` says why pixels could not be read, else ""."""

    infotext: str = ""
    items: Mapping[str, str] = field(default_factory=dict[str, str])
    maple: str = ""
    """The request as JSON, as it came: check it before use."""
    postprocessing: str = ""
    source: str = ""
    """"a1111" (and all that write like it), a name of `foreign.READERS`, or ""."""
    program: str = ""
    """The other program's own name, when its texts were translated into `infotext`."""
    notes: tuple[Note, ...] = ()
    """What could not be translated: sentences of `words` by key, with their fields."""
    width: int = 0
    height: int = 0
    format: str = ""
    damaged: str = ""


def read_picture(source: bytes | Path) -> PictureInfo:
    """All texts of a picture. Raises UnreadablePicture when it is none, too large, or broken with nothing to read."""
    size = len(source) if isinstance(source, bytes) else _size(source)
    if size > MOST_BYTES:
        raise UnreadablePicture(reason=f"{size // 2**20} MB > {MOST_BYTES // 2**20} MB")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnreadablePicture(reason=f"{image.width}x{image.height} > {MOST_PIXELS} pixels")
            damaged = _damage(image)
            found = _texts(image)
            kind, width, height = image.format or "", image.width, image.height
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(reason=_said(error)) from error
    if isinstance(source, Path) and "parameters" not in found:
        found |= _sidecar(source)
    info = _sorted(found, width=width, height=height, kind=kind, damaged=damaged)
    if damaged and not (info.infotext or info.maple or info.items):
        raise UnreadablePicture(reason=damaged)
    return info


def open_picture(source: bytes | Path) -> Image.Image:
    """The pixels, loaded, upright. Raises UnreadablePicture like `read_picture`, and for any damage."""
    try:
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise UnreadablePicture(reason=f"{image.width}x{image.height} > {MOST_PIXELS} pixels")
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(reason=_said(error)) from error
    return image


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError) as error:
        raise UnreadablePicture(reason=_said(error)) from error


def _said(error: Exception) -> str:
    """Pillow names the in-memory file by its address; nobody wants that."""
    text = str(error) or type(error).__name__
    return "not a picture" if "cannot identify image file" in text else text


def _damage(image: Image.Image) -> str:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        return _said(error)
    return ""


def _texts(image: Image.Image) -> dict[str, str]:
    """Texts by key; the infotext stands under `parameters`, wherever the format keeps it."""
    found: dict[str, str] = {}
    for key, value in image.info.items():
        if not isinstance(key, str) or key in TECHNICAL:
            continue
        if key == "comment" and isinstance(value, bytes):
            found[key] = value.decode("utf-8", "replace")
        elif isinstance(value, str | int | float):
            found[key] = str(value)
    if image.format == "GIF" and "comment" in found:
        found["parameters"] = found["comment"]
    found |= _exif_texts(image)
    if xmp := DRAW_THINGS.search(_xmp(image)):
        found["draw things"] = html.unescape(xmp[1])
    if "parameters" not in found and "Comment" not in found and (hidden := hidden_text(image)):
        found |= _hidden(hidden)
    return found


DRAW_THINGS = re.compile(
    r"<exif:UserComment>.{0,400}?<rdf:li[^>]{0,100}>\s*(\{[^<]{0,200000}\})\s*</rdf:li>", re.DOTALL
)


def _xmp(image: Image.Image) -> str:
    found = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp") or ""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def _hidden(text: str) -> dict[str, str]:
    """Text from the lowest bits: NovelAI's chunks as JSON, or an infotext."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {"parameters": text.strip()}
    if not isinstance(told, dict):
        return {"stealth": text}
    rows = cast("dict[str, Any]", told)
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in rows.items()}


def _exif_texts(image: Image.Image) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        tags = cast("Mapping[int, Any]", image.getexif().get_ifd(EXIF_IFD))
    except (OSError, ValueError, SyntaxError, KeyError, TypeError):
        return found
    comment = _user_comment(tags.get(USER_COMMENT))
    if comment:
        found["exif comment"] = comment
        found["parameters"] = comment
    for tag in COMFY_TAGS:
        # ComfyUI keeps its graphs in two tags of the first directory: `prompt:{…}`.
        name, colon, graph = str(image.getexif().get(tag, "")).partition(":")
        if colon and name.lower() in ("prompt", "workflow") and graph.startswith("{"):
            found[name.lower()] = graph
    note = tags.get(MAKER_NOTE)
    if isinstance(note, bytes) and note.startswith(MAPLE_MARK):
        found["maple"] = note.removeprefix(MAPLE_MARK).decode("utf-8", "replace")
    elif note in (b"fooocus", b"a1111", "fooocus", "a1111"):
        found["fooocus_scheme"] = note.decode() if isinstance(note, bytes) else note
    return found


def _user_comment(value: object) -> str:
    """EXIF UserComment: eight bytes name the code. Writers differ in UNICODE's byte order, so the likelier one wins."""
    if isinstance(value, str):
        return value.strip("\0 ")
    if not isinstance(value, bytes):
        return ""
    code, body = value[:8], value[8:]
    if code == b"UNICODE\0":
        big, little = body.decode("utf-16-be", "replace"), body.decode("utf-16-le", "replace")
        text = max(big, little, key=lambda tried: sum(letter.isascii() for letter in tried))
    elif code in (b"ASCII\0\0\0", b"\0" * 8):
        text = body.decode("utf-8", "replace")
    elif code == b"JIS\0\0\0\0\0":
        text = body.decode("iso2022_jp", "replace")
    else:
        text = value.decode("utf-8", "replace")
    return text.strip("\0\ufeff ")


def _sidecar(path: Path) -> dict[str, str]:
    beside = path.with_suffix(".txt")
    try:
        if beside.stat().st_size <= MOST_SIDECAR:
            return {"parameters": beside.read_text("utf-8-sig").strip()}
    except (OSError, UnicodeDecodeError):
        pass
    return {}


MARKS = {"workflow": "comfyui", "prompt": "comfyui", "invokeai_metadata": "invokeai", "sd-metadata": "invokeai",
         "Dream": "invokeai", "fooocus_scheme": "fooocus"}  # fmt: skip
"""A text's key → the program it betrays, for texts that could not be translated."""
NOT_LINES = re.compile(r"\s*\{|.*\bVersion: Fooocus", re.DOTALL)
"""An infotext that is another program's after all: JSON, or Fooocus's."""


def _sorted(found: dict[str, str], *, width: int, height: int, kind: str, damaged: str) -> PictureInfo:
    infotext = found.pop("parameters", "")
    maple = found.pop("maple", "")
    source, notes, program = "a1111" if infotext else "", (), ""
    if not infotext or "fooocus_scheme" in found or NOT_LINES.match(infotext):
        texts = found | {"parameters": infotext}
        if infotext.lstrip().startswith("{"):
            # Where JPEG and WebP have one place for everything, a graph stands in it too.
            texts.setdefault("prompt", infotext)
        if (translation := translate(texts, width, height)) is not None:
            if infotext:
                found["parameters"] = infotext
            source, foreign = translation
            infotext, notes, program = foreign.infotext, foreign.notes, foreign.program
        elif not infotext:
            source = next((name for key, name in MARKS.items() if key in found), "")
    return PictureInfo(
        infotext=infotext,
        items=found,
        maple=maple,
        postprocessing=found.get("postprocessing") or found.get("extras") or "",
        source=source,
        program=program,
        notes=notes,
        width=width,
        height=height,
        format=kind,
        damaged=damaged,
    )


# --- writing ---------------------------------------------------------------------------------------------------------

MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
               "avif": "image/avif"}  # fmt: skip
SIDES = {"jpg": 65500, "jpeg": 65500, "webp": 16383, "avif": 65536}
"""The longest side a format can hold; longer pictures are written as PNG."""
MOST_EXIF = 65_000
"""A JPEG keeps its EXIF in one segment of 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A picture as bytes. `format` may have fallen back to png; `complete`: the infotext fitted in."""

    data: bytes
    format: str
    complete: bool = True

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]


def embed(
    image: Image.Image,
    infotext: str,
    *,
    maple: str | None = None,
    format: str = "png",
    quality: int = 80,
    lossless: bool = False,
    chunks: Mapping[str, str] | None = None,
    section: str = "parameters",
) -> Encoded:
    """The picture as a file with its texts inside; empty texts are not written. `chunks` are further PNG texts."""
    kind = format.lower().lstrip(".")
    if kind not in MEDIA_TYPES or max(image.size) > SIDES.get(kind, max(image.size)):
        kind = "png"
    if kind == "avif" and not features.check("avif"):
        kind = "png"
    if kind == "png":
        return Encoded(data=_png(image, {**(chunks or {}), section: infotext, "maple": maple or ""}), format=kind)
    data = io.BytesIO()
    exif, complete = _exif(infotext, maple, limit=MOST_EXIF if kind in ("jpg", "jpeg") else None)
    options: dict[str, Any] = {"quality": quality} | ({"exif": exif} if exif else {})
    if kind == "webp":
        options["lossless"] = lossless
    _eight_bit(image, alpha=kind in ("webp", "avif")).save(data, "JPEG" if kind == "jpg" else kind.upper(), **options)
    return Encoded(data=data.getvalue(), format=kind, complete=complete)


def _png(image: Image.Image, texts: Mapping[str, str]) -> bytes:
    info = PngInfo()
    for key, value in texts.items():
        if value:
            info.add_text(key, value.replace("\0", ""))
    data = io.BytesIO()
    (image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "HSV", "LAB", "F") else image).save(
        data, "PNG", pnginfo=info
    )
    return data.getvalue()


def _exif(infotext: str, maple: str | None, *, limit: int | None) -> tuple[bytes, bool]:
    """EXIF with both texts, the request left out first when they do not fit; and whether the infotext went in."""
    comment = b"UNICODE\0" + infotext.encode("utf-16-be", "replace") if infotext else b""
    note = MAPLE_MARK + maple.encode("utf-8") if maple else b""
    for with_note in (note, b""):
        exif = Image.Exif()
        tags = exif.get_ifd(EXIF_IFD)
        if comment:
            tags[USER_COMMENT] = comment
        if with_note:
            tags[MAKER_NOTE] = with_note
        made = exif.tobytes() if tags else b""
        if limit is None or len(made) <= limit:
            return made, True
    return b"", not infotext


def _eight_bit(image: Image.Image, *, alpha: bool) -> Image.Image:
    """JPEG holds no alpha; none of the three holds 16 bits."""
    if image.mode.startswith("I"):
        return image.point(lambda value: value / 257).convert("L")
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if has_alpha:
        return image.convert("RGBA" if alpha else "RGB")
    return image if image.mode in ("RGB", "L") else image.convert("RGB")
