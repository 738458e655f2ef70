"""The Extensions tab: which there are, which take part, what went wrong (drawn by `assets/extensions.js`)."""

from typing import Any, ClassVar

from fastapi import APIRouter, Body, Request

from webui.domain.errors import Failed, Refused
from webui.plugins import Extension, State
from webui.services import Services
from webui.ui.gradio6 import gr
from webui.ui.parts import slot
from webui.ui.routes import authority, language


class ExtensionsNotForGuests(Refused):
    """What code runs is for who owns the server, or is signed in. No fields."""

    key: ClassVar[str] = "extensions_not_for_guests"


class RestartImpossible(Failed):
    """Nobody is there to start the server again. No fields."""

    key: ClassVar[str] = "restart_impossible"


def extensions() -> None:
    """Draw the tab."""
    with gr.Tab("Extensions", id="extensions", elem_id="tab_extensions"):
        slot("extensions_installed")


def extending(services: Services) -> APIRouter:
    """/internal/extensions: what there is, and who takes part from the next start on; /internal/restart."""
    router = APIRouter(prefix="/internal", include_in_schema=False)

    @router.get("/extensions")
    def installed(request: Request) -> dict[str, Any]:
        return _installed(services, language(request))

    @router.post("/extensions")
    def change(
        request: Request, on: list[str] = Body(), off: list[str] = Body(), all_off: str = Body()
    ) -> dict[str, Any]:
        _owner(request, services)
        found = services.plugins.extensions if services.plugins else ()
        natural = {each.name: each.manifest.on for each in found}
        chosen = services.settings.current.extensions
        # Names that are not here just now keep what was said of them.
        gone = {"off": set(chosen.off) - set(natural), "on": set(chosen.on) - set(natural)}
        services.settings.change(
            {
                "extensions.off": sorted(gone["off"] | {name for name in off if natural.get(name)}),
                "extensions.on": sorted(gone["on"] | {name for name in on if natural.get(name) is False}),
                "extensions.all_off": all_off,
            },
            by="owner",
        )
        return _installed(services, language(request))

    @router.post("/restart")
    def restart(request: Request) -> dict[str, Any]:
        _owner(request, services)
        if services.restart is None:
            raise RestartImpossible
        services.restart()
        return {}

    return router


def _owner(request: Request, services: Services) -> None:
    if authority(request, services.flags) != "owner":
        raise ExtensionsNotForGuests


def _installed(services: Services, spoken: str) -> dict[str, Any]:
    """Extensions in the order they take part; `wanted`: whether one will after the next start."""
    chosen = services.settings.current.extensions
    found = services.plugins.extensions if services.plugins else ()
    return {
        "started": services.started,
        "all_off": chosen.all_off,
        "can_restart": services.restart is not None,
        "folder": str(services.settings.path.parent / "extensions"),
        "extensions": [_shown(each, chosen.on, chosen.off, chinese=spoken.startswith("zh")) for each in found],
    }


def _shown(each: Extension, on: tuple[str, ...], off: tuple[str, ...], *, chinese: bool) -> dict[str, Any]:
    told = each.manifest
    return {
        "name": each.name,
        "title": told.title_zh if chinese else told.title,
        "about": told.about_zh if chinese else told.about,
        "version": told.version,
        "author": told.author,
        "homepage": told.homepage if told.homepage.startswith(("https://", "http://")) else "",
        "licence": told.licence,
        "folder": str(each.folder),
        "ours": each.ours,
        "state": each.state.value,
        "wanted": each.name not in off and (told.on or each.name in on),
        "broken": each.state is State.FAILED and not told.version,
        "hooks": sorted(told.hooks),
        "calls": each.calls,
        "seconds": round(each.seconds, 3),
        "troubles": len(each.trouble),
        "trouble": each.trouble[-1] if each.trouble else "",
    }
