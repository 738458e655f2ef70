"""The model cache: what is read again and what is not, and who may touch the device."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webui.domain.errors import BrokenFile, ModelGone

pytestmark = pytest.mark.torch


@pytest.fixture
def cache() -> Any:
    import torch

    from webui.engine.cache import ModelCache

    return ModelCache(torch.device("cpu"))


def test_the_same_model_is_read_once(cache: Any, tiny_checkpoint: Path, record: Callable[..., Any]) -> None:
    first = cache.load(record(tiny_checkpoint), None)
    assert cache.load(record(tiny_checkpoint), None) is first
    assert (cache.loads, cache.vae_loads) == (1, 0)


def test_another_vae_is_exchanged_alone_and_given_back(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    state = {name: value for name, value in load_file(tiny_checkpoint).items() if name.startswith("first_stage_model.")}
    save_file({name: value * 0.5 for name, value in state.items()}, tmp_path / "soft.vae.safetensors")
    latents = torch.randn(1, 4, 4, 4)
    model = cache.load(record(tiny_checkpoint), None)
    unet, own = model.unet, model.decode(latents)
    other = cache.load(record(tiny_checkpoint), record(tmp_path / "soft.vae.safetensors"))
    assert other.unet is unet
    assert not torch.equal(other.decode(latents), own)
    assert torch.equal(cache.load(record(tiny_checkpoint), None).decode(latents), own)
    assert (cache.loads, cache.vae_loads) == (1, 2)


def test_vaes_used_before_are_kept_when_asked(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    state = {name: value for name, value in load_file(tiny_checkpoint).items() if name.startswith("first_stage_model.")}
    for name, scale in (("a", 0.5), ("b", 0.25)):
        save_file({key: value * scale for key, value in state.items()}, tmp_path / f"{name}.vae.safetensors")
    latents, a, b = (
        torch.randn(1, 4, 4, 4),
        record(tmp_path / "a.vae.safetensors"),
        record(tmp_path / "b.vae.safetensors"),
    )
    cache.keep_vaes = 1
    first = cache.load(record(tiny_checkpoint), a).decode(latents)
    cache.load(record(tiny_checkpoint), b)
    assert torch.equal(cache.load(record(tiny_checkpoint), a).decode(latents), first)
    assert cache.vae_loads == 1  # b's; a came with the model, and back from memory
    cache.load(record(tiny_checkpoint), None)
    cache.load(record(tiny_checkpoint), b)
    assert cache.vae_loads == 3  # the own one, and b again: a alone was kept
    cache.unload()
    assert not cache._vaes


def test_a_file_replaced_under_its_name_is_read_again(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_checkpoint, tmp_path / "x.safetensors"))
    cache.load(record(path), None)
    os.utime(path, ns=(1, 1))
    cache.load(record(path), None)
    assert cache.loads == 2


def test_a_model_that_cannot_be_used_leaves_the_one_in_memory(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    model = cache.load(record(tiny_checkpoint), None)
    (tmp_path / "x.safetensors").write_bytes(b"rubbish" * 10)
    with pytest.raises(BrokenFile):
        cache.load(record(tmp_path / "x.safetensors"), None)
    with pytest.raises(ModelGone):
        cache.load(record(tmp_path / "none.safetensors"), None)
    assert cache.load(record(tiny_checkpoint), None) is model
    assert cache.loads == 1


def test_a_vae_that_cannot_be_used_is_tried_again_next_time(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    cache.load(record(tiny_checkpoint), None)
    (tmp_path / "x.safetensors").write_bytes(b"rubbish" * 10)
    for _ in range(2):
        with pytest.raises(BrokenFile):
            cache.load(record(tiny_checkpoint), record(tmp_path / "x.safetensors"))
    assert cache.load(record(tiny_checkpoint), None).decode(torch.zeros(1, 4, 4, 4)).shape == (1, 3, 32, 32)
    assert cache.loads == 1


def test_unloading_gives_it_back(cache: Any, tiny_checkpoint: Path, record: Callable[..., Any]) -> None:
    cache.load(record(tiny_checkpoint), None)
    cache.unload()
    assert cache.current is None
    cache.load(record(tiny_checkpoint), None)
    assert cache.loads == 2


def test_the_lease_is_the_holders_again_and_nobody_elses(cache: Any) -> None:
    order: list[str] = []

    def other() -> None:
        with cache.lease():
            order.append("other")

    with cache.lease(), cache.lease():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.05)
        order.append("holder")
    thread.join()
    assert order == ["holder", "other"]


def test_as_many_models_stay_as_the_setting_says(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    paths = [Path(shutil.copy(tiny_checkpoint, tmp_path / f"{number}.safetensors")) for number in range(3)]
    cache.keep = 2
    for number in (0, 1, 0, 1):
        cache.load(record(paths[number]), None)
    assert cache.loads == 2
    cache.load(record(paths[2]), None)
    cache.load(record(paths[1]), None)
    assert cache.loads == 3, "the one used last stays"
    cache.load(record(paths[0]), None)
    assert cache.loads == 4, "the one used longest ago goes"
    cache.load(record(paths[0]), None, beside=[record(paths[1])])
    cache.keep = 1
    cache.load(record(paths[2]), None, beside=[record(paths[0]), record(paths[1])])
    cache.load(record(paths[1]), None, beside=[record(paths[0]), record(paths[2])])
    assert cache.loads == 5, "a run's own models stay whatever the setting says"


def test_twenty_switches_leave_no_model_behind(
    cache: Any, tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gc
    import weakref

    import torch

    paths = [Path(shutil.copy(tiny_checkpoint, tmp_path / f"{number}.safetensors")) for number in range(2)]
    seen: list[Any] = []
    # Without Python's collector: a model must go before the next one is read, not some time later.
    monkeypatch.setattr(gc, "collect", lambda: None)
    gc.disable()
    for number in range(20):
        model = cache.load(record(paths[number % 2]), None)
        with model.wearing(()):
            model.decode(torch.zeros(1, 4, 4, 4))
        seen += [weakref.ref(part) for part in (model.unet, model.vae, model.text_encoder)]
        del model
    gc.enable()
    assert cache.loads == 20
    assert [ref() for ref in seen[:-3] if ref() is not None] == []
    assert all(ref() is not None for ref in seen[-3:])
