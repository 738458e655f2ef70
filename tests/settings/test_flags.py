"""Flags: A1111's names, repeatable folders, nothing that stops an old start script."""

import subprocess
import sys
from pathlib import Path

import pytest

from webui.settings import flags
from webui.settings.flags import BadFlag, parse

ROOT = Path(__file__).resolve().parents[2]


def test_commandline_args_come_first_and_the_command_line_wins() -> None:
    found = parse(["--port", "80"], {"COMMANDLINE_ARGS": '--port 70 --listen --ckpt-dir "D:/我的 模型(1)"'})
    assert (found.port, found.listen, found.ckpt_dir) == (80, True, (Path("D:/我的 模型(1)"),))


def test_folder_flags_may_be_repeated_and_one_folder_counts_once() -> None:
    found = parse(["--lora-dir", "a", "--lora-dir", "b", "--lora-dir", "a", "--styles-file", "x*.csv"], {})
    assert found.lora_dir == (Path("a"), Path("b"))
    assert found.styles_file == ("x*.csv",)


def test_an_unknown_flag_is_skipped_and_named() -> None:
    found = parse(["--bogus", "3", "--listen"], {})
    assert found.listen and found.unknown == ("--bogus", "3")


def test_a_flag_of_an_old_script_is_accepted_and_said_to_be_idle() -> None:
    found = parse(
        ["--xformers", "--deepdanbooru", "--max-batch-count", "4", "--always-batch-cond-uncond", "--medvram"], {}
    )
    assert found.without_effect == ("--xformers", "--deepdanbooru", "--max-batch-count", "--always-batch-cond-uncond")
    assert found.unknown == () and found.medvram


def test_a_value_a_flag_cannot_have_is_named() -> None:
    with pytest.raises(BadFlag, match="--port"):
        parse(["--port", "many"], {})
    with pytest.raises(BadFlag, match="--precision"):
        parse(["--precision", "double"], {})


def test_a_windows_path_keeps_its_backslashes() -> None:
    assert flags.words_of('--ckpt-dir D:\\models\\new --lora-dir "E:\\a b"', windows=True) == [
        "--ckpt-dir",
        "D:\\models\\new",
        "--lora-dir",
        "E:\\a b",
    ]
    assert flags.words_of("--ckpt-dir /a\\ b", windows=False) == ["--ckpt-dir", "/a b"]


def test_passwords_are_in_no_repr() -> None:
    found = parse(["--gradio-auth", "anna:geheim", "--api-auth", "bot:versteckt"], {})
    assert found.gradio_auth == "anna:geheim"
    assert "geheim" not in repr(found) and "versteckt" not in str(found)


def test_every_flag_has_help_in_both_languages_and_a_default() -> None:
    plain = flags.Flags()
    for row in flags.rows():
        assert row.metadata["zh"] and row.metadata["en"], row.name
        assert any("一" <= letter <= "鿿" or letter.isupper() for letter in row.metadata["zh"]), row.name
    assert plain.given() == {}
    assert "局域网" in flags.parser("zh-CN").format_help() and "local network" in flags.parser("en").format_help()


def test_no_idle_flag_is_also_a_real_one() -> None:
    real = {"--" + row.name.replace("_", "-") for row in flags.rows()}
    assert not real & set(flags.WITHOUT_EFFECT)


def test_a1111_home_is_also_known_by_forges_name() -> None:
    assert parse(["--forge-ref-a1111-home", "x"], {}).a1111_home == Path("x")


@pytest.mark.parametrize(
    ("env", "language"), [({"LANG": "zh_CN.UTF-8"}, "zh-CN"), ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN"}, "en")]
)
def test_the_console_speaks_the_language_of_the_locale(env: dict[str, str], language: str) -> None:
    assert flags.console_language(env=env) == language


def test_flags_need_the_standard_library_alone() -> None:
    """`-S` leaves out site-packages: launch.py reads flags before anything is installed."""
    path = "import sys; sys.path.insert(0, sys.argv[1]); "
    code = path + "import webui.settings.flags as f; print(f.parse(['--listen'], {}).listen)"
    done = subprocess.run(
        [sys.executable, "-S", "-s", "-c", code, str(ROOT)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.strip() == "True", done.stderr
