"""What the units and the ControlNet tab ask of the server: the table, maps, missing files, and pasted units."""

import io
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.ui.test_routes import ADA, ended
from webui.catalog.detectors import DETECTORS, TYPES
from webui.domain import ControlResize, ControlUnit, DetectRequest, FetchRequest, GenerationRequest
from webui.services import Services

TOLD = (
    "a cat\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 12, Size: 128x96, "
    'ControlNet 1: "Module: canny, Model: None, Weight: 0.6, Resize Mode: Resize and Fill, Processor Res: 640, '
    "Threshold A: 90.0, Threshold B: 180.0, Guidance Start: 0.1, Guidance End: 0.9, Pixel Perfect: True, "
    'Control Mode: ControlNet is more important"'
)


@pytest.fixture
def picture(client: TestClient) -> str:
    body = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(body, "PNG")
    return client.post("/internal/blobs", files={"picture": ("a.png", body.getvalue())}).json()["id"]


def test_the_table_holds_every_preprocessor_and_type(client: TestClient) -> None:
    told = client.get("/internal/controlnet", headers=ADA).json()
    assert list(told["detectors"]) == DETECTORS.names()
    assert [kind["name"] for kind in told["types"]] == [kind.name for kind in TYPES]
    assert told["count"] == 3
    canny = told["detectors"]["canny"]
    assert (canny["a"]["default"], canny["b"]["default"], canny["missing"]) == (100, 200, [])


def test_a_missing_file_is_named_with_the_folder_it_goes_into(client: TestClient, services: Services) -> None:
    missing = client.get("/internal/controlnet", headers=ADA).json()["detectors"]["softedge_hed"]["missing"]
    folder = services.settings.path.parent / "models" / "ControlNet" / "annotators" / "hed"
    assert missing == [{"name": "ControlNetHED.pth", "folder": str(folder)}]


def test_a_map_is_a_job_that_brings_its_poses_and_shows_in_no_gallery(
    client: TestClient, services: Services, picture: str
) -> None:
    values = {"picture": picture, "module": "openpose_full", "resolution": 384, "width": 512, "height": 256,
              "pixel_perfect": True, "resize_mode": "Resize and Fill"}  # fmt: skip
    answer = client.post("/internal/controlnet/detect", json={"values": values}, headers=ADA)
    assert answer.status_code == 200, answer.text
    job = ended(client, answer.json()["id"])
    assert (job["kind"], job["state"], len(job["pictures"])) == ("detect", "done", 1)
    assert job["info"]["poses"][0]["canvas_width"] == 64
    assert services.jobs.get(job["id"]).request == DetectRequest(
        image=picture, module="openpose_full", resolution=384, width=512, height=256, pixel_perfect=True,
        resize_mode=ControlResize.FILL,
    )  # fmt: skip
    assert client.get(f"/internal/picture/{job['id']}/0", headers=ADA).status_code == 200


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"module": "canny"}, 422),
        ({"module": "canny", "picture": "../../config.json"}, 404),
        ({"module": "nobody", "picture": "?"}, 422),
        ({"module": "canny", "picture": "?", "threshold_a": "much"}, 422),
        ({"module": "canny", "picture": "?", "resize_mode": "sideways"}, 422),
    ],
)
def test_a_map_that_cannot_be_is_refused(client: TestClient, picture: str, values: dict[str, Any], status: int) -> None:
    values = values | {"picture": picture} if values.get("picture") == "?" else values
    answer = client.post("/internal/controlnet/detect", json={"values": values}, headers=ADA)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_files_are_fetched_by_a_job_and_for_nobody_who_passes_by(client: TestClient, services: Services) -> None:
    answer = client.post("/internal/controlnet/fetch", json={"module": "softedge_hed"}, headers=ADA)
    job = ended(client, answer.json()["id"])
    assert services.jobs.get(job["id"]).request == FetchRequest(module="softedge_hed")
    program = ADA | {"authorization": "Basic Ym90OnNlY3JldA=="}
    assert client.post("/internal/controlnet/fetch", json={"module": "canny"}, headers=program).status_code == 403


def test_a_submitted_unit_reaches_the_request(client: TestClient, services: Services, picture: str) -> None:
    units = [{"number": 0, "module": "reference_only", "picture": picture, "weight": 0.5}]
    values = {"txt2img_prompt": "x", "txt2img_sampling": "Euler", "txt2img_steps": 2, "txt2img_controlnet": units}
    answer = client.post("/internal/submit", json={"tab": "txt2img", "values": values}, headers=ADA)
    assert answer.status_code == 200, answer.text
    request = services.jobs.get(answer.json()["id"]).request
    assert isinstance(request, GenerationRequest)
    assert request.controls == (ControlUnit(module="reference_only", image=picture, weight=0.5),)


def test_a_pasted_infotext_fills_its_units(client: TestClient, services: Services) -> None:
    found = client.post("/internal/infotext", json={"text": TOLD}, headers=ADA).json()["controlnet"]
    assert len(found) == 1
    expected = {
        "number": 1, "module": "canny", "model": "None", "weight": 0.6, "resolution": 640, "threshold_a": 90,
        "threshold_b": 180, "start": 0.1, "end": 0.9, "pixel_perfect": True, "resize_mode": "Resize and Fill",
        "mode": "ControlNet is more important",
    }  # fmt: skip
    assert found[0] | expected == found[0]
    services.settings.change({"control.sync_field_args": False}, by="owner")
    try:
        assert client.post("/internal/infotext", json={"text": TOLD}, headers=ADA).json()["controlnet"] == []
    finally:
        services.settings.change({"control.sync_field_args": True}, by="owner")


def test_the_last_generation_is_a_picture_and_not_a_map(client: TestClient, picture: str) -> None:
    user = {"x-test-user": "cleo"}
    form = {"txt2img_prompt": "a boat", "txt2img_sampling": "Euler", "txt2img_steps": 2}
    made = client.post("/internal/submit", json={"tab": "txt2img", "values": form}, headers=user).json()
    ended(client, made["id"], "cleo")
    values = {"module": "canny", "picture": picture}
    map = client.post("/internal/controlnet/detect", json={"values": values}, headers=user).json()
    ended(client, map["id"], "cleo")
    told = client.post("/internal/infotext", json={"text": ""}, headers=user).json()
    assert told["infotext"].startswith("a boat")
