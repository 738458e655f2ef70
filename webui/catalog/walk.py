"""Names first: what lies in the model folders, with the files that belong beside it. No model is opened here.

Real folders are walked before links, so that a file reached by two paths is listed under its own and keeps the other
as an alias; a folder already walked is not walked again, which ends every loop.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from webui.catalog import diffusers_folder
from webui.catalog.places import FROM_MODELS, Folder
from webui.domain import ModelFormat, ModelKind

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif")
EMBEDDING_PICTURES = (".png", ".webp", ".jxl", ".avif")
ENDINGS: Mapping[ModelKind, tuple[str, ...]] = {
    ModelKind.CHECKPOINT: (".safetensors", ".ckpt", ".pt", ".pth"),
    ModelKind.VAE: (".safetensors", ".ckpt", ".pt", ".pth", ".bin"),
    ModelKind.LORA: (".safetensors", ".pt", ".ckpt", ".bin"),
    ModelKind.EMBEDDING: (".safetensors", ".pt", ".bin", *EMBEDDING_PICTURES),
    ModelKind.HYPERNETWORK: (".pt", ".safetensors"),
    ModelKind.CONTROLNET: (".safetensors", ".pt", ".pth", ".ckpt", ".bin"),
    ModelKind.UPSCALER: (".pth", ".pt", ".safetensors", ".ckpt"),
    ModelKind.FACE: (".pth", ".pt", ".safetensors"),
    ModelKind.PREVIEW: (".safetensors", ".pt", ".pth"),
    ModelKind.OTHER: (".safetensors", ".pt", ".pth", ".ckpt", ".bin"),
}
AS_FOLDERS = frozenset({ModelKind.CHECKPOINT, ModelKind.VAE, ModelKind.CONTROLNET, ModelKind.PREVIEW})
"""Kinds that may be a folder as diffusers saves it."""
NEVER = frozenset(
    {
        ".git",
        "__pycache__",
        ".ipynb_checkpoints",
        "$RECYCLE.BIN",
        "System Volume Information",
        ".Trash-1000",
        "@eaDir",
        ".cache",
    }
)
VAE_MARK = ".vae"
ANNOTATORS = "annotators"
"""A folder among ControlNet's models that holds files of preprocessors, no models."""
TELLING = (".json", ".txt", ".description.txt", ".civitai.info")
"""Endings of small files beside a model: the person's notes, descriptions, what Civitai's helpers keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One model by name. `unfinished`: its download is still under way."""

    kind: ModelKind
    name: str
    path: Path
    root: Path
    origin: str
    place: int
    format: ModelFormat
    size: int
    mtime_ns: int
    aliases: tuple[str, ...] = ()
    vae: Path | None = None
    preview: Path | None = None
    config: Path | None = None
    notes: Path | None = None
    beside: tuple[tuple[str, int], ...] = ()
    created_ns: int = 0
    unfinished: bool = False


@dataclass(slots=True)
class Walked:
    """What a walk met. `unknown`: places that could not be looked into; what lay there may still be there."""

    listed: list[Listed] = field(default_factory=list[Listed])
    missing: list[Path] = field(default_factory=list[Path])
    denied: list[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    unknown: list[Path] = field(default_factory=list[Path])


def walk(folders: Mapping[ModelKind, Sequence[Folder]], *, hidden: bool = True) -> Walked:
    """All names of these kinds. `hidden`: also files and folders whose names begin with a dot (A1111's default)."""
    walked = Walked()
    for kind, places in folders.items():
        _Walk(kind, walked, hidden=hidden).through(places)
    walked.listed = pair_vaes(walked.listed)
    return walked


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sort key: case-insensitive, runs of digits by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple(
        (False, int(part[-4000:]), "") if part[0] in "0123456789" else (True, 0, part.casefold()) for part in parts
    )


def order(listed: Listed) -> tuple[object, ...]:
    """As A1111 lists: checkpoints by place, then folder, then name; everything else by name."""
    if listed.kind is ModelKind.CHECKPOINT:
        parent, _, last = listed.name.rpartition("/")
        return (listed.place, natural(parent), natural(last), listed.path.suffix.lower())
    return (natural(listed.name), listed.place, listed.path.suffix.lower())


def pair_vaes(listed: Iterable[Listed]) -> list[Listed]:
    """Checkpoints with the VAE of the same name: beside them first, then any in the VAE folders."""
    everything = list(listed)
    beside: dict[tuple[Path, str], Path] = {}
    elsewhere: dict[str, Path] = {}
    for vae in sorted((one for one in everything if one.kind is ModelKind.VAE), key=order):
        stem = vae_stem(vae.name)
        beside.setdefault((vae.path.parent, stem), vae.path)
        elsewhere.setdefault(stem, vae.path)
    return [_with_vae(one, beside, elsewhere) if one.kind is ModelKind.CHECKPOINT else one for one in everything]


def _with_vae(one: Listed, beside: Mapping[tuple[Path, str], Path], elsewhere: Mapping[str, Path]) -> Listed:
    stem = one.name.rsplit("/", 1)[-1].casefold()
    return replace(one, vae=beside.get((one.path.parent, stem)) or elsewhere.get(stem))


def vae_stem(name: str) -> str:
    """The checkpoint a VAE's file name names: its last part without `.vae`, case folded."""
    return name.rsplit("/", 1)[-1].casefold().removesuffix(VAE_MARK)


@dataclass(frozen=True, slots=True)
class _Visit:
    folder: Path
    name: str
    """Path below the root with forward slashes, "" for the root."""
    root: Path
    origin: str
    place: int
    only: str | None = None
    """The one file wanted of this folder."""

    def below(self, part: str) -> str:
        return f"{self.name}/{part}" if self.name else part


class _Walk:
    """One kind's walk. Keeps who was visited and which file has which name."""

    def __init__(self, kind: ModelKind, walked: Walked, *, hidden: bool) -> None:
        self._kind = kind
        self._walked = walked
        self._hidden = hidden
        self._visited: dict[object, _Visit] = {}
        self._files: dict[object, int] = {}
        self._names: list[list[tuple[Path, str]]] = []  # (root, name) of every way to each file found
        self._found: list[Listed] = []
        self._links: list[tuple[_Visit, str]] = []
        self._mirrors: list[tuple[_Visit, _Visit]] = []

    def through(self, places: Sequence[Folder]) -> None:
        for place, folder in enumerate(places):
            self._start(place, folder)
        while self._links:
            visit, name = self._links.pop(0)
            self._follow(visit, name)
        walked = [tuple(names) for names in self._names]
        for first, second in self._mirrors:
            self._mirror(walked, first, second)
        for one, names in zip(self._found, self._names, strict=True):
            aliases = tuple(dict.fromkeys(name for _, name in names if name != one.name))
            self._walked.listed.append(replace(one, aliases=aliases))

    def _start(self, place: int, folder: Folder) -> None:
        path = folder.path.absolute()
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            self._miss(path, folder)
        except OSError as error:
            self._deny(path, error)
        else:
            if stat.S_ISDIR(mode):
                self._visit(_Visit(path, "", path, folder.origin, place))
            else:
                self._visit(_Visit(path.parent, "", path.parent, folder.origin, place, only=path.name))

    def _miss(self, path: Path, folder: Folder) -> None:
        """What a flag names should be there; our own folders need not, nor every folder of another A1111."""
        self._walked.unknown.append(path)
        named = folder.home or path
        if folder.origin != FROM_MODELS and not os.path.exists(named) and named not in self._walked.missing:
            self._walked.missing.append(named)

    def _visit(self, first: _Visit) -> None:
        waiting = [first]
        while waiting:
            visit = waiting.pop()
            if visit.only is None and not self._enter(visit):
                continue
            waiting.extend(self._read(visit))

    def _enter(self, visit: _Visit) -> bool:
        try:
            who = _identity(visit.folder, os.stat(visit.folder))
        except OSError as error:
            self._deny(visit.folder, error)
            return False
        if who in self._visited:
            self._mirrors.append((self._visited[who], visit))
            return False
        self._visited[who] = visit
        return True

    def _read(self, visit: _Visit) -> list[_Visit]:
        """Lists one folder's models; gives the folders below it."""
        try:
            with os.scandir(visit.folder) as entries:
                entries = sorted(filter(self._wanted, entries), key=lambda entry: entry.name)
        except OSError as error:
            self._deny(visit.folder, error)
            return []
        beside = {entry.name.lower(): entry.name for entry in entries}
        if self._kind in AS_FOLDERS and visit.name and diffusers_folder.is_one(set(beside)):
            self._add_folder(visit)
            return []
        below: list[_Visit] = []
        for entry in entries:
            if visit.only not in (None, entry.name):
                continue
            if entry.is_symlink() or _is_junction(entry):
                self._links.append((replace(visit, only=None), entry.name))
            elif entry.is_dir():
                below.append(replace(visit, folder=Path(entry.path), name=visit.below(entry.name), only=None))
            else:
                self._add(visit, entry.name, beside, entry)
        return below

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        if entry.name in NEVER or entry.name.startswith("._") or (entry.name.startswith(".") and not self._hidden):
            return False
        if self._kind is ModelKind.CONTROLNET and entry.name == ANNOTATORS:
            return False
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            self._walked.denied.append((Path(entry.path), "its name is not valid text"))
            return False
        return True

    def _follow(self, visit: _Visit, name: str) -> None:
        path = visit.folder / name
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            self._deny(path, error)
            return
        if is_folder:
            self._visit(replace(visit, folder=path, name=visit.below(name)))
            return
        try:
            beside = {other.lower(): other for other in os.listdir(visit.folder)}
        except OSError:
            beside = {}
        self._add(visit, name, beside, path)

    def _deny(self, path: Path, error: OSError) -> None:
        self._walked.unknown.append(path)
        self._walked.denied.append((path, error.strerror or str(error)))

    def _add(self, visit: _Visit, file: str, beside: Mapping[str, str], entry: os.DirEntry[str] | Path) -> None:
        kind = self._kind_of(file, beside)
        if kind is None:
            return
        path = visit.folder / file
        try:
            # On Windows a DirEntry's stat has no inode, so the path is asked.
            found = os.stat(path) if os.name == "nt" else entry.stat()
        except OSError as error:
            self._deny(path, error)
            return
        stem = file[: -len(path.suffix)]
        name = visit.below(stem)
        preview = _preview(visit.folder, file, stem, beside)
        who = (kind, _identity(path, found), found.st_size, found.st_mtime_ns)
        if who in self._files:
            self._names[self._files[who]].append((visit.root, name))
            return
        one = Listed(
            kind=kind,
            name=name,
            path=path,
            root=visit.root,
            origin=visit.origin,
            place=visit.place,
            format=_format(path),
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            preview=preview,
            config=_beside(visit.folder, f"{stem}.yaml", beside),
            notes=_beside(visit.folder, f"{stem}.json", beside),
            beside=_telling(visit.folder, stem, beside, preview if preview != path else None),
            created_ns=_created(found),
            unfinished=f"{file}.aria2".lower() in beside,
        )
        self._keep(who, one)

    def _keep(self, who: object, one: Listed) -> None:
        self._files[who] = len(self._found)
        self._found.append(one)
        self._names.append([(one.root, one.name)])

    def _kind_of(self, file: str, beside: Mapping[str, str]) -> ModelKind | None:
        stem, ending = os.path.splitext(file.lower())
        if ending not in ENDINGS.get(self._kind, ()):
            return None
        if self._kind is ModelKind.CHECKPOINT and stem.endswith(VAE_MARK):
            return ModelKind.VAE
        if self._kind is ModelKind.EMBEDDING and ending in EMBEDDING_PICTURES and _is_preview(stem, beside):
            return None
        return self._kind

    def _add_folder(self, visit: _Visit) -> None:
        try:
            parts = [path.stat() for path in diffusers_folder.weights(visit.folder)]
        except OSError as error:
            self._deny(visit.folder, error)
            return
        try:
            beside = {other.lower(): other for other in os.listdir(visit.folder.parent)}
        except OSError:
            beside = {}
        around, last = visit.folder.parent, visit.folder.name
        preview = _preview(around, last, last, beside)
        one = Listed(
            kind=self._kind,
            name=visit.name,
            path=visit.folder,
            root=visit.root,
            origin=visit.origin,
            place=visit.place,
            format=ModelFormat.DIFFUSERS,
            size=sum(part.st_size for part in parts),
            mtime_ns=max((part.st_mtime_ns for part in parts), default=0),
            preview=preview,
            notes=_beside(around, f"{last}.json", beside),
            beside=_telling(around, last, beside, preview),
            created_ns=max((_created(part) for part in parts), default=0),
        )
        self._keep((self._kind, str(visit.folder)), one)

    def _mirror(self, walked: Sequence[tuple[tuple[Path, str], ...]], first: _Visit, second: _Visit) -> None:
        """Other names of what lies below a folder that was reached a second time, one link deep.

        Names made by other mirrors are left alone: folders that link to each other would have them without end.
        """
        start = first.below("")
        for place, ways in enumerate(walked):
            reached = [name for root, name in ways if root == first.root and name.startswith(start)]
            self._names[place].extend((second.root, second.below(name.removeprefix(start))) for name in reached)


def _identity(path: Path, found: os.stat_result) -> object:
    """Who a file is. File systems without inodes answer 0; there the resolved path has to do."""
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(path)


def _is_junction(entry: os.DirEntry[str]) -> bool:
    return os.name == "nt" and entry.is_dir() and os.path.realpath(entry.path) != os.path.abspath(entry.path)


def _format(path: Path) -> ModelFormat:
    ending = path.suffix.lower()
    if ending == ".safetensors":
        return ModelFormat.SAFETENSORS
    return ModelFormat.PICTURE if ending in EMBEDDING_PICTURES else ModelFormat.PICKLE


def _beside(folder: Path, wanted: str, beside: Mapping[str, str]) -> Path | None:
    found = beside.get(wanted.lower())
    return folder / found if found else None


def _telling(folder: Path, stem: str, beside: Mapping[str, str], preview: Path | None) -> tuple[tuple[str, int], ...]:
    """The small files that tell of a model, with their times; one that goes away meanwhile is left out."""
    named = [found for ending in TELLING if (found := beside.get(f"{stem}{ending}".lower()))]
    if preview is not None:
        named.append(preview.name)
    times: list[tuple[str, int]] = []
    for name in named:
        try:
            times.append((name, os.stat(folder / name).st_mtime_ns))
        except OSError:
            continue
    return tuple(times)


def _created(found: os.stat_result) -> int:
    """Birth time where the system tells it; else the inode's last change, which for a model is its arrival."""
    birth: float | None = getattr(found, "st_birthtime", None)
    return int(birth * 1e9) if birth else found.st_ctime_ns


def _preview(folder: Path, file: str, stem: str, beside: Mapping[str, str]) -> Path | None:
    for candidate in preview_names(stem):
        found = beside.get(candidate.lower())
        if found and found != file:
            return folder / found
    return folder / file if file.lower().endswith(EMBEDDING_PICTURES) else None


def preview_names(stem: str) -> Iterator[str]:
    """Names a model's preview may have, in the order in which they are looked for."""
    for ending in PICTURE_ENDINGS:
        yield stem + ending
        yield f"{stem}.preview{ending}"


def _is_preview(stem: str, beside: Mapping[str, str]) -> bool:
    """A picture among embeddings that belongs to another file, or says that it is a preview."""
    return stem.endswith(".preview") or any(stem + ending in beside for ending in (".pt", ".safetensors", ".bin"))
