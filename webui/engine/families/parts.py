"""What a family gives the loader: one configuration per module, and what the checkpoint says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webui.engine.loading import Names
from webui.engine.types import COND


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What SDXL is told of the picture beside its text: sizes in pixels, aesthetic scores (0 to 10, the refiner's)."""

    width: int
    height: int
    crop_top: int = 0
    crop_left: int = 0
    score: float = 6.0
    negative_score: float = 2.5

    def score_of(self, role: str) -> float:
        return self.score if role == COND else self.negative_score


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """One text encoder: a CLIPTextModel, or `projected` one whose pooled text the UNet hears too.

    `name`: "clip_l" or "clip_g", as files of embeddings have it. `names`: where its weights lie in the file. `entries`:
    tensors under those names that the file does not hold as such (rows of a stacked one). `pad`: token after the end
    token, None for the end token itself. `layer`: the n-th last hidden state as it is; None: the last one, or as clip
    skip says, through the final LayerNorm.
    """

    name: str
    config: Mapping[str, Any]
    names: Names
    entries: Mapping[str, Any] = field(default_factory=dict[str, Any])
    projected: bool = False
    pad: int | None = None
    layer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Constructor arguments of UNet2DConditionModel and AutoencoderKL (None: no VAE in the file), the text encoders in
    the order their states stand side by side, and the family's own facts.
    """

    unet: Mapping[str, Any]
    texts: tuple[TextPart, ...]
    vae: Mapping[str, Any] | None
    scale: float
    """Latents are multiplied by this; it makes the family's VAE's latents unit variance."""
    native_size: tuple[int, int] = (512, 512)
    """(width, height) in pixels the model was trained at."""
    v_prediction: bool = False
    zero_terminal_snr: bool = False
    """Trained down to pure noise: its noise levels are stretched."""
    numbers: Callable[[Framing, str], tuple[float, ...]] | None = None
    """What the UNet is told of sizes and scores, by the role of the call."""
    zero_empty_negative: bool = False
    """An empty negative prompt is zeros, not the text states of nothing."""
    embedded: Mapping[str, Any] = field(default_factory=dict)
    """The checkpoint's own `maple.config`, empty for files of others."""

    @property
    def text(self) -> Mapping[str, Any]:
        """The first text encoder's configuration."""
        return self.texts[0].config
