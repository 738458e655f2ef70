"""The memory a request will need, stated before it runs: which files and sizes count. Reads headers only."""

from webui.catalog import Catalog
from webui.catalog.chosen import chosen_checkpoint, chosen_control
from webui.catalog.need import Measures, Room, Stated, stated
from webui.catalog.upscalers import hires_size
from webui.domain import GenerationRequest, ModelRecord
from webui.settings import Settings, overlay


def stated_for(
    request: GenerationRequest, *, catalog: Catalog, settings: Settings, measures: Measures, room: Room
) -> Stated | None:
    """None where the checkpoint's header does not tell. Raises UnknownModel, ModelGone, NoCheckpoint, what overrides
    raise.
    """
    now = overlay(settings, request.overrides)
    checkpoint = chosen_checkpoint(catalog, request.checkpoint or now.model.checkpoint)
    sizes = measures.of(checkpoint)
    if sizes is None or not sizes.channels:
        return None
    chosen = catalog.vae_for(
        checkpoint, request.vae or now.model.vae, overrides_per_model=now.model.vae_overrides
    ).record
    vae = measures.of(chosen) if chosen else None
    beside = [measures.of(record) for record in _beside(request, catalog, checkpoint)]
    return stated(
        checkpoint=checkpoint, sizes=sizes, vae=vae if vae and vae.vae else None,
        others=[each for each in beside if each is not None], size=_largest(request), batch=request.batch_size,
        room=room,
    )  # fmt: skip


def _beside(request: GenerationRequest, catalog: Catalog, checkpoint: ModelRecord) -> list[ModelRecord]:
    """What stands in memory beside the checkpoint: the refiner, and the units' models."""
    found: list[ModelRecord] = []
    if request.refiner is not None:
        found.append(chosen_checkpoint(catalog, request.refiner.checkpoint))
    for unit in request.controls:
        if unit.model not in ("", "None"):
            found.append(chosen_control(catalog, unit.model))
    return [record for record in {each.path: each for each in found}.values() if record.path != checkpoint.path]


def _largest(request: GenerationRequest) -> tuple[int, int]:
    """(width, height) in pixels of the largest pass."""
    sizes = [(request.width, request.height)]
    if request.hires is not None:
        sizes.append(hires_size(request.hires, request.width, request.height)[0])
    return max(sizes, key=lambda size: size[0] * size[1])
