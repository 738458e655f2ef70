"""`Jobs`: accept, order, run, watch."""

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webui.domain import Artifact, Job, JobState, Progress, Result, ShuttingDown, Wish
from webui.domain.errors import MapleError, UnknownJob
from webui.domain.job import OWNER
from webui.jobs.store import Row, Store
from webui.jobs.wire import NotStorable, pack, unpack
from webui.jobs.workers import Kind, Workers

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A job that was running when the server died this often is not tried again: it may be what kills it."""
WATCHED_SECONDS = 5.0
"""A job counts as watched, and gets previews, this long after somebody last looked."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The newest picture of a running job. `revision` grows with each."""

    revision: int
    picture: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Change:
    """Told to subscribers from worker threads: job `id` of `owner` is now at `version`."""

    id: str
    owner: str
    version: int


Subscriber = Callable[[Change], None]


@dataclass(slots=True)
class _Running:
    """What is known of a job in memory only: where it is, what is wished, its newest preview."""

    owner: str
    version: int = 0
    progress: Progress = field(default_factory=Progress)
    wish: Wish = Wish.NONE
    preview: Preview | None = None
    pace: tuple[float, int] | None = None
    looked: float = 0.0
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    artifacts: list[Artifact] = field(default_factory=list[Artifact])
    request: Any = None
    """The request object of a live job."""


class _JobReporter:
    """What one run of one job speaks through."""

    def __init__(self, jobs: "Jobs", id: str, running: _Running) -> None:
        self._jobs, self._id, self._running = jobs, id, running
        self._earlier = tuple(running.artifacts)

    def report(self, progress: Progress) -> None:
        self._running.progress = progress
        if self._running.pace is None and progress.done:
            self._running.pace = (time.time(), progress.done)
        self._jobs.touch(self._id)

    def preview_wanted(self, step: int) -> bool:
        return time.monotonic() - self._running.looked < WATCHED_SECONDS

    def preview(self, picture: bytes, media_type: str) -> None:
        last = self._running.preview
        self._running.preview = Preview(last.revision + 1 if last else 1, picture, media_type)
        self._jobs.touch(self._id)

    def artifact(self, artifact: Artifact) -> None:
        self._jobs.keep(self._id, artifact)

    def finished(self) -> tuple[Artifact, ...]:
        """Pictures that an earlier attempt had finished before the server died."""
        return self._earlier

    def note(self, key: str, **fields: Any) -> None:
        self._running.notes.append((key, fields))
        self._jobs.touch(self._id)

    def wish(self) -> Wish:
        return Wish.SHUTDOWN if self._jobs.closing else self._running.wish

    def served(self, wish: Wish) -> None:
        if self._running.wish is wish:
            self._running.wish = Wish.NONE


class Jobs:
    """The queue of one server. Call `start` once; every other method may be called from any thread.

    `kinds` maps a job's kind to its request type and runner. First come, first served; one job per worker at a time.
    """

    def __init__(self, database: Path, kinds: Mapping[str, Kind], *, keep: int = 5000) -> None:
        self._store = Store(database)
        self._kinds = kinds
        self._keep = keep
        self._memory: OrderedDict[str, _Running] = OrderedDict()
        self._changed = threading.Condition()
        self._subscribers: list[Subscriber] = []
        self._threads: list[threading.Thread] = []
        self._workers: list[Workers] = []
        self.closing = False

    # --- the server's side

    def start(self, *workers: Workers) -> None:
        """Put back what a dead server left running, then let the workers begin."""
        for row in self._store.recent(owner=None, states=(JobState.RUNNING, JobState.QUEUED), limit=1_000_000):
            if row.live:
                self._store.end(
                    row.id, JobState.FAILED, now=time.time(), error={"key": "job_not_resumable", "fields": {}}
                )
            elif row.state is JobState.RUNNING and row.attempts >= MOST_ATTEMPTS:
                error = {"key": "job_gave_up", "fields": {"attempts": row.attempts}}
                self._store.end(row.id, JobState.FAILED, now=time.time(), error=error)
            elif row.state is JobState.RUNNING:
                log.info("job %s was running when the server ended; it is queued again", row.id)
                self._store.requeue(row.id, attempts=row.attempts)
        self._store.prune(keep=self._keep)
        self._workers = list(workers)
        for number, worker in enumerate(workers):
            thread = threading.Thread(target=self._serve, args=(worker,), name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, *, timeout: float = 30.0) -> None:
        """Stop taking jobs; a running one is left on disk as queued. Waits for the workers."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout)
        for worker in self._workers:
            worker.close()
        self._store.close()

    def _serve(self, worker: Workers) -> None:
        while True:
            row = self._take()
            if row is None:
                return
            self._run(worker, row)

    def _take(self) -> Row | None:
        while True:
            with self._changed:
                if self.closing:
                    return None
                waiting = self._store.queued()
                if not waiting:
                    self._changed.wait(30)
                    continue
                id, owner = waiting[0]
                if not self._store.begin(id, now=time.time()):
                    continue
                running = self._memory.setdefault(id, _Running(owner))
            row = self._store.get(id)
            if row is not None:
                running.artifacts = [unpack(Artifact, item) for item in self._store.artifacts(id)]
                for other, _ in waiting:
                    self.touch(other)
                return row

    def _run(self, worker: Workers, row: Row) -> None:
        running = self._memory[row.id]
        reporter = _JobReporter(self, row.id, running)
        try:
            kind = self._kinds[row.kind]
            request: Any = running.request if row.live else unpack(kind.request, row.request)
            result = worker.run(kind, request, {**(row.settings or {}), OWNER: row.owner}, reporter)
        except ShuttingDown:
            self._store.requeue(row.id, attempts=row.attempts - 1)  # leaving politely is not a crash
            return
        except MapleError as error:
            self._fail(row.id, error.key, error.fields)
        except Exception as error:  # the worker's border: a failing job is told, the worker goes on
            log.exception("job %s failed", row.id)
            self._fail(row.id, "job_failed", {"reason": f"{type(error).__name__}: {error}"})
        else:
            notes = (*result.notes, *(note for note in running.notes if note not in result.notes))
            state = JobState.STOPPED if result.stopped else JobState.DONE
            self._store.end(row.id, state, now=time.time(), result=pack(replace(result, notes=notes)))
        running.request = None
        running.preview = None
        self.touch(row.id)
        self._forget()

    def _fail(self, id: str, key: str, fields: Mapping[str, Any]) -> None:
        """Close a job as failed; the pictures it had finished stay with it."""
        running = self._memory[id]
        kept = (
            pack(Result(artifacts=tuple(running.artifacts), notes=tuple(running.notes))) if running.artifacts else None
        )
        plain = (int, float, str, list)
        shown: dict[str, Any] = {
            name: value if isinstance(value, plain) else str(value) for name, value in fields.items()
        }
        self._store.end(id, JobState.FAILED, now=time.time(), result=kept, error={"key": key, "fields": shown})

    def _forget(self) -> None:
        """Keep the memory of the last two hundred jobs only; the disk has the rest."""
        with self._changed:
            for id in list(self._memory)[:-200]:
                row = self._store.get(id)
                if row is None or row.state.final:
                    del self._memory[id]

    # --- what runs report

    def touch(self, id: str) -> None:
        """Tell watchers that a job changed."""
        with self._changed:
            running = self._memory.get(id)
            if running is None:
                return
            running.version += 1
            change = Change(id, running.owner, running.version)
            self._changed.notify_all()
        for subscriber in tuple(self._subscribers):
            subscriber(change)

    def keep(self, id: str, artifact: Artifact) -> None:
        """A finished picture: on disk before anybody hears of it."""
        running = self._memory[id]
        self._store.add_artifact(id, len(running.artifacts), pack(artifact))
        running.artifacts.append(artifact)
        self.touch(id)

    # --- everybody's side

    def put(self, request: Any, *, kind: str, owner: str, settings: Mapping[str, Any], id: str | None = None) -> Job:
        """Accept a request: when this returns, the job survives a power cut.

        Arguments that cannot be stored make the job live: it runs, and is not resumed. Raises KeyError for an unknown
        kind.
        """
        self._kinds[kind]
        id = id or secrets.token_hex(8)
        try:
            values, live = pack(request), False
        except NotStorable as reason:
            log.info("job %s is live and will not be resumed: %s", id, reason)
            values, live = None, True
        running = _Running(owner, request=request if live else None, looked=time.monotonic())
        with self._changed:
            self._memory[id] = running
            self._store.add(
                id=id, owner=owner, kind=kind, request=values, settings=pack(settings), live=live, created=time.time()
            )
            self._changed.notify_all()
        self.touch(id)
        return self.get(id)

    def get(self, id: str, *, owner: str | None = None) -> Job:
        """Raises UnknownJob, also for another owner's job."""
        row = self._store.get(id)
        if row is None or (owner is not None and row.owner != owner):
            raise UnknownJob(id=id)
        return self._job(row, self._places())

    def list(
        self, *, owner: str | None = None, states: tuple[JobState, ...] = tuple(JobState), limit: int = 50
    ) -> list[Job]:
        """Jobs, newest first."""
        places = self._places()
        return [self._job(row, places) for row in self._store.recent(owner=owner, states=states, limit=limit)]

    def running(self) -> Job | None:
        """The job in work, if any."""
        found = self.list(states=(JobState.RUNNING,), limit=1)
        return found[0] if found else None

    def waiting(self) -> int:
        return len(self._store.queued())

    @property
    def idle(self) -> bool:
        """True when nothing runs and nothing waits."""
        return not self._store.recent(owner=None, states=(JobState.RUNNING, JobState.QUEUED), limit=1)

    def wish(self, id: str, wish: Wish, *, owner: str | None = None) -> None:
        """Finish, stop or skip. A waiting job is closed at once; a closed one stays as it is. Raises UnknownJob."""
        job = self.get(id, owner=owner)
        if job.state is JobState.QUEUED and self._store.end(
            id, JobState.STOPPED, now=time.time(), result=pack(Result(stopped=True))
        ):
            self.touch(id)
            return
        with self._changed:
            running = self._memory.get(id)
            if running is not None:
                running.wish = max(running.wish, wish)
        self.touch(id)

    def preview(self, id: str, *, owner: str | None = None) -> Preview | None:
        """The newest preview; asking counts as looking."""
        running = self._memory.get(id)
        if running is None or (owner is not None and running.owner != owner):
            return None
        running.looked = time.monotonic()
        return running.preview

    def look(self, id: str) -> None:
        """Say that somebody watches this job: it gets previews for the next seconds."""
        running = self._memory.get(id)
        if running is not None:
            running.looked = time.monotonic()

    def version(self, id: str) -> int:
        running = self._memory.get(id)
        return running.version if running else 0

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told of every change, from worker threads: be quick. Returns what ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def wait_change(self, id: str, seen: int, *, timeout: float) -> tuple[int, Job]:
        """Block until the job is past version `seen`, or the timeout (seconds). Raises UnknownJob."""
        self.look(id)
        with self._changed:
            self._changed.wait_for(lambda: self.version(id) != seen or self.closing, timeout)
        return self.version(id), self.get(id)

    def wait(self, id: str, *, timeout: float | None = None) -> Job:
        """Block until the job is closed. Raises UnknownJob, TimeoutError."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            seen = self.version(id)
            job = self.get(id)
            if job.state.final:
                return job
            left = 30.0 if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(id)
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self.version(id) != seen or self.closing, min(left, 30.0))

    def _places(self) -> dict[str, int]:
        return {id: place for place, (id, _) in enumerate(self._store.queued())}

    def _job(self, row: Row, places: Mapping[str, int]) -> Job:
        kind = self._kinds.get(row.kind)
        running = self._memory.get(row.id)
        request: Any = running.request if running and row.live else None
        if request is None and kind is not None and not row.live:
            request = unpack(kind.request, row.request)
        result = unpack(Result, row.result) if row.result else None
        if result is None and running and (running.artifacts or running.notes):
            result = Result(artifacts=tuple(running.artifacts), notes=tuple(running.notes))
        return Job(
            id=row.id, owner=row.owner, kind=row.kind, request=request, settings=row.settings or {}, state=row.state,
            position=places.get(row.id, 0), progress=running.progress if running else Progress(),
            pace=running.pace if running else None, result=result,
            error=row.error, live=row.live, attempts=row.attempts, created=row.created, started=row.started,
            finished=row.finished,
        )  # fmt: skip
