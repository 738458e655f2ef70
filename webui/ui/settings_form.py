"""The Settings tab's content: every declared setting by section, with its value, as plain values."""

from dataclasses import fields
from typing import Any

from webui.settings import Declared, Settings, SettingsStore, declared, flat
from webui.settings.store import By

SECTIONS = {
    "saving": "Saving images/grids",
    "paths": "Paths for saving",
    "model": "Stable Diffusion",
    "sampling": "Sampler parameters",
    "upscaling": "Upscaling",
    "previews": "Live previews",
    "infotext": "Infotext",
    "networks": "Extra Networks",
    "control": "ControlNet",
    "page": "User interface",
    "extensions": "Extensions",
    "api": "API",
}
"""Section labels by group; a group without one is shown under its own name."""
TYPES = {bool: "bool", int: "int", float: "float", str: "str", tuple: "list"}


def settings_form(store: SettingsStore, *, by: By) -> dict[str, Any]:
    """{"sections": [{"id", "label", "settings": [...]}]}, in the order of the declarations. `by` is who looks at it."""
    values = flat(store.current)
    rows = list(declared().values())
    return {
        "sections": [
            {
                "id": group.name,
                "label": SECTIONS.get(group.name, group.name),
                "settings": [
                    _shown(row, values[row.key], fixed=store.frozen(row.key) or (by == "api" and row.locked))
                    for row in rows
                    if row.group == group.name
                ],
            }
            for group in fields(Settings)
        ]
    }


def _shown(row: Declared, value: Any, *, fixed: bool) -> dict[str, Any]:
    control = row.control
    return {
        "key": row.key,
        "id": row.stored,
        "type": TYPES[row.type],
        "label": control.label,
        "info": control.info,
        "value": list(value) if row.type is tuple else value,
        "default": list(row.default) if row.type is tuple else row.default,
        "choices": list(control.choices),
        "lo": control.lo,
        "hi": control.hi,
        "step": control.step,
        "multiline": control.multiline,
        "restart": control.restart,
        "fixed": fixed,
    }
