"""The Extras tab as people use it."""

from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import PATIENCE, Open, Server
from tests.browser.steps import choose, generate, small_request
from webui.gallery.metadata import read_picture

pytestmark = [pytest.mark.browser, pytest.mark.torch]

ENDED = "maple.jobs.of('extras').last && !maple.jobs.of('extras').followed"


def made(server: Server) -> list[Path]:
    folder = server.root / "outputs" / "extras-images"
    return sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns) if folder.is_dir() else []


def test_a_generated_picture_is_sent_to_extras_enlarged_and_sent_back(server: Server, opened: Open) -> None:
    page = opened("zh-CN")
    small_request(page, text="a red circle", seed=11)
    generate(page)
    before = len(made(server))
    page.locator("#txt2img_send_to_extras").click()
    page.wait_for_function("maple.canvas.get('extras_image').width === 64")
    choose(page, "extras_upscaler_1", "Lanczos")
    page.locator("#extras_generate").click()
    page.wait_for_function(ENDED, timeout=PATIENCE)
    page.locator("#extras_gallery img.large").wait_for()
    assert "Postprocess upscale by: 4" in page.locator("#html_info_extras").inner_text()
    (path,) = made(server)[before:]
    with Image.open(path) as image:
        assert image.size == (256, 256)
    told = read_picture(path)
    assert told.infotext.startswith("a red circle")
    assert "Postprocess upscaler: Lanczos" in told.postprocessing
    # What made the picture goes along when it is sent on; what was done to it since does not stand in the way.
    page.locator("#extras_send_to_img2img").click()
    page.wait_for_function("maple.canvas.get('img2img_image').width === 256")
    assert page.evaluate("maple.form.read('img2img').then(form => form.img2img_seed)") == 11


def test_several_pictures_keep_their_names_and_the_form_outlives_a_reload(
    server: Server, opened: Open, tmp_path: Path
) -> None:
    page = opened("en")
    for name in ("小猫.png", "b.png"):
        Image.new("RGB", (24, 16), "green").save(tmp_path / name)
    page.locator("#tab_extras-button").last.click()
    page.locator("#extras_batch_process_tab-button").last.click()
    files = page.locator("#extras_image_batch input[type=file]")
    files.set_input_files([tmp_path / "小猫.png", tmp_path / "b.png"])
    page.locator("#extras_scale_to_tab-button").last.click()
    choose(page, "extras_upscaler_1", "Nearest")
    page.locator("#extras_generate").click()
    page.wait_for_function(ENDED, timeout=PATIENCE)
    assert page.locator("#extras_gallery .thumbnail-item").count() == 2
    names = {path.name for path in made(server)}
    assert {"小猫.png", "b.png"} <= names
    with Image.open(server.root / "outputs" / "extras-images" / "小猫.png") as image:
        assert image.size == (512, 512)
    page.reload()
    page.wait_for_function("maple.form?.ready")
    assert page.evaluate("maple.form.read('extras').then(form => form.extras_upscaler_1)") == "Nearest"
    page.locator("#tab_extras-button").last.click()
    assert page.locator("#extras_gallery .thumbnail-item").count() == 2


def test_without_a_picture_it_is_said(opened: Open) -> None:
    page = opened("zh-CN", width=390)
    page.locator("#tab_extras-button").last.click()
    page.locator("#extras_generate").click()
    page.get_by_text("还没有要处理的图片").first.wait_for()
