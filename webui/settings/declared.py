"""The declarations of `groups` as a table, and the checks every value passes."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from webui.domain.control import Control
from webui.domain.errors import LockedSetting, OutOfRange
from webui.settings.errors import NotAChoice, WrongType
from webui.settings.groups import Settings

TRUE, FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", ""})

# Keys of A1111 and its extensions that name folders, file patterns or commands. Nothing of ours reads them yet, but
# they stay in config.json, where a later version or an A1111 beside us reads them: the API must not plant them.
PLACES = re.compile(
    r"(^|_)(out)?(dirs?|directory|directories|paths?|folders?|files?|pattern|commands?|cmd|exec)(_|$)|^outdir",
    re.IGNORECASE,
)
OWNERS = re.compile(r"^api_|^disabled?_(all_|extra_)?extensions$", re.IGNORECASE)
"""What the API may do and which code runs: the owner's to say, whatever the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One setting: `key` is `group.name`, `type` one of bool, int, float, str, tuple (of str)."""

    key: str
    type: type
    default: Any
    control: Control

    @property
    def group(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.partition(".")[2]

    @property
    def stored(self) -> str:
        """The key it has in config.json and /sdapi/v1/options: A1111's, or ours when A1111 has none."""
        return self.control.a1111 or self.key

    @property
    def locked(self) -> bool:
        return self.control.locked


@cache
def declared() -> Mapping[str, Declared]:
    """Every setting by dotted key, in the order of the declarations."""
    table: dict[str, Declared] = {}
    defaults = Settings()
    for group in fields(Settings):
        values: object = getattr(defaults, group.name)
        for name, hint in get_type_hints(type(values), include_extras=True).items():
            if get_origin(hint) is not Annotated:
                raise TypeError(f"{group.name}.{name} has no Control")
            plain, control = get_args(hint)
            key = f"{group.name}.{name}"
            table[key] = Declared(
                key=key, type=get_origin(plain) or plain, default=getattr(values, name), control=control
            )
    return MappingProxyType(table)


@cache
def a1111_keys() -> Mapping[str, str]:
    """A1111's key → ours."""
    return MappingProxyType({row.control.a1111: key for key, row in declared().items() if row.control.a1111})


def a1111_to_key(name: str) -> str | None:
    """Our dotted key for A1111's key or for a dotted key; None when nothing of ours has that name."""
    return name if name in declared() else a1111_keys().get(name)


@cache
def infotext_labels() -> Mapping[str, str]:
    """Infotext label → our key; the Beta labels also as A1111's options page spells them."""
    labels = {row.control.infotext: key for key, row in declared().items() if row.control.infotext}
    return MappingProxyType(
        labels | {"Beta scheduler alpha": "sampling.beta_alpha", "Beta scheduler beta": "sampling.beta_beta"}
    )


def closest(name: str) -> list[str]:
    """Known keys that look like `name`."""
    return get_close_matches(name, [*declared(), *a1111_keys()], n=3)


def locked(name: str, value: object = "") -> bool:
    """True when only the owner's Settings page may set that key (dotted, A1111's or one we lack) to that value."""
    key = a1111_to_key(name)
    if key is not None:
        return declared()[key].locked
    # A switch or a number leads nowhere: `list_hidden_files` is no place.
    return bool(OWNERS.search(name)) or (not isinstance(value, bool | int | float) and bool(PLACES.search(name)))


def checked(row: Declared, value: object) -> Any:
    """The value in the setting's own type. Raises WrongType, OutOfRange, NotAChoice."""
    made = _cast(row, value)
    control = row.control
    if row.type in (int, float):
        low, high = control.lo, control.hi
        if (low is not None and made < low) or (high is not None and made > high):
            raise OutOfRange(
                field=row.stored, value=made, lo="-∞" if low is None else low, hi="∞" if high is None else high
            )
    if control.choices and made not in control.choices:
        folded = {choice.casefold(): choice for choice in control.choices}
        if made.casefold() not in folded:
            raise NotAChoice(field=row.stored, value=made, choices=list(control.choices))
        made = folded[made.casefold()]
    return made


def _cast(row: Declared, value: object) -> Any:
    """A1111 clients send numbers as text and null for an empty choice; both are read as they are meant."""
    wrong = WrongType(field=row.stored, value=repr(value)[:80], expected=row.type.__name__)
    if row.type is bool:
        return _bool(value, wrong)
    if row.type is str:
        return _text(value, wrong)
    if row.type is tuple:
        return _texts(value, wrong)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise wrong from None
    if not math.isfinite(number) or (row.type is int and number != int(number)):
        raise wrong
    return int(value if isinstance(value, int) else number) if row.type is int else number


def _bool(value: object, wrong: WrongType) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if isinstance(value, int | float | str) and word in TRUE | FALSE:
        return word in TRUE
    raise wrong


def _text(value: object, wrong: WrongType) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and "\0" not in value:
        return value
    raise wrong


def _texts(value: object, wrong: WrongType) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple):
        return tuple(_text(part, wrong) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise wrong


def flat(settings: Settings) -> dict[str, Any]:
    """Every value by dotted key: what a job stores as its snapshot. Lists are tuples."""
    return {key: getattr(getattr(settings, row.group), row.name) for key, row in declared().items()}


def from_flat(values: Mapping[str, Any], base: Settings | None = None) -> Settings:
    """Settings from a snapshot; what is gone or no longer valid is as in `base` (the defaults): old jobs still run."""
    good: dict[str, Any] = {}
    for name, value in values.items():
        key = a1111_to_key(name)
        if key is None:
            continue
        try:
            good[key] = checked(declared()[key], value)
        except (WrongType, OutOfRange, NotAChoice):
            continue
    return applied(base or Settings(), good)


def applied(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with checked values by dotted key put in."""
    by_group: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, _, name = key.partition(".")
        by_group.setdefault(group, {})[name] = value
    return replace(
        settings, **{group: replace(getattr(settings, group), **changed) for group, changed in by_group.items()}
    )


def overlay(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """Settings for one run: `overrides` (dotted or A1111 keys) over `settings`; keys we lack are left to their readers.

    Raises LockedSetting for folders and commands, and what `checked` raises.
    """
    good: dict[str, Any] = {}
    for name, value in overrides.items():
        key = a1111_to_key(name)
        if key is None:
            if locked(name, value):
                raise LockedSetting(name=name)
            continue
        made = checked(declared()[key], value)
        if declared()[key].locked and made != flat(settings)[key]:
            raise LockedSetting(name=name)
        good[key] = made
    return applied(settings, good)
