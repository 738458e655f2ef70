"""The queue on disk: one SQLite file, write-ahead log, every accepted job synced before it is answered."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.domain import JobState

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT,
    created REAL NOT NULL,
    started REAL,
    finished REAL
);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs(state, seq);
CREATE INDEX IF NOT EXISTS jobs_owner ON jobs(owner, seq);
CREATE TABLE IF NOT EXISTS artifacts (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A job as it lies on disk; request, settings, result and error as JSON values."""

    seq: int
    id: str
    owner: str
    kind: str
    request: Any
    settings: Any
    state: JobState
    live: bool
    attempts: int
    result: Any
    error: Any
    created: float
    started: float | None
    finished: float | None


def _row(found: sqlite3.Row) -> Row:
    def read(name: str) -> Any:
        text = found[name]
        return None if text is None else json.loads(text)

    return Row(
        seq=found["seq"], id=found["id"], owner=found["owner"], kind=found["kind"], request=read("request"),
        settings=read("settings"), state=JobState(found["state"]), live=bool(found["live"]), attempts=found["attempts"],
        result=read("result"), error=read("error"), created=found["created"], started=found["started"],
        finished=found["finished"],
    )  # fmt: skip


class Store:
    """Rows of jobs and their finished pictures. Safe to use from several threads; one connection behind one lock."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit is on the disk before the person is told "accepted". A power cut must not lose it.
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: Sequence[Any] = ()) -> int:
        with self._lock, closing(self._connection.execute(sql, values)) as cursor:
            return cursor.rowcount

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    def add(self, *, id: str, owner: str, kind: str, request: Any, settings: Any, live: bool, created: float) -> None:
        """Write one accepted job; returns when it is on the disk."""
        self._run(
            "INSERT INTO jobs(id, owner, kind, request, settings, state, live, created) VALUES (?,?,?,?,?,?,?,?)",
            (id, owner, kind, json.dumps(request), json.dumps(settings), JobState.QUEUED, live, created),
        )

    def get(self, id: str) -> Row | None:
        found = self._all("SELECT * FROM jobs WHERE id = ?", (id,))
        return _row(found[0]) if found else None

    def recent(self, *, owner: str | None, states: Iterable[JobState], limit: int) -> list[Row]:
        """Newest first."""
        wanted = list(states)
        marks = ",".join("?" * len(wanted))
        mine, values = ("AND owner = ?", [owner]) if owner is not None else ("", [])
        found = self._all(
            f"SELECT * FROM jobs WHERE state IN ({marks}) {mine} ORDER BY seq DESC LIMIT ?", [*wanted, *values, limit]
        )
        return [_row(row) for row in found]

    def queued(self) -> list[tuple[str, str]]:
        """(id, owner) of waiting jobs, oldest first."""
        found = self._all("SELECT id, owner FROM jobs WHERE state = ? ORDER BY seq", (JobState.QUEUED,))
        return [(row["id"], row["owner"]) for row in found]

    def begin(self, id: str, *, now: float) -> bool:
        """Take a waiting job; False when it is no longer waiting."""
        return (
            self._run(
                "UPDATE jobs SET state = ?, started = ?, attempts = attempts + 1 WHERE id = ? AND state = ?",
                (JobState.RUNNING, now, id, JobState.QUEUED),
            )
            == 1
        )

    def end(self, id: str, state: JobState, *, now: float, result: Any = None, error: Any = None) -> bool:
        """Close a job that is not closed yet."""
        return self._run(
            "UPDATE jobs SET state = ?, finished = ?, result = ?, error = ? WHERE id = ? AND state IN (?, ?)",
            (
                state, now, None if result is None else json.dumps(result), None if error is None else
                json.dumps(error),
                id, JobState.QUEUED, JobState.RUNNING,
            ),
        ) == 1  # fmt: skip

    def requeue(self, id: str, *, attempts: int) -> None:
        """Put a job that was running back where it stood in the line."""
        self._run(
            "UPDATE jobs SET state = ?, started = NULL, attempts = ? WHERE id = ?", (JobState.QUEUED, attempts, id)
        )

    def add_artifact(self, id: str, number: int, artifact: Any) -> None:
        self._run(
            "INSERT OR REPLACE INTO artifacts(job, number, artifact) VALUES (?,?,?)", (id, number, json.dumps(artifact))
        )

    def artifacts(self, id: str) -> list[Any]:
        """Pictures already finished, in order."""
        return [
            json.loads(row["artifact"])
            for row in self._all("SELECT artifact FROM artifacts WHERE job = ? ORDER BY number", (id,))
        ]

    def prune(self, *, keep: int) -> None:
        """Forget the oldest closed jobs beyond `keep`; their pictures stay where they are."""
        self._run(
            "DELETE FROM jobs WHERE finished IS NOT NULL AND seq <= (SELECT COALESCE(MAX(seq), 0) FROM jobs) - ?",
            (keep,),
        )
        self._run("DELETE FROM artifacts WHERE job NOT IN (SELECT id FROM jobs)")
