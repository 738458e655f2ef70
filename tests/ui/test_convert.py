"""The Models tab orders conversions; what it sends is checked before anything is queued."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.ui.test_routes import ADA, ended
from webui.domain import ConvertRequest, ModelFormat, ModelKind
from webui.services import Services
from webui.ui.convert import request_from


def ask(client: TestClient, **values: Any) -> Any:
    return client.post("/internal/convert", json={"values": values}, headers=ADA)


def test_the_tab_offers_what_lies_in_the_folders(client: TestClient) -> None:
    told = client.get("/internal/convert", headers=ADA).json()
    checkpoints = next(each for each in told["kinds"] if each["kind"] == "checkpoint")
    assert "first.safetensors" in [model["name"] for model in checkpoints["models"]]
    assert told["formats"] == ["safetensors", "pickle", "diffusers"]


def test_an_order_is_a_job_of_the_queue(client: TestClient, services: Services) -> None:
    answer = ask(client, kind="checkpoint", model="first.safetensors", to="pickle", precision="fp16", name="half")
    assert answer.status_code == 200, answer.text
    job = ended(client, answer.json()["id"])
    assert (job["kind"], job["state"]) == ("convert", "done")
    assert "half.pickle" in job["notes"][0]
    assert services.jobs.get(job["id"]).request == ConvertRequest(
        model="first.safetensors", kind=ModelKind.CHECKPOINT, to=ModelFormat.PICKLE, name="half", precision="fp16"
    )


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"model": "nobody.safetensors"}, 404),
        ({"model": "first.safetensors", "precision": "fp4"}, 422),
        ({"model": "first.safetensors", "to": "exe"}, 422),
        ({"model": "first.safetensors", "kind": "face"}, 422),
        ({"model": "first.safetensors", "name": "/etc/passwd"}, 422),
        ({"model": "first.safetensors", "name": "..\\x"}, 422),
    ],
)
def test_what_cannot_be_done_is_said_and_not_queued(
    client: TestClient, services: Services, values: dict[str, Any], status: int
) -> None:
    before = len(services.jobs.list())
    answer = ask(client, **values)
    assert answer.status_code == status
    assert len(answer.json()["detail"]) > 10
    assert len(services.jobs.list()) == before


def test_what_is_left_out_takes_its_default() -> None:
    assert request_from({"model": "x"}) == ConvertRequest(model="x")
