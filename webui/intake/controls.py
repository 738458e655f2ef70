"""ControlNet units of a request: whole and possible before anything is queued."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from webui.catalog import Catalog
from webui.catalog.chosen import ControlWithoutModel, check_control, chosen_checkpoint, chosen_control
from webui.catalog.detectors import RESOLUTIONS, find_detector
from webui.domain import ControlUnit, GenerationRequest
from webui.domain.errors import BadInput, OutOfRange
from webui.gallery.blobs import Blobs
from webui.settings import Settings

LIMITS: Mapping[str, tuple[float, float]] = {"weight": (0, 2), "start": (0, 1), "end": (0, 1)}
MOST_UNITS = 64
"""Several pictures for one unit are as many units."""
LAYERS = (4, 5, 10, 12, 13)
"""Numbers of residuals networks have: T2I-Adapters, SDXL, Stable Diffusion 1 without and with the middle."""
MOST_LAYER_WEIGHT = 10


class ControlWithoutPicture(BadInput):
    """A unit without a picture where there is none to start from either. Fields: unit (from 0)."""

    key: ClassVar[str] = "control_without_picture"


class ControlStartsLate(BadInput):
    """Fields: unit (from 0), start, end."""

    key: ClassVar[str] = "control_start_after_end"


class ControlLayersUnfit(BadInput):
    """Fields: unit (from 0), given, wanted."""

    key: ClassVar[str] = "control_layers_unfit"


def with_controls(request: GenerationRequest, blobs: Blobs) -> GenerationRequest:
    """The request with its units' preprocessors by their own names.

    Raises OutOfRange, ControlStartsLate, ControlLayersUnfit, ControlWithoutPicture, UnknownDetector, DetectorLeftOut,
    BlobGone.
    """
    if not request.controls:
        return request
    if len(request.controls) > MOST_UNITS:
        raise OutOfRange(field="controls", value=len(request.controls), lo=0, hi=MOST_UNITS)
    for number, unit in enumerate(request.controls):
        _check_numbers(unit, number)
        _check_pictures(unit, number, request, blobs)
    return replace(request, controls=tuple(_named(unit) for unit in request.controls))


def _named(unit: ControlUnit) -> ControlUnit:
    return replace(unit, module=find_detector(unit.module).name)


def _check_numbers(unit: ControlUnit, number: int) -> None:
    for field, (lo, hi) in LIMITS.items():
        value = getattr(unit, field)
        if not lo <= value <= hi:
            raise OutOfRange(field=f"controls[{number}].{field}", value=value, lo=lo, hi=hi)
    if unit.resolution != -1 and not RESOLUTIONS[0] <= unit.resolution <= RESOLUTIONS[1]:
        raise OutOfRange(
            field=f"controls[{number}].resolution", value=unit.resolution, lo=RESOLUTIONS[0], hi=RESOLUTIONS[1]
        )
    if unit.start > unit.end:
        raise ControlStartsLate(unit=number, start=unit.start, end=unit.end)
    if unit.layer_weights and len(unit.layer_weights) not in LAYERS:
        raise ControlLayersUnfit(unit=number, given=len(unit.layer_weights), wanted=list(map(str, LAYERS)))
    for place, factor in enumerate(unit.layer_weights):
        if not 0 <= factor <= MOST_LAYER_WEIGHT:
            field = f"controls[{number}].layer_weights[{place}]"
            raise OutOfRange(field=field, value=factor, lo=0, hi=MOST_LAYER_WEIGHT)


def _check_pictures(unit: ControlUnit, number: int, request: GenerationRequest, blobs: Blobs) -> None:
    if not unit.image and request.init is None and find_detector(unit.module).needs_picture:
        raise ControlWithoutPicture(unit=number)
    for id in (unit.image, unit.mask, unit.region):
        if id:
            blobs.path(id)


def check_control_models(request: GenerationRequest, catalog: Catalog, settings: Settings) -> None:
    """Raises ControlWithoutModel, UnknownModel, ModelGone, ControlMisfit."""
    for number, unit in enumerate(request.controls):
        row = find_detector(unit.module)
        if not row.needs_model:
            continue
        if unit.model in ("", "None"):
            raise ControlWithoutModel(unit=number, module=row.shown)
        record = chosen_control(catalog, unit.model)
        if request.hires is None or not request.hires.checkpoint:
            checkpoint = chosen_checkpoint(catalog, request.checkpoint or settings.model.checkpoint)
            check_control(catalog, record, checkpoint)
