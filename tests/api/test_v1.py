"""Our own API: accepted at once, watched, found again, and nobody else's."""

import base64
import io
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from webui.api.v1 import Generation
from webui.domain import GenerationRequest
from webui.services import Services

pytestmark = pytest.mark.torch

ASKED: dict[str, Any] = {"prompt": "a", "sampler": "Euler a", "steps": 3, "width": 64, "height": 64, "seed": 5}


def test_the_body_is_the_request_field_for_field(services: Services) -> None:
    assert Generation().request(services.gallery.blobs) == GenerationRequest()


def test_an_init_picture_is_handed_in_first_or_inside_the_request(client: TestClient) -> None:
    made = io.BytesIO()
    Image.new("RGB", (48, 32), "red").save(made, "PNG")
    kept = client.post("/v1/images", content=made.getvalue(), headers={"content-type": "image/png"})
    assert kept.status_code == 201
    told = kept.json()
    assert (told["width"], told["height"]) == (48, 32)
    assert client.get(f"/v1/images/{told['id']}").content == made.getvalue()
    inside = "data:image/png;base64," + base64.b64encode(made.getvalue()).decode()
    for image in (told["id"], inside):
        body = ASKED | {"init": {"images": [image], "denoising_strength": 0.5, "inpaint": {"mask": inside}}}
        assert client.post("/v1/jobs", json=body).status_code == 202
    assert client.post("/v1/images", content=b"no picture").status_code == 422
    gone = ASKED | {"init": {"images": ["0" * 40 + ".png"]}}
    assert client.post("/v1/jobs", json=gone).status_code == 404
    assert client.get("/v1/images/..%2f..%2fqueue.db").status_code == 404


def test_a_job_is_accepted_watched_and_its_picture_fetched(client: TestClient) -> None:
    accepted = client.post("/v1/jobs", json=ASKED)
    assert accepted.status_code == 202
    id = accepted.json()["id"]
    with client.stream("GET", f"/v1/jobs/{id}/events") as stream:
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1]["state"] == "done"
    assert events[-1]["progress"] == 1.0
    steps = [event["step"] for event in events]
    assert steps == sorted(steps)
    picture = client.get(f"/v1/jobs/{id}/pictures/0")
    assert Image.open(io.BytesIO(picture.content)).size == (64, 64)
    assert client.get(f"/v1/jobs/{id}/pictures/1").status_code == 404
    assert client.get(f"/v1/jobs/{id}/preview").status_code == 204


def test_jobs_belong_to_their_owner(client: TestClient) -> None:
    id = client.post("/v1/jobs", json=ASKED, headers={"x-test-user": "ada"}).json()["id"]
    bob = {"x-test-user": "bob"}
    assert client.get("/v1/jobs", headers=bob).json() == []
    for path in (f"/v1/jobs/{id}", f"/v1/jobs/{id}/events", f"/v1/jobs/{id}/pictures/0"):
        assert client.get(path, headers=bob).status_code == 404
    assert client.post(f"/v1/jobs/{id}/stop", headers=bob).status_code == 404
    assert [job["id"] for job in client.get("/v1/jobs", headers={"x-test-user": "ada"}).json()] == [id]


def test_an_unknown_field_is_refused_by_name(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json=ASKED | {"stepps": 3})
    assert answer.status_code == 422
    assert "stepps" in answer.text


def test_the_api_describes_itself_from_this_machine_alone(client: TestClient) -> None:
    page = client.get("/docs")
    assert "/sdapi/v1/txt2img" in page.text
    assert "http://" not in page.text.replace("http://testserver", "")
    assert "https://" not in page.text
    schema = client.get("/openapi.json").json()
    assert "/v1/jobs" in schema["paths"]
    assert "字段" in client.get("/docs", headers={"accept-language": "zh"}).text


def test_what_may_differ_is_told_with_what_puts_it_right(client: TestClient) -> None:
    text = "a cat\nSteps: 5, Sampler: Euler, Seed: 8, Size: 64x64, Model hash: 0123456789, Model: gone, RNG: CPU"
    found = client.post("/v1/explain", json={"text": text}).json()["differences"]
    first = found[0]
    assert (first["key"], first["grade"], first["action"]["do"]) == ("differs_model_missing", "large", "copy")
    assert "gone" in first["text"] and found[-1]["grade"] == "small"
    chinese = client.post("/v1/explain", json={"text": text}, headers={"accept-language": "zh-CN"}).json()
    assert "检查点" in chinese["differences"][0]["text"]
    assert client.post("/v1/explain", json={"text": "a cat"}).json() == {"differences": []}
    assert client.post("/v1/explain", json={"text": text, "vae": 5}).status_code == 422


def test_the_need_is_told_in_bytes_before_a_run(services: Services) -> None:
    from dataclasses import replace

    from fastapi import FastAPI

    from webui import api
    from webui.catalog.need import Room

    room = Room(free=2**34, itemsize={"unet": 4, "text": 4, "vae": 4})
    app = FastAPI()
    api.mount(app, replace(services, engine_room=lambda: room))
    with TestClient(app) as asking:
        small, large = (asking.post("/v1/need", json={"width": side, "height": side}).json() for side in (64, 128))
        assert asking.post("/v1/need", json={"checkpoint": "none such"}).status_code == 404
    assert small["fits"] == "whole"
    assert small["free"] == 2**34
    assert small["needed"] == sum(small["weights"].values()) + max(small["sampling"], small["decoding"])
    assert large["sampling"] == 4 * small["sampling"]
    app = FastAPI()
    api.mount(app, replace(services, engine_room=lambda: None))
    with TestClient(app) as asking:
        assert asking.post("/v1/need", json={}).status_code == 404
