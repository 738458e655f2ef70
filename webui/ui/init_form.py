"""The img2img tab's fields and pictures ↔ `Init`: what is posted, and what an infotext fills.

The page sends its pictures before the form, and names them by blob id: `img2img_picture` as it came, `img2img_drawing`
(a transparent layer) and `img2img_mask`. Which of them count is said by `img2img_mode`, the open sub-tab.
"""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from PIL import Image

from webui.domain.errors import BadInput
from webui.domain.request import Init, Inpaint, MaskedContent, ResizeMode, SoftInpainting
from webui.gallery.blobs import BlobGone, Blobs
from webui.intake import drawn
from webui.intake.accept import NoInitImage

Named = TypeVar("Named", bound=StrEnum)

MODES = ("img2img", "sketch", "inpaint", "inpaint_sketch", "inpaint_upload", "batch")
"""Sub-tabs in A1111's order."""
MASKED = frozenset({"inpaint", "inpaint_sketch", "inpaint_upload"})
NOT_MASKED = "Inpaint not masked"
ONLY_MASKED = "Only masked"
SOFT_BOX = "soft_inpainting_enabled-checkbox"
SOFT = {f"soft_inpainting_{field.name}": field.name for field in fields(SoftInpainting)}


class NoMaskImage(BadInput):
    """No fields."""

    key: ClassVar[str] = "no_mask_image"


class InitFieldWrong(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "init_field_wrong"


def init_from(values: Mapping[str, Any], blobs: Blobs) -> Init:
    """What the tab asks for, its pictures composed and kept. Raises NoInitImage, NoMaskImage, InitFieldWrong, BlobGone.

    A mask with nothing in it asks for the whole picture: then there is no `inpaint`.
    """
    mode = mode_of(values)
    id, mask = _pictures(values, blobs, mode)
    return init_shape(values, images=(id,), inpaint=inpaint_from(values, mask) if mask else None)


def init_shape(values: Mapping[str, Any], *, images: tuple[str, ...], inpaint: Inpaint | None) -> Init:
    """The fields every sub-tab has, around these pictures. Raises InitFieldWrong."""
    by_scale = bool(values.get("img2img_resize_by"))
    return Init(
        images=images,
        denoising_strength=_number(values, "img2img_denoising_strength", 0.75),
        resize_mode=_choice(values, "resize_mode", ResizeMode, ResizeMode.STRETCH),
        scale=_number(values, "img2img_scale", 1.0) if by_scale else 0.0,
        image_cfg_scale=_number(values, "img2img_image_cfg_scale", 1.5) if values.get("img2img_pix2pix") else None,
        inpaint=inpaint,
    )


def inpaint_from(values: Mapping[str, Any], mask: str) -> Inpaint:
    """The inpaint group around a mask. Raises InitFieldWrong."""
    blur = _number(values, "img2img_mask_blur", 4)
    soft = bool(values.get(SOFT_BOX))
    told = {name: _number(values, id, getattr(SoftInpainting(), name)) for id, name in SOFT.items()}
    return Inpaint(
        mask=mask,
        blur_x=blur,
        blur_y=blur,
        invert=values.get("img2img_mask_mode") == NOT_MASKED,
        content=_choice(values, "img2img_inpainting_fill", MaskedContent, MaskedContent.ORIGINAL),
        only_masked=values.get("img2img_inpaint_full_res") == ONLY_MASKED,
        padding=int(_number(values, "img2img_inpaint_full_res_padding", 32)),
        round_mask=not soft,  # soft inpainting needs the mask's shades
        soft=SoftInpainting(**told) if soft else None,
    )


def init_values(init: Init) -> dict[str, Any]:
    """The tab's values, by element id, for what an infotext tells of the picture it started from."""
    shown: dict[str, Any] = {"img2img_denoising_strength": init.denoising_strength}
    if init.image_cfg_scale is not None:
        shown["img2img_image_cfg_scale"] = init.image_cfg_scale
    inpaint = init.inpaint
    if inpaint is None:
        return shown
    shown |= {
        "img2img_mask_blur": inpaint.blur_x,
        "img2img_mask_mode": NOT_MASKED if inpaint.invert else "Inpaint masked",
        "img2img_inpainting_fill": inpaint.content.value,
        "img2img_inpaint_full_res": ONLY_MASKED if inpaint.only_masked else "Whole picture",
        "img2img_inpaint_full_res_padding": inpaint.padding,
        SOFT_BOX: inpaint.soft is not None,
    }
    return shown | {id: getattr(inpaint.soft, name) for id, name in SOFT.items() if inpaint.soft is not None}


def mode_of(values: Mapping[str, Any]) -> str:
    """The open sub-tab. Raises InitFieldWrong."""
    mode = values.get("img2img_mode", MODES[0])
    if mode not in MODES:
        raise InitFieldWrong(field="img2img_mode", value=str(mode)[:80])
    return mode


def _pictures(values: Mapping[str, Any], blobs: Blobs, mode: str) -> tuple[str, str]:
    """(blob id of the init image, blob id of the mask or "")."""
    picture = str(values.get("img2img_picture") or "")
    drawing = str(values.get("img2img_drawing") or "")
    if not picture:
        raise NoInitImage()
    if mode == "sketch" and drawing:
        return blobs.put_image(drawn.painted(_open(blobs, picture), blobs.open(drawing))), ""
    if mode == "inpaint" and drawing:
        mask = drawn.drawn_mask(blobs.open(drawing), _open(blobs, picture).size)
        return picture_upright(blobs, picture), _kept(blobs, mask)
    if mode == "inpaint_sketch" and drawing:
        transparency = min(100.0, max(0.0, _number(values, "img2img_mask_alpha", 0)))
        blur = min(64.0, max(0.0, _number(values, "img2img_mask_blur", 4)))
        image, mask = drawn.inpaint_sketch(
            _open(blobs, picture), blobs.open(drawing), transparency=transparency, blur=blur
        )
        return blobs.put_image(image), _kept(blobs, mask)
    if mode == "inpaint_upload":
        mask = str(values.get("img2img_mask") or "")
        if not mask:
            raise NoMaskImage()
        return picture_upright(blobs, picture), _kept(
            blobs, drawn.uploaded_mask(_open(blobs, mask), _open(blobs, picture).size)
        )
    return picture_upright(blobs, picture), ""


ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""


def picture_upright(blobs: Blobs, id: str) -> str:
    """The id of the picture as a browser shows it: its own, unless a camera's tag turns it. Raises BlobGone."""
    try:
        with Image.open(blobs.path(id)) as image:
            turned = image.getexif().get(ORIENTATION, 1) != 1
    except (OSError, ValueError, SyntaxError):
        raise BlobGone(id=id) from None
    return blobs.put_image(_open(blobs, id)) if turned else id


def _open(blobs: Blobs, id: str) -> Image.Image:
    return drawn.upright(blobs.open(id))


def _kept(blobs: Blobs, mask: Image.Image) -> str:
    return blobs.put_image(mask) if mask.getbbox() else ""


def _number(values: Mapping[str, Any], id: str, default: float) -> float:
    value = values.get(id)
    if value is None or value == "":
        return default
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise InitFieldWrong(field=id, value=str(value)[:80]) from None
    if found != found or found in (float("inf"), float("-inf")):
        raise InitFieldWrong(field=id, value=str(value)[:80])
    # 5 stays 5: an infotext says "Mask blur: 4" and not 4.0.
    return int(found) if found == int(found) else found


def _choice(values: Mapping[str, Any], id: str, kind: type[Named], default: Named) -> Named:
    value = values.get(id)
    if value is None:
        return default
    try:
        return kind(value)
    except ValueError:
        raise InitFieldWrong(field=id, value=str(value)[:80]) from None
