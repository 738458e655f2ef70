"""What small files beside a model tell of it, and writing the person's notes.

A1111's rules: `<stem>.json` is the person's (description, notes, activation text, ...), `<stem>.txt` and
`<stem>.description.txt` a description where that has none. `<stem>.civitai.info`, which Civitai's helper extensions
keep, fills in trigger words and a description when nobody wrote any.
"""

import html
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from webui.domain import Family, ModelFormat, ModelRecord
from webui.domain.errors import BadFile, Failed

LONGEST_FILE = 4_000_000
"""Bytes; a side file above this is no note."""
SD_VERSIONS: Mapping[str, Family] = {
    "SD1": Family.SD1, "SD2": Family.SD2, "SDXL": Family.SDXL, "SD3": Family.SD3,
}  # fmt: skip
"""What A1111's editor offers as "Stable Diffusion version"; anything else leaves it to the file's header."""
SITE_BASES: tuple[tuple[str, Family], ...] = (
    ("sdxl", Family.SDXL), ("pony", Family.SDXL), ("illustrious", Family.SDXL), ("noobai", Family.SDXL),
    ("sd 1", Family.SD1), ("sd 2", Family.SD2), ("sd 3", Family.SD3), ("flux", Family.FLUX),
)  # fmt: skip
"""How Civitai's base models begin."""
KEYS: Mapping[str, str] = {
    "description": "description", "notes": "notes", "activation_text": "activation text",
    "preferred_weight": "preferred weight", "negative_text": "negative text", "sd_version": "sd version", "vae": "vae",
    "prediction_type": "prediction type",
}  # fmt: skip
"""Our names → the keys in `<stem>.json`."""
TAGS = re.compile(r"<[^>]{0,2000}>")


class NotesBroken(BadFile):
    """The notes beside a model cannot be read, so they are not written over. Fields: path, reason."""

    key: ClassVar[str] = "notes_broken"


class NotesNotSaved(Failed):
    """Fields: path, reason."""

    key: ClassVar[str] = "notes_not_saved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person or a site says of a model. `preferred_weight` 0: no preference."""

    description: str = ""
    notes: str = ""
    activation_text: str = ""
    preferred_weight: float = 0.0
    negative_text: str = ""
    sd_version: str = ""
    vae: str = ""
    prediction_type: str = ""
    """Of a checkpoint whose file does not say: "Epsilon" or "V-prediction"."""
    site_base: str = ""
    """Base model as Civitai calls it."""

    @property
    def family(self) -> Family:
        """What the person says, or the site; UNKNOWN when neither does."""
        if self.sd_version in SD_VERSIONS:
            return SD_VERSIONS[self.sd_version]
        base = self.site_base.casefold()
        return next((family for start, family in SITE_BASES if base.startswith(start)), Family.UNKNOWN)

    def to_json(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Told":
        return cls(**json.loads(text))


def stem_path(record: ModelRecord) -> Path:
    """The path that side files are named after: without the model's ending."""
    if record.format is ModelFormat.DIFFUSERS:
        return record.path
    return record.path.with_name(
        record.path.name[: -len(record.path.suffix)] if record.path.suffix else record.path.name
    )


def read_told(record: ModelRecord) -> Told:
    """Everything the files in `record.beside` tell. What cannot be read counts as not there."""
    folder = record.path.parent
    named = {name.casefold(): folder / name for name, _ in record.beside}
    stem = stem_path(record).name.casefold()
    told = _from_notes(_table(named.get(f"{stem}.json")))
    if not told.description:
        told = replace(told, description=_text(named.get(f"{stem}.txt")) or _text(named.get(f"{stem}.description.txt")))
    return _with_site(told, _table(named.get(f"{stem}.civitai.info")))


def own_notes(record: ModelRecord) -> Told:
    """What stands in `<stem>.json` alone: what the editor shows and writes."""
    return _from_notes(_table(_notes_path(record)))


def family_of(record: ModelRecord) -> Family:
    """Which base model a file is for: what the person wrote beside it ("sd version"), else what its header tells."""
    said = SD_VERSIONS.get(own_notes(record).sd_version) if record.notes is not None else None
    return said or record.family


def write_notes(record: ModelRecord, values: Mapping[str, Any]) -> Path:
    """Put `values` (our names, see KEYS) into `<stem>.json`, in one step; keys it does not know stay as they are.

    Raises NotesBroken when the file that is there is no JSON object, NotesNotSaved when it cannot be written.
    """
    path = _notes_path(record)
    table = _old(path)
    table.update({KEYS[name]: value for name, value in values.items()})
    write_whole(path, json.dumps(table, ensure_ascii=False, indent=4).encode())
    return path


def write_whole(path: Path, body: bytes) -> None:
    """Write a file so that it is either the old one or the new one. Raises NotesNotSaved."""
    part: str | None = None
    try:
        handle, part = tempfile.mkstemp(prefix=".part-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        if part is not None and os.path.exists(part):
            os.unlink(part)
        raise NotesNotSaved(path=str(path), reason=error.strerror or str(error)) from error


def _umask() -> int:
    now = os.umask(0o022)
    os.umask(now)
    return now


def _notes_path(record: ModelRecord) -> Path:
    stem = stem_path(record)
    return record.notes or stem.with_name(f"{stem.name}.json")


def _old(path: Path) -> dict[str, Any]:
    try:
        table: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise NotesBroken(path=str(path), reason=str(error)) from error
    if not isinstance(table, dict):
        raise NotesBroken(path=str(path), reason="not a JSON object")
    return cast("dict[str, Any]", table)


def _table(path: Path | None) -> dict[str, Any]:
    try:
        table: object = json.loads(_text(path)) if path else {}
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", table) if isinstance(table, dict) else {}


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST_FILE).decode("utf-8-sig", "replace").strip()
    except OSError:
        return ""


def _from_notes(table: Mapping[str, Any]) -> Told:
    def text(key: str) -> str:
        value = table.get(key)
        return value if isinstance(value, str) else ""

    return Told(
        description=text("description"),
        notes=text("notes"),
        activation_text=text("activation text"),
        preferred_weight=_number(table.get("preferred weight")),
        negative_text=text("negative text"),
        sd_version=text("sd version"),
        vae=text("vae"),
        prediction_type=text("prediction type"),
    )


def _number(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if math.isfinite(found) else 0.0


def _with_site(told: Told, table: Mapping[str, Any]) -> Told:
    if not table:
        return told
    words: object = table.get("trainedWords")
    listed = cast("Iterable[object]", words) if isinstance(words, list) else ()
    trained = ", ".join(part for word in listed if isinstance(word, str) and (part := word.strip(" ,")))
    base = table.get("baseModel")
    return replace(
        told,
        activation_text=told.activation_text or trained,
        description=told.description or plain_text(table.get("description")),
        site_base=base if isinstance(base, str) else "",
    )


def plain_text(markup: object) -> str:
    """A site's HTML without its tags."""
    if not isinstance(markup, str):
        return ""
    lines = re.sub(r"<(?:br|/p|/li|/h\d)\b[^>]{0,200}>", "\n", markup[:100_000], flags=re.IGNORECASE)
    return re.sub(r"\n{3,}", "\n\n", html.unescape(TAGS.sub("", lines))).strip()
