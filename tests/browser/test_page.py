"""The page as people see it: both languages, both themes, wide and narrow, and its tools."""

import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, TimeoutError

from tests.browser.conftest import Open, Server, running, visit
from tests.browser.steps import choose, form, generate, holds, kept, put, small_request
from webui.ui.places import PLACES, built

pytestmark = [pytest.mark.browser, pytest.mark.torch]

TABS = ("txt2img", "img2img", "extras", "pnginfo", "controlnet", "models", "settings", "extensions")


def tab(page: Page, name: str) -> None:
    page.locator(f"#tab_{name}-button").last.click()
    page.locator(f"#tab_{name}").wait_for()


def test_english_labels_are_never_seen_by_a_chinese_browser(server: Server, browser: Any, watch: Any) -> None:
    context = browser.new_context(locale="zh-CN")
    watch.over(context)
    page = context.new_page()
    page.add_init_script(
        """window.flashes = [];
        (function look() {
            const button = document.querySelector("#txt2img_generate");
            if (button && button.innerText.trim()) window.flashes.push(button.innerText.trim());
            requestAnimationFrame(look);
        })();"""
    )
    visit(page, server.url)
    page.wait_for_timeout(500)
    assert set(page.evaluate("window.flashes")) == {"生成"}
    context.close()


def test_the_language_switches_both_ways_and_is_remembered(opened: Open) -> None:
    page = opened("zh-CN")
    button = page.locator("#txt2img_generate")
    hint = page.locator("#txt2img_prompt textarea")
    assert button.inner_text() == "生成"
    page.locator("#maple_language").click()
    assert button.inner_text() == "Generate"
    assert (hint.get_attribute("placeholder") or "").startswith("Prompt")
    visit(page)
    assert button.inner_text() == "Generate"
    page.locator("#maple_language").click()
    assert button.inner_text() == "生成"
    assert (hint.get_attribute("placeholder") or "").startswith("提示词")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_what_people_write_is_never_translated(opened: Open) -> None:
    page = opened("zh-CN")
    small_request(page, text="Settings", steps=1)
    generate(page)
    assert page.locator("#txt2img_prompt textarea").input_value() == "Settings"
    assert page.locator("#html_info_txt2img .infotext p").inner_text().startswith("Settings")


def test_a_community_table_can_be_added(opened: Open) -> None:
    page = opened("zh-CN")
    page.evaluate("maple.language.add('zh-CN', {Generate: '出图'})")
    assert page.locator("#txt2img_generate").inner_text() == "出图"


def test_dark_and_light_follow_the_system_the_address_and_the_switch(opened: Open) -> None:
    dark = "document.body.classList.contains('dark')"
    assert opened(color_scheme="dark").evaluate(dark)
    assert not opened(color_scheme="light").evaluate(dark)
    page = opened(color_scheme="light", query="?__theme=dark")
    assert page.evaluate(dark)
    page.locator("#maple_theme").click()
    assert not page.evaluate(dark)
    page = opened(color_scheme="light")
    page.locator("#maple_theme").click()
    visit(page)
    assert page.evaluate(dark)


@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_nothing_is_wider_than_the_window(opened: Open, locale: str) -> None:
    page = opened(locale, width=390, height=844)
    for name in TABS:
        tab(page, name)
        for width in (390, 768, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            try:
                page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth", timeout=5_000)
            except TimeoutError:
                raise AssertionError(f"{name} is wider than {width} pixels") from None


OPEN_NEXT = """([inside, clicked]) => {
    const found = [...document.querySelectorAll(`#${inside} [role=tab][id], #${inside} button.label-wrap:not(.open)`)]
        .filter(button => button.getClientRects().length)
        .map(button => [button.id || button.parentElement.id, button]).findLast(([id]) => id && !clicked.includes(id));
    found?.[1].click();
    return found ? [found[0]] : [];
}"""


def missing(tab_name: str, ids: set[str]) -> list[str]:
    """Ids of a tab's own places that are not among `ids`."""
    inside = {f"tab_{tab_name}"}
    for place in PLACES:
        if place.inside in inside:
            inside.add(place.id)
    return [place.id for place in PLACES if place.built and place.id in inside and place.id not in ids]


def test_every_built_place_is_in_the_document(opened: Open) -> None:
    page = opened("en-US")
    ids: set[str] = set()
    collect = "[...document.querySelectorAll('[id]')].map(element => element.id)"
    page.locator("#txt2img_styles_edit_button").click()
    ids |= set(page.evaluate(collect))
    page.locator("#txt2img_edit_style_close").click()
    for name in TABS:
        tab(page, name)
        until, clicked = time.monotonic() + 150, set[str]()
        # What is in a closed tab or accordion is not in the document: each is opened once, the inner ones first.
        while missing(name, ids) and time.monotonic() < until:
            ids |= set(page.evaluate(collect))
            clicked |= set(page.evaluate(OPEN_NEXT, [f"tab_{name}", [*clicked]]))
            page.wait_for_timeout(150)
            ids |= set(page.evaluate(collect))
    assert [name for name in built() if name not in ids] == []


def test_elements_answer_to_the_selectors_scripts_use(opened: Open) -> None:
    page = opened("en-US")
    for selector in (
        "#txt2img_prompt textarea", "#txt2img_neg_prompt textarea", "#txt2img_steps input[type=number]",
        "#txt2img_steps input[type=range]", "#txt2img_seed input[type=number]", "button#txt2img_generate",
        "#txt2img_sampling input", "#txt2img_tiling input[type=checkbox]", "button#paste", "#tabs button[role=tab]",
    ):  # fmt: skip
        assert page.locator(selector).count() >= 1, selector
    page.evaluate(
        """() => {
            const area = document.querySelector("#txt2img_prompt textarea");
            area.value = "set by a script";
            area.dispatchEvent(new Event("input", {bubbles: true}));
        }"""
    )
    assert form(page)["txt2img_prompt"] == "set by a script"


def test_a_models_own_size_is_offered_and_never_overwrites_a_typed_one(opened: Open) -> None:
    page = opened("en-US")
    page.wait_for_function("maple.form.lists.checkpoints.some(model => model.offers.width < 512)", timeout=30_000)
    demo = page.evaluate("maple.form.lists.checkpoints.find(model => model.offers.width < 512)")
    choose(page, "setting_sd_model_checkpoint", "small")
    kept(page, "setting_sd_model_checkpoint", demo["name"])
    page.wait_for_function(
        "width => document.querySelector('#txt2img_width input[type=number]').value == width",
        arg=demo["offers"]["width"],
    )
    put(page, "txt2img_width", 192)
    kept(page, "setting_sd_model_checkpoint", "small")
    kept(page, "setting_sd_model_checkpoint", demo["name"])
    assert form(page)["txt2img_width"] == 192


def test_quick_settings_are_kept_on_the_server(opened: Open) -> None:
    page = opened("en-US")
    kept(page, "setting_CLIP_stop_at_last_layers", 2)
    other = opened("en-US")
    assert form(other)["setting_CLIP_stop_at_last_layers"] == 2
    kept(other, "setting_CLIP_stop_at_last_layers", 1)


def test_token_counters_count(opened: Open) -> None:
    page = opened()
    page.locator("#txt2img_prompt textarea").fill("a red circle")
    page.wait_for_function("document.querySelector('#txt2img_token_counter').innerText.trim() === '3/75'")
    page.locator("#txt2img_neg_prompt textarea").fill("cat " * 76)
    page.wait_for_function("document.querySelector('#txt2img_negative_token_counter').innerText.trim() === '76/150'")


def test_weights_change_by_key(opened: Open) -> None:
    page = opened()
    area = page.locator("#txt2img_prompt textarea")

    def after(text: str, start: int, end: int, *keys: str) -> str:
        area.fill(text)
        area.evaluate("(box, [start, end]) => box.setSelectionRange(start, end)", [start, end])
        for key in keys:
            area.press(key)
        return area.input_value()

    assert after("a red circle", 3, 3, "Control+ArrowUp") == "a (red:1.1) circle"
    assert after("a red circle", 2, 12, "Control+ArrowUp", "Control+ArrowUp") == "a (red circle:1.2)"
    assert after("a red circle", 3, 3, "Control+ArrowDown") == "a (red:0.9) circle"
    assert after("a (red:1.1) circle", 4, 4, "Control+ArrowDown") == "a red circle"
    assert after("<lora:x:0.8>", 3, 3, "Control+ArrowUp") == "<lora:x:0.85>"
    assert after("cat, dog, bird", 6, 6, "Alt+ArrowLeft") == "dog, cat, bird"
    assert form(page)["txt2img_prompt"] == "dog, cat, bird"


def test_styles_are_made_applied_and_deleted(opened: Open) -> None:
    page = opened("en-US")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#txt2img_prompt textarea").fill("a cat")
    page.locator("#txt2img_styles_edit_button").click()
    page.locator("#txt2img_styles_edit_select").fill("油画")
    page.locator("#txt2img_edit_style_prompt").fill("oil painting of {prompt}")
    page.locator("#txt2img_edit_style_neg_prompt").fill("blurry")
    page.locator("#txt2img_edit_style_save").click()
    page.locator(".maple-note.good").first.wait_for()
    page.locator("#txt2img_edit_style_close").click()
    choose(page, "txt2img_styles", "油画")
    page.keyboard.press("Escape")
    assert form(page)["txt2img_styles"] == ["油画"]
    page.locator("#txt2img_style_apply").click()
    page.wait_for_function("document.querySelector('#txt2img_prompt textarea').value === 'oil painting of a cat'")
    values = form(page)
    assert (values["txt2img_neg_prompt"], values["txt2img_styles"]) == ("blurry", [])
    page.locator("#txt2img_styles_edit_button").click()
    page.locator("#txt2img_styles_edit_select").fill("油画")
    page.locator("#txt2img_edit_style_delete").click()
    page.wait_for_function("maple.form.lists.styles.length === 0")
    page.locator("#txt2img_edit_style_close").click()


def test_tools_of_the_form(opened: Open) -> None:
    page = opened("en-US")
    page.on("dialog", lambda dialog: dialog.accept())
    small_request(page, steps=1, seed=-1)
    put(page, "txt2img_width", 128)
    page.locator("#txt2img_res_switch_btn").click()
    holds(page, {"txt2img_width": 64, "txt2img_height": 128})
    made = generate(page)
    page.locator("#txt2img_reuse_seed").click()
    holds(page, {"txt2img_seed": made["pictures"][0]["seed"]})
    page.locator("#txt2img_random_seed").click()
    holds(page, {"txt2img_seed": -1})
    page.locator("#txt2img_subseed_show input").check()
    page.locator("#txt2img_subseed_strength").wait_for()
    page.locator("#txt2img_clear_prompt").click()
    page.wait_for_function("document.querySelector('#txt2img_prompt textarea').value === ''")
    page.locator("#paste").click()
    page.wait_for_function("document.querySelector('#txt2img_prompt textarea').value === 'a red circle'")
    holds(page, {"txt2img_seed": made["pictures"][0]["seed"]})


def test_what_an_infotext_asks_of_the_settings_becomes_an_override(opened: Open) -> None:
    page = opened("en-US")
    assert not page.locator("#txt2img_override_settings").is_visible()
    text = "a cat\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 12, Size: 128x96, Clip skip: 3, RNG: NV"
    page.locator("#txt2img_prompt textarea").fill(text)
    page.locator("#paste").click()
    page.wait_for_function("document.querySelector('#txt2img_prompt textarea').value === 'a cat'")
    holds(
        page,
        {
            "txt2img_override_settings": ["Clip skip: 3", "RNG: NV"],
            "txt2img_sampling": "Euler",
            "txt2img_width": 128,
            "txt2img_height": 96,
        },
    )
    page.locator("#txt2img_override_settings").wait_for()


def test_many_pictures_are_walked_through_by_key(opened: Open) -> None:
    page = opened("en-US")
    small_request(page, steps=1, count=4)
    made = generate(page)
    shown = len(made["pictures"])
    assert page.locator("#txt2img_gallery .thumbnail-item").count() == shown
    page.locator("#txt2img_gallery .thumbnail-item").first.click()
    page.locator("#txt2img_gallery .preview img").click()
    box = page.locator("#lightboxModal")
    box.wait_for()
    assert box.locator(".count").inner_text() == f"1 / {shown}"
    page.keyboard.press("ArrowRight")
    assert box.locator(".count").inner_text() == f"2 / {shown}"
    page.keyboard.press("Escape")
    box.wait_for(state="detached")
    assert page.evaluate("maple.gallery.selected") == 1
    page.locator("#save_txt2img").click()
    link = page.locator("#download_files_txt2img a")
    link.wait_for()
    assert link.count() == 1
    with page.expect_download() as download:
        link.click()
    with Image.open(download.value.path()) as picture:
        assert "Steps: 1" in picture.info["parameters"]
    page.locator("#save_zip_txt2img").click()
    archive = page.locator("#download_files_txt2img a[href*='/zip']")
    archive.wait_for()
    assert page.locator("#download_files_txt2img a").count() == shown + 1
    with page.expect_download() as download:
        archive.click()
    assert download.value.suggested_filename.endswith(".zip")


def test_what_may_differ_stands_under_a_paste_with_buttons_that_put_it_right(opened: Open) -> None:
    page = opened("en-US")
    text = "a cat\nSteps: 5, Sampler: Euler, Seed: 8, Size: 64x64, Model hash: 0123456789, Model: gone, Version: 1.10.1"
    page.locator("#txt2img_prompt textarea").fill(text)
    page.locator("#paste").click()
    found = page.locator("#txt2img_differences .differences li")
    found.first.wait_for()
    assert "“gone”" in found.first.inner_text() and "0123456789" in found.first.inner_text()
    page.locator("#txt2img_differences button", has_text="RNG: CPU").click()
    page.locator("#txt2img_differences li.done").wait_for()
    assert page.evaluate("maple.form.read('txt2img').then((now) => now.txt2img_override_settings)") == ["RNG: CPU"]
    assert page.locator("#txt2img_differences li.small").count() >= 1


def test_a_hundred_pictures_are_drawn_once_and_fetched_whole_when_opened(opened: Open, watch: Any) -> None:
    watch.expected.append("404")
    page = opened("en-US")
    small_request(page, steps=1)
    generate(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/internal/picture/" in request.url else None)
    page.evaluate(
        """() => {
            const job = structuredClone(maple.gallery.job);
            job.id += "x";  // nothing of it is kept by the browser: all that is asked for is counted
            const [one] = job.pictures;
            job.pictures = Array.from({length: 100}, (_, n) => ({...one, number: n, infotext: `picture ${n}`}));
            maple.gallery.show(job);
        }"""
    )
    page.wait_for_function("document.querySelectorAll('#txt2img_gallery .thumbnail-item').length === 100")
    page.wait_for_function("document.querySelector('#txt2img_gallery .thumbnail-item img').complete")
    assert asked and [url for url in asked if "small" not in url] == []
    page.locator("#txt2img_gallery .thumbnail-item").nth(2).click()
    page.evaluate("window.kept = document.querySelectorAll('.thumbnails .thumbnail-item')[50]")
    for _ in range(10):
        page.locator("#txt2img_gallery .thumbnails .selected").press("ArrowRight")
    assert page.evaluate("maple.gallery.selected") == 12
    assert page.evaluate("window.kept === document.querySelectorAll('.thumbnails .thumbnail-item')[50]")
    assert page.locator("#html_info_txt2img .infotext p").inner_text() == "picture 12"
    assert len({url for url in asked if "small" not in url}) == 11


def test_png_info_shows_what_a_picture_remembers_and_sends_it(server: Server, opened: Open) -> None:
    page = opened("en-US")
    small_request(page, text="a green square", steps=1, seed=31)
    generate(page)
    saved = server.pictures()[-1]
    fresh = opened("en-US")
    tab(fresh, "pnginfo")
    assert fresh.locator("#txt2img_tab").is_disabled()
    fresh.locator("#pnginfo_image input[type=file]").set_input_files(saved)
    fresh.locator("#pnginfo_generation_info").get_by_text("a green square").wait_for()
    fresh.locator("#txt2img_tab").click()
    fresh.wait_for_function("document.querySelector('#txt2img_prompt textarea')?.value === 'a green square'")
    holds(fresh, {"txt2img_seed": 31})


def test_settings_are_found_in_both_languages_changed_and_kept(opened: Open) -> None:
    page = opened("zh-CN")
    tab(page, "settings")
    search = page.locator("#settings_search input")
    for words in ("jpeg 质量", "quality jpeg", "jpeg_quality"):
        search.fill(words)
        assert page.locator("#setting_jpeg_quality").is_visible(), words
    page.locator("#setting_jpeg_quality").fill("66")
    page.locator("#setting_jpeg_quality").press("Tab")
    page.locator("#settings_submit").click()
    page.wait_for_function("document.querySelector('#settings_result').innerText.includes('1')")
    fresh = opened("zh-CN")
    tab(fresh, "settings")
    fresh.locator("#settings_show_all_pages").click()
    assert fresh.locator("#setting_jpeg_quality").input_value() == "66"


def test_the_page_stands_behind_the_sign_in(browser: Any, tmp_path: Path) -> None:
    with running(tmp_path, "--gradio-auth", "ada:secret-word", "--skip-load-model-at-start") as guarded:
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        page.goto(guarded.url)
        assert page.locator("#txt2img_generate").count() == 0
        page.locator("input").first.fill("ada")
        page.locator("input[type=password]").fill("secret-word")
        page.keyboard.press("Enter")
        page.wait_for_selector("#txt2img_generate")
        page.locator("#maple_sign_out").click()
        page.wait_for_selector("input[type=password]")
        assert page.locator("#txt2img_generate").count() == 0
        context.close()


def test_events_that_do_not_come_through_are_replaced_by_asking(opened: Open, watch: Any) -> None:
    watch.expected.append("events")
    watch.expected.append("ERR_FAILED")
    page = opened("en-US")
    page.route("**/events", lambda route: route.abort())
    small_request(page, steps=2)
    assert generate(page)["state"] == "done"
