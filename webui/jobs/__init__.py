"""The durable queue: accepted means written to disk. Standard library, `domain` and `words`; it knows no diffusion.

`Jobs` keeps the queue in SQLite, hands jobs to `Workers` and tells watchers what changes. A job's kind names its runner
("webui.generate:run"), which is resolved in the worker, so this room never imports torch. Add a kind of job with a row
in
the `kinds` table that `app.py` hands in.
"""

from webui.jobs.queue import Change, Jobs, Preview
from webui.jobs.watch import changes, closed, eta, view
from webui.jobs.workers import Kind, Spawned, Threads, Workers

__all__ = [
    "Change",
    "Jobs",
    "Kind",
    "Preview",
    "Spawned",
    "Threads",
    "Workers",
    "changes",
    "closed",
    "eta",
    "view",
]
