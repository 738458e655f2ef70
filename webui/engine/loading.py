"""From a weight file to modules: built without memory, then filled one tensor at a time.

Modules are diffusers' and transformers' classes made on the `meta` device; each weight is read, converted and put in
its place before the next one is touched. Nothing is looked up by name on any network: configurations come from
`families`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.configuration_clip import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from webui.domain.errors import BrokenFile
from webui.engine import keys
from webui.engine.weights import Weights

OnProgress = Callable[[float], None]
"""Called with the fraction (0 to 1) of bytes that are in their place."""
Names = Callable[[str], Iterable[str]]
"""The names a module's weight may have in the file, likeliest first."""
Module = TypeVar("Module", bound=nn.Module)

# A file's text configuration is passed on only so far: transformers acts on some keys (an attention kernel is fetched
# by name).
TEXT_KEYS = frozenset(
    {
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "hidden_act",
        "layer_norm_eps",
        "projection_dim",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
    }
)
_FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


def empty_unet(config: Mapping[str, Any], path: Path) -> UNet2DConditionModel:
    """A UNet without memory behind its weights. Raises BrokenFile when the configuration does not hold together."""
    return _empty(lambda: UNet2DConditionModel(**_accepted(UNet2DConditionModel, config)), path)


def empty_vae(config: Mapping[str, Any], path: Path) -> AutoencoderKL:
    return _empty(lambda: AutoencoderKL(**_accepted(AutoencoderKL, config)), path)


def empty_text_encoder(
    config: Mapping[str, Any], path: Path, *, projected: bool = False
) -> CLIPTextModel | CLIPTextModelWithProjection:
    """A text model without memory behind its weights; `projected`: with the projection of the pooled text on top."""
    known = {key: value for key, value in config.items() if key in TEXT_KEYS}
    if projected:
        return _empty(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**known)), path)
    return _empty(lambda: CLIPTextModel(CLIPTextConfig(**known)), path)


def _accepted(cls: type, config: Mapping[str, Any]) -> dict[str, Any]:
    known = inspect.signature(cls.__init__).parameters
    return {key: value for key, value in config.items() if key in known}


def _empty(make: Callable[[], Module], path: Path) -> Module:
    try:
        with torch.device("meta"):
            module = make()
    except (ValueError, TypeError, ZeroDivisionError, KeyError, NotImplementedError) as error:
        raise BrokenFile(path=str(path), reason=f"configuration: {error}") from error
    return module.eval().requires_grad_(False)


def unet_names(unet: nn.Module, *, folder: bool = False, ema: bool = False) -> Names:
    """Where a UNet weight lies: under LDM's prefix, among the running averages when asked (or when nothing else is
    there).
    """
    if folder:
        return lambda name: (f"unet/{name}",)

    def names(name: str) -> tuple[str, ...]:
        ldm = keys.unet_to_ldm(name, keys.config_of(unet))
        plain, average = keys.UNET + ldm, keys.ema_name(ldm)
        return (average, plain) if ema else (plain, average)

    return names


def vae_names(vae: nn.Module, *, prefix: str) -> Names:
    """Where a VAE weight lies under `prefix`: LDM's name, diffusers' or an older diffusers'."""

    def names(name: str) -> tuple[str, ...]:
        return prefix + keys.vae_to_ldm(name, keys.config_of(vae)), prefix + name, prefix + keys.old_vae_name(name)

    return names


def text_names(*, folder: bool = False, component: str = "text_encoder") -> Names:
    """Where a text model's weight lies: under LDM's prefixes, or in a folder's component."""
    if folder:
        return lambda name: (
            f"{component}/text_model.{keys.text_to_ldm(name)}",
            f"{component}/{keys.text_to_ldm(name)}",
        )
    return lambda name: (keys.TEXT + keys.text_to_ldm(name), keys.LEGACY_TEXT + keys.text_to_ldm(name))


def fill(
    module: nn.Module,
    weights: Weights,
    names: Names,
    *,
    dtype: torch.dtype | None,
    device: torch.device,
    on_bytes: Callable[[int], None] = lambda _count: None,
) -> None:
    """Put a file's tensors into a module made on `meta`, converted to `dtype` (None: the file's own) on `device`.

    Raises BrokenFile naming what is missing or of another shape. On the CPU a tensor that needs no conversion stays a
    view of the mapped file.
    """
    places = {name: next((key for key in names(name) if key in weights), None) for name, _ in module.named_parameters()}
    missing = [name for name, key in places.items() if key is None]
    if missing:
        shown = ", ".join(missing[:3]) + (f" +{len(missing) - 3}" if len(missing) > 3 else "")
        raise BrokenFile(path=str(weights.path), reason=f"weights are missing: {shown}")
    found = {name: key for name, key in places.items() if key is not None}
    wanted = dtype or own_dtype(weights, found.values())
    for name, parameter in list(module.named_parameters()):
        key = found[name]
        shape = fitting(weights, key, tuple(parameter.shape))
        tensor = weights.read(key, dtype=wanted, device=device).view(shape)
        _place(module, name, tensor)
        on_bytes(weights.entries[key].size)
    for name, buffer in list(module.named_buffers()):
        # The one buffer of these classes counts positions; it is not in the files of today.
        _place(module, name, torch.arange(buffer.shape[-1], device=device).expand(buffer.shape), buffer=True)


def own_dtype(weights: Weights, names: Iterable[str]) -> torch.dtype:
    """The number type most of these weights are stored in; a module computes in one. 8-bit floats become fp16."""
    sizes: dict[torch.dtype, int] = {}
    for name in names:
        entry = weights.entries[name]
        sizes[entry.dtype] = sizes.get(entry.dtype, 0) + entry.size
    most = max(sizes, key=lambda dtype: sizes[dtype])
    return torch.float16 if most in _FLOAT8 else most


def fitting(weights: Weights, key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape itself, when the stored one equals it but for the 1×1 of LDM's convolutions."""
    stored = weights.shape(key)
    if stored == shape or (stored[: len(shape)] == shape and set(stored[len(shape) :]) == {1}):
        return shape
    if shape[: len(stored)] == stored and set(shape[len(stored) :]) == {1}:
        return shape
    raise BrokenFile(path=str(weights.path), reason=f"{key} is {list(stored)}, not {list(shape)}")


def _place(module: nn.Module, name: str, tensor: Tensor, *, buffer: bool = False) -> None:
    owner_name, _, leaf = name.rpartition(".")
    owner = module.get_submodule(owner_name)
    if buffer:
        owner._buffers[leaf] = tensor.clone()
    else:
        owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=False)
