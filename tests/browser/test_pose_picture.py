"""From the pose editor to a picture: a joint dragged with the mouse is where the drawn figure has it."""

import json
import math
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Open, Server, running
from tests.browser.steps import choose, generate, prompt, put
from tests.browser.test_pose import drag, joint, seen
from webui.demo import eyes
from webui.demo.drawings import Spec, figure_height, keypoints

pytestmark = [pytest.mark.browser, pytest.mark.torch, pytest.mark.timeout(900)]

UNIT = "txt2img_controlnet_ControlNet-0_controlnet"
LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = 5, 6, 7
FIGURE = Spec(kind="figure", seed=7, background="white", colour="black", pose="standing")
SIDE = 512


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the project's own demo checkpoint and its pose ControlNet."""
    root = tmp_path_factory.mktemp("posed")
    for folder, name in (("Stable-diffusion", "maple-demo"), ("ControlNet", "maple-demo-openpose")):
        (root / "models" / folder).mkdir(parents=True)
        shutil.copy(ROOT / "models" / folder / f"{name}.safetensors", root / "models" / folder)
    with running(root) as made:
        yield made


def pose_json() -> bytes:
    """The standing figure's joints as OpenPose JSON."""
    body = [number for x, y in keypoints(FIGURE) for number in (x * SIDE, y * SIDE, 1)]
    told = {"people": [{"pose_keypoints_2d": body}], "canvas_width": SIDE, "canvas_height": SIDE}
    return json.dumps(told).encode()


def request(page: Page) -> None:
    """A small figure by the demo, its unit switched on."""
    choose(page, "setting_sd_model_checkpoint", "maple-demo")
    prompt(page, "a black stick figure dancing, white background")
    choose(page, "txt2img_sampling", "Euler a")
    for name, value in {"steps": 12, "width": 128, "height": 128, "cfg_scale": 5, "seed": 4}.items():
        put(page, f"txt2img_{name}", value)
    page.locator("#txt2img_controlnet .cn-head").click()
    page.locator(f"#{UNIT}_enable_checkbox input").check()
    page.wait_for_function(
        "id => document.querySelector(`#${id} option[value*='maple-demo-openpose']`)", arg=f"{UNIT}_model_dropdown"
    )
    model = page.locator(f"#{UNIT}_model_dropdown option[value*='maple-demo-openpose']").get_attribute("value")
    page.locator(f"#{UNIT}_model_dropdown select").select_option(model)


def pose(page: Page) -> None:
    """Open the editor from the unit, read the pose and send it to the unit."""
    page.locator(f"#{UNIT}_pose_editor_button").click()
    page.locator(".pose-dialog input[type=file][accept*=json]").set_input_files(
        {"name": "pose.json", "mimeType": "application/json", "buffer": pose_json()}
    )
    expect(page.locator(".pose-status")).to_contain_text("1")
    page.locator(".pose-send").click()
    page.wait_for_function("() => !maplePose.editor")
    page.wait_for_function("() => maple.controlnet.units('txt2img').then(all => all[0].values.preview_as_input)")


def raise_arm(page: Page) -> None:
    """The elbow out to the side and the wrist above it, each by the mouse."""
    height = figure_height(FIGURE) * SIDE * page.evaluate("maplePose.editor.zoom")
    shoulder = seen(page, LEFT_SHOULDER)
    for number, to in ((LEFT_ELBOW, (0.165, -0.03)), (LEFT_WRIST, (0.205, -0.195))):
        at = seen(page, number)
        drag(page, at, (shoulder[0] + to[0] * height - at[0], shoulder[1] + to[1] * height - at[1]))


def wrist(server: Server) -> tuple[float, float]:
    """Where the newest picture's figure has its left wrist, as fractions of the side."""
    with Image.open(server.pictures()[-1]) as image:
        return eyes.joints(image.convert("RGB"))[LEFT_WRIST]


def test_a_joint_dragged_in_the_editor_shows_in_the_picture(opened: Open, server: Server) -> None:
    page = opened("en")
    request(page)
    pose(page)
    generate(page, patience=300_000)
    before = wrist(server)
    page.locator(f"#{UNIT}_pose_editor_button").click()
    raise_arm(page)
    x, y, _ = joint(page, LEFT_WRIST)
    page.locator(".pose-send").click()
    page.wait_for_function("() => !maplePose.editor")
    generate(page, patience=300_000)
    after = wrist(server)
    height = figure_height(FIGURE)
    old, new = keypoints(FIGURE)[LEFT_WRIST], (x / SIDE, y / SIDE)
    assert math.dist(old, new) > 0.3 * height
    assert math.dist(before, old) < 0.1 * height
    assert math.dist(after, new) < 0.1 * height
