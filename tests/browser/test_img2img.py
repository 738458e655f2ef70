"""The img2img tab as people use it: a picture is dropped, a mask is drawn, and only what it covers changes."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import Open, Server
from tests.browser.steps import choose, drop, put

pytestmark = [pytest.mark.browser, pytest.mark.torch]

CANVAS = "maple.canvas.get('{}')"
MODES = {
    "img2img": "img2img_img2img_tab",
    "sketch": "img2img_img2img_sketch_tab",
    "inpaint": "img2img_inpaint_tab",
    "inpaint_sketch": "img2img_inpaint_sketch_tab",
    "inpaint_upload": "img2img_inpaint_upload_tab",
    "batch": "img2img_batch_tab",
}


def picture(width: int = 64, height: int = 64, *, seed: int = 1) -> bytes:
    body = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(body, "PNG")
    return body.getvalue()


def open_mode(page: Page, mode: str) -> None:
    page.locator("#tab_img2img-button").last.click()
    page.wait_for_selector("#mode_img2img")
    page.locator(f"[id='{MODES[mode]}-button']").last.click()
    page.wait_for_function("mode => maple.tabs.img2img.mode === mode", arg=mode)


def give(page: Page, canvas: str, body: bytes) -> None:
    """Drop a picture on a canvas and wait until it is shown whole."""
    page.wait_for_selector(f"#{canvas} .maple-canvas")
    drop(page, f"#{canvas} .maple-canvas", "picture.png", body)
    page.wait_for_function(f"{CANVAS.format(canvas)}.file && !{CANVAS.format(canvas)}.stale")


def stroke(page: Page, canvas: str, *points: tuple[float, float]) -> None:
    """Draw with the mouse; points are parts of the picture's sides."""
    page.locator(f"#{canvas} .canvas-port").scroll_into_view_if_needed()
    spots = page.evaluate(
        f"""points => {{
            const editor = {CANVAS.format(canvas)}, box = editor.port.getBoundingClientRect();
            return points.map(([x, y]) => [
                box.left + editor.x + x * editor.width * editor.zoom,
                box.top + editor.y + y * editor.height * editor.zoom,
            ]);
        }}""",
        [list(point) for point in points],
    )
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots:
        page.mouse.move(*spot, steps=4)
    page.mouse.up()


def brush(page: Page, canvas: str, size: int) -> None:
    page.evaluate(f"{CANVAS.format(canvas)}.resize({size})")


def layer(page: Page, canvas: str) -> np.ndarray:
    """The drawing's opacity, height × width."""
    body = page.evaluate(
        f"""(async () => {{
            const blob = await {CANVAS.format(canvas)}.drawing();
            return blob ? [...new Uint8Array(await blob.arrayBuffer())] : null;
        }})()"""
    )
    assert body is not None
    return np.array(Image.open(io.BytesIO(bytes(body))).convert("RGBA"))[..., 3]


def blank(page: Page, canvas: str) -> bool:
    return page.evaluate(f"{CANVAS.format(canvas)}.blank")


def small_form(page: Page, *, prompt: str = "a red circle", seed: int = 5) -> None:
    """A request the small checkpoint answers in a moment."""
    choose(page, "setting_sd_model_checkpoint", "small")
    page.locator("#img2img_prompt textarea").fill(prompt)
    for elem_id, value in {
        "img2img_steps": 4, "img2img_width": 64, "img2img_height": 64, "img2img_seed": seed,
        "img2img_denoising_strength": 1,
    }.items():  # fmt: skip
        put(page, elem_id, value)


def generate(page: Page, patience: int = 240_000) -> dict[str, Any]:
    """Click Generate and wait until the job has ended; it must have ended well."""
    before = page.evaluate("maple.jobs.of('img2img').last?.id ?? null")
    page.locator("#img2img_generate").click()
    page.wait_for_function(
        """before => {
            const jobs = maple.jobs.of('img2img');
            return jobs.last && jobs.last.id !== before && !jobs.followed;
        }""",
        arg=before,
        timeout=patience,
    )
    made = json.loads(page.evaluate("JSON.stringify(maple.jobs.of('img2img').last)"))
    assert made["state"] == "done", made["error"]
    return made


def result(server: Server, page: Page, job: dict[str, Any], number: int = 0) -> np.ndarray:
    body = page.request.get(f"{server.url}/internal/picture/{job['id']}/{number}").body()
    return np.array(Image.open(io.BytesIO(body)).convert("RGB"))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A picture of 4096²."""
    path = tmp_path_factory.mktemp("big") / "big.png"
    small = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(small).resize((4096, 4096), Image.Resampling.NEAREST).save(path)
    yield path


def test_inpainting_changes_what_is_masked_and_not_one_byte_beside_it(opened: Open, server: Server) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    small_form(page)
    put(page, "img2img_mask_blur", 0)
    give(page, "img2maskimg", body := picture())
    brush(page, "img2maskimg", 16)
    stroke(page, "img2maskimg", (0.3, 0.3), (0.6, 0.3))
    made = result(server, page, generate(page)).astype(int)
    before = np.array(Image.open(io.BytesIO(body)).convert("RGB")).astype(int)
    mask = layer(page, "img2maskimg") > 128
    assert 200 < mask.sum() < 900
    assert (made[~mask] == before[~mask]).all()
    assert np.abs(made[mask] - before[mask]).mean() > 10


def test_undo_and_redo_walk_through_the_strokes(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    give(page, "img2maskimg", picture(600, 400))
    stroke(page, "img2maskimg", (0.2, 0.2), (0.4, 0.2))
    one = layer(page, "img2maskimg")
    stroke(page, "img2maskimg", (0.2, 0.7), (0.9, 0.7))
    two = layer(page, "img2maskimg")
    assert (two > 0).sum() > (one > 0).sum() > 0
    page.keyboard.press("Control+z")
    assert (layer(page, "img2maskimg") == one).all()
    page.keyboard.press("Control+z")
    assert blank(page, "img2maskimg")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    assert (layer(page, "img2maskimg") == two).all()
    page.locator("#img2maskimg [data-do=clear]").click()
    assert blank(page, "img2maskimg")
    page.locator("#img2maskimg [data-do=undo]").click()
    assert (layer(page, "img2maskimg") == two).all()


def test_a_mask_of_4096_pixels_square_keeps_every_pixel(opened: Open, big: Path) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    page.set_input_files("#img2maskimg input[type=file]", str(big))
    page.wait_for_function(f"{CANVAS.format('img2maskimg')}.width === 4096")
    brush(page, "img2maskimg", 5)
    stroke(page, "img2maskimg", (0.5, 0.5))
    dot = layer(page, "img2maskimg")
    assert dot.shape == (4096, 4096)
    rows, columns = np.nonzero(dot > 128)
    # Five pixels of the picture, far less than one of the screen.
    assert 15 <= len(rows) <= 30
    assert np.ptp(rows) <= 5 and np.ptp(columns) <= 5


def test_the_picture_is_sent_as_it_came_and_only_once(opened: Open, server: Server) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(asked.url) if asked.url.endswith("/blobs") else None)
    give(page, "img2maskimg", body := picture(96, 64, seed=77))
    stroke(page, "img2maskimg", (0.3, 0.3), (0.6, 0.6))
    first = page.evaluate("maple.tabs.img2img.prepare({})")
    assert page.evaluate("maple.tabs.img2img.prepare({})") == first
    assert len(sent) == 2
    id = first["img2img_picture"]
    assert (server.root / "cache" / "inputs" / id[:2] / id).read_bytes() == body
    # The same picture from another file, and a stroke more: the drawing alone goes.
    give(page, "img2maskimg", body)
    stroke(page, "img2maskimg", (0.7, 0.2), (0.8, 0.2))
    again = page.evaluate("maple.tabs.img2img.prepare({})")
    assert (again["img2img_picture"], len(sent)) == (id, 3)
    assert again["img2img_drawing"] != first["img2img_drawing"]


def test_a_sketch_is_the_picture_it_starts_from(opened: Open, server: Server) -> None:
    page = opened("en")
    open_mode(page, "sketch")
    small_form(page)
    put(page, "img2img_denoising_strength", 0)
    plain = picture()
    give(page, "img2img_sketch", plain)
    page.evaluate("maple.canvas.get('img2img_sketch').fill()")
    filled = result(server, page, generate(page)).astype(int)
    page.keyboard.press("Escape")
    page.locator("#img2img_sketch [data-do=undo]").click()
    bare = result(server, page, generate(page)).astype(int)
    assert filled.std() < bare.std()


@pytest.mark.parametrize("mode", ["img2img", "inpaint_sketch"])
def test_every_way_in_makes_a_picture(opened: Open, server: Server, mode: str) -> None:
    page = opened("en")
    open_mode(page, mode)
    small_form(page)
    canvas = {"img2img": "img2img_image", "inpaint_sketch": "inpaint_sketch"}[mode]
    give(page, canvas, picture())
    if mode == "inpaint_sketch":
        brush(page, canvas, 20)
        stroke(page, canvas, (0.4, 0.4), (0.6, 0.6))
    made = generate(page)
    assert result(server, page, made).shape == (64, 64, 3)
    assert "Denoising strength: 1" in made["pictures"][0]["infotext"]


def test_an_uploaded_mask_counts(opened: Open, server: Server) -> None:
    page = opened("en")
    open_mode(page, "inpaint_upload")
    small_form(page)
    put(page, "img2img_mask_blur", 0)
    body = picture()
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[16:48, 16:48] = 255
    packed = io.BytesIO()
    Image.fromarray(mask).save(packed, "PNG")
    give(page, "img_inpaint_base", body)
    give(page, "img_inpaint_mask", packed.getvalue())
    made = result(server, page, generate(page)).astype(int)
    before = np.array(Image.open(io.BytesIO(body))).astype(int)
    assert (made[mask == 0] == before[mask == 0]).all()
    assert np.abs(made[mask > 0] - before[mask > 0]).mean() > 10


def test_a_batch_makes_a_picture_of_each(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "batch")
    small_form(page)
    page.wait_for_selector("#img2img_batch_upload .batch-zone")
    files: list[Any] = [{"name": f"{n}.png", "mimeType": "image/png", "buffer": picture(seed=n)} for n in range(3)]
    page.set_input_files("#img2img_batch_upload input[type=file]", files)
    made = generate(page)
    assert len(made["pictures"]) == 3
    assert len({shown["infotext"] for shown in made["pictures"]}) >= 1
    assert page.locator("#img2img_gallery .thumbnail-item").count() == 3


def test_zoom_pan_and_keys_of_the_canvas(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    give(page, "img2maskimg", picture(640, 480))
    look = f"(() => {{ const e = {CANVAS.format('img2maskimg')}; return [e.zoom, e.x, e.y, e.size]; }})()"
    whole = page.evaluate(look)
    box = page.locator("#img2maskimg .canvas-port").bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Alt")
    page.wait_for_function(f"{look}[0] > {whole[0]}")
    near = page.evaluate(look)
    # The point under the pointer stays under it.
    assert (100 - near[1]) / near[0] == pytest.approx((100 - whole[1]) / whole[0], abs=0.5)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(f"{look}[3] > {near[3]}")
    page.keyboard.down("f")
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 130, steps=4)
    page.mouse.up()
    page.keyboard.up("f")
    moved = page.evaluate(look)
    assert (moved[1] - near[1], moved[2] - near[2]) == (pytest.approx(60), pytest.approx(30))
    assert blank(page, "img2maskimg")
    page.keyboard.press("r")
    assert page.evaluate(look)[:3] == pytest.approx(whole[:3])
    page.keyboard.press("s")
    page.wait_for_selector(".maple-canvas.fullscreen")
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('.maple-canvas.fullscreen')")


def test_a_mask_can_be_drawn_with_the_keyboard_alone(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "inpaint")
    give(page, "img2maskimg", picture(300, 200))
    page.locator("#img2maskimg .canvas-port").focus()
    for key in ("ArrowRight", "Enter", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert not blank(page, "img2maskimg")
    drawn = layer(page, "img2maskimg") > 128
    page.keyboard.press("Control+z")
    assert blank(page, "img2maskimg")
    assert drawn[100, 160]


def test_two_fingers_zoom_and_one_draws(opened: Open) -> None:
    page = opened("zh-CN", width=390, height=844, has_touch=True)
    open_mode(page, "inpaint")
    give(page, "img2maskimg", picture(300, 200))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#img2maskimg .canvas-port").scroll_into_view_if_needed()
    box = page.locator("#img2maskimg .canvas-port").bounding_box()
    assert box and box["width"] > 300
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *spots: tuple[float, float]) -> None:
        points = [{"x": box["x"] + x, "y": box["y"] + y, "id": n} for n, (x, y) in enumerate(spots)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (60, 60))
    for step in range(5):
        touch("touchMove", (60 + 20 * step, 60))
    touch("touchEnd")
    page.wait_for_function(f"!{CANVAS.format('img2maskimg')}.blank")
    drawn = page.evaluate(f"{CANVAS.format('img2maskimg')}.past.length")
    zoom = page.evaluate(f"{CANVAS.format('img2maskimg')}.zoom")
    touch("touchStart", (100, 80))
    touch("touchStart", (100, 80), (140, 80))
    for step in range(5):
        touch("touchMove", (100 - 10 * step, 80), (140 + 10 * step, 80))
    touch("touchEnd")
    assert page.evaluate(f"{CANVAS.format('img2maskimg')}.zoom") > zoom * 1.5
    assert page.evaluate(f"{CANVAS.format('img2maskimg')}.past.length") == drawn


def test_sizes_follow_the_picture(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "img2img")
    give(page, "img2img_image", picture(203, 100))
    page.locator("#img2img_detect_image_size_btn").click()
    page.wait_for_function(
        "maple.form.read('img2img').then(now => now.img2img_width === 200 && now.img2img_height === 104)"
    )
    page.locator("#img2img_tab_resize_by-button").last.click()
    put(page, "img2img_scale", 2)
    page.wait_for_function(
        "document.querySelector('#img2img_scale_resolution_preview')?.textContent.includes('from 203×100 to 406×200')"
    )
    assert page.evaluate("maple.tabs.img2img.prepare({}).then(sent => sent.img2img_resize_by)") is True


def test_a_picture_is_copied_to_another_sub_tab(opened: Open) -> None:
    page = opened("zh-CN")
    open_mode(page, "img2img")
    give(page, "img2img_image", picture(120, 80))
    page.locator("#img2img_copy_to_inpaint").click()
    page.wait_for_function("maple.tabs.img2img.mode === 'inpaint'")
    assert page.evaluate(f"{CANVAS.format('img2maskimg')}.width") == 120
    assert page.locator("#inpaint_controls").is_visible()
    page.locator(f"[id='{MODES['img2img']}-button']").last.click()
    page.wait_for_function("maple.tabs.img2img.mode === 'img2img'")
    assert not page.locator("#inpaint_controls").is_visible()
    # What was drawn on or put in stays when its tab is closed and opened.
    assert page.evaluate(f"{CANVAS.format('img2img_image')}.width") == 120


def test_a_pasted_picture_lands_on_the_canvas(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "sketch")
    page.wait_for_selector("#img2img_sketch .maple-canvas")
    page.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "pasted.png", {type: "image/png"}));
            const pasted = {bubbles: true, cancelable: true, clipboardData: transfer};
            document.body.dispatchEvent(new ClipboardEvent("paste", pasted));
        }""",
        list(picture(90, 70)),
    )
    page.wait_for_function(f"{CANVAS.format('img2img_sketch')}.width === 90")


def test_generate_without_a_picture_says_what_is_missing(opened: Open) -> None:
    page = opened("zh-CN")
    open_mode(page, "img2img")
    page.locator("#img2img_generate").click()
    page.wait_for_selector("#maple_notes .bad")
    assert "还没有输入图片" in page.locator("#maple_notes .bad").first.inner_text()
    assert not page.locator("#img2img_generate_box.running").count()


def test_what_is_no_picture_is_refused_with_a_sentence(opened: Open) -> None:
    page = opened("en")
    open_mode(page, "img2img")
    page.wait_for_selector("#img2img_image .maple-canvas")
    drop(page, "#img2img_image .maple-canvas", "broken.png", b"no picture at all")
    page.wait_for_selector("#maple_notes .bad")
    assert "broken.png" in page.locator("#maple_notes .bad").first.inner_text()
