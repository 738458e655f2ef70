"""`alwayson_scripts.controlnet` as clients send it → the domain's ControlNet units.

Field names, defaults and older spellings are sd-webui-controlnet 1.1.455's. Unknown fields are passed over, as there.
Nothing here is ever unpickled: `ipadapter_input`, which there goes to torch.load, is refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar, cast

from webui.catalog.detectors import RESOLUTIONS, UNION_TYPES, UNKNOWN_UNION
from webui.domain import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.domain.errors import BadInput
from webui.gallery.blobs import Blobs
from webui.gallery.control_text import RESIZE_MODES

NAME = "controlnet"
OLDER = {"guidance": "guidance_end", "lowvram": "low_vram", "input_image": "image", "mask_image": "mask",
         "guessmode": "guess_mode"}  # fmt: skip
"""Older names of fields, and Forge's."""
JUST_RESIZE_LATENT = 3
"""img2img's fourth resize mode, which clients pass on to their units."""
MOST_UNITS = 64
Choice = TypeVar("Choice", bound=StrEnum)
Keep = Callable[[str], str]


class ControlFieldBad(BadInput):
    """Fields: unit (from 0), name, given."""

    key = "control_field_bad"


class ControlMaskSize(BadInput):
    """A mask of another size than its picture. Fields: unit, width, height, mask_width, mask_height."""

    key = "control_mask_size"


class ControlPickled(BadInput):
    """A field whose content would have to be unpickled. Fields: unit, name."""

    key = "control_pickled"


def units_of(scripts: Mapping[str, Any], blobs: Blobs, keep: Keep) -> tuple[ControlUnit, ...]:
    """The units that are switched on; several pictures in one are as many units. `keep` keeps a picture handed in and
    answers its blob id. Raises ControlFieldBad, ControlMaskSize, ControlPickled, and what `keep` raises.
    """
    made: list[ControlUnit] = []
    for number, told in enumerate(_arguments(scripts)):
        if told is None:
            continue
        if not isinstance(told, Mapping):
            raise ControlFieldBad(unit=number, name="args", given=_shown(told))
        fields = _modern(cast("Mapping[str, Any]", told))
        if _flag(fields, "enabled", number, default=True):
            made += _units(fields, number, blobs, keep)
    return tuple(made)


def _arguments(scripts: Mapping[str, Any]) -> list[Any]:
    for name, told in scripts.items():
        if name.lower() != NAME:
            continue
        given = cast("Mapping[str, Any]", told).get("args") if isinstance(told, Mapping) else told
        found: Any = [given] if isinstance(given, Mapping) else cast("object", given)
        if found is None:
            return []
        if not isinstance(found, list) or len(cast("list[Any]", found)) > MOST_UNITS:
            raise ControlFieldBad(unit=0, name="args", given=_shown(cast("object", found)))
        return cast("list[Any]", found)
    return []


def _modern(told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under their names of today; of two for one thing the one that says something."""
    fields = {name: value for name, value in told.items() if name not in OLDER}
    for older, name in OLDER.items():
        if told.get(older) is not None and fields.get(name) is None:
            fields[name] = told[older]
    return fields


def _units(fields: Mapping[str, Any], number: int, blobs: Blobs, keep: Keep) -> list[ControlUnit]:
    if fields.get("ipadapter_input"):
        raise ControlPickled(unit=number, name="ipadapter_input")
    region = fields.get("effective_region_mask")
    union = _text(fields, "union_control_type", number)
    unit = ControlUnit(
        module=_text(fields, "module", number) or "none",
        model=_model(_text(fields, "model", number)),
        weight=_number(fields, "weight", number, 1.0),
        start=_number(fields, "guidance_start", number, 0.0),
        end=_number(fields, "guidance_end", number, 1.0),
        mode=_mode(fields, number),
        resize_mode=_resize_mode(fields, number),
        resolution=_resolution(fields, number),
        threshold_a=_number(fields, "threshold_a", number, -1),
        threshold_b=_number(fields, "threshold_b", number, -1),
        pixel_perfect=_flag(fields, "pixel_perfect", number),
        low_vram=_flag(fields, "low_vram", number),
        hires=_choice(ControlHires, fields, "hr_option", number, ControlHires.BOTH),
        crop_with_inpaint=_flag(fields, "inpaint_crop_input_image", number, default=True),
        save_map=_flag(fields, "save_detected_map", number, default=True),
        layer_weights=_layers(fields, number),
        union_type=_union(union, number),
        region=_kept(region, "effective_region_mask", number, keep),
    )
    placed = [_placed(image, mask, number, blobs, keep) for image, mask in _pictures(fields, number)]
    return [replace(unit, image=image, mask=mask) for image, mask in placed]


def _placed(image: Any, mask: Any, number: int, blobs: Blobs, keep: Keep) -> tuple[str, str]:
    picture, over = _kept(image, "image", number, keep), _kept(mask, "mask", number, keep)
    if picture and over:
        check_mask(picture, over, number, blobs)
    return picture, over


def check_mask(picture: str, mask: str, number: int, blobs: Blobs) -> None:
    """Raises ControlMaskSize."""
    (width, height), (mask_width, mask_height) = blobs.size(picture), blobs.size(mask)
    if (width, height) != (mask_width, mask_height):
        raise ControlMaskSize(unit=number, width=width, height=height, mask_width=mask_width, mask_height=mask_height)


def _pictures(fields: Mapping[str, Any], number: int) -> list[tuple[Any, Any]]:
    """Pairs of picture and mask: base64, {"image", "mask"}, [picture, mask], or a list of such objects."""
    image, mask = fields.get("image"), fields.get("mask")
    if isinstance(image, Mapping):
        return [_pair(cast("Mapping[str, Any]", image), mask)]
    if not isinstance(image, Sequence) or isinstance(image, str):
        return [(image, mask)]
    several = cast("Sequence[Any]", image)
    if len(several) > MOST_UNITS:
        raise ControlFieldBad(unit=number, name="image", given=len(several))
    if any(isinstance(each, Mapping) for each in several):
        if not all(isinstance(each, Mapping) for each in several):
            raise ControlFieldBad(unit=number, name="image", given=_shown(several))
        return [_pair(each, None) for each in several]
    if len(several) == 2 and mask is None:
        return [(several[0], several[1])]
    return [(each, mask) for each in several] or [(None, mask)]


def _pair(told: Mapping[str, Any], mask: Any) -> tuple[Any, Any]:
    inner = told.get("mask")
    return told.get("image"), mask if inner is None else inner


def _kept(value: Any, name: str, number: int, keep: Keep) -> str:
    if value is None or value == "":
        return ""
    if not isinstance(value, str):
        raise ControlFieldBad(unit=number, name=name, given=_shown(value))
    return keep(value)


def _number(fields: Mapping[str, Any], name: str, number: int, default: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    try:
        made = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        made = math.nan
    if not math.isfinite(made):
        raise ControlFieldBad(unit=number, name=name, given=_shown(value))
    return made


def _resolution(fields: Mapping[str, Any], number: int) -> int:
    """Out of range means the preprocessor's own, as there."""
    asked = int(_number(fields, "processor_res", number, -1))
    return asked if RESOLUTIONS[0] <= asked <= RESOLUTIONS[1] else -1


def _flag(fields: Mapping[str, Any], name: str, number: int, *, default: bool = False) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    words = {"true": True, "1": True, "false": False, "0": False, "": False}
    found = words.get(str(value).lower())
    if found is None:
        raise ControlFieldBad(unit=number, name=name, given=_shown(value))
    return found


def _text(fields: Mapping[str, Any], name: str, number: int) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlFieldBad(unit=number, name=name, given=_shown(value))
    return value.strip()


def _model(name: str) -> str:
    return "" if name.lower() == "none" else name


def _mode(fields: Mapping[str, Any], number: int) -> ControlMode:
    if fields.get("control_mode") is None and _flag(fields, "guess_mode", number):
        return ControlMode.CONTROL  # what guess mode became
    return _choice(ControlMode, fields, "control_mode", number, ControlMode.BALANCED)


def _resize_mode(fields: Mapping[str, Any], number: int) -> ControlResize:
    value: Any = fields.get("resize_mode")
    if value == JUST_RESIZE_LATENT:
        return ControlResize.STRETCH
    if isinstance(value, str) and value in RESIZE_MODES:
        return RESIZE_MODES[value]
    return _choice(ControlResize, fields, "resize_mode", number, ControlResize.CROP)


def _choice(kind: type[Choice], fields: Mapping[str, Any], name: str, number: int, default: Choice) -> Choice:
    """One of an enumeration by its words, its number, or its name in Python (`ControlMode.BALANCED`)."""
    value = fields.get(name)
    if value is None or value == "":
        return default
    choices = list(kind)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices):
        return choices[value]
    wanted = str(value).strip().casefold()
    for at, each in enumerate(choices):
        if wanted in (each.value.casefold(), str(at), f"{kind.__name__}.{each.name}".casefold(), each.name.casefold()):
            return each
    raise ControlFieldBad(unit=number, name=name, given=_shown(value))


def _layers(fields: Mapping[str, Any], number: int) -> tuple[float, ...]:
    value = fields.get("advanced_weighting")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ControlFieldBad(unit=number, name="advanced_weighting", given=_shown(value))
    given = cast("list[Any]", value)
    return tuple(_number({"advanced_weighting": each}, "advanced_weighting", number, 1.0) for each in given)


def _union(told: str, number: int) -> str:
    if told.casefold() in ("", UNKNOWN_UNION.casefold()):
        return ""
    for each in UNION_TYPES:
        if told.casefold() in (each.casefold(), each.replace(" ", "").casefold()):
            return each
    raise ControlFieldBad(unit=number, name="union_control_type", given=_shown(told))


def _shown(value: object) -> str:
    return repr(value)[:80]
