"""Accepted means durable; a job is found again after anything."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from webui.domain import Artifact, JobState, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import OutOfRange, UnknownJob
from webui.domain.job import OWNER
from webui.jobs import Jobs, Kind, Spawned, Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """A request that counts to a number, one tick every few milliseconds."""

    to: int = 3
    fail_at: int | None = None
    pause: float = 0.002
    anything: Any = None
    words: tuple[str, ...] = field(default=())


def count(request: Count, *, settings: dict[str, Any], reporter: Reporter, bench: list[Count]) -> Result:
    bench.append(request)
    done = len(reporter.finished())
    for number in range(done, request.to):
        if request.fail_at == number:
            raise OutOfRange(field="to", value=number, lo=0, hi=1)
        wish = reporter.wish()
        if wish is Wish.SHUTDOWN:
            raise ShuttingDown
        if wish in (Wish.STOP, Wish.FINISH):
            return Result(stopped=True, info={"at": number})
        reporter.report(Progress(step=number + 1, steps=request.to, done=number + 1, total=request.to))
        reporter.preview(bytes([number % 256]), "image/png")
        reporter.artifact(Artifact(path=f"{number}.png", width=1, height=1, seed=number))
        time.sleep(request.pause)
    return Result(info={"counted": request.to, "steps": settings.get("steps"), "owner": settings.get(OWNER)})


def look(request: Count, *, settings: dict[str, Any], reporter: Reporter, bench: list[bool]) -> Result:
    del request, settings
    bench.append(reporter.preview_wanted(0))
    return Result()


def open_bench() -> list[Count]:
    return []


KINDS = {
    "count": Kind(request=Count, target=f"{__name__}:count"),
    "look": Kind(request=Count, target=f"{__name__}:look"),
}


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    yield queue
    queue.close()


def put(queue: Jobs, *, owner: str = "local", id: str | None = None, **asked: Any) -> str:
    return queue.put(Count(**asked), kind="count", owner=owner, settings={"steps": 7}, id=id).id


def test_an_accepted_job_is_run_and_its_result_kept(jobs: Jobs) -> None:
    jobs.start(Threads(open_bench))
    done = jobs.wait(put(jobs, to=3, words=("你好", "b")), timeout=10)
    assert done.state is JobState.DONE
    assert done.result is not None
    assert done.result.info == {"counted": 3, "steps": 7, "owner": "local"}
    assert done.request == Count(to=3, words=("你好", "b"))


def test_jobs_run_first_come_first_served_and_know_their_place(jobs: Jobs) -> None:
    ids = [put(jobs, words=(str(number),)) for number in range(4)]
    assert [jobs.get(id).position for id in ids] == [0, 1, 2, 3]
    bench: list[Count] = []
    jobs.start(Threads(lambda: bench))
    for id in ids:
        jobs.wait(id, timeout=10)
    assert [request.words[0] for request in bench] == ["0", "1", "2", "3"]


def test_an_error_of_ours_is_kept_with_its_fields_and_the_pictures_made_before_it(jobs: Jobs) -> None:
    jobs.start(Threads(open_bench))
    failed = jobs.wait(put(jobs, to=5, fail_at=2), timeout=10)
    assert failed.state is JobState.FAILED
    assert failed.error == {"key": "out_of_range", "fields": {"field": "to", "value": 2, "lo": 0, "hi": 1}}
    assert failed.result is not None
    assert [artifact.seed for artifact in failed.result.artifacts] == [0, 1]


def test_a_failing_job_does_not_stop_the_next(jobs: Jobs) -> None:
    jobs.start(Threads(open_bench))
    bad, good = put(jobs, to="nonsense"), put(jobs)
    assert jobs.wait(bad, timeout=10).state is JobState.FAILED
    assert jobs.wait(good, timeout=10).state is JobState.DONE


def test_a_waiting_job_can_be_withdrawn_and_never_runs(jobs: Jobs) -> None:
    id = put(jobs)
    jobs.wish(id, Wish.STOP)
    bench: list[Count] = []
    jobs.start(Threads(lambda: bench))
    jobs.wait(put(jobs), timeout=10)
    assert jobs.get(id).state is JobState.STOPPED
    assert len(bench) == 1


def test_a_running_job_hears_the_wish_to_stop(jobs: Jobs) -> None:
    jobs.start(Threads(open_bench))
    id = put(jobs, to=5000)
    while not jobs.get(id).progress.step:
        time.sleep(0.005)
    jobs.wish(id, Wish.STOP)
    stopped = jobs.wait(id, timeout=10)
    assert stopped.state is JobState.STOPPED
    assert 0 < stopped.progress.step < 5000


def test_another_owners_job_is_unknown(jobs: Jobs) -> None:
    id = put(jobs, owner="ada")
    assert jobs.get(id, owner="ada").owner == "ada"
    with pytest.raises(UnknownJob):
        jobs.get(id, owner="bob")
    with pytest.raises(UnknownJob):
        jobs.wish(id, Wish.STOP, owner="bob")
    assert jobs.list(owner="bob") == []


def test_previews_are_wanted_only_while_somebody_looks(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[bool] = []
    jobs.start(Threads(lambda: wanted))
    jobs.wait(jobs.put(Count(), kind="look", owner="local", settings={}).id, timeout=10)
    monkeypatch.setattr("webui.jobs.queue.WATCHED_SECONDS", 0.0)
    jobs.wait(jobs.put(Count(), kind="look", owner="local", settings={}).id, timeout=10)
    assert wanted == [True, False]


def test_watchers_are_told_of_every_change(jobs: Jobs) -> None:
    told: list[int] = []
    leave = jobs.subscribe(lambda change: told.append(change.version))
    jobs.start(Threads(open_bench))
    id = put(jobs, to=3)
    jobs.wait(id, timeout=10)
    leave()
    assert told == sorted(told)
    assert len(told) >= 3 * 3
    version, job = jobs.wait_change(id, -1, timeout=5)
    assert version == jobs.version(id)
    assert job.state is JobState.DONE


def test_a_job_whose_arguments_cannot_be_stored_runs_live_and_says_so_after_a_restart(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    live = queue.put(Count(anything=threading.Lock()), kind="count", owner="local", settings={})
    assert live.live
    lost = queue.put(Count(anything=threading.Lock()), kind="count", owner="local", settings={}).id
    queue.wish(lost, Wish.NONE)
    bench: list[Count] = []
    queue.close()
    again = Jobs(tmp_path / "queue.db", KINDS)
    again.start(Threads(lambda: bench))
    assert again.get(live.id).error == {"key": "job_not_resumable", "fields": {}}
    assert bench == []
    again.close()


def test_a_polite_shutdown_leaves_the_running_job_queued(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    queue.start(Threads(open_bench))
    id = put(queue, to=100_000)
    while not queue.get(id).progress.step:
        time.sleep(0.005)
    queue.close()
    again = Jobs(tmp_path / "queue.db", KINDS)
    job = again.get(id)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    again.close()


SERVER = """
    import sys, time
    from pathlib import Path
    sys.path[:0] = {path!r}
    from {module} import KINDS, Count, open_bench
    from webui.jobs import Jobs, Threads
    queue = Jobs(Path({database!r}), KINDS)
    queue.put(Count(to=400, pause=0.01), kind="count", owner="local", settings={{}}, id="picture")
    queue.put(Count(to=2), kind="count", owner="local", settings={{}}, id="next")
    print("accepted", flush=True)
    queue.start(Threads(open_bench))
    while True:
        print(queue.get("picture").progress.step, flush=True)
        time.sleep(0.02)
"""


def test_kill_nine_in_mid_picture_loses_nothing(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    code = textwrap.dedent(SERVER).format(path=sys.path, module=__name__, database=str(database))
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=os.getcwd())
    assert server.stdout is not None
    for line in server.stdout:
        if line.strip().isdigit() and int(line) >= 3:
            break
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    bench: list[Count] = []
    queue = Jobs(database, {"count": Kind(request=Count, target=f"{__name__}:count")})
    made = len(queue._store.artifacts("picture"))  # pyright: ignore[reportPrivateUsage]
    assert made >= 2
    queue.start(Threads(lambda: bench))
    assert queue.wait("picture", timeout=60).state is JobState.DONE
    assert queue.wait("next", timeout=60).state is JobState.DONE
    assert [request.to for request in bench] == [400, 2]
    assert len(queue._store.artifacts("picture")) == 400  # pyright: ignore[reportPrivateUsage]
    assert queue.get("picture").attempts == 2
    queue.close()


def test_a_job_that_kills_the_server_every_time_is_given_up(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    id = put(queue)
    for _ in range(3):
        queue._store.begin(id, now=0)  # pyright: ignore[reportPrivateUsage]
        queue._store._run("UPDATE jobs SET state = 'running'")  # pyright: ignore[reportPrivateUsage]
        queue._store._run("UPDATE jobs SET state = 'queued' WHERE attempts < 3")  # pyright: ignore[reportPrivateUsage]
    queue.start(Threads(open_bench))
    assert queue.get(id).error == {"key": "job_gave_up", "fields": {"attempts": 3}}
    queue.close()


def test_a_spawned_process_runs_the_same_jobs(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS)
    queue.start(Spawned(f"{__name__}:open_bench"))
    good = queue.wait(put(queue, to=3), timeout=60)
    assert good.state is JobState.DONE
    assert good.progress.step == 3
    bad = queue.wait(put(queue, to=3, fail_at=1), timeout=60)
    assert bad.error == {"key": "out_of_range", "fields": {"field": "to", "value": 1, "lo": 0, "hi": 1}}
    long = put(queue, to=100_000)
    while not queue.get(long).progress.step:
        time.sleep(0.01)
    queue.wish(long, Wish.STOP)
    assert queue.wait(long, timeout=30).state is JobState.STOPPED
    queue.close()


def test_old_jobs_are_forgotten_beyond_the_limit(tmp_path: Path) -> None:
    queue = Jobs(tmp_path / "queue.db", KINDS, keep=3)
    queue.start(Threads(open_bench))
    ids = [put(queue, to=1) for _ in range(6)]
    for id in ids:
        queue.wait(id, timeout=10)
    queue.close()
    again = Jobs(tmp_path / "queue.db", KINDS, keep=3)
    again.start(Threads(open_bench))
    assert [job.id for job in again.list()] == ids[:2:-1]
    again.close()
