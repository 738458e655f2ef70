"""The drawn set: specs by number, their pictures and latents kept as arrays beside the training."""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from webui.demo.course import blocks
from webui.demo.drawings import Spec, draw, random_spec

SEED = 20
SCALE = 0.18215
"""Stable Diffusion 1's factor between the VAE's latents and the UNet's."""


def specs(count: int) -> list[Spec]:
    """The first `count` specs of the training set; the same on every machine."""
    return [random_spec(random.Random(f"{SEED} {number}")) for number in range(count)]


def drawn(folder: Path, count: int, *, size: int) -> NDArray[np.uint8]:
    """Pictures (count, size, size, 3), 0-255; drawn on first use, then read from `folder` without loading them."""
    file = folder / f"pictures-{size}-{count}.npy"
    if not file.exists():
        partial = file.with_suffix(".partial")
        array = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=(count, size, size, 3))
        for number, spec in enumerate(tqdm(specs(count), "draw", mininterval=5)):
            array[number] = np.asarray(draw(spec, size))
        array.flush()
        partial.replace(file)
    return np.load(file, mmap_mode="r")


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) of 0-255 to (n, 3, h, w) of -1 to 1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def latents(
    folder: Path, count: int, *, size: int, load_vae: Callable[[], AutoencoderKL], device: torch.device
) -> Tensor:
    """Scaled latents (count, 4, size/8, size/8), near unit variance, of the drawn pictures; encoded on first use.
    Half the drawn size is met by averaging the pictures two by two."""
    file = folder / f"latents-{size}-{count}.pt"
    if file.exists():
        return torch.load(file, weights_only=True).float()
    pictures = drawn(folder, count, size=max(size, 128))
    vae = load_vae().to(device).eval()
    found = []
    with torch.no_grad():
        for part in tqdm(list(blocks(count, 16)), f"encode {size}", mininterval=5):
            batch = to_tensor(pictures[part]).to(device)
            if size < batch.shape[-1]:
                batch = torch.nn.functional.avg_pool2d(batch, batch.shape[-1] // size)
            found.append((vae.encode(batch).latent_dist.mean * SCALE).half().cpu())
    every = torch.cat(found)
    partial = file.with_suffix(".partial")
    torch.save(every, partial)
    partial.replace(file)
    return every.float()
