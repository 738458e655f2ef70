"""How a run tells where it is, and how it is told what is wished of it."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from webui.domain.result import Artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is. `step` of `steps` in the current batch; `done` of `total` sampling steps in the whole run."""

    phase: str = "sampling"
    """A key into words: waiting, loading, encoding, sampling, decoding, saving."""
    step: int = 0
    steps: int = 0
    batch: int = 0
    batches: int = 1
    done: int = 0
    total: int = 0

    @property
    def fraction(self) -> float:
        """0 to 1 over the whole run."""
        return min(1.0, self.done / self.total) if self.total else 0.0


class Wish(IntEnum):
    """What the person wishes of a running job; higher wishes win."""

    NONE = 0
    SKIP = 1
    """Drop this batch, go on with the next."""
    FINISH = 2
    """Complete this batch, then end."""
    STOP = 3
    """End now: keep, decode and show the last latent."""
    SHUTDOWN = 4
    """The server goes down: raise; the job is resumed after a restart."""


class ShuttingDown(BaseException):
    """Raised inside a run when the server goes down; its job stays queued on disk."""


class Reporter(Protocol):
    """What a run is handed to speak through. All calls are cheap; `wish` is asked at every step."""

    def report(self, progress: Progress) -> None: ...

    def preview_wanted(self, step: int) -> bool:
        """True when a preview of this step would be seen by somebody now."""
        ...

    def preview(self, picture: bytes, media_type: str) -> None: ...

    def artifact(self, artifact: Artifact) -> None:
        """A finished picture, as soon as it is safe on disk."""
        ...

    def note(self, key: str, **fields: Any) -> None:
        """Something the person should know; shown with the result."""
        ...

    def finished(self) -> tuple[Artifact, ...]:
        """Pictures an earlier attempt at this job had finished before the server died, in order."""
        ...

    def wish(self) -> Wish: ...

    def served(self, wish: Wish) -> None:
        """Take a wish back once it was carried out (SKIP)."""
        ...
