"""The form's fields: element id ↔ request field, both ways.

Override entries are A1111's: "Clip skip: 2" is a label of an infotext and a value, in force for one request.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from webui.domain import GenerationRequest
from webui.domain.errors import BadInput
from webui.gallery.infotext import pasted_overrides

QUICK = {"setting_sd_model_checkpoint": "checkpoint", "setting_sd_vae": "vae"}
QUICK_WHOLES = {"setting_CLIP_stop_at_last_layers": "clip_skip"}
"""The quick settings that a request names itself; both tabs send them."""

# Without the tab's name in front: "prompt" is txt2img_prompt in one tab and img2img_prompt in the other.
TEXTS = {
    "prompt": "prompt",
    "neg_prompt": "negative_prompt",
    "sampling": "sampler",
    "scheduler": "schedule",
}
WHOLES = {
    "steps": "steps",
    "width": "width",
    "height": "height",
    "batch_count": "batch_count",
    "batch_size": "batch_size",
    "seed": "seed",
}
NUMBERS = {"cfg_scale": "cfg_scale"}
VARIATION_WHOLES = {
    "subseed": "subseed",
    "seed_resize_from_w": "seed_resize_width",
    "seed_resize_from_h": "seed_resize_height",
}
VARIATION_NUMBERS = {"subseed_strength": "subseed_strength"}
"""These two count only while Extra is ticked."""

NAMED = {"model.clip_skip": "clip_skip", "model.vae": "vae", "model.checkpoint": "checkpoint", "model.tiling": "tiling"}
"""Settings that a request names itself: an override of one takes that field's place."""


class FieldNotANumber(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "field_not_a_number"


def request_from(values: Mapping[str, Any], tab: str = "txt2img") -> GenerationRequest:
    """The request the form of a tab describes. Empty number boxes take the request's default. Raises FieldNotANumber.

    Ranges and names are not looked at here; `Intake.accept` does that for every way in.
    """
    own = _of(values, tab)
    found: dict[str, Any] = _strings(values, QUICK) | _numbers(values, QUICK_WHOLES, whole=True)
    found |= _strings(own, TEXTS) | _numbers(own, WHOLES, whole=True) | _numbers(own, NUMBERS, whole=False)
    if own.get("subseed_show"):
        found |= _numbers(own, VARIATION_WHOLES, whole=True) | _numbers(own, VARIATION_NUMBERS, whole=False)
    overrides = pasted_overrides(_texts(own.get("override_settings")))
    found["tiling"] = bool(own.get("tiling"))
    for key, field in NAMED.items():
        if key in overrides:
            found[field] = overrides.pop(key)
    return GenerationRequest(**found, styles=tuple(_texts(own.get("styles"))), overrides=overrides)


def _of(values: Mapping[str, Any], tab: str) -> dict[str, Any]:
    """The tab's own values, by their ids without its name."""
    return {id.removeprefix(f"{tab}_"): value for id, value in values.items() if id.startswith(f"{tab}_")}


def _strings(values: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, str]:
    return {field: str(values[id]) for id, field in table.items() if values.get(id) is not None}


def _numbers(values: Mapping[str, Any], table: Mapping[str, str], *, whole: bool) -> dict[str, Any]:
    """Numbers as they were sent: 5 stays 5, because an infotext says "CFG scale: 5" and not 5.0."""
    found: dict[str, Any] = {}
    for id, field in table.items():
        value = values.get(id)
        if value is None or value == "":
            continue
        try:
            number = value if isinstance(value, int | float) and not isinstance(value, bool) else float(value)
            found[field] = int(number) if whole or number == int(number) else number
        except (TypeError, ValueError, OverflowError):
            raise FieldNotANumber(field=field, value=str(value)[:80]) from None
    return found


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def values_from(found: Mapping[str, Any], tab: str = "txt2img") -> dict[str, Any]:
    """The form's values for request fields that an infotext gives; a field it does not name stays as it is."""
    every = {field: id for id, field in (TEXTS | WHOLES | NUMBERS | VARIATION_WHOLES | VARIATION_NUMBERS).items()}
    shown: dict[str, Any] = {every[field]: value for field, value in found.items() if field in every}
    if "styles" in found:
        shown["styles"] = list(found["styles"])
    if "tiling" in found:
        shown["tiling"] = bool(found["tiling"])
    if "subseed_strength" in found or "seed_resize_width" in found:
        varied = (
            found.get("subseed_strength")
            or max(found.get("seed_resize_width", 0), found.get("seed_resize_height", 0)) > 0
        )
        shown["subseed_show"] = bool(varied)
    return {f"{tab}_{id}": value for id, value in shown.items()}
