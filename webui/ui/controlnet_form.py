"""The ControlNet units of a form ↔ `ControlUnit`: what `assets/controlnet.js` posts, and what an infotext fills.

The page sends pictures before the form and names them by blob id. `picture` is the unit's own ("": img2img's),
`drawing` what is drawn on it, `region` and `region_drawing` where the unit has effect, `pictures` those of
Multi-Inputs, each of which is a control of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, cast

from PIL import ImageChops

from webui.catalog.detectors import find_detector
from webui.domain.controlnet import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.domain.detect import DetectRequest
from webui.domain.errors import BadInput
from webui.gallery.blobs import Blobs
from webui.intake import drawn
from webui.ui.init_form import picture_upright

Named = TypeVar("Named", bound=StrEnum)

NONE = "None"
MOST_UNITS = 10
MOST_PICTURES = 64
"""Pictures of one unit's Multi-Inputs."""
NUMBERS = {"weight": "weight", "start": "start", "end": "end", "threshold_a": "threshold_a",
           "threshold_b": "threshold_b"}  # fmt: skip
BOXES = {"pixel_perfect": "pixel_perfect", "low_vram": "low_vram", "crop_with_inpaint": "crop_with_inpaint"}


class ControlFieldWrong(BadInput):
    """Fields: field, value, number (the unit's)."""

    key: ClassVar[str] = "control_field_wrong"


class NoControlPicture(BadInput):
    """Fields: number (the unit's)."""

    key: ClassVar[str] = "no_control_picture"


def controls_from(values: Mapping[str, Any], tab: str, blobs: Blobs) -> tuple[ControlUnit, ...]:
    """The units that are switched on, in order. Ranges and names are looked at by `Intake.accept`, as for every way in.

    Raises ControlFieldWrong, NoControlPicture, UnknownDetector, DetectorLeftOut, BlobGone.
    """
    told = values.get(f"{tab}_controlnet") or ()
    if not isinstance(told, list | tuple) or len(cast(Sequence[Any], told)) > MOST_UNITS:
        raise ControlFieldWrong(field="ControlNet", value=str(told)[:80], number=0)
    units: list[ControlUnit] = []
    for each in cast(Iterable[Any], told):
        if not isinstance(each, Mapping):
            raise ControlFieldWrong(field="ControlNet", value=str(each)[:80], number=0)
        units += _unit(cast(Mapping[str, Any], each), tab, blobs)
    return tuple(units)


def _unit(values: Mapping[str, Any], tab: str, blobs: Blobs) -> list[ControlUnit]:
    number = values.get("number")
    number = number if isinstance(number, int) else 0
    unit = unit_from(values, number)
    unit = replace(unit, region=_region(values, blobs))
    several = values.get("pictures") or ()
    if not isinstance(several, list | tuple) or len(cast(Sequence[Any], several)) > MOST_PICTURES:
        raise ControlFieldWrong(field="Multi-Inputs", value=str(several)[:80], number=number)
    if several:
        # The weight is shared out, as in sd-webui-controlnet: together they pull no harder than one.
        unit = replace(unit, weight=unit.weight / len(cast(Sequence[Any], several)))
        return [replace(unit, image=picture_upright(blobs, str(id))) for id in cast(Sequence[Any], several)]
    picture = str(values.get("picture") or "")
    if not picture:
        if tab == "txt2img" and find_detector(unit.module).needs_picture:
            raise NoControlPicture(number=number)
        return [unit]
    return [replace(unit, image=picture_upright(blobs, picture), mask=drawn_mask(values, picture, blobs))]


def unit_from(values: Mapping[str, Any], number: int = 0) -> ControlUnit:
    """A unit without its pictures. Raises ControlFieldWrong."""
    found: dict[str, Any] = {field: _number(values, id, number) for id, field in NUMBERS.items() if id in values}
    found |= {field: bool(values[id]) for id, field in BOXES.items() if id in values}
    if "resolution" in values:
        found["resolution"] = int(_number(values, "resolution", number))
    model = str(values.get("model") or "")
    weights = values.get("layer_weights") or ()
    if not isinstance(weights, list | tuple):
        raise ControlFieldWrong(field="layer_weights", value=str(weights)[:80], number=number)
    return ControlUnit(
        module=str(values.get("module") or "none"), model="" if model == NONE else model,
        mode=_choice(values, "mode", ControlMode, ControlMode.BALANCED, number),
        resize_mode=_choice(values, "resize_mode", ControlResize, ControlResize.CROP, number),
        hires=_choice(values, "hires", ControlHires, ControlHires.BOTH, number),
        union_type=str(values.get("union_type") or ""),
        layer_weights=tuple(_number({"layer_weights": each}, "layer_weights", number)
                            for each in cast(Iterable[Any], weights)),
        **found,
    )  # fmt: skip


def detect_from(values: Mapping[str, Any], blobs: Blobs) -> DetectRequest:
    """What is asked of a preprocessor alone. Raises ControlFieldWrong, NoControlPicture, UnknownDetector, BlobGone."""
    number = values.get("number")
    number = number if isinstance(number, int) else 0
    picture = str(values.get("picture") or "")
    if not picture:
        raise NoControlPicture(number=number)
    unit = unit_from(values, number)
    width, height = (
        int(_number(values, side, number)) if values.get(side) is not None else 0 for side in ("width", "height")
    )
    return DetectRequest(
        image=picture_upright(blobs, picture), module=find_detector(unit.module).name, resolution=unit.resolution,
        threshold_a=unit.threshold_a, threshold_b=unit.threshold_b, mask=drawn_mask(values, picture, blobs),
        resize_mode=unit.resize_mode, pixel_perfect=unit.pixel_perfect, width=width, height=height,
    )  # fmt: skip


def unit_values(unit: ControlUnit) -> dict[str, Any]:
    """What the page shows of a unit that an infotext tells of; the preprocessor by its own name."""
    row = find_detector(unit.module)
    return {
        "module": row.name, "model": unit.model or NONE, "type": "All", "weight": unit.weight, "start": unit.start,
        "end": unit.end, "mode": unit.mode.value, "resize_mode": unit.resize_mode.value, "hires": unit.hires.value,
        "resolution": row.at(unit.resolution), "threshold_a": row.value_a(unit.threshold_a),
        "threshold_b": row.value_b(unit.threshold_b), "pixel_perfect": unit.pixel_perfect, "low_vram": unit.low_vram,
        "crop_with_inpaint": unit.crop_with_inpaint,
        "union_type": unit.union_type, "layer_weights": list(unit.layer_weights),
    }  # fmt: skip


def drawn_mask(values: Mapping[str, Any], picture: str, blobs: Blobs) -> str:
    """The blob id of what is drawn on a unit's picture, as a mask; "" for nothing. Raises BlobGone."""
    drawing = str(values.get("drawing") or "")
    if not drawing:
        return ""
    mask = drawn.drawn_mask(blobs.open(drawing), blobs.size(picture))
    return blobs.put_image(mask) if mask.getbbox() else ""


def _region(values: Mapping[str, Any], blobs: Blobs) -> str:
    """The blob id of where a unit has effect: an uploaded mask and what is drawn on it."""
    region = str(values.get("region") or "")
    if not region:
        return ""
    picture = drawn.upright(blobs.open(region))
    mask = drawn.uploaded_mask(picture, picture.size)
    drawing = str(values.get("region_drawing") or "")
    if drawing:
        mask = ImageChops.lighter(mask, drawn.drawn_mask(blobs.open(drawing), mask.size))
    return blobs.put_image(mask)


def _number(values: Mapping[str, Any], id: str, number: int) -> float:
    value = values[id]
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise ControlFieldWrong(field=id, value=str(value)[:80], number=number) from None
    if found != found or found in (float("inf"), float("-inf")):
        raise ControlFieldWrong(field=id, value=str(value)[:80], number=number)
    return found


def _choice(values: Mapping[str, Any], id: str, kind: type[Named], default: Named, number: int) -> Named:
    value = values.get(id)
    if value is None:
        return default
    try:
        return kind(value)
    except ValueError:
        raise ControlFieldWrong(field=id, value=str(value)[:80], number=number) from None
