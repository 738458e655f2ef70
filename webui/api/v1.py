"""Our own API: jobs that are accepted at once, watched as events, and found again."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from webui.api.errors import language
from webui.api.handed_in import kept_or_known
from webui.api.owner import owner_of
from webui.catalog.embeddings import Embeddings
from webui.domain import (
    GenerationRequest,
    Hires,
    Init,
    Inpaint,
    Job,
    JobState,
    MaskedContent,
    Refiner,
    ResizeMode,
    SamplerOptions,
    SoftInpainting,
    Wish,
)
from webui.domain.errors import NotFound
from webui.gallery.blobs import Blobs
from webui.gallery.metadata import MEDIA_TYPES
from webui.intake.differences import Here, differences
from webui.intake.differences import view as told
from webui.jobs import changes, view
from webui.services import Services
from webui.settings import overlay


class Options(BaseModel):
    """Sampler options; null follows the settings."""

    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    s_min_uncond: float | None = None


class HiresPass(BaseModel):
    """A second pass over the enlarged picture; "" and 0 mean "as in the first pass"."""

    model_config = {"extra": "forbid"}

    scale: float = 2.0
    width: int = 0
    height: int = 0
    upscaler: str = "Latent"
    steps: int = 0
    denoising_strength: float = 0.7
    sampler: str = ""
    schedule: str = ""
    checkpoint: str = ""
    prompt: str = ""
    negative_prompt: str = ""


class RefinerStage(BaseModel):
    """A second checkpoint that takes over when `switch_at` of the noise levels are behind."""

    model_config = {"extra": "forbid"}

    checkpoint: str
    switch_at: float = 0.8


class Soft(BaseModel):
    """Soft inpainting; numbers as in A1111's script."""

    model_config = {"extra": "forbid"}

    schedule_bias: float = 1.0
    preservation_strength: float = 0.5
    transition_contrast_boost: float = 4.0
    mask_influence: float = 0.0
    difference_threshold: float = 0.5
    difference_contrast: float = 2.0


class Mask(BaseModel):
    """Which part is painted anew: white, or what a mask's alpha covers. `mask` as `InitPictures.images`."""

    model_config = {"extra": "forbid"}

    mask: str
    blur_x: float = 4
    blur_y: float = 4
    invert: bool = False
    content: MaskedContent = MaskedContent.ORIGINAL
    only_masked: bool = False
    padding: int = 32
    round_mask: bool = True
    soft: Soft | None = None


class InitPictures(BaseModel):
    """Pictures to start from, each an id that POST /v1/images answered, or base64 with or without "data:…;base64,"."""

    model_config = {"extra": "forbid"}

    images: list[str]
    denoising_strength: float = 0.75
    resize_mode: ResizeMode = ResizeMode.STRETCH
    scale: float = 0.0
    image_cfg_scale: float | None = None
    inpaint: Mask | None = None
    latent_mask: str = ""
    noise_multiplier: float | None = None

    def noun(self, blobs: Blobs) -> Init:
        """The domain's noun, its pictures kept. Raises BlobGone, UnreadablePicture, NotAPicture, DiskFull."""
        inpaint = None
        if self.inpaint is not None:
            soft = self.inpaint.soft
            inpaint = Inpaint(
                **self.inpaint.model_dump(exclude={"mask", "soft"}), mask=kept_or_known(self.inpaint.mask, blobs),
                soft=SoftInpainting(**soft.model_dump()) if soft else None,
            )  # fmt: skip
        return Init(
            **self.model_dump(exclude={"images", "inpaint", "latent_mask"}),
            images=tuple(kept_or_known(text, blobs) for text in self.images),
            latent_mask=kept_or_known(self.latent_mask, blobs) if self.latent_mask else "",
            inpaint=inpaint,
        )


class Generation(BaseModel):
    """A request for pictures. `checkpoint` "" and `vae` "" follow the settings; `seed` -1 asks for a random one."""

    model_config = {"extra": "forbid"}

    prompt: str = ""
    negative_prompt: str = ""
    prompts: list[str] = Field(default_factory=list)
    styles: list[str] = Field(default_factory=list)
    checkpoint: str = ""
    vae: str = ""
    clip_skip: int | None = None
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    batch_size: int = 1
    batch_count: int = 1
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_width: int = 0
    seed_resize_height: int = 0
    tiling: bool = False
    networks: bool = True
    init: InitPictures | None = None
    hires: HiresPass | None = None
    refiner: RefinerStage | None = None
    options: Options = Field(default_factory=Options)
    overrides: dict[str, Any] = Field(default_factory=dict)
    save: bool = True
    save_grid: bool = True

    def request(self, blobs: Blobs) -> GenerationRequest:
        """The domain's noun. Raises what `InitPictures.noun` raises."""
        values = self.model_dump(exclude={"options", "prompts", "styles", "init", "hires", "refiner"})
        return GenerationRequest(
            **values, prompts=tuple(self.prompts), styles=tuple(self.styles),
            init=self.init.noun(blobs) if self.init else None,
            options=SamplerOptions(**self.options.model_dump()),
            hires=Hires(**self.hires.model_dump()) if self.hires else None,
            refiner=Refiner(**self.refiner.model_dump()) if self.refiner else None,
        )  # fmt: skip


class Explain(BaseModel):
    """An infotext, and the checkpoint and VAE that would be used; "" follows the settings."""

    model_config = {"extra": "forbid"}

    text: str = Field(max_length=1_000_000)
    checkpoint: str = ""
    vae: str = ""


class PictureGone(NotFound):
    """A picture of a job is no longer where it was saved. Fields: number."""

    key = "api_picture_gone"


class NeedUnknown(NotFound):
    """A checkpoint whose header does not say how large its parts are. Fields: name."""

    key = "api_need_unknown"


def routes(services: Services) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(prefix="/v1", tags=["Maple"])
    jobs = services.jobs

    def shown(job: Job, request: Request) -> dict[str, Any]:
        preview = jobs.preview(job.id) if job.state is JobState.RUNNING else None
        return view(job, language(request), preview=preview.revision if preview else 0)

    @router.post("/jobs", status_code=202)
    def submit(body: Generation, request: Request) -> dict[str, Any]:
        """Accept a request. When this answers, the job is on the disk and survives a restart."""
        return shown(services.submit(body.request(services.gallery.blobs), owner=owner_of(request)), request)

    @router.post("/images", status_code=201)
    async def keep(request: Request) -> dict[str, Any]:
        """Keep a picture file (the body, as it is) to start from; its id is its content's, so twice is once."""
        blobs, data = services.gallery.blobs, await request.body()
        id = await asyncio.to_thread(blobs.put, data)
        width, height = await asyncio.to_thread(blobs.size, id)
        return {"id": id, "width": width, "height": height}

    @router.get("/images/{id}", response_class=FileResponse)
    def image(id: str) -> FileResponse:
        """A picture that was handed in; who knows its id has had its content."""
        path = services.gallery.blobs.path(id)
        return FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix[1:], "application/octet-stream"))

    @router.post("/need")
    def need(body: Generation) -> dict[str, Any]:
        """What these pictures need of the device's memory, in bytes, before they are asked for; nothing is loaded.

        `needed` is what is not in memory yet, weights and run together; `fits` is whole, turns (one part on the device
        at a time), tight (batches split, tiles) or unknown (`free` is null until the engine is there). 404 where the
        checkpoint's header does not tell.
        """
        found = services.stated(body.request(services.gallery.blobs))
        if found is None:
            raise NeedUnknown(name=body.checkpoint)
        return {
            "needed": found.missing, "free": found.free, "fits": found.fits.value,
            "weights": dict(found.need.weights), "sampling": found.need.sampling, "decoding": found.need.decoding,
        }  # fmt: skip

    embeddings = Embeddings()

    @router.post("/explain")
    def explain(body: Explain, request: Request) -> dict[str, Any]:
        """What may differ between the picture an infotext tells of and one made from it here, the weightiest first.

        `grade` is large (another picture), unknown (the text does not say) or small (details). An action's `do` is
        override (an entry for the page's Override settings: "label: value"), checkpoint, vae (names to choose) or copy
        (a hash or a name to search for).
        """
        chosen = {"model.checkpoint": body.checkpoint, "model.vae": body.vae}
        settings = overlay(services.settings.current, {key: value for key, value in chosen.items() if value})
        here = Here(names=services.names, settings=settings, embeddings=embeddings)
        return {"differences": told(differences(body.text, here), language(request))}

    @router.get("/jobs")
    def listed(
        request: Request,
        state: Annotated[list[JobState] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> list[dict[str, Any]]:
        """Your jobs, newest first."""
        found = jobs.list(owner=owner_of(request), states=tuple(state or JobState), limit=limit)
        return [shown(job, request) for job in found]

    @router.get("/jobs/{id}")
    def one(id: str, request: Request) -> dict[str, Any]:
        """One job."""
        return shown(jobs.get(id, owner=owner_of(request)), request)

    @router.get("/jobs/{id}/events")
    async def events(id: str, request: Request) -> StreamingResponse:
        """Server-sent events: the job after each change, until it is closed."""
        jobs.get(id, owner=owner_of(request))

        async def stream() -> AsyncIterator[str]:
            async for job in changes(jobs, id):
                yield ": still here\n\n" if job is None else f"data: {json.dumps(shown(job, request))}\n\n"

        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    @router.get("/jobs/{id}/preview", response_class=Response)
    def preview(id: str, request: Request) -> Response:
        """The newest preview of a running job; 204 while there is none."""
        found = jobs.preview(id, owner=owner_of(request))
        if found is None:
            return Response(status_code=204)
        return Response(found.picture, media_type=found.media_type, headers={"Cache-Control": "no-store"})

    @router.get("/jobs/{id}/pictures/{number}", response_class=FileResponse)
    def picture(id: str, number: int, request: Request) -> FileResponse:
        """A finished picture with its metadata, by its number in the result."""
        result = jobs.get(id, owner=owner_of(request)).result
        if result is None or not 0 <= number < len(result.artifacts):
            raise NotFound()
        artifact = result.artifacts[number]
        path = services.gallery.within(artifact.path)
        if path is None:
            raise PictureGone(number=number)
        return FileResponse(path, media_type=artifact.media_type, filename=path.name, content_disposition_type="inline")

    @router.post("/jobs/{id}/{wish}")
    def wish(id: str, wish: Literal["finish", "stop", "skip"], request: Request) -> dict[str, Any]:
        """Finish this picture and end, stop now and keep what there is, or skip to the next."""
        jobs.wish(id, Wish[wish.upper()], owner=owner_of(request))
        return shown(jobs.get(id), request)

    return router
