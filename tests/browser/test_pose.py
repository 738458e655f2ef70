"""The pose editor as people use it: joints are dragged, hidden and added; JSON goes in and out; the map shows it."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser

Pose = dict[str, Any]
RIGHT_WRIST, LEFT_WRIST, LEFT_ELBOW, NOSE = 4, 7, 6, 0
BLUE, LIGHT_GREEN = (0, 85, 255), (0, 255, 85)
"""Colours of the 12th and the 8th point: left hip and left wrist."""


def person(at: tuple[float, float] = (256, 256), *, scale: float = 1.0) -> dict[str, Any]:
    """Somebody upright with the arms spread, in pixels."""
    points = [
        (0, -150), (0, -110), (-50, -110), (-105, -100), (-160, -110), (50, -110), (105, -100), (160, -110),
        (-30, 20), (-32, 100), (-34, 180), (30, 20), (32, 100), (34, 180), (-12, -162), (12, -162), (-26, -154),
        (26, -154),
    ]  # fmt: skip
    body = [number for x, y in points for number in (at[0] + x * scale, at[1] + y * scale, 1)]
    return {"pose_keypoints_2d": body, "face_keypoints_2d": None}


def poses(*people: dict[str, Any], width: int = 512, height: int = 512) -> Pose:
    return {"people": list(people or (person(),)), "canvas_width": width, "canvas_height": height}


def start(page: Page, given: Any = None, **options: Any) -> None:
    """Open the editor; what is sent lands in `window.sent`."""
    page.evaluate(
        """([poses, options]) => {
            window.sent = null;
            maplePose.open({...options, poses, onSend: async (json, png) => {
                window.sent = {json, png: await new Promise((done) => {
                    const reader = new FileReader();
                    reader.onload = () => done(reader.result);
                    reader.readAsDataURL(png);
                })};
            }});
        }""",
        [poses() if given is None else given, options],
    )
    page.wait_for_selector(".pose-dialog .pose-point")


def now(page: Page) -> Pose:
    """The pose as it would be sent."""
    return page.evaluate("maplePose.write(maplePose.editor.state)")


def joint(page: Page, number: int, *, who: int = 0, part: str = "pose_keypoints_2d") -> list[float]:
    return now(page)["people"][who][part][number * 3 : number * 3 + 3]


def seen(page: Page, number: int, *, who: int = 0, part: str = "body") -> tuple[float, float]:
    """Where a point is on the screen."""
    x, y = page.evaluate(
        """([who, part, at]) => {
            const editor = maplePose.editor, box = editor.stage.getBoundingClientRect();
            const [x, y] = editor.toView(editor.state.people[who][part][at]);
            return [box.left + x, box.top + y];
        }""",
        [who, part, number],
    )
    return x, y


def drag(page: Page, start_at: tuple[float, float], by: tuple[float, float]) -> None:
    page.mouse.move(*start_at)
    page.mouse.down()
    page.mouse.move(start_at[0] + by[0] / 2, start_at[1] + by[1] / 2)
    page.mouse.move(start_at[0] + by[0], start_at[1] + by[1])
    page.mouse.up()


def zoom(page: Page) -> float:
    return page.evaluate("maplePose.editor.zoom")


def send(page: Page) -> tuple[Pose, np.ndarray]:
    page.locator(".pose-send").click()
    page.wait_for_function("window.sent")
    found = page.evaluate("window.sent")
    body = page.evaluate(
        "async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())]", found["png"]
    )
    with Image.open(io.BytesIO(bytes(body))) as image:
        return found["json"], np.asarray(image.convert("RGB"))


def test_a_dragged_joint_changes_the_json_and_no_other_joint(opened: Open) -> None:
    page = opened("en")
    start(page)
    before = now(page)
    scale = zoom(page)
    drag(page, seen(page, LEFT_WRIST), (40, -60))
    x, y, on = joint(page, LEFT_WRIST)
    assert (x, y, on) == (pytest.approx(416 + 40 / scale, abs=1.5), pytest.approx(146 - 60 / scale, abs=1.5), 1)
    after = now(page)
    for pose in (before, after):
        del pose["people"][0]["pose_keypoints_2d"][LEFT_WRIST * 3 : LEFT_WRIST * 3 + 2]
    assert before == after


def test_undo_and_redo_walk_through_what_was_done(opened: Open) -> None:
    page = opened("en")
    start(page)
    first = now(page)
    drag(page, seen(page, RIGHT_WRIST), (30, 30))
    second = now(page)
    page.keyboard.press("Control+z")
    assert now(page) == first
    page.keyboard.press("Control+Shift+z")
    assert now(page) == second != first
    page.locator(".pose-dialog [data-do=undo]").click()
    assert now(page) == first
    expect(page.locator(".pose-dialog [data-do=undo]")).to_be_disabled()


def test_a_right_click_hides_a_joint_and_shows_it_again(opened: Open) -> None:
    page = opened("en")
    start(page)
    where = joint(page, LEFT_WRIST)
    page.mouse.click(*seen(page, LEFT_WRIST), button="right")
    assert joint(page, LEFT_WRIST) == [0, 0, 0]
    page.mouse.click(*seen(page, LEFT_WRIST), button="right")
    assert joint(page, LEFT_WRIST) == where


def test_a_joint_that_was_never_seen_can_be_added(opened: Open) -> None:
    given = poses()
    given["people"][0]["pose_keypoints_2d"][LEFT_WRIST * 3 : LEFT_WRIST * 3 + 3] = [0, 0, 0]
    page = opened("en")
    start(page, given)
    page.locator(".pose-side summary").click()
    page.get_by_label("Left wrist", exact=True).check()
    x, y, on = joint(page, LEFT_WRIST)
    elbow = joint(page, LEFT_ELBOW)
    assert on == 1
    assert 20 < np.hypot(x - elbow[0], y - elbow[1]) < 150


def test_people_are_added_moved_posed_and_deleted(opened: Open) -> None:
    page = opened("en")
    start(page)
    page.locator(".pose-preset").select_option("Arms up")
    page.get_by_role("button", name="Add person", exact=True).click()
    assert len(now(page)["people"]) == 2
    nose, wrist = joint(page, NOSE, who=1), joint(page, LEFT_WRIST, who=1)
    assert wrist[1] < nose[1]
    page.locator(".pose-preset").select_option("Standing")
    page.get_by_role("button", name="Use for this person").click()
    assert joint(page, LEFT_WRIST, who=1)[1] > joint(page, NOSE, who=1)[1]
    before = joint(page, NOSE, who=1)
    page.locator(".pose-box").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert joint(page, NOSE, who=1)[0] == pytest.approx(before[0] + 10, abs=0.01)
    page.locator(".pose-dialog [data-do=remove]").click()
    assert now(page) == poses_without_parts()


def poses_without_parts() -> Pose:
    """What one person given without hands and face is written as."""
    whole = poses()
    whole["people"][0] |= dict.fromkeys(("hand_right_keypoints_2d", "hand_left_keypoints_2d"))
    return whole


def test_the_frame_moves_turns_and_sizes_the_whole_person(opened: Open) -> None:
    page = opened("en")
    start(page, poses(person(scale=0.5)))
    before = np.array(now(page)["people"][0]["pose_keypoints_2d"]).reshape(18, 3)[:, :2]

    def handle(name: str) -> tuple[float, float]:
        box = page.locator(f".pose-handle.{name}").bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def points() -> np.ndarray:
        return np.array(now(page)["people"][0]["pose_keypoints_2d"]).reshape(18, 3)[:, :2]

    drag(page, handle("se"), (60, 60))
    larger = points()
    ratio = np.ptp(larger, axis=0) / np.ptp(before, axis=0)
    assert ratio[0] == pytest.approx(ratio[1], abs=0.01)
    assert ratio[0] > 1.1
    drag(page, handle("turn"), (80, 40))
    turned = points()
    assert np.ptp(turned[:, 0]) != pytest.approx(np.ptp(larger[:, 0]), abs=5)
    lengths = [np.linalg.norm(each[2] - each[3]) for each in (larger, turned)]
    assert lengths[0] == pytest.approx(lengths[1], abs=0.2)
    middle = (np.array(seen(page, 8)) + np.array(seen(page, 1))) / 2
    drag(page, (float(middle[0]), float(middle[1])), (-50, 10))
    assert (points() - turned)[:, 0] == pytest.approx(np.full(18, -50 / zoom(page)), abs=1.5)


def test_hands_and_a_face_come_and_go_with_their_joints(opened: Open) -> None:
    page = opened("en")
    start(page)
    page.get_by_label("Left hand", exact=True).check()
    page.get_by_label("Face", exact=True).check()
    found = now(page)["people"][0]
    assert len(found["hand_left_keypoints_2d"]) == 63
    assert len(found["face_keypoints_2d"]) == 210
    hand = joint(page, 0, part="hand_left_keypoints_2d")
    page.evaluate("maplePose.editor.nodes.get('point:0:body:7').focus()")
    page.keyboard.press("ArrowDown")
    assert joint(page, 0, part="hand_left_keypoints_2d")[1] == pytest.approx(hand[1] + 1)
    page.get_by_label("Left hand", exact=True).uncheck()
    assert now(page)["people"][0]["hand_left_keypoints_2d"] is None


def test_keys_reach_every_joint_and_screen_readers_are_told(opened: Open) -> None:
    page = opened("en")
    start(page)
    page.locator(".pose-box").focus()
    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert first.startswith("Person 1, Nose: 256, 106")
    page.keyboard.press("Shift+ArrowUp")
    assert joint(page, NOSE)[:2] == [256, 96]
    expect(page.locator(".pose-status")).to_have_text("Person 1, Nose: 256, 96")
    reached = set()
    for _ in range(18):
        reached.add(page.evaluate("document.activeElement.dataset.key"))
        page.keyboard.press("Tab")
    assert reached == {f"point:0:body:{number}" for number in range(18)}


def test_json_comes_back_as_it_was_given(opened: Open) -> None:
    given = poses(person(), person((180, 300), scale=0.5), width=640, height=768)
    given["people"][1] |= {"hand_left_keypoints_2d": [float(n) for n in range(1, 64)]}
    page = opened("en")
    start(page, json.dumps(given))
    found = now(page)
    assert (found["canvas_width"], found["canvas_height"]) == (640, 768)
    assert found["people"][0]["pose_keypoints_2d"] == given["people"][0]["pose_keypoints_2d"]
    hand = found["people"][1]["hand_left_keypoints_2d"]
    assert hand[:2] == [1, 2]
    with page.expect_download() as loading:
        page.get_by_role("button", name="Download JSON").click()
    with open(loading.value.path(), encoding="utf-8") as file:
        assert json.load(file) == found


def test_fractions_of_the_canvas_and_openposes_25_points_are_understood(opened: Open) -> None:
    whole = person()["pose_keypoints_2d"]
    fractions = [each if at % 3 == 2 else each / 512 for at, each in enumerate(whole)]
    page = opened("en")
    start(page, [{"people": [{"pose_keypoints_2d": fractions}], "canvas_width": 512, "canvas_height": 512}])
    assert now(page)["people"][0]["pose_keypoints_2d"] == pytest.approx(whole)
    points = [whole[at * 3 : at * 3 + 3] for at in range(18)]
    newer = [*points[:8], [256, 276, 1], *points[8:], *([[0, 0, 0]] * 6)]
    start(
        page,
        {
            "people": [{"pose_keypoints_2d": [number for point in newer for number in point]}],
            "canvas_width": 512,
            "canvas_height": 512,
        },
    )
    assert now(page)["people"][0]["pose_keypoints_2d"] == pytest.approx(whole)


BROKEN = (
    "{", "42", "null", "{}", '{"people": 3}', '{"people": [null]}', '{"people": [{}]}',
    '{"people": [{"pose_keypoints_2d": [1, 2]}]}', '{"people": [{"pose_keypoints_2d": "many"}]}',
    json.dumps({"people": [{"pose_keypoints_2d": [None] * 54}]}),
    json.dumps({"people": [{"pose_keypoints_2d": [1] * 54}], "canvas_width": "wide"}),
    json.dumps({"people": [{"pose_keypoints_2d": [1] * 54}] * 51}),
    '<svg onload="alert(1)">',
)  # fmt: skip


def test_malformed_json_is_said_and_the_pose_stays(pose_page: Page) -> None:
    page = pose_page
    before = now(page)
    for broken in BROKEN:
        page.locator(".pose-dialog input[type=file][accept*=json]").set_input_files(
            {"name": "pose.json", "mimeType": "application/json", "buffer": broken.encode()}
        )
        expect(page.locator(".pose-status.bad")).not_to_be_empty()
        assert now(page) == before
        page.evaluate("maplePose.editor.say('')")


@pytest.fixture
def pose_page(opened: Open) -> Page:
    page = opened("en")
    start(page)
    return page


def test_poses_are_dropped_and_pasted(pose_page: Page) -> None:
    page = pose_page
    page.evaluate(
        """(text) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], "two.json", {type: "application/json"}));
            const told = {bubbles: true, cancelable: true, dataTransfer: transfer};
            maplePose.editor.port.dispatchEvent(new DragEvent("drop", told));
        }""",
        json.dumps(poses(person(), person((150, 256), scale=0.5))),
    )
    page.wait_for_function("maplePose.editor.state.people.length === 2")
    page.evaluate(
        """(text) => {
            const transfer = new DataTransfer();
            transfer.setData("text/plain", text);
            const told = {bubbles: true, cancelable: true, clipboardData: transfer};
            maplePose.editor.port.dispatchEvent(new ClipboardEvent("paste", told));
        }""",
        json.dumps(poses(person(scale=0.7))),
    )
    assert len(now(page)["people"]) == 1


def test_the_map_has_the_joints_colour_where_it_was_dragged_to(opened: Open) -> None:
    page = opened("en")
    start(page)
    drag(page, seen(page, LEFT_WRIST), (-30, 80))
    pose, pixels = send(page)
    assert pixels.shape == (512, 512, 3)
    x, y = (round(each) for each in pose["people"][0]["pose_keypoints_2d"][LEFT_WRIST * 3 : LEFT_WRIST * 3 + 2])
    assert tuple(pixels[y, x]) == LIGHT_GREEN
    assert tuple(pixels[146, 416]) == (0, 0, 0)  # where it was
    assert page.locator(".pose-dialog").count() == 0


@pytest.mark.torch
def test_the_map_is_the_one_the_server_draws(opened: Open) -> None:
    from webui.engine.control.pose import draw_poses

    given = poses(person(), person((150, 300), scale=0.4))
    page = opened("en")
    start(page, given)
    page.get_by_label("Right hand", exact=True).check()
    page.get_by_label("Face", exact=True).check()
    pose, pixels = send(page)
    wanted = draw_poses(pose["people"], 512, 512).astype(int)
    # Theirs has hard edges, a browser's are smooth: all but the rims are the same.
    differs = np.abs(pixels.astype(int) - wanted).max(axis=2) > 90
    assert differs.sum() < 0.2 * (wanted.max(axis=2) > 0).sum()
    kernel = np.lib.stride_tricks.sliding_window_view(differs, (3, 3)).all(axis=(2, 3))
    assert not kernel.any()


def test_a_background_lies_under_the_skeleton_and_the_canvas_changes_its_size(opened: Open) -> None:
    page = opened("en")
    start(page)
    page.evaluate("maplePose.editor.lay('internal/assets/favicon.svg')")
    page.wait_for_function("maplePose.editor.picture.getAttribute('visibility') === 'visible'")
    page.get_by_label("Width", exact=True).last.fill("256")
    page.get_by_label("Width", exact=True).last.press("Tab")
    assert now(page)["canvas_width"] == 256
    assert all(0 <= x <= 256 for x in now(page)["people"][0]["pose_keypoints_2d"][::3])


def test_zoom_and_pan_leave_the_pose_alone(pose_page: Page) -> None:
    page = pose_page
    before, scale = now(page), zoom(page)
    page.mouse.move(*seen(page, NOSE))
    page.mouse.wheel(0, -300)
    page.wait_for_function("(before) => maplePose.editor.zoom > before", arg=scale)
    box = page.locator(".pose-stage").bounding_box()
    assert box
    drag(page, (box["x"] + 12, box["y"] + 12), (40, 30))
    assert now(page) == before
    page.keyboard.press("0")
    assert zoom(page) == pytest.approx(scale)


def test_a_finger_drags_a_joint_on_a_telephone_in_chinese(opened: Open) -> None:
    page = opened("zh-CN", width=390, height=760, has_touch=True)
    start(page)
    expect(page.locator(".pose-dialog h3")).to_have_text("姿势编辑器")
    sizes = page.evaluate(
        "[document.querySelector('.pose-dialog').scrollWidth, innerWidth, maplePose.editor.port.clientHeight]"
    )
    assert sizes[0] <= sizes[1]
    assert sizes[2] > 220
    x, y = seen(page, LEFT_WRIST)
    before = joint(page, LEFT_WRIST)
    session = page.context.new_cdp_session(page)
    for kind, spots in (
        ("touchStart", [{"x": x + 8, "y": y}]), ("touchMove", [{"x": x - 5, "y": y + 20}]),
        ("touchMove", [{"x": x - 12, "y": y + 40}]), ("touchEnd", []),
    ):  # fmt: skip
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
    after = joint(page, LEFT_WRIST)
    assert after[1] == pytest.approx(before[1] + 40 / zoom(page), abs=3)
    label = page.evaluate("maplePose.editor.nodes.get('point:0:body:7').getAttribute('aria-label')")
    assert label.startswith("人物 1，左腕")


def test_unsent_work_is_not_lost_without_a_word(pose_page: Page) -> None:
    page = pose_page
    drag(page, seen(page, LEFT_WRIST), (-30, 80))
    page.once("dialog", lambda asked: asked.dismiss())
    page.keyboard.press("Escape")
    expect(page.locator(".pose-dialog")).to_be_visible()
    page.once("dialog", lambda asked: asked.accept())
    page.keyboard.press("Escape")
    expect(page.locator(".pose-dialog")).to_have_count(0)
