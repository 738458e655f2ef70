"""A runner that draws at once what a model would dream up: pages need pictures, not a model."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.domain import Artifact, GenerationRequest, Progress, Reporter, Result, Wish

HOLD = "wait for me"
"""A prompt with these words runs until it is told to end."""


def run(request: GenerationRequest, *, settings: Any, reporter: Reporter, bench: Path) -> Result:
    """One flat picture a batch, with its infotext, below `bench`."""
    made: list[Artifact] = []
    total = request.steps * request.batch_count
    for batch in range(request.batch_count):
        place = {"steps": request.steps, "batch": batch, "batches": request.batch_count, "total": total}
        for step in range(1, request.steps + 1):
            reporter.report(Progress(step=step, done=batch * request.steps + step, **place))
        reporter.preview(b"not much of a picture", "image/png")
        while HOLD in request.prompt and reporter.wish() is Wish.NONE:
            time.sleep(0.01)
        seed = request.seed + batch
        text = (
            f"{request.prompt}\nNegative prompt: {request.negative_prompt}\nSteps: {request.steps}, "
            f"Sampler: {request.sampler}, "
            f"Schedule type: {request.schedule}, CFG scale: {request.cfg_scale:g}, Seed: {seed}, "
            f"Size: {request.width}x{request.height}"
        )
        info = PngInfo()
        info.add_text("parameters", text)
        info.add_text("note", json.dumps({"batch": batch}))
        path = bench / f"{threading.get_ident()}-{time.time_ns()}-{seed}.png"
        Image.new("RGB", (request.width, request.height), (200, 30, batch * 40 % 256)).save(path, pnginfo=info)
        artifact = Artifact(
            path=str(path), width=request.width, height=request.height, infotext=text, seed=seed, subseed=seed
        )
        made.append(artifact)
        reporter.artifact(artifact)
        if reporter.wish() in (Wish.FINISH, Wish.STOP):
            return Result(artifacts=tuple(made), stopped=True)
    return Result(artifacts=tuple(made), info={"all_seeds": [each.seed for each in made]})


def converted(request: Any, *, settings: Any, reporter: Any, bench: Any) -> Result:
    """Stands for a conversion: says what was asked."""
    return Result(notes=(("converted", {"path": f"{request.name}.{request.to}", "tensors": 1, "megabytes": 2}),))


def enlarged(request: Any, *, settings: Any, reporter: Any, bench: Any) -> Result:
    """Stands for Extras: makes nothing."""
    return Result()


def detected(request: Any, *, settings: Any, reporter: Any, bench: Path) -> Result:
    """Stands for a preprocessor: a black map with one pose in it."""
    path = bench / f"{time.time_ns()}-map.png"
    Image.new("RGB", (64, 48)).save(path)
    artifact = Artifact(path=str(path), width=64, height=48, infotext="", seed=-1, subseed=-1)
    return Result(artifacts=(artifact,), info={"poses": [{"people": [], "canvas_width": 64, "canvas_height": 48}]})


def fetched(request: Any, *, settings: Any, reporter: Any, bench: Any) -> Result:
    """Stands for a download: brings nothing."""
    return Result()
