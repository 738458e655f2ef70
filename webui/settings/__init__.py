"""Every setting, typed, declared once; loaded, migrated, saved. May import the standard library and `domain`.

Add a setting: one line in its group in `groups/` (`name: Annotated[type, Control("English label", …)] = default`), its
Chinese label and info in `webui/words/labels.py`, and the feature that reads it. The Settings tab, config.json,
`/sdapi/v1/options` and overrides come from that line. `declared.py` turns the lines into a table and checks values,
`store.py` keeps config.json, `flags.py` is the command line.
"""

from webui.settings.declared import (
    Declared,
    a1111_keys,
    a1111_to_key,
    checked,
    closest,
    declared,
    flat,
    from_flat,
    infotext_labels,
    locked,
    overlay,
)
from webui.settings.errors import FrozenSetting, NotAChoice, SettingsNotSaved, WrongType
from webui.settings.groups import InfotextSettings, Model, Networks, Page, Paths, Previews, Sampling, Saving, Settings
from webui.settings.store import SettingsStore, to_a1111

__all__ = [
    "Declared",
    "FrozenSetting",
    "InfotextSettings",
    "Model",
    "Networks",
    "NotAChoice",
    "Page",
    "Paths",
    "Previews",
    "Sampling",
    "Saving",
    "Settings",
    "SettingsNotSaved",
    "SettingsStore",
    "WrongType",
    "a1111_keys",
    "a1111_to_key",
    "checked",
    "closest",
    "declared",
    "flat",
    "from_flat",
    "infotext_labels",
    "locked",
    "overlay",
    "to_a1111",
]
