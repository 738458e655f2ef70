import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from tests.small import Ears
from webui.catalog import Catalog, folders_from
from webui.domain import ExtrasRequest, Progress, Wish
from webui.engine.cache import ModelCache
from webui.gallery.metadata import read_picture
from webui.gallery.save import Gallery
from webui.settings import Settings, flat
from webui.settings.flags import Flags
from webui.tools.extras import NoPictureReadable, run_extras

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


def several(bench, *pictures: Image.Image, ears: Ears | None = None, settings: Settings | None = None, **asked):
    ids = tuple(bench.gallery.blobs.put_image(each) for each in pictures)
    asked = {"images": ids, "upscaler": "Lanczos", **asked}
    return run_extras(
        ExtrasRequest(**asked), settings=flat(settings or Settings()), reporter=ears or Ears(), bench=bench
    )


def test_results_lie_where_extras_saves_numbered(bench, tmp_path) -> None:
    several(bench, picture())
    several(bench, picture(24, 24))
    folder = tmp_path / "outputs" / "extras-images"
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == ["00000.png", "00001.png"]


def test_a_batch_keeps_its_names_and_replaces_nothing(bench, tmp_path) -> None:
    names = ("小猫 [1]", "b", "b")
    several(bench, picture(), picture(24, 24), picture(16, 16), names=names)
    folder = tmp_path / "outputs" / "extras-images"
    found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    assert len(found) == 3
    assert "小猫 (1).png" in found
    assert "b.png" in found


def test_a_batch_is_numbered_when_the_setting_asks(bench, tmp_path) -> None:
    settings = Settings(saving=replace(Settings().saving, use_original_name_batch=False))
    several(bench, picture(), names=("mine",), settings=settings)
    assert (tmp_path / "outputs" / "extras-images" / "00000.png").is_file()


def test_a_folder_goes_into_a_folder_and_the_page_sees_copies(bench, tmp_path) -> None:
    source, target = tmp_path / "in", tmp_path / "elsewhere"
    source.mkdir()
    picture().save(source / "a.png")
    (source / "broken.png").write_bytes(b"no picture")
    ears = Ears()
    result = several(
        bench, images=(str(source / "a.png"), str(source / "broken.png")), names=("a", "broken"), output=str(target),
        ears=ears,
    )  # fmt: skip
    assert [path.name for path in target.iterdir() if not path.name.startswith(".")] == ["a.png"]
    assert opened(target / "a.png").size == (64, 32)
    assert len(result.artifacts) == 1
    assert bench.gallery.within(result.artifacts[0].path) is not None
    assert [(key, fields["name"]) for key, fields in ears.notes] == [("turn_unreadable", "broken.png")]


def test_a_link_put_in_a_pictures_place_is_not_followed(bench, tmp_path) -> None:
    picture().save(tmp_path / "secret.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(NoPictureReadable):
        several(bench, images=(str(tmp_path / "link.png"),), names=("link",))


def test_results_beyond_those_shown_are_saved_and_told_of(bench, tmp_path) -> None:
    ears = Ears()
    result = several(bench, picture(), picture(24, 24), names=("a", "b"), shown=0, ears=ears)
    assert result.artifacts == ()
    assert (tmp_path / "outputs" / "extras-images" / "b.png").is_file()
    assert ears.notes == [("extras_more_made", {"made": 2, "shown": 0})]


class Wishing(Ears):
    """Wishes something when an upscaler is at its second tile of the first picture."""

    def __init__(self, wanted: Wish) -> None:
        super().__init__()
        self.wanted = wanted

    def report(self, progress: Progress) -> None:
        super().report(progress)
        if 0 < progress.done < 1000 and self.wanted:
            self._wish, self.wanted = self.wanted, Wish.NONE


@pytest.fixture
def tiled(bench, tmp_path) -> Settings:
    """A tiny ESRGAN by the name of tiny, two times, that works in four tiles on a 32×32 picture."""
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN import ESRGAN

    folder = tmp_path / "models" / "ESRGAN"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(ESRGAN(num_filters=8, num_blocks=1, scale=2).state_dict(), folder / "tiny.safetensors")
    bench.catalog.scan()
    return replace(Settings(), upscaling=replace(Settings().upscaling, tile=16, tile_overlap=0))


@pytest.mark.parametrize(
    ("wish", "kept", "stopped"), [(Wish.SKIP, 1, False), (Wish.STOP, 0, True), (Wish.FINISH, 1, True)]
)
def test_a_wish_in_the_middle_of_a_picture_is_heard(
    bench, tiled: Settings, wish: Wish, kept: int, stopped: bool
) -> None:
    ears = Wishing(wish)
    result = several(bench, picture(32, 32), picture(30, 30), upscaler="tiny", settings=tiled, ears=ears)
    assert (len(result.artifacts), result.stopped) == (kept, stopped)
    parts = [each.done for each in ears.progress]
    assert parts == sorted(parts)
