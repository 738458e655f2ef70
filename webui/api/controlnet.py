"""sd-webui-controlnet's routes: what there is to choose, maps without a picture being drawn, poses as pictures.

Answers are spelt as its 1.1.455 spells them, but behind the sign-in as all else. A unit inside a request of
/sdapi/v1/txt2img is read in `units.py`.
"""

import asyncio
import base64
import io
import pkgutil
from typing import Any, cast

from fastapi import APIRouter, Body, Request
from PIL import Image
from pydantic import BaseModel, Field

from webui.api.handed_in import kept
from webui.api.owner import owner_of
from webui.api.sdapi import failure
from webui.api.units import check_mask
from webui.catalog.chosen import control_title
from webui.catalog.detectors import (
    DETECTORS,
    RESOLUTIONS,
    TYPES,
    DetectorRow,
    Dial,
    default_model,
    find_detector,
    models_for,
)
from webui.domain import Job, JobState, ModelKind, ModelRecord
from webui.domain.detect import DetectRequest
from webui.domain.errors import BadInput
from webui.jobs import closed
from webui.services import Services
from webui.settings import flat

VERSION = 3
"""Of this API, as the extension counts."""
MOST_PICTURES = 64
DRAW = "webui.engine.control.pose"


class NoDetectPictures(BadInput):
    """Nothing was sent to make a map of."""

    key = "detect_no_pictures"


class DetectMasksMissing(BadInput):
    """A preprocessor that takes in a mask for each picture. Fields: module, pictures, masks."""

    key = "detect_masks_missing"


class TooManyDetectPictures(BadInput):
    """Fields: given, most."""

    key = "detect_too_many"


class Detect(BaseModel):
    """POST /controlnet/detect. Pictures are base64 or addresses; -1 is the preprocessor's own."""

    controlnet_module: str = "none"
    controlnet_input_images: list[str] = Field(default_factory=list)
    controlnet_images: list[str] = Field(default_factory=list)
    """What older clients call them."""
    controlnet_processor_res: int = -1
    controlnet_threshold_a: float = -1
    controlnet_threshold_b: float = -1
    controlnet_masks: list[str] = Field(default_factory=list)
    low_vram: bool = False

    @property
    def images(self) -> list[str]:
        return self.controlnet_input_images or self.controlnet_images


def routes(services: Services) -> APIRouter:
    """The routes under /controlnet."""
    router = APIRouter(prefix="/controlnet", tags=["ControlNet"])
    _lists(router, services)
    _maps(router, services)
    return router


def _lists(router: APIRouter, services: Services) -> None:
    def models(*, update: bool = False) -> list[ModelRecord]:
        if update:
            services.catalog.refresh(ModelKind.CONTROLNET)
        return [record for record in services.catalog.models(ModelKind.CONTROLNET) if not record.reason]

    @router.get("/version")
    def version() -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        """The version of this API."""
        return {"version": VERSION}

    @router.get("/model_list")
    def model_list(update: bool = True) -> dict[str, list[str]]:  # pyright: ignore[reportUnusedFunction]
        """Models, by the names units are given; `update` looks at the folders anew."""
        return {"model_list": [control_title(services.catalog, record) for record in models(update=update)]}

    @router.get("/module_list")
    def module_list(alias_names: bool = False) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Preprocessors with their dials; `alias_names` calls them as the page does."""
        named = {(row.shown if alias_names else row.listed): row for row in DETECTORS}
        return {"module_list": list(named), "module_detail": {name: detail(row) for name, row in named.items()}}

    @router.get("/control_types")
    def control_types() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Which preprocessors and models fit together."""
        known = models()
        titles = {record.title: control_title(services.catalog, record) for record in known}
        return {
            "control_types": {
                kind.name: {
                    "module_list": [find_detector(name).shown for name in kind.detectors],
                    "model_list": ["None", *(titles[record.title] for record in models_for(kind, known))],
                    "default_option": find_detector(kind.default).shown,
                    "default_model": titles.get(default_model(kind, known), "None"),
                }
                for kind in TYPES
            }
        }

    @router.get("/settings")
    def settings() -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        """How many units the page has."""
        return {"control_net_unit_count": services.settings.current.control.unit_count}


def _maps(router: APIRouter, services: Services) -> None:
    @router.post("/detect")
    async def detect(body: Detect, request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Make maps of pictures and wait for them."""
        row = find_detector(body.controlnet_module)
        checked(body, row)
        asked = await asyncio.to_thread(requests, body, row)
        owner, settings = owner_of(request), flat(services.settings.current)
        waiting = [services.jobs.put(each, kind="detect", owner=owner, settings=settings) for each in asked]
        done = [await closed(services.jobs, job.id) for job in waiting]
        for job in done:
            if job.state is JobState.FAILED:
                raise failure(job)
        told: dict[str, Any] = {"images": await asyncio.to_thread(pictures, done), "info": "Success"}
        return told | ({"poses": [found for job in done for found in poses(job)]} if row.poses else {})

    def requests(body: Detect, row: DetectorRow) -> list[DetectRequest]:
        remote = services.settings.current.api
        masks: list[str] = body.controlnet_masks if row.takes_mask else []
        made: list[DetectRequest] = []
        for number, picture in enumerate(body.images):
            image = kept(picture, services.gallery.blobs, remote)
            mask = kept(masks[number], services.gallery.blobs, remote) if masks else ""
            if mask:
                check_mask(image, mask, number, services.gallery.blobs)
            made.append(
                DetectRequest(
                    image=image, module=row.name, resolution=resolution(body.controlnet_processor_res),
                    threshold_a=body.controlnet_threshold_a, threshold_b=body.controlnet_threshold_b, mask=mask,
                )
            )  # fmt: skip
        return made

    def pictures(done: list[Job]) -> list[str]:
        artifacts = [each for job in done for each in (job.result.artifacts if job.result else ())]
        paths = [services.gallery.within(each.path) for each in artifacts]
        return [base64.b64encode(path.read_bytes()).decode() for path in paths if path is not None]

    @router.post("/render_openpose_json")
    async def render(poses: list[dict[str, Any]] | dict[str, Any] = Body([])) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """OpenPose JSON as the pictures a pose model reads, one for each object of the list."""
        several = [poses] if isinstance(poses, dict) else poses
        if not several:
            return {"info": "No pose data detected."}
        if len(several) > MOST_PICTURES:
            raise TooManyDetectPictures(given=len(several), most=MOST_PICTURES)
        return {"images": await asyncio.to_thread(drawn, several), "info": "Success"}


def checked(body: Detect, row: DetectorRow) -> None:
    """Raises NoDetectPictures, TooManyDetectPictures, DetectMasksMissing."""
    if not any(body.images) or not all(body.images):
        raise NoDetectPictures()
    if len(body.images) > MOST_PICTURES:
        raise TooManyDetectPictures(given=len(body.images), most=MOST_PICTURES)
    if row.takes_mask and len(body.controlnet_masks) != len(body.images):
        raise DetectMasksMissing(module=row.shown, pictures=len(body.images), masks=len(body.controlnet_masks))


def resolution(asked: int) -> int:
    """What is out of range is the preprocessor's own, as there."""
    return asked if RESOLUTIONS[0] <= asked <= RESOLUTIONS[1] else -1


def poses(job: Job) -> list[Any]:
    """What was found in one picture, as OpenPose JSON."""
    found = job.result.info.get("poses") if job.result else None
    return cast("list[Any]", found) if isinstance(found, list) else [] if found is None else [found]


def drawn(several: list[dict[str, Any]]) -> list[str]:
    """Poses as base64 PNGs, each on a canvas of its own. Raises BadPose.

    The drawing room is named, not imported: what lies around it is torch's.
    """
    room = pkgutil.resolve_name(DRAW)
    made: list[str] = []
    for each in several:
        read = room.read_poses(each)
        with io.BytesIO() as body:
            Image.fromarray(room.draw_poses(read.people, read.width, read.height)).save(body, "PNG")
            made.append(base64.b64encode(body.getvalue()).decode())
    return made


def detail(row: DetectorRow) -> dict[str, Any]:
    """Whether it guides without a model, and its dials."""
    lo, hi = RESOLUTIONS
    size = Dial(label="Resolution", lo=lo, hi=hi, default=row.default_resolution, step=8) if row.resolution else None
    return {"model_free": not row.needs_model, "sliders": [dial(each) for each in (size, row.a, row.b) if each]}


def dial(told: Dial) -> dict[str, Any]:
    """One dial as the extension tells it."""
    return {"name": told.label, "value": told.default, "min": told.lo, "max": told.hi, "step": told.step}
