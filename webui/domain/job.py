"""A job: the one noun of the queue that changes, by being replaced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webui.domain.progress import Progress
from webui.domain.result import Result


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in (JobState.DONE, JobState.STOPPED, JobState.FAILED)


NOBODY = "local"
"""The owner of every job on a server without accounts."""
OWNER, STYLE_PROMPTS = "job.owner", "job.style_prompts"
"""Keys beside the settings a runner is handed: who asked, and the positive prompts of the styles asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One accepted request. `request` is any request type; `kind` names its runner. Times are Unix seconds."""

    id: str
    owner: str
    kind: str
    request: Any
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The settings as they were when it was accepted (flat, by dotted key)."""
    state: JobState = JobState.QUEUED
    position: int = 0
    """Jobs ahead of it while queued."""
    progress: Progress = field(default_factory=Progress)
    result: Result | None = None
    error: Mapping[str, Any] | None = None
    """{"key": ..., "fields": {...}} when it failed."""
    pace: tuple[float, int] | None = None
    """(Unix seconds, steps done then) when its first step was done: loading a model does not count for what is left."""
    live: bool = False
    """True when its arguments could not be stored: it runs, but is never resumed."""
    attempts: int = 0
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
