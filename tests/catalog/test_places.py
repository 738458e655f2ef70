"""Folders: sd-webui-aki's tree, every flag, and another A1111 used in place."""

import json
import pickle
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.catalog.files import safetensors
from webui.catalog import Catalog, folders_from
from webui.catalog.places import FOLDERS, A1111Home, Folder, a1111_home_from, make_folders
from webui.domain import ModelKind
from webui.settings.flags import Flags

CHECKPOINT = ModelKind.CHECKPOINT
SHA = "ab" * 32


@dataclass
class Given:
    """Flags as they come: none, one path, several."""

    ckpt_dir: object = None
    lora_dir: object = None
    models_dir: object = None
    a1111_home: object = None
    ckpt: object = None


def paths(flags: object, root: Path, kind: ModelKind) -> list[Path]:
    return [folder.path for folder in folders_from(flags, root)[kind]]


def test_without_flags_the_tree_is_akis(tmp_path: Path):
    folders = folders_from(object(), tmp_path)
    assert set(folders) == set(FOLDERS)
    assert paths(object(), tmp_path, CHECKPOINT) == [tmp_path / "models" / "Stable-diffusion"]
    embeddings = [tmp_path / "embeddings", tmp_path / "models" / "embeddings"]
    assert paths(object(), tmp_path, ModelKind.EMBEDDING) == embeddings
    assert tmp_path / "models" / "ESRGAN" in paths(object(), tmp_path, ModelKind.UPSCALER)


def test_a_flag_may_be_given_several_times_and_goes_first(tmp_path: Path):
    given = Given(ckpt_dir=[tmp_path / "a", str(tmp_path / "b"), tmp_path / "a"], lora_dir=str(tmp_path / "l"))
    folders = folders_from(given, tmp_path)
    assert folders[CHECKPOINT][:2] == [
        Folder(path=tmp_path / "a", origin="--ckpt-dir"),
        Folder(path=tmp_path / "b", origin="--ckpt-dir"),
    ]
    assert len(folders[CHECKPOINT]) == 3
    assert folders[ModelKind.LORA][0] == Folder(path=tmp_path / "l", origin="--lora-dir")


def test_models_dir_moves_the_whole_tree_but_not_the_embeddings(tmp_path: Path):
    given = Given(models_dir=tmp_path / "big disk")
    assert paths(given, tmp_path, ModelKind.VAE) == [tmp_path / "big disk" / "VAE"]
    embeddings = [tmp_path / "embeddings", tmp_path / "big disk" / "embeddings"]
    assert paths(given, tmp_path, ModelKind.EMBEDDING) == embeddings


def test_every_flag_named_in_the_table_is_a_flag_of_ours(tmp_path: Path):
    ours = set(Flags.__dataclass_fields__)
    wanted = {name for _, attributes in FOLDERS.values() for name in attributes}
    assert wanted <= ours


def test_our_own_folders_are_made_and_nobody_elses(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    given = Given(a1111_home=home, ckpt_dir=tmp_path / "drive")
    make_folders(folders_from(given, tmp_path))
    assert (tmp_path / "models" / "Lora").is_dir()
    assert (tmp_path / "embeddings").is_dir()
    assert not (tmp_path / "drive").exists()
    assert not (tmp_path / "extensions").exists()
    assert list(home.iterdir()) == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "sd-webui-aki"
    for folder, name in (("models/Stable-diffusion/动漫", "a.safetensors"), ("embeddings", "e.safetensors"),
                         ("extensions/sd-webui-controlnet/models", "c.safetensors")):  # fmt: skip
        safetensors(home / folder / name, {"emb_params": (2, 768)})
    return home


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def open_catalog(tmp_path: Path, home: Path) -> Catalog:
    given = Given(a1111_home=home)
    catalog = Catalog(tmp_path / "own" / "m.db", folders_from(given, tmp_path / "own"), a1111_home=home)
    catalog.scan()
    return catalog


def write_json_cache(home: Path, mtime: float) -> None:
    entry = {"mtime": mtime, "sha256": SHA}
    (home / "cache.json").write_text(
        json.dumps({"hashes": {"checkpoint/动漫\\a.safetensors": entry}, "hashes-addnet": {}})
    )


def write_diskcache(home: Path, entry: object, title: str = "checkpoint/动漫/a.safetensors") -> None:
    """As the diskcache package lays it out: one table, values pickled (mode 4)."""
    folder = home / "cache" / "hashes"
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / "cache.db")
    connection.execute(
        "CREATE TABLE Cache (rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL,"
        " access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0,"
        " filename TEXT, value BLOB)"
    )
    value = entry if isinstance(entry, bytes) else pickle.dumps(entry)
    connection.execute("INSERT INTO Cache (key, raw, mode, value) VALUES (?, 1, 4, ?)", (title, value))
    connection.commit()
    connection.close()


def test_another_a1111_is_used_in_place_and_never_written(tmp_path: Path, home: Path):
    checkpoint = home / "models" / "Stable-diffusion" / "动漫" / "a.safetensors"
    write_diskcache(home, {"mtime": checkpoint.stat().st_mtime, "sha256": SHA})
    before = everything(home)
    catalog = open_catalog(tmp_path, home)
    assert catalog.models(CHECKPOINT)[0].name == "动漫/a"
    assert catalog.models(ModelKind.EMBEDDING)[0].name == "e"
    assert catalog.models(ModelKind.CONTROLNET)[0].name == "c"
    for kind in ModelKind:
        for record in catalog.models(kind):
            catalog.hash(record)
            catalog.legacy_hash(record)
    catalog.close()
    assert everything(home) == before


def test_another_a1111_that_is_not_there_is_named_once_and_its_lesser_folders_never(tmp_path: Path, home: Path):
    def missing(home: Path) -> tuple[Path, ...]:
        folders = folders_from(Given(a1111_home=home), tmp_path)
        catalog = Catalog(tmp_path / "own" / "x.db", folders)
        report = catalog.scan()
        catalog.close()
        return report.missing

    assert missing(home) == ()
    assert missing(tmp_path / "gone") == (tmp_path / "gone",)


def test_its_hashes_are_believed_while_the_file_has_not_changed(tmp_path: Path, home: Path):
    checkpoint = home / "models" / "Stable-diffusion" / "动漫" / "a.safetensors"
    write_json_cache(home, checkpoint.stat().st_mtime)
    catalog = open_catalog(tmp_path, home)
    assert catalog.models(CHECKPOINT)[0].title == f"动漫/a.safetensors [{SHA[:10]}]"
    assert catalog.find(CHECKPOINT, SHA[:10]) is not None
    catalog.close()
    write_json_cache(home, checkpoint.stat().st_mtime - 100)
    catalog = open_catalog(tmp_path, home)
    assert catalog.models(CHECKPOINT)[0].sha256 is None
    catalog.close()


def test_its_diskcache_is_read_too(tmp_path: Path, home: Path):
    checkpoint = home / "models" / "Stable-diffusion" / "动漫" / "a.safetensors"
    write_diskcache(home, {"mtime": checkpoint.stat().st_mtime, "sha256": SHA})
    catalog = open_catalog(tmp_path, home)
    assert catalog.models(CHECKPOINT)[0].sha256 == SHA
    catalog.close()


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "ran"))


def test_a_poisoned_hash_cache_runs_nothing(tmp_path: Path, home: Path):
    write_diskcache(home, pickle.dumps(Evil(tmp_path / "ran")))
    catalog = open_catalog(tmp_path, home)
    assert catalog.models(CHECKPOINT)[0].sha256 is None
    assert not (tmp_path / "ran").exists()
    catalog.close()


@pytest.mark.parametrize(
    "content", ["", "not json", "[]", '{"hashes": []}', '{"hashes": {"checkpoint/a": 3}}', '{"hashes": null}']
)
def test_a_broken_hash_cache_is_no_cache(tmp_path: Path, home: Path, content: str):
    (home / "cache.json").write_text(content)
    catalog = open_catalog(tmp_path, home)
    assert [record.sha256 for record in catalog.models(CHECKPOINT)] == [None]
    catalog.close()


def test_the_home_says_where_its_styles_are(tmp_path: Path):
    assert a1111_home_from(Given(a1111_home=str(tmp_path))) == A1111Home(tmp_path)
    assert A1111Home(tmp_path).styles == tmp_path / "styles.csv"
    assert a1111_home_from(object()) is None
