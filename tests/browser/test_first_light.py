"""From a prompt to a picture that remembers how it was made, and back."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import PATIENCE, Open, Server, visit
from tests.browser.steps import choose, drop, form, generate, holds, idle, prompt, put, small_request

pytestmark = [pytest.mark.browser, pytest.mark.torch]


def pixels(path: Path | bytes) -> bytes:
    with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path) as picture:
        return picture.convert("RGB").tobytes()


def demo_of(page: Any) -> str:
    """The project's own checkpoint: the one that proposes its size."""
    name = page.evaluate("maple.form.lists.checkpoints.find(model => model.offers.width < 512)?.title ?? ''")
    assert name, "no demo checkpoint under models/Stable-diffusion"
    return str(name)


def test_a_red_circle_on_a_blue_background(server: Server, opened: Open) -> None:
    page = opened("zh-CN")
    page.wait_for_function("maple.form.lists.checkpoints.some(model => model.offers.width < 512)", timeout=30_000)
    choose(page, "setting_sd_model_checkpoint", demo_of(page).split(" [")[0])
    prompt(page, "a red circle on a blue background")
    put(page, "txt2img_seed", 11)
    choose(page, "txt2img_sampling", "Euler a")
    page.evaluate(
        """() => {
            window.seen = {bars: new Set(), titles: new Set(), previews: new Set()};
            new MutationObserver(() => {
                const bar = document.querySelector(".progressDiv .progress");
                if (bar) window.seen.bars.add(bar.style.width);
                const preview = document.querySelector(".livePreview img");
                if (preview) window.seen.previews.add(preview.src);
                window.seen.titles.add(document.title);
            }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
        }"""
    )
    assert page.get_by_role("button", name="生成", exact=True).first.is_visible()
    made = generate(page, PATIENCE)
    assert made["state"] == "done", made["error"]
    seen = page.evaluate("({bars: seen.bars.size, previews: seen.previews.size, titles: [...seen.titles]})")
    assert seen["bars"] >= 2, "the bar did not move"
    assert seen["previews"] >= 1, "no preview was seen"
    assert any("%" in title for title in seen["titles"])
    assert page.title() == "Maple WebUI"

    saved = server.pictures()[-1]
    with Image.open(saved) as picture:
        shown = picture.convert("RGB").resize((64, 64))
        inside, outside = shown.getpixel((32, 32)), shown.getpixel((3, 3))
        assert "a red circle on a blue background" in picture.info["parameters"]
    assert inside[0] > 150 and inside[2] < 100, f"not red inside: {inside}"
    assert outside[2] > 130 and outside[0] < 110, f"not blue outside: {outside}"


def test_a_dropped_picture_fills_the_form_and_gives_the_same_pixels(server: Server, opened: Open) -> None:
    page = opened("en-US")
    small_request(page, text="a (red:1.2) circle, on blue", seed=77)
    choose(page, "txt2img_sampling", "Euler a")
    generate(page)
    saved = server.pictures()[-1]
    before = form(page)

    fresh = opened("zh-CN")
    choose(fresh, "setting_sd_model_checkpoint", "small")
    drop(fresh, "#txt2img_prompt textarea", saved.name, saved.read_bytes())
    fresh.wait_for_function("document.querySelector('#txt2img_prompt textarea').value.includes('circle')")
    fields = ["prompt", "neg_prompt", "sampling", "scheduler", "steps", "width", "height", "cfg_scale", "seed"]
    holds(fresh, {f"txt2img_{name}": before[f"txt2img_{name}"] for name in fields})
    generate(fresh)
    again = server.pictures()[-1]
    assert again != saved
    assert pixels(again) == pixels(saved)


def test_a_reload_in_mid_run_finds_the_job_again(opened: Open) -> None:
    page = opened()
    small_request(page, steps=40, count=6)
    page.locator("#txt2img_generate").click()
    page.wait_for_selector(".progressDiv")
    id = page.evaluate("maple.jobs.followed.id")
    visit(page)
    page.wait_for_function("maple.jobs.followed || maple.gallery.job")
    found = page.evaluate("maple.jobs.followed?.id ?? maple.gallery.job.id")
    assert found == id
    assert page.locator("#txt2img_prompt textarea").input_value() == "a red circle"
    idle(page)
    assert page.evaluate("maple.gallery.job.id") == id


def test_another_device_sees_the_job_and_its_pictures(opened: Open) -> None:
    first = opened()
    small_request(first, steps=40, count=3, seed=9)
    first.locator("#txt2img_generate").click()
    first.wait_for_selector(".progressDiv")
    id = first.evaluate("maple.jobs.followed.id")
    first.context.close()
    second = opened("en-US", width=390, height=844)
    idle(second)
    second.wait_for_function("id => maple.gallery.job?.id === id", arg=id)
    # The first look may come while the run is on, with one picture of three; all of them must arrive.
    second.locator("#txt2img_gallery .thumbnail-item").nth(2).wait_for(timeout=PATIENCE)


def test_skip_goes_on_with_the_next_picture(opened: Open) -> None:
    page = opened()
    small_request(page, steps=60, count=3)
    page.locator("#txt2img_generate").click()
    page.wait_for_function("maple.jobs.followed?.job.step > 1")
    page.locator("#txt2img_skip").click()
    idle(page)
    job = page.evaluate("maple.gallery.job")
    assert job["state"] == "done"
    assert len([picture for picture in job["pictures"] if not picture["grid"]]) == 2


def test_interrupt_finishes_the_picture_first(opened: Open) -> None:
    page = opened()
    small_request(page, steps=60, count=5)
    page.locator("#txt2img_generate").click()
    page.wait_for_selector("#txt2img_interrupt", state="visible")
    page.wait_for_function("maple.jobs.followed?.job.step > 1")
    page.locator("#txt2img_interrupt").click()
    page.wait_for_selector("#txt2img_interrupting", state="visible")
    idle(page)
    job = page.evaluate("maple.gallery.job")
    assert job["state"] == "stopped"
    assert 1 <= len([picture for picture in job["pictures"] if not picture["grid"]]) < 5
    assert page.locator("#txt2img_generate").is_visible()


def test_keys_generate_and_interrupt(opened: Open) -> None:
    page = opened()
    small_request(page, steps=100, count=4)
    page.locator("#txt2img_prompt textarea").press("Control+Enter")
    page.wait_for_selector("#txt2img_skip", state="visible")
    page.wait_for_function("maple.jobs.followed?.job.state === 'running'")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    idle(page)
    assert page.evaluate("maple.gallery.job.state") == "stopped"


def test_a_bad_value_is_a_clear_message_and_nothing_is_lost(opened: Open, watch: Any) -> None:
    watch.expected.append("422")
    page = opened("zh-CN")
    small_request(page)
    page.evaluate("maple.form.write('txt2img', {txt2img_width: 0})")
    page.locator("#txt2img_generate").click()
    note = page.locator(".maple-note.bad")
    note.wait_for()
    assert "width" in note.inner_text()
    assert page.locator("#txt2img_generate").is_visible()
    assert page.locator("#txt2img_prompt textarea").input_value() == "a red circle"


def test_generate_forever_runs_until_it_is_cancelled(opened: Open) -> None:
    page = opened("en-US")
    small_request(page, steps=2)
    page.locator("#txt2img_generate").click(button="right")
    page.get_by_role("button", name="Generate forever", exact=True).click()
    page.wait_for_function("maple.gallery.job", timeout=PATIENCE)
    first = page.evaluate("maple.gallery.job.id")
    page.wait_for_function("id => maple.gallery.job.id !== id", arg=first, timeout=PATIENCE)
    page.locator("#txt2img_generate_box").click(button="right")
    page.get_by_role("button", name="Cancel generate forever").click()
    idle(page)
    last = page.evaluate("maple.gallery.job.id")
    page.wait_for_timeout(1500)
    assert page.evaluate("maple.gallery.job.id") == last
