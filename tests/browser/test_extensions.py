"""Extensions in a browser: the ratio bar moves the sliders; turned off, it is gone after a restart from the page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PATIENCE, running, visit
from tests.browser.steps import holds, put
from tests.small import save_small_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.torch]


def test_the_ratio_bar_shapes_the_picture_and_goes_when_it_is_turned_off(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "扩展 (1)"
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    with running(root, "--skip-load-model-at-start") as server:
        page = browser.new_page(locale="zh-CN", viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(PATIENCE)
        visit(page, server.url)
        put(page, "txt2img_width", 512)
        put(page, "txt2img_height", 512)
        bar = page.locator("#txt2img_ratio_bar")
        bar.get_by_role("button", name="16:9").click()
        holds(page, {"txt2img_width": 680, "txt2img_height": 384})
        bar.get_by_role("button", name="⇅").click()
        bar.get_by_role("button", name="9:16").click()
        holds(page, {"txt2img_width": 384, "txt2img_height": 680})

        page.locator("#tab_extensions-button").last.click()
        page.locator("#extension_maple-ratio-bar input").uncheck()
        assert "画面比例" in page.locator("#extension_maple-ratio-bar").inner_text()
        with page.expect_event("load"):
            page.locator("#extensions_restart").click()
        page.wait_for_function("window.maple && maple.form && maple.form.ready")
        expect(page.locator("#txt2img_width")).to_be_visible()
        expect(bar).to_have_count(0)
        page.close()
