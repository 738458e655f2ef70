"""ControlNet on the page: the units in txt2img and img2img, the ControlNet tab, and what both ask of the server.

Gradio draws one empty place per tab; `assets/controlnet.js` and `assets/controlnet_tab.js` draw the rest when it is
first opened, from the table that GET /internal/controlnet gives.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from webui.catalog.detectors import DETECTORS, TYPES, UNION_TYPES, DetectorRow, Dial, default_model, models_for
from webui.domain import ModelKind, ModelRecord
from webui.services import Services
from webui.ui.parts import slot


def units(tab: str) -> None:
    """The place of a tab's units."""
    slot(f"{tab}_controlnet", classes=["controlnet-slot"])


def controlnet_routes(services: Services) -> APIRouter:
    """/internal/controlnet: the table of preprocessors, types and models."""
    router = APIRouter(prefix="/internal/controlnet", include_in_schema=False)

    @router.get("")
    def table() -> dict[str, Any]:
        return offered(services)

    @router.post("/refresh")
    def refresh() -> dict[str, Any]:
        services.catalog.refresh(ModelKind.CONTROLNET)
        return {}

    return router


def offered(services: Services) -> dict[str, Any]:
    """Everything the page needs to draw a unit."""
    records = usable(services)
    shown = listed(records)
    return {
        "count": services.settings.current.control.unit_count,
        "detectors": {row.name: _row(row) for row in DETECTORS},
        "types": [
            {
                "name": kind.name,
                "detectors": list(kind.detectors),
                "default": kind.default,
                "models": [shown[record.title] for record in models_for(kind, records)],
                "model": shown.get(default_model(kind, records), ""),
            }
            for kind in TYPES
        ],
        "models": list(shown.values()),
        "union_types": list(UNION_TYPES),
    }


def usable(services: Services) -> list[ModelRecord]:
    """The ControlNet models that can be chosen."""
    return [record for record in services.catalog.models(ModelKind.CONTROLNET) if not record.reason]


def listed(records: Sequence[ModelRecord]) -> dict[str, str]:
    """Title → what the page calls a model: `stem [hash]` as sd-webui-controlnet does; two of one stem by file name."""
    stems = Counter(record.stem for record in records)
    return {
        record.title: record.filename
        if stems[record.stem] > 1
        else f"{record.stem} [{record.legacy_hash}]"
        if record.legacy_hash
        else record.stem
        for record in records
    }


def shown_model(services: Services, name: str) -> str:
    """What the page calls the model of that name or hash; as it came where there is none."""
    found = services.catalog.find(ModelKind.CONTROLNET, name) if name else None
    return name if found is None else listed(usable(services)).get(found.title, name)


def _row(row: DetectorRow) -> Mapping[str, Any]:
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
        "missing": list[Any](),
    }


def _dial(dial: Dial | None) -> dict[str, Any] | None:
    return None if dial is None else asdict(dial)
