"""💾, 🗃️ and "what may differ" as the page asks for them."""

import csv
import io
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from PIL.PngImagePlugin import PngInfo

ADA = {"x-test-user": "ada"}
FORM = {
    "txt2img_prompt": "a red circle", "txt2img_sampling": "Euler a", "txt2img_steps": 2, "txt2img_width": 64,
    "txt2img_height": 64, "txt2img_seed": 70, "txt2img_batch_count": 2,
}  # fmt: skip
TEXT = "a cat\nSteps: 5, Sampler: Nobody's, Seed: 8, Size: 64x64, Model hash: 0123456789, Model: gone, RNG: CPU"


@pytest.fixture(scope="module")
def done(client: TestClient) -> dict[str, Any]:
    id = client.post("/internal/submit", json={"tab": "txt2img", "values": FORM}, headers=ADA).json()["id"]
    until = time.monotonic() + 20
    while time.monotonic() < until:
        job = client.get(f"/internal/jobs/{id}", headers=ADA).json()
        if job["state"] == "done":
            return job
        time.sleep(0.02)
    raise TimeoutError(id)


def saved(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/internal/save", json=body, headers=ADA)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_one_picture_is_saved_into_log_images_with_its_line(client: TestClient, done: dict[str, Any], root: Path):
    answer = saved(client, job=done["id"], number=1)
    (file,) = answer["files"]
    assert file["name"].endswith("-71.png") and file["name"] in answer["text"]
    assert (root / "log" / "images" / file["name"]).is_file()
    with (root / "log" / "images" / "log.csv").open(encoding="utf-8", newline="") as lines:
        row = list(csv.DictReader(lines))[-1]
    assert (row["prompt"], row["seed"], row["filename"]) == ("a red circle", "71", file["name"])
    body = client.get(f"/{file['address']}", headers=ADA)
    assert body.headers["content-disposition"].startswith("attachment")


def test_all_pictures_are_saved_and_packed(client: TestClient, done: dict[str, Any], root: Path):
    answer = saved(client, job=done["id"], archive=True)
    archive, *files = answer["files"]
    assert archive["name"].endswith("_70-71.zip") and len(files) == 2
    with zipfile.ZipFile(root / "log" / "images" / archive["name"]) as packed:
        assert packed.namelist() == [file["name"] for file in files]
    fetched = client.get(f"/{archive['address']}", headers=ADA)
    assert unquote(fetched.headers["content-disposition"]).endswith("_70-71.zip")
    assert zipfile.ZipFile(io.BytesIO(fetched.content)).testzip() is None


def test_nobody_saves_the_pictures_of_another(client: TestClient, done: dict[str, Any]):
    for body, headers in (({"job": done["id"]}, {"x-test-user": "ben"}), ({"job": done["id"], "number": 9}, ADA)):
        assert client.post("/internal/save", json=body, headers=headers).status_code == 404


def test_what_differs_is_told_in_the_page_s_language(client: TestClient):
    answer = client.post("/internal/differences", json={"text": TEXT}, headers=ADA).json()["differences"]
    found = {each["key"]: each for each in answer}
    assert {"differs_model_missing", "differs_sampler", "differs_precision"} <= set(found)
    action = found["differs_model_missing"]["action"]
    assert (action["do"], action["value"]) == ("copy", "0123456789") and "0123456789" in action["label"]
    headers = ADA | {"x-maple-language": "zh-CN"}
    chinese = client.post("/internal/differences", json={"text": TEXT}, headers=headers).json()["differences"]
    assert "检查点" in next(each["text"] for each in chinese if each["key"] == "differs_model_missing")
    assert client.post("/internal/differences", json={"text": "a cat"}, headers=ADA).json() == {"differences": []}


def test_what_is_chosen_in_the_form_counts(client: TestClient):
    titles = [each["title"] for each in client.get("/internal/choices").json()["checkpoints"]]
    text = "a\nSteps: 5, Seed: 1, Size: 64x64, RNG: CPU, Model: first"

    def keys(checkpoint: str) -> set[str]:
        body = {"text": text, "checkpoint": checkpoint}
        answer = client.post("/internal/differences", json=body, headers=ADA).json()["differences"]
        return {each["key"] for each in answer}

    first, other = sorted(titles, key=lambda title: "first" not in title)
    assert "differs_model_other" not in keys(first) and "differs_model_other" in keys(other)


def test_a_picture_of_another_program_fills_the_form_and_says_what_is_missing(client: TestClient):
    told = PngInfo()
    told.add_text("Software", "NovelAI")
    told.add_text(
        "Comment", '{"prompt": "{girl}", "uc": "bad", "steps": 28, "scale": 5, "seed": 6, "sampler": "x", "sm": true}'
    )
    data = io.BytesIO()
    Image.new("RGB", (64, 96)).save(data, "PNG", pnginfo=told)
    picture = {"picture": ("a.png", data.getvalue(), "image/png")}
    found = client.post("/internal/infotext", files=picture, headers=ADA | {"x-maple-language": "en"}).json()
    assert found["values"]["txt2img_prompt"] == "(girl:1.05)" and found["values"]["txt2img_height"] == 96
    assert any("NovelAI" in note for note in found["notes"]) and any("sm" in note for note in found["notes"])
    assert {item["key"] for item in found["items"]} == {"Software", "Comment"}
