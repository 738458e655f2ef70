"""ControlNet on the page: the units in txt2img and img2img, the ControlNet tab, and what both ask of the server.

Gradio draws one empty place per tab; `assets/controlnet.js` and `assets/controlnet_tab.js` draw the rest when it is
first opened, from the table that GET /internal/controlnet gives.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from fastapi import APIRouter, Body, Request

from webui.catalog.annotators import annotator_folders, missing, place
from webui.catalog.chosen import control_title
from webui.catalog.detectors import (
    DETECTORS,
    TYPES,
    UNION_TYPES,
    DetectorRow,
    Dial,
    default_model,
    find_detector,
    models_for,
)
from webui.domain import FetchRequest, ModelKind, ModelRecord
from webui.domain.errors import Refused
from webui.services import Services
from webui.settings import flat
from webui.ui.controlnet_form import detect_from
from webui.ui.gradio6 import gr
from webui.ui.parts import slot
from webui.ui.routes import authority, language, owner_of, shown


class FetchNotForGuests(Refused):
    """Files are fetched by who owns the server, or is signed in. No fields."""

    key: ClassVar[str] = "fetch_not_for_guests"


def units(tab: str) -> None:
    """The place of a tab's units."""
    slot(f"{tab}_controlnet", classes=["controlnet-slot"])


def controlnet() -> None:
    """Draw the ControlNet tab."""
    with gr.Tab("ControlNet", id="controlnet", elem_id="tab_controlnet"):
        slot("controlnet_tab", classes=["controlnet-slot"])


def controlnet_routes(services: Services) -> APIRouter:
    """/internal/controlnet: the table of preprocessors, types and models."""
    router = APIRouter(prefix="/internal/controlnet", include_in_schema=False)

    @router.get("")
    def table() -> dict[str, Any]:
        return offered(services)

    @router.post("/detect")
    def detect(request: Request, values: dict[str, Any] = Body(embed=True)) -> dict[str, Any]:
        """A unit's picture to its map, as a job of the queue."""
        asked = detect_from(values, services.gallery.blobs)
        settings = flat(services.settings.current)
        job = services.jobs.put(asked, kind="detect", owner=owner_of(request), settings=settings)
        return shown(services, job, language(request))

    @router.post("/fetch")
    def fetch(request: Request, module: str = Body(embed=True)) -> dict[str, Any]:
        """Fetch what a preprocessor lacks, as a job of the queue."""
        if authority(request, services.flags) != "owner":
            raise FetchNotForGuests
        asked = FetchRequest(module=find_detector(module).name)
        settings = flat(services.settings.current)
        job = services.jobs.put(asked, kind="fetch-annotator", owner=owner_of(request), settings=settings)
        return shown(services, job, language(request))

    @router.post("/refresh")
    def refresh() -> dict[str, Any]:
        services.catalog.refresh(ModelKind.CONTROLNET)
        return {}

    return router


def offered(services: Services) -> dict[str, Any]:
    """Everything the page needs to draw a unit."""
    records = usable(services)
    titles = listed(services, records)
    folders = annotator_folders(services.flags, services.settings.path.parent)
    return {
        "count": services.settings.current.control.unit_count,
        "detectors": {row.name: _row(row, folders) for row in DETECTORS},
        "types": [
            {
                "name": kind.name,
                "detectors": list(kind.detectors),
                "default": kind.default,
                "models": [titles[record.title] for record in models_for(kind, records)],
                "model": titles.get(default_model(kind, records), ""),
            }
            for kind in TYPES
        ],
        "models": list(titles.values()),
        "union_types": list(UNION_TYPES),
    }


def usable(services: Services) -> list[ModelRecord]:
    """The ControlNet models that can be chosen."""
    return [record for record in services.catalog.models(ModelKind.CONTROLNET) if not record.reason]


def listed(services: Services, records: Sequence[ModelRecord]) -> dict[str, str]:
    """Title → what the page calls a model: `stem [8 digits]` as sd-webui-controlnet does; two of one stem by file name.

    The digits are of a part of the file, so that they are read at once even of large ones.
    """
    stems = Counter(record.stem for record in records)
    return {
        record.title: record.filename if stems[record.stem] > 1 else control_title(services.catalog, record)
        for record in records
    }


def _row(row: DetectorRow, folders: Sequence[Path]) -> Mapping[str, Any]:
    return {
        "label": row.shown,
        "type": row.type,
        "a": _dial(row.a),
        "b": _dial(row.b),
        "resolution": row.resolution,
        "default_resolution": row.default_resolution,
        "needs_model": row.needs_model,
        "needs_picture": row.needs_picture,
        "poses": row.poses,
        "missing": [{"name": file.name, "folder": str(place(file, folders).parent)} for file in missing(row, folders)],
    }


def _dial(dial: Dial | None) -> dict[str, Any] | None:
    return None if dial is None else asdict(dial)
