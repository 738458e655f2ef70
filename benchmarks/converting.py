"""Memory a conversion takes: a checkpoint of Stable Diffusion 1.5's size to .ckpt, to a folder and back.

    python -m benchmarks.converting [FOLDER]

Each step in a fresh process. Two figures: the most private memory (RssAnon: what the process itself holds) and the
most resident memory (with the file's pages that are mapped), both beyond what the imports took. Linux only.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

STEPS = (
    ("real.safetensors", "a.ckpt"),
    ("a.ckpt", "b"),
    ("b", "c.safetensors"),
    ("real.safetensors", "half.safetensors"),
)


def main(folder: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        run(["--make", place])
        for source, target in STEPS:
            told = json.loads(run(["--step", str(Path(place) / source), str(Path(place) / target)]).splitlines()[-1])
            print(
                f"{source} -> {target}: {told['size'] / 1e9:.2f} GB, {told['seconds']:.1f} s ({told['cpu']:.1f} CPU), "
                f"private +{told['private'] / 1e6:.0f} MB, resident +{told['resident'] / 1e6:.0f} MB",
                flush=True,
            )


def run(arguments: list[str]) -> str:
    command = [sys.executable, "-m", "benchmarks.converting", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make(place: Path) -> None:
    """Zeros of the real shapes, sparse on the disk until they are read."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    from webui.engine.keys import to_ldm

    with torch.device("meta"):
        state = to_ldm(
            unet=UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8),
            vae=AutoencoderKL(
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
            ),
        )  # fmt: skip
    header, end = {}, 0
    for name, value in state.items():
        header[name] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [end, end + 2 * value.numel()]}
        end += 2 * value.numel()
    text = json.dumps(header).encode()
    with (place / "real.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def step(source: Path, target: Path) -> dict[str, float]:
    import torch

    from webui.tools import convert

    before, most = memory(), memory()
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.005):
            most = tuple(map(max, most, memory()))  # type: ignore[assignment]

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, cpu = time.perf_counter(), time.process_time()
    done = convert(source, target, dtype=torch.bfloat16 if target.name.startswith("half") else None)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ended.set()
    watcher.join()
    private, resident = (after - first for after, first in zip(most, before, strict=True))
    return {"private": private, "resident": resident, "seconds": seconds, "cpu": cpu, "size": done.size}


def memory() -> tuple[int, int]:
    """(private, resident) bytes now."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    private, resident = (int(lines[name].split()[0]) * 1024 for name in ("RssAnon", "VmRSS"))
    return private, resident


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--make", place]:
            make(Path(place))
        case ["--step", source, target]:
            print(json.dumps(step(Path(source), Path(target))))
        case rest:
            main(rest[0] if rest else None)
