"""The form's fields: element id ↔ request field, both ways.

Override entries are A1111's: "Clip skip: 2" is a label of an infotext and a value, in force for one request.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from webui.domain import Artifact, GenerationRequest, Hires, Refiner
from webui.domain.errors import BadInput
from webui.gallery.infotext import pasted_overrides, read
from webui.ui.accordions import SAME_CHECKPOINT, SAME_SAMPLER, SAME_SCHEDULE

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

HIRES_TEXTS = {
    "txt2img_hr_upscaler": "upscaler",
    "hr_checkpoint": "checkpoint",
    "hr_sampler": "sampler",
    "hr_scheduler": "schedule",
    "hires_prompt": "prompt",
    "hires_neg_prompt": "negative_prompt",
}
HIRES_WHOLES = {
    "txt2img_hires_steps": "steps",
    "txt2img_hr_resize_x": "width",
    "txt2img_hr_resize_y": "height",
}
HIRES_NUMBERS = {"txt2img_denoising_strength": "denoising_strength", "txt2img_hr_scale": "scale"}
SAME = "Use same "
"""How the entries begin that stand for what the first pass has."""
HIRES_SAME = {"hr_checkpoint": SAME_CHECKPOINT, "hr_sampler": SAME_SAMPLER, "hr_scheduler": SAME_SCHEDULE}

NAMED = {"model.clip_skip": "clip_skip", "model.vae": "vae", "model.checkpoint": "checkpoint", "model.tiling": "tiling"}
"""Settings that a request names itself: an override of one takes that field's place."""


class FieldNotANumber(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "field_not_a_number"


class RefinerNotChosen(BadInput):
    """The refiner is on and has no checkpoint."""

    key: ClassVar[str] = "refiner_not_chosen"


def request_from(values: Mapping[str, Any], tab: str = "txt2img") -> GenerationRequest:
    """The request the form of a tab describes. Empty number boxes take the request's default.

    Ranges and names are not looked at here; `Intake.accept` does that for every way in.
    Raises FieldNotANumber, RefinerNotChosen.
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
    if tab == "txt2img" and values.get("txt2img_hr-checkbox"):
        found["hires"] = hires_from(values)
    if own.get("enable-checkbox"):
        found["refiner"] = refiner_from(own)
    return GenerationRequest(**found, styles=tuple(_texts(own.get("styles"))), overrides=overrides)


def hires_from(values: Mapping[str, Any]) -> Hires:
    """The second pass as the form has it, ticked or not. Raises FieldNotANumber."""
    found: dict[str, Any] = {
        field: "" if text.startswith(SAME) and id in HIRES_SAME else text
        for id, field in HIRES_TEXTS.items()
        if (text := str(values.get(id) or ""))
    }
    found |= _numbers(values, HIRES_WHOLES, whole=True) | _numbers(values, HIRES_NUMBERS, whole=False)
    return Hires(**found)


def upscaled(request: GenerationRequest, made: Artifact, picture: str, values: Mapping[str, Any]) -> GenerationRequest:
    """A request for one of its pictures once more, enlarged as the form's Hires. fix says.

    `picture` is the blob id of what was made; prompt and seed are the picture's own. Raises FieldNotANumber.
    """
    told = read(made.infotext) if made.infotext else None
    # Styles are in the prompt by now; merged again they would stand twice.
    return replace(
        request,
        prompt=told.prompt if told else request.prompt,
        negative_prompt=told.negative if told else request.negative_prompt,
        prompts=(), styles=(), seed=made.seed, subseed=made.subseed, batch_size=1, batch_count=1,
        width=made.width, height=made.height, hires=replace(hires_from(values), picture=picture),
    )  # fmt: skip


def refiner_from(own: Mapping[str, Any]) -> Refiner:
    """The refiner of a tab's own values. Raises RefinerNotChosen, FieldNotANumber."""
    checkpoint = own.get("checkpoint")
    if not checkpoint or checkpoint == "None":
        raise RefinerNotChosen
    return Refiner(checkpoint=str(checkpoint), **_numbers(own, {"switch_at": "switch_at"}, whole=False))


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
    if "refiner" in found:
        shown |= _refiner_shown(found["refiner"])
    return {f"{tab}_{id}": value for id, value in shown.items()} | (
        _hires_shown(found["hires"]) if tab == "txt2img" and "hires" in found else {}
    )


def _hires_shown(hires: Hires | None) -> dict[str, Any]:
    if hires is None:
        return {"txt2img_hr-checkbox": False}
    tables = HIRES_TEXTS | HIRES_WHOLES | HIRES_NUMBERS
    shown = {id: getattr(hires, field) or HIRES_SAME.get(id, getattr(hires, field)) for id, field in tables.items()}
    return {"txt2img_hr-checkbox": True, **shown}


def _refiner_shown(refiner: Refiner | None) -> dict[str, Any]:
    if refiner is None:
        return {"enable-checkbox": False}
    return {"enable-checkbox": True, "checkpoint": refiner.checkpoint, "switch_at": refiner.switch_at}
