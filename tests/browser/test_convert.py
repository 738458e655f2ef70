"""The Models tab as people use it."""

import pytest

from tests.browser.conftest import PATIENCE, Open, Server

pytestmark = [pytest.mark.browser, pytest.mark.torch]


def test_a_model_is_converted_and_listed(server: Server, opened: Open) -> None:
    page = opened("zh-CN")
    page.locator("#tab_models-button").last.click()
    page.locator("#convert_start").wait_for()
    assert page.locator("#convert_start").inner_text() == "转换"
    page.locator("#convert_model").select_option("small.safetensors")
    page.locator("#convert_to").select_option("pickle")
    page.locator("#convert_name").fill("转换 后")
    page.locator("#convert_start").click()
    said = page.locator("#convert_said")
    page.wait_for_function("document.querySelector('#convert_said').textContent.includes('已转换')", timeout=PATIENCE)
    assert "转换 后.ckpt" in said.inner_text()
    assert (server.root / "models" / "Stable-diffusion" / "转换 后.ckpt").stat().st_size > 1_000_000
    # Listed at once, and not written over when asked again.
    assert "转换 后.ckpt" in page.locator("#convert_model").inner_text()
    assert page.locator("#convert_name").input_value() == "转换 后"
    page.locator("#convert_start").click()
    page.wait_for_function("document.querySelector('#convert_said').textContent.includes('已存在')", timeout=PATIENCE)
    # The gallery of pictures has nothing to do with it.
    assert page.locator("#txt2img_generate_box.running").count() == 0
