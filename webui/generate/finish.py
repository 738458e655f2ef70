"""Decoded pictures become files that remember how they were made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from webui import __version__
from webui.domain import Artifact, ModelRecord, Picture, Result
from webui.engine.colour import corrected
from webui.engine.mask import composite, composited
from webui.engine.resize import upright
from webui.gallery.filenames import BatchPlace
from webui.gallery.infotext import InfotextFields, init_pairs, inpaint_pairs, write
from webui.gallery.save import grid as make_grid
from webui.gallery.save import grid_fits
from webui.generate import controls
from webui.generate.batch import Batch, sampler_row, schedule_used, to_image
from webui.generate.running import Run
from webui.generate.start import noise_multiplier
from webui.jobs.wire import NotStorable, pack
from webui.settings import declared, flat, from_flat
from webui.settings.groups import Sampling

VERSION = f"Maple {__version__}"
HASHED_AT_ONCE = 64 * 2**20
"""Bytes up to which a model's SHA-256 is worked out for its first infotext; larger ones wait for an idle moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """One result: under its overlay, and alone at its place."""

    whole: Image.Image
    alone: Image.Image


class Finish:
    """Gathers a run's pictures: infotext, files, grid, the answer. `earlier`: finished by an attempt before this
    one.
    """

    def __init__(self, run: Run, *, earlier: Sequence[Artifact]) -> None:
        self._run = run
        self._earlier = {(each.seed, each.subseed): each for each in earlier if not each.grid and not each.beside}
        self._artifacts: list[Artifact] = []
        self._shown: list[Artifact] = []
        self._images: list[Image.Image] = []
        self._began = datetime.now()
        self._last: Batch | None = None

    def has(self, pictures: Sequence[Picture]) -> bool:
        """True when an earlier attempt finished all of these; they are then taken over."""
        found = [self._made_before(each) for each in pictures]
        kept = [each for each in found if each is not None]
        if len(kept) < len(pictures):
            return False
        for artifact, path in kept:
            with Image.open(path) as image:
                self._keep(artifact, image.convert("RGB"))
        return True

    def add(self, batch: Batch, *, number: int) -> None:
        """One batch of decoded pictures. Raises DiskFull and what saving raises."""
        self._last = batch
        if batch.before is not None:
            self._save_before(batch, iteration=number)
        for place, (picture, tensor) in enumerate(zip(batch.pictures, batch.images, strict=True)):
            image = self._run.bench.hooks.transform("transform_image", to_image(tensor), "image", picture=picture)
            laid = self._laid(image, batch, index=place, iteration=number)
            before = self._made_before(picture)
            if before is not None:
                self._keep(before[0], laid.whole)
                continue
            artifact = self._save(laid.whole, picture, batch, index=place, iteration=number)
            self._run.reporter.artifact(artifact)
            self._keep(artifact, laid.whole)
            self._add_masks(laid, batch, index=place, iteration=number)

    def result(self, *, stopped: bool) -> Result:
        """The run's answer: the grid first when one is made, then the pictures; the facts A1111's `info` lists."""
        several = len(self._images) > 1 or not self._run.settings.saving.grid_only_if_multiple
        grid = self._grid() if several and self._images else None
        self._add_maps()
        artifacts = (grid, *self._shown) if grid is not None else tuple(self._shown)
        return Result(
            artifacts=artifacts, info=self._info(with_grid=grid is not None), timings=dict(self._run.meter.timings),
            stopped=stopped,
        )  # fmt: skip

    def _made_before(self, picture: Picture) -> tuple[Artifact, Path] | None:
        """The picture's file from an earlier attempt, when it is still there."""
        artifact = self._earlier.get((picture.seed, picture.subseed))
        path = self._run.bench.gallery.within(artifact.path) if artifact else None
        return None if artifact is None or path is None else (artifact, path)

    def _keep(self, artifact: Artifact, image: Image.Image) -> None:
        self._artifacts.append(artifact)
        self._shown.append(artifact)
        self._images.append(image)

    def _laid(self, image: Image.Image, batch: Batch, *, index: int, iteration: int) -> Laid:
        """A decoded picture laid into the init image, its colours put right where the setting asks for it."""
        if not batch.canvases:
            return Laid(whole=image, alone=image)
        canvas, saving = batch.canvases[index], self._run.settings.saving
        if canvas.colours is not None:
            if self._run.plan.request.save and saving.save_images_before_color_correction:
                self._save_beside(composited(image, canvas)[0], batch, index, iteration, "-before-color-correction")
            image = corrected(image, canvas.colours)
        whole, alone = composited(image, canvas)
        return Laid(whole=whole, alone=alone)

    def _add_masks(self, laid: Laid, batch: Batch, *, index: int, iteration: int) -> None:
        """Mask and masked composite, saved and shown as the settings say."""
        mask = batch.canvases[index].mask if batch.canvases else None
        if mask is None:
            return
        run, settings, saving = self._run, self._run.settings.img2img, self._run.settings.saving
        picture = batch.pictures[index]
        wanted = (
            ("-mask", lambda: mask.convert("RGB"), saving.save_mask, settings.return_mask),
            ("-mask-composite", lambda: composite(laid.alone, mask), saving.save_mask_composite,
             settings.return_mask_composite),
        )  # fmt: skip
        for suffix, make, saved, shown in wanted:
            saved = saved and run.plan.request.save
            if not saved and not shown:
                continue
            image = make()
            artifact = self._save_beside(image, batch, index, iteration, suffix) if saved else None
            if shown:
                fields = self.fields(picture, batch)
                kept = artifact or run.bench.gallery.blob(image, fields=fields, settings=run.settings)
                self._shown.append(replace(kept, beside=True))

    def _add_maps(self) -> None:
        """The control maps after all pictures, without text; kept in a folder of their own where the setting says."""
        run, settings = self._run, self._run.settings.control
        for detector, image in controls.shown(run):
            if settings.detectmap_autosaving and run.plan.request.save and detector != "none":
                self._save_map(image, detector)
            if not settings.no_detectmap:
                fields = self.fields(run.plan.pictures[0], self._last)
                artifact = run.bench.gallery.blob(image, fields=fields, settings=run.settings)
                self._shown.append(replace(artifact, beside=True))

    def _save_map(self, image: Image.Image, detector: str) -> None:
        """Into `detectedmap_dir`/<preprocessor>, below the pictures' folder unless that is a full path."""
        run = self._run
        below = Path(run.settings.control.detectedmap_dir).expanduser() / detector
        folder = run.bench.gallery.folder(kind_of(run), settings=run.settings) / below
        into = {
            "paths.outdir_samples": str(folder), "saving.save_to_dirs": False,
            "saving.samples_filename_pattern": detector, "saving.save_images_add_number": True,
        }  # fmt: skip
        fields = self.fields(run.plan.pictures[0], self._last)
        settings = from_flat({**flat(run.settings), **into})
        run.bench.gallery.save(image, fields=fields, infotext="", kind=kind_of(run), settings=settings)

    def _save_beside(self, image: Image.Image, batch: Batch, index: int, iteration: int, suffix: str) -> Artifact:
        """A further picture of this one, under its name with an ending."""
        run, picture = self._run, batch.pictures[index]
        fields = self.fields(picture, batch)
        return run.bench.gallery.save(
            image, fields=fields, infotext=write(fields), request_json=request_json(run, picture),
            kind=kind_of(run), batch=self._place(index, iteration), settings=run.settings, suffix=suffix,
        )  # fmt: skip

    def _save(self, image: Image.Image, picture: Picture, batch: Batch, *, index: int, iteration: int) -> Artifact:
        run, saving = self._run, self._run.settings.saving
        fields = self.fields(picture, batch)
        for more in run.bench.hooks.gather("before_save", image=image, infotext=write(fields), picture=picture):
            fields = replace(fields, extras={**fields.extras, **more})
        wanted = run.plan.request.save and saving.samples_save and (saving.save_incomplete_images or not batch.stopped)
        return self._written(image, fields, picture, save=wanted, place=self._place(index, iteration))

    def _save_before(self, batch: Batch, *, iteration: int) -> None:
        """The first pass's pictures, beside the second's, under their names with an ending; nobody is shown them."""
        assert batch.before is not None
        for index, tensor in enumerate(batch.before):
            self._save_beside(to_image(tensor), batch, index, iteration, "-before-highres-fix")

    def _written(
        self, image: Image.Image, fields: InfotextFields, picture: Picture, *, save: bool, place: BatchPlace,
        grid: bool = False,
    ) -> Artifact:  # fmt: skip
        """Into the output folder, or into the cache when it is not to be saved. Raises DiskFull, PictureNotSaved."""
        run, text, request = self._run, write(fields), request_json(self._run, picture)
        if not save:
            return run.bench.gallery.blob(
                image, fields=fields, infotext=text, request_json=request, grid=grid, settings=run.settings
            )
        return run.bench.gallery.save(
            image, fields=fields, infotext=text, request_json=request, kind=kind_of(run), grid=grid, batch=place,
            settings=run.settings,
        )  # fmt: skip

    def _place(self, index: int, iteration: int) -> BatchPlace:
        plan = self._run.plan
        return BatchPlace(
            size=plan.batch_size, count=-(-len(plan.pictures) // plan.batch_size), index=index, iteration=iteration,
            seeds=tuple(each.seed for each in plan.pictures), styles=plan.request.styles, started=self._began,
            style_prompts=self._run.style_prompts, user=self._run.user,
        )  # fmt: skip

    def fields(self, picture: Picture, batch: Batch | None) -> InfotextFields:
        """What the infotext of a picture tells. `batch` None: of a run whose pictures were all made before."""
        run, request, base = self._run, self._run.plan.request, self._run.plan.passes[0]
        schedule = batch.schedule if batch else schedule_used(base)
        stage, told = base.stages[0], run.settings.infotext
        row = sampler_row(base)
        vae, asked = stage.vae, base.noise_source.value
        return InfotextFields(
            prompt=picture.prompt,
            negative=picture.negative,
            steps=base.steps,
            sampler=base.sampler,
            schedule=schedule,
            cfg_scale=base.cfg_scale,
            seed=picture.seed,
            width=base.width,
            height=base.height,
            model_hash=self._hash(stage.checkpoint) if told.add_model_hash else None,
            model=stage.checkpoint.stem if told.add_model_name else None,
            vae_hash=self._hash(vae) if vae and told.add_vae_hash else None,
            vae=vae.path.name if vae and told.add_vae_name else None,
            subseed=picture.subseed,
            subseed_strength=request.subseed_strength,
            seed_resize_width=request.seed_resize_width,
            seed_resize_height=request.seed_resize_height,
            image_cfg_scale=batch.image_cfg_scale if batch else None,
            denoising_strength=strength(run),
            mask_weight=run.settings.img2img.mask_weight if batch and batch.masked_model else None,
            clip_skip=stage.clip_skip,
            ensd=base.options.get("ensd", 0) if row.uses_ensd else 0,
            init_image_hash=init_image_hash(run, picture),
            noise_source=noise_source_told(asked, batch.noise_source if batch else asked),
            tiling=request.tiling or run.settings.model.tiling,
            extras=all_extras(run, picture, batch),
            version=VERSION if told.add_version else None,
            user=(run.user or None) if told.add_user_name else None,
        )

    def _hash(self, record: ModelRecord) -> str | None:
        """First ten digits of a model's SHA-256, when known or quickly known."""
        if record.sha256 is None and record.size <= HASHED_AT_ONCE and record.path.is_file():
            return self._run.bench.catalog.hash(record)[:10]
        return record.shorthash

    def _grid(self) -> Artifact | None:
        """All pictures side by side, when settings and request want it."""
        run, saving = self._run, self._run.settings.saving
        wanted = run.plan.request.save_grid and (run.settings.page.return_grid or saving.grid_save)
        if not wanted or not grid_fits(self._images, settings=run.settings):
            return None
        image = make_grid(self._images, settings=run.settings, batch_size=run.plan.batch_size)
        first = run.plan.pictures[0]
        fields = self.fields(first, self._last)
        artifact = self._written(image, fields, first, save=saving.grid_save, place=self._place(0, 0), grid=True)
        return artifact if run.settings.page.return_grid else None

    def _info(self, *, with_grid: bool) -> dict[str, Any]:
        run, request, base = self._run, self._run.plan.request, self._run.plan.passes[0]
        made = run.plan.pictures
        stage = base.stages[0]
        texts = [each.infotext for each in self._artifacts]
        texts = texts[:1] + texts if with_grid else texts
        return {
            "prompt": made[0].prompt,
            "all_prompts": [each.prompt for each in made],
            "negative_prompt": made[0].negative,
            "all_negative_prompts": [each.negative for each in made],
            "seed": made[0].seed,
            "all_seeds": [each.seed for each in made],
            "subseed": made[0].subseed,
            "all_subseeds": [each.subseed for each in made],
            "subseed_strength": request.subseed_strength,
            "width": base.width,
            "height": base.height,
            "sampler_name": base.sampler,
            "cfg_scale": base.cfg_scale,
            "steps": base.steps,
            "batch_size": run.plan.batch_size,
            "restore_faces": False,
            "face_restoration_model": None,
            "sd_model_name": stage.checkpoint.stem,
            "sd_model_hash": self._hash(stage.checkpoint),
            "sd_vae_name": stage.vae.path.name if stage.vae else None,
            "sd_vae_hash": self._hash(stage.vae) if stage.vae else None,
            "seed_resize_from_w": request.seed_resize_width,
            "seed_resize_from_h": request.seed_resize_height,
            "denoising_strength": strength(run),
            "extra_generation_params": all_extras(run, made[0], self._last),
            "index_of_first_image": 1 if with_grid else 0,
            "infotexts": texts,
            "styles": list(request.styles),
            "job_timestamp": self._began.strftime("%Y%m%d%H%M%S"),
            "clip_skip": stage.clip_skip,
            "is_using_inpainting_conditioning": bool(self._last and self._last.masked_model),
            "version": VERSION,
        }


def kind_of(run: Run) -> str:
    """Whose output folder the pictures go to."""
    return "txt2img" if run.plan.request.init is None else "img2img"


def init_image_hash(run: Run, picture: Picture) -> str | None:
    """Of an init image that is to be kept, which it is now; None when none is. Raises BlobGone, DiskFull."""
    if not picture.init or not run.settings.saving.save_init_img:
        return None
    gallery = run.bench.gallery
    return gallery.keep_init(upright(gallery.blobs.open(picture.init)), settings=run.settings)


def noise_source_told(asked: str, used: str) -> str:
    """What the infotext names: the source asked for. Off CUDA, NV stands for GPU and gives its pictures, so GPU is
    true.
    """
    return asked if (asked, used) == ("GPU", "NV") else used


def request_json(run: Run, picture: Picture) -> str | None:
    """The whole request as it would make this one picture, for the `maple` chunk; None for a live request."""
    try:
        values = pack(run.plan.request)
    except NotStorable:
        return None
    return json.dumps(values | {"seed": picture.seed, "subseed": picture.subseed}, ensure_ascii=False)


def strength(run: Run) -> float | None:
    """How much of the last pass's start was noise; None when there is nothing but noise to start from."""
    last = run.plan.passes[-1]
    return None if last.enlarge is None and last.init is None else last.denoising_strength


def all_extras(run: Run, picture: Picture, batch: Batch | None) -> dict[str, object]:
    """Everything after the fixed keys of an infotext, in A1111's order."""
    schedule = batch.schedule if batch else schedule_used(run.plan.passes[0])
    init, settings = run.plan.request.init, run.settings.img2img
    from_picture = init is not None or run.plan.request.hires is not None
    blank = ("mask_is_empty", {}) in run.said
    return {
        **controls.control_pairs(run),
        **hires_extras(run, picture),
        **(inpaint_pairs(init.inpaint, blank=blank) if init and init.inpaint else {}),
        **(batch.hashes if batch else {}),
        **init_pairs(
            noise_multiplier=noise_multiplier(init, settings) if init else 1.0,
            extra_noise=settings.extra_noise if from_picture else 0.0,
        ),
        **extras(run, picture, schedule, uneven=bool(batch and batch.uneven)),
        **vae_extras(run, encoded=from_picture),
        **refiner_extras(run),
    }


def vae_extras(run: Run, *, encoded: bool) -> dict[str, object]:
    """Which halves of the VAE a small network stood in for; one that was asked for and is not there did not."""
    model, settings = run.bench.models.current, run.settings.model
    if model is None:
        return {}
    told = {"decoder": settings.vae_decode_method, "encoder": settings.vae_encode_method if encoded else "Full"}
    return {
        f"VAE {part.capitalize()}": method
        for part, method in sorted(told.items(), reverse=True)
        if method == "TAESD" and model.preview_state.get(("TAESD", part)) is not None
    }


def short_title(record: ModelRecord) -> str:
    """A checkpoint as A1111 names it inside an infotext."""
    return f"{record.stem} [{record.shorthash}]" if record.shorthash else record.stem


def refiner_extras(run: Run) -> dict[str, object]:
    """What the refiner adds to the infotext."""
    later = run.plan.passes[-1].stages[1:]
    if not later:
        return {}
    return {"Refiner": short_title(later[0].checkpoint), "Refiner switch at": later[0].from_fraction}


def hires_extras(run: Run, picture: Picture) -> dict[str, object]:
    """What the second pass adds to the infotext, in A1111's order; what is as in the first pass is left out."""
    asked = run.plan.request.hires
    if asked is None:
        return {}
    first, second = run.plan.passes
    told: dict[str, object] = {}
    if picture.hires_prompt != picture.prompt:
        told["Hires prompt"] = picture.hires_prompt
    if picture.hires_negative != picture.negative:
        told["Hires negative prompt"] = picture.hires_negative
    if asked.checkpoint:
        told["Hires checkpoint"] = short_title(second.stages[0].checkpoint)
    if second.sampler != first.sampler:
        told["Hires sampler"] = second.sampler
    if schedule_used(second) != schedule_used(first):
        told["Hires schedule type"] = schedule_used(second)
    if asked.width or asked.height:
        told["Hires resize"] = f"{asked.width}x{asked.height}"
    else:
        told["Hires upscale"] = asked.scale
    if asked.steps:
        told["Hires steps"] = asked.steps
    assert second.enlarge is not None
    return told | {"Hires upscaler": second.enlarge.upscaler}


def extras(run: Run, picture: Picture, schedule: str, *, uneven: bool) -> dict[str, object]:
    """Sampling settings that differ from the defaults and had a say in this picture, by their infotext labels, in
    order.
    """
    options, defaults = run.plan.passes[0].options, Sampling()
    told: dict[str, object] = {}
    for row in declared().values():
        label, name = row.control.infotext, row.name
        if row.group != "sampling" or not label or name in ("noise_source", "ensd"):
            continue
        # A1111 always tells the shape of a Beta schedule.
        differs = options[name] != getattr(defaults, name) or name in ("beta_alpha", "beta_beta")
        if differs and relevant(name, run, picture, schedule, uneven=uneven):
            told[label] = options[name]
    return told


def relevant(name: str, run: Run, picture: Picture, schedule: str, *, uneven: bool) -> bool:
    """Whether a sampling setting changes this picture."""
    row = sampler_row(run.plan.passes[0])
    texts = (picture.prompt, picture.negative)
    match name:
        case "eta_ancestral":
            return "eta" in row.options and not row.timesteps
        case "eta_ddim":
            return "eta" in row.options and row.timesteps
        case (
            "s_churn"
            | "s_tmin"
            | "s_tmax"
            | "s_noise"
            | "unipc_variant"
            | "unipc_skip_type"
            | "unipc_order"
            | ("unipc_lower_order_final")
        ):
            return name in row.options
        case "sigma_min" | "sigma_max" | "rho":
            return not row.timesteps and schedule not in ("Automatic", "Uniform")
        case "beta_alpha" | "beta_beta":
            return schedule == "Beta"
        case "emphasis":
            return any(mark in text for text in texts for mark in "([")
        case "pad_cond_uncond" | "pad_cond_uncond_v0":
            return uneven
        case "use_old_scheduling":
            return any("[" in text for text in texts)
        case _:
            return True
