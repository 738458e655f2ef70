"""Three trained parts, one fp16 file in Stable Diffusion 1's layout, and back; its header says what weights cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

from webui.demo.layout import Tensors, control_layout, text_layout, unet_layout, vae_layout
from webui.demo.sample import Parts, Rows
from webui.demo.text import CLIP_LENGTH

NAME = "Maple demo"
LICENCE = "CC0-1.0"
ARCHITECTURE = "stable-diffusion-v1"
SAMPLER, STEPS, CFG_SCALE = "Euler a", 20, 5.0
_TEXT_FACTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_act",
    "projection_dim",
    "layer_norm_eps",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)


def export(
    file: Path, *, unet: UNet2DConditionModel, vae: AutoencoderKL, encoder: CLIPTextModel, size: int, trained: str
) -> Path:
    """Write the checkpoint. `size` is the side it was trained at, in pixels; `trained` a sentence on how."""
    tensors = {
        **unet_layout(unet.state_dict(), dict(unet.config)),
        **vae_layout(vae.state_dict(), dict(vae.config)),
        **text_layout(encoder.state_dict()),
    }
    half = {key: tensor.detach().half().contiguous().clone() for key, tensor in tensors.items()}
    # Stable Diffusion 1's files carry this counting table too.
    half["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(CLIP_LENGTH)[None]
    partial = file.with_suffix(".partial")
    save_file(half, partial, metadata=metadata(unet=unet, vae=vae, encoder=encoder, size=size, trained=trained))
    partial.replace(file)
    file.chmod(0o644)
    return file


def export_control(file: Path, *, control: ControlNetModel, size: int, trained: str) -> Path:
    """Write a ControlNet as a single file of its own, fp16. What its weights cannot tell is in the header as well."""
    config = _plain(dict(control.config))
    tensors = control_layout(control.state_dict(), config)
    half = {key: tensor.detach().half().contiguous().clone() for key, tensor in tensors.items()}
    said = {
        "format": "pt",
        "maple.config": json.dumps({"licence": LICENCE, "family": "sd1", "controlnet": config}),
        **_spec(f"{NAME}: {file.stem.rpartition('-')[2]}", size, trained, architecture=f"{ARCHITECTURE}/controlnet"),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    save_file(half, partial, metadata=said)
    partial.replace(file)
    file.chmod(0o644)
    return file


def metadata(
    *, unet: UNet2DConditionModel, vae: AutoencoderKL, encoder: CLIPTextModel, size: int, trained: str
) -> dict[str, str]:
    """The header's strings: `maple.config` holds the three parts' configs, `modelspec.*` what model browsers read."""
    config = {
        "name": NAME,
        "licence": LICENCE,
        "family": "sd1",
        "prediction_type": "epsilon",
        "native_size": [size, size],
        "sampler": SAMPLER,
        "steps": STEPS,
        "cfg_scale": CFG_SCALE,
        "unet": _plain(dict(unet.config)),
        "vae": _plain(dict(vae.config)),
        "text_encoder": _plain(encoder.config.to_diff_dict() | _text_facts(encoder)),
    }
    return {
        "format": "pt",
        "maple.config": json.dumps(config),
        **_spec(NAME, size, trained),
        "modelspec.prediction_type": "epsilon",
    }


def _spec(title: str, size: int, trained: str, architecture: str = ARCHITECTURE) -> dict[str, str]:
    return {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.author": "Maple WebUI",
        "modelspec.description": trained,
        "modelspec.resolution": f"{size}x{size}",
        "modelspec.license": LICENCE,
    }


def _text_facts(encoder: CLIPTextModel) -> dict[str, Any]:
    # transformers leaves out what equals its defaults; a loader should not have to know them.
    return {name: getattr(encoder.config, name) for name in _TEXT_FACTS}


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    private = {"_name_or_path", "_diffusers_version", "_use_default_values", "transformers_version", "dtype"}
    return {key: value for key, value in config.items() if key not in private}


def header(file: Path) -> dict[str, Any]:
    """The `maple.config` of a demo checkpoint. Raises KeyError where a file has none."""
    with safe_open(file, "pt") as opened_file:
        return json.loads(opened_file.metadata()["maple.config"])


def opened(file: Path, rows: Rows) -> tuple[Parts, int]:
    """A checkpoint's parts, fp32, ready to sample from, and its native side in pixels."""
    config = header(file)
    tensors = load_file(file)
    unet = UNet2DConditionModel(**{key: value for key, value in config["unet"].items() if key != "_class_name"})
    vae = AutoencoderKL(**{key: value for key, value in config["vae"].items() if key != "_class_name"})
    encoder = CLIPTextModel(CLIPTextConfig(**config["text_encoder"]))
    _fill(unet, tensors, lambda names: unet_layout(names, dict(unet.config)))
    _fill(vae, tensors, lambda names: vae_layout(names, dict(vae.config)))
    _fill(encoder, tensors, text_layout)
    parts = Parts(unet=unet.eval(), vae=vae.eval(), encoder=encoder.eval(), rows=rows)
    return parts, int(config["native_size"][0])


@torch.no_grad()
def _fill(module: torch.nn.Module, tensors: Tensors, layout: Callable[[Tensors], Tensors]) -> None:
    # The layout renames tensors and keeps their storage, so writing into what it returns fills the module.
    for key, place in layout(dict(module.state_dict())).items():
        place.copy_(tensors[key])
