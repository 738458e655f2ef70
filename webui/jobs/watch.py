"""Jobs for event loops and for the outside: await their changes, show them as plain values.

`changes` serves server-sent events of the page and of `/v1`; `view` is the one shape in which both speak of a job.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from typing import Any

from webui.domain import Job, JobState
from webui.jobs.queue import Change, Jobs
from webui.words import say


@contextmanager
def _moves(jobs: Jobs, id: str) -> Generator[asyncio.Event]:
    """An event that is set whenever the job changes, for the running loop."""
    loop = asyncio.get_running_loop()
    moved = asyncio.Event()

    def told(change: Change) -> None:
        if change.id == id:
            with suppress(RuntimeError):  # the loop has ended with its server
                loop.call_soon_threadsafe(moved.set)

    leave = jobs.subscribe(told)
    try:
        yield moved
    finally:
        leave()


async def changes(jobs: Jobs, id: str, *, pause: float = 0.1, beat: float = 15.0) -> AsyncIterator[Job | None]:
    """The job now and after each change, at most one in `pause` seconds, until it is closed.

    None comes as a heartbeat after `beat` quiet seconds. Raises UnknownJob at the first step.
    """
    with _moves(jobs, id) as moved:
        while True:
            moved.clear()
            jobs.look(id)
            job = await asyncio.to_thread(jobs.get, id)
            yield job
            if job.state.final:
                return
            await asyncio.sleep(pause)
            while not moved.is_set():
                try:
                    await asyncio.wait_for(moved.wait(), beat)
                except TimeoutError:
                    jobs.look(id)
                    yield None


async def closed(jobs: Jobs, id: str) -> Job:
    """The job once it is closed. Nobody counts as looking, so no previews are made for it. Raises UnknownJob."""
    with _moves(jobs, id) as moved:
        while True:
            moved.clear()
            job = await asyncio.to_thread(jobs.get, id)
            if job.state.final:
                return job
            await moved.wait()


def eta(job: Job, *, now: float | None = None) -> float | None:
    """Seconds left at the pace since the first step; None before a second one is done."""
    if job.state is not JobState.RUNNING or job.pace is None:
        return None
    began, first = job.pace
    done, total = job.progress.done, job.progress.total
    if done <= first:
        return None
    return ((time.time() if now is None else now) - began) / (done - first) * (total - done)


def view(job: Job, language: str, *, preview: int = 0) -> dict[str, Any]:
    """A job as JSON values, its sentences in the reader's language. Pictures are named by number, never by path.

    `preview` is the revision of its newest preview, 0 for none.
    """
    result = job.result
    error = job.error
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state.value,
        "position": job.position,
        "progress": 1.0 if job.state is JobState.DONE else job.progress.fraction,
        "phase": job.progress.phase,
        "phase_text": say(f"phase_{job.progress.phase}", language),
        "step": job.progress.step,
        "steps": job.progress.steps,
        "batch": job.progress.batch,
        "batches": job.progress.batches,
        "eta": eta(job),
        "preview": preview,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "live": job.live,
        "error": None if error is None else say(error["key"], language, **error["fields"]),
        "error_key": None if error is None else error["key"],
        "notes": [say(key, language, **fields) for key, fields in result.notes] if result else [],
        "info": dict(result.info) if result else {},
        "timings": dict(result.timings) if result else {},
        "pictures": [
            {
                "number": number,
                "width": each.width,
                "height": each.height,
                "seed": each.seed,
                "subseed": each.subseed,
                "grid": each.grid,
                "saved": each.saved,
                "infotext": each.infotext,
                "media_type": each.media_type,
            }
            for number, each in enumerate(result.artifacts)
        ] if result else [],
    }  # fmt: skip
