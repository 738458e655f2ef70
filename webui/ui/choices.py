"""Everything the page's drop-downs can offer, as plain values."""

import json
from typing import Any

from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.families import NATIVE_SIZE
from webui.catalog.samplers import samplers
from webui.catalog.schedules import schedules
from webui.catalog.upscalers import UPSCALERS
from webui.domain import Family, ModelKind, ModelRecord
from webui.domain.errors import NotFound
from webui.services import Services
from webui.settings import a1111_to_key, declared, flat
from webui.ui.generation import Offered

DEMO = "maple.config"
OFFERS = {
    "sampler": "sampling",
    "schedule": "scheduler",
    "steps": "steps",
    "cfg_scale": "cfg_scale",
}


def offered() -> Offered:
    """Samplers and schedules by their labels; the first row of each is what a fresh page shows."""
    names, labels = samplers().names(), schedules().names()
    return Offered(samplers=names, schedules=labels, sampler=names[0], schedule=labels[0])


def choices(services: Services) -> dict[str, Any]:
    """Models, styles, samplers and schedules as the page shows them, and what is in force now."""
    settings = services.settings.current
    checkpoints = [record for record in services.catalog.models(ModelKind.CHECKPOINT) if not record.reason]
    vaes = [record.filename for record in services.catalog.models(ModelKind.VAE) if not record.reason]
    return {
        "checkpoints": [
            {
                "title": record.title,
                "name": record.name,
                "offers": offers(record),
                "variant": record.variant,
                "family": record.family.value,
                "known": record.family is not Family.UNKNOWN,
            }
            for record in checkpoints
        ],
        "vaes": ["Automatic", "None", *vaes],
        "upscalers": [
            *UPSCALERS.names(),
            *(record.stem for record in services.catalog.models(ModelKind.UPSCALER) if not record.reason),
        ],
        "picture_upscalers": picture_upscalers(services),
        "styles": [
            {"name": style.name, "prompt": style.prompt, "negative_prompt": style.negative_prompt}
            for style in services.styles.all()
            if not style.divider
        ],
        "samplers": samplers().names(),
        "schedules": schedules().names(),
        "now": {
            "checkpoint": _chosen(services),
            "vae": settings.model.vae,
            "quick": _quick(services),
            "interrupt_after_current": settings.page.interrupt_after_current,
            "show_progress_in_title": settings.page.show_progress_in_title,
            "token_counters": not settings.page.disable_token_counters,
            "return_grid": settings.page.return_grid,
            "canvas": {
                "height": settings.img2img.editor_height,
                "contrast": settings.img2img.mask_high_contrast,
                "img2maskimg": settings.img2img.mask_brush_color,
                "img2img_sketch": settings.img2img.sketch_brush_color,
                "inpaint_sketch": settings.img2img.inpaint_sketch_brush_color,
            },
            "hires_show_sampler": settings.page.hires_show_sampler,
            "hires_show_prompts": settings.page.hires_show_prompts,
            "hires_insert": settings.page.hires_insert,
        },
    }


def picture_upscalers(services: Services) -> list[str]:
    """What Extras offers: all that works on pictures; the latent ones work inside a second pass only."""
    names = [row.name for row in UPSCALERS if not row.latent]
    files = [record.stem for record in services.catalog.models(ModelKind.UPSCALER) if not record.reason]
    return [*names, *files]


def _quick(services: Services) -> dict[str, Any]:
    """Values of the quick settings that are no lists of files, by element id."""
    values = flat(services.settings.current)
    keys = [key for key in map(a1111_to_key, values["page.quicksettings_list"]) if key is not None]
    return {
        f"setting_{declared()[key].stored}": ", ".join(values[key]) if isinstance(values[key], tuple) else values[key]
        for key in keys
        if key not in ("model.checkpoint", "model.vae")
    }


def _chosen(services: Services) -> str | None:
    try:
        return chosen_checkpoint(services.catalog, services.settings.current.model.checkpoint).title
    except NotFound:
        return None


def offers(record: ModelRecord) -> dict[str, Any]:
    """What a model proposes for the form, by element id without the tab's name: by its own metadata, else its family's
    native size.
    """
    side = NATIVE_SIZE.get(record.family)
    native = {"width": side, "height": side} if side else {}
    try:
        config = json.loads(record.metadata.get(DEMO, "{}"))
        found: dict[str, Any] = {id: config[name] for name, id in OFFERS.items() if config.get(name) is not None}
        size = config.get("native_size")
        width, height = (
            (size, size) if isinstance(size, int) else (int(size[0]), int(size[1])) if size else (None, None)
        )
    except (ValueError, TypeError, AttributeError, IndexError):
        return native
    return native | found | ({"width": width, "height": height} if width else {})
