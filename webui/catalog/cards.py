"""Cards: what the page shows of checkpoints, LoRAs, embeddings and hypernetworks, from the index alone.

The catalogue says which models there are, with the names and times of the small files beside them; what those files
tell is kept in a small database of its own, so that only a new or changed one is opened. A page of ten thousand cards
touches no file. Add a kind: its row in `PAGES`.
"""

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

from webui.catalog.beside import Told, read_told, stem_path, write_notes, write_whole
from webui.catalog.catalog import Catalog
from webui.catalog.covers import Thumbnails, as_png, embedded, has_embedded, stamp_of
from webui.catalog.walk import preview_names
from webui.domain import Family, ModelFormat, ModelKind, ModelRecord
from webui.domain.errors import BrokenFile, NotFound, Refused

PAGES: Mapping[str, ModelKind] = {
    "textual_inversion": ModelKind.EMBEDDING,
    "hypernetworks": ModelKind.HYPERNETWORK,
    "checkpoints": ModelKind.CHECKPOINT,
    "lora": ModelKind.LORA,
}
"""A1111's pages in their order, by the part of their ids that names them."""
FORBIDDEN = frozenset({"none", "addams"})
"""Aliases that A1111 takes for no name: trainers' defaults."""
PATIENCE = 0.3
"""Seconds a page waits for side files not read yet; the others are read behind it."""
LAYOUT = 1
log = logging.getLogger(__name__)


class UnknownCard(NotFound):
    """Fields: page, id."""

    key: ClassVar[str] = "unknown_card"


class NotOurs(Refused):
    """The model lies in another A1111's folder, where nothing is ever written. Fields: path."""

    key: ClassVar[str] = "notes_not_ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model as a card. `name` is what stands for it in a prompt; a checkpoint's is its title.

    `preview` is the stamp of its picture, "" without one; `own` False where nothing may be written.
    """

    id: str
    record: ModelRecord
    name: str
    told: Told
    preview: str
    own: bool = True

    @property
    def family(self) -> Family:
        """The person's word, else the header's, else the site's."""
        said = self.told.family
        return said if self.told.sd_version and said is not Family.UNKNOWN else _known(self.record.family, said)


def _known(*families: Family) -> Family:
    return next((family for family in families if family is not Family.UNKNOWN), Family.UNKNOWN)


def id_of(record: ModelRecord) -> str:
    """What a card is asked for by: it stays while the file keeps its path, and tells nothing of that path."""
    return hashlib.sha256(f"{record.kind}\n{record.path}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Cards:
    """The cards of a catalogue. `home` is another A1111's folder, in which nothing is written.

    `folder` holds small copies of previews and the database of what side files tell; both are caches.
    """

    def __init__(self, catalog: Catalog, folder: Path, *, home: Path | None = None) -> None:
        self.catalog = catalog
        self._home = home.resolve() if home else None
        self._thumbnails = Thumbnails(folder / "thumbnails")
        self._database = folder / "cards.db"
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._lists: dict[tuple[ModelKind, bool], tuple[tuple[int, int], list[Card]]] = {}
        self._by_id: dict[tuple[ModelKind, bool], tuple[tuple[int, int], dict[str, Card]]] = {}
        self._theirs: dict[Path, bool] = {}
        self._revision = 0

    @cached_property
    def _store(self) -> "_Told":
        return _Told(self._database)

    @property
    def state(self) -> tuple[int, int]:
        """Another value whenever a card may look different."""
        return (self.catalog.version, self._revision)

    def all(self, kind: ModelKind, *, aliases: bool = True) -> list[Card]:
        """All cards of a kind in the catalogue's order. `aliases`: LoRAs go by the name their trainer gave them.

        Reads nothing; what side files tell is there after `read`.
        """
        state = self.state
        with self._lock:
            kept = self._lists.get((kind, aliases))
        if kept is not None and kept[0] == state:
            return kept[1]
        records = self.catalog.models(kind)
        names = prompt_names(self.catalog, kind, records, aliases=aliases)
        with self._lock:
            self._theirs.clear()
        made = [self._card(record, names[record.path]) for record in records]
        with self._lock:
            self._lists[kind, aliases] = (state, made)
        return made

    def card(self, kind: ModelKind, id: str, *, aliases: bool = True) -> Card:
        """One card. Raises UnknownCard."""
        state = self.state
        with self._lock:
            kept = self._by_id.get((kind, aliases))
        if kept is None or kept[0] != state:
            kept = (state, {card.id: card for card in self.all(kind, aliases=aliases)})
            with self._lock:
                self._by_id[kind, aliases] = kept
        if id not in kept[1]:
            raise UnknownCard(page=str(kind), id=id)
        return kept[1][id]

    def _card(self, record: ModelRecord, name: str) -> Card:
        preview = ""
        if record.preview is not None:
            times = dict(record.beside)
            preview = stamp_of(record.preview.name, times.get(record.preview.name, record.mtime_ns))
        elif has_embedded(record):
            preview = stamp_of("header", record.size, record.mtime_ns)
        return Card(
            id=id_of(record),
            record=record,
            name=name,
            told=self._store.told(record) or Told(),
            preview=preview,
            own=self.writable(record),
        )

    # Side files

    def read(self, kinds: Iterable[ModelKind] | None = None, *, patience: float | None = None) -> int:
        """Open the new and changed small files beside models of these kinds; how many models still wait.

        With `patience`, for that many seconds only.
        """
        until = None if patience is None else time.monotonic() + patience
        waiting = self.waiting(kinds)
        batch: list[tuple[ModelRecord, Told]] = []
        for record in waiting:
            if until is not None and time.monotonic() > until:
                break
            batch.append((record, read_told(record)))
        if batch:
            self._store.keep(batch)
            with self._lock:
                self._revision += 1
        return len(waiting) - len(batch)

    def waiting(self, kinds: Iterable[ModelKind] | None = None) -> list[ModelRecord]:
        """Models whose small files are new or changed since they were read."""
        wanted = PAGES.values() if kinds is None else kinds
        return [
            record
            for kind in wanted
            for record in self.catalog.models(kind)
            if record.beside and self._store.told(record) is None
        ]

    def soon(self, kind: ModelKind) -> int:
        """Read for a moment, leave the rest to a thread; how many models still wait."""
        left = self.read([kind], patience=PATIENCE)
        if left and self._reading.acquire(blocking=False):
            threading.Thread(target=self._read_behind, args=(kind,), name="cards", daemon=True).start()
        return left

    def _read_behind(self, kind: ModelKind) -> None:
        try:
            while self.read([kind], patience=1.0):
                pass
        finally:
            self._reading.release()

    # Pictures

    def picture(self, card: Card) -> bytes | None:
        """The preview's bytes as they are on disk or in the header; None without one or when it cannot be read."""
        record = card.record
        try:
            if record.preview is not None:
                return record.preview.read_bytes()
            pictures = embedded(self.catalog.metadata(record)) if has_embedded(record) else []
        except (OSError, BrokenFile) as error:
            log.info("no preview of %s: %s", record.path, error)
            return None
        return pictures[0] if pictures else None

    def thumbnail(self, card: Card) -> bytes | None:
        """A small WebP of the preview, or None."""
        if not card.preview:
            return None
        return self._thumbnails.get(card.id, card.preview, lambda: self.picture(card))

    # Writing

    def writable(self, record: ModelRecord) -> bool:
        """Whether notes and previews may be written beside it: not below another A1111's folder."""
        return self._home is None or not self._is_theirs(record.path.parent)

    def _is_theirs(self, place: Path) -> bool:
        if place not in self._theirs:
            real = place.resolve()
            self._theirs[place] = self._home is not None and (real == self._home or self._home in real.parents)
        return self._theirs[place]

    def write(self, card: Card, values: Mapping[str, Any]) -> None:
        """Write the person's notes of a model. Raises NotOurs, NotesBroken, NotesNotSaved."""
        self._need_own(card)
        write_notes(card.record, values)
        self._look_again(card)

    def write_preview(self, card: Card, body: bytes, ending: str, *, infotext: str = "") -> Path:
        """Make a picture the model's preview: `<stem>.<ending>`, or a PNG where an older preview would hide that.

        Gives where it was written. Raises NotOurs, NotesNotSaved, UnreadablePicture.
        """
        self._need_own(card)
        path = self._preview_path(card.record, ending.lower())
        write_whole(path, body if path.suffix.lower() == ending.lower() else as_png(body, infotext))
        self._look_again(card)
        return path

    def _preview_path(self, record: ModelRecord, ending: str) -> Path:
        stem = stem_path(record)
        names = [name for name in preview_names(stem.name) if stem.with_name(name) != record.path]
        wanted = next((name for name in names if name.endswith(ending)), names[0])
        old = record.preview
        if old is None or old == record.path:
            return stem.with_name(wanted)
        if old.suffix.lower() == ending:
            return old
        place = {name.casefold(): at for at, name in enumerate(names)}
        hidden = place.get(old.name.casefold(), len(names)) < place[wanted.casefold()]
        return stem.with_name(names[0] if hidden else wanted)

    def _need_own(self, card: Card) -> None:
        if not self.writable(card.record):
            raise NotOurs(path=str(card.record.path.parent))

    def _look_again(self, card: Card) -> None:
        self.catalog.walk([card.record.kind])
        self.read([card.record.kind])

    def close(self) -> None:
        self._store.close()


def prompt_names(
    catalog: Catalog, kind: ModelKind, records: Iterable[ModelRecord], *, aliases: bool = True
) -> dict[Path, str]:
    """What stands for each in a prompt, by path: the shortest name that leads back to that very file.

    A LoRA's is its trainer's name (`ss_output_name`) when nobody else has that one; a checkpoint's is its title.
    """
    records = list(records)
    if kind is ModelKind.CHECKPOINT:
        return {record.path: record.title for record in records}
    if kind is ModelKind.EMBEDDING:
        return {record.path: trigger(record) for record in records}
    given = Counter(_alias(record).casefold() for record in records)
    found: dict[Path, str] = {}
    for record in records:
        alias = _alias(record) if aliases and kind is ModelKind.LORA else ""
        usable = alias and given[alias.casefold()] == 1 and alias.casefold() not in FORBIDDEN
        tried = ([alias] if usable else []) + [record.stem, record.name, record.filename]
        leading = (name for name in tried if not set(name) & set("<>:") and _is(catalog.find(kind, name), record))
        found[record.path] = next(leading, record.stem)
    return found


def trigger(record: ModelRecord) -> str:
    """The word an embedding answers to: the name stored in a picture, else the file's stem."""
    stored = record.metadata.get("name", "") if record.format is ModelFormat.PICTURE else ""
    return stored or record.stem


def _alias(record: ModelRecord) -> str:
    name = record.metadata.get("ss_output_name", "")
    return "" if name == "None" else name


def _is(found: ModelRecord | None, record: ModelRecord) -> bool:
    return found is not None and found.path == record.path


class _Told:
    """What side files told when they had these times: in memory, and in SQLite for the next start."""

    def __init__(self, database: Path) -> None:
        self._lock = threading.Lock()
        self._connection = _open(database)
        rows = self._connection.execute("SELECT path, stamp, told FROM told").fetchall()
        self._kept: dict[str, tuple[str, Told | str]] = {path: (stamp, told) for path, stamp, told in rows}

    def told(self, record: ModelRecord) -> Told | None:
        """What is known for the side files as they are now; None when they were not read."""
        if not record.beside:
            return Told()
        kept = self._kept.get(str(record.path))
        if kept is None or kept[0] != _stamp(record):
            return None
        if isinstance(kept[1], str):
            kept = (kept[0], Told.from_json(kept[1]))
            self._kept[str(record.path)] = kept
        return cast("Told", kept[1])

    def keep(self, read: Iterable[tuple[ModelRecord, Told]]) -> None:
        rows = [(str(record.path), _stamp(record), told) for record, told in read]
        self._kept.update({path: (stamp, told) for path, stamp, told in rows})
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?)",
                [(path, stamp, told.to_json()) for path, stamp, told in rows],
            )

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _stamp(record: ModelRecord) -> str:
    return json.dumps(record.beside)


def _open(database: Path) -> sqlite3.Connection:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(str(database))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for suffix in ("", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            return _connect(str(database))
    except (OSError, sqlite3.Error) as error:
        log.warning("%s cannot be written, it is kept in memory: %s", database, error)
        return _connect(":memory:")


def _connect(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=30, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
            connection.execute("DROP TABLE IF EXISTS told")
            connection.execute(
                "CREATE TABLE told (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, told TEXT NOT NULL) WITHOUT ROWID"
            )
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
            connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
