"""Which extensions take part."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """Which extensions take part. What code runs is the owner's to say: none of it can be changed over HTTP."""

    off: Annotated[
        tuple[str, ...],
        Control(
            "Extensions that are turned off", a1111="disabled_extensions", locked=True, restart=True,
            info="names of folders in extensions/",
        ),
    ] = ()  # fmt: skip
    on: Annotated[
        tuple[str, ...],
        Control(
            "Extensions turned on that are off by themselves", locked=True, restart=True,
            info="names of folders in extensions/",
        ),
    ] = ()  # fmt: skip
    all_off: Annotated[
        str,
        Control(
            "Disable all extensions", choices=("none", "extra", "all"), a1111="disable_all_extensions", locked=True,
            restart=True, info="extra: all but those that come with Maple",
        ),
    ] = "none"  # fmt: skip
