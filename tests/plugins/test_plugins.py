"""Extensions as a server has them: found, subscribed, on the page; the skeleton works as it is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.conftest import Write
from webui.hooks import Hooks
from webui.plugins import Plugins, State
from webui.plugins.__main__ import main
from webui.settings import Settings
from webui.settings.flags import Flags
from webui.ui.page import assets, brought, head

ROOT = Path(__file__).resolve().parents[2]


def loaded(tmp_path: Path, hooks: Hooks | None = None, **flags: bool) -> Plugins:
    return Plugins.load(Flags(data_dir=tmp_path, **flags), Settings(), tmp_path, hooks or Hooks())


def test_those_that_come_with_the_project_take_part(tmp_path: Path) -> None:
    plugins = loaded(tmp_path)
    assert [each.name for each in plugins.on] == ["maple-contrast", "maple-ratio-bar", "maple-wildcards"]
    for each in plugins.extensions:
        told = each.manifest
        assert told.title_zh != told.title and told.about and told.about_zh != told.about


@pytest.mark.parametrize(("flag", "on"), [
    ({}, 4), ({"disable_extra_extensions": True}, 3), ({"disable_all_extensions": True}, 0),
])  # fmt: skip
def test_flags_turn_them_off(tmp_path: Path, write: Write, flag: dict[str, bool], on: int) -> None:
    write("another")
    hooks = Hooks()
    assert len(loaded(tmp_path, hooks, **flag).on) == on
    assert hooks.used("wrap_denoise") == bool(on)


def test_scripts_and_styles_stand_in_the_page_after_ours(tmp_path: Path, write: Write) -> None:
    write("页面", '[page]\nscripts = ["js/a b.js"]\nstyles = ["c.css"]', {"js/a b.js": "1", "c.css": "a{}"})
    broken = tmp_path / "extensions" / "页面" / "extension.toml"
    broken.write_text(broken.read_text("utf-8").replace('name = "页面"', 'name = "page"'), encoding="utf-8")
    plugins = loaded(tmp_path)
    found = assets() | brought((*plugins.styles, *plugins.scripts))
    html = head(found, {}).decode()
    assert found["extensions/page/js/a b.js"].body == b"1"
    assert 'src="internal/assets/extensions/page/js/a%20b.js?v=' in html
    assert html.index("settings.js") < html.index("a%20b.js")
    assert 'href="internal/assets/extensions/page/c.css?v=' in html


def test_a_file_that_has_gone_since_the_start_is_left_out(tmp_path: Path, write: Write) -> None:
    folder = write("goes", '[page]\nscripts = ["a.js"]', {"a.js": "1"})
    plugins = loaded(tmp_path)
    (folder / "a.js").unlink()
    assert "extensions/goes/a.js" not in brought(plugins.scripts)


def test_a_new_extension_passes_its_own_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-dir", str(tmp_path), "new", "my-word"]) == 0
    folder = tmp_path / "extensions" / "my-word"
    assert str(folder) in capsys.readouterr().out
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert main(["--data-dir", str(tmp_path), "list"]) == 0
    assert "on     my-word 0.1.0" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["my word", "../up", "名字", ""])
def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    assert main(["--data-dir", str(tmp_path), "new", name]) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(tmp_path: Path, write: Write) -> None:
    folder = write("mine")
    before = (folder / "extension.toml").read_text()
    assert main(["--data-dir", str(tmp_path), "new", "mine"]) == 2
    assert (folder / "extension.toml").read_text() == before


def test_a_broken_one_is_listed_with_its_reason(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("bad", "[hooks]\nnone = 'x:y'")
    assert loaded(tmp_path).extensions[0].state is State.FAILED
    main(["--data-dir", str(tmp_path), "list"])
    assert "there is no such hook" in capsys.readouterr().out
