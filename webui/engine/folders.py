"""Diffusers folders as one table of weights: `unet/…`, `vae/…`, `text_encoder/…`, with each component's config.json.

Only what lies in the folder is read; nothing is ever fetched. Of several files of one component the plain one is taken
before `fp16`, and safetensors before .bin.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webui.domain.errors import BrokenFile
from webui.engine.weights import Entry, Weights, open_weights

COMPONENTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}
_OLD_TEXT = "pytorch_model"
LEFTOVERS = "leftovers.safetensors"
"""What a single file had beside its modules (noise schedule, running averages, marks), kept by a conversion."""


def open_folder(path: Path) -> Weights:
    """Open a folder with model_index.json, or one component's folder with its config.json. Raises BrokenFile."""
    if not (path / "model_index.json").is_file():
        if not (path / "config.json").is_file():
            raise BrokenFile(path=str(path), reason="a folder without model_index.json or config.json")
        return _component(path, "diffusion_pytorch_model", prefix="", configs={"": _json(path / "config.json")})
    configs: dict[str, Any] = {"": _json(path / "model_index.json")}
    entries: dict[str, Entry] = {}
    metadata: dict[str, str] = {}
    for name, base in COMPONENTS.items():
        if not (path / name / "config.json").is_file():
            continue
        configs[name] = _json(path / name / "config.json")
        component = _component(path / name, base, prefix=f"{name}/", configs={})
        entries |= component.entries
        metadata = dict(component.metadata) if name == "unet" else metadata
    if (path / LEFTOVERS).is_file():
        entries = open_weights(path / LEFTOVERS).entries | entries
    scheduler = path / "scheduler" / "scheduler_config.json"
    if scheduler.is_file():
        configs["scheduler"] = _json(scheduler)
    return Weights(path, entries, metadata, extra=configs)


def _component(folder: Path, base: str, *, prefix: str, configs: dict[str, Any]) -> Weights:
    for found in _candidates(folder, base):
        entries: dict[str, Entry] = {}
        metadata: dict[str, str] = {}
        for file in found:
            opened = open_weights(file)
            entries |= {f"{prefix}{key}": entry for key, entry in opened.entries.items()}
            metadata |= {key: value for key, value in opened.metadata.items() if key != "format"}
        return Weights(folder, entries, metadata, extra=configs)
    raise BrokenFile(path=str(folder), reason=f"no {base}.safetensors or .bin in it")


def _candidates(folder: Path, base: str) -> Iterator[list[Path]]:
    bases = (base, _OLD_TEXT) if base == "model" else (base,)
    for variant in ("", ".fp16", ".non_ema"):
        for name in bases:
            for ending in (".safetensors", ".bin"):
                whole = folder / f"{name}{variant}{ending}"
                if whole.is_file():
                    yield [whole]
                index = folder / f"{name}{ending}.index{variant}.json"
                if index.is_file():
                    shards = sorted(set(_json(index).get("weight_map", {}).values()))
                    yield [folder / Path(shard).name for shard in shards]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BrokenFile(path=str(path), reason=str(error)) from None
    if not isinstance(value, dict):
        raise BrokenFile(path=str(path), reason="not a table")
    return value
