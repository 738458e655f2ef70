"""What was asked: plain values, stored as they came, never rewritten."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webui.domain.controlnet import ControlUnit


class NoiseSource(StrEnum):
    """Where starting noise comes from (A1111's randn_source)."""

    GPU = "GPU"
    CPU = "CPU"
    NV = "NV"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerOptions:
    """Per-request sampler options; None means "as the settings say"."""

    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    s_min_uncond: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hires:
    """A second pass over the enlarged picture. "" and 0 mean "as in the first pass"."""

    picture: str = ""
    """Blob id of a finished picture that stands for the first pass's, which is not made then (A1111's ✨)."""
    scale: float = 2.0
    """Used when neither width nor height is given."""
    width: int = 0
    """Pixels; one side alone keeps the proportions, both are filled and the rest is cut off."""
    height: int = 0
    upscaler: str = "Latent"
    steps: int = 0
    denoising_strength: float = 0.7
    sampler: str = ""
    schedule: str = ""
    checkpoint: str = ""
    prompt: str = ""
    negative_prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refiner:
    """A second checkpoint that takes over when `switch_at` (0 to 1) of the noise levels are behind."""

    checkpoint: str
    switch_at: float = 0.8


class ResizeMode(StrEnum):
    """How an init image comes to the asked size; the order is A1111's numbering, 0 to 3."""

    STRETCH = "Just resize"
    CROP = "Crop and resize"
    FILL = "Resize and fill"
    LATENT = "Just resize (latent upscale)"


class MaskedContent(StrEnum):
    """What lies under the mask before sampling; the order is A1111's numbering, 0 to 3."""

    FILL = "fill"
    ORIGINAL = "original"
    LATENT_NOISE = "latent noise"
    LATENT_NOTHING = "latent nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftInpainting:
    """Blends by how much each place has changed instead of by the mask's edge; A1111's built-in script of that name."""

    schedule_bias: float = 1.0
    """0 to 8."""
    preservation_strength: float = 0.5
    """0 to 8."""
    transition_contrast_boost: float = 4.0
    """1 to 32."""
    mask_influence: float = 0.0
    """0 to 1."""
    difference_threshold: float = 0.5
    """0 to 8."""
    difference_contrast: float = 2.0
    """0 to 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inpaint:
    """Which part of the init image is painted anew. `mask` is a blob id; white is painted, alpha is not looked at."""

    mask: str
    blur_x: float = 4
    """Pixels, 0 to 64."""
    blur_y: float = 4
    invert: bool = False
    """Paint what the mask leaves out."""
    content: MaskedContent = MaskedContent.ORIGINAL
    only_masked: bool = False
    """Cut out the mask's surroundings, work on them at the asked size, paste them back."""
    padding: int = 32
    """Pixels kept around the mask with `only_masked`, 0 to 256."""
    round_mask: bool = True
    """Latents are kept or painted, nothing between (A1111's mask_round)."""
    soft: SoftInpainting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """Pictures to start from: blob ids (`gallery.blobs`), one for all pictures of a batch or one for each."""

    images: tuple[str, ...]
    denoising_strength: float = 0.75
    """0 to 1."""
    resize_mode: ResizeMode = ResizeMode.STRETCH
    scale: float = 0.0
    """Asked size as a multiple of the first image's, 0.05 to 4; 0: the request's width and height count."""
    image_cfg_scale: float | None = None
    """Of instruct-pix2pix checkpoints alone; None: 1.5."""
    inpaint: Inpaint | None = None
    latent_mask: str = ""
    """Blob id of a mask that is laid over the latents alone, without overlay (A1111's latent_mask)."""
    noise_multiplier: float | None = None
    """0 to 1.5; None: as the settings say (A1111's initial_noise_multiplier)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A request for pictures. Sizes in pixels; `seed` -1 asks for a random one; `prompts`, one per picture, beats
    `prompt`.
    """

    prompt: str = ""
    negative_prompt: str = ""
    prompts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()
    checkpoint: str = ""
    """A name, title or hash; "" takes the settings' checkpoint."""
    vae: str = ""
    """A name, "Automatic" or "None"; "" takes the settings' VAE."""
    clip_skip: int | None = None
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    steps: int = 20
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    batch_size: int = 1
    batch_count: int = 1
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_width: int = 0
    seed_resize_height: int = 0
    tiling: bool = False
    networks: bool = True
    """Follow `<lora:…>` and `<hypernet:…>`; False takes these tags out of the prompts and follows none (A1111's
    disable_extra_networks).
    """
    init: Init | None = None
    """None: from noise alone (txt2img)."""
    hires: Hires | None = None
    refiner: Refiner | None = None
    controls: tuple[ControlUnit, ...] = ()
    """ControlNet units that are switched on, in order."""
    options: SamplerOptions = field(default_factory=SamplerOptions)
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings for this run alone, by our dotted key (`engine.noise_source`)."""
    save: bool = True
    """Write pictures to the output folders (the page does; /sdapi asks for it)."""
    save_grid: bool = True
