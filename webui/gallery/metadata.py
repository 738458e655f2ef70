"""What a picture file says of itself: into PNG chunks and EXIF, and out of every place programs have used.

PNG: text chunks `parameters` (infotext) and `maple` (the whole request as JSON). JPEG, WebP, AVIF: EXIF UserComment and
MakerNote. GIF: its comment. Beside any file: `<name>.txt`.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from webui.domain.errors import UnreadablePicture
from webui.gallery.infotext import InfotextFields, write

MOST_PIXELS = 178_956_970
"""Where Pillow itself speaks of a decompression bomb: 13 000 pixels squared, half a gigabyte in memory."""
MOST_BYTES = 512 * 1024 * 1024
MOST_SIDECAR = 1024 * 1024

Image.init()
FORMATS = [kind for kind in ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF") if kind in Image.OPEN]
"""Formats that are opened; those Pillow hands to other programs (EPS) are not."""

EXIF_IFD, USER_COMMENT, MAKER_NOTE = 0x8769, 0x9286, 0x927C
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
    """"a1111" (and all that write like it), "novelai", "comfyui", "invokeai", "swarmui", "fooocus", or ""."""
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
    return found | _exif_texts(image)


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
    note = tags.get(MAKER_NOTE)
    if isinstance(note, bytes) and note.startswith(MAPLE_MARK):
        found["maple"] = note.removeprefix(MAPLE_MARK).decode("utf-8", "replace")
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


# --- programs that write otherwise -----------------------------------------------------------------------------------


def _novelai(items: Mapping[str, str], width: int, height: int) -> str | None:
    """NovelAI: `Software` and a JSON `Comment`; its seeds need ENSD 31337 and clip skip 2 here."""
    if items.get("Software") != "NovelAI":
        return None
    try:
        told = json.loads(items.get("Comment", ""))
        return write(InfotextFields(
            prompt=items.get("Description") or str(told.get("prompt", "")),
            negative=str(told.get("uc", "")),
            steps=int(told["steps"]),
            sampler=NOVELAI_SAMPLERS.get(str(told.get("sampler")), "Euler a"),
            cfg_scale=told["scale"],
            seed=int(told["seed"]),
            width=width,
            height=height,
            clip_skip=2,
            ensd=31337,
        ))  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


NOVELAI_SAMPLERS = {
    "k_euler_ancestral": "Euler a", "k_euler": "Euler", "k_lms": "LMS", "k_heun": "Heun", "k_dpm_2": "DPM2",
    "k_dpm_2_ancestral": "DPM2 a", "k_dpm_fast": "DPM fast", "k_dpm_adaptive": "DPM adaptive",
    "k_dpmpp_2s_ancestral": "DPM++ 2S a", "k_dpmpp_2m": "DPM++ 2M", "k_dpmpp_sde": "DPM++ SDE",
    "k_dpmpp_2m_sde": "DPM++ 2M SDE", "ddim": "DDIM", "ddim_v3": "DDIM", "plms": "PLMS",
}  # fmt: skip

FOREIGN: Mapping[str, Callable[[Mapping[str, str], int, int], str | None]] = {"novelai": _novelai}
"""Program → its texts and the picture's size to an infotext, or None when the texts are not that program's."""

MARKS = {"workflow": "comfyui", "prompt": "comfyui", "invokeai_metadata": "invokeai", "sd-metadata": "invokeai",
         "Dream": "invokeai", "fooocus_scheme": "fooocus"}  # fmt: skip
"""A text's key → the program it betrays. Their texts are shown, not translated."""


def _sorted(found: dict[str, str], *, width: int, height: int, kind: str, damaged: str) -> PictureInfo:
    infotext = found.pop("parameters", "")
    maple = found.pop("maple", "")
    source = "a1111" if infotext else ""
    if infotext.lstrip().startswith("{") and "sui_image_params" in infotext:
        source = "swarmui"
    if not infotext:
        for name, reader in FOREIGN.items():
            if text := reader(found, width, height):
                infotext, source = text, name
                break
        else:
            source = next((name for key, name in MARKS.items() if key in found), "")
    return PictureInfo(
        infotext=infotext,
        items=found,
        maple=maple,
        postprocessing=found.get("postprocessing") or found.get("extras") or "",
        source=source,
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
