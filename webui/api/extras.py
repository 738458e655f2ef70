"""A1111's Extras over HTTP: /sdapi/v1/extra-single-image and extra-batch-images, and interrogate, which names what it
lacks.
"""

import asyncio
import base64
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from webui.api.bodies import NotYet
from webui.api.handed_in import kept
from webui.api.owner import owner_of
from webui.api.sdapi import failure
from webui.catalog.upscalers import UPSCALERS, UnknownUpscaler, named_upscaler
from webui.domain import ExtrasRequest, Job, JobState
from webui.domain.errors import BadInput, NotFound, OutOfRange
from webui.jobs import closed
from webui.services import Services

MOST_SCALE = 16.0
MOST_SIDE = 16384


class NoInterrogator(NotFound):
    """Fields: model."""

    key = "no_interrogator"


class NoPictures(BadInput):
    """A request without a picture."""

    key = "extras_no_pictures"


class Extras(BaseModel):
    """Fields that both routes have, with A1111 1.10.1's defaults."""

    resize_mode: int = 0
    show_extras_results: bool = True
    gfpgan_visibility: float = 0
    codeformer_visibility: float = 0
    codeformer_weight: float = 0
    upscaling_resize: float = 2
    upscaling_resize_w: int = 512
    upscaling_resize_h: int = 512
    upscaling_crop: bool = True
    upscaler_1: str = "None"
    upscaler_2: str = "None"
    extras_upscaler_2_visibility: float = 0
    upscale_first: bool = False

    def request(self, images: tuple[str, ...]) -> ExtrasRequest:
        """The domain's noun. Raises NotYet for faces, OutOfRange."""
        for field in ("gfpgan_visibility", "codeformer_visibility"):
            if getattr(self, field):
                raise NotYet(field=field)
        within("resize_mode", self.resize_mode, 0, 1)
        within("extras_upscaler_2_visibility", self.extras_upscaler_2_visibility, 0, 1)
        asked = ExtrasRequest(
            images=images, upscaler=self.upscaler_1, second_upscaler=self.upscaler_2,
            second_visibility=self.extras_upscaler_2_visibility, scale=self.upscaling_resize,
            crop=self.upscaling_crop, save=False,
        )  # fmt: skip
        if self.resize_mode == 0:
            within("upscaling_resize", self.upscaling_resize, 0.05, MOST_SCALE)
            return asked
        for field in ("upscaling_resize_w", "upscaling_resize_h"):
            within(field, getattr(self, field), 1, MOST_SIDE)
        return ExtrasRequest(
            images=images, upscaler=asked.upscaler, second_upscaler=asked.second_upscaler,
            second_visibility=asked.second_visibility, width=self.upscaling_resize_w, height=self.upscaling_resize_h,
            crop=asked.crop, save=False,
        )  # fmt: skip


class Single(Extras):
    """POST /sdapi/v1/extra-single-image."""

    image: str = ""


class FileData(BaseModel):
    """One picture of a batch."""

    data: str
    name: str = ""


class Batch(Extras):
    """POST /sdapi/v1/extra-batch-images."""

    imageList: list[FileData] = Field(default_factory=list)


class Interrogate(BaseModel):
    """POST /sdapi/v1/interrogate."""

    image: str = ""
    model: str = "clip"


def within(field: str, value: float, lo: float, hi: float) -> None:
    """Raises OutOfRange."""
    if not lo <= value <= hi:
        raise OutOfRange(field=field, value=value, lo=lo, hi=hi)


def routes(services: Services) -> APIRouter:
    """The routes under /sdapi/v1."""
    router = APIRouter(prefix="/sdapi/v1", tags=["A1111"])

    async def made(body: Extras, images: list[str], request: Request) -> list[str]:
        if not images or not all(images):
            raise NoPictures()
        for name in (body.upscaler_1, body.upscaler_2):
            row = UPSCALERS.find(named_upscaler(services.catalog, name)[0])
            if row is not None and row.latent:
                # Those work inside a second pass, not on pictures.
                raise UnknownUpscaler(name=name, closest=[each.name for each in UPSCALERS if not each.latent])
        blobs, remote = services.gallery.blobs, services.settings.current.api
        ids = await asyncio.to_thread(lambda: tuple(kept(each, blobs, remote) for each in images))
        job = services.submit_extras(body.request(ids), owner=owner_of(request))
        done = await closed(services.jobs, job.id)
        if done.state is JobState.FAILED:
            raise failure(done)
        return await asyncio.to_thread(pictures, done)

    def pictures(done: Job) -> list[str]:
        paths = [services.gallery.within(each.path) for each in (done.result.artifacts if done.result else ())]
        return [base64.b64encode(path.read_bytes()).decode() for path in paths if path is not None]

    @router.post("/extra-single-image")
    async def single(body: Single, request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Enlarge a picture and wait for it."""
        images = await made(body, [body.image], request)
        return {"html_info": "", "image": images[0]}

    @router.post("/extra-batch-images")
    async def batch(body: Batch, request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Enlarge several pictures and wait for them."""
        return {"html_info": "", "images": await made(body, [each.data for each in body.imageList], request)}

    @router.post("/interrogate")
    def interrogate(body: Interrogate) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Describe a picture: no model for it is built in yet."""
        raise NoInterrogator(model=body.model)

    return router
