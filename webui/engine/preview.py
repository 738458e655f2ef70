"""What a picture looks like while it forms: four ways from latents to pixels, named as A1111's live preview methods.

"Approx cheap" is a 4 → 3 linear map, one pixel per latent. "Approx NN" and "TAESD" are small decoders that lie in
models/VAE-approx and models/VAE-taesd when somebody put them there; without them "Approx cheap" stands in, and says so.
"Full" is the VAE. Add one: a function (model, latents, folders) → pictures in `METHODS`.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DecoderTiny
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from webui.domain.errors import MapleError
from webui.engine.loading import fill
from webui.engine.model import LoadedModel
from webui.engine.weights import Weights, open_weights

# Least squares between Stable Diffusion 1's latents and pixels in [-1, 1], as published by its users and used by A1111.
SD1_FACTORS = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
SD1_VAE_WIDTHS = (128, 256, 512, 512)
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
    network = _decoder(model, "Approx NN", folders, _load_approx) if speaks_sd1(model) else None
    return None if network is None else (network(x0.float()) + 1) / 2


def _taesd(model: LoadedModel, x0: Tensor, folders: Sequence[Path]) -> Tensor | None:
    network = _decoder(model, "TAESD", folders, _load_taesd) if speaks_sd1(model) else None
    return None if network is None else (network(x0.float()) + 1) / 2


METHODS: dict[str, Callable[[LoadedModel, Tensor, Sequence[Path]], Tensor | None]] = {
    "Full": _full,
    "Approx NN": _approx_nn,
    CHEAP: _cheap,
    "TAESD": _taesd,
}


def speaks_sd1(model: LoadedModel) -> bool:
    """Whether the latents are those of Stable Diffusion 1's VAE, which published decoders understand."""
    if model.parts.embedded:
        return False
    return model.vae is None or tuple(model.vae.config["block_out_channels"]) == SD1_VAE_WIDTHS


def _linear(model: LoadedModel) -> tuple[Tensor, Tensor]:
    """Factors (4, 3) and offset (3,): published for Stable Diffusion 1, fitted once to any other VAE."""
    found = model.preview_state.get("linear")
    if found is None:
        if speaks_sd1(model) or model.vae is None:
            found = torch.tensor(SD1_FACTORS, device=model.device), torch.zeros(3, device=model.device)
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


def _decoder(
    model: LoadedModel, method: str, folders: Sequence[Path], load: Callable[[Weights, torch.device], nn.Module | None]
) -> nn.Module | None:
    """The first file in the folders that is this method's decoder, loaded once; None when there is none."""
    if method not in model.preview_state:
        model.preview_state[method] = next(_loaded(model, folders, load), None)
    return model.preview_state[method]


def _loaded(
    model: LoadedModel, folders: Sequence[Path], load: Callable[[Weights, torch.device], nn.Module | None]
) -> Iterator[nn.Module]:
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path.suffix.lower() not in (".pt", ".pth", ".safetensors") or "xl" in path.stem or "sd3" in path.stem:
            continue
        try:
            with open_weights(path) as weights:
                network = load(weights, model.device)
        except MapleError:
            # Another file of the folder may do; a preview is never worth failing a picture.
            continue
        if network is not None:
            yield network


def _load_approx(weights: Weights, device: torch.device) -> nn.Module | None:
    if "conv8.weight" not in weights:
        return None
    with torch.device("meta"):
        network = Approximation()
    fill(network, weights, lambda name: (name,), dtype=torch.float32, device=device)
    return network.eval()


def _load_taesd(weights: Weights, device: torch.device) -> nn.Module | None:
    """A TAESD decoder: its author's file (`1.weight`; the clamp counts as layer 0) or diffusers' AutoencoderTiny."""
    if "1.weight" not in weights and "decoder.layers.0.weight" not in weights:
        return None
    with torch.device("meta"):
        network = DecoderTiny(4, 3, (3, 3, 3, 1), (64, 64, 64, 64), 2, "relu", "nearest")

    def names(name: str) -> tuple[str, str]:
        _layers, number, rest = name.split(".", 2)
        return f"{int(number) + 1}.{rest}", f"decoder.{name}"

    fill(network, weights, names, dtype=torch.float32, device=device)
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
