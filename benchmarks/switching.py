"""Memory after twenty changes between two checkpoints: it must not grow.

    python -m benchmarks.switching ONE TWO

Prints private memory (RssAnon) along the way. Linux only.
"""

import gc
import sys
from pathlib import Path


def main(paths: list[str]) -> None:
    import torch

    from benchmarks.converting import memory
    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache

    cache = ModelCache(torch.device("cpu"))
    records = [ModelRecord(kind=ModelKind.CHECKPOINT, name=Path(path).stem, path=Path(path)) for path in paths]
    after: list[int] = []
    for number in range(20):
        model = cache.load(records[number % len(records)], None)
        model.decode(torch.zeros(1, model.latent_channels, 16, 16))
        del model
        gc.collect()
        after.append(memory()[0])
    shown = ", ".join(f"{after[number - 1] / 1e6:.1f}" for number in (2, 5, 10, 15, 20))
    print(f"private memory after 2, 5, 10, 15 and 20 changes: {shown} MB")
    print(f"growth {(after[-1] - after[1]) / 1e6:+.1f} MB over 18 changes, {cache.loads} loads")


if __name__ == "__main__":
    main(sys.argv[1:])
