"""A server as people start it, and a Chromium that looks at it. A missing browser fails; it never skips."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.small import save_small_checkpoint

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 120_000
"""Milliseconds a test waits for a picture: the first one loads torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server: where it answers, and where its files lie."""

    url: str
    root: Path

    def pictures(self) -> list[Path]:
        """What it saved, oldest first."""
        return sorted((self.root / "outputs").rglob("*.png"), key=lambda path: path.stat().st_mtime_ns)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`python -m webui` with a folder of its own, a small seeded checkpoint, and the project's own demo beside it."""
    root = tmp_path_factory.mktemp("绘画 工具(1)")
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    with running(root, "--ckpt-dir", str(ROOT / "models" / "Stable-diffusion")) as made:
        yield made


@contextmanager
def running(root: Path, *flags: str) -> Iterator[Server]:
    """A server over `root` that ends with the block. Raises AssertionError with its log when it does not answer."""
    port = free_port()
    command = [sys.executable, "-m", "webui", "--port", str(port), "--data-dir", str(root), *flags]
    environment = {name: value for name, value in os.environ.items() if name != "COMMANDLINE_ARGS"}
    log = (root / "server.log").open("w", encoding="utf-8")
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url, process, root / "server.log")
        yield Server(url=url, root=root)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/internal/choices", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # a sign-in is an answer too
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"the server does not answer:\n{log.read_text('utf-8', 'replace')[-4000:]}")


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium_path: str | None) -> Iterator[Browser]:
    made = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
    yield made
    made.close()


@dataclass(slots=True)
class Watch:
    """What went wrong in a browser while a test looked on."""

    host: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Parts of console errors that the test means to cause."""

    def over(self, context: BrowserContext) -> None:
        context.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("request", lambda asked: self._request(asked.url))

    def _request(self, url: str) -> None:
        if not re.match(rf"(https?|ws)://{re.escape(self.host)}/|data:|blob:|about:", url):
            self.foreign.append(url)

    @property
    def faults(self) -> list[str]:
        return [error for error in self.errors if not any(part in error for part in self.expected)]


@pytest.fixture
def watch(server: Server) -> Iterator[Watch]:
    """Fails a test at its end for every console error and every request that left the machine."""
    made = Watch(server.url.split("//")[1])
    yield made
    assert made.foreign == []
    assert made.faults == []


Open = Callable[..., Page]


@pytest.fixture
def opened(server: Server, browser: Browser, watch: Watch) -> Iterator[Open]:
    """Open the page as somebody would: `opened("zh-CN", width=390)`. Each call is another person, another browser."""
    contexts: list[BrowserContext] = []

    def open_page(
        locale: str = "zh-CN", *, width: int = 1440, height: int = 1000, query: str = "", **more: Any
    ) -> Page:
        context = browser.new_context(locale=locale, viewport={"width": width, "height": height}, **more)
        contexts.append(context)
        watch.over(context)
        page = context.new_page()
        page.set_default_timeout(90_000)  # a busy machine is slow, not wrong
        visit(page, f"{server.url}/{query}")
        return page

    yield open_page
    for context in contexts:
        context.close()


def visit(page: Page, url: str | None = None) -> None:
    """Go there (or load again) and wait until the form has its lists and what was kept of it."""
    if url is None:
        page.reload()
    else:
        page.goto(url)
    page.wait_for_selector("#txt2img_generate")
    page.wait_for_function("document.querySelector('#setting_sd_model_checkpoint input')?.value && maple.form.ready")
