"""ControlNet units in an infotext: `ControlNet 0: "Module: canny, Model: … [d14c016b], Weight: 1.0, …"`.

`control_text` writes what sd-webui-controlnet 1.1.455 writes; what it has no words for follows at the end where it is
not as usual (`Hr Option` as Forge has it). `controls_from` reads that, and the two forms older versions wrote.
"""

import math
import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from webui.domain import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.gallery.infotext import Infotext

UNIT = re.compile(r"ControlNet (\d{1,2})")
OLDEST = re.compile(r"ControlNet(?:[- ](\d{1,2}))? ([A-Z][A-Za-z ()]+)")
"""`ControlNet-0 Module`, and `ControlNet Preprocessor` of the time when there was one unit."""
PAIR = re.compile(r"(?:^|, )([A-Za-z][A-Za-z/ ]{1,40}): ")
NO_DIAL = 0.5
"""What the extension says of a dial that a preprocessor does not have."""
NO_RESOLUTION = 512
MOST_UNITS = 20
LONGEST = 4000
"""Characters of one unit; more is none."""
RESIZE_MODES: Mapping[str, ControlResize] = {
    **{mode.value: mode for mode in ControlResize},
    "Inner Fit (Scale to Fit)": ControlResize.CROP,
    "Scale to Fit (Inner Fit)": ControlResize.CROP,
    "Outer Fit (Shrink to Fit)": ControlResize.FILL,
    "Envelope (Outer Fit)": ControlResize.FILL,
}
"""By every name they have had."""
LABELS: Mapping[str, str] = {
    "module": "module", "preprocessor": "module", "model": "model", "weight": "weight", "resize mode": "resize_mode",
    "processor res": "resolution", "threshold a": "threshold_a", "threshold b": "threshold_b",
    "guidance start": "start", "guidance end": "end", "guidance strength": "end", "pixel perfect": "pixel_perfect",
    "control mode": "mode", "hr option": "hires", "low vram": "low_vram", "lowvram": "low_vram",
    "inpaint crop input image": "crop_with_inpaint", "union control type": "union_type",
}  # fmt: skip
"""Words of an infotext in lower case → fields of ControlUnit."""
RANGES: Mapping[str, tuple[float, float]] = {
    "weight": (0, 2), "start": (0, 1), "end": (0, 1), "resolution": (64, 2048),
    "threshold_a": (0, 100_000), "threshold_b": (0, 100_000),
}  # fmt: skip
Choice = TypeVar("Choice", bound=StrEnum)


class ControlNames(Protocol):
    """What a unit's names are looked up in."""

    def detector(self, name: str) -> str | None:
        """The preprocessor's name here, by any of its names; None: it is not here."""
        ...

    def controlnet(self, name: str) -> str | None:
        """What the ControlNet model of that name or hash is called here; None: it is not here."""
        ...


def control_text(
    unit: ControlUnit, *, module: str, model: str, resolution: int | None, a: float | None, b: float | None
) -> str:
    """One unit as an infotext has it. `module`, `model`: as they are listed; numbers in force, None where the
    preprocessor has none.
    """
    told: dict[str, object] = {
        "Module": _plain(module),
        "Model": _plain(model) or "None",
        "Weight": float(unit.weight),
        "Resize Mode": unit.resize_mode.value,
        "Processor Res": NO_RESOLUTION if resolution is None else resolution,
        "Threshold A": NO_DIAL if a is None else float(a),
        "Threshold B": NO_DIAL if b is None else float(b),
        "Guidance Start": float(unit.start),
        "Guidance End": float(unit.end),
        "Pixel Perfect": unit.pixel_perfect,
        "Control Mode": unit.mode.value,
    }
    usual = ControlUnit()
    if unit.hires is not usual.hires:
        told["Hr Option"] = unit.hires.value
    if unit.low_vram:
        told["Low Vram"] = True
    if not unit.crop_with_inpaint:
        told["Inpaint Crop Input Image"] = False
    if unit.union_type:
        told["Union Control Type"] = _plain(unit.union_type)
    return ", ".join(f"{label}: {value}" for label, value in told.items())


def _plain(name: str) -> str:
    """Commas and colons part fields; a name goes without them, and is found by its hash."""
    return name.replace(",", "").replace(":", "")


def controls_from(
    infotext: Infotext, *, names: ControlNames, skip: Collection[str] = ()
) -> tuple[tuple[int, ControlUnit], ...]:
    """(place, unit) of every unit the text tells of, without pictures, which it never holds. `skip`: labels that are
    not taken from a text ("ControlNet" leaves out all). A model that is not here is left "", one could not be chosen.
    """
    if "ControlNet" in skip:
        return ()
    found: dict[int, dict[str, str]] = {}
    for label, text in infotext.fields.items():
        told = control_words(label, text) if label not in skip else None
        if told is not None:
            found[int(label.rpartition(" ")[2])] = told
    if not found:
        found = _oldest(infotext.fields)
    return tuple((number, _unit(told, names)) for number, told in sorted(found.items()) if told)


def control_words(label: str, text: str) -> dict[str, str] | None:
    """What a field of an infotext says of a unit ("module", "model", "weight", …); None where it tells of none."""
    whole = UNIT.fullmatch(label)
    if whole is None or len(text) > LONGEST or int(whole[1]) >= MOST_UNITS:
        return None
    told = _pairs(text)
    return told | {"module": told.pop("preprocessor")} if "preprocessor" in told else told


def _pairs(text: str) -> dict[str, str]:
    """Words in lower case → values of one unit."""
    heads = list(PAIR.finditer(text))
    ends = [*(head.start() for head in heads), len(text)][1:]
    told = {head[1].lower(): text[head.end() : end].strip() for head, end in zip(heads, ends, strict=True)}
    steps = _numbers(told.pop("starting/ending", ""))
    if len(steps) == 2:
        told |= {"guidance start": steps[0], "guidance end": steps[1]}
    dials = _numbers(told.pop("preprocessor params", ""))
    if len(dials) == 3:
        told |= {"processor res": dials[0], "threshold a": dials[1], "threshold b": dials[2]}
    return told


def _oldest(fields: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """Units of the time when each of their values was a label of its own."""
    found: dict[int, dict[str, str]] = {}
    for label, text in fields.items():
        match = OLDEST.fullmatch(label)
        if match is not None and int(match[1] or 0) < MOST_UNITS:
            found.setdefault(int(match[1] or 0), {})[match[2].lower()] = text
    return {number: told for number, told in found.items() if told.get("enabled") == "True"}


def _numbers(text: str) -> list[str]:
    return [part.strip() for part in text.strip("()").split(",") if part.strip()]


def _unit(told: Mapping[str, str], names: ControlNames) -> ControlUnit:
    values: dict[str, Any] = {}
    for label, text in told.items():
        field = LABELS.get(label)
        if field is not None and (value := _value(field, text, names)) is not None:
            values[field] = value
    if values.get("start", 0.0) > values.get("end", 1.0):
        values.pop("start")
    return ControlUnit(**values)


def _value(field: str, text: str, names: ControlNames) -> Any:
    """What a word stands for; None where it cannot be understood, and then the field keeps its default."""
    match field:
        case "module":
            return names.detector(text)
        case "model":
            return (names.controlnet(text) or "") if text not in ("", "None") else ""
        case "mode":
            return _choice(ControlMode, text)
        case "hires":
            return _choice(ControlHires, text)
        case "resize_mode":
            return RESIZE_MODES.get(text)
        case "pixel_perfect" | "low_vram" | "crop_with_inpaint":
            return {"True": True, "False": False}.get(text)
        case "union_type":
            return "" if text == "Unknown" else text[:40]
        case _:
            return _number(field, text)


def _choice(kind: type[Choice], text: str) -> Choice | None:
    return next((each for each in kind if each.value == text), None)


def _number(field: str, text: str) -> float | int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    lo, hi = RANGES[field]
    if not math.isfinite(value) or not lo <= value <= hi:
        return None
    return int(value) if field == "resolution" else value
