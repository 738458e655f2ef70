"""The index on disk: what was read of each file, kept in SQLite so that an unchanged file is not opened again.

It is a cache: a database of another version or a broken one is made anew, and where none can be written it lives in
memory. One connection behind one lock; readers of the catalog never wait for it.
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webui.catalog.identify import VERSION
from webui.domain import Family, ModelFormat, ModelKind

LAYOUT = 1
LONGEST_VALUE = 16_384
"""Characters of one metadata value kept in the index; `Catalog.metadata` reads the whole from the file."""
TABLES = """
CREATE TABLE facts (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, rules INTEGER NOT NULL,
    format TEXT NOT NULL, kind TEXT NOT NULL, family TEXT NOT NULL, variant TEXT NOT NULL, trouble TEXT NOT NULL,
    detail TEXT NOT NULL, refused TEXT NOT NULL, reasons TEXT NOT NULL, metadata TEXT NOT NULL, sha256 TEXT, legacy TEXT
) WITHOUT ROWID;
CREATE TABLE listed (
    kind TEXT NOT NULL, path TEXT NOT NULL, name TEXT NOT NULL, root TEXT NOT NULL, PRIMARY KEY (kind, path)
) WITHOUT ROWID;
"""
log = logging.getLogger(__name__)


class Metadata(Mapping[str, str]):
    """A header's metadata, parsed when first asked for: ten thousand of them are held, few are looked at."""

    __slots__ = ("_table", "text")

    def __init__(self, text: str = "{}") -> None:
        self.text = text
        self._table: dict[str, str] | None = None

    @classmethod
    def of(cls, words: Mapping[str, str]) -> "Metadata":
        # A long value is kept as "": that it is there is worth knowing (a picture in the header, say).
        short = {key: value if len(value) <= LONGEST_VALUE else "" for key, value in words.items()}
        return cls(json.dumps(short, ensure_ascii=True))

    def _read(self) -> dict[str, str]:
        if self._table is None:
            self._table = json.loads(self.text)
        return self._table or {}

    def __getitem__(self, key: str) -> str:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Metadata):
            return self.text == other.text
        return isinstance(other, Mapping) and self._read() == other

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was read of one file when it had this size and time. `rules` 0: its header was not read yet."""

    path: str
    size: int
    mtime_ns: int
    rules: int = 0
    format: ModelFormat = ModelFormat.OTHER
    kind: ModelKind | None = None
    family: Family = Family.UNKNOWN
    variant: str = ""
    trouble: str = ""
    detail: str = ""
    refused: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    sha256: str | None = None
    legacy: str | None = None

    def of(self, size: int, mtime_ns: int) -> bool:
        """Whether the file is still the one that was read."""
        return (self.size, self.mtime_ns) == (size, mtime_ns)

    @property
    def known(self) -> bool:
        return self.rules == VERSION


Reasons = tuple[tuple[str, str], ...]
Remembered = tuple[str, str, str, str]
"""kind, path, name, root of what was listed."""


class Store:
    def __init__(self, database: Path) -> None:
        self._lock = threading.Lock()
        self._connection = _open(database)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def facts(self) -> dict[str, Facts]:
        """Everything known, by path."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT path, size, mtime_ns, rules, format, kind, family, variant, trouble, detail, refused, metadata,"
                " sha256, legacy FROM facts"
            ).fetchall()
        return {row[0]: _facts(row) for row in rows}

    def listed(self) -> list[Remembered]:
        with self._lock:
            return self._connection.execute("SELECT kind, path, name, root FROM listed").fetchall()

    def reasons(self, path: str) -> Reasons:
        with self._lock:
            row = self._connection.execute("SELECT reasons FROM facts WHERE path = ?", (path,)).fetchone()
        return tuple((rule, why) for rule, why in json.loads(row[0])) if row else ()

    def keep(self, read: Iterable[tuple[Facts, Reasons]]) -> None:
        """Store facts with the reasons of the rules that said no; a hash already known of the same bytes stays."""
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(facts, reasons) for facts, reasons in read],
            )

    def keep_hashes(self, facts: Facts) -> None:
        with self._lock, self._connection:
            done = self._connection.execute(
                "UPDATE facts SET sha256 = ?, legacy = ? WHERE path = ? AND size = ? AND mtime_ns = ?",
                (facts.sha256, facts.legacy, facts.path, facts.size, facts.mtime_ns),
            )
            if not done.rowcount:
                self._connection.execute(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _row(facts, ())
                )

    def relist(self, added: Iterable[Remembered], gone: Iterable[Remembered]) -> None:
        """Remember what is listed; facts of a path that no kind lists any more go too."""
        with self._lock, self._connection:
            self._connection.executemany("DELETE FROM listed WHERE kind = ? AND path = ?", [row[:2] for row in gone])
            self._connection.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?)", list(added))
            self._connection.executemany(
                "DELETE FROM facts WHERE path = ?1 AND NOT EXISTS (SELECT 1 FROM listed WHERE path = ?1)",
                [(row[1],) for row in gone],
            )


def _open(database: Path) -> sqlite3.Connection:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(str(database))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.warning("the model index %s is broken and is made anew: %s", database, error)
            for suffix in ("", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            return _connect(str(database))
    except (OSError, sqlite3.Error) as error:
        log.warning("the model index %s cannot be written, it is kept in memory: %s", database, error)
        return _connect(":memory:")


def _connect(database: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=30, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] != LAYOUT:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                connection.execute(f'DROP TABLE "{name}"')
            for statement in TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _facts(row: tuple[Any, ...]) -> Facts:
    path, size, mtime_ns, rules, form, kind, family, variant, trouble, detail, refused, metadata, sha256, legacy = row
    return Facts(
        path=path,
        size=size,
        mtime_ns=mtime_ns,
        rules=rules,
        format=ModelFormat(form),
        kind=ModelKind(kind) if kind else None,
        family=Family(family),
        variant=variant,
        trouble=trouble,
        detail=detail,
        refused=tuple(json.loads(refused)),
        metadata=Metadata(metadata),
        sha256=sha256,
        legacy=legacy,
    )


def _row(facts: Facts, reasons: Reasons) -> tuple[Any, ...]:
    return (
        facts.path,
        facts.size,
        facts.mtime_ns,
        facts.rules,
        facts.format,
        facts.kind or "",
        facts.family,
        facts.variant,
        facts.trouble,
        facts.detail,
        json.dumps(facts.refused),
        json.dumps(reasons),
        facts.metadata.text,
        facts.sha256,
        facts.legacy,
    )
