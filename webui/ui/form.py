"""The form's fields: element id ↔ request field, both ways.

Override entries are A1111's: "Clip skip: 2" is a label of an infotext and a value, in force for one request.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from webui.domain import GenerationRequest
from webui.domain.errors import BadInput
from webui.gallery.infotext import pasted_overrides

TEXTS = {
    "txt2img_prompt": "prompt",
    "txt2img_neg_prompt": "negative_prompt",
    "txt2img_sampling": "sampler",
    "txt2img_scheduler": "schedule",
    "setting_sd_model_checkpoint": "checkpoint",
    "setting_sd_vae": "vae",
}
WHOLES = {
    "txt2img_steps": "steps",
    "txt2img_width": "width",
    "txt2img_height": "height",
    "txt2img_batch_count": "batch_count",
    "txt2img_batch_size": "batch_size",
    "txt2img_seed": "seed",
    "setting_CLIP_stop_at_last_layers": "clip_skip",
}
NUMBERS = {"txt2img_cfg_scale": "cfg_scale"}
VARIATION_WHOLES = {
    "txt2img_subseed": "subseed",
    "txt2img_seed_resize_from_w": "seed_resize_width",
    "txt2img_seed_resize_from_h": "seed_resize_height",
}
VARIATION_NUMBERS = {"txt2img_subseed_strength": "subseed_strength"}
"""These two count only while Extra is ticked."""

NAMED = {"model.clip_skip": "clip_skip", "model.vae": "vae", "model.checkpoint": "checkpoint", "model.tiling": "tiling"}
"""Settings that a request names itself: an override of one takes that field's place."""


class FieldNotANumber(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "field_not_a_number"


def request_from(values: Mapping[str, Any]) -> GenerationRequest:
    """The request the form describes. Empty number boxes take the request's default. Raises FieldNotANumber.

    Ranges and names are not looked at here; `Intake.accept` does that for every way in.
    """
    variation = bool(values.get("txt2img_subseed_show"))
    found: dict[str, Any] = {field: str(values[id]) for id, field in TEXTS.items() if values.get(id) is not None}
    found |= _numbers(values, WHOLES, whole=True) | _numbers(values, NUMBERS, whole=False)
    if variation:
        found |= _numbers(values, VARIATION_WHOLES, whole=True) | _numbers(values, VARIATION_NUMBERS, whole=False)
    overrides = pasted_overrides(_texts(values.get("txt2img_override_settings")))
    found["tiling"] = bool(values.get("txt2img_tiling"))
    for key, field in NAMED.items():
        if key in overrides:
            found[field] = overrides.pop(key)
    return GenerationRequest(
        **found,
        styles=tuple(_texts(values.get("txt2img_styles"))),
        overrides=overrides,
    )


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


def values_from(found: Mapping[str, Any]) -> dict[str, Any]:
    """The form's values for request fields that an infotext gives; a field it does not name stays as it is."""
    every = {field: id for id, field in (TEXTS | WHOLES | NUMBERS | VARIATION_WHOLES | VARIATION_NUMBERS).items()}
    shown = {
        every[field]: value
        for field, value in found.items()
        if field in every and not every[field].startswith("setting_")
    }
    if "styles" in found:
        shown["txt2img_styles"] = list(found["styles"])
    if "tiling" in found:
        shown["txt2img_tiling"] = bool(found["tiling"])
    if "subseed_strength" in found or "seed_resize_width" in found:
        varied = (
            found.get("subseed_strength")
            or max(found.get("seed_resize_width", 0), found.get("seed_resize_height", 0)) > 0
        )
        shown["txt2img_subseed_show"] = bool(varied)
    return shown
