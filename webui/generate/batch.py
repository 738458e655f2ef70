"""One batch, pass by pass: text → conditioning → noise → sampler → decoded pictures."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from webui.catalog.beside import own_notes
from webui.catalog.samplers import SAMPLERS, SamplerRow
from webui.catalog.schedules import SCHEDULES
from webui.catalog.upscalers import UPSCALERS
from webui.domain import Family, ModelRecord, Pass, Picture, ShuttingDown, Stage, Wish
from webui.engine.conditioning import BatchConditioning, build
from webui.engine.embeddings import Shelf
from webui.engine.families.parts import Framing
from webui.engine.guidance import Conditioning, Guidance, guided
from webui.engine.mask import Canvas
from webui.engine.model import LoadedModel
from webui.engine.noise import NoiseStream
from webui.engine.patches import Patch
from webui.engine.patches.attention import Upcast
from webui.engine.patches.prediction import Apart, NoiseLevels, Quantized
from webui.engine.patches.tiling import Tiling
from webui.engine.preview import encoded, preview
from webui.engine.samplers import sample, sample_from
from webui.engine.softinpaint import covers, softened
from webui.engine.types import COND, UNCOND, Denoise, Encoded, Interrupted, StepContext
from webui.engine.upscale import enlarge, enlarge_latents
from webui.engine.vae import NoVae
from webui.generate import controls, networks
from webui.generate.plan import steps_of
from webui.generate.running import Run
from webui.generate.start import Start, beside_nothing, extra_channels, from_pictures, grower, to_tensor
from webui.prompt.networks import extract
from webui.settings import Previews, Settings

IMAGE_CFG_SCALE = 1.5
"""Of requests for pix2pix models that do not say."""


PREDICTIONS: Mapping[str, Literal["", "eps", "v"]] = {"Automatic": "", "Epsilon": "eps", "V-prediction": "v"}
"""What a person can say of a checkpoint's answers → what the network gives."""


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
    canvases: tuple[Canvas, ...] = ()
    """What each picture is laid into, in img2img."""
    masked_model: bool = False
    """An inpainting model made it, so the mask's weight had a say."""
    image_cfg_scale: float | None = None
    """Of pix2pix models."""


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
    start: Start | None = None
    """What it started from, when that was not noise alone."""
    shown: tuple[Image.Image, ...] = ()
    """The pictures, when they were given and not made."""


def make_batch(run: Run, pictures: tuple[Picture, ...]) -> Batch | None:
    """One batch of the plan, or None when it was skipped.

    Raises ShuttingDown, and what loading, sampling and decoding raise (ModelGone, UnsafeFile, NoVae, NotANumber, ...).
    """
    first, *more = run.plan.passes
    before: Tensor | None = None
    controls.prepare(run, pictures)
    with ExitStack() as worn:
        done = given(run, first, pictures, worn) if first.given else make_pass(run, first, pictures, None, worn)
        uneven, used = done.uneven, done.embeddings
        for each in more:
            if done.latents is None or done.stopped:
                break
            if run.plan.request.save and run.settings.saving.save_images_before_highres_fix and not done.shown:
                before = decoded(run, done, done.latents)
            done = make_pass(run, each, pictures, done, worn)
            used += done.embeddings
        if done.latents is None:
            return None
        latents = run.bench.hooks.transform("transform_latent", done.latents, "latent", pictures=pictures)
        images = controls.finished(run, decoded(run, done, latents), pictures)
        canvases = canvases_for(first, done.start, latents)
    return Batch(
        pictures=pictures, images=images, latents=latents, schedule=schedule_used(first), before=before,
        noise_source=done.noise_source, stopped=done.stopped, uneven=uneven,
        hashes=hashes(run, pictures, used), canvases=canvases, masked_model=extra_channels(done.model) == "inpaint",
        image_cfg_scale=image_cfg_scale(first, done.model),
    )  # fmt: skip


def make_pass(run: Run, each: Pass, pictures: tuple[Picture, ...], before: Passed | None, worn: ExitStack) -> Passed:
    """One pass, from noise or from the latents of the pass before. What the model wears stays on in `worn`."""
    latents = enlarged(run, each, before, [picture.seed for picture in pictures]) if before else None
    model = wear(run, each, each.stages[0], pictures, worn)
    used = embeddings(run, model, each, pictures)
    encoded_text = encode(run, model, each, pictures, used)
    conditioning = transformed(run, encoded_text, pictures)
    start = starting(run, each, pictures, model, latents)
    asked = controls.guiding(run, each, model, pictures)
    later = Later(run, each, pictures, worn, model)
    with run.meter.phase("sampling"):
        latents, source, stopped = denoise(run, each, model, asked, pictures, conditioning, start, later)
    take_notes(run, model)
    return Passed(
        latents=latents,
        model=later.model,
        noise_source=source,
        uneven=encoded_text.uneven,
        stopped=stopped,
        embeddings=used,
        start=start,
    )


def given(run: Run, each: Pass, pictures: Sequence[Picture], worn: ExitStack) -> Passed:
    """A finished picture in the place of what a pass would make. Raises BlobGone and what loading raises."""
    image = run.bench.gallery.blobs.open(each.given).convert("RGB")
    if image.size != (each.width, each.height):
        image = image.resize((each.width, each.height), Image.Resampling.LANCZOS)
    model = wear(run, each, each.stages[0], tuple(pictures), worn)
    with run.meter.phase("encoding"):
        seeds = [picture.seed for picture in pictures]
        latents = model.encode(torch.stack([to_tensor(image) for _ in pictures]), seeds=seeds)
    return Passed(latents=latents, model=model, noise_source="", shown=(image,) * len(pictures))


def starting(
    run: Run, each: Pass, pictures: Sequence[Picture], model: LoadedModel, enlarged_latents: Tensor | None
) -> Start:
    """What a pass starts from: init images, the pass before, or nothing but noise."""
    with run.meter.phase("encoding"):
        if each.init is not None:
            return from_pictures(run, each, pictures, model)
        draws = run.bench.draws([picture.seed for picture in pictures])
        return Start(latents=enlarged_latents, concat=beside_nothing(each, model, draws))


def canvases_for(each: Pass, start: Start | None, latents: Tensor) -> tuple[Canvas, ...]:
    """What results are laid into; with soft inpainting, by how far the latents have moved."""
    soft = each.init.inpaint.soft if each.init and each.init.inpaint else None
    if start is None or start.blend is None or soft is None or start.latents is None:
        return start.canvases if start else ()
    found = covers(soft, start.blend.original, latents.to(start.blend.original), start.blend.painted)
    return tuple(
        softened(canvas, original, cover, width=each.width, height=each.height)
        for canvas, original, cover in zip(start.canvases, start.originals, found, strict=True)
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
        denoise = controls.guiding(run, each, self.model, pictures, later=True)
        return denoise, transformed(run, encoded_text, pictures)


def loaded(run: Run, stage: Stage) -> LoadedModel:
    """A stage's model in memory, with the ways the settings choose for its VAE. Raises what loading raises."""
    beside = [other.checkpoint for any_pass in run.plan.passes for other in any_pass.stages]
    model = run.bench.models.load(stage.checkpoint, stage.vae, beside=beside)
    settings = run.settings.model
    model.decode_method, model.encode_method = settings.vae_decode_method, settings.vae_encode_method
    model.small_folders = run.bench.previews
    return model


def wear(run: Run, each: Pass, stage: Stage, pictures: tuple[Picture, ...], worn: ExitStack) -> LoadedModel:
    """A stage's model, dressed for these pictures for as long as `worn` lasts. Raises NoVae and what loading raises."""
    with run.meter.phase("loading"):
        model = loaded(run, stage)
    if model.vae is None:
        raise NoVae(model=model.record.stem)
    wanted = patches(run, model, each, pictures)
    with run.meter.phase("loading"):
        worn.enter_context(model.wearing(wanted))
    tight = model.make_room(each.width, each.height, len(pictures))
    for key, fields in (*networks.worn_notes(model, wanted), *([tight] if tight else [])):
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
            shown = before.shown or [to_image(picture) for picture in decoded(run, before, before.latents)]
            scale = max(wanted.width / shown[0].width, wanted.height / shown[0].height)
            grow = grower(run, wanted.upscaler, wanted.model, scale)
            larger = [enlarge(one, wanted.width, wanted.height, grow=grow) for one in shown]
            # The checkpoint of the second pass encodes, for it will read them.
            stage = each.stages[0]
            reader = loaded(run, stage)
            latents = reader.encode(torch.stack([to_tensor(one) for one in larger]), seeds=seeds)
    return cut(latents, width=each.width // model.factor, height=each.height // model.factor)


def cut(latents: Tensor, *, width: int, height: int) -> Tensor:
    """The middle of latents (batch, c, h, w); the odd pixel is cut off at the far side."""
    top, left = (latents.shape[2] - height) // 2, (latents.shape[3] - width) // 2
    return latents[:, :, top : top + height, left : left + width]


def decoded(run: Run, done: Passed, latents: Tensor) -> Tensor:
    """Pictures (batch, 3, height, width) fp32 in [0, 1] on the CPU."""
    with run.meter.phase("decoding"):
        images = done.model.decode(latents, retry=retried_in(run.settings))
    take_notes(run, done.model)
    return images


def retried_in(settings: Settings) -> torch.dtype | None:
    """What a VAE that gave NaN in half precision decodes in once more; bfloat16 goes before fp32, as in A1111."""
    if settings.model.auto_vae_precision_bfloat16:
        return torch.bfloat16
    return torch.float32 if settings.model.auto_vae_precision else None


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
    if run.settings.model.upcast_attn:
        worn.append(Upcast())
    levels = noise_levels(run.settings, stage.checkpoint)
    if levels != NoiseLevels():
        worn.append(levels)
    for more in run.bench.hooks.gather("patches_for", stage=stage, picture=pictures[0]):
        worn += more
    return tuple(worn)


def noise_levels(settings: Settings, checkpoint: ModelRecord) -> NoiseLevels:
    """What the settings say of the model's noise levels, and they or the notes beside it of how its answers are
    meant.
    """
    sampling = settings.sampling
    said = sampling.prediction_type
    if said == "Automatic" and checkpoint.notes is not None:
        said = own_notes(checkpoint).prediction_type
    return NoiseLevels(
        downcast=sampling.downcast_alphas,
        zero_snr=sampling.noise_schedule == "Zero Terminal SNR",
        kind=PREDICTIONS.get(said, ""),
    )


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
    if not run.plan.request.networks:
        return []
    prompt = whole_texts(each, pictures[:1])[0][0]
    return networks.named(prompt, run.bench.catalog, each.stages[0].checkpoint)[0]


def shelf_of(run: Run, model: LoadedModel, each: Pass, pictures: Sequence[Picture]) -> Shelf:
    """The embeddings that fit the model's text encoders, with those bundled in the LoRAs it wears."""
    bundles = networks.loras(named(run, each, pictures))
    known = run.bench.embeddings.with_bundled(run.bench.catalog, bundles)
    return run.bench.shelves.shelf(known, model.tokenizer, widths=model.text_widths)


def embeddings(
    run: Run, model: LoadedModel, each: Pass, pictures: Sequence[Picture]
) -> tuple[tuple[str, ModelRecord], ...]:
    """The embeddings the pass's texts name, in order; those that do not fit the model are said."""
    shelf, written = shelf_of(run, model, each, pictures), texts(each, pictures)
    plain = networks.texts_of([one for one, _ in written], [other for _, other in written], steps=each.steps)
    used, misfits = shelf.named_in(plain, emphasis=run.settings.sampling.emphasis)
    for name in misfits:
        widths = [width for _, width in shelf.others[name].widths]
        needed = " + ".join(map(str, model.text_widths.values()))
        run.say_once(*networks.embedding_misfit(name, widths, needed, fitting=list(shelf.embeddings)))
    return tuple((name, shelf.embeddings[name].record) for name in used)


def hashes(run: Run, pictures: Sequence[Picture], used: Sequence[tuple[str, ModelRecord]]) -> dict[str, str]:
    """What the infotext tells of the adapters and embeddings of all passes."""
    found = [network for each in run.plan.passes for network in named(run, each, pictures)]
    catalog, asked, told = run.bench.catalog, run.settings.networks, dict[str, str]()
    if asked.add_lora_hashes:
        told |= networks.hashes(found, run.bench.lora_hashes, catalog)
    if asked.add_embedding_hashes:
        told |= networks.embedding_hashes(used, catalog)
    return told


def framing(settings: Settings, each: Pass) -> Framing:
    """What SDXL is told of sizes and scores. In a second pass the size before cutting counts, as in A1111."""
    size, told = each.enlarge or each, settings.model
    return Framing(
        width=size.width, height=size.height, crop_top=told.sdxl_crop_top, crop_left=told.sdxl_crop_left,
        score=told.sdxl_refiner_high_aesthetic_score, negative_score=told.sdxl_refiner_low_aesthetic_score,
    )  # fmt: skip


def encode(
    run: Run, model: LoadedModel, each: Pass, pictures: tuple[Picture, ...], used: Sequence[tuple[str, ModelRecord]]
) -> BatchConditioning:
    """The batch's text as conditioning. `used`: the embeddings it names."""
    base, sampling, shelf = run.plan.passes[0], run.settings.sampling, shelf_of(run, model, each, pictures)
    written = texts(each, pictures)
    told: dict[str, Any] = {
        "emphasis": sampling.emphasis,
        "clip_skip": each.stages[0].clip_skip,
        "backtrack": sampling.comma_padding_backtrack,
        "old_emphasis": sampling.use_old_emphasis,
        "clip_l_skip": run.settings.model.sdxl_clip_l_skip,
    }
    framed = framing(run.settings, each)

    def encoded(texts: Sequence[str], role: str) -> list[Encoded]:
        return model.encode_texts(texts, role, framing=framed, embeddings=shelf.sides, **told)

    second = each.enlarge is not None
    with run.meter.phase("encoding"):
        return build(
            [prompt for prompt, _ in written],
            [negative for _, negative in written],
            encoded,
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
                model.told(framed, COND), model.told(framed, UNCOND),
                networks.worn_by_text(named(run, each, pictures)), *((one.path, one.mtime_ns) for _, one in used),
            ),
        )  # fmt: skip


def denoise(
    run: Run, each: Pass, model: LoadedModel, asked: Denoise, pictures: tuple[Picture, ...],
    conditioning: Conditioning, start: Start, later: Later,
) -> tuple[Tensor | None, str, bool]:  # fmt: skip
    """(latents (batch, 4, h/8, w/8) or None when skipped, the noise source used, whether it was stopped early).

    `asked`: the model, with what guides it.
    """
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
    steps, walked = steps_of(each)
    guide = guided(
        asked,
        conditioning,
        cfg_scale=each.cfg_scale,
        batch=len(pictures),
        steps=max(walked, 1),
        second_order=row.second_order,
        options=each.options,
        wrap_denoise=partial(hooks.wrap, "wrap_denoise", name="denoise") if hooks.used("wrap_denoise") else None,
        wrap_guided=partial(hooks.wrap, "wrap_guided", name="guided") if hooks.used("wrap_guided") else None,
        switch=later if len(each.stages) > 1 else None,
        blend=start.blend,
        concat=start.concat,
        image_cfg_scale=image_cfg_scale(each, model),
    )
    options = each.options | {"sdxl": model.family in (Family.SDXL, Family.SDXL_REFINER)}
    told: dict[str, Any] = {"schedule": schedule, "options": options, "on_step": watcher(run, each, model, guide)}
    try:
        if start.latents is None:
            latents = sample(row, guide, noise, model.prediction, steps=each.steps, **told)
        else:
            latents = sample_from(
                row, guide, start.latents.to(model.device), noise.first() * start.noise_multiplier, noise,
                model.prediction, steps=steps, run=walked, extra_noise=run.settings.img2img.extra_noise, **told,
            )  # fmt: skip
    except Interrupted as left:
        return kept(start, left.latent), noise.source.value, left.latent is not None
    return kept(start, latents), noise.source.value, False


def kept(start: Start, latents: Tensor | None) -> Tensor | None:
    """Latents with what the mask leaves alone put back for the last time."""
    return latents if latents is None or start.blend is None else start.blend.last(latents)


def image_cfg_scale(each: Pass, model: LoadedModel) -> float | None:
    """How strongly a pix2pix model follows the picture; None for others."""
    if extra_channels(model) != "pix2pix" or each.init is None:
        return None
    return IMAGE_CFG_SCALE if each.init.image_cfg_scale is None else each.init.image_cfg_scale


def watcher(run: Run, each: Pass, model: LoadedModel, guide: Guidance) -> Callable[[int, Tensor, Tensor, Tensor], None]:
    """What happens at each step: progress, a preview when one is due and somebody looks, and the person's wishes."""
    previews, hooks = run.settings.previews, run.bench.hooks
    watched = hooks.used("on_step")
    done_before = sum(steps_of(other)[1] for other in run.plan.passes[: run.plan.passes.index(each)])

    def on_step(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None:
        run.meter.step(done_before + step + 1)
        if watched:
            hooks.gather("on_step", step=step, x=x, sigma=sigma, x0=x0)
        due = previews.enabled and previews.every_n_steps > 0 and step % previews.every_n_steps == 0
        if due and run.reporter.preview_wanted(step):
            shown = {"Prompt": guide.prompted, "Negative prompt": guide.uncond}.get(previews.content, x0)
            shown = shown if previews.grid else shown[:1]
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


def sampler_row(base: Pass) -> SamplerRow:
    row = SAMPLERS.find(base.sampler)
    assert row is not None, "the plan's names are in the table"
    return row


def schedule_used(base: Pass) -> str:
    """The label of the schedule that Automatic stood for, or the one asked for."""
    if base.schedule != "Automatic":
        return base.schedule
    return sampler_row(base).default_schedule or "Automatic"
