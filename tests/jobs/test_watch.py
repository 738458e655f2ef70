"""A job watched from an event loop."""

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.jobs.test_queue import KINDS, Count, open_bench
from webui.domain import Job, JobState, Progress
from webui.jobs import Jobs, Threads, changes, closed, eta, view


def test_changes_end_with_the_closed_job(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    id = queue.put(Count(to=30), kind="count", owner="local", settings={}).id

    async def watch() -> list[Job]:
        seen: list[Job] = []
        queue.start(Threads(open_bench))
        async for job in changes(queue, id, pause=0.0):
            if job is not None:
                seen.append(job)
        return seen

    seen = asyncio.run(asyncio.wait_for(watch(), 20))
    assert seen[-1].state is JobState.DONE
    steps = [job.progress.step for job in seen]
    assert steps == sorted(steps)
    assert asyncio.run(closed(queue, id)).state is JobState.DONE
    queue.close()


def test_a_view_speaks_the_readers_language_and_names_no_path(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    queue.start(Threads(open_bench))
    id = queue.put(Count(to=2, fail_at=1), kind="count", owner="local", settings={}).id
    job = queue.wait(id, timeout=10)
    chinese, english = view(job, "zh-CN"), view(job, "en")
    assert "超出范围" in chinese["error"]
    assert "choose 0 to 1" in english["error"]
    assert english["pictures"][0]["number"] == 0
    assert ".png" not in str(english)
    queue.close()


def test_time_left_follows_the_pace_since_the_first_step() -> None:
    job = Job(id="a", owner="b", kind="c", request=None, state=JobState.RUNNING, started=0.0)
    assert eta(job) is None
    first = replace(job, pace=(100.0, 1), progress=Progress(done=1, total=11))
    assert eta(first, now=200.0) is None
    assert eta(replace(first, progress=Progress(done=6, total=11)), now=110.0) == 10.0
