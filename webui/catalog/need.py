"""What a picture will need of a device's memory, by headers and sizes, before a weight is read.

The factors were measured on the real modules (each tensor alive counted on torch's `meta` device, attention as fused
kernels do it); `tests/engine/test_memory.py` measures them again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from webui.catalog import header as headers
from webui.catalog.header import Tensor
from webui.catalog.sniff import sniff
from webui.domain import ModelRecord
from webui.domain.errors import BrokenFile

ATTENDED, PLAIN = 26.0, 16.0
"""Numbers alive at once, per latent pixel and channel of the first level: with attention on that level, without."""
DECODED, ENCODED = 6.0, 5.0
"""The same of a VAE, per pixel and channel of its widest picture-sized level."""
SPARE = 1.25
"""What allocators and convolutions take beside that."""

UNET, VAE, AVERAGES = "model.diffusion_model.", "first_stage_model.", "model_ema."
TEXTS = ("cond_stage_model.", "conditioner.")
FOLDER_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
MOST_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes. `weights` by part ("text", "unet", "vae", ...); `sampling` and `decoding`: what runs take beside them."""

    weights: Mapping[str, int]
    sampling: int
    decoding: int

    @property
    def run(self) -> int:
        """Beside the weights, at most."""
        return max(self.sampling, self.decoding)

    @property
    def whole(self) -> int:
        """With every part on the device."""
        return sum(self.weights.values()) + self.run

    @property
    def in_turns(self) -> int:
        """With one part at a time on the device."""
        return max(
            self.weights.get("unet", 0) + self.weights.get("control", 0) + self.sampling,
            self.weights.get("vae", 0) + self.decoding,
            self.weights.get("text", 0),
        )


def unet_run(config: Mapping[str, Any], *, width: int, height: int, rows: int, itemsize: int) -> int:
    """Bytes one call of a UNet takes beside its weights: `rows` pictures of width × height pixels."""
    attended = "Attn" in config["down_block_types"][0]
    return sampled(config["block_out_channels"][0], attended, width=width, height=height, rows=rows, itemsize=itemsize)


def sampled(channels: int, attended: bool, *, width: int, height: int, rows: int, itemsize: int) -> int:
    """The same by the channels of the first level, and whether that has attention."""
    factor = ATTENDED if attended else PLAIN
    return int(rows * (width // 8) * (height // 8) * channels * factor * itemsize * SPARE)


def vae_run(config: Mapping[str, Any], *, width: int, height: int, itemsize: int, encoding: bool = False) -> int:
    """Bytes decoding (or encoding) one picture of width × height pixels takes beside the weights."""
    return decoded(config["block_out_channels"][0], width=width, height=height, itemsize=itemsize, encoding=encoding)


def decoded(channels: int, *, width: int, height: int, itemsize: int, encoding: bool = False) -> int:
    """The same by the channels of the level that is as large as the picture."""
    return int(width * height * channels * (ENCODED if encoding else DECODED) * itemsize * SPARE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What a header tells: numbers by part, and the widths that decide what a run takes. 0: there is no such part."""

    unet: int = 0
    text: int = 0
    vae: int = 0
    other: int = 0
    """Numbers of no part above: all of a ControlNet's, say."""
    channels: int = 0
    attended: bool = False
    vae_channels: int = 0


class Measures:
    """Sizes by file, read once for each version of it."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], Sizes | None] = {}

    def of(self, record: ModelRecord) -> Sizes | None:
        """None for what cannot be read: loading will say why."""
        key = record.path, record.size, record.mtime_ns
        if key not in self._known:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            self._known[key] = _read(record.path)
        return self._known[key]


def _read(path: Path) -> Sizes | None:
    try:
        return sizes(_folder(path) if path.is_dir() else sniff(path).tensors)
    except (BrokenFile, OSError):
        return None


def _folder(path: Path) -> dict[str, Tensor]:
    """The tensors of a diffusers folder as "<part>/<name>". A part without safetensors is not counted."""
    found: dict[str, Tensor] = {}
    for part in FOLDER_PARTS:
        files = sorted((path / part).glob("*.safetensors"))
        # Half and full precision may lie side by side, of which one is read.
        whole = [file for file in files if ".fp16." not in file.name] or files
        for file in whole:
            found |= {f"{part}/{name}": tensor for name, tensor in headers.read_safetensors(file).tensors.items()}
    return found


def sizes(tensors: Mapping[str, Tensor]) -> Sizes:
    """Sizes from tensor names and shapes, in LDM's layout or a diffusers folder's (as `_folder` names them).

    >>> table = {"model.diffusion_model.input_blocks.0.0.weight": Tensor("F16", (320, 4, 3, 3))}
    >>> sizes(table).channels
    320
    """
    counted: dict[str, int] = {}
    for name, tensor in tensors.items():
        if name.startswith(AVERAGES):
            continue  # training's, which nobody loads
        part = _part(name)
        counted[part] = counted.get(part, 0) + math.prod(tensor.shape)
    ldm, folder = f"{UNET}input_blocks.", "unet/"
    return Sizes(
        **counted,
        channels=_side(tensors, (f"{ldm}0.0.weight", f"{folder}conv_in.weight"), 0),
        attended=any(name.startswith((f"{ldm}1.1.", f"{folder}down_blocks.0.attentions.")) for name in tensors),
        vae_channels=_side(
            tensors, (f"{VAE}decoder.conv_out.weight", "vae/decoder.conv_out.weight", "decoder.conv_out.weight"), 1
        ),
    )


def _part(name: str) -> str:
    if name.startswith((UNET, "unet/")):
        return "unet"
    if name.startswith((VAE, "vae/", "decoder.", "encoder.", "quant_conv.", "post_quant_conv.")):
        return "vae"
    if name.startswith((*TEXTS, "text_encoder/", "text_encoder_2/")):
        return "text"
    return "other"


def _side(tensors: Mapping[str, Tensor], names: Sequence[str], axis: int) -> int:
    found = next((tensors[name].shape for name in names if name in tensors), ())
    return found[axis] if len(found) > axis else 0


class Fits(StrEnum):
    """How a need and the free memory go together."""

    WHOLE = "whole"
    TURNS = "turns"
    """One part on the device at a time."""
    TIGHT = "tight"
    """Batches split, tiles, or layer by layer."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A device before a run: bytes free (None: not known yet), bytes a number takes by part, and the checkpoint in its
    memory with the bytes its weights hold there.
    """

    device: str = "cpu"
    free: int | None = None
    itemsize: Mapping[str, int]
    held: Path | None = None
    held_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What is said before a run: bytes still needed (weights in memory already are not), bytes there are, and how that
    goes together.
    """

    need: Need
    missing: int
    free: int | None
    fits: Fits


def stated(
    *, checkpoint: ModelRecord, sizes: Sizes, vae: Sizes | None, others: Sequence[Sizes], size: tuple[int, int],
    batch: int, room: Room,
) -> Stated:  # fmt: skip
    """The need of pictures of `size` (width, height; the largest pass) in batches. `vae`: an external one in the
    checkpoint's stead; `others`: what is loaded beside (refiner, ControlNet).
    """
    width, height = size
    own = vae or sizes
    weights = {
        "unet": sizes.unet * room.itemsize["unet"],
        "text": sizes.text * room.itemsize["text"],
        "vae": own.vae * room.itemsize["vae"],
        "control": sum(each.unet + each.text + each.other for each in others) * room.itemsize["unet"],
    }
    need = Need(
        weights=weights,
        sampling=sampled(
            sizes.channels, sizes.attended, width=width, height=height, rows=2 * batch, itemsize=room.itemsize["unet"]
        ),
        decoding=decoded(own.vae_channels, width=width, height=height, itemsize=room.itemsize["vae"]),
    )
    here = room.held == checkpoint.path
    missing = need.run + (weights["control"] if here else sum(weights.values()))
    if room.free is None:
        return Stated(need=need, missing=missing, free=None, fits=Fits.UNKNOWN)
    # Another model in memory goes before this one comes.
    free = room.free + (0 if here else room.held_bytes)
    if missing <= free:
        fits = Fits.WHOLE
    elif room.device != "cpu" and need.in_turns <= free + (room.held_bytes if here else 0):
        fits = Fits.TURNS
    else:
        fits = Fits.TIGHT
    return Stated(need=need, missing=missing, free=free, fits=fits)
