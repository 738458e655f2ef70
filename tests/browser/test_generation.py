"""Hires. fix, Refiner, ✨ and what leaves the tab: the parts of the form that go beyond one pass."""

import itertools

import pytest

from tests.browser.conftest import PATIENCE, Open
from tests.browser.steps import choose, form, generate, holds, put, small_request
from webui.catalog.upscalers import hires_size
from webui.domain import Hires

pytestmark = [pytest.mark.browser, pytest.mark.torch]


def test_hires_fix_opens_with_its_box_and_says_what_it_comes_to(opened: Open) -> None:
    page = opened("en-US")
    put(page, "txt2img_width", 512)
    put(page, "txt2img_height", 768)
    body = page.locator("#txt2img_hr .accordion-body")
    assert not body.is_visible()
    page.locator("#txt2img_hr .accordion-head").click(position={"x": 250, "y": 8})
    body.wait_for()
    holds(page, {"txt2img_hr-checkbox": True})
    put(page, "txt2img_hr_scale", 1.5)
    page.get_by_text("from 512×768 to 768×1152").wait_for()
    assert not page.locator("#hr_sampler").is_visible()
    text = "a cat\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 12, Size: 64x64, Denoising strength: 0.4, "
    page.locator("#txt2img_prompt textarea").fill(
        f"{text}Hires sampler: DDIM, Hires prompt: a dog, Hires upscale: 2, Hires steps: 3, Hires upscaler: Lanczos"
    )
    page.locator("#paste").click()
    holds(
        page,
        {
            "txt2img_hr-checkbox": True, "txt2img_hr_upscaler": "Lanczos", "txt2img_hires_steps": 3,
            "txt2img_denoising_strength": 0.4, "hr_sampler": "DDIM", "hires_prompt": "a dog",
        },
    )  # fmt: skip
    page.get_by_text("from 64×64 to 128×128").wait_for()
    # What was pasted is seen, though the settings hide these rows.
    page.locator("#hr_sampler").wait_for()
    page.locator("#hires_prompt").wait_for()
    page.locator("#txt2img_hr-checkbox input").uncheck()
    body.wait_for(state="hidden")


def test_the_page_reckons_the_second_pass_as_the_engine_does(opened: Open) -> None:
    page = opened("en-US")
    cases = [
        {"scale": scale, "wide": wide, "tall": tall, "width": width, "height": height}
        for scale, (wide, tall), (width, height) in itertools.product(
            (1.0, 1.55, 2.0, 3.3), ((0, 0), (1024, 0), (0, 600), (1000, 1000), (600, 1536)), ((512, 768), (448, 64))
        )
    ]
    said = page.evaluate("cases => cases.map(maple.accordions.size)", cases)
    meant = [
        list(hires_size(Hires(scale=c["scale"], width=c["wide"], height=c["tall"]), c["width"], c["height"])[0])
        for c in cases
    ]
    assert said == meant


def test_a_picture_is_upscaled_in_its_place_and_goes_on_to_img2img(opened: Open) -> None:
    page = opened("en-US")
    small_request(page, steps=2, count=2, seed=70)
    made = generate(page)
    shown = len(made["pictures"])
    page.locator("#txt2img_prompt textarea").fill("something else")
    page.locator("#txt2img_gallery .thumbnail-item").nth(shown - 1).click()
    page.locator("#txt2img_upscale").click()
    page.wait_for_function("maple.gallery.job.edition === 1", timeout=PATIENCE)
    pictures = page.evaluate("maple.gallery.job.pictures")
    assert len(pictures) == shown
    assert (pictures[-1]["width"], pictures[-1]["height"], pictures[-1]["seed"]) == (128, 128, 71)
    assert pictures[-1]["infotext"].startswith("a red circle\n")
    assert "Hires upscale: 2" in pictures[-1]["infotext"]
    page.locator("#txt2img_send_to_inpaint").click()
    page.locator("#img2img_inpaint_tab").wait_for()
    holds(page, {"img2img_prompt": "a red circle", "img2img_width": 128, "img2img_seed": 71}, tab="img2img")


def test_a_refiner_is_asked_for_by_name_and_refreshed(opened: Open) -> None:
    page = opened("en-US")
    small_request(page, steps=4)
    page.locator("#txt2img_enable-checkbox input").check()
    page.locator("#txt2img_checkpoint").wait_for()
    choose(page, "txt2img_checkpoint", "small")
    put(page, "txt2img_switch_at", 0.5)
    assert form(page)["txt2img_enable-checkbox"] is True
    made = generate(page)
    assert "Refiner: small" in made["pictures"][0]["infotext"]


def test_every_button_is_within_a_phones_window(opened: Open) -> None:
    page = opened("zh-CN", width=390, height=844)
    cut_off = """() => [...document.querySelectorAll("#tab_txt2img button")].filter(button => {
        const box = button.getBoundingClientRect();
        return box.width && (box.right > innerWidth + 1 || box.left < -1);
    }).map(button => button.id || button.className)"""
    assert page.evaluate(cut_off) == []
