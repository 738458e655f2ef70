"""A request becomes a plan: pictures with their prompts and seeds, the pass, the models. No weight is read here."""

import random
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from webui.catalog import Catalog
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.samplers import named_schedule, split_name
from webui.domain import GenerationRequest, NoiseSource, Pass, Picture, Plan, Stage
from webui.prompt.comments import strip_comments
from webui.settings import Settings

Note = tuple[str, dict[str, Any]]


def make_plan(request: GenerationRequest, settings: Settings, catalog: Catalog) -> Plan:
    """Resolve a request. Raises UnknownSampler, UnknownSchedule, UnknownModel, ModelGone, NoCheckpoint."""
    sampler, schedule = names(request)
    checkpoint = chosen_checkpoint(catalog, request.checkpoint or settings.model.checkpoint)
    choice = catalog.vae_for(
        checkpoint, request.vae or settings.model.vae, overrides_per_model=settings.model.vae_overrides
    )
    base = Pass(
        width=request.width // 8 * 8,
        height=request.height // 8 * 8,
        sampler=sampler,
        schedule=schedule,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        stages=(
            Stage(
                checkpoint=checkpoint, vae=choice.record, clip_skip=request.clip_skip or settings.model.clip_skip,
            ),
        ),
        noise_source=NoiseSource(settings.sampling.noise_source),
        options=sampler_options(request, settings),
    )  # fmt: skip
    notes: list[Note] = []
    if (base.width, base.height) != (request.width, request.height):
        notes.append(("size_rounded", {"width": base.width, "height": base.height}))
    return Plan(
        request=request,
        pictures=pictures(request, settings),
        passes=(base,),
        batch_size=request.batch_size,
        notes=tuple(notes),
    )


def names(request: GenerationRequest) -> tuple[str, str]:
    """Sampler and schedule by their own names. Raises UnknownSampler, UnknownSchedule."""
    sampler, implied = split_name(request.sampler)
    asked = named_schedule(request.schedule)
    return sampler, implied if asked == "Automatic" else asked


def pictures(request: GenerationRequest, settings: Settings) -> tuple[Picture, ...]:
    """One Picture for each to make. Seeds count up from the first, unless a variation is asked for: then subseeds
    do.
    """
    count = request.batch_size * request.batch_count
    prompts: Sequence[str] = request.prompts or (request.prompt,) * count
    seed = request.seed if request.seed >= 0 else random.randrange(2**32 - 2)
    subseed = request.subseed if request.subseed >= 0 else random.randrange(2**32 - 2)
    clean = strip_comments if settings.sampling.enable_prompt_comments else str
    varied = request.subseed_strength > 0
    return tuple(
        Picture(
            prompt=clean(prompt), negative=clean(request.negative_prompt),
            seed=seed if varied else seed + number, subseed=subseed + number,
        )
        for number, prompt in enumerate(prompts)
    )  # fmt: skip


def sampler_options(request: GenerationRequest, settings: Settings) -> dict[str, Any]:
    """Every sampling setting by name, the request's own options over them; `eta` over both kinds of eta."""
    options = asdict(settings.sampling)
    asked = {name: value for name, value in asdict(request.options).items() if value is not None}
    eta = asked.pop("eta", None)
    if eta is not None:
        options |= {"eta_ancestral": eta, "eta_ddim": eta}
    return options | asked


def batches(plan: Plan) -> list[tuple[Picture, ...]]:
    """The plan's pictures, batch by batch."""
    size = plan.batch_size
    return [plan.pictures[start : start + size] for start in range(0, len(plan.pictures), size)]
