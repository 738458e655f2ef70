"""Two hosts on a network of their own: the server on one, a browser on the other."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from tests.browser.conftest import FLAGS, PATIENCE, ROOT, Server, free_port, visit
from tests.browser.steps import generate, small_request
from tests.small import save_small_checkpoint

pytestmark = [
    pytest.mark.browser,
    pytest.mark.torch,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("ip") is None,
        reason="making a network of its own takes root and iproute2",
    ),
]

HERE, THERE = "10.231.77.1", "10.231.77.2"


@pytest.fixture(scope="module")
def other_host() -> Iterator[str]:
    """A network namespace joined to ours by a cable; its name."""
    name = f"maple-{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", "maple0", "type", "veth", "peer", "name", "maple1", "netns", name)
        ip("addr", "add", f"{HERE}/24", "dev", "maple0")
        ip("link", "set", "maple0", "up")
        ip("-n", name, "addr", "add", f"{THERE}/24", "dev", "maple1")
        ip("-n", name, "link", "set", "maple1", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)
        subprocess.run(["ip", "link", "delete", "maple0"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, other_host: str) -> Iterator[tuple[Server, str]]:
    """A server that listens, and the password it printed."""
    root = tmp_path_factory.mktemp("shared")
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "webui",
        "--listen",
        "--port",
        str(port),
        "--data-dir",
        str(root),
        "--language",
        "en",
    ]
    log = root / "server.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    try:
        password = None
        while password is None:
            assert process.poll() is None, log.read_text("utf-8")
            password = re.search(r"Password of this start: (\S+)", log.read_text("utf-8"))
        yield Server(url=f"http://{HERE}:{port}", root=root), password[1]
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def far_browser(
    playwright: Playwright, chromium_path: str | None, other_host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Chromium on the other host."""
    program = chromium_path or playwright.chromium.executable_path
    start = tmp_path_factory.mktemp("bin") / "chromium"
    start.write_text(f'#!/bin/sh\nexec ip netns exec {other_host} "{program}" "$@"\n')
    start.chmod(0o755)
    made = playwright.chromium.launch(executable_path=str(start), args=FLAGS)
    yield made
    made.close()


def test_a_second_machine_signs_in_generates_and_finds_its_picture_again(
    shared: tuple[Server, str], far_browser: Browser
) -> None:
    server, password = shared
    context = far_browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    answer = page.goto(server.url)
    assert answer is not None
    assert answer.status == 401
    assert "登录" in page.content()
    page.fill("input[type=password]", "not the password")
    page.press("input[type=password]", "Enter")
    page.wait_for_load_state()
    assert page.locator("#txt2img_generate").count() == 0
    page.fill("input[type=password]", password)
    page.press("input[type=password]", "Enter")
    page.wait_for_selector("#txt2img_generate")
    visit(page)
    small_request(page)
    job = generate(page)
    kept = context.storage_state()
    context.close()

    reopened = far_browser.new_context(locale="zh-CN", storage_state=kept)
    page = reopened.new_page()
    page.set_default_timeout(PATIENCE)
    visit(page, server.url)
    page.wait_for_function("id => maple.gallery.job?.id === id", arg=job["id"])
    assert page.locator("#txt2img_gallery img").count() >= 1
    reopened.close()


def test_a_machine_that_has_not_signed_in_gets_nothing(shared: tuple[Server, str], far_browser: Browser) -> None:
    server, _ = shared
    context = far_browser.new_context()
    for path in (
        "/",
        "/docs",
        "/openapi.json",
        "/internal/jobs",
        "/v1/jobs",
        "/sdapi/v1/sd-models",
        "/config",
        "/info",
    ):
        assert context.request.get(f"{server.url}{path}").status == 401, path
    for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert context.request.post(f"{server.url}/sdapi/v1/interrupt", headers=header).status == 403
    context.close()


def test_secrets_stay_out_of_the_log(shared: tuple[Server, str], far_browser: Browser) -> None:
    server, password = shared
    far_browser.new_context().request.get(f"{server.url}/?password={password}")
    lines = (server.root / "server.log").read_text("utf-8").splitlines()
    assert [line for line in lines if password in line and "Password of this start" not in line] == []
