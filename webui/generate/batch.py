"""One batch, pass by pass: text → conditioning → noise → sampler → decoded pictures."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from webui.catalog.samplers import SAMPLERS, SamplerRow, part_of_steps
from webui.catalog.schedules import SCHEDULES
from webui.catalog.upscalers import UPSCALERS
from webui.domain import Enlarge, ModelRecord, Pass, Picture, Plan, Reporter, ShuttingDown, Stage, Wish
from webui.engine import text
from webui.engine.conditioning import BatchConditioning, build
from webui.engine.embeddings import Shelf
from webui.engine.guidance import Conditioning, guided
from webui.engine.model import LoadedModel
from webui.engine.noise import NoiseStream
from webui.engine.patches import Patch
from webui.engine.patches.prediction import Apart, DowncastAlphas, Quantized
from webui.engine.patches.tiling import Tiling
from webui.engine.preview import encoded, preview
from webui.engine.samplers import sample, sample_from
from webui.engine.types import Denoise, Encoded, Interrupted, StepContext
from webui.engine.upscale import Grow, Tiles, by_pillow, enlarge, enlarge_latents
from webui.engine.vae import NoVae
from webui.generate import networks
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
    said: list[networks.Note] = field(default_factory=list[networks.Note])

    def say_once(self, key: str, fields: dict[str, Any]) -> None:
        """Tell the person; every batch and pass may find the same, they hear it once."""
        if (key, fields) not in self.said:
            self.said.append((key, fields))
            self.reporter.note(key, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Decoded pictures (batch, 3, height, width) fp32 in [0, 1], and what was really done."""

    pictures: tuple[Picture, ...]
    images: Tensor
    latents: Tensor
    schedule: str
    """The schedule used in the first pass: what Automatic stood for."""
    noise_source: str
    uneven: bool = False
    """Some prompt and negative prompt differ in length, so padding changed the picture."""
    stopped: bool = False
    before: Tensor | None = None
    """The first pass's pictures, when they are to be saved beside the second's."""
    hashes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of adapters and embeddings, as the infotext has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Latents (batch, c, h, w) at the end of a pass, None when it was skipped, and how it ended."""

    latents: Tensor | None
    model: LoadedModel
    noise_source: str
    uneven: bool = False
    stopped: bool = False
    embeddings: tuple[tuple[str, ModelRecord], ...] = ()
    """Those the texts name, in order."""


def make_batch(run: Run, pictures: tuple[Picture, ...]) -> Batch | None:
    """One batch of the plan, or None when it was skipped.

    Raises ShuttingDown, and what loading, sampling and decoding raise (ModelGone, UnsafeFile, NoVae, NotANumber, ...).
    """
    first, *more = run.plan.passes
    before: Tensor | None = None
    with ExitStack() as worn:
        done = make_pass(run, first, pictures, None, worn)
        uneven, used = done.uneven, done.embeddings
        for each in more:
            if done.latents is None or done.stopped:
                break
            if run.plan.request.save and run.settings.saving.save_images_before_highres_fix:
                before = decoded(run, done, done.latents)
            done = make_pass(run, each, pictures, done, worn)
            used += done.embeddings
        if done.latents is None:
            return None
        latents = run.bench.hooks.transform("transform_latent", done.latents, "latent", pictures=pictures)
        images = decoded(run, done, latents)
    return Batch(
        pictures=pictures, images=images, latents=latents, schedule=schedule_used(first), before=before,
        noise_source=done.noise_source, stopped=done.stopped, uneven=uneven,
        hashes=hashes(run, pictures, used),
    )  # fmt: skip


def make_pass(run: Run, each: Pass, pictures: tuple[Picture, ...], before: Passed | None, worn: ExitStack) -> Passed:
    """One pass, from noise or from the latents of the pass before. What the model wears stays on in `worn`."""
    start = enlarged(run, each, before, [picture.seed for picture in pictures]) if before else None
    model = wear(run, each, each.stages[0], pictures, worn)
    used = embeddings(run, model, each, pictures)
    encoded_text = encode(run, model, each, pictures, used)
    conditioning = transformed(run, encoded_text, pictures)
    later = Later(run, each, pictures, worn, model)
    with run.meter.phase("sampling"):
        latents, source, stopped = denoise(run, each, model, pictures, conditioning, start, later)
    take_notes(run, model)
    return Passed(
        latents=latents,
        model=later.model,
        noise_source=source,
        uneven=encoded_text.uneven,
        stopped=stopped,
        embeddings=used,
    )


def transformed(run: Run, encoded_text: BatchConditioning, pictures: tuple[Picture, ...]) -> Conditioning:
    """The conditioning after plugins had their say."""
    with run.meter.phase("encoding"):
        return run.bench.hooks.transform("transform_conditioning", encoded_text, "conditioning", pictures=pictures)


class Later:
    """The later stages of a pass: asked before each call, hands over when enough noise levels are behind.

    `model` is the one in force, whose VAE decodes what the pass leaves.
    """

    def __init__(
        self, run: Run, each: Pass, pictures: tuple[Picture, ...], worn: ExitStack, model: LoadedModel
    ) -> None:
        self.model = model
        self._run, self._pass, self._pictures, self._worn = run, each, pictures, worn
        self._waiting = list(each.stages[1:])

    def __call__(self, sigma: Tensor, context: StepContext) -> tuple[Denoise, Conditioning] | None:
        """What to ask from now on, or None to go on as before. Raises what loading and encoding raise."""
        if not self._waiting:
            return None
        levels = self.model.prediction.sigmas
        timestep = int((levels - sigma.max().cpu()).abs().argmin())
        if (len(levels) - 1 - timestep) / len(levels) < self._waiting[0].from_fraction:
            return None
        run, each, pictures = self._run, replace(self._pass, stages=(self._waiting.pop(0),)), self._pictures
        self.model = wear(run, each, each.stages[0], pictures, self._worn)
        encoded_text = encode(run, self.model, each, pictures, embeddings(run, self.model, each, pictures))
        return self.model.denoise, transformed(run, encoded_text, pictures)


def wear(run: Run, each: Pass, stage: Stage, pictures: tuple[Picture, ...], worn: ExitStack) -> LoadedModel:
    """A stage's model, dressed for these pictures for as long as `worn` lasts. Raises NoVae and what loading raises."""
    beside = [other.checkpoint for any_pass in run.plan.passes for other in any_pass.stages]
    with run.meter.phase("loading"):
        model = run.bench.models.load(stage.checkpoint, stage.vae, beside=beside)
    if model.vae is None:
        raise NoVae(model=model.record.stem)
    wanted = patches(run, model, each, pictures)
    with run.meter.phase("loading"):
        worn.enter_context(model.wearing(wanted))
    for key, fields in networks.worn_notes(model, wanted):
        run.say_once(key, fields)
    return model


def enlarged(run: Run, each: Pass, before: Passed, seeds: Sequence[int]) -> Tensor:
    """What the second pass starts from: the first one's latents (batch, c, h, w) at its size.

    Upscalers of pixels see decoded 8-bit pictures; what comes out is encoded with each picture's own generator.
    """
    assert each.enlarge is not None
    assert before.latents is not None
    wanted, model, row = each.enlarge, before.model, UPSCALERS.find(each.enlarge.upscaler)
    size = wanted.width // model.factor, wanted.height // model.factor
    with run.meter.phase("upscaling"):
        if row is not None and row.latent:
            latents = enlarge_latents(row, before.latents, width=size[0], height=size[1])
        else:
            shown = [to_image(picture) for picture in decoded(run, before, before.latents)]
            larger = [enlarge(one, wanted.width, wanted.height, grow=grower(run, wanted, one)) for one in shown]
            # The checkpoint of the second pass encodes, for it will read them.
            stage = each.stages[0]
            beside = [other.checkpoint for any_pass in run.plan.passes for other in any_pass.stages]
            reader = run.bench.models.load(stage.checkpoint, stage.vae, beside=beside)
            latents = reader.encode(torch.stack([to_tensor(one) for one in larger]), seeds=seeds)
    return cut(latents, width=each.width // model.factor, height=each.height // model.factor)


def grower(run: Run, wanted: Enlarge, picture: Image.Image) -> Grow:
    """One application of the upscaler a pass asks for."""
    if wanted.model is not None:
        upscaler, settings = run.bench.models.upscaler(wanted.model), run.settings.upscaling
        return partial(upscaler.grow, tiles=Tiles(side=settings.tile, overlap=settings.tile_overlap))
    row = UPSCALERS.find(wanted.upscaler)
    assert row is not None, "the plan's names are in the table"
    return by_pillow(row, max(wanted.width / picture.width, wanted.height / picture.height))


def cut(latents: Tensor, *, width: int, height: int) -> Tensor:
    """The middle of latents (batch, c, h, w); the odd pixel is cut off at the far side."""
    top, left = (latents.shape[2] - height) // 2, (latents.shape[3] - width) // 2
    return latents[:, :, top : top + height, left : left + width]


def decoded(run: Run, done: Passed, latents: Tensor) -> Tensor:
    """Pictures (batch, 3, height, width) fp32 in [0, 1] on the CPU."""
    with run.meter.phase("decoding"):
        images = done.model.decode(latents, retry=run.settings.model.auto_vae_precision)
    take_notes(run, done.model)
    return images


def take_notes(run: Run, model: LoadedModel) -> None:
    """What the model has to say, told the person."""
    for key, fields in model.take_notes():
        # Nobody chose the default method; that its decoder is not there is no news to them.
        if key != "preview_fell_back" or run.settings.previews.method != Previews().method:
            run.reporter.note(key, **fields)


def patches(run: Run, model: LoadedModel, each: Pass, pictures: tuple[Picture, ...]) -> tuple[Patch, ...]:
    """What the model wears for this batch in this pass."""
    stage = each.stages[0]
    # Merging is the dearest: it lies lowest and stays on when the others change.
    worn = networks.patches(named(run, each, pictures))
    worn += stage.patches
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


def texts(each: Pass, pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """(prompt without network tags, negative prompt) of each picture in this pass."""
    return [(extract(prompt)[0], negative) for prompt, negative in whole_texts(each, pictures)]


def whole_texts(each: Pass, pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """(prompt, negative prompt) of each picture in this pass, as written."""
    if each.enlarge is not None:
        return [(picture.hires_prompt, picture.hires_negative) for picture in pictures]
    return [(picture.prompt, picture.negative) for picture in pictures]


def named(run: Run, each: Pass, pictures: Sequence[Picture]) -> list[networks.Network]:
    """The networks of the first prompt: they count for the whole batch, as in A1111."""
    prompt = whole_texts(each, pictures[:1])[0][0]
    return networks.named(prompt, run.bench.catalog, each.stages[0].checkpoint)[0]


def shelf_of(run: Run, model: LoadedModel) -> Shelf:
    """The embeddings that fit the model's text encoder."""
    known = run.bench.embeddings.read(run.bench.catalog)
    return run.bench.shelves.shelf(known, model.tokenizer, width=model.text_encoder.config.hidden_size)


def embeddings(
    run: Run, model: LoadedModel, each: Pass, pictures: Sequence[Picture]
) -> tuple[tuple[str, ModelRecord], ...]:
    """The embeddings the pass's texts name, in order; those that do not fit the model are said."""
    shelf, written = shelf_of(run, model), texts(each, pictures)
    plain = networks.texts_of([one for one, _ in written], [other for _, other in written], steps=each.steps)
    used, misfits = shelf.named_in(plain, emphasis=run.settings.sampling.emphasis)
    for name in misfits:
        widths = [width for _, width in shelf.others[name].widths]
        needed = model.text_encoder.config.hidden_size
        run.say_once("embedding_misfit", {"name": name, "width": widths, "needed": needed})
    return tuple((name, shelf.embeddings[name].record) for name in used)


def hashes(run: Run, pictures: Sequence[Picture], used: Sequence[tuple[str, ModelRecord]]) -> dict[str, str]:
    """What the infotext tells of the adapters and embeddings of all passes."""
    found = [network for each in run.plan.passes for network in named(run, each, pictures)]
    catalog = run.bench.catalog
    return networks.hashes(found, run.bench.lora_hashes, catalog) | networks.embedding_hashes(used, catalog)


def encode(
    run: Run, model: LoadedModel, each: Pass, pictures: tuple[Picture, ...], used: Sequence[tuple[str, ModelRecord]]
) -> BatchConditioning:
    """The batch's text as conditioning. `used`: the embeddings it names."""
    base, sampling, shelf = run.plan.passes[0], run.settings.sampling, shelf_of(run, model)
    written = texts(each, pictures)
    told: dict[str, Any] = {
        "emphasis": sampling.emphasis,
        "clip_skip": each.stages[0].clip_skip,
        "backtrack": sampling.comma_padding_backtrack,
        "old_emphasis": sampling.use_old_emphasis,
    }

    def states(texts: Sequence[str], role: str) -> list[Encoded]:
        return [
            Encoded(one) for one in text.encode(texts, model.text_encoder, model.tokenizer, embeddings=shelf, **told)
        ]

    second = each.enlarge is not None
    with run.meter.phase("encoding"):
        return build(
            [prompt for prompt, _ in written],
            [negative for _, negative in written],
            states,
            steps=base.steps,
            second_order=sampler_row(base).second_order,
            hires_steps=each.steps if second else None,
            hires_second_order=sampler_row(each).second_order,
            old=sampling.use_old_scheduling,
            padding="v0" if sampling.pad_cond_uncond_v0 else "empty" if sampling.pad_cond_uncond else "",
            cache=run.bench.conditioning,
            # What the tensors depend on beside the texts.
            key=(
                model.record.path, model.record.size, model.record.mtime_ns, model.dtype, *told.values(),
                networks.worn_by_text(named(run, each, pictures)), *((one.path, one.mtime_ns) for _, one in used),
            ),
        )  # fmt: skip


def denoise(
    run: Run, each: Pass, model: LoadedModel, pictures: tuple[Picture, ...], conditioning: Conditioning,
    start: Tensor | None, later: Later,
) -> tuple[Tensor | None, str, bool]:  # fmt: skip
    """(latents (batch, 4, h/8, w/8) or None when skipped, the noise source used, whether it was stopped early)."""
    request, hooks = run.plan.request, run.bench.hooks
    shape = (model.latent_channels, each.height // model.factor, each.width // model.factor)
    noise = NoiseStream(
        [picture.seed for picture in pictures],
        shape=shape,
        source=each.noise_source,
        subseeds=[picture.subseed for picture in pictures],
        strength=request.subseed_strength,
        seed_resize=(request.seed_resize_width, request.seed_resize_height),
        ensd=each.options.get("ensd", 0),
        device=model.device,
    )
    row, schedule = sampler_row(each), SCHEDULES.find(each.schedule)
    assert schedule is not None, "the plan's names are in the table"
    guide = guided(
        model.denoise,
        conditioning,
        cfg_scale=each.cfg_scale,
        batch=len(pictures),
        steps=each.steps,
        second_order=row.second_order,
        options=each.options,
        wrap_denoise=partial(hooks.wrap, "wrap_denoise", name="denoise") if hooks.used("wrap_denoise") else None,
        wrap_guided=partial(hooks.wrap, "wrap_guided", name="guided") if hooks.used("wrap_guided") else None,
        switch=later if len(each.stages) > 1 else None,
    )
    told: dict[str, Any] = {"schedule": schedule, "options": each.options, "on_step": watcher(run, each, model)}
    try:
        if start is None:
            latents = sample(row, guide, noise, model.prediction, steps=each.steps, **told)
        else:
            steps, walked = part_of_steps(each.steps, each.denoising_strength, whole=True)
            latents = sample_from(
                row, guide, start.to(model.device), noise.first(), noise, model.prediction, steps=steps, run=walked,
                **told,
            )  # fmt: skip
    except Interrupted as left:
        return left.latent, noise.source.value, left.latent is not None
    return latents, noise.source.value, False


def watcher(run: Run, each: Pass, model: LoadedModel) -> Callable[[int, Tensor, Tensor, Tensor], None]:
    """What happens at each step: progress, a preview when one is due and somebody looks, and the person's wishes."""
    previews, hooks = run.settings.previews, run.bench.hooks
    watched = hooks.used("on_step")
    done_before = sum(other.steps for other in run.plan.passes[: run.plan.passes.index(each)])

    def on_step(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None:
        run.meter.step(done_before + step + 1)
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


def to_image(tensor: Tensor) -> Image.Image:
    """A picture (3, height, width) in [0, 1] as 8-bit RGB, cut off as A1111 does, not rounded."""
    return Image.fromarray((tensor * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy())


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB picture as (3, height, width) fp32 in [0, 1]."""
    return torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32) / 255).permute(2, 0, 1)


def sampler_row(base: Pass) -> SamplerRow:
    row = SAMPLERS.find(base.sampler)
    assert row is not None, "the plan's names are in the table"
    return row


def schedule_used(base: Pass) -> str:
    """The label of the schedule that Automatic stood for, or the one asked for."""
    if base.schedule != "Automatic":
        return base.schedule
    return sampler_row(base).default_schedule or "Automatic"
