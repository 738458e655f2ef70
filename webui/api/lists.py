"""A1111's lists of adapters, scripts and extensions, and its routes that give a checkpoint's memory back."""

import os
import signal
from typing import Any

from fastapi import APIRouter, Response

from webui.api import units
from webui.api.bodies import SOFT_INPAINTING
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.embeddings import Embedding, Embeddings
from webui.domain import Family, ModelKind
from webui.domain.errors import NotFound
from webui.services import Services

SCRIPTS: dict[str, list[str]] = {"txt2img": [units.NAME], "img2img": [units.NAME, SOFT_INPAINTING]}
"""Names that `alwayson_scripts` takes."""
WIDTHS: dict[Family, set[int]] = {Family.SD1: {768}, Family.SD2: {1024}, Family.SDXL: {768, 1280}}
"""Text widths of families."""


def routes(services: Services) -> APIRouter:
    """The routes under /sdapi/v1."""
    router = APIRouter(prefix="/sdapi/v1", tags=["A1111"])
    catalog = services.catalog
    shelf = Embeddings()

    @router.get("/hypernetworks")
    def hypernetworks() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Hypernetworks."""
        return [{"name": each.stem, "path": str(each.path)} for each in catalog.models(ModelKind.HYPERNETWORK)]

    @router.get("/embeddings")
    def embeddings() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Embeddings that fit the checkpoint in force, and those that do not."""
        try:
            family = chosen_checkpoint(catalog, services.settings.current.model.checkpoint).family
        except NotFound:
            family = Family.UNKNOWN
        known = shelf.read(catalog)
        fits = {name: fitting(each, family) for name, each in known.items()}
        return {
            "loaded": {name: shown(each) for name, each in known.items() if fits[name]},
            "skipped": {name: shown(each) for name, each in known.items() if not fits[name]},
        }

    @router.post("/refresh-embeddings")
    def refresh_embeddings() -> None:  # pyright: ignore[reportUnusedFunction]
        """Look for new and vanished embeddings."""
        catalog.refresh(ModelKind.EMBEDDING)

    @router.get("/face-restorers")
    def face_restorers() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Nothing restores faces here yet."""
        return []

    @router.get("/realesrgan-models")
    def realesrgan_models() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Upscalers that lie in the RealESRGAN folder."""
        found = [each for each in catalog.models(ModelKind.UPSCALER) if each.root and each.root.name == "RealESRGAN"]
        return [{"name": each.stem, "path": str(each.path), "scale": 4} for each in found]

    @router.get("/scripts")
    def scripts() -> dict[str, list[str]]:  # pyright: ignore[reportUnusedFunction]
        """What `alwayson_scripts` takes."""
        return SCRIPTS

    @router.get("/script-info")
    def script_info() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """The same with what each expects."""
        return [
            {"name": name, "is_alwayson": True, "is_img2img": tab == "img2img", "args": []}
            for tab, names in SCRIPTS.items()
            for name in names
        ]

    @router.get("/extensions")
    def extensions() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Extensions by A1111's names for what is known of one; ours have no Git of their own."""
        found = services.plugins.extensions if services.plugins else ()
        return [
            {
                "name": each.name, "remote": each.manifest.homepage, "branch": "", "commit_hash": "",
                "version": each.manifest.version, "commit_date": 0, "enabled": each.state == "on",
            }
            for each in found
        ]  # fmt: skip

    @router.post("/unload-checkpoint")
    def unload() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Give the models' memory back once the running picture is done; the next request loads again."""
        services.engine_unload()
        return {}

    @router.post("/reload-checkpoint")
    def reload() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Load the checkpoint in force, if it is not in memory."""
        services.engine_reload()
        return {}

    if services.flags.api_server_stop:
        _stopping(router, services)
    return router


def _stopping(router: APIRouter, services: Services) -> None:
    @router.post("/server-restart")
    def restart() -> Response:  # pyright: ignore[reportUnusedFunction]
        """End the server and start it again with the same flags; 501 where nobody is there to do so."""
        if services.restart is None:
            return Response(status_code=501)
        services.restart()
        return Response(status_code=200)

    @router.post("/server-stop")
    @router.post("/server-kill")
    def stop() -> str:  # pyright: ignore[reportUnusedFunction]
        """End the server as Ctrl+C does: the running picture is put back into the queue."""
        os.kill(os.getpid(), signal.SIGINT)
        return "Stopping."


def fitting(embedding: Embedding, family: Family) -> bool:
    """Whether its vectors have the width of the family's text; an unknown family takes all."""
    wanted = WIDTHS.get(family)
    return wanted is None or {width for _, width in embedding.widths} == wanted


def shown(embedding: Embedding) -> dict[str, Any]:
    """An embedding as A1111 lists it; what only its training knew is not read."""
    return {
        "step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": embedding.widths[-1][1],
        "vectors": embedding.vectors,
    }  # fmt: skip
