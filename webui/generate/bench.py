"""What a worker works with: models on a device, the shelves around them, and what is kept from run to run."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from webui.catalog import Catalog
from webui.catalog.annotators import annotator_folders
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.embeddings import Embeddings
from webui.catalog.lora_hashes import LoraHashes
from webui.catalog.need import Room
from webui.domain import Family, ModelKind
from webui.domain.errors import MapleError
from webui.engine import device as devices
from webui.engine.cache import ModelCache
from webui.engine.conditioning import ConditioningCache
from webui.engine.control import ControlCache
from webui.engine.control.detect import Maps
from webui.engine.embeddings import Shelves
from webui.engine.placing import Placing
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.settings import Settings
from webui.settings.flags import Flags

log = logging.getLogger(__name__)


Draws = Callable[[Sequence[int]], list[torch.Generator]]
"""Seeds of a batch → what draws each picture's posterior, in order; one generator may serve several."""


def own_draws(seeds: Sequence[int]) -> list[torch.Generator]:
    """A generator of the CPU for each picture, seeded as the picture: the same alone, in a batch, on every card."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One worker's tools. `previews`: folders that may hold small decoders (TAESD, VAE-approx), `annotators`: those of
    the preprocessors' files; `draws`: what draws from a VAE's posterior.
    """

    catalog: Catalog
    gallery: Gallery
    hooks: Hooks
    models: ModelCache
    conditioning: ConditioningCache = field(default_factory=ConditioningCache)
    embeddings: Embeddings = field(default_factory=Embeddings)
    shelves: Shelves = field(default_factory=Shelves)
    lora_hashes: LoraHashes = field(default_factory=LoraHashes)
    previews: tuple[Path, ...] = ()
    annotators: tuple[Path, ...] = ()
    controls: ControlCache = field(default_factory=ControlCache)
    maps: Maps = field(default_factory=Maps)
    draws: Draws = own_draws

    def close(self) -> None:
        """Give the device's memory back."""
        self.conditioning.clear()
        self.maps.clear()
        self.controls.unload()
        self.models.unload()


def open_bench(*, catalog: Catalog, gallery: Gallery, hooks: Hooks, flags: Flags) -> Bench:
    """Settle device, threads and precision by the flags. Loads nothing."""
    devices.prepare()
    device = devices.choose(cpu="all" in flags.use_cpu, device_id=flags.device_id)
    half = not (flags.no_half or flags.precision == "full")
    precision = devices.Precision.for_device(
        device, half=half, half_vae=half and not flags.no_half_vae, check_nan=not flags.disable_nan_check
    )
    log.info("computing on %s", torch.cuda.get_device_name(device) if device.type == "cuda" else device.type)
    models = ModelCache(device, precision, placing=partial(placing_for, flags))
    previews = tuple(catalog.searched(ModelKind.PREVIEW))
    return Bench(
        catalog=catalog, gallery=gallery, hooks=hooks, models=models, previews=previews,
        annotators=annotator_folders(flags, gallery.data_root),
    )  # fmt: skip


def placing_for(flags: Flags, family: Family) -> Placing | None:
    """What the memory flags say of a family's models; None: as it fits."""
    if flags.lowvram:
        return Placing.BLOCKS
    large = flags.medvram_sdxl and family in (Family.SDXL, Family.SDXL_REFINER)
    return Placing.PARTS if flags.medvram or large else None


def warm(bench: Bench, settings: Settings) -> None:
    """Load the chosen checkpoint ahead of the first request. What cannot be loaded is left for that request to say."""
    try:
        checkpoint = chosen_checkpoint(bench.catalog, settings.model.checkpoint)
        vae = bench.catalog.vae_for(
            checkpoint, settings.model.vae, overrides_per_model=settings.model.vae_overrides
        ).record
        with bench.models.lease():
            bench.models.load(checkpoint, vae)
    except MapleError as error:
        log.info("no checkpoint was loaded ahead: %s", error)


def room(bench: Bench) -> Room:
    """The device before a run. Cheap, and asked from other threads: it takes no lease."""
    models, own = bench.models, bench.models.current
    types = {"unet": models.precision.unet, "text": models.precision.text, "vae": models.precision.vae}
    whole = own is not None and own.places.is_whole
    return Room(
        device=models.device.type,
        free=devices.free_memory(models.device),
        itemsize={part: (dtype or torch.float16).itemsize for part, dtype in types.items()},
        held=own.record.path if own is not None and whole else None,
        held_bytes=sum(own.need(64, 64).weights.values()) if own is not None and whole else 0,
    )


def memory(bench: Bench) -> dict[str, Any] | None:
    """Bytes of the graphics card by the names A1111's /memory has; None without one."""
    device = bench.models.device
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    stats = torch.cuda.memory_stats(device)

    def block(name: str) -> dict[str, int]:
        return {"current": stats[f"{name}.all.current"], "peak": stats[f"{name}.all.peak"]}

    return {
        "system": {"free": free, "used": total - free, "total": total},
        "active": block("active_bytes"),
        "allocated": block("allocated_bytes"),
        "reserved": block("reserved_bytes"),
        "inactive": block("inactive_split_bytes"),
        "events": {"retries": stats["num_alloc_retries"], "oom": stats["num_ooms"]},
    }
