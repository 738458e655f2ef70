"""What a run says of itself is heard while it runs."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.domain import Reporter, Result
from webui.jobs import Jobs, Kind, Threads, view

GO = threading.Event()


@dataclass(frozen=True, slots=True)
class Nothing:
    """Asks for nothing."""


def slow(request: Nothing, *, settings: dict[str, Any], reporter: Reporter, bench: Any) -> Result:
    reporter.note("memory_tight", needed="6.0", free="4.0")
    GO.wait(20)
    return Result()


def test_a_note_is_read_before_the_run_is_over(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "queue.db", {"slow": Kind(request=Nothing, target="tests.jobs.test_notes:slow")})
    GO.clear()
    jobs.start(Threads(lambda: None))
    job = jobs.put(Nothing(), kind="slow", owner="local", settings={})
    seen = jobs.version(job.id)
    while not view(job, "en")["notes"]:
        seen, job = jobs.wait_change(job.id, seen, timeout=20)
    assert not job.state.final
    assert "6.0 GB" in view(job, "en")["notes"][0]
    GO.set()
    done = jobs.wait(job.id, timeout=20)
    assert [key for key, _ in (done.result.notes if done.result else ())] == ["memory_tight"]
    jobs.close()
