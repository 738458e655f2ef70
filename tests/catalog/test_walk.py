"""Names on disk: every odd place and odd name a person's model folders have."""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.catalog.files import png, safetensors
from webui.catalog.places import Folder
from webui.catalog.walk import Listed, Walked, natural, walk
from webui.domain import ModelFormat, ModelKind

CHECKPOINT, VAE, LORA, EMBEDDING = ModelKind.CHECKPOINT, ModelKind.VAE, ModelKind.LORA, ModelKind.EMBEDDING
needs_permissions = pytest.mark.skipif(sys.platform == "win32", reason="no chmod")


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def look(*folders: Path, kind: ModelKind = CHECKPOINT, hidden: bool = True) -> Walked:
    return walk({kind: [Folder(path=folder, origin="--ckpt-dir") for folder in folders]}, hidden=hidden)


def names(walked: Walked) -> list[str]:
    return sorted(one.name for one in walked.listed)


def only(walked: Walked) -> Listed:
    assert len(walked.listed) == 1
    return walked.listed[0]


@pytest.mark.parametrize(
    "stem",
    [
        "plain",
        "v1.5 pruned",
        "model.v2.1",
        "brackets [abc] (1) {x}",
        "国风3",
        "emoji 🎨🖌",
        "ünïcode",
        "a+b=c&d #5%",
        "-dash",
    ],
)
def test_any_name_is_paired_with_its_vae_preview_and_notes(tmp_path: Path, stem: str):
    for ending in (".safetensors", ".vae.safetensors", ".png", ".yaml", ".json"):
        touch(tmp_path / "sub dir.x" / f"{stem}{ending}")
    walked = look(tmp_path)
    one = next(one for one in walked.listed if one.kind is CHECKPOINT)
    folder = tmp_path / "sub dir.x"
    assert one.name == f"sub dir.x/{stem}"
    assert one.path == folder / f"{stem}.safetensors"
    assert (one.vae, one.preview) == (folder / f"{stem}.vae.safetensors", folder / f"{stem}.png")
    assert (one.config, one.notes) == (folder / f"{stem}.yaml", folder / f"{stem}.json")


def test_endings_in_capitals_count_and_stay_as_written(tmp_path: Path):
    for name in ("A.SAFETENSORS", "A.VAE.PT", "A.Preview.PNG", "A.Json"):
        touch(tmp_path / name)
    one = next(one for one in look(tmp_path).listed if one.kind is CHECKPOINT)
    assert (one.name, one.path.name, one.format) == ("A", "A.SAFETENSORS", ModelFormat.SAFETENSORS)
    assert one.vae == tmp_path / "A.VAE.PT"
    assert one.preview == tmp_path / "A.Preview.PNG"
    assert one.notes == tmp_path / "A.Json"


def test_a_vae_beside_a_checkpoint_is_a_vae_and_not_a_checkpoint(tmp_path: Path):
    for name in ("foo.ckpt", "foo.vae.pt", "bar.vae.safetensors"):
        touch(tmp_path / name)
    assert {(one.kind, one.name) for one in look(tmp_path).listed} == {
        (CHECKPOINT, "foo"),
        (VAE, "foo.vae"),
        (VAE, "bar.vae"),
    }


def test_a_vae_of_the_same_name_is_taken_and_one_that_only_begins_so_is_not(tmp_path: Path):
    touch(tmp_path / "models" / "foo.safetensors")
    for name in ("foobar.vae.pt", "foo-2.safetensors", "foobar.safetensors"):
        touch(tmp_path / "vae" / name)
    folders = {CHECKPOINT: [Folder(path=tmp_path / "models")], VAE: [Folder(path=tmp_path / "vae")]}
    assert next(one for one in walk(folders).listed if one.kind is CHECKPOINT).vae is None
    touch(tmp_path / "vae" / "deep" / "Foo.safetensors")
    assert (
        next(one for one in walk(folders).listed if one.kind is CHECKPOINT).vae
        == tmp_path / "vae" / "deep" / "Foo.safetensors"
    )
    touch(tmp_path / "models" / "foo.vae.pt")
    assert next(one for one in walk(folders).listed if one.kind is CHECKPOINT).vae == tmp_path / "models" / "foo.vae.pt"


@pytest.mark.parametrize(
    ("files", "preview"),
    [
        (["a.png", "a.preview.png", "a.jpg"], "a.png"),
        (["a.preview.png", "a.jpg"], "a.preview.png"),
        (["a.webp", "a.preview.jpeg"], "a.preview.jpeg"),
        (["a.gif"], "a.gif"),
        (["ab.png", "b.png"], None),
    ],
)
def test_the_preview_is_chosen_in_a1111s_order(tmp_path: Path, files: list[str], preview: str | None):
    for name in ("a.safetensors", *files):
        touch(tmp_path / name)
    assert only(look(tmp_path, kind=LORA)).preview == (tmp_path / preview if preview else None)


def test_pictures_among_embeddings_are_embeddings_unless_they_belong_to_one(tmp_path: Path):
    for name in ("a.pt", "a.png", "b.preview.png", "c.png", "d.webp", "e.jpg"):
        touch(tmp_path / name)
    assert names(look(tmp_path, kind=EMBEDDING)) == ["a", "c", "d"]


def test_a_link_back_up_ends(tmp_path: Path):
    touch(tmp_path / "a" / "x.safetensors")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a", target_is_directory=True)
    assert names(look(tmp_path)) == ["a/x"]


def test_folders_that_link_to_each_other_end(tmp_path: Path):
    for name in "abcdefgh":
        touch(tmp_path / name / f"{name}.safetensors")
        for other in "abcdefgh":
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other, target_is_directory=True)
    walked = look(tmp_path)
    assert len(walked.listed) == 8
    assert max(len(one.aliases) for one in walked.listed) <= 8


def test_one_file_by_two_paths_is_one_model_with_both_names(tmp_path: Path):
    touch(tmp_path / "real" / "x.safetensors")
    (tmp_path / "a link.safetensors").symlink_to(tmp_path / "real" / "x.safetensors")
    (tmp_path / "again").symlink_to(tmp_path / "real", target_is_directory=True)
    os.link(tmp_path / "real" / "x.safetensors", tmp_path / "zz.safetensors")
    one = only(look(tmp_path))
    assert {one.name, *one.aliases} == {"real/x", "a link", "again/x", "zz"}


def test_a_file_linked_from_outside_has_its_links_name_and_its_own_size(tmp_path: Path):
    touch(tmp_path / "blobs" / "0a1b2c", b"12345")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "nice.safetensors").symlink_to(tmp_path / "blobs" / "0a1b2c")
    one = only(look(tmp_path / "models"))
    assert (one.name, one.size, one.path) == ("nice", 5, tmp_path / "models" / "nice.safetensors")


def test_a_folder_given_twice_and_a_folder_inside_another_list_once(tmp_path: Path):
    touch(tmp_path / "sub" / "x.safetensors")
    one = only(look(tmp_path, tmp_path / "sub", tmp_path / "." / "sub"))
    assert (one.name, one.aliases) == ("sub/x", ("x",))


def test_the_same_name_in_two_folders_is_two_models(tmp_path: Path):
    touch(tmp_path / "one" / "x.safetensors", b"1")
    touch(tmp_path / "two" / "x.safetensors", b"2")
    assert names(look(tmp_path / "one", tmp_path / "two")) == ["x", "x"]


def test_a_missing_folder_is_reported_and_the_others_are_listed(tmp_path: Path):
    touch(tmp_path / "here" / "x.safetensors")
    walked = look(tmp_path / "gone", tmp_path / "here")
    assert walked.missing == [tmp_path / "gone"]
    assert names(walked) == ["x"]


def test_a_link_into_nothing_is_reported(tmp_path: Path):
    (tmp_path / "x.safetensors").symlink_to(tmp_path / "unplugged" / "x.safetensors")
    (tmp_path / "drive").symlink_to(tmp_path / "unplugged")
    walked = look(tmp_path)
    assert walked.listed == []
    assert {path.name for path, _ in walked.denied} == {"x.safetensors", "drive"}


@needs_permissions
def test_a_folder_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path / "secret" / "x.safetensors")
    touch(tmp_path / "open" / "y.safetensors")
    real = os.scandir

    # Root may read everything, so the answer of the system is given by hand.
    def scandir(path: Path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    walked = look(tmp_path)
    assert names(walked) == ["open/y"]
    assert walked.denied == [(tmp_path / "secret", "Permission denied")]


def test_hidden_names_are_listed_only_when_wanted_and_finders_leavings_never(tmp_path: Path):
    for name in (
        "a.safetensors",
        ".b.safetensors",
        ".hidden/c.safetensors",
        "._a.safetensors",
        ".ipynb_checkpoints/d.safetensors",
    ):
        touch(tmp_path / name)
    assert names(look(tmp_path)) == [".b", ".hidden/c", "a"]
    assert names(look(tmp_path, hidden=False)) == ["a"]


def test_a_name_that_is_not_text_is_reported_and_left_out(tmp_path: Path):
    try:
        touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.safetensors")))
    except OSError:
        pytest.skip("this file system takes no such name")
    touch(tmp_path / "a.safetensors")
    walked = look(tmp_path)
    assert names(walked) == ["a"]
    assert [why for _, why in walked.denied] == ["its name is not valid text"]


def test_one_file_may_be_given_instead_of_a_folder(tmp_path: Path):
    for name in ("x.ckpt", "y.ckpt", "x.yaml"):
        touch(tmp_path / name)
    one = only(look(tmp_path / "x.ckpt"))
    assert (one.name, one.config) == ("x", tmp_path / "x.yaml")


def test_a_diffusers_folder_is_one_model(tmp_path: Path):
    touch(tmp_path / "mine" / "model_index.json", b"{}")
    safetensors(tmp_path / "mine" / "unet" / "diffusion_pytorch_model.safetensors", {"x": (2,)})
    touch(tmp_path / "mine.png")
    touch(tmp_path / "other.ckpt")
    walked = look(tmp_path)
    assert names(walked) == ["mine", "other"]
    one = next(one for one in walked.listed if one.name == "mine")
    assert (one.format, one.path, one.preview) == (ModelFormat.DIFFUSERS, tmp_path / "mine", tmp_path / "mine.png")
    assert one.size > 4


def test_a_download_under_way_is_marked(tmp_path: Path):
    for name in ("x.safetensors", "x.safetensors.aria2", "y.safetensors"):
        touch(tmp_path / name)
    assert {one.name: one.unfinished for one in look(tmp_path).listed} == {"x": True, "y": False}


def test_names_sort_as_people_count():
    wanted = ["a", "A2", "a10", "B1", "b20x3", "b20x12", "v1.5", "v1.10", "国", "²"]
    shuffled = wanted[:]
    random.Random(1).shuffle(shuffled)
    assert sorted(shuffled, key=natural)[:8] == wanted[:8]


def test_pictures_and_models_may_share_a_name(tmp_path: Path):
    png(tmp_path / "x.png")
    touch(tmp_path / "x.safetensors")
    touch(tmp_path / "x.ckpt")
    assert [one.path.suffix for one in look(tmp_path).listed if one.preview == tmp_path / "x.png"]
    assert len(look(tmp_path).listed) == 2
