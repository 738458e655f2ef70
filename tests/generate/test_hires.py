"""The second pass: enlarged, cut, painted over, and told in the infotext."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.small import Ears
from webui.catalog.upscalers import UnknownUpscaler, hires_size
from webui.domain import GenerationRequest, Hires, Result, Wish
from webui.gallery.infotext import read, request_from
from webui.settings import Settings, flat

pytestmark = pytest.mark.torch

ASKED = GenerationRequest(
    prompt="a red circle", sampler="Euler", steps=3, width=64, height=64, seed=5, subseed=1, cfg_scale=4.0,
    hires=Hires(scale=1.5, upscaler="Latent", denoising_strength=0.6),
)  # fmt: skip


class Names:
    """Every name is as it stands."""

    def sampler(self, name: str, schedule: str) -> tuple[str, str]:
        return name, schedule

    def checkpoint(self, name: str) -> str:
        return name

    def vae(self, name: str) -> str:
        return name

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        return (), prompt, negative


def make(bench: Any, request: GenerationRequest = ASKED, ears: Ears | None = None, **settings: Any) -> Result:
    from webui.generate import run

    return run(request, settings=flat(Settings()) | settings, reporter=ears or Ears(), bench=bench)


def pixels(result: Result, number: int = 0) -> np.ndarray:
    with Image.open(result.artifacts[number].path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def hires(**values: Any) -> GenerationRequest:
    assert ASKED.hires is not None
    return replace(ASKED, hires=replace(ASKED.hires, **values))


@pytest.mark.parametrize(
    ("asked", "final", "whole"),
    [
        (Hires(scale=2), (1024, 1536), (1024, 1536)),
        (Hires(width=1024), (1024, 1536), (1024, 1536)),
        (Hires(height=1536), (1024, 1536), (1024, 1536)),
        (Hires(width=1024, height=1024), (1024, 1024), (1024, 1536)),
        (Hires(width=600, height=1536), (600, 1536), (1024, 1536)),
        (Hires(scale=1.55), (792, 1184), (793, 1190)),
    ],
)
def test_sizes_are_filled_then_cut(asked: Hires, final: tuple[int, int], whole: tuple[int, int]) -> None:
    assert hires_size(asked, 512, 768) == (final, whole)


@pytest.mark.parametrize("upscaler", ["Latent (bicubic antialiased)", "Latent (nearest-exact)", "Lanczos", "None"])
def test_every_kind_of_upscaler_gives_the_size_asked_for(bench: Any, upscaler: str) -> None:
    assert pixels(make(bench, hires(upscaler=upscaler))).shape == (96, 96, 3)


def test_both_sides_given_cut_what_is_over(bench: Any) -> None:
    assert pixels(make(bench, hires(width=64, height=96))).shape == (96, 64, 3)


def test_an_unknown_upscaler_is_named(bench: Any) -> None:
    with pytest.raises(UnknownUpscaler) as failed:
        make(bench, hires(upscaler="Lanczo"))
    assert failed.value.fields["closest"][0] == "Lanczos"


def test_at_no_denoising_the_enlarged_picture_stays(bench: Any) -> None:
    same = pixels(make(bench, hires(scale=2, upscaler="Lanczos", denoising_strength=0.0)))
    other = pixels(make(bench, hires(scale=2, upscaler="Lanczos", denoising_strength=0.9)))
    again = pixels(make(bench, hires(scale=2, upscaler="Lanczos", denoising_strength=0.0)))
    assert (same == again).all()
    assert (same != other).any()


def test_the_second_pass_has_steps_sampler_and_prompt_of_its_own(bench: Any) -> None:
    plain = make(bench)
    for values in ({"steps": 5}, {"sampler": "Heun"}, {"prompt": "a blue square"}, {"denoising_strength": 0.3}):
        assert (pixels(make(bench, hires(**values))) != pixels(plain)).any(), values


@pytest.mark.parametrize("sampler", ["DDIM", "UniPC", "DPM++ 2M SDE", "DPM fast", "LCM"])
def test_every_way_of_sampling_can_start_from_a_picture(bench: Any, sampler: str) -> None:
    assert pixels(make(bench, hires(sampler=sampler, steps=8))).shape == (96, 96, 3)


def test_a_batch_equals_its_pictures_made_alone(bench: Any) -> None:
    asked = hires(upscaler="Lanczos")
    together = make(bench, replace(asked, batch_size=2, save_grid=False))
    for number in range(2):
        alone = make(bench, replace(asked, seed=5 + number))
        assert abs(pixels(together, number) - pixels(alone)).max() <= 1


def test_the_infotext_brings_the_second_pass_back(bench: Any) -> None:
    asked = hires(
        steps=4, sampler="Heun", schedule="Karras", prompt="a blue, square", negative_prompt="dull", upscaler="Lanczos"
    )
    text = make(bench, asked).artifacts[0].infotext
    fields = read(text).fields
    assert (fields["Size-1"], fields["Hires upscale"], fields["Denoising strength"]) == ("64", "1.5", "0.6")
    values, _ = request_from(read(text), settings=Settings(), lookup=Names())
    assert values["hires"] == asked.hires
    plain, _ = request_from(read("a\nSteps: 3, Sampler: Euler, Seed: 1"), settings=Settings(), lookup=Names())
    assert plain["hires"] is None


def test_stop_in_the_first_pass_shows_that_and_makes_no_second(bench: Any) -> None:
    made = make(bench, ears=Ears(wishes={1: Wish.STOP}))
    assert made.stopped
    assert pixels(made).shape == (64, 64, 3)


def test_the_first_pass_is_saved_beside_when_asked(bench: Any, tmp_path: Path) -> None:
    made = make(bench, **{"saving.save_images_before_highres_fix": True})
    (before,) = tmp_path.rglob("*-before-highres-fix.png")
    with Image.open(before) as image:
        assert image.size == (64, 64)
    assert len(made.artifacts) == 1


def test_progress_runs_over_both_passes(bench: Any) -> None:
    ears = Ears()
    make(bench, ears=ears)
    assert max(progress.step for progress in ears.progress) == 6
    assert ears.progress[-1].steps == 6


def test_an_upscaler_model_is_taken_from_its_folder_tile_by_tile(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN import ESRGAN

    from webui.engine.upscale import Tiles, load_upscaler

    torch.manual_seed(0)
    save_file(ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict(), tmp_path / "two.safetensors")
    upscaler = load_upscaler(tmp_path / "two.safetensors", device=torch.device("cpu"))
    picture = Image.effect_noise((40, 24), 50).convert("RGB")
    whole = np.asarray(upscaler.grow(picture, Tiles(side=0))).astype(int)
    tiled = np.asarray(upscaler.grow(picture, Tiles(side=32, overlap=16))).astype(int)
    assert whole.shape == tiled.shape == (48, 80, 3)
    assert abs(whole - tiled).mean() < 3


def test_a_file_that_is_no_upscaler_is_named(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.upscale import NoUpscaler, load_upscaler

    save_file({"strange.weight": torch.zeros(2, 2)}, tmp_path / "no.safetensors")
    with pytest.raises(NoUpscaler):
        load_upscaler(tmp_path / "no.safetensors", device=torch.device("cpu"))


@pytest.mark.parametrize(("upscaler", "nearly"), [("Lanczos", 0), ("Latent", 60)])
def test_a_given_picture_stands_for_the_first_pass(bench: Any, upscaler: str, nearly: int) -> None:
    both, second = Ears(), Ears()
    whole = make(bench, hires(upscaler=upscaler), both)
    first = make(bench, replace(ASKED, hires=None))
    with Image.open(first.artifacts[0].path) as image:
        picture = bench.gallery.blobs.put_image(image)
    again = make(bench, hires(upscaler=upscaler, picture=picture), second)
    assert abs(pixels(again) - pixels(whole)).mean() <= nearly
    # The first pass's steps are not counted, for they are not made.
    totals = [max(each.total for each in ears.progress) for ears in (both, second)]
    assert totals[0] - totals[1] == ASKED.steps
    assert again.artifacts[0].infotext == whole.artifacts[0].infotext
