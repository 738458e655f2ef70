"""What is spent around the networks: CPU seconds outside the text, UNet and VAE forwards ÷ CPU seconds inside them.

    python -m benchmarks.overhead CHECKPOINT [--runs 3] [--steps 20] [--size 128] [--sampler "Euler a"]

Whole requests go through `webui.generate.run`, from the plan to the saved PNG, with a reporter that wants a preview at
every step and keeps it, and with one that wants none. CPU seconds of the whole process, all threads; the model is
loaded and warmed before anything is counted.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from webui.catalog import Catalog, folders_from
from webui.domain import GenerationRequest, Progress, Wish
from webui.gallery.save import Gallery
from webui.generate import open_bench, run
from webui.hooks import Hooks
from webui.settings import Settings
from webui.settings.flags import Flags


class Watcher:
    """A reporter that wants every preview, or none; counts what it gets."""

    def __init__(self, *, previews: bool) -> None:
        self._wants = previews
        self.previews = 0

    def report(self, progress: Progress) -> None:
        pass

    def preview_wanted(self, step: int) -> bool:
        return self._wants

    def preview(self, picture: bytes, media_type: str) -> None:
        self.previews += 1

    def artifact(self, artifact: Any) -> None:
        pass

    def note(self, key: str, **fields: Any) -> None:
        pass

    def finished(self) -> tuple[Any, ...]:
        return ()

    def wish(self) -> Wish:
        return Wish.NONE

    def served(self, wish: Wish) -> None:
        pass


class Inside:
    """CPU seconds spent inside a model's forwards."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        self._since = 0.0
        for part in (model.text_encoder, model.unet, model.vae.decoder, model.vae.post_quant_conv):
            part.register_forward_pre_hook(self._enter)
            part.register_forward_hook(self._leave)

    def _enter(self, *_given: Any) -> None:
        self._since = time.process_time()

    def _leave(self, *_given: Any) -> None:
        self.seconds += time.process_time() - self._since


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, help="pixels a side; the model's own without it")
    parser.add_argument("--sampler", default="Euler a")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, root: Path) -> None:
    flags = Flags(ckpt_dir=(given.checkpoint.parent,))
    catalog = Catalog(root / "models.db", folders_from(flags, root))
    catalog.scan()
    bench = open_bench(catalog=catalog, gallery=Gallery(Settings, root), hooks=Hooks(), flags=flags)

    def make(steps: int, *, previews: bool, seed: int, width: int, height: int) -> int:
        request = GenerationRequest(
            prompt="a red circle on a blue background", negative_prompt="blurry", checkpoint=given.checkpoint.stem,
            sampler=given.sampler, steps=steps, seed=seed, width=width, height=height,
        )  # fmt: skip
        watcher = Watcher(previews=previews)
        # Every step shows a preview: the settings' own interval would hide nine of ten.
        run(request, settings={"previews.every_n_steps": 1}, reporter=watcher, bench=bench)
        return watcher.previews

    make(1, previews=True, seed=1, width=given.size or 64, height=given.size or 64)
    model = bench.models.current
    assert model is not None
    width, height = (given.size, given.size) if given.size else model.native_size
    make(1, previews=True, seed=1, width=width, height=height)
    inside = Inside(model)
    for previews in (False, True):
        inside.seconds, began, seen = 0.0, time.process_time(), 0
        for n in range(given.runs):
            seen += make(given.steps, previews=previews, seed=n, width=width, height=height)
        outside = time.process_time() - began - inside.seconds
        print(
            f"{given.checkpoint.name} {width}x{height} {given.sampler} {given.steps} steps, "
            f"previews {'on' if previews else 'off'} ({seen} made): inside {inside.seconds / given.runs:.3f} CPU s, "
            f"outside {outside / given.runs:.3f} CPU s = {outside / inside.seconds:.2%}",
            flush=True,
        )
    bench.close()
    catalog.close()


if __name__ == "__main__":
    main()
