"""config.json: A1111's file, kept whole."""

import json
import stat
import sys
import threading
from pathlib import Path

import pytest

from webui.domain.errors import DiskFull, LockedSetting, OutOfRange
from webui.settings import FrozenSetting, Settings, SettingsNotSaved, SettingsStore, declared, to_a1111
from webui.words import LANGUAGES, say, sentences

AKI = {
    "samples_save": True,
    "CLIP_stop_at_last_layers": 2,
    "sd_vae": "Automatic",
    "control_net_unit_count": 3,
    "tac_tagFile": "danbooru.csv",
    "localization": "zh-Hans (Stable)",
    "quicksettings_list": ["sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"],
    "sd_model_checkpoint": "模型 (v1.0).safetensors [abcdef1234]",
}


def read(path: Path) -> dict[str, object]:
    return json.loads(path.read_text("utf-8"))


def test_a_missing_file_gives_defaults_and_writes_nothing(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    assert store.current == Settings() and store.notes == ()
    assert list(tmp_path.iterdir()) == []


def test_an_aki_users_file_is_taken_as_it_is_and_its_other_keys_survive_a_change(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(AKI), "utf-8-sig")
    store = SettingsStore(path)
    assert store.current.model.clip_skip == 2
    assert store.current.model.checkpoint == AKI["sd_model_checkpoint"]
    assert store.notes == ()
    store.change({"jpeg_quality": 91, "page.language": "en"}, by="owner")
    assert read(path) == AKI | {"jpeg_quality": 91, "page.language": "en"}
    assert list(read(path))[: len(AKI)] == list(AKI)
    assert SettingsStore(path).current == store.current


def test_options_show_every_setting_and_every_extra(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(AKI), "utf-8")
    shown = to_a1111(SettingsStore(path))
    assert shown["control_net_unit_count"] == 3 and shown["CLIP_stop_at_last_layers"] == 2
    assert {row.stored for row in declared().values()} <= set(shown)
    assert shown["quicksettings_list"] == AKI["quicksettings_list"]
    json.dumps(shown)


def test_no_checkpoint_is_null_as_a1111_says(tmp_path: Path):
    assert to_a1111(SettingsStore(tmp_path / "config.json"))["sd_model_checkpoint"] is None


def test_bad_values_become_defaults_with_a_note_and_stay_in_the_file(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"CLIP_stop_at_last_layers": "many", "jpeg_quality": 900, "s_churn": 2}), "utf-8")
    store = SettingsStore(path)
    assert (store.current.model.clip_skip, store.current.saving.jpeg_quality) == (1, 80)
    assert store.current.sampling.s_churn == 2
    assert [key for key, _ in store.notes] == ["setting_replaced"] * 2
    store.change({"tiling": True}, by="owner")
    assert read(path)["jpeg_quality"] == 900
    store.change({"jpeg_quality": 75}, by="owner")
    assert read(path)["jpeg_quality"] == 75


@pytest.mark.parametrize("data", [b"{", b"", b"[1, 2]", b"\xff\xfe\x00nonsense", b"null", b"[" * 200_000])
def test_a_broken_file_is_set_aside_and_said(tmp_path: Path, data: bytes):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    store = SettingsStore(path)
    assert store.current == Settings()
    (note,) = store.notes
    assert note[0] == "settings_broken"
    assert Path(note[1]["aside"]).read_bytes() == data
    assert Path(note[1]["aside"]).name.startswith("config.json.broken-")
    assert not path.exists()


def test_the_backup_stands_in_for_a_broken_file(tmp_path: Path):
    path = tmp_path / "config.json"
    store = SettingsStore(path)
    store.change({"jpeg_quality": 70}, by="owner")
    store.change({"jpeg_quality": 60}, by="owner")
    path.write_bytes(path.read_bytes()[:10])
    again = SettingsStore(path)
    assert again.current.saving.jpeg_quality == 70
    assert [key for key, _ in again.notes] == ["settings_broken_backup"]


def test_older_spellings_are_migrated(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({
        "quicksettings": "sd_model_checkpoint, sd_vae", "sd_vae": "auto", "sd_vae_as_default": False,
        "enable_emphasis": False,
    }), "utf-8")  # fmt: skip
    store = SettingsStore(path)
    assert store.current.page.quicksettings_list == ("sd_model_checkpoint", "sd_vae")
    assert store.current.model.vae == "Automatic"
    assert store.current.model.vae_overrides is True
    assert store.current.sampling.emphasis == "None"
    assert [key for key, _ in store.notes] == ["setting_migrated"] * 4


def test_the_api_may_not_change_places_but_the_owner_may(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    for name in ("outdir_txt2img_samples", "paths.outdir_grids", "samples_filename_pattern", "outdir_save"):
        with pytest.raises(LockedSetting):
            store.change({"jpeg_quality": 50, name: "/etc"}, by="api")
    assert store.current == Settings() and not (tmp_path / "config.json").exists()
    store.change({"outdir_txt2img_samples": "/data/pictures"}, by="owner")
    assert store.current.paths.outdir_txt2img_samples == "/data/pictures"


def test_a_client_may_post_back_all_it_got(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(AKI | {"outdir_save": "log/images"}), "utf-8")
    store = SettingsStore(path)
    shown = to_a1111(store)
    shown["jpeg_quality"] = 66
    store.change(shown, by="api")
    assert store.current.saving.jpeg_quality == 66


def test_a_change_is_all_or_nothing(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    with pytest.raises(OutOfRange):
        store.change({"jpeg_quality": 50, "CLIP_stop_at_last_layers": 99}, by="api")
    assert store.current == Settings()


def test_unknown_keys_are_kept_beside_ours(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    store.change({"my_extension_option": {"deep": [1, None]}}, by="api")
    assert store.extras == {"my_extension_option": {"deep": [1, None]}}
    assert SettingsStore(store.path).extras == store.extras
    with pytest.raises(SettingsNotSaved):
        store.change({"my_extension_option": object()}, by="owner")


@pytest.mark.parametrize(
    ("sections", "keys"),
    [(["*"], []), (["saving"], []), ([" saving-images"], []), ([], ["jpeg_quality"]), ([], ["saving.jpeg_quality"])],
)
def test_what_the_launcher_froze_nobody_changes(tmp_path: Path, sections: list[str], keys: list[str]):
    store = SettingsStore(tmp_path / "config.json", frozen_sections=sections, frozen_keys=keys)
    with pytest.raises(FrozenSetting):
        store.change({"jpeg_quality": 50}, by="owner")
    store.change({"jpeg_quality": 80}, by="owner")


def test_listeners_hear_before_and_after_until_they_leave(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    heard: list[tuple[int, int]] = []
    leave = store.subscribe(lambda old, new: heard.append((old.saving.jpeg_quality, new.saving.jpeg_quality)))
    store.change({"jpeg_quality": 50}, by="owner")
    store.change({"jpeg_quality": 50}, by="owner")
    leave()
    leave()
    store.change({"jpeg_quality": 51}, by="owner")
    assert heard == [(80, 50)]


def test_changes_from_many_threads_all_arrive(tmp_path: Path):
    store = SettingsStore(tmp_path / "config.json")
    threads = [threading.Thread(target=lambda n=n: store.change({f"ext_{n}": n}, by="owner")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert SettingsStore(store.path).extras == {f"ext_{n}": n for n in range(12)} == dict(store.extras)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a Linux device that is always full")
def test_a_full_disk_changes_nothing_and_leaves_no_litter(tmp_path: Path):
    import resource  # Linux only, as this test is

    store = SettingsStore(tmp_path / "config.json")
    store.change({"jpeg_quality": 50}, by="owner")
    before = (tmp_path / "config.json").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(DiskFull):
            store.change({"jpeg_quality": 60, "tiling": True}, by="owner")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.current.saving.jpeg_quality == 50
    assert (tmp_path / "config.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links are POSIX")
def test_a_linked_file_stays_a_link_and_keeps_its_mode(tmp_path: Path):
    real = tmp_path / "real.json"
    real.write_text("{}")
    real.chmod(0o640)
    link = tmp_path / "config.json"
    link.symlink_to(real)
    SettingsStore(link).change({"jpeg_quality": 50}, by="owner")
    assert link.is_symlink() and read(real)["jpeg_quality"] == 50
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_every_note_and_error_has_both_languages(tmp_path: Path):
    for key in (
        "setting_replaced",
        "setting_migrated",
        "settings_unreadable",
        "settings_broken",
        "setting_frozen",
        "settings_broken_backup",
        "setting_wrong_type",
        "setting_not_a_choice",
        "settings_not_saved",
    ):
        assert all(sentences()[key])
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"jpeg_quality": "x"}), "utf-8")
    ((key, fields),) = SettingsStore(path).notes
    for language in LANGUAGES:
        assert "jpeg_quality" in say(key, language, **fields) and "{" not in say(key, language, **fields)
