"""What the HTTP API may fetch by itself. Keys and defaults are A1111's; none of it can be changed over that API."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Pictures named by an address instead of handed in."""

    enable_requests: Annotated[
        bool,
        Control(
            "Allow http:// and https:// URLs for input images in API", a1111="api_enable_requests", locked=True
        ),
    ] = True  # fmt: skip
    forbid_local_requests: Annotated[
        bool, Control("Forbid URLs to local resources", a1111="api_forbid_local_requests", locked=True)
    ] = True
    useragent: Annotated[str, Control("User agent for requests", a1111="api_useragent", locked=True)] = ""
