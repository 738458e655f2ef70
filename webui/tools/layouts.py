"""A checkpoint's weights under the names of a single file (LDM's) and of a diffusers folder, both from `engine.keys`.

What diffusers has no name for (noise schedule, running averages, marks like `v_pred`) goes into a file of its own in
the folder, so that the way back gives every tensor again.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from diffusers import __version__ as diffusers_version
from torch import nn

from webui.domain.errors import BrokenFile, MapleError
from webui.domain.model import Family
from webui.engine import keys
from webui.engine.families import configured
from webui.engine.families.parts import Parts, TextPart
from webui.engine.folders import LEFTOVERS
from webui.engine.loading import Names, empty_text_encoder, empty_unet, empty_vae, fitting, unet_names
from webui.engine.loading import vae_names as vae_names_of
from webui.engine.weights import Entry, MemorySource, Weights
from webui.prompt.tokens import END_TEXT, START_TEXT, merges, vocabulary
from webui.tools.pieces import Piece, whole

UNET_FILE, VAE_FILE = "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"
FAMILIES = (Family.SD1, Family.SDXL, Family.SDXL_REFINER)
"""Whose both layouts are known here."""


@dataclass(slots=True)
class Folder:
    """A diffusers folder to be written: weights by file and name, texts by file."""

    weights: dict[str, dict[str, Piece]] = field(default_factory=dict[str, dict[str, Piece]])
    texts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Part:
    """One module of a model: its file in a folder, its weights' names in the source, in a single file, in a folder.

    `single` gives a name and, where the single file stacks several weights in one tensor, which of three it is.
    """

    file: str
    module: nn.Module
    found: Names
    single: Callable[[str], tuple[str, int | None]]
    inside: Callable[[str], str] = str
    entries: Mapping[str, Entry] = field(default_factory=dict[str, Entry])
    turned: str = ""
    """The weight that a single file has the other way round."""

    def pieces(self, weights: Weights) -> Iterator[tuple[str, str, Piece]]:
        """(module's name, source's name, piece in the module's shape). Raises BrokenFile for one that is missing."""
        table = Weights(weights.path, {**weights.entries, **self.entries})
        for name, parameter in self.module.named_parameters():
            key = next((key for key in self.found(name) if key in table), None)
            if key is None:
                raise BrokenFile(path=str(weights.path), reason=f"weights are missing: {name}")
            yield name, key, whole(table.entries[key]).shaped(fitting(table, key, tuple(parameter.shape)))


def _parts(weights: Weights, parts: Parts, family: Family) -> Iterator[_Part]:
    """The modules of a model. Raises BrokenFile when a configuration does not hold together."""
    folder, path = "unet" in weights.extra, weights.path
    unet = empty_unet(parts.unet, path)
    yield _Part(
        UNET_FILE, unet, unet_names(unet, folder=folder),
        lambda name: (keys.UNET + keys.unet_to_ldm(name, keys.config_of(unet)), None),
    )  # fmt: skip
    for text in parts.texts:
        yield _text_part(text, family, path)
    if parts.vae is not None:
        vae = empty_vae(parts.vae, path)
        yield _Part(
            VAE_FILE, vae, vae_names_of(vae, prefix="vae/" if folder else keys.VAE),
            lambda name: (keys.VAE + keys.vae_to_ldm(name, keys.config_of(vae)), None),
        )  # fmt: skip


def _text_part(text: TextPart, family: Family, path: Path) -> _Part:
    def inside(name: str) -> str:
        name = keys.text_to_ldm(name)
        return name if name.startswith("text_projection") else f"text_model.{name}"

    module = empty_text_encoder(text.config, path, projected=text.projected)
    if text.name == "clip_l":
        prefix = keys.TEXT if family is Family.SD1 else keys.SDXL_TEXT
        return _Part(
            f"{component_of(text)}/model.safetensors", module, text.names,
            lambda name: (prefix + keys.text_to_ldm(name), None), inside, text.entries,
        )  # fmt: skip
    big = keys.SDXL_TEXT_2 if family is Family.SDXL else keys.REFINER_TEXT

    def stacked(name: str) -> tuple[str, int | None]:
        theirs, third = keys.text_to_openclip(name)
        return big + theirs, third

    return _Part(
        f"{component_of(text)}/model.safetensors", module, text.names, stacked, inside, text.entries,
        turned=f"{big}text_projection",
    )  # fmt: skip


def component_of(text: TextPart) -> str:
    """The name a text encoder has in a folder."""
    return "text_encoder" if text.name == "clip_l" else "text_encoder_2"


def folder_of(weights: Weights, parts: Parts, family: Family, *, drop_ema: bool) -> Folder:
    """A checkpoint (of either layout) as a diffusers folder. Raises BrokenFile."""
    made, used = Folder(), set[str]()
    for part in _parts(weights, parts, family):
        table = made.weights.setdefault(part.file, {})
        for name, key, piece in part.pieces(weights):
            table[part.inside(name)] = piece
            # What is a window on a stacked tensor stands for that tensor.
            used |= {key, part.single(name)[0]}
    rest = leftovers(weights, used, drop_ema=drop_ema)
    if rest:
        made.weights[LEFTOVERS] = rest
    made.texts = _texts(weights, parts, family)
    return made


def single_file(
    weights: Weights, parts: Parts, family: Family, *, drop_ema: bool
) -> tuple[dict[str, Piece], dict[str, str]]:
    """A diffusers folder as a single file: its weights under LDM's names, and metadata. Raises BrokenFile."""
    pieces: dict[str, Piece] = {}
    thirds: dict[str, dict[int, Piece]] = {}
    used = set[str]()
    for part in _parts(weights, parts, family):
        for name, key, piece in part.pieces(weights):
            used.add(key)
            theirs, third = part.single(name)
            if third is not None:
                thirds.setdefault(theirs, {})[third] = piece
            elif part.file == VAE_FILE and keys.is_vae_attention(name):
                pieces[theirs] = piece.shaped((*piece.shape, 1, 1))
            else:
                pieces[theirs] = _turned(piece) if theirs == part.turned else piece
    pieces |= {name: _stacked([rows[number] for number in range(3)]) for name, rows in thirds.items()}
    pieces |= leftovers(weights, used, drop_ema=drop_ema)
    pieces |= {mark: _empty() for mark in _marks(weights, parts) if mark not in pieces}
    metadata = dict(weights.metadata)
    if not _shapes_tell(pieces, parts, weights):
        metadata["maple.config"] = json.dumps(_config(parts))
    return pieces, metadata


def _stacked(pieces: list[Piece]) -> Piece:
    """Pieces of one shape below each other."""
    first = pieces[0]
    return Piece(
        first.dtype,
        (sum(piece.shape[0] for piece in pieces), *first.shape[1:]),
        tuple(entry for piece in pieces for entry in piece.entries),
    )


def _turned(piece: Piece) -> Piece:
    """A matrix the other way round."""
    (entry,) = piece.entries
    up, along = entry.stride or (entry.shape[1], 1)
    shape = (entry.shape[1], entry.shape[0])
    return Piece(piece.dtype, shape, (replace(entry, shape=shape, stride=(along, up)),))


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
    if parts.zero_terminal_snr:
        yield "ztsnr"


def _shapes_tell(pieces: Mapping[str, Piece], parts: Parts, source: Weights) -> bool:
    """Whether a reader of the single file finds these configurations by the weights' shapes alone."""
    entries = {name: Entry(piece.entries[0].source, 0, piece.dtype, piece.shape) for name, piece in pieces.items()}
    try:
        _family, read = configured(Weights(source.path, entries))
    except MapleError:
        return False
    own = [parts.unet, parts.vae, *(text.config for text in parts.texts)]
    told = [read.unet, read.vae, *(text.config for text in read.texts)]
    same = len(own) == len(told) and all(_agree(one, other) for one, other in zip(told, own, strict=True))
    return same and tuple(read.native_size) == tuple(parts.native_size)


def _agree(read: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> bool:
    if read is None or own is None:
        return read is own
    plain = ("sample_size", "projection_dim", "bos_token_id", "eos_token_id")
    return all(
        json.dumps(value) == json.dumps(own[key]) for key, value in read.items() if key in own and key not in plain
    )


def _config(parts: Parts) -> dict[str, Any]:
    texts = {component_of(text): text.config for text in parts.texts}
    config = {"unet": parts.unet, "native_size": list(parts.native_size), **texts}
    return {**parts.embedded, **config, **({"vae": parts.vae} if parts.vae is not None else {})}


def _texts(weights: Weights, parts: Parts, family: Family) -> dict[str, str]:
    """Configurations and tokenizers. The scheduler of a folder as source is kept."""
    said = {"_diffusers_version": diffusers_version}
    made: dict[str, Any] = {
        "unet/config.json": {
            "_class_name": "UNet2DConditionModel", **said, **parts.unet, "sample_size": parts.native_size[0] // 8,
        },
        "scheduler/scheduler_config.json": weights.extra.get("scheduler") or _scheduler(parts, family) | said,
    }  # fmt: skip
    if parts.vae is not None:
        made["vae/config.json"] = {"_class_name": "AutoencoderKL", **said, **parts.vae}
    table, pairs = _vocabulary()
    whole_texts: dict[str, str] = {}
    for text in parts.texts:
        name = component_of(text)
        tokenizer = name.replace("text_encoder", "tokenizer")
        kind = "CLIPTextModelWithProjection" if text.projected else "CLIPTextModel"
        made[f"{name}/config.json"] = {"architectures": [kind], "model_type": "clip_text_model", **text.config}
        made |= _tokenizer(tokenizer, pad=END_TEXT if text.pad is None else "!")
        whole_texts |= {f"{tokenizer}/vocab.json": table, f"{tokenizer}/merges.txt": pairs}
    return {
        **{name: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for name, value in made.items()},
        **whole_texts,
        # Last: a folder is a model once this file is in it.
        "model_index.json": json.dumps(_index(parts, family) | said, indent=2) + "\n",
    }


def _scheduler(parts: Parts, family: Family) -> dict[str, Any]:
    return {
        "_class_name": "DDIMScheduler" if family is Family.SD1 else "EulerDiscreteScheduler",
        "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "steps_offset": 1, "timestep_spacing": "leading",
        "prediction_type": "v_prediction" if parts.v_prediction else "epsilon",
        "rescale_betas_zero_snr": parts.zero_terminal_snr,
        **({"clip_sample": False, "set_alpha_to_one": False} if family is Family.SD1 else {}),
    }  # fmt: skip


def _index(parts: Parts, family: Family) -> dict[str, Any]:
    """model_index.json: which class loads which part."""
    nothing = [None, None]
    index: dict[str, Any] = {"unet": ["diffusers", "UNet2DConditionModel"], "feature_extractor": nothing}
    index["scheduler"] = ["diffusers", _scheduler(parts, family)["_class_name"]]
    if parts.vae is not None:
        index["vae"] = ["diffusers", "AutoencoderKL"]
    if family is Family.SD1:
        index |= {"_class_name": "StableDiffusionPipeline", "safety_checker": nothing, "requires_safety_checker": False}
    elif family is Family.SDXL:
        index |= {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True}
    else:
        index |= {
            "_class_name": "StableDiffusionXLImg2ImgPipeline", "force_zeros_for_empty_prompt": False,
            "requires_aesthetics_score": True, "text_encoder": nothing, "tokenizer": nothing,
        }  # fmt: skip
    for text in parts.texts:
        name = component_of(text)
        index[name] = ["transformers", "CLIPTextModelWithProjection" if text.projected else "CLIPTextModel"]
        index[name.replace("text_encoder", "tokenizer")] = ["transformers", "CLIPTokenizer"]
    return index


def _vocabulary() -> tuple[str, str]:
    """CLIP's vocab.json and merges.txt."""
    pairs = gzip.decompress(files("webui.prompt").joinpath("clip", "merges.txt.gz").read_bytes()).decode()
    return json.dumps(vocabulary(merges()), ensure_ascii=False), pairs


def _tokenizer(name: str, *, pad: str) -> dict[str, Any]:
    special = {"bos_token": START_TEXT, "eos_token": END_TEXT, "unk_token": END_TEXT, "pad_token": pad}
    return {
        f"{name}/tokenizer_config.json": {
            "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "add_prefix_space": False, **special,
        },
        f"{name}/special_tokens_map.json": special,
    }  # fmt: skip
