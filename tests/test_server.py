"""The whole server as a process: started, killed, started again."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.small import save_small_checkpoint

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`python -m webui` on a free port; what it prints is kept."""

    def __init__(self, root: Path, *flags: str) -> None:
        self.port = free_port()
        self.log = root / f"server-{self.port}.log"
        command = [sys.executable, "-m", "webui", "--port", str(self.port), "--data-dir", str(root), *flags]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env=os.environ | {"LC_ALL": "C.UTF-8"}
            )
        self.until(lambda: self.status("/v1/jobs") in (200, 401))

    def until(self, there: Any, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not there():
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert time.monotonic() < end, self.log.read_text("utf-8")
            time.sleep(0.1)

    def ask(self, path: str, body: Any = None, **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"content-type": "application/json", **headers}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def status(self, path: str, **headers: str) -> int:
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, OSError):
            return 0

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_small_checkpoint(tmp_path / "models" / "Stable-diffusion" / "small.safetensors")
    return tmp_path


@pytest.fixture
def serve(root: Path) -> Iterator[Any]:
    started: list[Server] = []

    def start(*flags: str) -> Server:
        started.append(Server(root, *flags))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)


LONG = {"prompt": "a", "steps": 30, "sampler": "Euler", "width": 64, "height": 64, "seed": 5, "batch_count": 2}


def test_kill_nine_in_mid_picture_and_the_job_is_there_after_the_restart(serve: Any) -> None:
    first = serve()
    job = first.ask("/v1/jobs", LONG)["id"]
    first.until(lambda: first.ask(f"/v1/jobs/{job}")["step"] >= 3)
    waiting = first.ask("/v1/jobs", LONG | {"steps": 2, "batch_count": 1})["id"]
    first.end(signal.SIGKILL)
    second = serve()
    second.until(lambda: second.ask(f"/v1/jobs/{waiting}")["state"] == "done")
    done = second.ask(f"/v1/jobs/{job}")
    assert done["state"] == "done"
    assert [each["seed"] for each in done["pictures"]] == [5, 5, 6]  # the grid first
    assert second.status(f"/v1/jobs/{job}/pictures/1") == 200


def test_a_polite_end_is_quick_and_keeps_the_running_job(serve: Any) -> None:
    first = serve()
    job = first.ask("/v1/jobs", LONG | {"steps": 1000})["id"]
    first.until(lambda: first.ask(f"/v1/jobs/{job}")["step"] >= 1)
    assert first.end(signal.SIGINT) in (0, -signal.SIGINT, 130)
    second = serve()
    second.until(lambda: second.ask(f"/v1/jobs/{job}")["state"] == "running")
    second.ask(f"/v1/jobs/{job}/stop", {})


def test_listening_without_accounts_prints_a_password_and_lets_nobody_else_in(serve: Any) -> None:
    import base64

    server = serve("--listen", "--language", "en")
    server.until(lambda: "Password of this start" in server.log.read_text("utf-8"))
    text = server.log.read_text("utf-8")
    password = re.search(r"Password of this start: (\S+)", text)
    assert password
    assert "█" in text or "▀" in text  # the QR code
    for path in ("/", "/docs", "/openapi.json", "/v1/jobs", "/sdapi/v1/options", "/internal/jobs", "/config"):
        assert server.status(path) == 401
    signed = base64.b64encode(f"maple:{password[1]}".encode()).decode()
    statuses = {
        server.status("/v1/jobs", Authorization=f"Basic {signed}"),
        server.status("/v1/jobs", Authorization="Basic eDp5"),
    }
    assert statuses == {200, 401}
