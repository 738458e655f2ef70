"""Request → plan → pictures: the story a newcomer reads first. Starred: may import torch rooms; knows no page and no
HTTP.

`plan.py` resolves names and seeds before a weight is read, `run.py` tells the story of a run, `batch.py` makes one
batch, and
`finish.py` turns decoded pictures into files that remember how they were made. `bench.py` holds what a worker works
with; `series.py` runs one request for picture after picture.
"""

from webui.generate.bench import Bench, memory, open_bench, room, warm
from webui.generate.plan import make_plan
from webui.generate.progress import Listener
from webui.generate.run import run
from webui.generate.series import run_series

__all__ = ["Bench", "Listener", "make_plan", "memory", "open_bench", "room", "run", "run_series", "warm"]
