"""What a picture will need of a device's memory, by configuration and size, before anything is run.

The factors were measured on the real modules (each tensor alive counted on torch's `meta` device, attention as fused
kernels do it); `tests/engine/test_budget.py` measures them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTENDED, PLAIN = 26.0, 16.0
"""Numbers alive at once, per latent pixel and channel of the first level: with attention on that level, without."""
DECODED, ENCODED = 6.0, 5.0
"""The same of a VAE, per pixel and channel of its widest picture-sized level."""
SPARE = 1.25
"""What allocators and convolutions take beside that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes. `weights` by part ("text", "unet", "vae"); `sampling` and `decoding`: what runs take beside them."""

    weights: Mapping[str, int]
    sampling: int
    decoding: int

    @property
    def whole(self) -> int:
        """With every part on the device."""
        return sum(self.weights.values()) + max(self.sampling, self.decoding)

    @property
    def in_turns(self) -> int:
        """With one part at a time on the device."""
        return max(
            self.weights.get("unet", 0) + self.sampling,
            self.weights.get("vae", 0) + self.decoding,
            self.weights.get("text", 0),
        )


def unet_run(config: Mapping[str, Any], *, width: int, height: int, rows: int, itemsize: int) -> int:
    """Bytes one call of a UNet takes beside its weights: `rows` pictures of width × height pixels."""
    channels = config["block_out_channels"][0]
    factor = ATTENDED if "Attn" in config["down_block_types"][0] else PLAIN
    return int(rows * (width // 8) * (height // 8) * channels * factor * itemsize * SPARE)


def vae_run(config: Mapping[str, Any], *, width: int, height: int, itemsize: int, encoding: bool = False) -> int:
    """Bytes decoding (or encoding) one picture of width × height pixels takes beside the weights."""
    channels = config["block_out_channels"][0]
    return int(width * height * channels * (ENCODED if encoding else DECODED) * itemsize * SPARE)
