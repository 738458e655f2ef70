"""How a value is shown and checked: one declaration for page, flag, API and help."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Control:
    """How one setting or parameter is shown: plain English label, range, choices, A1111's key."""

    label: str
    lo: float | None = None
    hi: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    a1111: str | None = None
    """The key this has in A1111's config.json and /sdapi/v1/options."""
    infotext: str | None = None
    """The label this has in an infotext, when it has one."""
    locked: bool = False
    """True (folders, commands): may be changed on the owner's Settings page only, never by API, override or
    infotext.
    """
    info: str = ""
    restart: bool = False
    multiline: bool = False
