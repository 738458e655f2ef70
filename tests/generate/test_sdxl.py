"""SDXL from request to file: sizes told, the refiner with a text encoder of its own, velocity and pure noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.generate.test_hires import Names, make, pixels
from tests.small import save_small_checkpoint, save_small_sdxl, small_sdxl
from webui.catalog import Catalog, folders_from
from webui.domain import Family, GenerationRequest, Hires, Init, Inpaint, Refiner
from webui.gallery.infotext import read, request_from
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.settings import Settings
from webui.settings.flags import Flags

pytestmark = pytest.mark.torch

PLAIN = GenerationRequest(
    prompt="a red circle", checkpoint="base", sampler="Euler", steps=3, width=64, height=64, seed=5, subseed=1,
    cfg_scale=4.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base`, the same as `velocity` (marked v_pred and ztsnr), `refiner`, `nine` (inpainting) and `old` (SD 1)."""
    folder = tmp_path_factory.mktemp("checkpoints")
    parts = small_sdxl()
    save_small_sdxl(folder / "base.safetensors", parts)
    save_small_sdxl(folder / "velocity.safetensors", parts, marks=("v_pred", "ztsnr"))
    save_small_sdxl(folder / "refiner.safetensors", refiner=True)
    save_small_sdxl(folder / "nine.safetensors", channels=9)
    save_small_checkpoint(folder / "old.safetensors")
    return folder


@pytest.fixture
def bench(tmp_path: Path, checkpoints: Path) -> Iterator[Any]:
    from webui.generate import open_bench

    flags = Flags(ckpt_dir=(checkpoints,))
    catalog = Catalog(tmp_path / "models.db", folders_from(flags, tmp_path))
    catalog.scan()
    made = open_bench(catalog=catalog, gallery=Gallery(Settings, tmp_path), hooks=Hooks(), flags=flags)
    yield made
    made.close()
    catalog.close()


@contextmanager
def heard(model: Any) -> Iterator[list[tuple[float, ...]]]:
    """The numbers a UNet is told at each forward, prompt first."""
    told: list[tuple[float, ...]] = []

    def listen(_unet: Any, _args: Any, given: dict[str, Any]) -> None:
        told.extend(tuple(row) for row in given["added_cond_kwargs"]["time_ids"].tolist())

    handle = model.unet.register_forward_pre_hook(listen, with_kwargs=True)
    try:
        yield told
    finally:
        handle.remove()


def test_the_catalog_tells_the_line_apart(bench: Any) -> None:
    from webui.domain import ModelKind

    found = {record.stem: (record.family, record.variant) for record in bench.catalog.models(ModelKind.CHECKPOINT)}
    assert found["base"] == (Family.SDXL, "")
    assert found["velocity"] == (Family.SDXL, "v-prediction")
    assert found["refiner"] == (Family.SDXL_REFINER, "")
    assert found["nine"] == (Family.SDXL, "inpaint")


def test_the_same_request_gives_the_same_picture_after_another_family(bench: Any) -> None:
    first = make(bench, PLAIN)
    other = make(bench, replace(PLAIN, checkpoint="old"))
    assert (pixels(first) != pixels(other)).any()
    assert (pixels(make(bench, PLAIN)) == pixels(first)).all()


def test_size_and_crop_are_told_and_the_second_pass_is_told_its_own(bench: Any) -> None:
    make(bench, PLAIN)
    with heard(bench.models.current) as told:
        request = replace(PLAIN, width=96, hires=Hires(scale=1.5, denoising_strength=0.7))
        make(bench, request, **{"model.sdxl_crop_top": 7, "model.sdxl_crop_left": 8})
    assert set(told) == {(64, 96, 7, 8, 64, 96), (96, 144, 7, 8, 96, 144)}


def test_a_batch_equals_its_pictures_made_alone(bench: Any) -> None:
    two = make(bench, replace(PLAIN, batch_size=2, save_grid=False))
    alone = make(bench, replace(PLAIN, seed=6))
    assert abs(pixels(two, 1) - pixels(alone)).max() <= 1


def test_the_refiner_hears_the_prompt_by_its_own_encoder_and_is_told_scores(bench: Any) -> None:
    asked = replace(PLAIN, negative_prompt="blurry", refiner=Refiner(checkpoint="refiner", switch_at=0.5))
    refined = make(bench, asked)
    assert (pixels(refined) != pixels(make(bench, replace(PLAIN, negative_prompt="blurry")))).any()
    assert bench.models.loads == 2
    make(bench, asked)
    refiner = bench.models.current
    assert refiner.family is Family.SDXL_REFINER
    with heard(refiner) as told:
        make(bench, replace(asked, seed=9), **{"model.sdxl_refiner_high_aesthetic_score": 8.0})
    assert set(told) == {(64, 64, 0, 0, 8.0), (64, 64, 0, 0, 2.5)}
    values, _ = request_from(read(refined.artifacts[0].infotext), settings=Settings(), lookup=Names())
    assert values["refiner"].switch_at == 0.5


def test_the_refiner_alone_makes_pictures_too(bench: Any) -> None:
    assert make(bench, replace(PLAIN, checkpoint="refiner")).artifacts


def test_a_sd1_picture_may_end_with_sdxl_as_refiner(bench: Any) -> None:
    """Latents of both have four channels; what comes of it is the person's affair, as in A1111."""
    assert make(bench, replace(PLAIN, checkpoint="old", refiner=Refiner(checkpoint="base", switch_at=0.5))).artifacts


def test_a_marked_file_is_asked_for_velocity_down_to_pure_noise_and_settings_do_the_same(bench: Any) -> None:
    marked = make(bench, replace(PLAIN, checkpoint="velocity"))
    plain = make(bench, PLAIN)
    said = {"sampling.noise_schedule": "Zero Terminal SNR", "sampling.prediction_type": "V-prediction"}
    asked = make(bench, PLAIN, **said)
    assert (pixels(marked) != pixels(plain)).any()
    assert (pixels(asked) == pixels(marked)).all()
    assert "Noise Schedule" not in marked.artifacts[0].infotext
    text = asked.artifacts[0].infotext
    assert "Noise Schedule: Zero Terminal SNR" in text
    assert "Prediction type: V-prediction" in text
    again = make(bench, replace(PLAIN, checkpoint="velocity"), **said)
    assert (pixels(again) == pixels(marked)).all(), "not stretched twice"
    assert (pixels(make(bench, PLAIN)) == pixels(plain)).all(), "and it comes off"


def test_the_notes_beside_a_checkpoint_may_say_what_it_predicts(bench: Any, checkpoints: Path) -> None:
    plain = make(bench, PLAIN)
    beside = checkpoints / "base.json"
    beside.write_text('{"prediction type": "V-prediction"}', encoding="utf-8")
    try:
        bench.catalog.scan()
        noted = make(bench, PLAIN)
        assert (pixels(noted) != pixels(plain)).any()
        asked = make(bench, PLAIN, **{"sampling.prediction_type": "Epsilon"})
        assert (pixels(asked) == pixels(plain)).all(), "the setting goes before the notes"
    finally:
        beside.unlink()


def test_what_was_set_comes_back_from_the_infotext(bench: Any) -> None:
    text = make(bench, PLAIN, **{"sampling.noise_schedule": "Zero Terminal SNR"}).artifacts[0].infotext
    _, overrides = request_from(read(text), settings=Settings(), lookup=Names())
    assert ("Noise Schedule", "sampling.noise_schedule", "Zero Terminal SNR") in overrides


def test_align_your_steps_takes_the_table_of_the_family(bench: Any) -> None:
    from webui.engine.schedules import AYS_SD1, AYS_SDXL

    found: dict[str, set[float]] = {}
    for name in ("base", "old"):
        make(bench, replace(PLAIN, checkpoint=name))
        model, seen = bench.models.current, set[float]()
        denoise = type(model).denoise

        def noted(self: Any, calls: Any, context: Any, *, seen: set[float] = seen, denoise: Any = denoise) -> Any:
            seen.update(round(float(call.sigma[0]), 3) for call in calls)
            return denoise(self, calls, context)

        type(model).denoise = noted
        try:
            make(bench, replace(PLAIN, checkpoint=name, schedule="Align Your Steps", steps=11, seed=6))
        finally:
            type(model).denoise = denoise
        found[name] = seen
    assert found == {"base": set(AYS_SDXL), "old": set(AYS_SD1)}


def test_inpainting_with_nine_channels_paints_within_the_mask(bench: Any) -> None:

    picture, mask = Image.new("RGB", (64, 64), (200, 60, 40)), Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))

    blob = bench.gallery.blobs.put_image
    init = Init(images=(blob(picture),), denoising_strength=1.0, inpaint=Inpaint(mask=blob(mask), blur_x=0, blur_y=0))
    made = pixels(make(bench, replace(PLAIN, checkpoint="nine", init=init)))
    assert (made[:16] == (200, 60, 40)).all()
    assert (made[16:48, 16:48] != (200, 60, 40)).any()
    assert make(bench, replace(PLAIN, checkpoint="nine")).artifacts, "from text alone too, everything masked"
