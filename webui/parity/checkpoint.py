"""The checkpoint the known pictures were made with: shaped as SD 1.5, random, seeded; 2.1 GB.

Every weight is the classes' own initialisation under one seed, some scaled so that prompts matter and nothing
overflows. Six tensors were fitted once so that the net is a crude denoiser (`fitted.npz`). The last LayerNorm of the
text encoder is random too: with the default one the mean of the states is 0, and "Original" emphasis divides by it.

The pictures mean nothing; that they come out the same means everything. Initialisation may differ between versions of
torch, diffusers and transformers, so a digest over all tensors is checked: DIGEST is that of torch 2.15.0, diffusers
0.42.1 and transformers 5.23.0.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import diffusers
import numpy as np
import torch
import transformers
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel

from webui.domain.errors import Failed
from webui.engine import keys
from webui.engine.families.sd1 import SCALE

NAME = "sd15-random"
SECOND = "sd15-random-b"
DIGEST = "e7251492a8f24c05"
SECOND_DIGEST = "ee983f11e996b42e"
FITTED = Path(__file__).with_name("fitted.npz")

UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
}
VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "sample_size": 512,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "scaling_factor": SCALE,
}
TEXT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


class WrongDigest(Failed):
    """The checkpoint built here is not the one the pictures were made with. Fields: found, expected, versions."""

    key: ClassVar[str] = "parity_wrong_digest"


def ensure_checkpoint(folder: Path, say: Callable[[str], None] = lambda _key: None) -> Path:
    """`folder`/sd15-random.safetensors, built when it is not there or not whole. Raises WrongDigest, OSError.

    `say` is told "parity_building" before a build, which takes a minute and four gigabytes of memory.
    """
    path = folder / f"{NAME}.safetensors"
    if path.is_file() and digest_of(path) == DIGEST:
        return path
    say("parity_building")
    _written(path, build())
    return checked(path, DIGEST)


def ensure_second(folder: Path, say: Callable[[str], None] = lambda _key: None) -> Path:
    """`folder`/sd15-random-b.safetensors, made of the first: every matrix of UNet and text encoder turned round.

    Same shapes, same VAE, other pictures; it shows whether a change of model is whole.
    """
    first, path = ensure_checkpoint(folder, say), folder / f"{SECOND}.safetensors"
    if path.is_file() and digest_of(path) == SECOND_DIGEST:
        return path
    say("parity_building")
    with safe_open(first, "pt") as file:
        _written(path, {name: _turned(name, file.get_tensor(name)) for name in file.keys()})  # noqa: SIM118
    return checked(path, SECOND_DIGEST)


def _turned(name: str, tensor: Tensor) -> Tensor:
    turning = tensor.ndim >= 2 and tensor.is_floating_point() and "embedding" not in name
    return tensor.flip(1).contiguous() if turning and name.startswith((keys.UNET, "cond_stage_model.")) else tensor


def _written(path: Path, state: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"format": "pt"})
    os.replace(part, path)


def checked(path: Path, expected: str) -> Path:
    """The path itself when its digest is the expected one; else the file is removed. Raises WrongDigest."""
    found = digest_of(path)
    if found != expected:
        path.unlink()
        versions = (
            f"torch {torch.__version__}, diffusers {diffusers.__version__}, transformers {transformers.__version__}"
        )
        raise WrongDigest(found=found, expected=expected, versions=versions)
    return path


def digest_of(path: Path) -> str:
    """First sixteen hex digits of the SHA-256 over names and bytes of all tensors, by name; "" for a broken file.

    Bytes are hashed as they lie in the file, which is what the tensors' own bytes are.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                return ""
            header = json.loads(file.read(length))
            for name in sorted(header.keys() - {"__metadata__"}):
                start, end = header[name]["data_offsets"]
                file.seek(8 + length + start)
                digest.update(name.encode())
                left = end - start
                while left:
                    block = file.read(min(left, 1 << 24))
                    if not block:
                        return ""
                    digest.update(block)
                    left -= len(block)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return digest.hexdigest()[:16]


@torch.no_grad()
def build() -> dict[str, Tensor]:
    """All tensors under LDM names, fp16 but for the schedule. Leaves torch's global generator as it found it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1234)
        unet, vae, text = UNet2DConditionModel(**UNET), AutoencoderKL(**VAE), CLIPTextModel(CLIPTextConfig(**TEXT))
    state = dict(_halved(text, keys.TEXT, keys.text_to_ldm, _text_gain))
    state |= _halved(vae, keys.VAE, lambda name: keys.vae_to_ldm(name, vae.config), lambda _name: 1.0)
    state |= _halved(unet, keys.UNET, lambda name: keys.unet_to_ldm(name, unet.config), _unet_gain)
    state = {
        name: value[:, :, None, None] if _is_vae_projection(name, value) else value for name, value in state.items()
    }
    state[keys.TEXT + "embeddings.position_ids"] = torch.arange(77)[None]
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    state["betas"], state["alphas_cumprod"] = betas.float(), torch.cumprod(1 - betas, 0).float()
    with np.load(FITTED) as fitted:
        state |= {name: torch.from_numpy(fitted[name]) for name in fitted}
    for name in [name for name in state if name.startswith(keys.UNET) and "attn2.to_out.0.weight" in name]:
        state[name] = (state[name].float() * 0.15).half()
    generator = torch.Generator().manual_seed(77)
    last = keys.TEXT + "final_layer_norm."
    state[last + "weight"] = (1 + 0.15 * torch.randn(768, generator=generator)).half()
    state[last + "bias"] = (-0.1 + 0.3 * torch.randn(768, generator=generator)).half()
    return {name: value.contiguous() for name, value in state.items()}


def _halved(
    module: nn.Module, prefix: str, renamed: Callable[[str], str], gain: Callable[[str], float]
) -> Iterator[tuple[str, Tensor]]:
    """Every weight times its gain in half precision, under its LDM name; the fp32 one is let go at once."""
    for name, parameter in list(module.named_parameters()):
        yield prefix + renamed(name), parameter.mul_(gain(name)).half()
        parameter.data = torch.empty(0)


def _text_gain(name: str) -> float:
    if "token_embedding" in name or "position_embedding" in name:
        return 2.0
    return 2.0 if "layers." in name and name.endswith("weight") and "layer_norm" not in name else 1.0


def _unet_gain(name: str) -> float:
    if "attn2.to_q.weight" in name or "attn2.to_k.weight" in name:
        return 2.5
    return 2.0 if "attn2.to_v.weight" in name or "attn2.to_out.0.weight" in name else 1.0


def _is_vae_projection(name: str, value: Tensor) -> bool:
    """LDM's VAE attention is made of 1×1 convolutions."""
    return name.startswith(keys.VAE) and ".mid.attn_1." in name and value.ndim == 2
