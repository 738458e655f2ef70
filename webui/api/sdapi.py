"""A1111's API, spelt as 1.10.1 spells it: fields, defaults, answers. What is not built yet says so instead of
ignoring it.
"""

import asyncio
import base64
import json
import re
from dataclasses import asdict
from typing import Any, TypeVar

import psutil
from fastapi import APIRouter, Request
from pydantic import BaseModel

from webui.api.bodies import CONTENTS, SOFT_FIELDS, SOFT_INPAINTING, Img2Img, Shared, Txt2Img
from webui.api.errors import language
from webui.api.handed_in import decoded
from webui.api.owner import owner_of
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.samplers import SAMPLERS, SamplerRow
from webui.catalog.schedules import SCHEDULES
from webui.catalog.upscalers import UPSCALERS
from webui.domain import GenerationRequest, Init, Job, JobState, ModelKind, ModelRecord, Wish
from webui.domain.errors import MapleError, NotFound
from webui.gallery.infotext import init_from, request_from
from webui.gallery.infotext import parameters as a1111_parameters
from webui.gallery.infotext import read as read_infotext
from webui.gallery.metadata import read_picture
from webui.jobs import closed, eta
from webui.prompt.styles import Style
from webui.services import Services
from webui.settings import overlay, to_a1111
from webui.settings.flags import public_flags
from webui.words import say

TASK_ID = re.compile(r"[\w().-]{1,80}")


class Images(BaseModel):
    """Answer of txt2img: pictures as base64 without prefix (the grid first, when one was made), the request, the
    facts.
    """

    images: list[str] | None
    parameters: dict[str, Any]
    info: str


class PngInfo(BaseModel):
    """POST /sdapi/v1/png-info: a picture as base64, a data: address included."""

    image: str


class JobFailed(MapleError):
    """Another job's failure, told to the caller who waited for it."""

    key = "job_failed"


def routes(services: Services) -> APIRouter:
    """The routes under /sdapi/v1."""
    router = APIRouter(prefix="/sdapi/v1", tags=["A1111"])
    _generation(router, services)
    _progress(router, services)
    _options(router, services)
    _lists(router, services)
    return router


# --- pictures


def _generation(router: APIRouter, services: Services) -> None:
    @router.post("/txt2img")
    async def txt2img(body: Txt2Img, request: Request) -> Images:  # pyright: ignore[reportUnusedFunction]
        """Make pictures and wait for them."""
        asked = with_infotext(body, services)
        wanted = await asyncio.to_thread(asked.request, services.gallery.blobs, services.settings.current.api)
        return await made(asked, wanted, request, body.model_dump())

    @router.post("/img2img")
    async def img2img(body: Img2Img, request: Request) -> Images:  # pyright: ignore[reportUnusedFunction]
        """Make pictures from pictures and wait for them."""
        asked = with_infotext(body, services)
        wanted = await asyncio.to_thread(asked.request, services.gallery.blobs, services.settings.current.api)
        echo = body.model_dump()
        if not body.include_init_images:
            echo |= {"init_images": None, "mask": None}
        return await made(asked, wanted, request, echo)

    async def made(asked: Shared, wanted: GenerationRequest, request: Request, echo: dict[str, Any]) -> Images:
        task = asked.force_task_id
        id = task if task and TASK_ID.fullmatch(task) else None
        if not asked.override_settings_restore_afterwards and asked.override_settings:
            services.settings.change(asked.override_settings, by="api")
        job = services.submit(wanted, owner=owner_of(request), id=id)
        done = await closed(services.jobs, job.id)
        if done.state is JobState.FAILED:
            raise failure(done)
        images = pictures(done, services) if asked.send_images else None
        info = dict(done.result.info) if done.result else {}
        return Images(images=images, parameters=echo, info=json.dumps(info, ensure_ascii=False))

    @router.post("/png-info")
    def png_info(body: PngInfo) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Read the metadata of a picture."""
        found = read_picture(decoded(body.image, services.settings.current.api))
        return {
            "info": found.infotext or "",
            "items": dict(found.items),
            "parameters": a1111_parameters(read_infotext(found.infotext)) if found.infotext else {},
        }


Body = TypeVar("Body", bound=Shared)


def with_infotext(body: Body, services: Services) -> Body:
    """The body with its `infotext` read first and its own fields over it, as A1111 does."""
    if not body.infotext:
        return body
    values = {
        name: value for name, value in parameters(body.infotext, services).items() if name in type(body).model_fields
    }
    return type(body)(**{**values, **body.model_dump(exclude_unset=True)})


A1111_FIELDS = {
    "sampler": "sampler_name", "schedule": "scheduler", "batch_count": "n_iter",
    "seed_resize_width": "seed_resize_from_w",
    "seed_resize_height": "seed_resize_from_h",
}  # fmt: skip


HIRES_FIELDS = {
    "scale": "hr_scale", "width": "hr_resize_x", "height": "hr_resize_y", "upscaler": "hr_upscaler",
    "steps": "hr_second_pass_steps", "denoising_strength": "denoising_strength", "sampler": "hr_sampler_name",
    "schedule": "hr_scheduler", "checkpoint": "hr_checkpoint_name", "prompt": "hr_prompt",
    "negative_prompt": "hr_negative_prompt",
}  # fmt: skip


def parameters(infotext: str, services: Services) -> dict[str, Any]:
    """An infotext as txt2img fields of A1111."""
    if not infotext.strip():
        return {}
    values, overrides = request_from(read_infotext(infotext), settings=services.settings.current, lookup=services.names)
    shown = {A1111_FIELDS.get(name, name): value for name, value in values.items()}
    hires = shown.pop("hires", None)
    refiner = shown.pop("refiner", None)
    if refiner:
        shown |= {"refiner_checkpoint": refiner.checkpoint, "refiner_switch_at": refiner.switch_at}
    if hires:
        shown |= {"enable_hr": True} | {
            HIRES_FIELDS[name]: value for name, value in asdict(hires).items() if name in HIRES_FIELDS
        }
    shown |= init_fields(init_from(read_infotext(infotext)))
    if overrides:
        shown["override_settings"] = {key: value for _, key, value in overrides}
    return {name: value for name, value in shown.items() if name in {**Txt2Img.model_fields, **Img2Img.model_fields}}


def init_fields(init: Init | None) -> dict[str, Any]:
    """img2img's fields of what an infotext tells of init image and mask; null where it does not say."""
    if init is None:
        return {}
    shown: dict[str, Any] = {
        "denoising_strength": init.denoising_strength, "image_cfg_scale": init.image_cfg_scale,
        "initial_noise_multiplier": init.noise_multiplier,
    }  # fmt: skip
    inpaint = init.inpaint
    if inpaint is not None:
        shown |= {
            "mask_blur": int(inpaint.blur_x), "inpainting_mask_invert": int(inpaint.invert),
            "inpainting_fill": CONTENTS.index(inpaint.content), "inpaint_full_res": inpaint.only_masked,
            "inpaint_full_res_padding": inpaint.padding,
        }  # fmt: skip
        if inpaint.soft is not None:
            numbers = [getattr(inpaint.soft, name) for name in SOFT_FIELDS]
            shown["alwayson_scripts"] = {SOFT_INPAINTING: {"args": [True, *numbers]}}
    return shown


def pictures(job: Job, services: Services) -> list[str]:
    """Its pictures as base64, metadata inside."""
    artifacts = job.result.artifacts if job.result else ()
    paths = [services.gallery.within(each.path) for each in artifacts]
    return [base64.b64encode(path.read_bytes()).decode() for path in paths if path is not None]


def failure(job: Job) -> MapleError:
    """A failed job as the error that failed it."""
    told = job.error or {"key": "job_failed", "fields": {"reason": "?"}}
    kind = _by_key(told["key"])
    error = kind(**told["fields"])
    return error


def _by_key(key: str) -> type[MapleError]:
    waiting: list[type[MapleError]] = [MapleError]
    while waiting:
        kind = waiting.pop()
        if kind.key == key:
            return kind
        waiting += kind.__subclasses__()
    return type("JobError", (JobFailed,), {"key": key})


# --- progress


def _progress(router: APIRouter, services: Services) -> None:
    jobs = services.jobs

    def mine(request: Request) -> Job | None:
        found = jobs.list(owner=owner_of(request), states=(JobState.RUNNING,), limit=1)
        return found[0] if found else None

    @router.get("/progress")
    def progress(request: Request, skip_current_image: bool = False) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """How far your running job is."""
        job = mine(request)
        waiting = len(jobs.list(owner=owner_of(request), states=(JobState.QUEUED,)))
        if job is None:
            return {
                "progress": 0.0, "eta_relative": 0.0, "state": state_of(None, waiting), "current_image": None,
                "textinfo": None, "current_task": None,
            }  # fmt: skip
        preview = None if skip_current_image else jobs.preview(job.id)
        spoken = say(f"phase_{job.progress.phase}", language(request))
        return {
            "progress": job.progress.fraction,
            "eta_relative": eta(job) or 0.0,
            "state": state_of(job, waiting),
            "current_image": base64.b64encode(preview.picture).decode() if preview else None,
            "textinfo": spoken,
            "current_task": job.id,
        }

    @router.post("/interrupt")
    def interrupt(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Stop your running job; what is there is kept. Another person's is left alone."""
        return wish(request, Wish.STOP)

    @router.post("/skip")
    def skip(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Go on with the next picture of your running job."""
        return wish(request, Wish.SKIP)

    def wish(request: Request, what: Wish) -> dict[str, Any]:
        job = mine(request)
        if job is not None:
            jobs.wish(job.id, what)
        return {}


def state_of(job: Job | None, waiting: int) -> dict[str, Any]:
    """A1111's `state` block."""
    progress = job.progress if job else None
    return {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": f"Batch {progress.batch + 1} out of {progress.batches}" if progress else "",
        "job_count": progress.batches if progress else waiting,
        "job_timestamp": "0" if job is None or job.started is None else str(int(job.started)),
        "job_no": progress.batch if progress else 0,
        "sampling_step": progress.step if progress else 0,
        "sampling_steps": progress.steps if progress else 0,
    }


# --- options


def _options(router: APIRouter, services: Services) -> None:
    @router.get("/options")
    def options() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Every setting by A1111's key; the checkpoint is the one in force."""
        found = to_a1111(services.settings)
        try:
            found["sd_model_checkpoint"] = chosen_checkpoint(
                services.catalog, found.get("sd_model_checkpoint") or ""
            ).title
        except NotFound:
            found["sd_model_checkpoint"] = None
        return found

    @router.post("/options")
    def change(body: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction]
        """Change some settings, all or none. Folders and file-name patterns can't be changed here."""
        wanted = overlay(services.settings.current, body).model
        if body.get("sd_model_checkpoint"):
            services.catalog.need(ModelKind.CHECKPOINT, wanted.checkpoint)
        if body.get("sd_vae") and wanted.vae not in ("Automatic", "None"):
            services.catalog.need(ModelKind.VAE, wanted.vae)
        services.settings.change(body, by="api")

    @router.get("/cmd-flags")
    def flags() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Command-line flags, without any secret."""
        return public_flags(services.flags)

    @router.get("/memory")
    def memory() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Bytes of main memory, and of the graphics card once the engine is loaded."""
        process = psutil.Process().memory_info()
        machine = psutil.virtual_memory()
        ram = {"free": machine.available, "used": process.rss, "total": machine.total}
        return {"ram": ram, "cuda": services.engine_memory() or {"error": "unavailable"}}


# --- lists


def _lists(router: APIRouter, services: Services) -> None:
    catalog = services.catalog

    @router.get("/samplers")
    def sampler_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Samplers in A1111's order."""
        return [{"name": row.name, "aliases": list(row.aliases), "options": sampler_options(row)} for row in SAMPLERS]

    @router.get("/schedulers")
    def schedule_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Schedule types."""
        return [
            {
                "name": row.key, "label": row.name, "aliases": list(row.aliases) or None,
                "default_rho": row.default_rho,
                "need_inner_model": row.need_inner_model,
            }
            for row in SCHEDULES
        ]  # fmt: skip

    @router.get("/sd-models")
    def model_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Checkpoints."""
        return [checkpoint(record) for record in catalog.models(ModelKind.CHECKPOINT)]

    @router.get("/sd-vae")
    def vae_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """VAE files."""
        return [{"model_name": each.filename, "filename": str(each.path)} for each in catalog.models(ModelKind.VAE)]

    @router.get("/upscalers")
    def upscaler_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """What enlarges pictures: built-in ones, then models."""
        built_in = [(row.name, None) for row in UPSCALERS if not row.latent]
        models = [(each.stem, str(each.path)) for each in catalog.models(ModelKind.UPSCALER)]
        return [
            {"name": name, "model_name": None, "model_path": path, "model_url": None, "scale": 4}
            for name, path in built_in + models
        ]

    @router.get("/latent-upscale-modes")
    def latent_mode_list() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]
        """What enlarges latents, for the second pass."""
        return [{"name": row.name} for row in UPSCALERS if row.latent]

    @router.post("/refresh-checkpoints")
    def refresh_checkpoints() -> None:  # pyright: ignore[reportUnusedFunction]
        """Look for new and vanished checkpoints."""
        catalog.refresh(ModelKind.CHECKPOINT)

    @router.post("/refresh-vae")
    def refresh_vae() -> None:  # pyright: ignore[reportUnusedFunction]
        """Look for new and vanished VAEs."""
        catalog.refresh(ModelKind.VAE)

    @router.get("/prompt-styles")
    def style_list() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """Prompt styles."""
        return [style(each) for each in services.styles.all()]


def sampler_options(row: SamplerRow) -> dict[str, str]:
    """What A1111 lists of a sampler; values are text there."""
    facts = {
        "scheduler": row.default_schedule.lower(),
        "uses_ensd": row.uses_ensd,
        "second_order": row.second_order,
        "brownian_noise": row.brownian,
        "discard_next_to_last_sigma": row.discard_penultimate,
        "solver_type": row.extras.get("solver"),
    }
    return {name: str(value) for name, value in facts.items() if value}


def checkpoint(record: ModelRecord) -> dict[str, Any]:
    """A checkpoint as A1111 lists it."""
    return {
        "title": record.title,
        "model_name": record.name.replace("/", "_"),
        "hash": record.shorthash,
        "sha256": record.sha256,
        "filename": str(record.path),
        "config": str(record.config) if record.config else None,
    }


def style(each: Style) -> dict[str, Any]:
    """A style as A1111 lists it."""
    return {"name": each.name, "prompt": each.prompt, "negative_prompt": each.negative_prompt}
