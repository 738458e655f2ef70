"""What is done to model files: converting, tensor by tensor, as jobs of the page and as `python -m webui.tools`.

    pieces.py    a tensor to be written, read from its file in small parts while it is written
    writing.py   the two formats of files, streamed: safetensors and PyTorch's archive
    layouts.py   the names a model's weights have in a single file and in a diffusers folder
    targets.py   where a result goes: never over a file unless told, whole or not at all
    convert.py   the story: open, name anew, write
    extras.py    finished pictures enlarged
    detect.py    a picture to its ControlNet map
    fetch.py     what a preprocessor lacks, from the addresses its table names

May import domain, words, settings, catalog, engine; no neighbour of its row. Add a tool: a module with a function of
paths, a runner `run_<tool>(request, *, settings, reporter, bench)`, its request in `domain`, its row in `app.KINDS`.
"""

from webui.tools.convert import convert, run_convert
from webui.tools.detect import run_detect
from webui.tools.extras import run_extras
from webui.tools.fetch import run_fetch

__all__ = ["convert", "run_convert", "run_detect", "run_extras", "run_fetch"]
