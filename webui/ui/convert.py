"""The Models tab: a model file in another format, as a job of the queue (`assets/convert.js` draws it when opened)."""

from pathlib import PurePosixPath
from typing import Any, ClassVar

from fastapi import APIRouter, Body, Request

from webui.domain import ConvertRequest, ModelFormat, ModelKind
from webui.domain.errors import BadInput, Refused
from webui.services import Services
from webui.settings import flat
from webui.ui.gradio6 import gr
from webui.ui.parts import slot
from webui.ui.routes import authority, language, owner_of, shown

KINDS = (ModelKind.CHECKPOINT, ModelKind.VAE, ModelKind.LORA, ModelKind.EMBEDDING, ModelKind.CONTROLNET,
         ModelKind.UPSCALER)  # fmt: skip
PRECISIONS = ("", "fp16", "bf16", "fp32")
FORMATS = (ModelFormat.SAFETENSORS, ModelFormat.PICKLE, ModelFormat.DIFFUSERS)


class NotForGuests(Refused):
    """Model files are written by who owns the server, or is signed in. No fields."""

    key: ClassVar[str] = "convert_not_for_guests"


class NotAChoice(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "convert_not_a_choice"


def models() -> None:
    """Draw the tab."""
    with gr.Tab("Models", id="models", elem_id="tab_models"):
        slot("models_convert")


def converting(services: Services) -> APIRouter:
    """/internal/convert: what can be converted, and the order to do it."""
    router = APIRouter(prefix="/internal/convert", include_in_schema=False)

    @router.get("")
    def offered() -> dict[str, Any]:
        return {
            "kinds": [
                {
                    "kind": kind.value,
                    "models": [
                        {"name": record.filename, "format": record.format.value, "megabytes": record.size // 10**6}
                        for record in services.catalog.models(kind)
                        if record.format is not ModelFormat.PICTURE
                    ],
                }
                for kind in KINDS
            ],
            "formats": [each.value for each in FORMATS],
            "precisions": list(PRECISIONS),
        }

    @router.post("")
    def convert(request: Request, values: dict[str, Any] = Body(embed=True)) -> dict[str, Any]:
        if authority(request, services.flags) != "owner":
            raise NotForGuests
        asked = request_from(values)
        services.catalog.need(asked.kind, asked.model)
        settings = flat(services.settings.current)
        job = services.jobs.put(asked, kind="convert", owner=owner_of(request), settings=settings)
        return shown(services, job, language(request))

    return router


def request_from(values: dict[str, Any]) -> ConvertRequest:
    """The form's values as a request. Raises NotAChoice."""
    precision = values.get("precision", "")
    if precision not in PRECISIONS:
        raise NotAChoice(field="precision", value=str(precision))
    name = str(values.get("name") or "")
    if PurePosixPath(name).is_absolute() or "\\" in name:
        raise NotAChoice(field="name", value=name)
    return ConvertRequest(
        model=str(values.get("model") or ""), kind=_one("kind", ModelKind, values.get("kind", "checkpoint")),
        to=_one("to", ModelFormat, values.get("to", "safetensors")), name=name, precision=precision,
        drop_ema=bool(values.get("drop_ema")), overwrite=bool(values.get("overwrite")),
    )  # fmt: skip


def _one(field: str, kind: type[Any], value: object) -> Any:
    offered = KINDS if kind is ModelKind else FORMATS
    found = next((each for each in offered if each.value == value), None)
    if found is None:
        raise NotAChoice(field=field, value=str(value))
    return found
