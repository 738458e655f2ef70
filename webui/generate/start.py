"""Where a pass starts from when it is not noise alone: init images made ready, encoded, masked.

Each picture's own generator draws from the VAE's posterior, so a picture comes out the same alone, in a batch and
after a restart. A1111 draws from whatever state its last picture left (`Bench.draws` can stand for that).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from webui.catalog.upscalers import UPSCALERS, named_upscaler
from webui.domain import Init, Inpaint, MaskedContent, ModelRecord, Pass, Picture, ResizeMode
from webui.engine import mask as masks
from webui.engine.blend import Blend
from webui.engine.mask import Canvas
from webui.engine.model import LoadedModel
from webui.engine.noise import generator_for
from webui.engine.resize import Box, GrowerFor, flattened, resized, upright
from webui.engine.upscale import Grow, Tiles, by_pillow
from webui.generate.running import Run
from webui.settings.groups import Img2img


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a batch starts from: latents (batch, c, h, w), a share of noise over them, `concat` (batch, k, h, w) beside
    them; `canvases`, one per picture, are what results are laid into.
    """

    latents: Tensor | None
    """None: from noise alone."""
    noise_multiplier: float = 1.0
    blend: Blend | None = None
    concat: Tensor | None = None
    canvases: tuple[Canvas, ...] = ()
    originals: tuple[Image.Image, ...] = ()
    """The init images as they lie under the results (RGB), for soft inpainting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A mask made ready. `worked`: in the size of the pass; `shown`: over the finished picture; `region` of it that is
    worked on; `latent`: over the latents, when that is another one.
    """

    worked: Image.Image
    shown: Image.Image
    region: Box | None = None
    latent: Image.Image | None = None

    @property
    def over_latents(self) -> Image.Image:
        return self.latent or self.worked


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One init image made ready: `picture` (RGB) to be encoded."""

    picture: Image.Image
    canvas: Canvas
    original: Image.Image
    masked: Masked | None


def from_pictures(run: Run, each: Pass, pictures: Sequence[Picture], model: LoadedModel) -> Start:
    """What an img2img pass starts from. Raises BlobGone, NoVae, OutOfMemory, UnknownUpscaler."""
    init = each.init
    assert init is not None
    made: dict[str, Ready] = {}
    for picture in pictures:
        if picture.init not in made:
            made[picture.init] = ready(run, each, init, picture.init)
    ready_ones = [made[picture.init] for picture in pictures]
    draws = run.bench.draws([picture.seed for picture in pictures])
    latents = encoded(ready_ones, model, draws, each)
    concat = beside(run, each, model, ready_ones, draws)
    blend = None
    painted = None
    if any(one.masked for one in ready_ones):
        latents, painted = masked_latents(init, ready_ones, latents, each, pictures, model)
    latents = run.bench.hooks.transform("transform_start", latents, "latent", pictures=pictures)
    if painted is not None:
        blend = Blend(original=latents, painted=painted, soft=init.inpaint.soft if init.inpaint else None)
    return Start(
        latents=latents, blend=blend, concat=concat, canvases=tuple(one.canvas for one in ready_ones),
        originals=tuple(one.original for one in ready_ones),
        noise_multiplier=noise_multiplier(init, run.settings.img2img),
    )  # fmt: skip


def noise_multiplier(init: Init, settings: Img2img) -> float:
    """How strong the noise over the init image is: the request's word, else the setting."""
    return settings.noise_multiplier if init.noise_multiplier is None else init.noise_multiplier


def ready(run: Run, each: Pass, init: Init, blob: str) -> Ready:
    """One init image, resized, cut out and filled as asked. Raises BlobGone."""
    settings, blobs = run.settings.img2img, run.bench.gallery.blobs
    original = flattened(upright(blobs.open(blob)), settings.background_color)
    masked = mask_ready(run, each, init, original)
    grower = grower_for(run, settings.upscaler)
    region = masked.region if masked else None
    if region is None and init.resize_mode is not ResizeMode.LATENT:
        original = resized(original, init.resize_mode, each.width, each.height, grower=grower)
    shown = masked.shown if masked else None
    if shown is not None and shown.size != original.size:
        shown = resized(shown, init.resize_mode, *original.size).convert("L")
    picture = original
    if region is not None:
        picture = resized(original.crop(region), ResizeMode.FILL, each.width, each.height, grower=grower)
    if masked is not None and _content(init) is not MaskedContent.ORIGINAL:
        picture = masks.filled(picture, _fitting(masked.over_latents, picture.size))
    canvas = Canvas(
        # A mask over the latents alone leaves the pixels to the VAE.
        overlay=masks.overlay_of(original, shown) if shown is not None and init.inpaint and settings.overlay else None,
        mask=shown if init.inpaint else None,
        region=region,
        colours=picture if settings.color_correction else None,
    )
    return Ready(picture=picture, canvas=canvas, original=original, masked=masked)


def mask_ready(run: Run, each: Pass, init: Init, original: Image.Image) -> Masked | None:
    """The mask for one init image, or None: there is none, or only what is masked was to be painted and nothing is."""
    inpaint, blobs = init.inpaint, run.bench.gallery.blobs
    over = blobs.open(init.latent_mask).convert("L") if init.latent_mask else None
    if inpaint is None:
        return None if over is None else Masked(worked=over, shown=over, latent=over)
    mask = masks.mask_of(upright(blobs.open(inpaint.mask)), rounded=is_round(inpaint))
    if inpaint.only_masked and mask.size != original.size:
        mask = mask.resize(original.size, Image.Resampling.LANCZOS)
    if inpaint.invert:
        mask = ImageOps.invert(mask)
    mask = masks.blurred(mask, inpaint.blur_x, inpaint.blur_y)
    if not inpaint.only_masked:
        worked = resized(mask, init.resize_mode, each.width, each.height).convert("L")
        return Masked(worked=worked, shown=masks.strengthened(worked), latent=over)
    region = masks.region_of(mask, padding=inpaint.padding, width=each.width, height=each.height)
    if region is None:
        run.say_once("mask_is_empty", {})
        return None
    worked = resized(mask.crop(region), ResizeMode.FILL, each.width, each.height).convert("L")
    return Masked(worked=worked, shown=mask, region=region, latent=over)


def is_round(inpaint: Inpaint) -> bool:
    """Whether latents are kept or painted with nothing between; soft inpainting lives from what is between."""
    return inpaint.round_mask and inpaint.soft is None


def encoded(ones: Sequence[Ready], model: LoadedModel, draws: Sequence[torch.Generator], each: Pass) -> Tensor:
    """Latents of the init images (batch, c, h, w) at the size of the pass."""
    size = each.height // model.factor, each.width // model.factor
    made: list[Tensor] = []
    for one, draw in zip(ones, draws, strict=True):
        latent = model.encode(to_tensor(one.picture)[None], draws=[draw])
        if latent.shape[2:] != size:
            latent = torch.nn.functional.interpolate(latent, size=size, mode="bilinear")
        made.append(latent)
    return torch.cat(made)


def masked_latents(
    init: Init, ones: Sequence[Ready], latents: Tensor, each: Pass, pictures: Sequence[Picture], model: LoadedModel
) -> tuple[Tensor, Tensor]:
    """Latents with noise or nothing under the mask where that is asked for, and the mask over them (batch, 1, h, w)."""
    rounded = is_round(init.inpaint) if init.inpaint else True
    height, width = latents.shape[2:]
    painted = torch.stack([_over(one, width=width, height=height, rounded=rounded) for one in ones]).to(latents.device)
    content = _content(init)
    if content is MaskedContent.LATENT_NOISE:
        shape, source = tuple(latents.shape[1:]), each.noise_source
        streams = [generator_for(picture.seed, source=source, device=model.device) for picture in pictures]
        noise = torch.stack([stream.randn(shape) for stream in streams]).to(latents)
        latents = latents * (1 - painted) + noise * painted
    elif content is MaskedContent.LATENT_NOTHING:
        latents = latents * (1 - painted)
    return latents, painted


def _over(one: Ready, *, width: int, height: int, rounded: bool) -> Tensor:
    if one.masked is None:
        return torch.ones(1, height, width)
    return masks.over_latents(one.masked.over_latents, width=width, height=height, rounded=rounded)


def _content(init: Init) -> MaskedContent:
    return init.inpaint.content if init.inpaint else MaskedContent.ORIGINAL


def _fitting(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    return mask if mask.size == size else mask.resize(size, Image.Resampling.LANCZOS)


# --- what inpainting and pix2pix models see beside the latents


def beside(
    run: Run, each: Pass, model: LoadedModel, ones: Sequence[Ready], draws: Sequence[torch.Generator]
) -> Tensor | None:
    """Further channels (batch, k, h, w): mask and masked picture for inpainting models, the picture for pix2pix."""
    size = each.height // model.factor, each.width // model.factor
    kind = extra_channels(model)
    if kind == "pix2pix":
        # Neither drawn nor scaled: that is how these models were trained.
        return torch.cat([_sized(model.encode(to_tensor(one.picture)[None]) / model.scale, size) for one in ones])
    if kind != "inpaint":
        return None
    rounded = each.init is None or each.init.inpaint is None or is_round(each.init.inpaint)
    weight = run.settings.img2img.mask_weight
    made: list[Tensor] = []
    for one, draw in zip(ones, draws, strict=True):
        picture = to_tensor(one.picture)[None] * 2 - 1
        mask = torch.ones(1, 1, *picture.shape[2:])
        if one.masked is not None and one.canvas.mask is not None:
            worked = _fitting(one.masked.worked, one.picture.size)
            mask = torch.from_numpy(np.asarray(worked.convert("L")).astype(np.float32) / 255)[None, None]
            mask = mask.round() if rounded else mask
        hidden = torch.lerp(picture, picture * (1 - mask), weight)
        latent = _sized(model.encode((hidden + 1) / 2, draws=[draw]), size)
        made.append(torch.cat([torch.nn.functional.interpolate(mask, size=size).to(latent), latent], 1))
    return torch.cat(made)


def beside_nothing(each: Pass, model: LoadedModel, draws: Sequence[torch.Generator]) -> Tensor | None:
    """The same where there is no picture to start from: all of it is masked."""
    kind = extra_channels(model)
    size = each.height // model.factor, each.width // model.factor
    if kind == "pix2pix":
        return torch.zeros(len(draws), model.latent_channels, *size, device=model.device)
    if kind != "inpaint":
        return None
    grey = torch.full((1, 3, each.height, each.width), 0.5)
    latents = torch.cat([_sized(model.encode(grey, draws=[draw]), size) for draw in draws])
    return torch.cat([torch.ones_like(latents[:, :1]), latents], 1)


def extra_channels(model: LoadedModel) -> str:
    """ "inpaint", "pix2pix" or "": by how many channels the network takes beyond the latents'."""
    more = model.unet.conv_in.in_channels - model.latent_channels
    return {model.latent_channels + 1: "inpaint", model.latent_channels: "pix2pix"}.get(more, "")


def _sized(latent: Tensor, size: tuple[int, int]) -> Tensor:
    return latent if latent.shape[2:] == size else torch.nn.functional.interpolate(latent, size=size, mode="bilinear")


# --- enlarging


def grower_for(run: Run, name: str) -> GrowerFor | None:
    """What enlarges init images, by the setting's name; None for Lanczos alone. Raises UnknownUpscaler."""
    if name in ("", "None"):
        return None
    known, record = named_upscaler(run.bench.catalog, name)

    def make(picture: Image.Image, width: int, height: int) -> Grow:
        return grower(run, known, record, max(width / picture.width, height / picture.height))

    return make


def grower(run: Run, name: str, record: ModelRecord | None, scale: float) -> Grow:
    """One application of an upscaler: a model's, or a row's of the table."""
    if record is not None:
        upscaler, settings = run.bench.models.upscaler(record), run.settings.upscaling
        return partial(upscaler.grow, tiles=Tiles(side=settings.tile, overlap=settings.tile_overlap))
    row = UPSCALERS.find(name)
    assert row is not None, "the plan's names are in the table"
    return by_pillow(row, scale)


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB picture as (3, height, width) fp32 in [0, 1]."""
    return torch.from_numpy(np.asarray(image.convert("RGB")).astype(np.float32) / 255).permute(2, 0, 1)
