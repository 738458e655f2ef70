"""The sign-in page in a real browser."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Playwright

from .little import Server

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def served(server: Server) -> Iterator[str]:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    running = uvicorn.Server(
        uvicorn.Config(server.app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium_path: str | None) -> Iterator[Browser]:
    opened = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
    yield opened
    opened.close()


def phone(browser: Browser, language: str) -> tuple[Page, list[str]]:
    page = browser.new_context(locale=language, viewport={"width": 360, "height": 640}, color_scheme="dark").new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return page, asked


def test_a_person_signs_in_on_a_phone_after_a_wrong_try_and_lands_where_they_were_going(browser: Browser) -> None:
    with served(Server("--gradio-auth 安娜:geheim")) as base:
        page, asked = phone(browser, "zh-CN")
        answer = page.goto(f"{base}/docs?a=1")
        assert answer is not None and answer.status == 401
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_label("用户名").fill("安娜")
        page.get_by_label("密码").fill("wrong")
        page.get_by_role("button", name="登录").click()
        assert page.get_by_role("alert").inner_text() == "用户名或密码不正确。"
        page.get_by_label("用户名").fill("安娜")
        page.get_by_label("密码").fill("geheim")
        page.get_by_role("button", name="登录").click()
        page.wait_for_url(f"{base}/docs?a=1")
        assert "drawing board" in page.inner_text("body")
        assert all(url.startswith((base, "data:")) for url in asked), "nothing leaves for elsewhere"


def test_the_link_of_the_qr_code_signs_in_and_leaves_no_password_behind(browser: Browser) -> None:
    server = Server("--listen")
    with served(server) as base:
        page, asked = phone(browser, "en-US")
        page.goto(f"{base}/#sign-in={server.accounts.one_time}")
        page.get_by_text("drawing board").wait_for()
        assert server.accounts.one_time not in page.url
        assert not any(server.accounts.one_time in url.split("#")[0] for url in asked)
