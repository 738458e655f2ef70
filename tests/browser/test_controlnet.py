"""ControlNet as people use it: a drawing goes into a unit, its map is looked at, and the job carries the unit."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page

from tests.browser.conftest import Open, Server, running
from tests.browser.steps import drop, generate, small_request
from tests.small import save_small_checkpoint, save_small_control

pytestmark = [pytest.mark.browser, pytest.mark.torch]

MODEL = "control_v11p_small_canny"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a small checkpoint and a small ControlNet for it, and two units."""
    root = tmp_path_factory.mktemp("controls")
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    save_small_control(root / "models" / "ControlNet" / f"{MODEL}.safetensors")
    save_small_control(root / "models" / "ControlNet" / "control_v11p_small_depth.safetensors", seed=6)
    (root / "config.json").write_text(json.dumps({"control_net_unit_count": 2}), "utf-8")
    with running(root) as made:
        yield made


def drawing(width: int = 64, height: int = 64) -> bytes:
    body = io.BytesIO()
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).ellipse((12, 12, 50, 50), outline="black", width=3)
    image.save(body, "PNG")
    return body.getvalue()


def base(tab: str = "txt2img", number: int = 0) -> str:
    return f"{tab}_controlnet_ControlNet-{number}"


def control(suffix: str, tab: str = "txt2img", number: int = 0) -> str:
    return f"#{base(tab, number)}_controlnet_{suffix}"


def open_units(page: Page, tab: str = "txt2img") -> None:
    if tab != "txt2img":
        page.locator(f"#tab_{tab}-button").last.click()
    page.locator(f"#{tab}_controlnet .cn-head").click()
    page.wait_for_selector(control("enable_checkbox", tab))


def give(page: Page, tab: str = "txt2img", number: int = 0) -> None:
    """Drop the drawing on a unit's canvas."""
    page.wait_for_selector(f"#{base(tab, number)}_input_image .maple-canvas")
    drop(page, f"#{base(tab, number)}_input_image .maple-canvas", "line.png", drawing())
    page.wait_for_function(f"maple.canvas.get('{base(tab, number)}_input_image_canvas').file")


def choose_type(page: Page, name: str, tab: str = "txt2img", number: int = 0) -> None:
    page.locator(f"{control('type_filter_radio', tab, number)} input[value='{name}']").click()


def offered(page: Page, suffix: str) -> list[str]:
    return page.locator(f"{control(suffix)} option").evaluate_all("all => all.map(each => each.value)")


def unit(page: Page, tab: str = "txt2img", number: int = 0) -> dict[str, Any]:
    return page.evaluate(
        "([tab, number]) => maple.controlnet.units(tab).then(all => all[number].values)", [tab, number]
    )


def pixels(page: Page, selector: str) -> Any:
    body = page.evaluate(
        """async selector => {
            const answer = await fetch(document.querySelector(selector).src);
            return [...new Uint8Array(await answer.arrayBuffer())];
        }""",
        selector,
    )
    return np.asarray(Image.open(io.BytesIO(bytes(body))).convert("L"))


def test_a_drawing_in_unit_0_goes_with_the_job_and_its_map_stands_after_the_picture(opened: Open) -> None:
    page = opened("en")
    small_request(page, steps=2)
    open_units(page)
    assert page.locator("#txt2img_controlnet_tabs [role=tab]").all_inner_texts() == [
        "ControlNet Unit 0", "ControlNet Unit 1",
    ]  # fmt: skip
    give(page)
    choose_type(page, "Canny")
    page.locator(f"{control('enable_checkbox')} input").check()
    assert page.locator("#txt2img_controlnet_tabs [role=tab]").first.inner_text() == "ControlNet Unit 0 [Canny]"
    made = generate(page)
    assert len(made["pictures"]) == 2
    assert "Module: canny" in made["pictures"][0]["infotext"]
    assert f"Model: {MODEL}" in made["pictures"][0]["infotext"]
    guided = made["pictures"][0]["infotext"]
    # Pasted, it fills the unit again.
    page.locator(f"{control('enable_checkbox')} input").uncheck()
    page.locator(f"{control('control_weight_slider')} input[type=number]").fill("0.3")
    page.locator(f"{control('control_weight_slider')} input[type=number]").press("Tab")
    assert unit(page)["weight"] == 0.3
    page.locator("#txt2img_prompt textarea").fill(guided)
    page.locator("#paste").click()
    page.wait_for_function(
        "() => maple.controlnet.units('txt2img').then(all => all[0].values.enabled && all[0].values.weight === 1)"
    )
    found = unit(page)
    assert (found["module"], found["model"].split(" ")[0], found["threshold_a"]) == ("canny", MODEL, 100)


def test_a_type_narrows_preprocessors_and_models(opened: Open) -> None:
    page = opened("en")
    open_units(page)
    assert len(offered(page, "preprocessor_dropdown")) > 20
    choose_type(page, "Canny")
    assert offered(page, "preprocessor_dropdown") == ["none", "canny", "invert"]
    assert [name.split(" ")[0] for name in offered(page, "model_dropdown")] == ["None", MODEL]
    assert (unit(page)["module"], unit(page)["model"].split(" ")[0]) == ("canny", MODEL)
    low = page.locator(f"{control('threshold_A_slider')} input[type=number]")
    assert (low.input_value(), low.get_attribute("min"), low.get_attribute("max")) == ("100", "1", "255")
    assert page.locator(f"{control('threshold_A_slider')} label span").inner_text() == "Low Threshold"
    page.locator(f"{control('preprocessor_dropdown')} select").select_option("invert")
    assert not page.locator(control("threshold_A_slider")).is_visible()
    choose_type(page, "Reference")
    assert not page.locator(control("model_dropdown")).is_visible()
    choose_type(page, "SoftEdge")
    assert "table5_pidinet.pth" in page.locator(".cn-missing").inner_text()


def test_the_preview_shows_the_map_and_hides_again(opened: Open) -> None:
    page = opened("en")
    open_units(page)
    give(page)
    choose_type(page, "Canny")
    page.locator(control("trigger_preprocessor")).click()
    image = f"#{base()}_generated_image img"
    page.wait_for_selector(image)
    seen = pixels(page, image)
    assert set(np.unique(seen)) <= {0, 255}
    assert 0.002 < (seen > 0).mean() < 0.1
    assert page.locator(control("preview_as_input_checkbox")).is_visible()
    page.locator(f"{control('preprocessor_preview_checkbox')} input").uncheck()
    assert not page.locator(image).is_visible()


def test_a_map_goes_from_the_controlnet_tab_into_a_unit_of_img2img(opened: Open) -> None:
    page = opened("en")
    page.locator("#tab_controlnet-button").last.click()
    page.wait_for_selector("#controlnet_page_image .maple-canvas")
    drop(page, "#controlnet_page_image .maple-canvas", "line.png", drawing())
    page.wait_for_function("maple.canvas.get('controlnet_page_canvas').file")
    page.locator("#controlnet_page_type_filter_radio input[value=Canny]").click()
    page.locator("#controlnet_page_run").click()
    page.wait_for_selector("#controlnet_page_map img")
    page.locator("#controlnet_page_unit select").select_option("img2img 1")
    page.locator("#controlnet_page_send").click()
    page.wait_for_function("maple.canvas.get('img2img_controlnet_ControlNet-1_input_image_canvas').file")
    page.wait_for_selector(control("enable_checkbox", "img2img", 1))
    found = unit(page, "img2img", 1)
    assert (found["enabled"], found["module"], found["type"], found["independent"]) == (True, "none", "Canny", True)


def test_what_cannot_be_is_said_and_the_unit_stays_as_it_was(opened: Open) -> None:
    page = opened("en")
    open_units(page)
    choose_type(page, "Canny")
    page.locator(f"{control('enable_checkbox')} input").check()
    before = unit(page)
    page.locator("#txt2img_generate").click()
    page.wait_for_selector("#maple_notes .bad")
    assert "ControlNet unit 0 has no picture" in page.locator("#maple_notes").inner_text()
    drop(page, f"#{base()}_input_image .maple-canvas", "text.png", b"no picture")
    page.wait_for_function("document.querySelector('#maple_notes').innerText.includes('cannot open')")
    assert unit(page) == before


def test_units_are_drawn_when_they_are_opened_and_no_sooner(opened: Open) -> None:
    page = opened("en", width=390)
    assert page.locator(control("enable_checkbox")).count() == 0
    open_units(page)
    assert page.locator(control("enable_checkbox")).count() == 1
    assert page.locator(control("enable_checkbox", number=1)).count() == 0
    page.locator("#txt2img_controlnet_tabs [role=tab]").first.press("ArrowRight")
    page.wait_for_selector(control("enable_checkbox", number=1))
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 1
