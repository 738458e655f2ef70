"""Conversion of a model file: .ckpt, .pt, .pth, .bin ⇄ .safetensors ⇄ diffusers folder, tensor by tensor.

Nothing is unpickled (`engine.pickles` reads tables without running them), and never more than a few megabytes of a
model are in memory.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Protocol

import torch

from webui.catalog import Catalog
from webui.domain import ConvertRequest, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import BadInput
from webui.domain.model import ModelFormat, ModelKind, ModelRecord
from webui.engine.families import configured, known
from webui.engine.weights import PICKLE_ENDINGS, Weights, open_weights
from webui.tools.layouts import FAMILIES, Folder, folder_of, leftovers, single_file
from webui.tools.pieces import Piece, Reader
from webui.tools.targets import NotWritableFolder, made
from webui.tools.writing import write_archive, write_safetensors

PRECISIONS: Mapping[str, torch.dtype | None] = {
    "": None, "fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32,
}  # fmt: skip
ENDINGS: Mapping[tuple[ModelFormat, bool], str] = {
    (ModelFormat.SAFETENSORS, True): ".safetensors",
    (ModelFormat.SAFETENSORS, False): ".safetensors",
    (ModelFormat.PICKLE, True): ".ckpt",
    (ModelFormat.PICKLE, False): ".pt",
    (ModelFormat.DIFFUSERS, True): "",
    (ModelFormat.DIFFUSERS, False): "",
}
"""(format, whether it is a checkpoint) → ending."""
WRAPPED = ("params_ema.", "params-ema.", "params.")
"""Upscalers' files hold their weights in a table of this name, the averaged ones first."""
ROOM = 1024 * 1024
"""Bytes beside the tensors: header, configurations, tokenizer (folders need more of the last)."""
_HYPERNETWORK = re.compile(r"\d+\.[01]\.linear")
Note = tuple[str, dict[str, Any]]


class NotConvertible(BadInput):
    """Fields: path, reason (a key into words)."""

    key = "not_convertible"


class SameFile(BadInput):
    """Fields: path."""

    key = "convert_same_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What came out. `size` in bytes."""

    path: Path
    tensors: int
    size: int
    notes: tuple[Note, ...] = ()


class Stopped(Exception):
    """Raised by `on_progress` to end a conversion; nothing is left of it."""


@dataclass(slots=True)
class _Table:
    """What is to be written into one file."""

    pieces: dict[str, Piece]
    metadata: dict[str, str]
    kind: str = "checkpoint"


def format_of(path: Path) -> ModelFormat:
    """The format a path asks for by its ending; one without an ending asks for a diffusers folder."""
    if path.suffix.lower() == ".safetensors":
        return ModelFormat.SAFETENSORS
    return ModelFormat.PICKLE if path.suffix.lower() in PICKLE_ENDINGS else ModelFormat.DIFFUSERS


def convert(
    source: Path,
    target: Path,
    *,
    dtype: torch.dtype | None = None,
    drop_ema: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[float], None] = lambda _fraction: None,
) -> Converted:
    """Write `source` anew as `target`, whose ending says the format. `dtype` for floating-point weights, None as
    stored. The noise schedule stays fp32.

    Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile, UnsupportedModel, NotConvertible, SameFile, AlreadyThere,
    NotWritable, DiskFull, NotWritableFolder, and whatever `on_progress` raises.
    """
    if source.exists() and target.exists() and source.samefile(target):
        raise SameFile(path=str(source))
    with open_weights(source) as weights:
        total = sum(entry.size for entry in weights.entries.values()) or 1
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            on_progress(min(1.0, done / total))

        read = Reader(count)
        if format_of(target) is ModelFormat.DIFFUSERS:
            outcome = _to_folder(weights, target, read, dtype=dtype, drop_ema=drop_ema, overwrite=overwrite)
        else:
            outcome = _to_file(weights, target, read, dtype=dtype, drop_ema=drop_ema, overwrite=overwrite)
    on_progress(1.0)
    if read.overflown:
        outcome = replace(outcome, notes=(*outcome.notes, ("convert_overflown", {"count": len(read.overflown)})))
    return outcome


def _to_folder(
    weights: Weights, target: Path, read: Reader, *, dtype: torch.dtype | None, drop_ema: bool, overwrite: bool
) -> Converted:
    family, parts = configured(weights)
    if family not in FAMILIES:
        raise NotConvertible(path=str(weights.path), reason=f"no folder layout for {family.value}")
    folder = folder_of(weights, parts, family, drop_ema=drop_ema)
    for table in folder.weights.values():
        _cast(table, dtype)
    size = sum(piece.size for table in folder.weights.values() for piece in table.values())
    room = ROOM + sum(len(text.encode()) for text in folder.texts.values())
    with made(target, needed=size + room, overwrite=overwrite) as path:
        _write_folder(path, folder, _said(weights), read)
    notes: tuple[Note, ...] = () if parts.vae is not None else (("convert_no_vae", {}),)
    return Converted(path=target, tensors=sum(map(len, folder.weights.values())), size=size, notes=notes)


def _write_folder(path: Path, folder: Folder, metadata: Mapping[str, str], read: Reader) -> None:
    for number, (name, table) in enumerate(folder.weights.items()):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        with (path / name).open("wb") as file:
            # The checkpoint's own metadata stands in its first file, the UNet's.
            write_safetensors(file, table, {"format": "pt"} | (dict(metadata) if number == 0 else {}), read)
            _settle(file)
    for name, text in folder.texts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")


def _to_file(
    weights: Weights, target: Path, read: Reader, *, dtype: torch.dtype | None, drop_ema: bool, overwrite: bool
) -> Converted:
    table = _table(weights, drop_ema=drop_ema)
    _cast(table.pieces, dtype)
    size = sum(piece.size for piece in table.pieces.values())
    with made(target, needed=size + ROOM, overwrite=overwrite) as path, path.open("wb") as file:
        if format_of(target) is ModelFormat.SAFETENSORS:
            write_safetensors(file, *_as_safetensors(table), read)
        else:
            write_archive(file, _as_pickle(table, target.stem), read)
        _settle(file)
    return Converted(path=target, tensors=len(table.pieces), size=size)


def _settle(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _table(weights: Weights, *, drop_ema: bool) -> _Table:
    """A file's tensors under the names a single file has. Raises NotConvertible."""
    if "unet" in weights.extra:
        family, parts = configured(weights)
        if family not in FAMILIES:
            raise NotConvertible(path=str(weights.path), reason=f"no single file layout for {family.value}")
        return _Table(*single_file(weights, parts, family, drop_ema=drop_ema))
    if not len(weights):
        raise NotConvertible(path=str(weights.path), reason="it holds no tensors")
    if any(_HYPERNETWORK.match(name) for name in weights):
        raise NotConvertible(path=str(weights.path), reason="hypernetworks have no form but .pt")
    pieces = _unwrapped(leftovers(weights, set(), drop_ema=drop_ema))
    return _Table(pieces, _said(weights), _kind(weights))


def _said(weights: Weights) -> dict[str, str]:
    """What a file says beside its tensors, but for what every embedding says of its one word."""
    plain = {name: str(value) for name, value in weights.extra.items() if isinstance(value, int | float | str)}
    return {name: value for name, value in (plain | dict(weights.metadata)).items()
            if not name.startswith("string_to_token")}  # fmt: skip


def _kind(weights: Weights) -> str:
    names = list(weights)
    if any(name.startswith("model.diffusion_model.") for name in names):
        return "checkpoint"
    alone = len(names) == 1 and len(weights.shape(names[0])) <= 2 and "." not in names[0]
    if alone or any(name.startswith("string_to_param.") for name in names):
        return "embedding"
    return known.kind(weights)


def _unwrapped(pieces: dict[str, Piece]) -> dict[str, Piece]:
    for prefix in WRAPPED:
        inside = {name.removeprefix(prefix): piece for name, piece in pieces.items() if name.startswith(prefix)}
        if inside:
            return inside
    return pieces


def _cast(pieces: dict[str, Piece], dtype: torch.dtype | None) -> None:
    """Weights in another number type. Numbers without a dot in their name (noise schedule) keep theirs."""
    if dtype is None:
        return
    schedule = len(pieces) > 2
    pieces |= {name: piece.cast(dtype) for name, piece in pieces.items() if "." in name or not schedule}


def _as_safetensors(table: _Table) -> tuple[dict[str, Piece], dict[str, str]]:
    metadata = {"format": "pt"} | table.metadata
    if table.kind != "embedding" or len(table.pieces) != 1:
        return table.pieces, metadata
    # What A1111 and diffusers look for; the word itself goes into the metadata.
    ((name, piece),) = table.pieces.items()
    if name != "emb_params" and not name.startswith("string_to_param."):
        metadata.setdefault("name", name)
    return {"emb_params": piece}, metadata


def _as_pickle(table: _Table, stem: str) -> dict[str, Any]:
    """The tables PyTorch's users expect: an embedding's, or `state_dict` with what else is said beside it."""
    metadata = {name: value for name, value in table.metadata.items() if name != "format"}
    if table.kind == "embedding" and len(table.pieces) == 1:
        ((_, piece),) = table.pieces.items()
        said = {"name": stem, "step": None, "sd_checkpoint": None, "sd_checkpoint_name": None} | {
            name: int(value) if value.isdecimal() else value for name, value in metadata.items()
        }
        return {"string_to_token": {"*": 265}, "string_to_param": {"*": piece}, **said}
    if table.kind != "checkpoint" and not metadata:
        return table.pieces
    return {"state_dict": table.pieces, **metadata}


class _Bench(Protocol):
    @property
    def catalog(self) -> Catalog: ...


def run_convert(request: ConvertRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: _Bench) -> Result:
    """The job: convert a model of the catalogue and list the result.

    Raises UnknownModel, NameOutside and what `convert` raises.
    """
    record = bench.catalog.need(request.kind, request.model)
    target = place_for(record, request, bench.catalog)
    steps = 1000

    def told(fraction: float) -> None:
        match reporter.wish():
            case Wish.SHUTDOWN:
                raise ShuttingDown
            case Wish.STOP | Wish.FINISH | Wish.SKIP:
                raise Stopped
            case _:
                reporter.report(Progress(phase="converting", done=int(fraction * steps), total=steps))

    told(0.0)
    try:
        outcome = convert(
            record.path, target, dtype=PRECISIONS[request.precision], drop_ema=request.drop_ema,
            overwrite=request.overwrite, on_progress=told,
        )  # fmt: skip
    except Stopped:
        return Result(stopped=True)
    bench.catalog.refresh(request.kind)
    said = ("converted", {"path": str(outcome.path), "tensors": outcome.tensors, "megabytes": outcome.size // 10**6})
    return Result(info={"path": str(outcome.path), "size": outcome.size}, notes=(said, *outcome.notes))


class NameOutside(BadInput):
    """Fields: name."""

    key = "convert_name_outside"


def place_for(record: ModelRecord, request: ConvertRequest, catalog: Catalog) -> Path:
    """Where a job writes: under the model's own folder, or our first one when that is a single file or not ours.

    Raises NameOutside for a name that leads out of it, NotWritableFolder when no folder may be written to.
    """
    own = [folder for folder in catalog.own(request.kind) if os.access(folder, os.W_OK)]
    root = next((folder for folder in own if folder == record.root), own[0] if own else None)
    if root is None:
        raise NotWritableFolder(path=str(record.path.parent), reason="no folder of models is ours")
    ending = ENDINGS[request.to, request.kind is ModelKind.CHECKPOINT]
    name = request.name.strip() or record.name
    name = name if not ending or name.lower().endswith(ending) else name + ending
    target = (root / name).resolve()
    hidden = any(part.startswith(".") for part in Path(name).parts)
    if hidden or not target.is_relative_to(root.resolve()) or "\0" in name:
        raise NameOutside(name=name)
    return target
