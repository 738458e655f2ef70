"""Memory and time of loading a checkpoint, each case in a fresh process.

    python -m benchmarks.loading CHECKPOINT...

For its own number type and for fp32: how much memory the process has grown by after the text encoder, the UNet and
the VAE have each run once (every page touched), as a share of the file and of the weights in that type; how long
loading took, and beside it how long reading the file's bytes takes. Linux tells mapped from private memory; elsewhere
only the sum is known.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CASES = ("own", "fp32")


def main(paths: list[str]) -> None:
    for path in paths:
        for case in CASES:
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.loading", "--case", case, path],
                check=True,
                capture_output=True,
                text=True,
            )
            print(_line(json.loads(answer.stdout.splitlines()[-1])), flush=True)


def _line(row: dict[str, Any]) -> str:
    gb = {key: row[key] / 1e9 for key in ("grown", "private", "mapped", "peak")}
    return (
        f"{row['file']:30} {row['case']:5} grown {gb['grown']:5.2f} GB = {row['grown'] / row['size']:.3f} of the file, "
        f"{row['grown'] / row['weights']:.3f} of its weights in that type "
        f"(private {gb['private']:.2f} GB, mapped {gb['mapped']:.2f} GB, peak {gb['peak']:.2f} GB); "
        f"load {row['load_s']:.2f} s ({row['load_cpu_s']:.2f} CPU s), reading the bytes {row['read_s']:.2f} s"
    )


def measure(case: str, path: Path) -> dict[str, Any]:
    """One case, in this process. Memory in bytes, growth since everything but the checkpoint was loaded."""
    read_s = _read(path)
    import torch

    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache
    from webui.engine.device import Precision, prepare
    from webui.engine.types import COND, Call, StepContext

    prepare()
    _warm()
    before = memory()
    cache = ModelCache(torch.device("cpu"), Precision.own() if case == "own" else Precision())
    start, cpu = time.perf_counter(), time.process_time()
    model = cache.load(ModelRecord(kind=ModelKind.CHECKPOINT, name=path.stem, path=path), None)
    load_s, load_cpu_s = time.perf_counter() - start, time.process_time() - cpu
    with torch.no_grad():
        states = model.text_encoder(torch.full((1, 77), 49407)).last_hidden_state
    x = torch.randn(1, 4, 8, 8) * 14
    call = Call(role=COND, rows=(0,), x=x, sigma=torch.full((1,), 14.0), context=states)
    (x0,) = model.denoise([call], StepContext(call=0, step=0, calls=1, steps=1))
    model.decode(x0)
    if model.vae is not None:
        model.encode(torch.rand(1, 3, 64, 64))
    after = memory()
    parts = [part for part in (model.text_encoder, model.unet, model.vae) if part is not None]
    weights = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
    return {
        "file": path.name,
        "case": case,
        "size": path.stat().st_size,
        "weights": weights,
        "grown": after["rss"] - before["rss"],
        "private": after["private"] - before["private"],
        "mapped": after["mapped"] - before["mapped"],
        "peak": after["peak"] - before["rss"],
        "load_s": load_s,
        "load_cpu_s": load_cpu_s,
        "read_s": read_s,
    }


def _read(path: Path) -> float:
    """Seconds to read the file's bytes once."""
    start = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 24)
        while file.readinto(buffer):
            pass
    return time.perf_counter() - start


def _warm() -> None:
    """Let torch's kernels and the classes allocate what they keep for themselves."""
    import torch

    from webui.engine.loading import empty_vae

    empty_vae({}, Path())
    for dtype in (torch.float16, torch.float32):
        torch.nn.Conv2d(4, 4, 3, dtype=dtype)(torch.rand(1, 4, 8, 8, dtype=dtype))
        torch.rand(64, 64, dtype=dtype) @ torch.rand(64, 64, dtype=dtype)


def memory() -> dict[str, int]:
    """Resident, private and mapped memory now and the resident peak, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        kib = {
            name: int(value.split()[0]) * 1024
            for name, _, value in (line.partition(":") for line in status.read_text().splitlines())
            if value.strip().endswith("kB")
        }
        return {"rss": kib["VmRSS"], "private": kib["RssAnon"], "mapped": kib["RssFile"], "peak": kib["VmHWM"]}
    import psutil

    rss = psutil.Process().memory_info().rss
    return {"rss": rss, "private": rss, "mapped": 0, "peak": rss}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]))))
    else:
        main(sys.argv[1:])
