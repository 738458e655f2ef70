"""What can be wrong with a setting."""

from webui.domain.errors import BadInput, Failed, Refused


class WrongType(BadInput):
    """Fields: field, value, expected."""

    key = "setting_wrong_type"


class NotAChoice(BadInput):
    """Fields: field, value, choices."""

    key = "setting_not_a_choice"


class FrozenSetting(Refused):
    """Fields: name. The launcher froze it (--freeze-settings and its kin)."""

    key = "setting_frozen"


class SettingsNotSaved(Failed):
    """Fields: path, reason."""

    key = "settings_not_saved"
