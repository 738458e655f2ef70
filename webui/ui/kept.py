"""POST /internal/save: what the buttons 💾 and 🗃️ do. The server keeps the pictures, the page gets links to them."""

from typing import Any

from fastapi import APIRouter, Body, Request

from webui.gallery.keep import SaveButton
from webui.services import Services
from webui.ui.routes import LOCAL, NoSuchPicture, language, owner_of, sits_here
from webui.words import say


def saving(services: Services) -> APIRouter:
    """The routes, below the page's own."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    button = SaveButton(services.gallery)

    @router.post("/save")
    def save(
        request: Request, job: str = Body(), number: int | None = Body(None), archive: bool = Body(False)
    ) -> dict[str, Any]:
        """One picture, or all of a job with `number` null or the setting off. `elsewhere`: the browser runs on another
        machine, so the person wants the files and not their place.
        """
        owner = owner_of(request)
        result = services.jobs.get(job, owner=owner).result
        if result is None or not result.artifacts or not 0 <= (number or 0) < len(result.artifacts):
            raise NoSuchPicture(id=job, number=number or 0)
        numbers = list(range(len(result.artifacts)))
        saving = services.settings.current.saving
        if number is not None and saving.save_selected_only and not result.artifacts[number].grid:
            numbers = [number]
        kept = button.keep(
            [result.artifacts[each] for each in numbers], info=result.info, log=saving.save_write_log_csv,
            archive=archive, user="" if owner == LOCAL else owner,
        )  # fmt: skip
        if not kept.files:
            raise NoSuchPicture(id=job, number=number or 0)
        files = [
            {"name": file.name, "address": f"internal/picture/{job}/{each}?download"}
            for each, file in zip(numbers, kept.files, strict=False)
        ]
        if kept.archive is not None:
            files.insert(0, {"name": kept.archive.name, "address": f"internal/jobs/{job}/zip"})
        first = kept.archive or kept.files[0]
        return {
            "text": say("saved_as", language(request), name=first.name, folder=str(first.parent)),
            "files": files,
            "elsewhere": not sits_here(request, services.flags),
        }

    return router
