"""What Generate will need of the memory, said under the button before it is pressed (`assets/need.js`)."""

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Body, Request

from webui.catalog.need import Stated
from webui.domain.errors import MapleError
from webui.services import Services
from webui.ui.form import request_from
from webui.ui.routes import TABS, language
from webui.words import say

GB = 1024**3


def needing(services: Services) -> APIRouter:
    """POST /internal/need: {text, fits} for a tab's form; "" where nothing can be said."""
    router = APIRouter(prefix="/internal/need", include_in_schema=False)

    @router.post("")
    def need(request: Request, tab: str = Body(), values: dict[str, Any] = Body()) -> dict[str, str]:
        if tab not in TABS:
            return _nothing()
        try:
            # The picture of img2img is not looked at: its size stands in the form.
            asked = replace(request_from(values, tab), init=None)
            found = services.stated(asked)
        except MapleError:
            return _nothing()  # Generate will say it
        return {"text": need_text(found, language(request)), "fits": found.fits.value} if found else _nothing()

    return router


def _nothing() -> dict[str, str]:
    return {"text": "", "fits": ""}


def need_text(found: Stated, tongue: str) -> str:
    """One line."""
    return say(f"need_{found.fits.value}", tongue, needed=_gb(found.missing), free=_gb(found.free or 0))


def _gb(size: int) -> str:
    return f"{max(size / GB, 0.1):.1f}"
