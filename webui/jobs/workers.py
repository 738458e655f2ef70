"""The one seam through which jobs reach the machine: (request, settings) go in, events come out.

`Threads` is the default, because extensions' handlers touch the same model. `Spawned` runs the same jobs in a process
of its own, through pipes that carry JSON values only. More devices or machines are more `Workers`.
"""

import logging
import multiprocessing
import pkgutil
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from webui.domain import Artifact, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import MapleError
from webui.jobs.wire import pack, unpack

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of job: its request type and the dotted name of its runner.

    The runner is `run(request, *, settings, reporter, bench) -> Result`; `settings` is the flat snapshot.
    """

    request: type[Any]
    target: str


Runner = Callable[..., Result]
Bench = Callable[[], Any]
"""Opens what runners work with (models, gallery, ...), in the worker, once."""


class RemoteError(Exception):
    """An error in a spawned worker that is none of ours; its text is the remote traceback."""


class Workers(Protocol):
    def run(self, kind: Kind, request: Any, settings: Mapping[str, Any], reporter: Reporter) -> Result:
        """Run one job to its end in the calling worker's place. Raises what the runner raises."""
        ...

    def close(self) -> None: ...


class Threads:
    """Runs jobs in the thread that asks. The bench is opened at the first job."""

    def __init__(self, bench: Bench) -> None:
        self._open = bench
        self._bench: Any = None
        self._lock = threading.Lock()

    @property
    def bench(self) -> Any:
        """What runners work with; opened on first use."""
        with self._lock:
            if self._bench is None:
                self._bench = self._open()
            return self._bench

    def run(self, kind: Kind, request: Any, settings: Mapping[str, Any], reporter: Reporter) -> Result:
        runner: Runner = pkgutil.resolve_name(kind.target)
        return runner(request, settings=settings, reporter=reporter, bench=self.bench)

    def close(self) -> None:
        with self._lock:
            bench, self._bench = self._bench, None
        if hasattr(bench, "close"):
            bench.close()


class Spawned:
    """Runs jobs in a spawned process. `bench` is a dotted name and its picklable arguments, opened over there.

    A process that dies in a job raises RemoteError here and is started anew for the next one.
    """

    def __init__(self, bench: str, *arguments: Any) -> None:
        self._bench = (bench, arguments)
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._pipe: Any = None
        self._wish: Any = None
        self._lock = threading.Lock()

    def _start(self) -> Any:
        if self._process is not None and self._process.is_alive() and self._pipe is not None:
            return self._pipe
        ours, theirs = self._context.Pipe()
        self._wish = self._context.Value("i", 0)
        self._process = self._context.Process(
            target=_serve, args=(theirs, self._wish, *self._bench), daemon=True, name="worker"
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        return ours

    def run(self, kind: Kind, request: Any, settings: Mapping[str, Any], reporter: Reporter) -> Result:
        with self._lock:
            pipe = self._start()
            self._wish.value = int(Wish.NONE)
            pipe.send(("run", kind, pack(request), dict(settings)))
            while True:
                self._wish.value = int(reporter.wish())
                if not pipe.poll(0.05):
                    if not self._process.is_alive():
                        raise RemoteError(f"the worker process ended with code {self._process.exitcode}")
                    continue
                try:
                    word, *values = pipe.recv()
                except EOFError as ended:
                    self._process.join(5)
                    raise RemoteError(f"the worker process ended with code {self._process.exitcode}") from ended
                if word == "done":
                    return unpack(Result, values[0])
                if word == "raised":
                    raise values[0]
                self._forward(reporter, word, values)

    def _forward(self, reporter: Reporter, word: str, values: list[Any]) -> None:
        match word:
            case "report":
                reporter.report(unpack(Progress, values[0]))
            case "preview":
                reporter.preview(*values)
            case "artifact":
                reporter.artifact(unpack(Artifact, values[0]))
            case "note":
                reporter.note(values[0], **values[1])
            case "served":
                reporter.served(Wish(values[0]))
            case _:
                raise RemoteError(f"unknown word {word!r} from the worker process")

    def close(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.terminate()
            self._process.join(5)


class _PipeReporter:
    """The reporter on the far side of the pipe."""

    def __init__(self, pipe: Connection, wish: Any) -> None:
        self._pipe = pipe
        self._wish = wish

    def report(self, progress: Progress) -> None:
        self._pipe.send(("report", pack(progress)))

    def preview_wanted(self, step: int) -> bool:
        return True

    def preview(self, picture: bytes, media_type: str) -> None:
        self._pipe.send(("preview", picture, media_type))

    def artifact(self, artifact: Artifact) -> None:
        self._pipe.send(("artifact", pack(artifact)))

    def finished(self) -> tuple[Artifact, ...]:
        return ()

    def note(self, key: str, **fields: Any) -> None:
        self._pipe.send(("note", key, pack(fields)))

    def wish(self) -> Wish:
        return Wish(self._wish.value)

    def served(self, wish: Wish) -> None:
        self._pipe.send(("served", int(wish)))


def _serve(pipe: Connection, wish: Any, bench_name: str, arguments: tuple[Any, ...]) -> None:
    bench = pkgutil.resolve_name(bench_name)(*arguments)
    reporter = _PipeReporter(pipe, wish)
    while True:
        try:
            _, kind, values, settings = pipe.recv()
        except EOFError:
            return
        try:
            runner: Runner = pkgutil.resolve_name(kind.target)
            result = runner(unpack(kind.request, values), settings=settings, reporter=reporter, bench=bench)
            pipe.send(("done", pack(result)))
        except ShuttingDown as leaving:
            pipe.send(("raised", leaving))
            return
        except MapleError as error:
            pipe.send(("raised", error))
        except Exception as error:  # the worker's border: everything is told, nothing ends the worker
            pipe.send(("raised", RemoteError("".join(traceback.format_exception(error)))))
