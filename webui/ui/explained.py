"""POST /internal/differences: what may differ between the picture of a pasted text and the one made from it here."""

from typing import Any

from fastapi import APIRouter, Body, Request

from webui.catalog.embeddings import Embeddings
from webui.intake.differences import Here, differences, view
from webui.services import Services
from webui.settings import overlay
from webui.ui.routes import language

MOST_TEXT = 1_000_000
"""Characters; a longer text has no parameters that are read."""


def explained(services: Services) -> APIRouter:
    """The routes, below the page's own."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    embeddings = Embeddings()

    @router.post("/differences")
    def differs(
        request: Request, text: str = Body(), checkpoint: str | None = Body(None), vae: str | None = Body(None)
    ) -> dict[str, Any]:
        """The factors in the page's language, with what their buttons do. `checkpoint` and `vae` as in the form."""
        chosen = {key: value for key, value in (("model.checkpoint", checkpoint), ("model.vae", vae)) if value}
        settings = overlay(services.settings.current, chosen)
        here = Here(names=services.names, settings=settings, embeddings=embeddings)
        found = differences(text, here) if len(text) <= MOST_TEXT else ()
        return {"differences": view(found, language(request))}

    return router
