"""The Extras tab: finished pictures enlarged, one, several or a folder's (`assets/extras.js`), and the route it submits
to. Which tab is open (where the pictures come from, Scale by or to) is known in the browser and sent along.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fastapi import APIRouter, Body, Request

from webui.catalog.upscalers import UPSCALERS, UnknownUpscaler, named_upscaler
from webui.domain import ExtrasRequest
from webui.domain.errors import BadInput, OutOfRange
from webui.intake import folder
from webui.services import Services
from webui.ui import generation
from webui.ui.accordions import accordion
from webui.ui.batch_form import FoldersRefused
from webui.ui.choices import picture_upscalers
from webui.ui.gradio6 import gr
from webui.ui.parts import number, slider, slot, tool
from webui.ui.routes import authority, language, owner_of, shown

TAB = "extras"
NONE = "None"
MOST_SCALE, MOST_SIDE = 8.0, 8192
MOST_MAX_SIDE = 65536
MOST_SHOWN = 200
"""Results of a folder that the page shows; the others are only saved."""


class NoSource(BadInput):
    """No picture, or no folder. No fields."""

    key: ClassVar[str] = "extras_no_source"


class ExtrasFieldWrong(BadInput):
    """Fields: field, value."""

    key: ClassVar[str] = "extras_field_wrong"


def extras() -> list[Any]:
    """Draw the tab; its fields."""
    with (
        gr.Tab("Extras", id=TAB, elem_id="tab_extras"),
        gr.Row(equal_height=False, elem_classes=["extras-columns"]),
    ):
        with gr.Column(elem_id="extras_settings", min_width=320):
            sources = _sources()
            upscaling = accordion("Upscale", "extras_upscale", _upscaling, value=True)
        with gr.Column(elem_id="extras_results", min_width=320):
            generate = generation.generate_box(TAB)
            generation.results(TAB)
        fields = [*sources, *upscaling]
        generation.wire(TAB, generate, fields)
    return fields


def _sources() -> list[Any]:
    with gr.Tabs(elem_id="mode_extras"):
        with gr.Tab("Single Image", id="single_image", elem_id="extras_single_tab"):
            slot("extras_image", classes=["canvas-slot"])
        with gr.Tab("Batch Process", id="batch_process", elem_id="extras_batch_process_tab"):
            slot("extras_image_batch", classes=["canvas-slot"])
        with gr.Tab("Batch from Directory", id="batch_from_directory", elem_id="extras_batch_directory_tab"):
            given = _folder("Input directory", "extras_batch_input_dir", "A folder on the machine the server runs on")
            output = _folder("Output directory", "extras_batch_output_dir", "Empty: the usual output folder")
            show = gr.Checkbox(True, label="Show result images", elem_id="extras_show_extras_results", container=False)
    return [given, output, show]


def _folder(label: str, elem_id: str, hint: str) -> Any:
    return gr.Textbox(label=label, elem_id=elem_id, placeholder=hint, lines=1, max_lines=1)


def _upscaling() -> list[Any]:
    with gr.Tabs(elem_id="extras_resize_mode"):
        with gr.Tab("Scale by", id="scale_by", elem_id="extras_scale_by_tab"), gr.Row():
            scale = slider("Resize", "extras_upscaling_resize", 1, MOST_SCALE, 4, 0.05, scale=4, min_width=200)
            most = number(
                "Max side length", "extras_upscale_max_side_length", 0, minimum=0, scale=1, min_width=120,
                info="in pixels; 0: no limit",
            )  # fmt: skip
        with gr.Tab("Scale to", id="scale_to", elem_id="extras_scale_to_tab"), gr.Row(elem_classes=["resize-to"]):
            with gr.Column(scale=1, min_width=0):
                width = slider("Width", "extras_upscaling_resize_w", 64, MOST_SIDE, 512, 8)
                height = slider("Height", "extras_upscaling_resize_h", 64, MOST_SIDE, 512, 8)
                crop = gr.Checkbox(True, label="Crop to fit", elem_id="extras_upscaling_crop", container=False)
            with gr.Column(elem_classes=["dimensions-tools"], scale=0, min_width=40):
                tool("⇅", "upscaling_res_switch_btn")
    with gr.Row():
        first = _upscaler("Upscaler 1", "extras_upscaler_1")
    with gr.Row():
        second = _upscaler("Upscaler 2", "extras_upscaler_2")
        share = slider("Upscaler 2 visibility", "extras_upscaler_2_visibility", 0, 1, 0, 0.001, min_width=160)
    return [scale, most, width, height, crop, first, second, share]


def _upscaler(label: str, elem_id: str) -> Any:
    return gr.Dropdown([NONE], value=NONE, label=label, elem_id=elem_id, min_width=160)


def enlarging(services: Services) -> APIRouter:
    """POST /internal/extras: the tab's form as a job."""
    router = APIRouter(prefix="/internal/extras", include_in_schema=False)

    @router.post("")
    def submit(request: Request, values: dict[str, Any] = Body(embed=True)) -> dict[str, Any]:
        mine = authority(request, services.flags) == "owner" and not services.flags.hide_ui_dir_config
        asked = request_from(values, services, owner=mine)
        return shown(services, services.submit_extras(asked, owner=owner_of(request)), language(request))

    return router


def request_from(values: Mapping[str, Any], services: Services, *, owner: bool) -> ExtrasRequest:
    """The form's values as a request. `owner`: whether who asks may name folders.

    Raises NoSource, FoldersRefused, ExtrasFieldWrong, OutOfRange, UnknownUpscaler, BlobGone, what `intake.folder` does.
    """
    images, names, output, most = _asked_of(values, services, owner=owner)
    if not values.get("extras_upscale-checkbox", True):
        return ExtrasRequest(images=images, names=names, output=output, shown=most)
    size: dict[str, Any] = (
        {
            "width": int(_within(values, "extras_upscaling_resize_w", 512, 64, MOST_SIDE)),
            "height": int(_within(values, "extras_upscaling_resize_h", 512, 64, MOST_SIDE)),
            "crop": bool(values.get("extras_upscaling_crop", True)),
        }
        if values.get("extras_scale_to")
        else {
            "scale": _within(values, "extras_upscaling_resize", 4, 1, MOST_SCALE),
            "max_side": int(_within(values, "extras_upscale_max_side_length", 0, 0, MOST_MAX_SIDE)),
        }
    )
    return ExtrasRequest(
        images=images, names=names, output=output, shown=most,
        upscaler=_known(values, "extras_upscaler_1", services),
        second_upscaler=_known(values, "extras_upscaler_2", services),
        second_visibility=_within(values, "extras_upscaler_2_visibility", 0, 0, 1), **size,
    )  # fmt: skip


Asked = tuple[tuple[str, ...], tuple[str, ...], str, int]
"""Blob ids or paths, the results' names, the output folder, how many are shown."""


def _asked_of(values: Mapping[str, Any], services: Services, *, owner: bool) -> Asked:
    match values.get("extras_mode", "single"):
        case "single":
            id = str(values.get("extras_picture") or "")
            if not id:
                raise NoSource()
            return (services.gallery.blobs.path(id).name,), (), "", MOST_SHOWN
        case "batch":
            return *_uploaded(values, services), "", MOST_SHOWN
        case "directory":
            if not owner:
                raise FoldersRefused()
            return _of_folder(values, services)
        case other:
            raise ExtrasFieldWrong(field="extras_mode", value=str(other)[:80])


def _uploaded(values: Mapping[str, Any], services: Services) -> tuple[tuple[str, ...], tuple[str, ...]]:
    given = values.get("extras_pictures")
    if not isinstance(given, list) or not given:
        raise NoSource()
    if len(given) > folder.MOST:
        raise folder.TooManyPictures(given=len(given), most=folder.MOST)
    if not all(isinstance(each, dict) for each in given):
        raise ExtrasFieldWrong(field="extras_pictures", value=str(given)[:80])
    ids = tuple(services.gallery.blobs.path(str(each.get("id") or "")).name for each in given)
    return ids, tuple(Path(str(each.get("name") or id)).stem for each, id in zip(given, ids, strict=True))


def _of_folder(values: Mapping[str, Any], services: Services) -> Asked:
    root = services.settings.path.parent
    given, output = (
        str(values.get(id) or "").strip().strip('"') for id in ("extras_batch_input_dir", "extras_batch_output_dir")
    )
    if not given:
        raise NoSource()
    found = folder.pictures_in(root / Path(given).expanduser())
    most = MOST_SHOWN if values.get("extras_show_extras_results", True) else 0
    target = str(root / Path(output).expanduser()) if output else ""
    return tuple(str(path.absolute()) for path in found), tuple(path.stem for path in found), target, most


def _within(values: Mapping[str, Any], field: str, default: float, lo: float, hi: float) -> float:
    value = values.get(field)
    if value is None:
        return default
    try:
        made = float(value)
    except (TypeError, ValueError):
        raise ExtrasFieldWrong(field=field, value=str(value)[:80]) from None
    if not lo <= made <= hi:
        raise OutOfRange(field=field, value=value, lo=lo, hi=hi)
    return made


def _known(values: Mapping[str, Any], field: str, services: Services) -> str:
    name = str(values.get(field) or NONE)
    row = UPSCALERS.find(named_upscaler(services.catalog, name)[0])
    if row is not None and row.latent:
        raise UnknownUpscaler(name=name, closest=picture_upscalers(services)[:3])
    return name
