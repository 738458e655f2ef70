"""TAESD: small networks that stand in for a VAE, from models/VAE-taesd or models/VAE-approx when they are there.

Files: the author's (`taesd_decoder.pth`, `taesdxl_encoder.pth`, ...) or diffusers' AutoencoderTiny. SDXL's are told by
"xl" in their name. Their latents are unit variance, as ours; pictures are [-1, 1] at this border.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.vae import DecoderTiny, EncoderTiny
from torch import nn

from webui.domain.errors import MapleError
from webui.engine.loading import fill
from webui.engine.weights import Weights, open_weights

Load = Callable[[Weights, torch.device], nn.Module | None]
_ENDINGS = (".pt", ".pth", ".safetensors")


def decoder(weights: Weights, device: torch.device) -> nn.Module | None:
    """The decoder in a file, or None: the author's layers count a clamp as number 0, diffusers' do not."""
    if "1.weight" not in weights and "decoder.layers.0.weight" not in weights:
        return None
    with torch.device("meta"):
        network = DecoderTiny(4, 3, (3, 3, 3, 1), (64, 64, 64, 64), 2, "relu", "nearest")
    return _filled(network, weights, device, part="decoder", first=1)


def encoder(weights: Weights, device: torch.device) -> nn.Module | None:
    """The encoder in a file, or None."""
    if "1.conv.0.weight" not in weights and "encoder.layers.0.weight" not in weights:
        return None
    with torch.device("meta"):
        network = EncoderTiny(3, 4, (1, 3, 3, 3), (64, 64, 64, 64), "relu")
    return _filled(network, weights, device, part="encoder", first=0)


def _filled(network: nn.Module, weights: Weights, device: torch.device, *, part: str, first: int) -> nn.Module:
    def names(name: str) -> tuple[str, str]:
        _layers, number, rest = name.split(".", 2)
        return f"{int(number) + first}.{rest}", f"{part}.{name}"

    fill(network, weights, names, dtype=torch.float32, device=device)
    return network.eval()


def found(folders: Sequence[Path], load: Load, device: torch.device, *, xl: bool) -> nn.Module | None:
    """The first network of that kind in the folders, or None. `xl`: SDXL's, else Stable Diffusion 1's."""
    return next(_loaded(folders, load, device, xl), None)


def _loaded(folders: Sequence[Path], load: Load, device: torch.device, xl: bool) -> Iterator[nn.Module]:
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        name = path.stem.lower()
        if path.suffix.lower() not in _ENDINGS or any(other in name for other in ("sd3", "f1")) or ("xl" in name) != xl:
            continue
        try:
            with open_weights(path) as weights:
                network: Any = load(weights, device)
        except MapleError:
            # Another file of the folder may do.
            continue
        if network is not None:
            yield network
