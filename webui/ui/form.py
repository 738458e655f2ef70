"""The form's fields: element id ↔ request field. What the page posts becomes a request, what an infotext says becomes values.

Override entries are A1111's: "Clip skip: 2" is a label of an infotext and a value, in force for one request.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from webui.domain import GenerationRequest
from webui.domain.errors import BadInput
from webui.settings import declared, flat, infotext_labels
from webui.settings import Settings

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

NAMED = {"model.clip_skip": "clip_skip", "model.vae": "vae", "model.checkpoint": "checkpoint"}
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
    overrides = overrides_from(_texts(values.get("txt2img_override_settings")))
    for key, field in NAMED.items():
        if key in overrides:
            found[field] = overrides.pop(key)
    if isinstance(found.get("clip_skip"), str):
        found |= _numbers(found, {"clip_skip": "clip_skip"}, whole=True)
    return GenerationRequest(
        **found,
        styles=tuple(_texts(values.get("txt2img_styles"))),
        tiling=bool(values.get("txt2img_tiling")),
        overrides=overrides,
    )


def _numbers(values: Mapping[str, Any], table: Mapping[str, str], *, whole: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for id, field in table.items():
        value = values.get(id)
        if value is None or value == "":
            continue
        try:
            number = float(value)
            found[field] = int(value if isinstance(value, int) else number) if whole else number
        except (TypeError, ValueError, OverflowError):
            raise FieldNotANumber(field=field, value=str(value)[:80]) from None
    return found


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def overrides_from(entries: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted key for entries "Label: value"; entries of labels we do not know are passed over."""
    found: dict[str, Any] = {}
    for entry in entries:
        label, _, value = entry.partition(":")
        key = infotext_labels().get(label.strip())
        if key is not None:
            found[key] = value.strip()
    return found


def entries_for(overrides: Mapping[str, Any]) -> list[str]:
    """Entries "Label: value" for settings by dotted key, those with an infotext label."""
    rows = declared()
    return [
        f"{rows[key].control.infotext}: {value}" for key, value in overrides.items() if key in rows and rows[key].control.infotext
    ]


def values_from(request: GenerationRequest, *, given: Sequence[str] = ()) -> dict[str, Any]:
    """The form's values for a request read from an infotext; `given`, when there is any, names the fields it really says."""
    shown = {id: getattr(request, field) for id, field in (TEXTS | WHOLES | NUMBERS).items() if not id.startswith("setting_")}
    varied = bool(request.subseed_strength or request.seed_resize_width > 0 or request.seed_resize_height > 0)
    shown["txt2img_subseed_show"] = varied
    if varied:
        shown |= {id: getattr(request, field) for id, field in (VARIATION_WHOLES | VARIATION_NUMBERS).items()}
    shown |= {"txt2img_tiling": request.tiling, "txt2img_styles": list(request.styles)}
    if not given:
        return shown
    every = TEXTS | WHOLES | NUMBERS | VARIATION_WHOLES | VARIATION_NUMBERS
    return {id: value for id, value in shown.items() if every.get(id) is None or every[id] in given}


def entries_from(request: GenerationRequest, settings: Settings) -> list[str]:
    """What an infotext asks of the settings and the settings do not already say, as override entries."""
    now = flat(settings)
    asked = {key: getattr(request, field) for key, field in NAMED.items() if getattr(request, field) not in (None, "")}
    asked |= dict(request.overrides)
    return entries_for({key: value for key, value in asked.items() if key not in now or now[key] != value})
