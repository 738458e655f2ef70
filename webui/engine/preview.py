"""What a picture looks like while it forms: four ways from latents to pixels, named as A1111's live preview methods.

"Approx cheap" is a 4 → 3 linear map, one pixel per latent. "Approx NN" and "TAESD" are small decoders that lie in
models/VAE-approx and models/VAE-taesd when somebody put them there; without them "Approx cheap" stands in, and says so.
"Full" is the VAE. Add one: a function (model, latents, folders) → pictures in `METHODS`.
"""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from webui.engine import taesd
from webui.engine.loading import fill
from webui.engine.model import LoadedModel
from webui.engine.weights import Weights

# Least squares between Stable Diffusion's or SDXL's latents and pixels in [-1, 1], as published by users; A1111's too.
SD1_FACTORS = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
SDXL_FACTORS = (
    (0.3448, 0.4168, 0.4395),
    (-0.1953, -0.0290, 0.0250),
    (0.1074, 0.0886, -0.0163),
    (-0.3730, -0.2499, -0.2088),
)
FACTORS = {"sd1": SD1_FACTORS, "sdxl": SDXL_FACTORS}
CHEAP = "Approx cheap"
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@torch.no_grad()
def preview(model: LoadedModel, x0: Tensor, method: str = CHEAP, *, folders: Sequence[Path] = ()) -> Image.Image:
    """One RGB picture of latents x0 (batch, 4, h, w); several stand in a grid, rows first.

    `folders`: where decoders may lie (models/VAE-approx, models/VAE-taesd). A method that cannot be had falls back to
    "Approx cheap" with a note on the model, once.
    """
    pictures = METHODS.get(method, _cheap)(model, x0, folders)
    if pictures is None:
        _note_once(model, method, folders)
        pictures = _cheap(model, x0, folders)
    return _grid((pictures * 255).clamp(0, 255).to(torch.uint8).cpu())


def encoded(picture: Image.Image, kind: str = "png") -> tuple[bytes, str]:
    """Bytes and media type of a preview: "png", "jpeg" or "webp" (the setting live_previews_image_format)."""
    buffer = io.BytesIO()
    kind = kind if kind in MEDIA_TYPES else "png"
    # The fastest compression: a preview lives for a second.
    options: dict[str, Any] = {"compress_level": 1} if kind == "png" else {"quality": 85}
    picture.save(buffer, kind, **options)
    return buffer.getvalue(), MEDIA_TYPES[kind]


def _cheap(model: LoadedModel, x0: Tensor, _folders: Sequence[Path]) -> Tensor:
    factors, offset = _linear(model)
    pixels = torch.einsum("nchw,cr->nrhw", x0.float(), factors) + offset[:, None, None]
    return (pixels + 1) / 2


def _full(model: LoadedModel, x0: Tensor, _folders: Sequence[Path]) -> Tensor | None:
    return model.decode(x0) if model.vae is not None else None


def _approx_nn(model: LoadedModel, x0: Tensor, folders: Sequence[Path]) -> Tensor | None:
    network = _decoder(model, "Approx NN", folders, _load_approx)
    return None if network is None else (network(x0.float()) + 1) / 2


def _taesd(model: LoadedModel, x0: Tensor, folders: Sequence[Path]) -> Tensor | None:
    network = _decoder(model, "TAESD", folders, taesd.decoder)
    return None if network is None else (network(x0.float()) + 1) / 2


METHODS: dict[str, Callable[[LoadedModel, Tensor, Sequence[Path]], Tensor | None]] = {
    "Full": _full,
    "Approx NN": _approx_nn,
    CHEAP: _cheap,
    "TAESD": _taesd,
}


def _linear(model: LoadedModel) -> tuple[Tensor, Tensor]:
    """Factors (4, 3) and offset (3,): published for Stable Diffusion 1 and SDXL, fitted once to any other VAE."""
    found = model.preview_state.get("linear")
    if found is None:
        if model.speaks or model.vae is None:
            factors = FACTORS[model.speaks or "sd1"]
            found = torch.tensor(factors, device=model.device), torch.zeros(3, device=model.device)
        else:
            found = fitted(model)
        model.preview_state["linear"] = found
    return found


def fitted(model: LoadedModel) -> tuple[Tensor, Tensor]:
    """Least squares from a model's own latents to the mean colour of their 8×8 pixels, over drawn patches of colour."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(24, 2, 3, 1, 1, generator=generator)
    pictures = colours[:, 0].repeat(1, 1, 64, 64)
    for i, (top, left) in enumerate(torch.randint(0, 32, (24, 2), generator=generator).tolist()):
        pictures[i, :, top : top + 32, left : left + 32] = colours[i, 1]
    latents = model.encode(pictures).permute(0, 2, 3, 1).reshape(-1, model.latent_channels).cpu()
    pixels = functional.avg_pool2d(pictures * 2 - 1, model.factor).permute(0, 2, 3, 1).reshape(-1, 3)
    answer = torch.linalg.lstsq(torch.cat([latents, torch.ones(len(latents), 1)], 1), pixels).solution
    return answer[:-1].to(model.device), answer[-1].to(model.device)


class Approximation(nn.Module):
    """The small convolution net of A1111's models/VAE-approx/model.pt: latents (n, 4, h, w) to pixels twice that
    size.
    """

    MARGIN = 11
    SIZES = ((4, 8, 7), (8, 16, 5), (16, 32, 3), (32, 64, 3), (64, 32, 3), (32, 16, 3), (16, 8, 3), (8, 3, 3))

    def __init__(self) -> None:
        super().__init__()
        for i, (before, after, kernel) in enumerate(self.SIZES, start=1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, kernel))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(functional.interpolate(x, scale_factor=2.0), (self.MARGIN,) * 4)
        for layer in self.children():
            x = functional.leaky_relu(layer(x), 0.1)
        return x


def _decoder(model: LoadedModel, method: str, folders: Sequence[Path], load: taesd.Load) -> nn.Module | None:
    """The first file in the folders that is this method's decoder for these latents, loaded once, or None."""
    if method not in model.preview_state:
        xl = model.speaks == "sdxl"
        model.preview_state[method] = taesd.found(folders, load, model.device, xl=xl) if model.speaks else None
    return model.preview_state[method]


def _load_approx(weights: Weights, device: torch.device) -> nn.Module | None:
    if "conv8.weight" not in weights:
        return None
    with torch.device("meta"):
        network = Approximation()
    fill(network, weights, lambda name: (name,), dtype=torch.float32, device=device)
    return network.eval()


def _note_once(model: LoadedModel, method: str, folders: Sequence[Path]) -> None:
    if model.preview_state.setdefault(("said", method), False):
        return
    model.preview_state[("said", method)] = True
    shown = ", ".join(str(folder) for folder in folders) or "models/VAE-taesd"
    model.notes.append(("preview_fell_back", {"method": method, "used": CHEAP, "folder": shown}))


def _grid(pictures: Tensor) -> Image.Image:
    """Pictures (n, 3, h, w) uint8 beside and below each other, as square as may be."""
    count, _, height, width = pictures.shape
    columns = math.ceil(math.sqrt(count))
    grid = Image.new("RGB", (width * columns, height * math.ceil(count / columns)))
    for i, picture in enumerate(pictures):
        place = (i % columns * width, i // columns * height)
        grid.paste(Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()), place)
    return grid
