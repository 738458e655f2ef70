"""What was asked: plain values, stored as they came, never rewritten."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
    hires: Hires | None = None
    refiner: Refiner | None = None
    options: SamplerOptions = field(default_factory=SamplerOptions)
    overrides: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Settings for this run alone, by our dotted key (`engine.noise_source`)."""
    save: bool = True
    """Write pictures to the output folders (the page does; /sdapi asks for it)."""
    save_grid: bool = True
