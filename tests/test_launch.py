"""launch.py's parts: choosing a torch build, mending scripts, what extensions call, the start scripts."""

import contextlib
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parents[1]
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@contextlib.contextmanager
def pytorch_index(delay: float) -> Iterator[str]:
    """A server with PyTorch's layout: cu129 lacks the version, cu128 has it; `delay` seconds pass per 64 KiB."""
    names = [
        f"torch-2.15.0%2Bcu128-{TAG}-{TAG}-{tail}.whl"
        for tail in ("win_amd64", "manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
    ]

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "cu132" in self.path:
                self.send_error(403)  # as a bucket answers for a folder it does not have
                return
            if self.path.endswith("/torch/"):
                listed = names if "cu128" in self.path else ["torch-2.0.0-cp311-cp311-win_amd64.whl"]
                body = "".join(f'<a href="/whl/{name}#sha256=1">{name}</a>' for name in listed).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)
                return
            self.send_response(206)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(62):
                    self.wfile.write(bytes(65536))
                    time.sleep(delay)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/whl"
    finally:
        server.shutdown()
        server.server_close()


def test_the_newest_build_that_has_our_torch_is_taken() -> None:
    with pytorch_index(0) as base:
        assert launch.reachable_build(("cu132", "cu129", "cu128", "cu126"), "2.15.0", base) == f"{base}/cu128"


def test_an_index_that_crawls_is_left_for_the_plain_one() -> None:
    with pytorch_index(0.5) as base:
        assert launch.reachable_build(("cu128",), "2.15.0", base, crawl=1_000_000) == ""


def test_an_index_that_does_not_answer_is_left_at_once() -> None:
    began = time.monotonic()
    assert launch.reachable_build(("cu128", "cu126", "cpu"), "2.15.0", "http://127.0.0.1:9/whl") == ""
    assert time.monotonic() - began < 20, "one host is asked once"


@pytest.mark.parametrize(
    ("driver", "first"),
    [
        (None, "cpu"),
        (launch.Driver((13, 2), (9, 0)), "cu132"),
        (launch.Driver((13, 0), (6, 1)), "cu126"),
        (launch.Driver((12, 4), (8, 6)), "cu129"),
        (launch.Driver((11, 8), (8, 6)), "cu118"),
    ],
)
def test_the_build_fits_driver_and_card(driver: launch.Driver | None, first: str) -> None:
    assert launch.build_names(driver)[0] == first


def test_the_driver_is_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "nvidia-smi"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$1" in --query*) printf "8.9\\n7.5\\n" ;; *) echo "| Driver 570.1  CUDA Version: 12.8 |" ;; esac\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launch.nvidia_driver() == launch.Driver((12, 8), (7, 5))


def test_index_url_wins_over_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INDEX_URL", "https://mirror.example/simple")
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    monkeypatch.setattr(launch, "reachable_build", lambda *_: pytest.fail("nothing may be asked"))
    assert launch.torch_indexes("torch==2.15.0") == [""]
    assert launch.index_arguments() == ["--index-url", "https://mirror.example/simple"]


def test_a_windows_launcher_is_pointed_at_the_new_folder(tmp_path: Path) -> None:
    script = tmp_path / "pip.exe"
    script.write_bytes(b"MZ\x90launcher#!" + b'"D:\\old (1)\\.venv\\Scripts\\python.exe"\r\nPK\x03\x04zip')
    launch.mend_script(script, Path("E:\\绘画\\.venv\\Scripts\\python.exe"))
    assert (
        script.read_bytes()
        == b'MZ\x90launcher#!"' + "E:\\绘画\\.venv\\Scripts\\python.exe".encode() + b'"\r\nPK\x03\x04zip'
    )


def test_a_script_that_is_not_python_is_left_alone(tmp_path: Path) -> None:
    script = tmp_path / "tool"
    script.write_bytes(b"#!/bin/bash\necho python\n")
    launch.mend_script(script, Path("/new/python"))
    assert script.read_bytes() == b"#!/bin/bash\necho python\n"


def test_extensions_can_ask_what_is_installed() -> None:
    assert launch.is_installed("pytest") and launch.is_installed("import-linter") and launch.is_installed("json")
    assert not launch.is_installed("surely_not_here") and not launch.is_installed("surely.not.here")


def test_extensions_can_run_a_command_and_hear_of_its_failure() -> None:
    assert launch.run(f'"{sys.executable}" -c "print(6*7)"', live=False).strip() == "42"
    with pytest.raises(RuntimeError, match="Could not draw"):
        launch.run(f'"{sys.executable}" -c "raise SystemExit(3)"', errdesc="Could not draw", live=False)


def test_run_pip_runs_pip_and_obeys_skip_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py"])
    assert "pip" in launch.run_pip("--version", live=False)
    monkeypatch.setenv("COMMANDLINE_ARGS", "--skip-install")
    assert launch.run_pip("install surely-not-there", "a thing", live=False) == ""


def test_extensions_read_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["webui", "--skip-install", "--ckpt-dir", "somewhere"])
    monkeypatch.delitem(vars(launch), "args", raising=False)
    assert launch.args.skip_install is True
    assert launch.args.ckpt_dir == (Path("somewhere"),)
    vars(launch).pop("args")


@pytest.mark.parametrize("name", ["启动.bat", "webui-user.bat"])
def test_bat_files_are_ascii_with_crlf_and_ask_for_utf8(name: str) -> None:
    data = (ROOT / name).read_bytes()
    data.decode("ascii")
    assert data.count(b"\r\n") == data.count(b"\n") > 2
    script = data.decode() if b"launch.py" in data else (ROOT / "webui-user.bat").read_text("ascii")
    assert "PYTHONUTF8=1" in script and "chcp 65001" in script
    assert not re.search(r"(?m)^\s*(if|for)\b[^\n]*\(\s*$", script), (
        "a bracket in the folder's name would close such a block"
    )


@pytest.mark.skipif(os.name == "nt", reason="sh")
def test_webui_sh_starts_the_same_command_with_the_flags_of_webui_user_sh(tmp_path: Path) -> None:
    folder = tmp_path / "绘画 工具(1)"
    folder.mkdir()
    (folder / "webui.sh").write_bytes((ROOT / "webui.sh").read_bytes())
    (folder / "launch.py").write_text(
        "import os, sys; print(os.environ['COMMANDLINE_ARGS'], sys.argv[1:], sys.flags.utf8_mode)"
    )
    (folder / "webui-user.sh").write_text('COMMANDLINE_ARGS="--listen"\n')
    done = subprocess.run(
        ["sh", str(folder / "webui.sh"), "--port", "1"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "--listen ['--port', '1'] 1"


@pytest.mark.skipif(os.name == "nt", reason="Debian")
@pytest.mark.parametrize("root", [True, False])
def test_chromium_a_cjk_font_and_ip_come_from_debian_where_we_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: bool
) -> None:
    """Debian is the outside world here: an apt-get that writes down what it was asked and leaves a browser behind."""
    tools = tmp_path / "bin"
    tools.mkdir()
    said = tmp_path / "said"
    leave = f"echo '#!/bin/sh' > '{tools}/chromium'; /bin/chmod +x '{tools}/chromium'"
    (tools / "apt-get").write_text(f"#!/bin/sh\necho \"$@\" >> '{said}'\ncase $1 in install) {leave} ;; esac\n")
    (tools / "fc-list").write_text("#!/bin/sh\n")
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho \"$@\" >> '{said}'\nexit 1\n")
    for script in (tools / "apt-get", tools / "fc-list", python):
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("MAPLE_CHROMIUM", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    if root:
        assert launch.provide_chromium(launch.Environment(tmp_path / "venv")) == str(tools / "chromium")
        assert (
            said.read_text()
            .splitlines()[-1]
            .endswith("--no-install-recommends chromium fontconfig fonts-noto-cjk iproute2")
        )
    else:
        with pytest.raises(launch.SetupFailed, match="Chromium"):
            launch.provide_chromium(launch.Environment(tmp_path / "venv"))
        assert said.read_text() == "-m playwright install chromium\n", "without root nothing is asked of Debian"


def test_a_named_chromium_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAPLE_CHROMIUM", "/somewhere/chrome")
    assert launch.find_chromium() == "/somewhere/chrome"


def test_ci_runs_exactly_the_command_of_the_readme() -> None:
    assert 'exec python launch.py --test "$@"' in (ROOT / ".ci/run").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.index("\npython launch.py\n") < readme.index("\npython launch.py --test\n") < 1500


def test_constraints_hold_names_and_exact_versions_and_every_requirement() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    pins = dict(map(launch.plain, lines))
    wanted = launch.Wanted.read(ROOT)
    for requirement in (*wanted.torch, *wanted.packages, *wanted.test):
        name, version = launch.plain(requirement)
        assert pins[name] == version
    assert not any(name.startswith(("nvidia-", "cuda-", "triton")) for name in pins), "a CPU build has none of them"


def test_every_dependency_says_why_it_is_there() -> None:
    block = re.search(
        r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert block
    for line in block[1].strip().splitlines():
        assert re.search(r'",\s+# \w', line), line
