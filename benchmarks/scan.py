"""How long the model tree takes: names, headers, and a second start that finds nothing changed.

    python -m benchmarks.scan [FILES]

Makes FILES (10 000) LoRA-sized headers over empty weights in a temporary folder. Seconds are of one run; the files are
in the system's cache, so a cold disk adds its own seeks.
"""

import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from webui.catalog import Catalog, folders_from
from webui.domain import ModelKind

PREFIX = "lora_unet_down_blocks_0_attentions_0_transformer_blocks"


def lora(layers: int = 100) -> bytes:
    """A safetensors file with `layers` layers of rank 16 and a trainer's metadata; its weights are one hole."""
    table: dict[str, object] = {"__metadata__": {f"ss_key_{number}": "some value" for number in range(40)}}
    end = 0
    for layer in range(layers):
        for part, shape in (("lora_down", [16, 768]), ("lora_up", [320, 16])):
            size = 2 * shape[0] * shape[1]
            name = f"{PREFIX}_{layer}_attn2_to_k.{part}.weight"
            table[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
            end += size
    header = json.dumps(table).encode()
    return struct.pack("<Q", len(header)) + header + end.to_bytes(8, "little")


def fill(folder: Path, files: int) -> None:
    """Write the files; the last eight bytes of `lora` say how long the hole is."""
    model = lora()
    content, hole = model[:-8], int.from_bytes(model[-8:], "little")
    for number in range(files):
        path = folder / f"{number % 100:02}" / f"style {number}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
            file.truncate(len(content) + hole)


@contextmanager
def timed(what: str) -> Iterator[None]:
    start, used = time.perf_counter(), time.process_time()
    yield
    print(f"{what:<42}{time.perf_counter() - start:8.3f} s wall {time.process_time() - used:8.3f} s CPU")


def measure(what: str, act: Callable[[], object]) -> None:
    with timed(what):
        act()


def main(files: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        fill(root / "models" / "Lora", files)
        first = Catalog(root / "models.db", folders_from(object(), root))
        measure(f"names of {files} files, nothing known", first.walk)
        measure("their headers", first.read_headers)
        measure("the list as the page asks for it", lambda: first.models(ModelKind.LORA))
        measure("the first look-up by name", lambda: first.find(ModelKind.LORA, "style 77"))
        measure("a hundred more", lambda: [first.find(ModelKind.LORA, f"style {number}") for number in range(100)])
        first.close()
        with timed("opening the index"):
            second = Catalog(root / "models.db", folders_from(object(), root))
        with timed("the second scan"):
            report = second.scan()
        print(f"{report.opened} files opened in the second scan")
        second.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
