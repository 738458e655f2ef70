"""Pictures and latents made larger: by interpolation, by Pillow, by a model that spandrel recognises, tile by tile."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor

from webui.catalog.upscalers import UpscalerRow
from webui.domain.errors import BadFile
from webui.engine.device import out_of_memory
from webui.engine.weights import open_weights

FOLDED = ("params_ema.", "params-ema.", "params.", "model_state_dict.", "state_dict.", "model.", "net.")
"""Tables that training programs keep an upscaler's weights under, the one to take first."""
MOST_TURNS = 3
"""A model is applied again until the picture is large enough, at most this often."""


class NoUpscaler(BadFile):
    """A file in an upscaler's folder that is none we can run. Fields: path, reason."""

    key = "no_upscaler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """How a model is fed: squares of `side` pixels (0: the whole picture) that overlap by `overlap`."""

    side: int = 192
    overlap: int = 8


Grow = Callable[[Image.Image], Image.Image]
"""One application of an upscaler; gives the picture back as it is when it cannot enlarge."""
OnTile = Callable[[int, int], None]
"""Told how many of how many tiles of one application are done."""


def enlarge_latents(row: UpscalerRow, latents: Tensor, *, width: int, height: int) -> Tensor:
    """Latents (batch, c, h, w) at another size, in latent pixels."""
    return torch.nn.functional.interpolate(latents, size=(height, width), mode=row.mode, antialias=row.antialias)


def enlarge(picture: Image.Image, width: int, height: int, *, grow: Grow) -> Image.Image:
    """An RGB picture at exactly this size in pixels: grown when it is too small, then fitted with Lanczos."""
    scale = max(width / picture.width, height / picture.height)
    if scale > 1.0:
        picture = grown(picture, scale, grow)
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def grown(picture: Image.Image, scale: float, grow: Grow) -> Image.Image:
    """Grown `scale` times; sizes are multiples of 8, as in A1111, whatever comes after."""
    width, height = (int(side * scale // 8 * 8) for side in picture.size)
    for _ in range(MOST_TURNS):
        if picture.width >= width and picture.height >= height:
            break
        larger = grow(picture)
        if larger.size == picture.size:
            break
        picture = larger
    return picture if picture.size == (width, height) else picture.resize((width, height), Image.Resampling.LANCZOS)


def by_pillow(row: UpscalerRow, scale: float) -> Grow:
    """An upscaler of the table that works on pixels."""
    resample = Image.Resampling[row.resample]
    if row.name == "None":
        return lambda picture: picture
    return lambda picture: picture.resize((int(picture.width * scale), int(picture.height * scale)), resample)


class Upscaler:
    """A model on a device. `scale` is how many times larger its pictures are."""

    def __init__(self, descriptor: ImageModelDescriptor, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        self.scale = descriptor.scale

    @torch.no_grad()
    def grow(self, picture: Image.Image, tiles: Tiles, *, on_tile: OnTile = lambda _done, _all: None) -> Image.Image:
        """An RGB picture `scale` times larger, tile by tile, seams blended. `on_tile` is called before each and may
        raise to end it. Raises OutOfMemory.
        """
        if tiles.side <= 0 or max(picture.size) <= tiles.side:
            on_tile(0, 1)
            return self._whole(picture)
        count = len(places(picture.width, min(tiles.side, picture.width), tiles.overlap))
        count *= len(places(picture.height, min(tiles.side, picture.height), tiles.overlap))
        done = iter(range(count))

        def make(tile: Image.Image) -> Image.Image:
            on_tile(next(done), count)
            return self._whole(tile)

        return joined(picture, tiles, self.scale, make)

    def _whole(self, picture: Image.Image) -> Image.Image:
        # Blue first: A1111 feeds every model so, and pictures made there depend on it.
        values = np.ascontiguousarray(np.asarray(picture.convert("RGB"))[:, :, ::-1].transpose(2, 0, 1))
        device = self._descriptor.device
        given = torch.from_numpy(values).to(device, torch.float32).div(255).unsqueeze(0).to(self._descriptor.dtype)
        try:
            made = self._descriptor(given)[0].float().cpu().clamp(0, 1)
        except RuntimeError as error:
            if (failed := out_of_memory(error, doing="upscaler", device=device)) is not None:
                raise failed from error
            raise
        bytes_ = made.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()[:, :, ::-1]
        return Image.fromarray(np.ascontiguousarray(bytes_))


def load_upscaler(path: Path, *, device: torch.device, half: bool = False) -> Upscaler:
    """A model from a weight file; nothing in it is executed. Raises NoUpscaler, BrokenFile, UnsafeFile, ModelGone."""
    with open_weights(path) as weights:
        state = unfolded({name: weights.read(name).clone() for name in weights})
    try:
        found = ModelLoader(device=device).load_from_state_dict(state)
    except (UnsupportedModelError, KeyError, ValueError, RuntimeError) as error:
        raise NoUpscaler(path=str(path), reason=str(error).splitlines()[0] if str(error) else "?") from error
    if not isinstance(found, ImageModelDescriptor) or (found.input_channels, found.output_channels) != (3, 3):
        raise NoUpscaler(path=str(path), reason=f"{found.architecture.name}: not from picture to picture")
    found.eval()
    if half and found.supports_half:
        found.half()
    return Upscaler(found, path)


def unfolded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the first table in FOLDED, its name left out; all of them when none stands there."""
    for prefix in FOLDED:
        inside = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        # `model.0.weight` is ESRGAN's own first layer, not a table.
        if inside and (len(inside) == len(state) or prefix.startswith("params")) and not _numbered(inside):
            return inside
    return dict(state)


def _numbered(names: Mapping[str, Tensor]) -> bool:
    return any(name.split(".", 1)[0].isdecimal() for name in names)


def joined(picture: Image.Image, tiles: Tiles, scale: int, make: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture made tile by tile; where two overlap, one fades into the other. `make` gives `scale` times the
    size.
    """
    width, height = picture.size
    rows: list[tuple[int, Image.Image]] = []
    tall, wide = min(tiles.side, height), min(tiles.side, width)
    for top in places(height, tall, tiles.overlap):
        row = Image.new("RGB", (width * scale, tall * scale))
        for number, left in enumerate(lefts := places(width, wide, tiles.overlap)):
            made = make(picture.crop((left, top, left + wide, top + tall)))
            shared = (lefts[number - 1] + wide - left) * scale if number else 0
            row.paste(made, (left * scale, 0), _fading(made.size, shared, across=True))
        rows.append((top, row))
    whole = Image.new("RGB", (width * scale, height * scale))
    for number, (top, row) in enumerate(rows):
        shared = (rows[number - 1][0] + tall - top) * scale if number else 0
        whole.paste(row, (0, top * scale), _fading(row.size, shared, across=False))
    return whole


def places(length: int, side: int, overlap: int) -> Sequence[int]:
    """Where tiles of `side` begin along `length`, evenly, so that neighbours share `overlap` at least."""
    if length <= side:
        return [0]
    count = -(-(length - overlap) // max(side - overlap, 1))
    step = (length - side) / max(count - 1, 1)
    return [int(number * step) for number in range(count)]


def _fading(size: tuple[int, int], shared: int, *, across: bool) -> Image.Image:
    """A mask (width, height): 0 to 255 over the first `shared` pixels across or down, 255 after."""
    length = size[0] if across else size[1]
    ramp = np.full(length, 255, np.uint8)
    ramp[:shared] = (np.arange(shared) + 0.5) / max(shared, 1) * 255
    lines = np.broadcast_to(ramp[None, :] if across else ramp[:, None], (size[1], size[0]))
    return Image.fromarray(np.ascontiguousarray(lines))
