"""POST /internal/blobs: pictures that go before the form, kept by content until a request names them."""

from typing import Any, ClassVar

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from webui.domain.errors import BadInput
from webui.services import Services

MOST_UPLOAD = 256 * 1024 * 1024
"""Bytes of one picture."""


class UploadTooLarge(BadInput):
    """Fields: most (MB)."""

    key: ClassVar[str] = "upload_too_large"


class NotForThePage(BadInput):
    """Fields: reason."""

    key: ClassVar[str] = "not_for_the_page"


def uploads(services: Services) -> APIRouter:
    """The routes, below the page's own."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    blobs = services.gallery.blobs

    @router.post("/blobs")
    async def keep(request: Request) -> dict[str, Any]:
        """Keep an uploaded picture, byte for byte; its id. What is no picture is refused."""
        return {"id": await run_in_threadpool(blobs.put, await uploaded(request))}

    return router


async def uploaded(request: Request) -> bytes:
    """The uploaded file, field `picture` of a form. Raises UploadTooLarge, NotForThePage."""
    async with request.form(max_files=1, max_fields=4) as form:
        upload = form.get("picture")
        if not isinstance(upload, UploadFile):
            raise NotForThePage(reason="picture")
        body = await upload.read(MOST_UPLOAD + 1)
    if len(body) > MOST_UPLOAD:
        raise UploadTooLarge(most=MOST_UPLOAD // 1024 // 1024)
    return body
