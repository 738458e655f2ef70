"""A request resolved: every name a record, every seed a number, before a weight is read."""

from dataclasses import dataclass, field
from typing import Any

from webui.domain.controlnet import ControlUnit
from webui.domain.model import ModelRecord
from webui.domain.request import GenerationRequest, Init, NoiseSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture to make. Prompts are whole (styles merged, comments removed, tags kept)."""

    prompt: str
    negative: str
    seed: int
    subseed: int
    hires_prompt: str = ""
    hires_negative: str = ""
    """Of the second pass, when there is one."""
    init: str = ""
    """Blob id of the picture it starts from, in img2img."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A model in force from a fraction of the pass on. `vae` None: the checkpoint's own."""

    checkpoint: ModelRecord
    vae: ModelRecord | None = None
    clip_skip: int = 1
    from_fraction: float = 0.0
    patches: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Enlarge:
    """How a pass comes by the picture it starts from: the last pass's, enlarged. Sizes in pixels, before cutting."""

    upscaler: str
    width: int
    height: int
    model: ModelRecord | None = None
    """The upscaler's file, when it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One run of the sampler. Sizes in pixels, multiples of 8. `sampler` and `schedule` are canonical names."""

    width: int
    height: int
    sampler: str
    schedule: str
    steps: int
    cfg_scale: float
    stages: tuple[Stage, ...]
    noise_source: NoiseSource = NoiseSource.GPU
    enlarge: Enlarge | None = None
    """None: from noise alone, or from `init`."""
    init: Init | None = None
    """How a pass starts from its pictures' `init` (img2img)."""
    given: str = ""
    """Blob id of a picture that stands for what the pass would make: nothing is sampled."""
    denoising_strength: float = 1.0
    """How much of the picture a pass starts from is noise."""
    whole_steps: bool = True
    """Of a pass that starts from a picture: all `steps` are walked, not the share that is noise."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Every sampler and schedule option, resolved: eta_ancestral, s_churn, ensd, rho, beta_alpha, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedControl:
    """A ControlNet unit resolved."""

    number: int
    """Its place among the page's units, from 0; infotext names it so."""
    unit: ControlUnit
    detector: str
    """The preprocessor's canonical name (`catalog.detectors`)."""
    model: ModelRecord | None = None
    """None where the preprocessor guides without a network (reference-only)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Pictures in order, cut into batches of `batch_size`; every batch goes through every pass."""

    request: GenerationRequest
    pictures: tuple[Picture, ...]
    passes: tuple[Pass, ...]
    batch_size: int = 1
    controls: tuple[PlannedControl, ...] = ()
    notes: tuple[tuple[str, dict[str, Any]], ...] = ()
    """What the person should know, keys into words with fields: a missing VAE, a size rounded, ..."""
