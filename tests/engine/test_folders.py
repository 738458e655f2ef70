"""Diffusers folders: whole pipelines and lone components, plain, fp16, sharded, .bin."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webui.domain.errors import BrokenFile

pytestmark = pytest.mark.torch


def _pipeline(tiny: SimpleNamespace, folder: Path, **options: Any) -> Path:
    tiny.unet.save_pretrained(folder / "unet", **options)
    tiny.vae.save_pretrained(folder / "vae", **options)
    tiny.text.save_pretrained(folder / "text_encoder")
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}))
    return folder


def _load(record: Any) -> Any:
    import torch

    from webui.engine.cache import ModelCache

    return ModelCache(torch.device("cpu")).load(record, None)


@pytest.mark.parametrize(
    "options",
    [{}, {"safe_serialization": False}, {"variant": "fp16"}, {"max_shard_size": "1MB"}],
    ids=["safetensors", "bin", "fp16", "sharded"],
)
def test_a_folder_answers_bit_for_bit_as_what_it_was_saved_from(
    tiny: SimpleNamespace, record: Callable[..., Any], tmp_path: Path, options: dict[str, Any]
) -> None:
    import torch

    model = _load(record(_pipeline(tiny, tmp_path / "模型", **options)))
    x, states, ids = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64), torch.arange(77)[None]
    with torch.no_grad():
        assert torch.equal(model.unet(x, 5, states)[0], tiny.unet(x, 5, states)[0])
        assert torch.equal(model.vae.decode(x).sample, tiny.vae.decode(x).sample)
        assert torch.equal(model.text_encoder(ids).last_hidden_state, tiny.text(ids).last_hidden_state)


def test_the_scheduler_tells_v_prediction_and_the_unet_its_size(
    tiny: SimpleNamespace, record: Callable[..., Any], tmp_path: Path
) -> None:
    folder = _pipeline(tiny, tmp_path / "x")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": "v_prediction"}))
    config = json.loads((folder / "unet" / "config.json").read_text()) | {"sample_size": 96}
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    model = _load(record(folder))
    assert model.prediction.kind == "v"
    assert model.native_size == (768, 768)


def test_a_folder_without_vae_loads(tiny: SimpleNamespace, record: Callable[..., Any], tmp_path: Path) -> None:
    folder = _pipeline(tiny, tmp_path / "x")
    (folder / "vae" / "config.json").unlink()
    assert not _load(record(folder)).has_vae


@pytest.mark.parametrize("missing", ["model_index.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_folder_with_parts_missing_is_broken(
    tiny: SimpleNamespace, record: Callable[..., Any], tmp_path: Path, missing: str
) -> None:
    folder = _pipeline(tiny, tmp_path / "x")
    (folder / missing).unlink()
    with pytest.raises(BrokenFile):
        _load(record(folder))
