"""What a LoRA's header tells of its training (kohya's `ss_` keys), and any header's metadata as people read it."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from webui.catalog.covers import COVERS, THUMBNAIL

HASHES = frozenset({"sshs_model_hash", "sshs_legacy_hash"})
SHOWN: Mapping[str, str] = {
    "ss_output_name": "Output name", "ss_sd_model_name": "Trained on", "modelspec.title": "Title",
    "modelspec.author": "Author", "modelspec.architecture": "Architecture", "ss_network_module": "Network module",
    "ss_network_dim": "Network rank", "ss_network_alpha": "Network alpha", "ss_clip_skip": "Clip skip",
    "ss_num_epochs": "Epochs", "ss_steps": "Training steps", "ss_learning_rate": "Learning rate",
}  # fmt: skip
"""Keys whose value is shown as it is → label."""
SENTENCE = 16
"""Mean letters from which "tags" are taken for captions, whose words are counted instead."""
WORD = re.compile(r"[-_\w']+")
MOST_RESOLUTIONS = 4


def plain(metadata: Mapping[str, str]) -> dict[str, Any]:
    """All of it without pictures, values that are JSON objects parsed."""
    return {key: _parsed(value) for key, value in metadata.items() if key not in (COVERS, THUMBNAIL)}


def _parsed(value: str) -> Any:
    if not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def facts(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    """(English label, value) of what is told, in a fixed order."""
    told = [
        (label, value) for key, label in SHOWN.items() if (value := metadata.get(key, "").strip()) not in ("", "None")
    ]
    made = {"Trained": _date(metadata.get("ss_training_started_at", "")), "Resolutions": _resolutions(metadata)}
    told += [(label, value) for label, value in made.items() if value]
    if pictures := _pictures(metadata):
        told.append(("Training pictures", str(pictures)))
    return told


def tags(metadata: Mapping[str, str]) -> list[tuple[str, int]]:
    """The training captions' tags with their number, most frequent first; of whole sentences, their words."""
    counts: Counter[str] = Counter()
    for folder in _table(metadata, "ss_tag_frequency").values():
        for tag, count in cast("dict[str, Any]", folder).items() if isinstance(folder, dict) else ():
            if isinstance(count, int) and tag.strip():
                counts[tag.strip()] += count
    if counts and sum(map(len, counts)) / len(counts) >= SENTENCE:
        words: Counter[str] = Counter()
        for text, count in counts.items():
            for word in WORD.findall(text):
                if len(word) > 2:
                    words[word] += count
        counts = words
    return counts.most_common()


def _table(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    value = _parsed(metadata.get(key, ""))
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _date(text: str) -> str:
    try:
        return datetime.fromtimestamp(float(text), UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def _resolutions(metadata: Mapping[str, str]) -> str:
    counts: Counter[str] = Counter()
    buckets = _table(metadata, "ss_bucket_info").get("buckets")
    for bucket in cast("dict[str, Any]", buckets).values() if isinstance(buckets, dict) else ():
        try:
            width, height = bucket["resolution"]
            counts[f"{int(width)}×{int(height)}"] += int(bucket["count"])
        except (TypeError, KeyError, ValueError):
            continue
    named = [size for size, _ in counts.most_common()]
    return ", ".join(named[:MOST_RESOLUTIONS]) + (", …" if len(named) > MOST_RESOLUTIONS else "")


def _pictures(metadata: Mapping[str, str]) -> int:
    total = 0
    for folder in _table(metadata, "ss_dataset_dirs").values():
        count = cast("dict[str, Any]", folder).get("img_count") if isinstance(folder, dict) else None
        total += count if isinstance(count, int) else 0
    return total
