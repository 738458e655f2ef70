"""Maps as jobs: what the page and the API ask for."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.small import Ears
from webui.catalog.detectors import DetectorLeftOut
from webui.domain import ControlResize, DetectRequest
from webui.engine.cache import ModelCache
from webui.engine.control.detect import AnnotatorMissing, Maps, PictureTooLarge
from webui.gallery.save import Gallery
from webui.settings import Settings, flat
from webui.tools.detect import MaskNeeded, run_detect

pytestmark = pytest.mark.torch


@pytest.fixture
def bench(tmp_path: Path):
    return SimpleNamespace(
        gallery=Gallery(Settings, tmp_path), models=ModelCache(torch.device("cpu")), maps=Maps(),
        annotators=(tmp_path / "annotators",), root=tmp_path,
    )  # fmt: skip


def drawing(width: int = 96, height: int = 64) -> Image.Image:
    made = Image.new("RGB", (width, height), "white")
    made.paste("black", (width // 3, 10, width // 3 + 3, height - 10))
    return made


def detected(bench, image: Image.Image, *, ears: Ears | None = None, mask: Image.Image | None = None, **asked):
    id = bench.gallery.blobs.put_image(image)
    asked |= {"mask": bench.gallery.blobs.put_image(mask)} if mask else {}
    request = DetectRequest(image=id, **{"module": "canny", **asked})
    result = run_detect(request, settings=flat(Settings()), reporter=ears or Ears(), bench=bench)
    with Image.open(bench.root / result.artifacts[0].path) as made:
        return made.copy(), result


def test_a_map_comes_as_a_picture_that_is_not_saved(bench) -> None:
    ears = Ears()
    made, result = detected(bench, drawing(), ears=ears, resolution=64)
    assert made.size == (96, 64)
    assert set(np.unique(np.asarray(made))) == {0, 255}
    assert not result.artifacts[0].saved
    assert ears.artifacts == list(result.artifacts)
    assert "poses" not in result.info


def test_the_same_map_asked_for_again_is_not_made_again(bench) -> None:
    first, _ = detected(bench, drawing(), resolution=64)
    again, _ = detected(bench, drawing(), resolution=64, module="Canny")
    assert bench.maps.made == 1
    assert first.tobytes() == again.tobytes()


def test_saved_maps_lie_in_the_folder_of_maps_by_preprocessor(bench) -> None:
    _, result = detected(bench, drawing(), resolution=64, save=True)
    assert result.artifacts[0].saved
    path = Path(result.artifacts[0].path)
    assert path.parent.name == "canny"
    assert path.parent.parent.name == Settings().control.detectedmap_dir


def test_pixel_perfect_works_at_the_size_that_is_drawn(bench) -> None:
    told = {"pixel_perfect": True, "width": 192, "height": 192}
    filled, _ = detected(bench, drawing(), **told)
    assert filled.size == (288, 192)
    fits, _ = detected(bench, drawing(), **told, resize_mode=ControlResize.FILL)
    assert fits.size == (192, 128)


def test_what_is_seen_through_lies_on_white(bench) -> None:
    clear = drawing().convert("RGBA")
    clear.putalpha(Image.eval(drawing().convert("L"), lambda value: 255 - value))
    made, _ = detected(bench, clear, module="invert")
    opaque, _ = detected(bench, drawing(), module="invert")
    assert made.tobytes() == opaque.tobytes()


def test_inpaint_wants_a_mask_and_shows_it(bench) -> None:
    with pytest.raises(MaskNeeded):
        detected(bench, drawing(), module="inpaint_only")
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (0, 0, 10, 10))
    made, _ = detected(bench, drawing(), module="inpaint_only", mask=mask)
    assert made.mode == "RGBA"
    assert made.getpixel((2, 2))[3] == 128
    assert made.getpixel((50, 50))[3] == 255


def test_a_mask_of_another_size_is_stretched_and_said(bench) -> None:
    ears = Ears()
    made, _ = detected(bench, drawing(), module="inpaint", mask=Image.new("L", (20, 20), 255), ears=ears)
    assert made.size == (96, 64)
    assert ears.notes == [("mask_misfit", {"mask": "20×20", "picture": "96×64"})]


def test_what_cannot_be_is_said_and_nothing_is_made(bench) -> None:
    with pytest.raises(AnnotatorMissing):
        detected(bench, drawing(), module="hed")
    with pytest.raises(DetectorLeftOut):
        detected(bench, drawing(), module="densepose")
    with pytest.raises(PictureTooLarge):
        detected(bench, Image.new("L", (20000, 2), 255))
    assert bench.maps.made == 0
