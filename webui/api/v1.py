"""Our own API: jobs that are accepted at once, watched as events, and found again."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from webui.api.errors import language
from webui.api.owner import owner_of
from webui.catalog.embeddings import Embeddings
from webui.domain import GenerationRequest, Hires, Job, JobState, Refiner, SamplerOptions, Wish
from webui.domain.errors import NotFound
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
    hires: HiresPass | None = None
    refiner: RefinerStage | None = None
    options: Options = Field(default_factory=Options)
    overrides: dict[str, Any] = Field(default_factory=dict)
    save: bool = True
    save_grid: bool = True

    def request(self) -> GenerationRequest:
        """The domain's noun."""
        values = self.model_dump(exclude={"options", "prompts", "styles", "hires", "refiner"})
        return GenerationRequest(
            **values, prompts=tuple(self.prompts), styles=tuple(self.styles),
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
        return shown(services.submit(body.request(), owner=owner_of(request)), request)

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
