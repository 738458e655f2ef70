"""Model folders as diffusers saves them: `model_index.json` with parts below, or one part with `config.json`."""

import json
from pathlib import Path
from typing import Any, cast

from webui.catalog.header import Header
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile

LARGEST_CONFIG = 1_000_000
"""Bytes."""
PARTS = ("unet", "transformer", "vae", "text_encoder", "scheduler")


def is_one(names: set[str]) -> bool:
    """Whether a folder holding these file names is one model."""
    if "model_index.json" in names:
        return True
    return "config.json" in names and any(name.startswith("diffusion_pytorch_model.") for name in names)


def weights(folder: Path) -> list[Path]:
    """Files that make the model, in a fixed order: configurations and weights, at most one folder deep."""
    found = [entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")]
    for part in sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        found += [entry for entry in part.iterdir() if entry.is_file()]
    wanted = (".safetensors", ".bin", ".json")
    return sorted(entry for entry in found if entry.name.lower().endswith(wanted))


def read(folder: Path) -> Header:
    """Configurations as metadata "<part>.<key>"; no weights are opened. Raises BrokenFile, OSError."""
    words: dict[str, str] = {}
    if (folder / "model_index.json").is_file():
        words |= _flat("", _load(folder / "model_index.json"))
        for part in PARTS:
            for name in ("config.json", "scheduler_config.json"):
                if (folder / part / name).is_file():
                    words |= _flat(f"{part}.", _load(folder / part / name))
    else:
        words |= _flat("", _load(folder / "config.json"))
    return Header(format=ModelFormat.DIFFUSERS, metadata=words)


def _load(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        raw = file.read(LARGEST_CONFIG + 1)
    if len(raw) > LARGEST_CONFIG:
        raise BrokenFile(path=str(path), reason="it is too large for a configuration")
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BrokenFile(path=str(path), reason="it is not JSON") from error
    if not isinstance(table, dict):
        raise BrokenFile(path=str(path), reason="it is not a JSON object")
    return cast("dict[str, Any]", table)


def _flat(prefix: str, table: dict[str, Any]) -> dict[str, str]:
    return {prefix + key: value if isinstance(value, str) else json.dumps(value) for key, value in table.items()}
