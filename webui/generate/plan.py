"""A request becomes a plan: pictures with their prompts and seeds, the passes, the models. No weight is read here."""

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from webui.catalog import Catalog
from webui.catalog.chosen import ControlWithoutModel, check_control, chosen_checkpoint, chosen_control
from webui.catalog.detectors import find_detector
from webui.catalog.samplers import named_schedule, part_of_steps, split_name
from webui.catalog.upscalers import hires_size, named_upscaler
from webui.domain import (
    ControlHires,
    ControlUnit,
    Enlarge,
    GenerationRequest,
    Hires,
    Init,
    ModelRecord,
    NoiseSource,
    Pass,
    Picture,
    Plan,
    PlannedControl,
    Stage,
)
from webui.generate import networks
from webui.prompt.comments import strip_comments
from webui.settings import Settings

Note = tuple[str, dict[str, Any]]


def make_plan(request: GenerationRequest, settings: Settings, catalog: Catalog) -> Plan:
    """Resolve a request.

    Raises UnknownSampler, UnknownSchedule, UnknownUpscaler, UnknownModel, ModelGone, NoCheckpoint, UnknownDetector,
    ControlWithoutModel, ControlMisfit.
    """
    sampler, schedule = names(request.sampler, request.schedule)
    checkpoint = chosen_checkpoint(catalog, request.checkpoint or settings.model.checkpoint)
    base = Pass(
        width=request.width // 8 * 8,
        height=request.height // 8 * 8,
        sampler=sampler,
        schedule=schedule,
        steps=request.steps,
        cfg_scale=request.cfg_scale,
        stages=(stage(checkpoint, request, settings, catalog),),
        noise_source=NoiseSource(settings.sampling.noise_source),
        options=sampler_options(request, settings),
    )
    notes: list[Note] = []
    if (base.width, base.height) != (request.width, request.height):
        notes.append(("size_rounded", {"width": base.width, "height": base.height}))
    made = pictures(request, settings)
    if request.init is not None:
        base = init_pass(request.init, base, settings)
    if request.hires is not None and request.hires.picture:
        base = replace(base, given=request.hires.picture)
    if request.networks:
        written = (text for each in made for text in (each.prompt, each.hires_prompt))
        notes += networks.notes(written, catalog, checkpoint)
    passes = [base] if request.hires is None else [base, hires_pass(request.hires, base, request, settings, catalog)]
    # After a second pass the refiner works in that alone, as A1111 has it unless told otherwise.
    passes[-1] = replace(passes[-1], stages=passes[-1].stages + refiner_stages(request, settings, catalog))
    return Plan(
        request=request,
        pictures=made,
        passes=tuple(passes),
        batch_size=request.batch_size,
        controls=controls(request, passes, catalog),
        notes=tuple(notes),
    )


def controls(request: GenerationRequest, passes: Sequence[Pass], catalog: Catalog) -> tuple[PlannedControl, ...]:
    """The ControlNet units with their models, each looked at beside the checkpoint of every pass it guides."""
    return tuple(control(unit, number, passes, catalog) for number, unit in enumerate(request.controls))


def control(unit: ControlUnit, number: int, passes: Sequence[Pass], catalog: Catalog) -> PlannedControl:
    """One unit resolved. Raises UnknownDetector, DetectorLeftOut, ControlWithoutModel, UnknownModel, ModelGone,
    ControlMisfit.
    """
    row = find_detector(unit.module)
    if not row.needs_model:
        return PlannedControl(number=number, unit=unit, detector=row.name)
    if unit.model in ("", "None"):
        raise ControlWithoutModel(unit=number, module=row.shown)
    record = chosen_control(catalog, unit.model)
    for each in passes:
        if takes_part(unit, each, several=len(passes) > 1):
            check_control(catalog, record, each.stages[0].checkpoint)
    return PlannedControl(number=number, unit=unit, detector=row.name, model=record)


def takes_part(unit: ControlUnit, each: Pass, *, several: bool) -> bool:
    """Whether a unit is meant for this pass: with a second pass, for one of them or for both."""
    if each.given:
        return False
    return not several or unit.hires is ControlHires.BOTH or (unit.hires is ControlHires.HIGH) is bool(each.enlarge)


def stage(
    checkpoint: ModelRecord, request: GenerationRequest, settings: Settings, catalog: Catalog, *, since: float = 0.0
) -> Stage:
    """A checkpoint with the VAE that goes with it, in force from a fraction of the pass on."""
    chosen = request.vae or settings.model.vae
    choice = catalog.vae_for(checkpoint, chosen, overrides_per_model=settings.model.vae_overrides)
    skip = request.clip_skip or settings.model.clip_skip
    return Stage(checkpoint=checkpoint, vae=choice.record, clip_skip=skip, from_fraction=since)


def refiner_stages(request: GenerationRequest, settings: Settings, catalog: Catalog) -> tuple[Stage, ...]:
    """The refiner as a stage, when one is asked for and would ever come into force."""
    refiner = request.refiner
    if refiner is None or refiner.switch_at >= 1:
        return ()
    record = chosen_checkpoint(catalog, refiner.checkpoint)
    return (stage(record, request, settings, catalog, since=refiner.switch_at),)


def hires_pass(hires: Hires, base: Pass, request: GenerationRequest, settings: Settings, catalog: Catalog) -> Pass:
    """The second pass: the first one's picture enlarged, cut and painted over."""
    upscaler, model = named_upscaler(catalog, hires.upscaler)
    (width, height), (whole_width, whole_height) = hires_size(hires, base.width, base.height)
    sampler, schedule = names(hires.sampler or base.sampler, hires.schedule or base.schedule)
    stages = base.stages
    if hires.checkpoint:
        stages = (stage(chosen_checkpoint(catalog, hires.checkpoint), request, settings, catalog),)
    return replace(
        base, width=width, height=height, sampler=sampler, schedule=schedule, steps=hires.steps or base.steps,
        stages=stages, denoising_strength=hires.denoising_strength, given="",
        enlarge=Enlarge(upscaler=upscaler, model=model, width=whole_width, height=whole_height),
    )  # fmt: skip


def init_pass(init: Init, base: Pass, settings: Settings) -> Pass:
    """The pass that starts from init images instead of noise."""
    return replace(
        base, init=init, denoising_strength=init.denoising_strength, whole_steps=settings.img2img.fix_steps
    )  # fmt: skip


def steps_of(each: Pass) -> tuple[int, int]:
    """(steps the schedule of a pass is laid out for, how many of them are walked)."""
    if each.given:
        return each.steps, 0
    if each.init is None and each.enlarge is None:
        return each.steps, each.steps
    return part_of_steps(each.steps, each.denoising_strength, whole=each.whole_steps)


def names(sampler: str, schedule: str) -> tuple[str, str]:
    """Sampler and schedule by their own names. Raises UnknownSampler, UnknownSchedule."""
    sampler, implied = split_name(sampler)
    asked = named_schedule(schedule)
    return sampler, implied if asked == "Automatic" else asked


def pictures(request: GenerationRequest, settings: Settings) -> tuple[Picture, ...]:
    """One Picture for each to make. Seeds count up from the first, unless a variation is asked for: then subseeds
    do.
    """
    count = request.batch_size * request.batch_count
    prompts: Sequence[str] = request.prompts or (request.prompt,) * count
    seed = request.seed if request.seed >= 0 else random.randrange(2**32 - 2)
    subseed = request.subseed if request.subseed >= 0 else random.randrange(2**32 - 2)
    comments, added = settings.sampling.enable_prompt_comments, settings.networks

    def clean(text: str) -> str:
        return strip_comments(text) if comments else text

    def whole(text: str) -> str:
        return networks.with_defaults(clean(text), added) if request.networks else clean(text)

    varied = request.subseed_strength > 0
    hires = request.hires
    second = (clean(hires.prompt), clean(hires.negative_prompt)) if hires else ("", "")
    negative = clean(request.negative_prompt)
    images = request.init.images if request.init else ("",)
    return tuple(
        Picture(
            prompt=whole(prompt), negative=negative,
            seed=seed if varied else seed + number, subseed=subseed + number,
            hires_prompt=whole(second[0] or prompt) if hires else "",
            hires_negative=(second[1] or negative) if hires else "",
            init=images[number % len(images)],
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
