"""A checkpoint's weights under the names of a single file (LDM's) and of a diffusers folder, both from `engine.keys`.

What diffusers has no name for (noise schedule, running averages, marks like `v_pred`) goes into a file of its own in
the folder, so that the way back gives every tensor again.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import torch
from diffusers import __version__ as diffusers_version
from torch import nn

from webui.domain.errors import BrokenFile
from webui.domain.model import Family
from webui.engine import keys
from webui.engine.families import configured
from webui.engine.families.parts import Parts
from webui.engine.folders import LEFTOVERS
from webui.engine.loading import Names, empty_text_encoder, empty_unet, empty_vae, fitting, text_names, unet_names
from webui.engine.loading import vae_names as vae_names_of
from webui.engine.weights import Entry, MemorySource, Weights
from webui.prompt.tokens import END_TEXT, START_TEXT, merges, vocabulary
from webui.tools.pieces import Piece, whole

MARKS = {"v_pred": "prediction_type", "ztsnr": "rescale_betas_zero_snr"}
UNET_FILE, VAE_FILE, TEXT_FILE = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)


@dataclass(slots=True)
class Folder:
    """A diffusers folder to be written: weights by file and name, texts by file."""

    weights: dict[str, dict[str, Piece]] = field(default_factory=dict[str, dict[str, Piece]])
    texts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Part:
    """One module of a model: its file in a folder, its weights' names in the source, in a single file, in a folder."""

    file: str
    module: nn.Module
    found: Names
    single: Callable[[str], str]
    inside: Callable[[str], str] = str

    def pieces(self, weights: Weights) -> Iterator[tuple[str, str, Piece]]:
        """(module's name, source's name, piece in the module's shape). Raises BrokenFile for one that is missing."""
        for name, parameter in self.module.named_parameters():
            key = next((key for key in self.found(name) if key in weights), None)
            if key is None:
                raise BrokenFile(path=str(weights.path), reason=f"weights are missing: {name}")
            shape = fitting(weights, key, tuple(parameter.shape))
            yield name, key, whole(weights.entries[key]).shaped(shape)


def _parts(weights: Weights, parts: Parts) -> Iterator[_Part]:
    """The modules of a Stable Diffusion 1 model. Raises BrokenFile when a configuration does not hold together."""
    folder, path = "unet" in weights.extra, weights.path
    unet = empty_unet(parts.unet, path)
    yield _Part(
        UNET_FILE, unet, unet_names(unet, folder=folder),
        lambda name: keys.UNET + keys.unet_to_ldm(name, keys.config_of(unet)),
    )  # fmt: skip
    yield _Part(
        TEXT_FILE, empty_text_encoder(parts.text, path), text_names(folder=folder),
        lambda name: keys.TEXT + keys.text_to_ldm(name), lambda name: f"text_model.{keys.text_to_ldm(name)}",
    )  # fmt: skip
    if parts.vae is not None:
        vae = empty_vae(parts.vae, path)
        yield _Part(
            VAE_FILE, vae, vae_names_of(vae, prefix="vae/" if folder else keys.VAE),
            lambda name: keys.VAE + keys.vae_to_ldm(name, keys.config_of(vae)),
        )  # fmt: skip


def folder_of(weights: Weights, parts: Parts, *, drop_ema: bool) -> Folder:
    """A checkpoint (of either layout) as a diffusers folder. Raises BrokenFile."""
    made, used = Folder(), set[str]()
    for part in _parts(weights, parts):
        table = made.weights.setdefault(part.file, {})
        for name, key, piece in part.pieces(weights):
            table[part.inside(name)] = piece
            used.add(key)
    rest = leftovers(weights, used, drop_ema=drop_ema)
    if rest:
        made.weights[LEFTOVERS] = rest
    made.texts = _texts(weights, parts)
    return made


def single_file(weights: Weights, parts: Parts, *, drop_ema: bool) -> tuple[dict[str, Piece], dict[str, str]]:
    """A diffusers folder as a single file: its weights under LDM's names, and metadata. Raises BrokenFile."""
    pieces: dict[str, Piece] = {}
    used = set[str]()
    for part in _parts(weights, parts):
        for name, key, piece in part.pieces(weights):
            convolution = part.file == VAE_FILE and keys.is_vae_attention(name)
            pieces[part.single(name)] = piece.shaped((*piece.shape, 1, 1)) if convolution else piece
            used.add(key)
    pieces |= leftovers(weights, used, drop_ema=drop_ema)
    pieces |= {mark: _empty() for mark in _marks(weights, parts) if mark not in pieces}
    metadata = dict(weights.metadata)
    if not _shapes_tell(pieces, parts, weights):
        metadata["maple.config"] = json.dumps(_config(parts))
    return pieces, metadata


def leftovers(weights: Weights, used: set[str], *, drop_ema: bool) -> dict[str, Piece]:
    """What belongs to no module, by its name in the source."""
    # In a folder the names of modules have a slash; what a module does not know there (`position_ids`) is not needed.
    folder = "unet" in weights.extra
    return {
        name: whole(entry)
        for name, entry in weights.entries.items()
        if name not in used and not (folder and "/" in name) and not (drop_ema and name.startswith(keys.EMA))
    }


def _empty() -> Piece:
    return whole(Entry(MemorySource(bytearray()), 0, torch.float32, (0,)))


def _marks(weights: Weights, parts: Parts) -> Iterator[str]:
    """Keys by which a single file says what a folder's scheduler says."""
    if parts.v_prediction:
        yield "v_pred"
    if weights.extra.get("scheduler", {}).get("rescale_betas_zero_snr"):
        yield "ztsnr"


def _shapes_tell(pieces: Mapping[str, Piece], parts: Parts, source: Weights) -> bool:
    """Whether a reader of the single file finds these configurations by the weights' shapes alone."""
    entries = {name: Entry(piece.entries[0].source, 0, piece.dtype, piece.shape) for name, piece in pieces.items()}
    try:
        _family, read = configured(Weights(source.path, entries))
    except BrokenFile:
        return False
    return all(_agree(getattr(read, part), getattr(parts, part)) for part in ("unet", "text", "vae")) and tuple(
        read.native_size
    ) == tuple(parts.native_size)


def _agree(read: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> bool:
    if read is None or own is None:
        return read is own
    plain = ("sample_size", "projection_dim", "bos_token_id", "eos_token_id")
    return all(
        json.dumps(value) == json.dumps(own[key]) for key, value in read.items() if key in own and key not in plain
    )


def _config(parts: Parts) -> dict[str, Any]:
    config = {"unet": parts.unet, "text_encoder": parts.text, "native_size": list(parts.native_size)}
    return {**parts.embedded, **config, **({"vae": parts.vae} if parts.vae is not None else {})}


def _texts(weights: Weights, parts: Parts) -> dict[str, str]:
    """Configurations and tokenizer. What a folder as source has of its own is kept."""
    extra = weights.extra
    unet = {"_class_name": "UNet2DConditionModel", "_diffusers_version": diffusers_version, **parts.unet}
    unet["sample_size"] = parts.native_size[0] // 8
    scheduler = {
        "_class_name": "DDIMScheduler", "_diffusers_version": diffusers_version, "num_train_timesteps": 1000,
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False,
        "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "leading",
        "prediction_type": "v_prediction" if parts.v_prediction else "epsilon",
        "rescale_betas_zero_snr": "ztsnr" in weights,
    }  # fmt: skip
    text = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **parts.text}
    index = {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": diffusers_version,
        "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "feature_extractor": [None, None], "safety_checker": [None, None], "requires_safety_checker": False,
    }  # fmt: skip
    made = {"unet/config.json": unet, "text_encoder/config.json": text}
    if parts.vae is not None:
        index["vae"] = ["diffusers", "AutoencoderKL"]
        made["vae/config.json"] = {
            "_class_name": "AutoencoderKL", "_diffusers_version": diffusers_version, **parts.vae,
        }  # fmt: skip
    made["scheduler/scheduler_config.json"] = extra.get("scheduler") or scheduler
    tokens = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": START_TEXT, "eos_token": END_TEXT,
        "unk_token": END_TEXT, "pad_token": END_TEXT, "add_prefix_space": False,
    }  # fmt: skip
    special = {name: tokens[name] for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    made |= {"tokenizer/tokenizer_config.json": tokens, "tokenizer/special_tokens_map.json": special}
    pairs = gzip.decompress(files("webui.prompt").joinpath("clip", "merges.txt.gz").read_bytes()).decode()
    return {
        **{name: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for name, value in made.items()},
        "tokenizer/vocab.json": json.dumps(vocabulary(merges()), ensure_ascii=False),
        "tokenizer/merges.txt": pairs,
        # Last: a folder is a model once this file is in it.
        "model_index.json": json.dumps(index, indent=2) + "\n",
    }


def is_family_known(family: Family) -> bool:
    """Whether this room knows both layouts of a family."""
    return family is Family.SD1
