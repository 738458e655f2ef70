"""`Intake.accept`: a request is whole, possible and reproducible before it enters the queue."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from webui.catalog import Catalog
from webui.catalog.chosen import chosen_checkpoint
from webui.catalog.samplers import (
    SAMPLERS,
    SamplerRow,
    TooFewSteps,
    check_steps,
    named_schedule,
    part_of_steps,
    split_name,
)
from webui.catalog.upscalers import hires_size, named_upscaler
from webui.domain import GenerationRequest, Init, ModelKind
from webui.domain.errors import BadInput, NotFound, OutOfRange
from webui.gallery.blobs import Blobs
from webui.hooks import Hooks
from webui.intake.controls import check_control_models, with_controls
from webui.intake.stylebook import StyleBook
from webui.prompt.limits import check_length
from webui.settings import Settings, SettingsStore, overlay

SEEDS = 4_294_967_294
"""A1111 draws random seeds below this; an infotext's seed always fits."""

LIMITS: dict[str, tuple[float, float]] = {
    "width": (64, 8192),
    "height": (64, 8192),
    "steps": (1, 1000),
    "cfg_scale": (0, 1000),
    "batch_size": (1, 256),
    "batch_count": (1, 10_000),
    "subseed_strength": (0, 1),
    "seed_resize_width": (-1, 8192),
    "seed_resize_height": (-1, 8192),
    "clip_skip": (1, 12),
}

HIRES_LIMITS: dict[str, tuple[float, float]] = {
    "scale": (1, 16),
    "width": (0, 16384),
    "height": (0, 16384),
    "steps": (0, 1000),
    "denoising_strength": (0, 1),
}
INIT_LIMITS: dict[str, tuple[float, float]] = {
    "denoising_strength": (0, 1),
    "image_cfg_scale": (0, 1000),
    "noise_multiplier": (0, 10),
}
INPAINT_LIMITS: dict[str, tuple[float, float]] = {"blur_x": (0, 1024), "blur_y": (0, 1024), "padding": (0, 8192)}
SOFT_LIMITS: dict[str, tuple[float, float]] = {
    "schedule_bias": (0, 8),
    "preservation_strength": (0, 8),
    "transition_contrast_boost": (1, 32),
    "mask_influence": (0, 1),
    "difference_threshold": (0, 8),
    "difference_contrast": (0, 8),
}
LARGEST = 16384
"""Pixels of a side after the second pass."""


class NoInitImage(NotFound):
    """img2img without a picture to start from."""

    key = "no_init_image"


class TooManyInitImages(BadInput):
    """Fields: given, pictures, batch_size."""

    key = "too_many_init_images"


class InitWithHires(BadInput):
    """img2img has no second pass."""

    key = "init_with_hires"


@dataclass(frozen=True, slots=True)
class Intake:
    """Checks requests against what is there now."""

    settings: SettingsStore
    catalog: Catalog
    styles: StyleBook
    hooks: Hooks
    blobs: Blobs

    def accept(self, request: GenerationRequest) -> GenerationRequest:
        """The request with names canonical, styles merged, sizes on the latent grid and seeds fixed.

        Raises OutOfRange, TooLong, UnknownSampler, UnknownSchedule, TooFewSteps, UnknownModel, ModelGone, NoCheckpoint,
        NoInitImage, TooManyInitImages, InitWithHires, BlobGone, LockedSetting, what `with_controls` and
        `check_control_models` raise and what settings say of an override.
        """
        settings = overlay(self.settings.current, request.overrides)
        request = with_init(request, self.blobs)
        check_ranges(request)
        check_lengths(request)
        request = self._with_styles(request)
        request = self.hooks.transform("transform_request", request, "request", settings=settings)
        request = with_init(request, self.blobs)
        check_ranges(request)
        check_lengths(request)
        request = with_controls(canonical(request), self.blobs)
        self._check_models(request, settings)
        check_sampler(request, settings)
        return replace(request, seed=seed(request.seed), subseed=seed(request.subseed))

    def _with_styles(self, request: GenerationRequest) -> GenerationRequest:
        """Styles merged into every prompt; their names stay, for file names and the record."""
        if not request.styles:
            return request
        prompt, negative = self.styles.apply(request.prompt, request.negative_prompt, request.styles)
        prompts = tuple(self.styles.apply(one, "", request.styles)[0] for one in request.prompts)
        hires = request.hires
        if hires is not None:
            # An empty one stands for the first pass's, which has its styles already.
            styled = self.styles.apply(hires.prompt, hires.negative_prompt, request.styles)
            hires = replace(
                hires, prompt=styled[0] if hires.prompt else "",
                negative_prompt=styled[1] if hires.negative_prompt else "",
            )  # fmt: skip
        return replace(request, prompt=prompt, negative_prompt=negative, prompts=prompts, hires=hires)

    def _check_models(self, request: GenerationRequest, settings: Settings) -> None:
        check_control_models(request, self.catalog, settings)
        chosen_checkpoint(self.catalog, request.checkpoint or settings.model.checkpoint)
        vae = request.vae or settings.model.vae
        if vae not in ("Automatic", "None"):
            self.catalog.need(ModelKind.VAE, vae)
        if request.refiner is not None:
            chosen_checkpoint(self.catalog, request.refiner.checkpoint)
        if request.hires is not None:
            named_upscaler(self.catalog, request.hires.upscaler)
            if request.hires.checkpoint:
                chosen_checkpoint(self.catalog, request.hires.checkpoint)


def check_ranges(request: GenerationRequest) -> None:
    """Raises OutOfRange naming the first field outside its limits."""
    for field, (lo, hi) in LIMITS.items():
        value = getattr(request, field)
        if value is not None and not (isinstance(value, int | float) and lo <= value <= hi):
            raise OutOfRange(field=field, value=value, lo=lo, hi=hi)

    if request.refiner is not None:
        within(request.refiner, {"switch_at": (0, 1)}, prefix="refiner.")
    if request.init is not None:
        check_init_ranges(request.init)
    hires = request.hires
    if hires is not None:
        within(hires, HIRES_LIMITS, prefix="hires.")
        final, _ = hires_size(hires, request.width, request.height)
        for field, value in zip(("hires.width", "hires.height"), final, strict=True):
            if not 64 <= value <= LARGEST:
                raise OutOfRange(field=field, value=value, lo=64, hi=LARGEST)


def check_init_ranges(init: Init) -> None:
    """Raises OutOfRange naming the first field outside its limits."""
    within(init, INIT_LIMITS, prefix="init.")
    if init.scale and not 0.05 <= init.scale <= 4:
        raise OutOfRange(field="init.scale", value=init.scale, lo=0.05, hi=4)
    if init.inpaint is not None:
        within(init.inpaint, INPAINT_LIMITS, prefix="init.inpaint.")
        if init.inpaint.soft is not None:
            within(init.inpaint.soft, SOFT_LIMITS, prefix="init.inpaint.soft.")


def with_init(request: GenerationRequest, blobs: Blobs) -> GenerationRequest:
    """The request with its init images found, its size and batch as they ask for; others come back as they are.

    Several images are one for each picture of a batch, which is made as small as they are, or one for each of all
    pictures. Raises NoInitImage, TooManyInitImages, InitWithHires, BlobGone, OutOfRange.
    """
    init = request.init
    if request.hires is not None and request.hires.picture:
        blobs.path(request.hires.picture)
    if init is None:
        return request
    if not init.images:
        raise NoInitImage()
    if request.hires is not None:
        raise InitWithHires()
    inpaint = init.inpaint
    for id in (*init.images, *([inpaint.mask] if inpaint else ()), *([init.latent_mask] if init.latent_mask else ())):
        blobs.path(id)
    given, pictures = len(init.images), request.batch_size * request.batch_count
    if 1 < given <= request.batch_size:
        request = replace(request, batch_size=given)
    elif given > request.batch_size and given not in (1, pictures):
        raise TooManyInitImages(given=given, pictures=pictures, batch_size=request.batch_size)
    if init.scale:
        check_init_ranges(init)
        width, height = (int(side * init.scale) for side in blobs.size(init.images[0]))
        # The size is settled: a repeat of the request must not scale once more.
        request = replace(request, width=width, height=height, init=replace(init, scale=0.0))
    return request


def within(noun: object, limits: Mapping[str, tuple[float, float]], *, prefix: str = "") -> None:
    """Raises OutOfRange naming the first field outside its limits."""
    for field, (lo, hi) in limits.items():
        value = getattr(noun, field)
        if value is not None and not (isinstance(value, int | float) and lo <= value <= hi):
            raise OutOfRange(field=f"{prefix}{field}", value=value, lo=lo, hi=hi)


def check_lengths(request: GenerationRequest) -> None:
    """Raises TooLong naming the first text beyond what the prompt language takes."""
    if request.hires is not None:
        check_length(request.hires.prompt, field="hires.prompt")
        check_length(request.hires.negative_prompt, field="hires.negative_prompt")
    check_length(request.prompt, field="prompt")
    check_length(request.negative_prompt, field="negative_prompt")
    for number, text in enumerate(request.prompts):
        check_length(text, field=f"prompts[{number}]")


def canonical(request: GenerationRequest) -> GenerationRequest:
    """Sampler and schedule by their own names ("DPM++ 2M Karras" is split), sizes rounded down to multiples of 8.

    Raises UnknownSampler, UnknownSchedule.
    """
    sampler, implied = split_name(request.sampler)
    asked = named_schedule(request.schedule)
    schedule = implied if asked == "Automatic" else asked
    width, height = request.width // 8 * 8, request.height // 8 * 8
    hires = request.hires
    if hires is not None and (hires.sampler or hires.schedule):
        second, implied = split_name(hires.sampler) if hires.sampler else ("", "Automatic")
        asked = named_schedule(hires.schedule) if hires.schedule else "Automatic"
        chosen = implied if asked == "Automatic" else asked
        hires = replace(hires, sampler=second, schedule=chosen if hires.schedule or chosen != "Automatic" else "")
    return replace(request, sampler=sampler, schedule=schedule, width=width, height=height, hires=hires)


def check_sampler(request: GenerationRequest, settings: Settings) -> None:
    """Raises OutOfRange or TooFewSteps when the sampler cannot run that many steps."""
    row = SAMPLERS.find(request.sampler)
    assert row is not None, "canonical names are in the table"
    check_steps(row, request.steps, asdict(settings.sampling))
    init = request.init
    if init is not None and init.denoising_strength:
        check_part(row, request.steps, init.denoising_strength, settings, whole=settings.img2img.fix_steps)
    hires = request.hires
    if hires is None or not hires.denoising_strength:
        return
    second = SAMPLERS.find(hires.sampler) if hires.sampler else row
    assert second is not None, "canonical names are in the table"
    check_part(second, hires.steps or request.steps, hires.denoising_strength, settings, whole=True)


def check_part(row: SamplerRow, steps: int, strength: float, settings: Settings, *, whole: bool) -> None:
    """As `check_sampler`, for a pass that starts from a picture and runs a part of its schedule."""
    options = asdict(settings.sampling)
    laid_out, walked = part_of_steps(steps, strength, whole=whole)
    check_steps(row, laid_out, options)
    least = int(options["unipc_order"]) if "unipc_order" in row.options else 1
    if row.timesteps and walked - 1 < least:
        raise TooFewSteps(sampler=row.name, steps=max(walked - 1, 0), least=least)


def seed(asked: int) -> int:
    """The seed asked for, or a random one for a negative."""
    return random.randrange(SEEDS) if asked < 0 else asked
