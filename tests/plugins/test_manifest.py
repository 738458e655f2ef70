"""A manifest is read without running anything, and says which key is wrong."""

import pytest

from tests.plugins.conftest import Write
from webui.plugins import BadManifest
from webui.plugins.manifest import read_manifest


def test_what_is_left_out_has_a_plain_default(write: Write) -> None:
    told = read_manifest(write("plain"))
    assert (told.name, told.title, told.title_zh, told.on) == ("plain", "plain", "plain", True)
    assert (told.hooks, told.scripts, told.after) == ({}, (), ())


def test_chinese_falls_back_to_english(write: Write) -> None:
    told = read_manifest(write("one", head='title = "One"\nabout = "Does one thing."'))
    assert (told.title_zh, told.about_zh) == ("One", "Does one thing.")


@pytest.mark.parametrize(("head", "more", "named"), [
    ('colour = "red"', "", "extension.colour"),
    ("", "[hooks]\non_everything = 'main:f'", "on_everything"),
    ("", "[hooks]\non_step = 'main.f'", "hooks.on_step"),
    ("", "[hooks]\non_step = '../main:f'", "hooks.on_step"),
    ("", "[page]\nscripts = ['../../page.js']", "page.scripts"),
    ("", "[page]\nscripts = ['gone.js']", "gone.js"),
    ("", "[page]\nscripts = ['main.py']", ".js"),
    ("", "[more]\nx = 1", "more"),
    ("on = 'yes'", "", "extension.on"),
    ("after = 'other'", "", "after"),
])  # fmt: skip
def test_the_wrong_key_is_named(write: Write, head: str, more: str, named: str) -> None:
    with pytest.raises(BadManifest) as caught:
        read_manifest(write("wrong", more, {"main.py": ""}, head))
    assert named in str(caught.value.fields["problem"])


def test_another_version_of_the_api_is_refused(write: Write) -> None:
    folder = write("newer")
    file = folder / "extension.toml"
    file.write_text(file.read_text().replace("api = 1", "api = 2"))
    with pytest.raises(BadManifest, match="api is 2"):
        read_manifest(folder)


def test_a_file_that_is_no_toml_is_said_with_its_path(write: Write) -> None:
    folder = write("broken", "[")
    with pytest.raises(BadManifest) as caught:
        read_manifest(folder)
    assert caught.value.fields["path"] == str(folder / "extension.toml")
