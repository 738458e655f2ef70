"""Pictures to disk: whole or not at all."""

import os
import re
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from webui.domain.errors import DiskFull
from webui.gallery.filenames import BatchPlace, Sanitizing
from webui.gallery.infotext import InfotextFields, write
from webui.gallery.metadata import open_picture, read_picture
from webui.gallery.save import Gallery, PictureNotSaved, grid, grid_fits, rows_for
from webui.settings import Settings, overlay
from webui.settings.declared import applied
from webui.words import LANGUAGES, explain

FIELDS = InfotextFields(prompt="a red cat", steps=20, sampler="Euler", seed=123, subseed=7, width=64, height=32)
TEXT = write(FIELDS)
TODAY = date.today().isoformat()


def noise(width: int = 64, height: int = 32) -> Image.Image:
    return Image.effect_noise((width, height), 90).convert("RGB")


def made(root: Path, **changes: object) -> Gallery:
    """A gallery whose settings the owner changed."""
    settings = overlay(
        Settings(), {key: value for key, value in changes.items() if "pattern" not in key and "outdir" not in key}
    )
    owners = {("paths." if key.startswith("outdir") else "saving.") + key: value
              for key, value in changes.items() if "pattern" in key or "outdir" in key}  # fmt: skip
    settings = applied(settings, owners)
    return Gallery(lambda: settings, root)


def save(gallery: Gallery, image: Image.Image | None = None, fields: InfotextFields = FIELDS, **more: object):
    return gallery.save(image or noise(), fields=fields, infotext=write(fields), **more)  # type: ignore[arg-type]


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_pictures_lie_where_a1111_puts_them(tmp_path: Path):
    gallery = made(tmp_path)
    image = noise()
    first = gallery.save(image, fields=FIELDS, infotext=TEXT, request_json='{"seed": 123}')
    second = save(gallery)
    folder = f"outputs/txt2img-images/{TODAY}"
    assert files(tmp_path) == [f"{folder}/00000-123.png", f"{folder}/00001-123.png"]
    assert first.path == str(tmp_path / folder / "00000-123.png")
    assert (first.width, first.height, first.seed, first.subseed, first.saved) == (64, 32, 123, 7, True)
    assert (first.infotext, first.media_type, first.grid) == (TEXT, "image/png", False)
    found = read_picture(Path(first.path))
    assert (found.infotext, found.maple) == (TEXT, '{"seed": 123}')
    assert open_picture(Path(first.path)).tobytes() == image.tobytes()
    assert second.path.endswith("00001-123.png")


@pytest.mark.parametrize(("changes", "name"), [
    ({"save_to_dirs": False}, r"outputs/txt2img-images/00000-123-a red cat\.png"),
    ({"samples_filename_pattern": "[seed]-[steps]"}, rf"outputs/txt2img-images/{TODAY}/00000-123-20\.png"),
    ({"samples_filename_pattern": "[none]"}, rf"outputs/txt2img-images/{TODAY}/00000\.png"),
    ({"samples_filename_pattern": "x/../[seed]"}, rf"outputs/txt2img-images/{TODAY}/00000-x_\.\._123\.png"),
    ({"save_images_add_number": False}, rf"outputs/txt2img-images/{TODAY}/123\.png"),
    ({"directories_filename_pattern": "[sampler]/[date]"}, rf"outputs/txt2img-images/Euler/{TODAY}/00000-123\.png"),
    ({"directories_filename_pattern": "../../out"}, r"outputs/txt2img-images/out/00000-123\.png"),
    ({"samples_format": "jpg"}, rf"outputs/txt2img-images/{TODAY}/00000-123\.jpg"),
    ({"samples_format": "webp"}, rf"outputs/txt2img-images/{TODAY}/00000-123\.webp"),
    ({"outdir_samples": "all"}, rf"all/{TODAY}/00000-123\.png"),
    ({"outdir_txt2img_samples": "图 片(1)"}, rf"图 片\(1\)/{TODAY}/00000-123\.png"),
    ({"outdir_txt2img_samples": ""}, rf"outputs/txt2img-images/{TODAY}/00000-123\.png"),
])  # fmt: skip
def test_the_settings_decide_the_name(tmp_path: Path, changes: dict[str, object], name: str):
    artifact = save(made(tmp_path, **changes))
    assert re.fullmatch(name, Path(artifact.path).relative_to(tmp_path).as_posix())
    assert read_picture(Path(artifact.path)).infotext == TEXT


def test_a_runs_own_settings_win(tmp_path: Path):
    artifact = save(made(tmp_path), settings=overlay(Settings(), {"samples_format": "webp"}))
    assert artifact.path.endswith(".webp") and artifact.media_type == "image/webp"


def test_grids_have_their_own_folder_number_and_format(tmp_path: Path):
    gallery = made(tmp_path, grid_format="jpg")
    artifacts = [save(gallery, grid=True), save(gallery, grid=True)]
    folder = f"outputs/txt2img-grids/{TODAY}"
    assert files(tmp_path) == [f"{folder}/grid-0000.jpg", f"{folder}/grid-0001.jpg"]
    assert all(artifact.grid for artifact in artifacts)
    named = save(made(tmp_path, grid_extended_filename=True), grid=True)
    assert named.path.endswith("grid-0002-123.png")


def test_kinds_and_suffixes(tmp_path: Path):
    gallery = made(tmp_path)
    assert "outputs/img2img-images/" in save(gallery, kind="img2img").path
    assert "outputs/extras-images/" in save(gallery, kind="extras").path
    assert "outputs/other-images/" in save(gallery, kind="../../etc").path
    assert save(gallery, suffix="-before-highres-fix").path.endswith("00000-123-before-highres-fix.png")


def test_batch_tokens_reach_the_name(tmp_path: Path):
    gallery = made(tmp_path, samples_filename_pattern="[seed]-[generation_number]-[user]")
    artifact = save(gallery, batch=BatchPlace(size=2, count=2, index=1, iteration=1, seeds=(1, 2, 3, 4), user="u"))
    assert artifact.path.endswith("00000-123-4-u.png")


def test_no_text_is_written_when_the_setting_says_so(tmp_path: Path):
    artifact = save(made(tmp_path, enable_pnginfo=False), request_json="{}", chunks={"more": "x"})
    found = read_picture(Path(artifact.path))
    assert found.infotext == found.maple == "" and not found.items
    assert artifact.infotext == TEXT


def test_a_text_file_is_written_when_asked(tmp_path: Path):
    artifact = save(made(tmp_path, save_txt=True, enable_pnginfo=False))
    assert Path(artifact.path).with_suffix(".txt").read_text("utf-8") == f"{TEXT}\n"


def test_an_infotext_too_long_for_jpeg_goes_into_a_text_file(tmp_path: Path):
    long = InfotextFields(prompt="猫" * 40_000, seed=1)
    artifact = save(made(tmp_path, samples_format="jpg"), fields=long)
    assert read_picture(Path(artifact.path)).infotext == write(long)
    assert Path(artifact.path).with_suffix(".txt").exists()


def test_without_numbers_the_setting_decides_about_an_existing_file(tmp_path: Path):
    replacing = made(tmp_path, save_images_add_number=False)
    first, second = noise(), noise()
    path = Path(save(replacing, first).path)
    assert save(replacing, second).path == str(path)
    assert open_picture(path).tobytes() == second.tobytes()
    adding = made(tmp_path, save_images_add_number=False, save_images_replace_action="Add number suffix")
    assert [Path(save(adding).path).name for _ in range(2)] == ["123-1.png", "123-2.png"]


def test_a_number_never_meets_an_existing_picture(tmp_path: Path):
    gallery = made(tmp_path)
    for seed in range(5):
        save(gallery, fields=InfotextFields(seed=seed))
    again = made(tmp_path)
    assert Path(save(again, fields=InfotextFields(seed=99)).path).name == "00005-99.png"


def test_many_workers_lose_no_picture(tmp_path: Path):
    galleries = [made(tmp_path) for _ in range(3)]
    threads = [threading.Thread(target=lambda g=g: [save(g, noise(8, 8)) for _ in range(8)]) for g in galleries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = files(tmp_path)
    assert len(names) == 24 and not any(name.endswith(".tmp") for name in names)
    for name in names:
        open_picture(tmp_path / name)


WORKER = """
import sys
from pathlib import Path
from PIL import Image
from webui.gallery.infotext import InfotextFields
from webui.gallery.save import Gallery
from webui.settings import Settings
gallery = Gallery(Settings, Path(sys.argv[1]))
for seed in range(12):
    gallery.save(Image.new("RGB", (8, 8)), fields=InfotextFields(seed=int(sys.argv[2]) + seed), infotext="x")
"""


def test_two_processes_lose_no_picture(tmp_path: Path):
    house = Path(__file__).parents[2]
    both = [subprocess.Popen([sys.executable, "-c", WORKER, tmp_path, start], cwd=house) for start in ("100", "200")]
    assert [process.wait(60) for process in both] == [0, 0]
    seeds = sorted(int(Path(name).stem.split("-")[1]) for name in files(tmp_path))
    assert seeds == [*range(100, 112), *range(200, 212)]


def test_large_pictures_get_a_jpg_beside_them(tmp_path: Path):
    gallery = made(tmp_path, target_side_length=100)
    artifact = save(gallery, noise(200, 50))
    small = Path(artifact.path).with_suffix(".jpg")
    assert open_picture(small).size == (100, 25) and read_picture(small).infotext == TEXT
    heavy = save(made(tmp_path, img_downscale_threshold=0.001), noise(64, 64))
    assert open_picture(Path(heavy.path).with_suffix(".jpg")).size == (64, 64)
    assert len(files(tmp_path)) == 4
    save(made(tmp_path, img_downscale_threshold=0.001, export_for_4chan=False))
    assert len(files(tmp_path)) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX file size limit")
@pytest.mark.parametrize(
    "changes", [{}, {"save_images_add_number": False}, {"save_images_replace_action": "Add number suffix"}]
)
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, changes: dict[str, object]):
    import resource  # POSIX only

    gallery = made(tmp_path, **changes)
    kept = save(gallery, noise(8, 8))
    before = files(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(DiskFull) as caught:
            save(gallery, noise(200, 200))
        with pytest.raises(DiskFull):
            gallery.blob(noise(200, 200), fields=FIELDS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.fields["needed"] > 2000
    assert files(tmp_path) == before
    open_picture(Path(kept.path))
    save(gallery, noise(200, 200))


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path):
    (tmp_path / "outputs").write_text("a file stands in the way")
    with pytest.raises(PictureNotSaved) as caught:
        save(made(tmp_path))
    for language in LANGUAGES:
        assert str(tmp_path) in explain(caught.value, language)


def test_unsaved_pictures_are_kept_by_their_content(tmp_path: Path):
    gallery = made(tmp_path)
    image = noise()
    first = gallery.blob(image, fields=FIELDS, infotext=TEXT, request_json="{}")
    again = gallery.blob(image, fields=FIELDS, infotext=TEXT, request_json="{}")
    other = gallery.blob(noise(), fields=FIELDS, infotext=TEXT, request_json="{}")
    assert first == again and first.path != other.path and not first.saved
    assert len(files(tmp_path / "cache" / "pictures")) == 2
    assert read_picture(Path(first.path)).infotext == TEXT
    assert gallery.within(first.path) == Path(first.path)


def test_unsaved_pictures_are_pruned_by_age_and_use(tmp_path: Path):
    gallery = made(tmp_path, **{"saving.keep_unsaved_days": 2})
    old, used = gallery.blob(noise(), fields=FIELDS), noise()
    kept = gallery.blob(used, fields=FIELDS)
    long_ago = time.time() - 3 * 86400
    for artifact in (old, kept):
        os.utime(artifact.path, (long_ago, long_ago))
    gallery.blob(used, fields=FIELDS)
    assert gallery.prune() == 1
    assert not Path(old.path).exists() and Path(kept.path).exists()


def test_only_pictures_and_texts_of_the_output_folders_are_served(tmp_path: Path):
    root = tmp_path / "数据 [1]"
    root.mkdir()
    outside = tmp_path / "elsewhere"
    gallery = made(root, outdir_grids=str(outside))
    saved = Path(save(gallery, kind="txt2img").path)
    elsewhere = Path(save(gallery, grid=True).path)
    assert gallery.within(saved) == gallery.within(str(saved.relative_to(root))) == saved
    assert gallery.within(elsewhere) == elsewhere
    (root / "config.json").write_text("{}")
    (root / "secret.png").write_bytes(saved.read_bytes())
    (root / "outputs" / "config.json").write_text("{}")
    sibling = root / "outputs-not" / "a.png"
    sibling.parent.mkdir()
    sibling.write_bytes(saved.read_bytes())
    for path in (
        "config.json",
        "secret.png",
        "outputs/config.json",
        "outputs/../secret.png",
        sibling,
        saved.parent,
        "",
        "outputs/none.png",
        "a\0b.png",
        "/etc/passwd",
        "x" * 5000,
        "outputs/../../elsewhere",
    ):
        assert gallery.within(path) is None, path


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_that_leads_out_is_not_served_and_a_linked_output_folder_is(tmp_path: Path):
    secret = tmp_path / "secret.png"
    noise().save(secret)
    root = tmp_path / "root"
    (root / "outputs").mkdir(parents=True)
    (root / "outputs" / "link.png").symlink_to(secret)
    (root / "outputs" / "loop.png").symlink_to(root / "outputs" / "loop.png")
    drive = tmp_path / "drive"
    drive.mkdir()
    (root / "outputs" / "txt2img-images").symlink_to(drive)
    gallery = made(root)
    assert gallery.within("outputs/link.png") is None and gallery.within("outputs/loop.png") is None
    saved = save(gallery)
    assert gallery.within(saved.path) == Path(saved.path).resolve()


def test_an_output_folder_above_the_data_is_not_served(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "private.png").write_bytes(b"x")
    for folder in (str(tmp_path), "/", "."):
        assert made(root, outdir_samples=folder).within(tmp_path / "private.png") is None


@pytest.mark.parametrize(("count", "changes", "rows"), [
    (1, {}, 1), (2, {}, 1), (3, {}, 2), (4, {}, 2), (6, {}, 2), (7, {}, 3), (8, {}, 3), (9, {}, 3), (12, {}, 3),
    (6, {"grid_prevent_empty_spots": True}, 2), (7, {"grid_prevent_empty_spots": True}, 1),
    (8, {"n_rows": 4}, 4), (2, {"n_rows": 4}, 2), (8, {"n_rows": 0}, 2),
])  # fmt: skip
def test_grids_have_a1111s_rows(count: int, changes: dict[str, object], rows: int):
    assert rows_for(count, batch_size=2, settings=overlay(Settings(), changes)) == rows


def test_a_grid_stands_row_by_row_on_black():
    colours = ["red", "lime", "blue"]
    whole = grid([Image.new("RGB", (10, 8), colour) for colour in colours], settings=Settings())
    assert whole.size == (20, 16)
    points = [whole.getpixel(point) for point in ((5, 4), (15, 4), (5, 12), (15, 12))]
    assert points == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]


def test_a_grid_that_is_too_large_is_known_beforehand():
    settings = overlay(Settings(), {"img_max_size_mp": 1})
    image = Image.new("1", (1000, 600))
    assert grid_fits([image], settings=settings) and not grid_fits([image] * 2, settings=settings)


def test_unix_names_are_kept_when_the_flag_says_so(tmp_path: Path):
    if sys.platform == "win32":
        pytest.skip("Windows cannot have such names")
    settings = overlay(Settings(), {"save_to_dirs": False})
    gallery = Gallery(lambda: settings, tmp_path, sanitizing=Sanitizing(unix=True))
    artifact = save(gallery, fields=InfotextFields(prompt="what? a:b", seed=1))
    assert Path(artifact.path).name == "00000-1-what? a:b.png"


def test_a_grid_with_an_extended_name_knows_that_it_is_one(tmp_path: Path):
    gallery = made(tmp_path, grid_extended_filename=True, samples_filename_pattern="[basename]-[seed]")
    assert Path(save(gallery, grid=True).path).name == "grid-0000-grid-123.png"
    assert Path(save(gallery).path).name == "00000-img-123.png"
