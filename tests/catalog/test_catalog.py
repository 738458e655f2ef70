"""The catalog: what is listed, found, kept between runs, and how little is read for it."""

import hashlib
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.catalog.files import calls, png, safetensors, weights, zipped
from webui.catalog import Catalog, Folder, folders_from, hashing
from webui.catalog import catalog as catalog_module
from webui.domain import Family, ModelKind
from webui.domain.errors import ModelGone, UnknownModel
from webui.domain.model import ModelRecord

CHECKPOINT, VAE, LORA = ModelKind.CHECKPOINT, ModelKind.VAE, ModelKind.LORA
SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": (32, 4, 3, 3),
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (32, 768),
    "model.diffusion_model.out.2.weight": (4, 32, 3, 3),
}
SDXL = SD1 | {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (32, 2048)}
LORA_SD1 = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768),
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": (320, 4),
}
AE = {"encoder.conv_in.weight": (8, 3, 3, 3), "decoder.conv_in.weight": (8, 4, 3, 3)}

opened: list[str] = []
"""Every path this process opens, told by the interpreter itself."""
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event == "open" else None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("Stable-diffusion", "VAE", "Lora"):
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def make(root: Path) -> Iterator[Callable[..., Catalog]]:
    made: list[Catalog] = []

    def make(**options: object) -> Catalog:
        made.append(Catalog(root / "cache" / "models.db", folders_from(object(), root), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for catalog in made:
        catalog.close()


def names(catalog: Catalog, kind: ModelKind = CHECKPOINT) -> list[str]:
    return [record.name for record in catalog.models(kind)]


def checkpoint(root: Path, name: str, shapes: dict[str, tuple[int, ...]] = SD1, **options: object) -> Path:
    return safetensors(root / "models" / "Stable-diffusion" / name, shapes, **options)  # type: ignore[arg-type]


def reads_below(root: Path, act: Callable[[], object]) -> list[str]:
    opened.clear()
    act()
    return [path for path in opened if path.startswith(str(root / "models"))]


# Scanning


def test_names_are_there_before_any_header_is_read(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    catalog = make()
    assert reads_below(root, catalog.walk) == []
    assert [(record.name, record.family) for record in catalog.models(CHECKPOINT)] == [("a", Family.UNKNOWN)]
    catalog.read_headers()
    assert catalog.models(CHECKPOINT)[0].family is Family.SD1


def test_a_second_scan_of_ten_thousand_files_opens_none(root: Path, make: Callable[..., Catalog]):
    one = safetensors(root / "models" / "Lora" / "0.safetensors", LORA_SD1).read_bytes()
    for number in range(1, 10_000):
        (root / "models" / "Lora" / f"{number}.safetensors").write_bytes(one)
    first = make()
    assert first.scan().opened == 10_000
    first.close()
    second = make()
    reports = []
    assert reads_below(root, lambda: reports.append(second.scan())) == []
    assert (reports[0].models, reports[0].opened, reports[0].added) == (10_000, 0, 0)
    assert {record.family for record in second.models(LORA)} == {Family.SD1}
    assert names(second, LORA)[:3] == ["0", "1", "2"]
    assert names(second, LORA)[-1] == "9999"


def test_only_the_changed_file_is_read_again(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    path = checkpoint(root, "b.safetensors")
    catalog = make()
    catalog.scan()
    checkpoint(root, "b.safetensors", SDXL)
    os.utime(path, ns=(0, 10**18))
    reads = reads_below(root, catalog.scan)
    assert set(reads) == {str(path)}
    assert catalog.need(CHECKPOINT, "b").family is Family.SDXL


def test_a_file_added_or_removed_is_seen_at_refresh(root: Path, make: Callable[..., Catalog]):
    path = checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.scan()
    checkpoint(root, "b.safetensors")
    path.unlink()
    report = catalog.refresh(CHECKPOINT)
    assert (report.added, report.removed, report.opened) == (1, 1, 1)
    assert names(catalog) == ["b"]


def test_refreshing_one_kind_leaves_the_others(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    safetensors(root / "models" / "VAE" / "v.safetensors", AE)
    safetensors(root / "models" / "Lora" / "l.safetensors", LORA_SD1)
    catalog = make()
    catalog.scan()
    for kind in (CHECKPOINT, VAE, LORA):
        catalog.refresh(kind)
        assert (names(catalog), names(catalog, VAE), names(catalog, LORA)) == (["a"], ["v"], ["l"])


def test_a_folder_that_goes_away_keeps_its_models_until_it_comes_back(tmp_path: Path):
    drive = tmp_path / "drive"
    safetensors(drive / "sub" / "a.safetensors", SD1)
    catalog = Catalog(tmp_path / "m.db", {CHECKPOINT: [Folder(path=drive, origin="--ckpt-dir")]})
    catalog.scan()
    digest = catalog.hash(catalog.models(CHECKPOINT)[0])
    drive.rename(tmp_path / "unplugged")
    report = catalog.scan()
    assert (report.absent, report.removed, report.missing) == (1, 0, (drive,))
    assert names(catalog) == []
    assert [(record.name, record.sha256) for record in catalog.absent(CHECKPOINT)] == [("sub/a", digest)]
    with pytest.raises(ModelGone):
        catalog.need(CHECKPOINT, "sub/a")
    catalog.close()
    again = Catalog(tmp_path / "m.db", {CHECKPOINT: [Folder(path=drive, origin="--ckpt-dir")]})
    assert again.scan().absent == 1
    (tmp_path / "unplugged").rename(drive)
    assert again.scan().opened == 0
    assert [(record.name, record.sha256) for record in again.models(CHECKPOINT)] == [("sub/a", digest)]
    again.close()


def test_a_checkpoint_of_ours_carries_its_configuration(root: Path, make: Callable[..., Catalog]):
    checkpoint(
        root,
        "demo.safetensors",
        metadata={"maple.config": json.dumps({"native_size": [256, 256]}), "long": "x" * 20_000},
    )
    catalog = make()
    catalog.scan()
    record = catalog.models(CHECKPOINT)[0]
    assert json.loads(record.metadata["maple.config"])["native_size"] == [256, 256]
    assert record.metadata["long"] == ""
    assert len(catalog.metadata(record)["long"]) == 20_000


@pytest.mark.parametrize(
    ("file", "write", "reason"),
    [
        ("vae.safetensors", lambda path: safetensors(path, AE), "model_is_vae"),
        ("lora.safetensors", lambda path: safetensors(path, LORA_SD1), "model_is_lora"),
        ("odd.safetensors", lambda path: safetensors(path, {"x": (3, 3, 3)}), "model_unknown"),
        ("cut.safetensors", lambda path: path.write_bytes(safetensors(path, SD1).read_bytes()[:-1]), "model_broken"),
        ("empty.ckpt", lambda path: path.write_bytes(b""), "model_broken"),
        ("page.ckpt", lambda path: path.write_bytes(b"\n<!DOCTYPE html><html>"), "model_broken"),
        ("evil.ckpt", lambda path: zipped(path, calls("os", "system", "true")), "model_unsafe"),
        ("pickled.safetensors", lambda path: zipped(path, weights(SD1)), ""),
        ("renamed.ckpt", lambda path: safetensors(path, SD1), ""),
        ("trillion.safetensors", lambda path: path.write_bytes((10**12).to_bytes(8, "little") + b"{}"), "model_broken"),
    ],
)
def test_a_file_that_is_not_what_its_folder_says_stays_listed_with_the_reason(
    root: Path, make: Callable[..., Catalog], file: str, write: Callable[[Path], object], reason: str
):
    write(root / "models" / "Stable-diffusion" / file)
    catalog = make()
    catalog.scan()
    record = catalog.models(CHECKPOINT)[0]
    assert (record.filename, record.reason) == (file, reason)
    assert bool(catalog.reasons(record)) or not reason
    assert catalog.scan().opened == 0


def test_a_file_that_may_not_be_read_is_tried_again(
    root: Path, make: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
):
    checkpoint(root, "a.safetensors")
    catalog = make()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(catalog_module, "sniff", refuse)
        catalog.scan()
    assert catalog.models(CHECKPOINT)[0].reason == "model_unreadable"
    assert catalog.scan().opened == 1
    assert catalog.models(CHECKPOINT)[0].reason == ""


def test_a_download_under_way_is_not_opened(root: Path, make: Callable[..., Catalog]):
    path = checkpoint(root, "a.safetensors")
    control = path.with_name("a.safetensors.aria2")
    control.write_bytes(b"")
    catalog = make()
    assert reads_below(root, catalog.scan) == []
    assert catalog.models(CHECKPOINT)[0].reason == "model_downloading"
    control.unlink()
    catalog.scan()
    assert (catalog.models(CHECKPOINT)[0].reason, catalog.models(CHECKPOINT)[0].family) == ("", Family.SD1)


def test_an_embedding_in_a_picture_is_read_and_a_plain_picture_says_so(root: Path, make: Callable[..., Catalog]):
    import base64

    held = {"string_to_param": {"*": {"TORCHTENSOR": [[0.0] * 768] * 2}}, "name": "cat", "step": 500}
    png(root / "embeddings" / "cat.png", {"sd-ti-embedding": base64.b64encode(json.dumps(held).encode())})
    png(root / "embeddings" / "holiday.png")
    catalog = make()
    catalog.scan()
    cat, holiday = catalog.models(ModelKind.EMBEDDING)
    assert (cat.name, cat.family, cat.reason, cat.metadata["name"]) == ("cat", Family.SD1, "", "cat")
    assert (holiday.name, holiday.reason) == ("holiday", "model_is_picture")


def test_a_diffusers_folder_is_listed_and_recognised(root: Path, make: Callable[..., Catalog]):
    folder = root / "models" / "Stable-diffusion" / "my v1.5"
    safetensors(folder / "unet" / "diffusion_pytorch_model.safetensors", {"x": (2,)})
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (folder / "unet" / "config.json").write_text('{"cross_attention_dim": 768, "in_channels": 4}')
    catalog = make()
    catalog.scan()
    record = catalog.need(CHECKPOINT, "my v1.5")
    assert (record.filename, record.family, record.reason) == ("my v1.5", Family.SD1, "")
    assert len(catalog.hash(record)) == 64
    assert catalog.scan().opened == 0


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_a_broken_index_is_made_anew(root: Path, make: Callable[..., Catalog], content: bytes):
    (root / "cache").mkdir()
    (root / "cache" / "models.db").write_bytes(content)
    checkpoint(root, "a.safetensors")
    catalog = make()
    assert catalog.scan().opened == 1
    assert names(catalog) == ["a"]


def test_an_index_of_another_version_is_made_anew(root: Path, make: Callable[..., Catalog]):
    (root / "cache").mkdir()
    with sqlite3.connect(root / "cache" / "models.db") as connection:
        connection.execute("CREATE TABLE facts (something TEXT)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    checkpoint(root, "a.safetensors")
    assert make().scan().opened == 1


def test_an_index_that_cannot_be_written_lives_in_memory(root: Path):
    (root / "file").write_text("in the way")
    checkpoint(root, "a.safetensors")
    catalog = Catalog(root / "file" / "models.db", folders_from(object(), root))
    catalog.scan()
    assert names(catalog) == ["a"]
    catalog.close()


def test_readers_always_see_a_whole_list_while_scans_run(root: Path, make: Callable[..., Catalog]):
    for number in range(50):
        checkpoint(root, f"{number}.safetensors")
    catalog = make()
    catalog.scan()
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            records = catalog.models(CHECKPOINT)
            if len(records) != 50 or catalog.find(CHECKPOINT, "7") is None:
                wrong.append(len(records))

    readers = [threading.Thread(target=read) for _ in range(4)]
    scanners = [threading.Thread(target=lambda: [catalog.scan() for _ in range(5)]) for _ in range(2)]
    for thread in readers + scanners:
        thread.start()
    for thread in scanners:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert wrong == []


def test_pages_hear_of_a_change_and_of_nothing_else(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    catalog = make()
    heard: list[int] = []
    end = catalog.subscribe(lambda: heard.append(catalog.version))
    catalog.scan()
    before = len(heard)
    assert heard == sorted(set(heard))
    assert before >= 1
    catalog.scan()
    assert len(heard) == before
    checkpoint(root, "b.safetensors")
    catalog.scan()
    assert len(heard) > before
    end()
    count = len(heard)
    checkpoint(root, "c.safetensors")
    catalog.scan()
    assert len(heard) == count


def test_a_folder_no_longer_named_keeps_its_hashes_for_the_day_it_is(tmp_path: Path):
    safetensors(tmp_path / "drive" / "a.safetensors", SD1)
    drive = {CHECKPOINT: [Folder(path=tmp_path / "drive", origin="--ckpt-dir")]}
    first = Catalog(tmp_path / "m.db", drive)
    first.scan()
    digest = first.hash(first.models(CHECKPOINT)[0])
    first.close()
    without = Catalog(tmp_path / "m.db", {CHECKPOINT: [Folder(path=tmp_path / "other")]})
    report = without.scan()
    assert (report.models, report.removed, report.absent) == (0, 0, 0)
    without.close()
    again = Catalog(tmp_path / "m.db", drive)
    assert again.scan().opened == 0
    assert again.models(CHECKPOINT)[0].sha256 == digest
    again.close()


def test_one_file_given_by_a_flag_is_absent_when_it_is_not_there(tmp_path: Path):
    path = safetensors(tmp_path / "drive" / "a.safetensors", SD1)
    safetensors(tmp_path / "drive" / "b.safetensors", SD1)
    catalog = Catalog(tmp_path / "m.db", {CHECKPOINT: [Folder(path=path, origin="--ckpt")]})
    catalog.scan()
    assert names(catalog) == ["a"]
    path.unlink()
    assert catalog.scan().absent == 1
    catalog.close()


def test_refreshing_one_kind_does_not_wait_for_the_headers_of_another(
    root: Path, make: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
):
    safetensors(root / "models" / "Lora" / "slow.safetensors", LORA_SD1)
    checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.walk()
    reached, go_on = threading.Event(), threading.Event()
    real = catalog_module.sniff

    def slow(path: Path):
        if path.stem == "slow":
            reached.set()
            assert go_on.wait(20)
        return real(path)

    monkeypatch.setattr(catalog_module, "sniff", slow)
    reader = threading.Thread(target=lambda: catalog.read_headers([LORA]))
    reader.start()
    assert reached.wait(20)
    checkpoint(root, "b.safetensors")
    assert catalog.refresh(CHECKPOINT).opened == 2
    assert [record.family for record in catalog.models(CHECKPOINT)] == [Family.SD1, Family.SD1]
    go_on.set()
    reader.join()
    assert catalog.models(LORA)[0].family is Family.SD1


def test_a_header_read_of_a_file_that_changed_meanwhile_is_dropped(
    root: Path, make: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
):
    path = checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.walk()
    real = catalog_module.sniff

    def replaced(path: Path):
        header = real(path)
        checkpoint(root, "a.safetensors", SDXL)
        os.utime(path, ns=(0, 10**18))
        catalog.walk()
        return header

    with monkeypatch.context() as patch:
        patch.setattr(catalog_module, "sniff", replaced)
        assert catalog.read_headers().pending == 1
    assert catalog.models(CHECKPOINT)[0].family is Family.UNKNOWN
    assert catalog.scan().opened == 1
    assert catalog.need(CHECKPOINT, path.stem).family is Family.SDXL


# Finding


@pytest.fixture
def found(root: Path, make: Callable[..., Catalog]) -> Catalog:
    files = ("anime/foo v1.5.safetensors", "foobar.safetensors", "foo v1.5 extra.ckpt", "Ünï 国风.safetensors")
    for number, name in enumerate(files):
        checkpoint(root, name, SD1 | {f"extra.{number}": (number + 1,)})
    catalog = make()
    catalog.scan()
    for record in catalog.models(CHECKPOINT):
        catalog.hash(record)
    return catalog


def test_every_name_a1111_accepts_finds_the_model(found: Catalog):
    record = found.need(CHECKPOINT, "anime/foo v1.5")
    assert record.sha256 is not None
    accepted = [
        record.title, record.filename, record.name, "anime_foo v1.5", "foo v1.5", "foo v1.5.safetensors", record.sha256,
        record.shorthash, f"foo v1.5 [{record.shorthash}]", f"{record.name} [{record.shorthash}]",
        "anime\\foo v1.5.safetensors",
        "ANIME/FOO V1.5.SAFETENSORS", f"renamed since.ckpt [{record.shorthash}]", f"{record.filename} [0000000000]",
        found.legacy_hash(record),
    ]  # fmt: skip
    for name in accepted:
        assert name is not None
        assert found.find(CHECKPOINT, name) == found.need(CHECKPOINT, "anime/foo v1.5"), name


def test_a_legacy_hash_nobody_has_computed_yet_still_finds(root: Path, make: Callable[..., Catalog]):
    path = checkpoint(root, "a.safetensors", SD1 | {"big": (1024, 1024)})
    checkpoint(root, "b.safetensors")
    with open(path, "r+b") as file:
        file.seek(0x100000)
        file.write(b"weights")
    catalog = make()
    catalog.scan()
    expected = hashlib.sha256(path.read_bytes()[0x100000 : 0x100000 + 0x10000]).hexdigest()[:8]
    record = catalog.find(CHECKPOINT, expected)
    assert record is not None
    assert record.name == "a"


def test_part_of_a_title_finds_the_shortest(found: Catalog):
    record = found.find(CHECKPOINT, "foo")
    assert record is not None
    assert record.name == "foobar"
    record = found.find(CHECKPOINT, "foo v1.5 ex [1234567890]")
    assert record is not None
    assert record.name == "foo v1.5 extra"


def test_accents_written_apart_are_the_same_name(found: Catalog):
    record = found.find(CHECKPOINT, "U\u0308ni\u0308 国风")
    assert record is not None
    assert record.name == "Ünï 国风"


def test_part_of_a_name_is_not_enough_for_a_lora(root: Path, make: Callable[..., Catalog]):
    safetensors(
        root / "models" / "Lora" / "style" / "foobar.safetensors", LORA_SD1, metadata={"ss_output_name": "inner"}
    )
    catalog = make()
    catalog.scan()
    assert catalog.find(LORA, "foo") is None
    for name in ("foobar", "style/foobar", "inner", "FOOBAR"):
        assert catalog.find(LORA, name) is not None, name


def test_nothing_is_found_by_an_empty_name(found: Catalog):
    assert found.find(CHECKPOINT, "") is None
    assert found.find(CHECKPOINT, "  ") is None


def test_an_unknown_name_says_where_it_was_searched_and_what_is_close(root: Path, found: Catalog):
    with pytest.raises(UnknownModel) as caught:
        found.need(CHECKPOINT, "fobar")
    assert caught.value.fields["searched"] == [str(root / "models" / "Stable-diffusion")]
    assert "foobar" in caught.value.fields["closest"]  # type: ignore[operator]


def test_a_model_deleted_since_it_was_listed_is_gone(root: Path, found: Catalog):
    (root / "models" / "Stable-diffusion" / "foobar.safetensors").unlink()
    with pytest.raises(ModelGone) as caught:
        found.need(CHECKPOINT, "foobar")
    assert caught.value.fields["path"] == str(root / "models" / "Stable-diffusion" / "foobar.safetensors")


# Hashes


def test_a_hash_is_computed_once_and_kept_between_runs(root: Path, make: Callable[..., Catalog]):
    path = checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.scan()
    record = catalog.models(CHECKPOINT)[0]
    digest = catalog.hash(record)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert catalog.models(CHECKPOINT)[0].title == f"a.safetensors [{digest[:10]}]"
    assert reads_below(root, lambda: catalog.hash(record)) == []
    catalog.close()
    again = make()
    assert reads_below(root, again.scan) == []
    assert again.models(CHECKPOINT)[0].sha256 == digest


def test_a_changed_file_loses_its_hash(root: Path, make: Callable[..., Catalog]):
    path = checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.scan()
    old = catalog.hash(catalog.models(CHECKPOINT)[0])
    checkpoint(root, "a.safetensors", SDXL)
    os.utime(path, ns=(0, 10**18))
    assert catalog.hash(catalog.models(CHECKPOINT)[0]) != old
    catalog.scan()
    assert catalog.models(CHECKPOINT)[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_hashing_leaves_hashes_empty(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    catalog = make(hashes=False)
    catalog.scan()
    assert catalog.hash(catalog.models(CHECKPOINT)[0]) == ""
    assert catalog.models(CHECKPOINT)[0].title == "a.safetensors"


def wait(until: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_hashes_come_by_themselves_when_nobody_works(root: Path, make: Callable[..., Catalog]):
    for name in ("a", "b"):
        checkpoint(root, f"{name}.safetensors")
    catalog = make()
    catalog.walk()
    catalog.start_hashing(lambda: True)
    wait(lambda: all(record.sha256 for record in catalog.models(CHECKPOINT)))
    assert [record.family for record in catalog.models(CHECKPOINT)] == [Family.SD1, Family.SD1]
    catalog.stop()


def test_hashing_waits_in_the_middle_of_a_file_while_somebody_works(
    root: Path, make: Callable[..., Catalog], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hashing, "CHUNK", 1000)
    path = checkpoint(root, "a.safetensors")
    asked: list[None] = []
    is_idle = threading.Event()

    def idle() -> bool:
        asked.append(None)
        return len(asked) <= 3 or is_idle.is_set()

    catalog = make()
    catalog.scan()
    catalog.start_hashing(idle)
    wait(lambda: len(asked) >= 5)
    assert catalog.models(CHECKPOINT)[0].sha256 is None
    opened.clear()
    is_idle.set()
    wait(lambda: catalog.models(CHECKPOINT)[0].sha256)
    assert catalog.models(CHECKPOINT)[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    catalog.stop()


def test_many_hashes_in_the_background_are_few_new_lists(root: Path, make: Callable[..., Catalog]):
    for number in range(200):
        safetensors(root / "models" / "Lora" / f"{number}.safetensors", {**LORA_SD1, f"x.{number}": (1,)})
    catalog = make()
    catalog.scan()
    before = catalog.version
    catalog.start_hashing(lambda: True)
    wait(lambda: all(record.sha256 for record in catalog.models(LORA)))
    assert catalog.version - before < 20
    catalog.stop()


def test_stopping_does_not_wait_for_a_large_file(root: Path, make: Callable[..., Catalog]):
    checkpoint(root, "a.safetensors")
    catalog = make()
    catalog.scan()
    catalog.start_hashing(lambda: False)
    catalog.stop()
    checkpoint(root, "b.safetensors")
    assert catalog.scan().opened == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "model-index"]
    assert catalog.models(CHECKPOINT)[0].sha256 is None


# VAE


@pytest.fixture
def vaes(root: Path) -> Path:
    checkpoint(root, "foo.safetensors")
    for name in ("foobar.vae.pt", "chosen.safetensors"):
        safetensors(root / "models" / "VAE" / name, AE)
    return root


def choose(catalog: Catalog, chosen: str, **options: bool) -> tuple[str | None, str]:
    choice = catalog.vae_for(catalog.need(CHECKPOINT, "foo"), chosen, **options)
    return (choice.path.name if choice.path else None, choice.source)


def test_automatic_takes_the_same_name_and_not_one_that_only_begins_so(vaes: Path, make: Callable[..., Catalog]):
    catalog = make()
    catalog.scan()
    assert choose(catalog, "Automatic") == (None, "baked in")
    safetensors(vaes / "models" / "VAE" / "foo.safetensors", AE)
    catalog.scan()
    assert choose(catalog, "Automatic") == ("foo.safetensors", "same name")


def test_a_chosen_vae_overrides_what_the_model_prefers_unless_it_is_told_not_to(
    vaes: Path, make: Callable[..., Catalog]
):
    safetensors(vaes / "models" / "Stable-diffusion" / "foo.vae.safetensors", AE)
    catalog = make()
    catalog.scan()
    assert choose(catalog, "chosen.safetensors") == ("chosen.safetensors", "setting")
    assert choose(catalog, "chosen") == ("chosen.safetensors", "setting")
    assert choose(catalog, "None") == (None, "setting")
    assert choose(catalog, "chosen", overrides_per_model=False) == ("foo.vae.safetensors", "same name")
    (vaes / "models" / "Stable-diffusion" / "foo.vae.safetensors").unlink()
    catalog.scan()
    assert choose(catalog, "chosen", overrides_per_model=False) == ("chosen.safetensors", "setting")
    assert choose(catalog, "None", overrides_per_model=False) == (None, "setting")


def test_the_note_beside_a_model_names_its_vae(vaes: Path, make: Callable[..., Catalog]):
    notes = vaes / "models" / "Stable-diffusion" / "foo.json"
    safetensors(vaes / "models" / "VAE" / "foo.safetensors", AE)
    notes.write_text('{"vae": "chosen.safetensors"}', encoding="utf-8-sig")
    catalog = make()
    catalog.scan()
    assert choose(catalog, "Automatic") == ("chosen.safetensors", "model")
    notes.write_text('{"vae": "None"}')
    assert choose(catalog, "Automatic") == (None, "model")
    for broken in ('{"vae": "was deleted"}', '{"vae": 3}', "[]", "not json", '{"vae": "Automatic"}'):
        notes.write_text(broken)
        assert choose(catalog, "Automatic") == ("foo.safetensors", "same name")


def test_the_flag_goes_before_everything(vaes: Path, make: Callable[..., Catalog]):
    flagged = safetensors(vaes / "elsewhere" / "flagged.safetensors", AE)
    catalog = make(vae_path=flagged)
    catalog.scan()
    assert choose(catalog, "None") == ("flagged.safetensors", "--vae-path")
    flagged.unlink()
    with pytest.raises(ModelGone):
        choose(catalog, "Automatic")


def test_a_chosen_vae_that_is_not_there_is_an_error_and_not_another_picture(vaes: Path, make: Callable[..., Catalog]):
    catalog = make()
    catalog.scan()
    with pytest.raises(UnknownModel) as caught:
        choose(catalog, "chosn")
    assert caught.value.fields["closest"] == ["chosen"]


def test_every_choice_with_a_path_has_a_record(vaes: Path, make: Callable[..., Catalog]):
    catalog = make(vae_path=safetensors(vaes / "elsewhere" / "x.safetensors", AE))
    catalog.scan()
    record = catalog.vae_for(catalog.need(CHECKPOINT, "foo"), "Automatic").record
    assert isinstance(record, ModelRecord)
    assert record.name == "x"
