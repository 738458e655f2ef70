"""The Save button: files, log.csv and zip as A1111 makes them."""

import csv
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from webui.domain.result import Artifact
from webui.gallery.infotext import InfotextFields, write
from webui.gallery.keep import COLUMNS, SaveButton
from webui.gallery.metadata import read_picture
from webui.gallery.save import Gallery
from webui.settings import Settings, overlay
from webui.settings.declared import applied

INFO = {"batch_size": 1, "sd_model_name": "dream", "sd_model_hash": "abcdef1234"}


def gallery(root: Path, **changes: object) -> Gallery:
    settings = overlay(Settings(), {key: value for key, value in changes.items() if "pattern" not in key})
    owners = {f"saving.{key}": value for key, value in changes.items() if "pattern" in key}
    settings = applied(settings, owners)
    return Gallery(lambda: settings, root)


def artifacts(where: Gallery, count: int = 3) -> list[Artifact]:
    made: list[Artifact] = []
    for seed in range(count):
        fields = InfotextFields(
            prompt='a "cat", 猫\nsecond line', negative="bad, worse", sampler="Euler a", cfg_scale=6.5, steps=9,
            seed=seed, width=64, height=32, model="dream: v1", model_hash="abcdef1234",
        )  # fmt: skip
        image = Image.new("RGB", (64, 32), (seed, 0, 0))
        made.append(where.save(image, fields=fields, infotext=write(fields), request_json=f'{{"seed": {seed}}}'))
    return made


def rows(where: Gallery) -> list[dict[str, str]]:
    with (where.kept_folder / "log.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_saved_pictures_lie_in_log_images_whole_and_in_the_log(tmp_path: Path):
    where = gallery(tmp_path)
    kept = SaveButton(where).keep(artifacts(where), info=INFO, log=True)
    assert [file.relative_to(tmp_path).as_posix() for file in kept.files] == [
        "log/images/00000-0.png", "log/images/00001-1.png", "log/images/00002-2.png",
    ]  # fmt: skip
    assert read_picture(kept.files[2]).maple == '{"seed": 2}' and kept.archive is None
    assert rows(where)[1] == {
        "prompt": 'a "cat", 猫\nsecond line', "seed": "1", "width": "64", "height": "32", "sampler": "Euler a",
        "cfgs": "6.5", "steps": "9", "filename": "00001-1.png", "negative_prompt": "bad, worse",
        "sd_model_name": "dream: v1", "sd_model_hash": "abcdef1234",
    }  # fmt: skip
    SaveButton(where).keep(artifacts(where, 1), info=INFO, log=True)
    assert [row["filename"] for row in rows(where)][-1] == "00003-0.png" and len(rows(where)) == 4


def test_an_older_log_gets_the_new_columns_and_keeps_its_lines(tmp_path: Path):
    where = gallery(tmp_path)
    where.kept_folder.mkdir(parents=True)
    old = ",".join(COLUMNS[:9])
    (where.kept_folder / "log.csv").write_text(f"{old}\nold cat,1,2,3,Euler,7,20,a.png,bad\n", encoding="utf-8")
    SaveButton(where).keep(artifacts(where, 1), info=INFO, log=True)
    found = rows(where)
    assert tuple(found[0]) == COLUMNS
    assert (found[0]["prompt"], found[0]["sd_model_name"], found[1]["seed"]) == ("old cat", "", "0")


def test_a_zip_is_named_as_a1111_names_it_and_holds_what_was_saved(tmp_path: Path):
    where = gallery(tmp_path)
    kept = SaveButton(where).keep(artifacts(where), info=INFO, log=False, archive=True)
    assert kept.archive is not None
    assert re.fullmatch(r"\d{14}_\[dream_ v1\]_0-2\.zip", kept.archive.name)
    with zipfile.ZipFile(kept.archive) as archive:
        assert archive.namelist() == ["00000-0.png", "00001-1.png", "00002-2.png"] and archive.testzip() is None
    assert not (where.kept_folder / "log.csv").exists()
    one = SaveButton(where).keep(artifacts(where, 1), info=INFO, log=False, archive=True).archive
    assert one is not None and re.fullmatch(r"\d{14}_\[dream_ v1\]_0\.zip", one.name)


def test_folders_patterns_and_formats_follow_the_settings(tmp_path: Path):
    where = gallery(
        tmp_path, use_save_to_dirs_for_ui=True, samples_format="webp", save_txt=True,
        directories_filename_pattern="[model_name]", samples_filename_pattern="[generation_number]-[seed]",
        grid_zip_filename_pattern="all/[seed_first]",
    )  # fmt: skip
    kept = SaveButton(where).keep(artifacts(where, 2), info=INFO | {"batch_size": 2}, log=True, archive=True)
    assert [file.relative_to(tmp_path / "log" / "images").as_posix() for file in kept.files] == [
        "dream_ v1/00000-1-0.webp", "dream_ v1/00001-2-1.webp",
    ]  # fmt: skip
    assert kept.files[0].with_suffix(".txt").is_file()
    assert kept.archive is not None and kept.archive.name == "all_0.zip"
    assert rows(where)[0]["filename"] == "dream_ v1/00000-1-0.webp"


def test_a_picture_that_is_gone_is_left_out(tmp_path: Path):
    where = gallery(tmp_path)
    made = artifacts(where, 2)
    Path(made[0].path).unlink()
    kept = SaveButton(where).keep(made, info=INFO, log=True)
    assert [file.name for file in kept.files] == ["00000-1.png"] and len(rows(where)) == 1


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif"])
def test_every_format_keeps_its_texts_when_saved_again(tmp_path: Path, format: str):
    where = gallery(tmp_path, samples_format=format)
    kept = SaveButton(where).keep(artifacts(where, 1), info=INFO, log=False)
    found = read_picture(kept.files[0])
    assert kept.files[0].suffix == f".{format}" and "Seed: 0" in found.infotext and found.maple == '{"seed": 0}'
