"""A run short of memory comes out the same and says what it did; the ways of the VAE are the settings'."""

from dataclasses import replace
from typing import Any

import pytest

from tests.small import Ears
from webui.domain import GenerationRequest

pytestmark = pytest.mark.torch
REQUEST = GenerationRequest(
    prompt="a red circle", sampler="Euler", steps=2, width=128, height=128, seed=5, batch_size=2, save_grid=False
)


def made(bench: Any, request: GenerationRequest = REQUEST, **settings: Any) -> tuple[list[Any], Ears, Any]:
    import numpy as np
    from PIL import Image

    from webui.generate import run

    ears = Ears(looking=True)
    result = run(request, settings=settings, reporter=ears, bench=bench)
    return [np.asarray(Image.open(each.path).convert("RGB")).astype(int) for each in result.artifacts], ears, result


def test_a_run_that_is_short_of_memory_says_so_and_makes_the_same_pictures(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webui.engine import model

    plain, ears, _ = made(bench)
    assert [key for key, _ in ears.notes if key.startswith("memory")] == []
    # So little that each row is computed alone; decoding still fits whole.
    need = bench.models.current.need(128, 128, 2)
    monkeypatch.setattr(model, "free_memory", lambda _device: need.decoding + 1)
    monkeypatch.setattr(model, "unet_run", lambda *_, rows, **__: rows * need.decoding)
    tight, ears, _ = made(bench)
    assert [key for key, _ in ears.notes] == ["memory_tight"]
    for one, other in zip(plain, tight, strict=True):
        assert abs(one - other).max() <= 1


def test_taesd_is_taken_when_the_settings_say_so_and_told(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    from webui.engine import model

    told = {"model.vae_decode_method": "TAESD", "model.vae_encode_method": "TAESD"}
    full, ears, result = made(bench, **told)
    assert "taesd_missing" in [key for key, _ in ears.notes]
    assert "VAE Decoder" not in result.artifacts[0].infotext
    folder = next(path for path in bench.previews if path.name == "VAE-taesd")
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(AutoencoderTiny().state_dict(), folder / "taesd.pth")
    # The miniature's VAE is narrower than the published ones, whose latents TAESD reads.
    monkeypatch.setattr(model, "VAE_WIDTHS", (32, 32, 32, 32))
    bench.models.unload()
    small, ears, result = made(bench, **told)
    assert "taesd_missing" not in [key for key, _ in ears.notes]
    assert "VAE Decoder: TAESD" in result.artifacts[0].infotext
    assert "VAE Encoder" not in result.artifacts[0].infotext, "nothing was encoded"
    assert abs(full[0] - small[0]).max() > 1


def test_a_run_that_meets_the_end_of_memory_is_finished_and_says_how(bench: Any) -> None:
    from tests.engine.test_memory import at_most

    larger = replace(REQUEST, width=192, height=192)
    plain, _, _ = made(bench, larger)
    # Features of the whole picture (192 × 192 × 32 numbers) do not fit, those of a tile of 128 do.
    with at_most(4 * 32 * 130 * 130) as refused:
        tiled, ears, result = made(bench, larger)
    assert refused
    assert len(result.artifacts) == 2
    assert ("memory_tiled", {"side": 128}) in ears.notes
    assert all(abs(one - other).mean() < 3 for one, other in zip(plain, tiled, strict=True))


def test_previews_show_the_prompt_alone_or_both(bench: Any) -> None:
    shown = {}
    for subject in ("Prompt", "Negative prompt", "Combined"):
        told = {"previews.content": subject, "previews.method": "Full", "previews.every_n_steps": 1}
        _, ears, _ = made(bench, replace(REQUEST, cfg_scale=9.0, negative_prompt="blue"), **told)
        shown[subject] = ears.previews[0][0]
    assert len(set(shown.values())) == 3


def test_as_many_checkpoints_stay_as_the_settings_say(bench: Any) -> None:
    made(bench, **{"model.checkpoints_limit": 3})
    assert (bench.models.keep, bench.models.park) == (3, True)
