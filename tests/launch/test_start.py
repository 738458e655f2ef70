"""`python launch.py` from a bare folder, started for real with tiny packages in place of the large ones."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Standin

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths of a POSIX virtual environment")


def page(output: str) -> list[object]:
    line = next(line for line in output.splitlines() if line.startswith("PAGE "))
    return json.loads(line.removeprefix("PAGE "))


def test_one_command_installs_and_starts_the_page_in_a_folder_with_spaces_brackets_and_chinese(bare: Standin) -> None:
    first = bare.start("--port", "7861", "--xformers", "--what-is-this", env={"COMMANDLINE_ARGS": "--listen"})
    assert first.returncode == 0, first.stdout + first.stderr
    arguments, prefix, name, utf8 = page(first.stdout)
    assert arguments == ["--port", "7861", "--xformers", "--what-is-this"]
    assert (prefix, name, utf8) == (str(bare.folder / ".venv"), "tiny", 1)
    assert "--what-is-this" in first.stdout.split("PAGE")[0], "an unknown flag is named"
    assert "--xformers" in first.stdout.split("PAGE")[0], "an idle flag is named"


def test_a_second_start_installs_nothing_and_needs_no_index(standin: Standin) -> None:
    shutil.rmtree(standin.index)
    # No pip at all: whoever asks it for anything fails.
    site = next(standin.folder.glob(".venv/lib/python3*/site-packages"))
    shutil.rmtree(site / "pip")
    second = standin.start()
    assert second.returncode == 0, second.stdout + second.stderr
    assert second.stdout.splitlines()[0].startswith("PAGE "), "nothing is said before the page"


def test_a_moved_folder_mends_itself_offline(standin: Standin) -> None:
    shutil.rmtree(standin.index)
    moved = Standin(standin.folder.rename(standin.folder.with_name("別の 場所(2)")), standin.index)
    started = moved.start()
    assert started.returncode == 0, started.stdout + started.stderr
    assert page(started.stdout)[1] == str(moved.folder / ".venv")
    said = subprocess.run([moved.folder / ".venv/bin/tiny-say"], capture_output=True, encoding="utf-8", check=True)
    assert said.stdout.split(maxsplit=1) == ["tiny", f"{moved.folder / '.venv'}\n"]
    assert standin.folder.name not in (moved.folder / ".venv/bin/activate").read_text("utf-8")
    again = moved.start()
    assert again.stdout.splitlines()[0].startswith("PAGE "), "mended once, not every time"


def test_a_vanished_python_is_replaced_by_another_of_the_same_minor(standin: Standin) -> None:
    shutil.rmtree(standin.index)
    for link in (standin.folder / ".venv/bin").glob("python*"):
        link.unlink()
    (standin.folder / ".venv/bin/python").symlink_to(standin.folder / "gone/python3")
    started = standin.start()
    assert started.returncode == 0, started.stdout + started.stderr
    assert page(started.stdout)[2] == "tiny"


@pytest.mark.parametrize("phase", ["torch", "packages"])
def test_an_install_killed_half_way_goes_on_and_mends_what_was_half_written(standin: Standin, phase: str) -> None:
    record = standin.folder / ".venv/maple-setup.json"
    state = json.loads(record.read_text("utf-8"))
    # What a kill leaves: the phase still open, a package with its name on the disk and half its bytes.
    record.write_text(json.dumps(state | {"running": phase}), "utf-8")
    name = {"torch": "torchvision", "packages": "tiny"}[phase]
    site = next(standin.folder.glob(".venv/lib/python3*/site-packages"))
    (site / name / "data.bin").write_bytes(bytes(1000))
    next(site.glob(f"{name}-*.dist-info/INSTALLER")).unlink()
    again = standin.start()
    assert again.returncode == 0, again.stdout + again.stderr
    assert (site / name / "data.bin").stat().st_size == 65536
    assert json.loads(record.read_text("utf-8"))["running"] == ""


def test_a_kill_in_mid_install_is_survived(bare: Standin) -> None:
    """A real SIGKILL as soon as torch is on the disk, whatever state that leaves."""
    command = f"""
import os, subprocess, sys, time, pathlib
where = pathlib.Path({str(bare.folder)!r})
child = subprocess.Popen([sys.executable, where / "launch.py"], start_new_session=True, stdout=subprocess.DEVNULL)
end = time.monotonic() + 120
while time.monotonic() < end and not list(where.glob('.venv/lib/python3*/site-packages/torch')):
    time.sleep(0.01)
os.killpg(child.pid, 9)
"""
    env = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "INDEX_URL": bare.index.as_uri()}
    subprocess.run([sys.executable, "-c", command], env=env, check=True, timeout=180)
    again = bare.start()
    assert again.returncode == 0, again.stdout + again.stderr
    assert page(again.stdout)[2] == "tiny"


def test_a_changed_pin_is_installed_and_a_lost_package_comes_back(standin: Standin) -> None:
    project = standin.folder / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace("tiny==1.0", "tiny==2.0"), "utf-8")
    (standin.folder / "constraints.txt").write_text("tiny==2.0\n", "utf-8")
    assert standin.start().returncode == 0
    site = next(standin.folder.glob(".venv/lib/python3*/site-packages"))
    assert [each.name for each in site.glob("tiny-*.dist-info")] == ["tiny-2.0.dist-info"]
    shutil.rmtree(site / "tiny-2.0.dist-info")
    assert standin.start().returncode == 0
    assert (site / "tiny-2.0.dist-info").is_dir()


def test_torch_command_wins_and_its_version_is_kept(bare: Standin) -> None:
    bare.offer("torch", "8.5")
    own = f"pip install --index-url {bare.index.as_uri()} torch==8.5 torchvision==9.1"
    assert bare.start(env={"TORCH_COMMAND": own}).returncode == 0
    assert bare.start().stdout.startswith("PAGE "), "a later start without TORCH_COMMAND leaves it alone"
    pins = (bare.folder / ".venv/maple-constraints.txt").read_text("utf-8").splitlines()
    assert "torch==8.5" in pins, "what extensions install may not replace it"


def test_a_failed_install_says_what_to_do_and_does_not_start_the_page(bare: Standin) -> None:
    shutil.rmtree(bare.index / "tiny")
    failed = bare.start()
    assert failed.returncode == 1
    assert "PAGE" not in failed.stdout
    assert "tiny==1.0" in failed.stderr and "INDEX_URL" in failed.stderr
    chinese = bare.start(env={"LC_ALL": "zh_CN.UTF-8"})
    assert "安装失败" in chinese.stderr


def test_a_flag_with_an_impossible_value_says_so_before_anything_is_installed(bare: Standin) -> None:
    failed = bare.start("--port", "many")
    assert failed.returncode == 1 and "--port" in failed.stderr
    assert not (bare.folder / ".venv").exists()


def test_an_old_python_is_told_which_one_is_needed(bare: Standin) -> None:
    source = (bare.folder / "launch.py").read_text("utf-8")
    pretend = bare.folder / "launch.py"
    pretend.write_text(source.replace("import sys\n", "import sys\nsys.version_info = (3, 9, 1)\n", 1), "utf-8")
    failed = bare.start()
    assert failed.returncode == 1
    assert "3.11" in failed.stderr and "3.9" in failed.stderr and "需要" in failed.stderr


def test_launch_needs_nothing_but_the_standard_library() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-s", str(root / "launch.py"), "--help"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--lora-dir" in done.stdout


def test_what_an_extension_installs_may_not_replace_our_packages(standin: Standin) -> None:
    script = standin.folder / "install.py"
    script.write_text("import launch\nlaunch.run_pip('install tiny==2.0', 'another tiny', live=False)\n", "utf-8")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    env |= {
        "PIP_CONFIG_FILE": os.devnull,
        "INDEX_URL": standin.index.as_uri(),
        "PYTHONPATH": str(standin.folder),
        "LC_ALL": "en_US.UTF-8",
    }
    done = subprocess.run(
        [standin.folder / ".venv/bin/python", script], env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode != 0 and "Couldn't install another tiny" in done.stderr
    site = next(standin.folder.glob(".venv/lib/python3*/site-packages"))
    assert (site / "tiny-1.0.dist-info").is_dir()
