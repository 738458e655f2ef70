"""The demo's adapters show their styles, give the bare picture back, and are written as they are read."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from webui.demo import adapters, effects
from webui.demo.__main__ import CHECKPOINT
from webui.demo.adapters import Training
from webui.engine.embeddings import read_vectors
from webui.engine.patches.hypernetwork import read_network
from webui.engine.patches.layers import split

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def studio() -> Any:
    with effects.studio(ROOT / CHECKPOINT) as made:
        yield made


@pytest.mark.parametrize("name", adapters.ADAPTERS)
def test_the_shipped_file_shows_its_style_and_leaves_no_trace(name: str, studio: Any):
    found = effects.EFFECTS[name](studio, 5)
    assert found.measured.share >= 0.6
    assert found.chance.share <= 0.4


def test_the_shipped_files_are_small_and_say_their_licence():
    for file in adapters.FILES.values():
        assert (ROOT / file).stat().st_size <= 2_000_000
        if file.suffix == ".safetensors":
            with safe_open(ROOT / file, "pt") as opened:
                assert opened.metadata()["modelspec.license"] == "CC0-1.0"


def test_what_is_trained_is_written_as_it_is_read(tmp_path: Path):
    brief = Training(steps=2, rate=1e-3, batch=1, pictures=2)
    files = {name: adapters.make(name, ROOT / CHECKPOINT, tmp_path, tmp_path, training=brief) for name in (
        "lora", "embedding", "hypernetwork")}  # fmt: skip
    tensors = load_file(files["lora"])
    assert all(split(name) is not None for name in tensors)
    assert sum(bool(value.any()) for name, value in tensors.items() if name.endswith("lora_up.weight")) > 100
    assert read_vectors(files["embedding"])[""].shape == (adapters.VECTORS, 64)
    network = read_network(files["hypernetwork"], torch.device("cpu"))
    assert sorted(network) == [32, 64, 128]
    held = torch.load(files["hypernetwork"], weights_only=True)
    assert (held["layer_structure"], held["activation_func"], held["activate_output"]) == ([1, 2, 1], "relu", False)
    assert sorted(held[64][0]) == ["linear.0.bias", "linear.0.weight", "linear.2.bias", "linear.2.weight"]
