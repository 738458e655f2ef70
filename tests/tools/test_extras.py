import io
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from tests.small import Ears
from webui.catalog import Catalog, folders_from
from webui.domain import ExtrasRequest
from webui.engine.cache import ModelCache
from webui.gallery.metadata import read_picture
from webui.gallery.save import Gallery
from webui.settings import Settings, flat
from webui.settings.flags import Flags
from webui.tools.extras import run_extras

pytestmark = pytest.mark.torch


@pytest.fixture
def bench(tmp_path: Path):
    catalog = Catalog(tmp_path / "models.db", folders_from(Flags(), tmp_path), hashes=False)
    yield SimpleNamespace(
        catalog=catalog, gallery=Gallery(Settings, tmp_path), models=ModelCache(torch.device("cpu"))
    )  # fmt: skip
    catalog.close()


def picture(width: int = 32, height: int = 16) -> Image.Image:
    made = Image.new("RGB", (width, height), "white")
    made.paste("red", (0, 0, width // 2, height))
    return made


def extras(bench, tmp_path: Path, *pictures: Image.Image, **asked):
    ids = tuple(bench.gallery.blobs.put_image(each) for each in pictures)
    result = run_extras(ExtrasRequest(images=ids, **asked), settings=flat(Settings()), reporter=Ears(), bench=bench)
    return [opened(tmp_path / each.path) for each in result.artifacts], result


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def test_every_picture_comes_out_larger(bench, tmp_path) -> None:
    made, _ = extras(bench, tmp_path, picture(), picture(24, 24), upscaler="Lanczos", scale=3)
    assert [each.size for each in made] == [(96, 48), (72, 72)]


def test_asked_for_a_size_it_is_filled_and_the_rest_cut_off(bench, tmp_path) -> None:
    (cut,), result = extras(bench, tmp_path, picture(), upscaler="Nearest", width=64, height=64)
    assert cut.size == (64, 64)
    assert "Postprocess crop to: 64x64" in result.artifacts[0].infotext
    (whole,), _ = extras(bench, tmp_path, picture(), upscaler="Nearest", width=64, height=64, crop=False)
    assert whole.size == (128, 64)


def test_the_longest_side_has_its_limit(bench, tmp_path) -> None:
    (made,), _ = extras(bench, tmp_path, picture(), upscaler="Lanczos", scale=8, max_side=64)
    assert made.size == (64, 32)


def test_two_upscalers_are_blended_by_their_share(bench, tmp_path) -> None:
    pair = {"upscaler": "Nearest", "second_upscaler": "Lanczos", "scale": 2}
    (first,), _ = extras(bench, tmp_path, picture(), **pair, second_visibility=0)
    (second,), _ = extras(bench, tmp_path, picture(), **pair, second_visibility=1)
    (half,), _ = extras(bench, tmp_path, picture(), **pair, second_visibility=0.5)
    assert half.tobytes() == Image.blend(first, second, 0.5).tobytes()
    assert first.tobytes() != second.tobytes()


def test_what_a_picture_told_of_itself_stays(bench, tmp_path) -> None:
    made = io.BytesIO()
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("parameters", "a red square\nSteps: 4, Seed: 7")
    picture().save(made, "PNG", pnginfo=told)
    id = bench.gallery.blobs.put(made.getvalue())
    request = ExtrasRequest(images=(id,), upscaler="Lanczos")
    result = run_extras(request, settings=flat(Settings()), reporter=Ears(), bench=bench)
    found = read_picture((tmp_path / result.artifacts[0].path).read_bytes())
    assert found.infotext == "a red square\nSteps: 4, Seed: 7"
    assert dict(found.items)["postprocessing"] == "Postprocess upscale by: 2.0, Postprocess upscaler: Lanczos"


def test_none_leaves_the_picture_as_it_is(bench, tmp_path) -> None:
    (made,), result = extras(bench, tmp_path, picture(), upscaler="None", scale=4)
    assert made.tobytes() == picture().tobytes()
    assert result.artifacts[0].infotext == ""
