"""Where a run is: steps counted over all batches, seconds gathered by phase."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from webui.domain import Artifact, Progress, Reporter, Wish


class Meter:
    """Counts one run and reports it. Decoding counts as one step, so that the bar does not stand full while it
    works.
    """

    def __init__(self, reporter: Reporter, *, steps: int, batches: int) -> None:
        self._reporter = reporter
        self._now = Progress(phase="loading", steps=steps, batches=batches, total=(steps + 1) * batches)
        self.timings: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Everything in the block belongs to this phase (a key `phase_<name>` into words)."""
        self._tell(replace(self._now, phase=name))
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - began

    def batch(self, number: int) -> None:
        """A new batch begins."""
        done = number * (self._now.steps + 1)
        self._now = replace(self._now, batch=number, step=0, done=done)

    def step(self, number: int) -> None:
        """`number` steps of this batch are done."""
        done = self._now.batch * (self._now.steps + 1) + min(number, self._now.steps)
        self._tell(replace(self._now, step=min(number, self._now.steps), done=done))

    def _tell(self, progress: Progress) -> None:
        self._now = progress
        self._reporter.report(progress)


class Listener:
    """A Reporter for runs without a queue: it keeps the pictures and wants nothing else."""

    def __init__(self) -> None:
        self.artifacts: list[Artifact] = []

    def report(self, progress: Progress) -> None: ...

    def preview_wanted(self, step: int) -> bool:
        return False

    def preview(self, picture: bytes, media_type: str) -> None: ...

    def artifact(self, artifact: Artifact) -> None:
        self.artifacts.append(artifact)

    def note(self, key: str, **fields: Any) -> None: ...

    def finished(self) -> tuple[Artifact, ...]:
        return ()

    def wish(self) -> Wish:
        return Wish.NONE

    def served(self, wish: Wish) -> None: ...
