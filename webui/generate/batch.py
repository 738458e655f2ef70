"""One batch: text → conditioning → noise → sampler → decoded pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from webui.catalog.samplers import SAMPLERS, SamplerRow
from webui.catalog.schedules import SCHEDULES
from webui.domain import Pass, Picture, Plan, Reporter, ShuttingDown, Wish
from webui.engine import text
from webui.engine.conditioning import BatchConditioning, build
from webui.engine.guidance import Conditioning, guided
from webui.engine.model import LoadedModel
from webui.engine.noise import NoiseStream
from webui.engine.patches import Patch
from webui.engine.patches.prediction import Apart, DowncastAlphas, Quantized
from webui.engine.patches.tiling import Tiling
from webui.engine.preview import encoded, preview
from webui.engine.samplers import sample
from webui.engine.types import Interrupted
from webui.engine.vae import NoVae
from webui.generate.bench import Bench
from webui.generate.progress import Meter
from webui.prompt.networks import extract
from webui.settings import Previews, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every batch of a run is made with."""

    plan: Plan
    settings: Settings
    bench: Bench
    reporter: Reporter
    meter: Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Decoded pictures (batch, 3, height, width) fp32 in [0, 1], and what was really done."""

    pictures: tuple[Picture, ...]
    images: Tensor
    latents: Tensor
    schedule: str
    """The schedule used: what Automatic stood for."""
    noise_source: str
    uneven: bool = False
    """Some prompt and negative prompt differ in length, so padding changed the picture."""
    stopped: bool = False


def make_batch(run: Run, pictures: tuple[Picture, ...]) -> Batch | None:
    """One batch of the plan, or None when it was skipped.

    Raises ShuttingDown, and what loading, sampling and decoding raise (ModelGone, UnsafeFile, NoVae, NotANumber, ...).
    """
    base = run.plan.passes[0]
    with run.meter.phase("loading"):
        model = run.bench.models.load(base.stages[0].checkpoint, base.stages[0].vae)
    if model.vae is None:
        raise NoVae(model=model.record.stem)
    with model.wearing(patches(run, model, pictures)):
        with run.meter.phase("encoding"):
            encoded_text = encode(run, model, pictures)
            conditioning: Conditioning = run.bench.hooks.transform(
                "transform_conditioning", encoded_text, "conditioning", pictures=pictures
            )
        with run.meter.phase("sampling"):
            latents, source, stopped = denoise(run, model, pictures, conditioning)
        if latents is None:
            return None
        latents = run.bench.hooks.transform("transform_latent", latents, "latent", pictures=pictures)
        with run.meter.phase("decoding"):
            images = model.decode(latents, retry=run.settings.model.auto_vae_precision)
    for key, fields in model.take_notes():
        # Nobody chose the default method; that its decoder is not there is no news to them.
        if key != "preview_fell_back" or run.settings.previews.method != Previews().method:
            run.reporter.note(key, **fields)
    schedule = schedule_used(base)
    return Batch(
        pictures=pictures, images=images, latents=latents, schedule=schedule, noise_source=source, stopped=stopped,
        uneven=encoded_text.uneven,
    )  # fmt: skip


def patches(run: Run, model: LoadedModel, pictures: tuple[Picture, ...]) -> tuple[Patch, ...]:
    """What the model wears for this batch."""
    stage = run.plan.passes[0].stages[0]
    worn: list[Patch] = list(stage.patches)
    if run.plan.request.tiling or run.settings.model.tiling:
        worn.append(Tiling())
    if run.settings.sampling.enable_quantization:
        worn.append(Quantized())
    if not run.settings.sampling.batch_cond_uncond:
        worn.append(Apart())
    if run.settings.sampling.downcast_alphas:
        worn.append(DowncastAlphas())
    for more in run.bench.hooks.gather("patches_for", stage=stage, picture=pictures[0]):
        worn += more
    return tuple(worn)


def encode(run: Run, model: LoadedModel, pictures: tuple[Picture, ...]) -> BatchConditioning:
    """The batch's text as conditioning; network tags leave the prompt here, those not applied are said."""
    base, sampling = run.plan.passes[0], run.settings.sampling
    parted = [extract(picture.prompt) for picture in pictures]
    for tag in dict.fromkeys(tag for _, tags in parted for tag in tags):
        run.reporter.note("network_not_yet", tag=":".join((tag.kind, *tag.items)))
    told: dict[str, Any] = {
        "emphasis": sampling.emphasis,
        "clip_skip": base.stages[0].clip_skip,
        "backtrack": sampling.comma_padding_backtrack,
        "old_emphasis": sampling.use_old_emphasis,
    }

    def states(texts: Sequence[str]) -> list[Tensor]:
        return text.encode(texts, model.text_encoder, model.tokenizer, **told)

    return build(
        [prompt for prompt, _ in parted],
        [picture.negative for picture in pictures],
        states,
        steps=base.steps,
        second_order=sampler_row(base).second_order,
        old=sampling.use_old_scheduling,
        padding="v0" if sampling.pad_cond_uncond_v0 else "empty" if sampling.pad_cond_uncond else "",
        cache=run.bench.conditioning,
        # What the tensors depend on beside the texts.
        key=(model.record.path, model.record.size, model.record.mtime_ns, model.dtype, *told.values()),
    )


def denoise(
    run: Run, model: LoadedModel, pictures: tuple[Picture, ...], conditioning: Conditioning
) -> tuple[Tensor | None, str, bool]:
    """(latents (batch, 4, h/8, w/8) or None when skipped, the noise source used, whether it was stopped early)."""
    base, request, hooks = run.plan.passes[0], run.plan.request, run.bench.hooks
    shape = (model.latent_channels, base.height // model.factor, base.width // model.factor)
    noise = NoiseStream(
        [picture.seed for picture in pictures],
        shape=shape,
        source=base.noise_source,
        subseeds=[picture.subseed for picture in pictures],
        strength=request.subseed_strength,
        seed_resize=(request.seed_resize_width, request.seed_resize_height),
        ensd=base.options.get("ensd", 0),
        device=model.device,
    )
    row, schedule = sampler_row(base), SCHEDULES.find(base.schedule)
    assert schedule is not None, "the plan's names are in the table"
    guide = guided(
        model.denoise,
        conditioning,
        cfg_scale=base.cfg_scale,
        batch=len(pictures),
        steps=base.steps,
        second_order=row.second_order,
        options=base.options,
        wrap_denoise=partial(hooks.wrap, "wrap_denoise", name="denoise") if hooks.used("wrap_denoise") else None,
        wrap_guided=partial(hooks.wrap, "wrap_guided", name="guided") if hooks.used("wrap_guided") else None,
    )
    try:
        latents = sample(
            row, guide, noise, model.prediction, steps=base.steps, schedule=schedule, options=base.options,
            on_step=watcher(run, model),
        )  # fmt: skip
    except Interrupted as left:
        return left.latent, noise.source.value, left.latent is not None
    return latents, noise.source.value, False


def watcher(run: Run, model: LoadedModel) -> Callable[[int, Tensor, Tensor, Tensor], None]:
    """What happens at each step: progress, a preview when one is due and somebody looks, and the person's wishes."""
    previews, hooks = run.settings.previews, run.bench.hooks
    watched = hooks.used("on_step")

    def on_step(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None:
        run.meter.step(step + 1)
        if watched:
            hooks.gather("on_step", step=step, x=x, sigma=sigma, x0=x0)
        due = previews.enabled and previews.every_n_steps > 0 and step % previews.every_n_steps == 0
        if due and run.reporter.preview_wanted(step):
            shown = x0 if previews.grid else x0[:1]
            picture = preview(model, shown, previews.method, folders=run.bench.previews)
            run.reporter.preview(*encoded(picture, previews.image_format))
        wish = run.reporter.wish()
        if wish is Wish.SHUTDOWN:
            raise ShuttingDown
        if wish is Wish.STOP:
            raise Interrupted(x0)
        if wish is Wish.SKIP:
            run.reporter.served(Wish.SKIP)
            raise Interrupted(None)

    return on_step


def sampler_row(base: Pass) -> SamplerRow:
    row = SAMPLERS.find(base.sampler)
    assert row is not None, "the plan's names are in the table"
    return row


def schedule_used(base: Pass) -> str:
    """The label of the schedule that Automatic stood for, or the one asked for."""
    if base.schedule != "Automatic":
        return base.schedule
    return sampler_row(base).default_schedule or "Automatic"
