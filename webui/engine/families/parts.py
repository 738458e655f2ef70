"""What a family gives the loader: one configuration per module, and what the checkpoint says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Constructor arguments of UNet2DConditionModel, AutoencoderKL (None: no VAE in the file) and CLIPTextConfig."""

    unet: Mapping[str, Any]
    text: Mapping[str, Any]
    vae: Mapping[str, Any] | None
    native_size: tuple[int, int] = (512, 512)
    """(width, height) in pixels the model was trained at."""
    v_prediction: bool = False
    embedded: Mapping[str, Any] = field(default_factory=dict)
    """The checkpoint's own `maple.config`, empty for files of others."""
