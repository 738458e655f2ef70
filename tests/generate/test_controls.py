"""ControlNet units from request to file: what a map is made of and how often, what it guides, what is told of it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.small import Ears, save_small_control, save_small_sdxl
from webui.catalog import Catalog, folders_from
from webui.domain import (
    ControlHires,
    ControlMode,
    ControlResize,
    ControlUnit,
    GenerationRequest,
    Hires,
    Init,
    Inpaint,
    ModelKind,
    Refiner,
    Result,
    Series,
    ShuttingDown,
    Turn,
    Wish,
)  # fmt: skip
from webui.gallery.infotext import read
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.jobs.wire import pack, unpack
from webui.settings import Settings, flat
from webui.settings.flags import Flags

pytestmark = pytest.mark.torch

STEPS = 4
ASKED = GenerationRequest(
    prompt="a red circle", sampler="Euler", steps=STEPS, width=64, height=64, seed=5, subseed=1, cfg_scale=4.0,
    save_grid=False,
)  # fmt: skip
TWO_PASSES = replace(
    ASKED, hires=Hires(width=96, height=96, upscaler="Latent", steps=3, denoising_strength=1.0)
)  # fmt: skip


@pytest.fixture(scope="session")
def small_control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_control(tmp_path_factory.mktemp("controls") / "small_lineart.safetensors")


@pytest.fixture
def bench(tmp_path: Path, small_checkpoint: Path, small_control: Path) -> Iterator[Any]:
    from webui.generate import open_bench

    folder = tmp_path / "models" / "ControlNet"
    folder.mkdir(parents=True)
    shutil.copy(small_control, folder)
    flags = Flags(ckpt_dir=(small_checkpoint.parent,))
    catalog = Catalog(tmp_path / "models.db", folders_from(flags, tmp_path))
    catalog.scan()
    made = open_bench(catalog=catalog, gallery=Gallery(Settings, tmp_path), hooks=Hooks(), flags=flags)
    yield made
    made.close()
    catalog.close()


def lines(size: tuple[int, int] = (64, 64), *, white: bool = False) -> Image.Image:
    """A drawing: two strokes, white on black unless on white paper."""
    drawing = Image.new("RGB", size, "white" if white else "black")
    pen = ImageDraw.Draw(drawing)
    pen.line((8, 8, size[0] - 8, size[1] - 8), fill="black" if white else "white", width=3)
    pen.ellipse((16, 16, 40, 40), outline="black" if white else "white", width=2)
    return drawing


def photo(size: tuple[int, int] = (64, 64), *, seed: int = 1) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def square(size: tuple[int, int] = (64, 64), box: tuple[int, int, int, int] = (24, 24, 40, 40)) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return mask


def kept(bench: Any, picture: Image.Image) -> str:
    return bench.gallery.blobs.put_image(picture)


def unit(bench: Any, picture: Image.Image | None = None, **values: Any) -> ControlUnit:
    return ControlUnit(model="small_lineart", image=kept(bench, picture or lines()), **values)


def make(
    bench: Any, request: GenerationRequest, ears: Ears | None = None, settings: dict[str, Any] | None = None
) -> Result:
    from webui.generate import run

    return run(request, settings=flat(Settings()) | (settings or {}), reporter=ears or Ears(), bench=bench)


def network(bench: Any) -> Any:
    """The control network in memory."""
    (held,) = bench.controls._held.values()
    return held.network


def pixels(result: Result, number: int = 0) -> np.ndarray:
    with Image.open(result.artifacts[number].path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def told(result: Result, number: int = 0) -> dict[str, str]:
    return dict(read(result.artifacts[number].infotext).fields)


def test_a_unit_guides_the_picture_is_told_and_its_map_follows(bench: Any) -> None:
    plain, guided = make(bench, ASKED), make(bench, replace(ASKED, controls=(unit(bench),)))
    assert (pixels(plain) != pixels(guided)).any()
    digest = bench.catalog.legacy_hash(bench.catalog.models(ModelKind.CONTROLNET)[0])
    assert told(guided)["ControlNet 0"] == (
        f"Module: none, Model: small_lineart [{digest}], Weight: 1.0, Resize Mode: Crop and Resize, "
        "Processor Res: 512, Threshold A: 0.5, Threshold B: 0.5, Guidance Start: 0.0, Guidance End: 1.0, "
        "Pixel Perfect: False, Control Mode: Balanced"
    )
    picture, map_ = guided.artifacts
    assert (picture.beside, map_.beside, map_.saved, map_.infotext) == (False, True, False, "")
    assert (pixels(guided, 1) == np.asarray(lines())).all()
    assert guided.info["all_seeds"] == [5] and guided.info["infotexts"] == [picture.infotext]


def test_a_weight_of_zero_gives_the_bytes_of_no_control(bench: Any) -> None:
    plain = make(bench, ASKED)
    off = make(bench, replace(ASKED, controls=(unit(bench, weight=0.0), unit(bench, weight=0.0, module="canny"))))
    assert (pixels(plain) == pixels(off)).all()
    assert bench.controls.loads == 0


def test_one_map_is_made_once_for_both_passes_and_all_batches_and_again_for_nobody(bench: Any) -> None:
    asked = replace(TWO_PASSES, batch_size=2, batch_count=2, controls=(unit(bench, photo(), module="canny"),))
    made = make(bench, asked)
    assert bench.maps.made == 1
    assert [artifact.beside for artifact in made.artifacts] == [False] * 4 + [True] * 2
    assert [(each.width, each.height) for each in made.artifacts[4:]] == [(96, 96), (64, 64)]
    make(bench, replace(asked, batch_count=1, seed=9))
    assert bench.maps.made == 1
    make(bench, replace(ASKED, controls=(unit(bench, photo(), module="canny", threshold_a=50),)))
    assert bench.maps.made == 2


@pytest.mark.parametrize(("start", "end", "calls"), [(0.0, 1.0, 8), (0.5, 1.0, 3), (0.0, 0.25, 4), (0.3, 0.6, 2)])
def test_start_and_end_limit_the_calls(bench: Any, start: float, end: float, calls: int) -> None:
    asked = replace(ASKED, steps=8, controls=(unit(bench, start=start, end=end),))
    make(bench, asked)
    # As sd-webui-controlnet counts: a step still sees the number of the one before.
    assert network(bench).calls == calls


@pytest.mark.parametrize(
    ("hires", "calls"), [(ControlHires.BOTH, STEPS + 3), (ControlHires.LOW, STEPS), (ControlHires.HIGH, 3)]
)
def test_a_unit_guides_the_pass_it_is_meant_for(bench: Any, hires: ControlHires, calls: int) -> None:
    made = make(bench, replace(TWO_PASSES, controls=(unit(bench, hires=hires),)))
    assert network(bench).calls == calls
    sizes = {ControlHires.BOTH: [96, 64], ControlHires.LOW: [64], ControlHires.HIGH: [96]}[hires]
    assert [each.width for each in made.artifacts if each.beside] == sizes


def test_without_a_second_pass_a_unit_for_it_guides_the_only_one(bench: Any) -> None:
    high = make(bench, replace(ASKED, controls=(unit(bench, hires=ControlHires.HIGH),)))
    both = make(bench, replace(ASKED, controls=(unit(bench),)))
    assert (pixels(high) == pixels(both)).all()


def test_two_units_sum_and_each_keeps_its_place(bench: Any) -> None:
    one, other = unit(bench), unit(bench, photo(), module="canny", weight=0.5)
    alone = [pixels(make(bench, replace(ASKED, controls=(each,)))) for each in (one, other)]
    made = make(bench, replace(ASKED, controls=(one, other)))
    turned = make(bench, replace(ASKED, controls=(other, one)))
    assert all((pixels(made) != each).any() for each in alone)
    assert abs(pixels(made) - pixels(turned)).max() <= 1
    assert told(made)["ControlNet 1"].startswith("Module: canny, ")
    assert "Threshold A: 100.0, Threshold B: 200.0" in told(made)["ControlNet 1"]
    assert len(made.artifacts) == 3
    assert bench.controls.loads == 1


def test_modes_differ(bench: Any) -> None:
    asked = replace(ASKED, width=128, steps=2)
    made = [pixels(make(bench, replace(asked, controls=(unit(bench, mode=mode),)))) for mode in ControlMode]
    assert all((a != b).any() for n, a in enumerate(made) for b in made[:n])


def test_a_reference_guides_without_a_model(bench: Any) -> None:
    control = ControlUnit(module="reference_only", image=kept(bench, photo()))
    plain, made = make(bench, ASKED), make(bench, replace(ASKED, controls=(control,)))
    assert (pixels(plain) != pixels(made)).any()
    assert told(made)["ControlNet 0"].startswith("Module: reference_only, Model: None, Weight: 1.0")
    assert (pixels(made, 1) == np.asarray(photo())).all()
    assert bench.controls.loads == 0


def test_a_unit_guides_the_refiner_too_unless_it_does_not_fit_and_that_is_said(bench: Any, tmp_path: Path) -> None:
    save_small_sdxl(tmp_path / "models" / "Stable-diffusion" / "wide.safetensors", refiner=True)
    bench.catalog.scan()
    for refiner, calls, said in (("small", STEPS, []), ("wide", STEPS // 2, ["control_not_in_stage"])):
        ears = Ears()
        asked = replace(ASKED, refiner=Refiner(checkpoint=refiner, switch_at=0.5), controls=(unit(bench),))
        before = network(bench).calls if bench.controls.loads else 0
        make(bench, asked, ears)
        assert network(bench).calls - before == calls
        assert [key for key, _ in ears.notes if key.startswith("control_")] == said


def test_img2imgs_picture_is_a_units_that_has_none(bench: Any) -> None:
    init = Init(images=(kept(bench, photo()),), denoising_strength=0.8)
    without = ControlUnit(module="canny", model="small_lineart")
    given = unit(bench, photo(), module="canny", resize_mode=ControlResize.STRETCH)
    made = [pixels(make(bench, replace(ASKED, init=init, controls=(each,)))) for each in (without, given)]
    assert (made[0] == made[1]).all()
    assert bench.maps.made == 1


def test_every_init_picture_guides_its_own_result(bench: Any) -> None:
    blobs = tuple(kept(bench, photo(seed=n)) for n in (1, 2))
    asked = replace(ASKED, controls=(ControlUnit(module="canny", model="small_lineart"),))
    both = make(bench, replace(asked, batch_size=2, init=Init(images=blobs, denoising_strength=0.7)))
    for number, blob in enumerate(blobs):
        alone = replace(asked, seed=5 + number, init=Init(images=(blob,), denoising_strength=0.7))
        assert abs(pixels(both, number) - pixels(make(bench, alone))).max() <= 1
    assert bench.maps.made == 2


def test_inpainting_with_a_unit_leaves_every_byte_outside_the_mask(bench: Any) -> None:
    init = Init(
        images=(kept(bench, photo()),), denoising_strength=0.9,
        inpaint=Inpaint(mask=kept(bench, square()), blur_x=0, blur_y=0),
    )  # fmt: skip
    made = make(bench, replace(ASKED, init=init, controls=(unit(bench),)))
    plain = make(bench, replace(ASKED, init=init))
    painted = np.asarray(square()) > 0
    assert (pixels(made)[~painted] == np.asarray(photo()).astype(int)[~painted]).all()
    assert (pixels(made)[painted] != pixels(plain)[painted]).any()


def test_with_only_masked_the_units_picture_is_cut_out_as_the_init_image_is(bench: Any) -> None:
    start, mask = photo((128, 96)), square((128, 96), (80, 40, 96, 56))
    init = Init(
        images=(kept(bench, start),), denoising_strength=0.9,
        inpaint=Inpaint(mask=kept(bench, mask), blur_x=0, blur_y=0, only_masked=True, padding=8),
    )  # fmt: skip
    asked = replace(ASKED, init=init, controls=(unit(bench, start),))
    cut = pixels(make(bench, asked), 1)
    region = start.crop((72, 32, 104, 64)).resize((64, 64), Image.Resampling.LANCZOS)
    assert abs(cut - np.asarray(region).astype(int)).max() <= 1
    whole = pixels(make(bench, replace(asked, controls=(replace(asked.controls[0], crop_with_inpaint=False),))), 1)
    assert abs(whole - cut).mean() > 5


def test_inpaint_only_keeps_what_its_mask_leaves_alone_in_txt2img(bench: Any) -> None:
    control = unit(bench, photo(), module="inpaint_only", mask=kept(bench, square()))
    made = make(bench, replace(ASKED, controls=(control,)))
    far = np.asarray(square(box=(14, 14, 50, 50))) == 0
    assert abs(pixels(made)[far] - np.asarray(photo()).astype(int)[far]).max() <= 1
    inside = np.asarray(square()) > 0
    assert abs(pixels(made)[inside] - np.asarray(photo()).astype(int)[inside]).mean() > 3
    with Image.open(made.artifacts[1].path) as shown:
        assert shown.mode == "RGBA"
        assert shown.getpixel((32, 32))[3] == 128 and shown.getpixel((2, 2))[3] == 255  # type: ignore[index]


def test_img2imgs_mask_is_an_inpaint_units_that_has_none(bench: Any) -> None:
    init = Init(
        images=(kept(bench, photo()),), denoising_strength=0.9,
        inpaint=Inpaint(mask=kept(bench, square()), blur_x=0, blur_y=0),
    )  # fmt: skip
    control = ControlUnit(module="inpaint_global_harmonious", model="small_lineart")
    made = make(bench, replace(ASKED, init=init, controls=(control,)))
    with Image.open(made.artifacts[1].path) as shown:
        assert shown.getpixel((32, 32))[3] == 128 and shown.getpixel((2, 2))[3] == 255  # type: ignore[index]


def test_recolouring_keeps_the_lightness_of_the_units_picture(bench: Any) -> None:
    import cv2

    grey = photo().convert("L").convert("RGB")
    made = make(bench, replace(ASKED, controls=(unit(bench, grey, module="recolor_luminance"),)))
    lightness = cv2.cvtColor(pixels(made).astype(np.uint8), cv2.COLOR_RGB2LAB)[..., 0].astype(int)
    wanted = pixels(made, 1)[..., 0]
    # Colours that do not exist at that lightness are cut off.
    assert np.median(abs(lightness - wanted)) <= 2


def test_tile_colorfix_brings_the_pictures_colours_along(bench: Any) -> None:
    control = unit(bench, photo(), module="tile_colorfix")
    plain = make(bench, replace(ASKED, controls=(replace(control, module="tile_resample"),)))
    fixed = make(bench, replace(ASKED, controls=(control,)))
    start = np.asarray(photo()).astype(int).mean((0, 1))
    assert abs(pixels(fixed).mean((0, 1)) - start).sum() < abs(pixels(plain).mean((0, 1)) - start).sum()


def test_a_mask_drawn_on_a_picture_is_the_drawing(bench: Any) -> None:
    drawn = unit(bench, photo(), mask=kept(bench, lines()))
    made = make(bench, replace(ASKED, controls=(drawn,)))
    assert (pixels(made, 1) == np.asarray(lines())).all()
    ignored = make(
        bench, replace(ASKED, controls=(drawn,)), settings={"control.ignore_noninpaint_mask": True}
    )  # fmt: skip
    assert (pixels(ignored, 1) == np.asarray(photo())).all()


def test_a_mask_of_another_size_is_fitted_and_said(bench: Any) -> None:
    ears = Ears()
    doubled = square((128, 128), (48, 48, 80, 80))
    control = unit(bench, photo(), module="inpaint_only", mask=kept(bench, doubled))
    make(bench, replace(ASKED, controls=(control,)), ears)
    assert ("control_mask_resized", {"unit": 0, "mask": "128×128", "picture": "64×64"}) in ears.notes


def test_a_drawing_on_white_and_a_blank_map_are_said(bench: Any) -> None:
    ears = Ears()
    white, blank = unit(bench, lines(white=True)), unit(bench, Image.new("RGB", (64, 64), "grey"), module="canny")
    make(bench, replace(ASKED, controls=(white, blank)), ears)
    assert ("control_white_ground", {"unit": 0, "name": "small_lineart"}) in ears.notes
    assert ("control_blank_map", {"unit": 1, "module": "canny"}) in ears.notes
    ears = Ears()
    make(bench, replace(ASKED, controls=(replace(white, module="invert"), unit(bench))), ears)
    assert not [key for key, _ in ears.notes if key.startswith("control_")]


def test_maps_are_shown_and_saved_as_the_settings_and_the_unit_say(bench: Any, tmp_path: Path) -> None:
    asked = replace(ASKED, controls=(unit(bench, photo(), module="canny"), unit(bench)))
    assert len(make(bench, asked, settings={"control.no_detectmap": True}).artifacts) == 1
    hidden = tuple(replace(each, save_map=False) for each in asked.controls)
    assert len(make(bench, replace(asked, controls=hidden)).artifacts) == 1
    folder = tmp_path / "outputs" / "txt2img-images" / "detected_maps"
    assert not folder.exists()
    make(bench, asked, settings={"control.detectmap_autosaving": True})
    saved = [path.relative_to(folder).as_posix() for path in folder.rglob("*.png")]
    assert saved == ["canny/00000-canny.png"]


def test_a_picture_of_any_proportion_comes_to_the_size_asked_for(bench: Any) -> None:
    for mode in ControlResize:
        made = make(bench, replace(ASKED, height=96, controls=(unit(bench, photo((90, 40)), resize_mode=mode),)))
        assert pixels(made, 1).shape == (96, 64, 3)


def test_pixel_perfect_sets_the_resolution(bench: Any) -> None:
    for mode, shorter in ((ControlResize.CROP, 128), (ControlResize.FILL, 64)):
        control = unit(bench, photo((100, 100)), module="canny", pixel_perfect=True, resize_mode=mode)
        make(bench, replace(ASKED, height=128, steps=1, controls=(control,)))
        assert ("canny", shorter) in {key[:2] for key in bench.maps._maps}


def test_units_survive_the_queues_json(bench: Any) -> None:
    control = unit(
        bench, module="canny", mode=ControlMode.CONTROL, hires=ControlHires.LOW, layer_weights=(0.5,) * 13, start=0.1,
        region=kept(bench, square()), union_type="Depth", resize_mode=ControlResize.FILL,
    )  # fmt: skip
    asked = replace(ASKED, controls=(control, unit(bench)))
    assert unpack(GenerationRequest, json.loads(json.dumps(pack(asked)))) == asked


def test_a_restart_keeps_finished_pictures_and_makes_the_same_rest(bench: Any) -> None:
    request = replace(ASKED, batch_count=2, controls=(unit(bench, photo(), module="canny"),))
    whole = make(bench, request)
    ears = Ears(earlier=(whole.artifacts[0],))
    again = make(bench, request, ears)
    assert again.artifacts[0].path == whole.artifacts[0].path
    assert (pixels(again, 1) == pixels(whole, 1)).all()
    assert len(ears.artifacts) == 1 and len(again.artifacts) == 3


def test_a_stopped_run_keeps_its_last_picture_and_the_map(bench: Any) -> None:
    made = make(bench, replace(ASKED, steps=8, batch_count=2, controls=(unit(bench),)), Ears(wishes={3: Wish.STOP}))
    assert made.stopped
    assert [each.beside for each in made.artifacts] == [False, True]


def test_a_shutdown_between_maps_makes_no_more(bench: Any) -> None:
    ears = Ears()
    ears._wish = Wish.SHUTDOWN
    with pytest.raises(ShuttingDown):
        make(bench, replace(ASKED, controls=(unit(bench, photo(), module="canny"),)), ears)
    assert bench.maps.made == 0


def test_a_series_follows_each_picture_and_resumes_past_its_maps(bench: Any, tmp_path: Path) -> None:
    from webui.generate import run_series

    turns = tuple(Turn(picture=kept(bench, photo(seed=n)), name=str(n)) for n in (1, 2))
    asked = replace(
        ASKED, init=Init(images=(turns[0].picture,)), controls=(ControlUnit(module="canny", model="small_lineart"),)
    )  # fmt: skip
    series, settings, ears = Series(request=asked, turns=turns), flat(Settings()), Ears()
    whole = run_series(series, settings=settings, reporter=ears, bench=bench)
    assert [each.beside for each in whole.artifacts] == [False, True, False, True]
    assert bench.maps.made == 2
    again = Ears(earlier=whole.artifacts[:2])
    resumed = run_series(series, settings=settings, reporter=again, bench=bench)
    assert resumed.artifacts[0].path == whole.artifacts[0].path


def test_a_unit_whose_picture_is_gone_is_an_error_that_names_it(bench: Any) -> None:
    from webui.gallery.blobs import BlobGone

    gone = ControlUnit(model="small_lineart", image="0" * 40 + ".png")
    with pytest.raises(BlobGone):
        make(bench, replace(ASKED, controls=(gone,)))
