"""Pictures from latents and back: loading a VAE, decoding picture by picture, the retry in fp32.

Latents here are (batch, 4, height/8, width/8), already scaled to unit variance; pictures (batch, 3, height, width)
fp32 in [0, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from webui.domain.errors import BadInput, BrokenFile, NotANumber, WrongKind
from webui.domain.model import ModelKind
from webui.engine import keys
from webui.engine.device import out_of_memory
from webui.engine.families import known, sd1
from webui.engine.loading import empty_vae, fill, vae_names
from webui.engine.tiles import tiled
from webui.engine.weights import Weights, open_weights

_PREFIXES = ("", keys.VAE, "vae.", "vae/")


class NoVae(BadInput):
    """The checkpoint carries no VAE and none was chosen. Fields: model."""

    key = "no_vae"


def load_vae(
    path: Path,
    *,
    dtype: torch.dtype | None,
    device: torch.device,
    like: Mapping[str, Any] | None = None,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> AutoencoderKL:
    """A VAE from a VAE file, a checkpoint or a diffusers folder.

    `like`: the checkpoint's own VAE configuration; taken when the widths agree, for it knows what shapes do not tell.
    Raises BrokenFile, UnsafeFile, WrongKind (no VAE in it).
    """
    with open_weights(path) as weights:
        return vae_from(weights, dtype=dtype, device=device, like=like, on_bytes=on_bytes)


def vae_from(
    weights: Weights,
    *,
    dtype: torch.dtype | None,
    device: torch.device,
    like: Mapping[str, Any] | None = None,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> AutoencoderKL:
    """The VAE among these weights, whatever its names."""
    prefix = next((prefix for prefix in _PREFIXES if f"{prefix}decoder.conv_in.weight" in weights), None)
    if prefix is None:
        raise WrongKind(path=str(weights.path), expected=ModelKind.VAE.value, found=known.kind(weights))
    try:
        config = _config(weights, prefix, like)
    except KeyError as missing:
        raise BrokenFile(path=str(weights.path), reason=f"{missing.args[0]} is missing") from missing
    except (IndexError, ValueError, TypeError) as error:
        raise BrokenFile(path=str(weights.path), reason=f"a weight's shape makes no sense ({error})") from error
    vae = empty_vae(config, weights.path)
    fill(vae, weights, vae_names(vae, prefix=prefix), dtype=dtype, device=device, on_bytes=on_bytes)
    return vae


def _config(weights: Weights, prefix: str, like: Mapping[str, Any] | None) -> Mapping[str, Any]:
    for name in ("vae", ""):
        saved = weights.extra.get(name)
        if isinstance(saved, Mapping) and "block_out_channels" in saved:
            return saved
    embedded = sd1.embedded_config(weights).get("vae")
    if embedded:
        return embedded
    config = sd1.vae_config(_in_ldm_names(weights, prefix), prefix)
    if like and all(
        _same(like.get(key), config[key]) for key in ("block_out_channels", "layers_per_block", "latent_channels")
    ):
        return like
    return config


def _same(one: Any, other: Any) -> bool:
    return list(one) == list(other) if isinstance(other, tuple) and one else one == other


def _in_ldm_names(weights: Weights, prefix: str) -> Weights:
    """The same table under LDM's names, when it was under diffusers'."""
    levels = {
        name.removeprefix(prefix).split(".")[2] for name in weights if name.startswith(f"{prefix}decoder.up_blocks.")
    }
    if not levels:
        return weights
    shape_only = {"block_out_channels": range(len(levels))}
    renamed = {
        prefix + keys.vae_to_ldm(name.removeprefix(prefix), shape_only): entry
        for name, entry in weights.entries.items()
        if name.startswith(prefix)
    }
    return Weights(weights.path, renamed)


@torch.no_grad()
def decode(
    vae: AutoencoderKL, latents: Tensor, *, scale: float, check_nan: bool = True,
    retry: torch.dtype | None = torch.float32, tile: int = 0,
) -> tuple[Tensor, bool]:  # fmt: skip
    """Pictures (batch, 3, height, width) fp32 in [0, 1] on the CPU, and whether `retry` had to be taken for a NaN.

    One picture at a time, as A1111: a batch costs no more memory than a picture. `tile`: latents a side of the tiles
    larger ones are worked through in, 0 for whole. Raises NotANumber when that gives NaN too, OutOfMemory.
    """
    pictures = [_decode_one(vae, latents[i : i + 1] / scale, tile) for i in range(len(latents))]
    if not check_nan or not any(torch.isnan(picture).any() for picture in pictures):
        return _finished(pictures), False
    dtype = vae.dtype
    if retry is None or dtype in (torch.float32, retry) or torch.isnan(latents).any():
        raise NotANumber(where="VAE")
    try:
        torch.nn.Module.to(vae, retry)
        pictures = [_decode_one(vae, latents[i : i + 1] / scale, tile) for i in range(len(latents))]
    finally:
        torch.nn.Module.to(vae, dtype)
    if any(torch.isnan(picture).any() for picture in pictures):
        raise NotANumber(where="VAE")
    return _finished(pictures), True


def _decode_one(vae: AutoencoderKL, latent: Tensor, tile: int) -> Tensor:
    """One picture (1, 3, height, width) fp32 on the CPU, in [-1, 1]."""

    def run(part: Tensor) -> Tensor:
        return cast(Tensor, vae.decode(cast(Any, part), return_dict=False)[0])

    try:
        given = latent.to(device=vae.device, dtype=vae.dtype)
        if 0 < tile < max(given.shape[2:]):
            return tiled(run, given, side=tile, overlap=tile // 4, network=vae.decoder)
        return run(given).float().cpu()
    except RuntimeError as error:
        if (failed := out_of_memory(error, doing="VAE", device=vae.device)) is not None:
            raise failed from error
        raise


def _finished(pictures: list[Tensor]) -> Tensor:
    return ((torch.cat(pictures) + 1) / 2).clamp(0, 1)


@torch.no_grad()
def encode(
    vae: AutoencoderKL,
    pictures: Tensor,
    *,
    scale: float,
    draws: Sequence[torch.Generator] | None = None,
    tile: int = 0,
) -> Tensor:
    """Latents (batch, 4, height/8, width/8) fp32 of pictures in [0, 1]: the mean, or with `draws`, one per picture,
    drawn from the posterior by those generators (of the CPU: the same picture on every card).

    One picture at a time, as A1111. `tile` as in `decode`, in latents too. Raises OutOfMemory.
    """
    given: Any = (pictures * 2 - 1).to(device=vae.device, dtype=vae.dtype)
    latents: list[Tensor] = []
    for number in range(len(pictures)):
        posterior: Any = _posterior(vae, given[number : number + 1], tile)
        latents.append(posterior.mode() if draws is None else posterior.sample(draws[number]))
    return torch.cat(latents).float() * scale


def _posterior(vae: AutoencoderKL, picture: Tensor, tile: int) -> DiagonalGaussianDistribution:
    def run(part: Tensor) -> DiagonalGaussianDistribution:
        return cast(Any, vae.encode(cast(Any, part), return_dict=False))[0]

    side = tile * 2 ** (len(vae.config["block_out_channels"]) - 1)
    try:
        if not 0 < side < max(picture.shape[2:]):
            return run(picture)
        # One latent is made of a whole number of pixels, and a tile must begin where one does.
        moments = tiled(
            lambda part: run(part).parameters, picture, side=side, overlap=side // 4, network=vae.encoder,
            align=side // tile,
        )  # fmt: skip
        return DiagonalGaussianDistribution(moments.to(vae.device))
    except RuntimeError as error:
        if (failed := out_of_memory(error, doing="VAE", device=vae.device)) is not None:
            raise failed from error
        raise
