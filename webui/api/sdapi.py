"""A1111's API, spelt as 1.10.1 spells it: fields, defaults, answers. What is not built yet says so instead of
ignoring it.
"""

import base64
import binascii
import json
import re
from dataclasses import asdict
from typing import Any

import psutil
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from webui.api.errors import language
from webui.api.owner import owner_of
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.samplers import SAMPLERS, SamplerRow
from webui.catalog.schedules import SCHEDULES
from webui.catalog.upscalers import UPSCALERS
from webui.domain import GenerationRequest, Hires, Job, JobState, ModelKind, ModelRecord, Refiner, SamplerOptions, Wish
from webui.domain.errors import BadInput, MapleError, NotFound, UnreadablePicture
from webui.gallery.infotext import parameters as a1111_parameters
from webui.gallery.infotext import read as read_infotext
from webui.gallery.infotext import request_from
from webui.gallery.metadata import read_picture
from webui.jobs import closed, eta
from webui.prompt.styles import Style
from webui.services import Services
from webui.settings import overlay, to_a1111
from webui.settings.flags import public_flags
from webui.words import say

TASK_ID = re.compile(r"[\w().-]{1,80}")


class NotYet(BadInput):
    """A field of A1111's that nothing here carries out yet. Fields: field."""

    key = "not_yet"


class Txt2Img(BaseModel):
    """POST /sdapi/v1/txt2img, A1111 1.10.1's fields and defaults. Unknown fields are passed over, as there."""

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: float | None = None
    denoising_strength: float | None = None
    s_min_uncond: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    firstpass_image: str | None = None
    comments: dict[str, Any] | None = None
    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    force_task_id: str | None = None
    sampler_index: str = "Euler"
    script_name: str | None = None
    script_args: list[Any] = Field(default_factory=list)
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)
    infotext: str | None = None

    def refuse_unbuilt(self) -> None:
        """Raises NotYet for what would otherwise be silently left out of the picture."""
        asked = {
            "restore_faces": self.restore_faces,
            "firstpass_image": self.firstpass_image,
            "script_name": self.script_name,
            "alwayson_scripts": self.alwayson_scripts,
        }
        for field, value in asked.items():
            if value and value != "None":
                raise NotYet(field=field)

    def request(self) -> GenerationRequest:
        """The domain's noun."""
        self.refuse_unbuilt()
        return GenerationRequest(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            styles=tuple(self.styles or ()),
            sampler=self.sampler_name or self.sampler_index,
            schedule=self.scheduler or "Automatic",
            steps=self.steps,
            cfg_scale=self.cfg_scale,
            width=self.width,
            height=self.height,
            batch_size=self.batch_size,
            batch_count=self.n_iter,
            seed=self.seed,
            subseed=self.subseed,
            subseed_strength=self.subseed_strength,
            seed_resize_width=max(0, self.seed_resize_from_w),
            seed_resize_height=max(0, self.seed_resize_from_h),
            tiling=bool(self.tiling),
            hires=self.hires(),
            refiner=self.refiner(),
            options=SamplerOptions(
                eta=self.eta, s_churn=self.s_churn, s_tmin=self.s_tmin, s_tmax=self.s_tmax, s_noise=self.s_noise,
                s_min_uncond=self.s_min_uncond,
            ),
            overrides=dict(self.override_settings or {}),
            save=self.save_images and not self.do_not_save_samples,
            save_grid=self.save_images and not self.do_not_save_grid,
        )  # fmt: skip

    def refiner(self) -> Refiner | None:
        """The refiner, when one is named. Without a fraction it is in force from the first step, as in A1111."""
        if self.refiner_checkpoint in (None, "", "None"):
            return None
        return Refiner(checkpoint=str(self.refiner_checkpoint), switch_at=self.refiner_switch_at or 0.0)

    def hires(self) -> Hires | None:
        """The second pass, when one is asked for."""
        if not self.enable_hr:
            return None
        strength = 0.75 if self.denoising_strength is None else self.denoising_strength
        return Hires(
            scale=self.hr_scale,
            width=self.hr_resize_x,
            height=self.hr_resize_y,
            upscaler=self.hr_upscaler or "Latent",
            steps=self.hr_second_pass_steps,
            denoising_strength=strength,
            sampler=same(self.hr_sampler_name, "Use same sampler"),
            schedule=same(self.hr_scheduler, "Use same scheduler"),
            checkpoint=same(self.hr_checkpoint_name, "Use same checkpoint"),
            prompt=self.hr_prompt,
            negative_prompt=self.hr_negative_prompt,
        )


def same(name: str | None, as_before: str) -> str:
    """A name, "" for what A1111 says when it means the first pass's."""
    return "" if name in (None, as_before) else str(name)


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
        task = asked.force_task_id
        id = task if task and TASK_ID.fullmatch(task) else None
        if not asked.override_settings_restore_afterwards and asked.override_settings:
            services.settings.change(asked.override_settings, by="api")
        job = services.submit(asked.request(), owner=owner_of(request), id=id)
        done = await closed(services.jobs, job.id)
        if done.state is JobState.FAILED:
            raise failure(done)
        images = pictures(done, services) if body.send_images else None
        info = dict(done.result.info) if done.result else {}
        return Images(images=images, parameters=body.model_dump(), info=json.dumps(info, ensure_ascii=False))

    @router.post("/png-info")
    def png_info(body: PngInfo) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Read the metadata of a picture."""
        found = read_picture(decoded(body.image))
        return {
            "info": found.infotext or "",
            "items": dict(found.items),
            "parameters": a1111_parameters(read_infotext(found.infotext)) if found.infotext else {},
        }


def with_infotext(body: Txt2Img, services: Services) -> Txt2Img:
    """The body with its `infotext` read first and its own fields over it, as A1111 does."""
    if not body.infotext:
        return body
    values = parameters(body.infotext, services)
    return Txt2Img(**{**values, **body.model_dump(exclude_unset=True)})


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
        shown |= {"enable_hr": True} | {HIRES_FIELDS[name]: value for name, value in asdict(hires).items()}
    if overrides:
        shown["override_settings"] = {key: value for _, key, value in overrides}
    return {name: value for name, value in shown.items() if name in Txt2Img.model_fields}


def pictures(job: Job, services: Services) -> list[str]:
    """Its pictures as base64, metadata inside."""
    artifacts = job.result.artifacts if job.result else ()
    paths = [services.gallery.within(each.path) for each in artifacts]
    return [base64.b64encode(path.read_bytes()).decode() for path in paths if path is not None]


def decoded(text: str) -> bytes:
    """Bytes of a base64 picture, with or without a data: prefix. Raises UnreadablePicture."""
    if text.startswith(("http://", "https://")):
        raise UnreadablePicture(reason="an address instead of a picture")
    try:
        return base64.b64decode(text.partition(";base64,")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadablePicture(reason=str(error)) from error


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
