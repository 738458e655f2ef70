"""Stable Diffusion XL, its refiner and its inpainting model (Podell et al. 2023).

The base hears CLIP-L and bigG side by side, bigG's pooled text, and six numbers: original size, crop corner, target
size. The refiner hears bigG alone and five numbers: original size, crop corner, aesthetic score. Pony, Illustrious and
NoobAI are the base with other weights; those trained on the velocity down to pure noise say so in the file.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from webui.domain.errors import BrokenFile
from webui.engine import keys
from webui.engine.families import known, sd1
from webui.engine.families.parts import Framing, Parts, TextPart
from webui.engine.loading import text_names
from webui.engine.weights import Entry, Weights

SCALE = 0.13025
"""Latents are multiplied by this; it makes SDXL's VAE's latents unit variance."""
SIZE = 1024
HEAD = 64
"""Channels of an attention head, in the UNet and in every CLIP."""
_BIG = "text_encoder_2."
_FIRST = (keys.SDXL_TEXT, "conditioner.embedders.0.transformer.")
_WORDS = "embeddings.token_embedding.weight"
PENULTIMATE = 2


def configure(weights: Weights) -> Parts:
    """The base's modules. Raises BrokenFile when the file lacks a text encoder."""
    if "unet" in weights.extra:
        return _finished(weights, (_first_in_folder(weights), _big_in_folder(weights)), refiner=False)
    embedded = sd1.embedded_config(weights)
    prefix = next((prefix for prefix in _FIRST if prefix + _WORDS in weights), None)
    if prefix is None:
        raise BrokenFile(path=str(weights.path), reason="no text encoder in it")
    first = TextPart(
        name="clip_l",
        config=sd1.plain(embedded.get("text_encoder")) or sd1.text_config(weights, prefix),
        names=lambda name: (prefix + keys.text_to_ldm(name),),
        layer=PENULTIMATE,
    )
    big = _big(weights, keys.SDXL_TEXT_2, sd1.plain(embedded.get("text_encoder_2")))
    return _finished(weights, (first, big), refiner=False)


def configure_refiner(weights: Weights) -> Parts:
    """The refiner's modules. Raises BrokenFile when the file lacks its text encoder."""
    if "unet" in weights.extra:
        return _finished(weights, (_big_in_folder(weights),), refiner=True)
    embedded = sd1.embedded_config(weights)
    big = _big(weights, keys.REFINER_TEXT, sd1.plain(embedded.get("text_encoder_2")))
    return _finished(weights, (big,), refiner=True)


def base_numbers(framing: Framing, role: str) -> tuple[float, ...]:
    """Original height and width, top and left of the crop, target height and width; as A1111, both sizes are the
    picture's.
    """
    size = (float(framing.height), float(framing.width))
    return (*size, float(framing.crop_top), float(framing.crop_left), *size)


def refiner_numbers(framing: Framing, role: str) -> tuple[float, ...]:
    """Original height and width, top and left of the crop, the aesthetic score of the call's role."""
    size = (float(framing.height), float(framing.width))
    return (*size, float(framing.crop_top), float(framing.crop_left), framing.score_of(role))


def _finished(weights: Weights, texts: tuple[TextPart, ...], *, refiner: bool) -> Parts:
    folder, embedded = "unet" in weights.extra, sd1.embedded_config(weights)
    numbers = refiner_numbers if refiner else base_numbers
    if folder:
        unet, vae = sd1.plain(weights.extra["unet"]), sd1.plain(weights.extra.get("vae")) or None
        side = int(unet.get("sample_size") or SIZE // 8) * 8
    else:
        count = len(numbers(Framing(width=0, height=0), ""))
        pooled = int(texts[-1].config["projection_dim"])
        unet = sd1.plain(embedded.get("unet")) or unet_config(weights, keys.UNET, pooled=pooled, numbers=count)
        has_vae = f"{keys.VAE}decoder.conv_in.weight" in weights
        own = sd1.plain(embedded.get("vae")) or (sd1.vae_config(weights, keys.VAE, scale=SCALE) if has_vae else {})
        vae, side = (own or None) if has_vae else None, SIZE
    return Parts(
        unet=unet,
        texts=texts,
        vae=vae,
        scale=SCALE,
        native_size=sd1.native_size(weights, embedded, side),
        v_prediction=known.says_v(weights),
        zero_terminal_snr=known.says_zero_snr(weights),
        numbers=numbers,
        zero_empty_negative=True,
        embedded=embedded,
    )


def unet_config(weights: Weights, prefix: str, *, pooled: int, numbers: int) -> dict[str, Any]:
    """UNet2DConditionModel's arguments read off the shapes; `pooled`: width of the pooled text, `numbers`: how many
    numbers stand beside it.
    """
    config = sd1.unet_config(weights, prefix)
    layers, channels = int(config["layers_per_block"]), config["block_out_channels"]
    heard = weights.shape(f"{prefix}label_emb.0.0.weight")[1]
    firsts = [f"input_blocks.{1 + level * (layers + 1)}.1" for level in range(len(channels))]
    depths = [_depth(weights, f"{prefix}{first}") for first in firsts]
    # The middle is as deep as the last level says, also where that level itself has no attention (the refiner).
    depths[-1] = _depth(weights, f"{prefix}middle_block.1")
    return config | {
        "attention_head_dim": tuple(max(1, width // HEAD) for width in channels),
        "transformer_layers_per_block": tuple(depths),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": (heard - pooled) // numbers,
        "projection_class_embeddings_input_dim": heard,
        "sample_size": SIZE // 8,
    }


def _depth(weights: Weights, place: str) -> int:
    """Transformer blocks of one attention, 1 where there is none."""
    pattern = re.compile(re.escape(place) + r"\.transformer_blocks\.(\d+)\.norm1\.weight")
    return len({match[1] for name in weights if (match := pattern.fullmatch(name))}) or 1


def _big(weights: Weights, prefix: str, given: Mapping[str, Any]) -> TextPart:
    """bigG as OpenCLIP stores it: q, k and v in one matrix, the projection the other way round."""
    if f"{prefix}token_embedding.weight" not in weights:
        raise BrokenFile(path=str(weights.path), reason="no text encoder in it")
    words, hidden = weights.shape(f"{prefix}token_embedding.weight")
    blocks = f"{prefix}transformer.resblocks."
    layers = {name.removeprefix(blocks).split(".")[0] for name in weights if name.startswith(blocks)}
    config = given or {
        "vocab_size": words,
        "hidden_size": hidden,
        "intermediate_size": weights.shape(f"{blocks}0.mlp.c_fc.weight")[0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, hidden // HEAD),
        "max_position_embeddings": weights.shape(f"{prefix}positional_embedding")[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "projection_dim": weights.shape(f"{prefix}text_projection")[1],
        "bos_token_id": 49406,
        "eos_token_id": 49407,
    }
    own = f"{_BIG}{prefix}"
    return TextPart(
        name="clip_g",
        config=config,
        names=lambda name: (own + keys.text_to_ldm(name),),
        entries={own + name: entry for name, entry in openclip_entries(weights, prefix).items()},
        projected=True,
        pad=0,
        layer=PENULTIMATE,
    )


def openclip_entries(weights: Weights, prefix: str) -> dict[str, Entry]:
    """OpenCLIP's text model under `prefix` by transformers' names, each tensor a window on the file's own bytes."""
    names = [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
    found: dict[str, Entry] = {}
    for ours in _transformers_names(names):
        theirs, third = keys.text_to_openclip(ours)
        entry = weights.entries.get(prefix + theirs)
        if entry is None:
            continue
        if third is not None:
            found[ours] = _third(entry, third)
        else:
            found[ours] = _turned(entry) if theirs == "text_projection" else entry
    return found


def _transformers_names(theirs: list[str]) -> list[str]:
    """Every name a text model of as many layers has."""
    layers = sorted({name.split(".")[2] for name in theirs if name.startswith("transformer.resblocks.")}, key=len)
    inner = [
        *("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"),
        *(f"self_attn.{letter}_proj" for letter in (*keys.QKV, "out")),
    ]
    parts = [f"encoder.layers.{layer}.{part}" for layer in layers for part in inner]
    top = ("embeddings.token_embedding.weight", "embeddings.position_embedding.weight", "final_layer_norm.weight",
           "final_layer_norm.bias", "text_projection.weight")  # fmt: skip
    return [*top, *(f"{part}.{leaf}" for part in parts for leaf in ("weight", "bias"))]


def _third(entry: Entry, third: int) -> Entry:
    """One third of a tensor's rows. Raises ValueError when they are no multiple of three."""
    rows = entry.shape[0]
    if rows % 3:
        raise ValueError(f"{rows} rows are not q, k and v")
    step = entry.stride[0] if entry.stride is not None else entry.shape[1] if len(entry.shape) > 1 else 1
    begin = entry.offset + third * (rows // 3) * step * entry.dtype.itemsize
    return replace(entry, offset=begin, shape=(rows // 3, *entry.shape[1:]))


def _turned(entry: Entry) -> Entry:
    """A matrix the other way round."""
    height, width = entry.shape
    up, along = entry.stride or (width, 1)
    return replace(entry, shape=(width, height), stride=(along, up))


def _first_in_folder(weights: Weights) -> TextPart:
    return TextPart(
        name="clip_l",
        config=sd1.plain(weights.extra["text_encoder"]),
        names=text_names(folder=True),
        layer=PENULTIMATE,
    )


def _big_in_folder(weights: Weights) -> TextPart:
    return TextPart(
        name="clip_g",
        config=sd1.plain(weights.extra["text_encoder_2"]),
        names=text_names(folder=True, component="text_encoder_2"),
        projected=True,
        pad=0,
        layer=PENULTIMATE,
    )
