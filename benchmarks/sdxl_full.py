"""SDXL at its full size: a seeded single file in the real layout is written, loaded as it is stored, and used once.

    python -m benchmarks.sdxl_full FOLDER [--side 256] [--keep]

The file takes 6.9 GB in FOLDER and is deleted afterwards. Weights are drawn from one block of normal numbers and
scaled by fan-in, so that nothing overflows in fp16. Printed: parameters, file size, memory private and mapped after
loading and after one step, seconds of each. A machine with less free disk or memory than it takes is left alone.
"""

import argparse
import json
import shutil
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch import Tensor

from benchmarks.loading import memory

NEEDED_DISK, NEEDED_MEMORY = 8e9, 8.5e9


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--keep", action="store_true")
    asked = parser.parse_args(arguments)
    if shutil.disk_usage(asked.folder).free < NEEDED_DISK or psutil.virtual_memory().available < NEEDED_MEMORY:
        print("not enough free disk or memory")
        return 1
    path = asked.folder / "sdxl-full-random.safetensors"
    try:
        said("written", write(path))
        use(path, asked.side)
    finally:
        if not asked.keep:
            path.unlink(missing_ok=True)
    return 0


def layout() -> dict[str, Tensor]:
    """Names and shapes of sd_xl_base_1.0.safetensors, without memory."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    from webui.engine.keys import to_ldm

    with torch.device("meta"):
        unet = UNet2DConditionModel(
            block_out_channels=(320, 640, 1280), cross_attention_dim=2048, use_linear_projection=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20), sample_size=128,
            addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, latent_channels=4,
        )  # fmt: skip
        first = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
        second = CLIPTextConfig(
            hidden_size=1280, intermediate_size=5120, num_attention_heads=20, num_hidden_layers=32, projection_dim=1280,
            hidden_act="gelu",
        )  # fmt: skip
        text, big = CLIPTextModel(first), CLIPTextModelWithProjection(second)
        return to_ldm(unet=unet, vae=vae, text_encoder=text, text_encoder_2=big)


def write(path: Path) -> dict[str, Any]:
    """The file, one tensor at a time."""
    start, state = time.perf_counter(), layout()
    header: dict[str, Any] = {}
    end = 0
    for name, value in state.items():
        header[name] = {"dtype": "F16", "shape": list(value.shape), "data_offsets": [end, end + 2 * value.numel()]}
        end += 2 * value.numel()
    text = json.dumps(header).encode()
    # Data begins on 16 bytes, so that the CPU reads tensors where they lie; else they are copied (see `Weights`).
    text += b" " * (-(8 + len(text)) % 16)
    generator = np.random.default_rng(0)
    block = generator.standard_normal(2**24, dtype=np.float32)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, value in state.items():
            for part in drawn(name, value, block, generator):
                file.write(part.astype(np.float16).tobytes())
    return {"parameters": end // 2, "bytes": path.stat().st_size, "seconds": time.perf_counter() - start}


def drawn(name: str, value: Tensor, block: Any, generator: np.random.Generator) -> Iterator[Any]:
    """A tensor's numbers in pieces: matrices by fan-in, norms 1, biases 0."""
    count = value.numel()
    if value.dim() < 2:
        yield np.full(count, 0.0 if name.endswith("bias") else 1.0, np.float32)
        return
    scale = 0.02 if "embedding" in name else (value.numel() // value.shape[0]) ** -0.5
    while count:
        begin = int(generator.integers(0, len(block) - 1))
        piece = block[begin : begin + count] * scale
        count -= len(piece)
        yield piece


def use(path: Path, side: int) -> None:
    """Load it as stored, encode a prompt, make one guided step and decode."""
    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache
    from webui.engine.device import Precision, prepare
    from webui.engine.families.parts import Framing
    from webui.engine.types import COND, UNCOND, Call, StepContext

    prepare()
    start = time.perf_counter()
    cache = ModelCache(torch.device("cpu"), Precision.own())
    model = cache.load(ModelRecord(kind=ModelKind.CHECKPOINT, name=path.stem, path=path), None)
    said("loaded", {"family": model.family.value, "seconds": time.perf_counter() - start, **memory()})
    start = time.perf_counter()
    framing = Framing(width=side, height=side)
    told = [
        model.encode_texts([text], role, framing=framing)[0] for text, role in (("a red circle", COND), ("", UNCOND))
    ]
    said("encoded", {"width": told[0].states.shape[1], "seconds": time.perf_counter() - start, **memory()})
    start, sigma = time.perf_counter(), model.prediction.sigmas[-1:]
    x = torch.randn(1, 4, side // 8, side // 8, generator=torch.Generator().manual_seed(1)) * sigma
    calls = [
        Call(
            role=role, rows=(0,), x=x, sigma=sigma, context=one.states[None],
            extras={name: value[None] for name, value in one.extras.items()},
        )
        for one, role in zip(told, (COND, UNCOND), strict=True)
    ]  # fmt: skip
    cond, uncond = model.denoise(calls, StepContext(call=0, step=0, calls=1, steps=1))
    x0 = uncond + 5 * (cond - uncond)
    said("step", {"finite": bool(x0.isfinite().all()), "seconds": time.perf_counter() - start, **memory()})
    start = time.perf_counter()
    picture = model.decode(x0 / x0.std())
    shown = {"shape": list(picture.shape), "finite": bool(picture.isfinite().all())}
    said("decoded", {**shown, "seconds": time.perf_counter() - start, **memory()})


def said(what: str, facts: dict[str, Any]) -> None:
    rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in facts.items()}
    print(f"{what}: {rounded}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
