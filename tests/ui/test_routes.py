"""What the page asks of the server."""

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from PIL import Image

from tests.ui.drawing import HOLD
from webui.services import Services
from webui.settings.flags import Flags
from webui.ui.routes import authority, sits_here

FORM = {
    "txt2img_prompt": "a red circle", "txt2img_sampling": "Euler a", "txt2img_steps": 2, "txt2img_width": 64,
    "txt2img_height": 64, "txt2img_seed": 5, "txt2img_batch_count": 2,
}  # fmt: skip


def submit(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = client.post(
        "/internal/submit", json={"tab": "txt2img", "values": FORM | more}, headers={"x-test-user": "ada"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(client: TestClient, id: str, user: str = "ada") -> dict[str, Any]:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        job = client.get(f"/internal/jobs/{id}", headers={"x-test-user": user}).json()
        if job["state"] in ("done", "stopped", "failed"):
            return job
        time.sleep(0.02)
    raise TimeoutError(id)


@pytest.fixture(scope="module")
def done(client: TestClient) -> dict[str, Any]:
    return ended(client, submit(client)["id"])


ADA = {"x-test-user": "ada"}
BEN = {"x-test-user": "ben"}


def test_a_submitted_form_becomes_pictures(done: dict[str, Any]) -> None:
    assert done["state"] == "done"
    assert [picture["seed"] for picture in done["pictures"]] == [5, 6]
    assert "Steps: 2, Sampler: Euler a" in done["pictures"][0]["infotext"]


def test_a_form_that_cannot_be_done_says_why_and_queues_nothing(client: TestClient, services: Services) -> None:
    before = len(services.jobs.list())
    answer = client.post(
        "/internal/submit", json={"tab": "txt2img", "values": FORM | {"txt2img_width": 0}}, headers=ADA
    )
    assert answer.status_code == 422
    assert "width" in answer.json()["detail"]
    chinese = client.post(
        "/internal/submit",
        json={"tab": "txt2img", "values": FORM | {"txt2img_steps": "x"}},
        headers={"x-maple-language": "zh-CN"},
    )
    assert "应为数字" in chinese.json()["detail"]
    assert client.post("/internal/submit", json={"tab": "nowhere", "values": {}}).status_code == 422
    assert len(services.jobs.list()) == before


def test_nobody_sees_stops_or_fetches_the_job_of_another(client: TestClient, done: dict[str, Any]) -> None:
    id = done["id"]
    paths = (f"jobs/{id}", f"jobs/{id}/events", f"jobs/{id}/zip", f"picture/{id}/0")
    assert [client.get(f"/internal/{path}", headers=BEN).status_code for path in paths] == [404] * 4
    assert client.get(f"/internal/jobs/{id}/preview", headers=BEN).status_code == 204
    assert client.post(f"/internal/jobs/{id}/stop", headers=BEN).status_code == 404
    assert client.post("/internal/open-folder", json={"job": id}, headers=BEN).status_code == 404
    assert id not in [job["id"] for job in client.get("/internal/jobs", headers=BEN).json()]
    assert id in [job["id"] for job in client.get("/internal/jobs", headers=ADA).json()]


def test_events_end_with_the_closed_job(client: TestClient) -> None:
    id = submit(client)["id"]
    said: list[dict[str, Any]] = []
    with client.stream("GET", f"/internal/jobs/{id}/events", headers=ADA) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                said.append(json.loads(line.removeprefix("data: ")))
    assert said[-1]["state"] == "done"
    assert len(said[-1]["pictures"]) == 2


def test_events_of_a_running_job_leave_out_infotexts_and_bring_previews(client: TestClient) -> None:
    id = submit(client, txt2img_prompt=HOLD)["id"]
    until = time.monotonic() + 20
    job = {"preview": 0}
    while not job["preview"] and time.monotonic() < until:
        job = client.get(f"/internal/jobs/{id}", headers=ADA).json()
        time.sleep(0.02)
    assert job["preview"] == 1
    assert client.get(f"/internal/jobs/{id}/preview?rev=1", headers=ADA).content == b"not much of a picture"
    assert all(picture["infotext"] == "" for picture in job["pictures"])
    assert client.post(f"/internal/jobs/{id}/finish", headers=ADA).status_code == 200
    closed = ended(client, id)
    assert (closed["state"], len(closed["pictures"])) == ("stopped", 1)


def test_a_picture_is_kept_by_the_browser_and_never_named_by_path(client: TestClient, done: dict[str, Any]) -> None:
    address = f"/internal/picture/{done['id']}/1"
    answer = client.get(address, headers=ADA)
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(address, headers=ADA | {"if-none-match": answer.headers["etag"]}).status_code in (200, 304)
    assert Image.open(io.BytesIO(answer.content)).size == (64, 64)
    kept = client.get(f"{address}?download", headers=ADA).headers["content-disposition"]
    assert kept.startswith("attachment")
    for wrong in ("2", "-1", "99"):
        assert client.get(f"/internal/picture/{done['id']}/{wrong}", headers=ADA).status_code == 404


def test_a_thumbnail_is_small(client: TestClient) -> None:
    made = ended(client, submit(client, txt2img_width=1024, txt2img_height=512, txt2img_batch_count=1)["id"])
    answer = client.get(f"/internal/picture/{made['id']}/0?small", headers=ADA)
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(answer.content)).size == (360, 180)


def test_a_picture_whose_file_is_gone_says_so(client: TestClient, root: Path) -> None:
    made = ended(client, submit(client, txt2img_seed=991, txt2img_batch_count=1)["id"])
    for file in (root / "outputs").rglob("*-991.png"):
        file.unlink()
    answer = client.get(f"/internal/picture/{made['id']}/0", headers=ADA)
    assert answer.status_code == 404
    assert "991.png" in answer.json()["detail"]


def test_the_zip_holds_every_picture(client: TestClient, done: dict[str, Any]) -> None:
    answer = client.get(f"/internal/jobs/{done['id']}/zip", headers=ADA)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2


def test_a_dropped_picture_gives_the_form_its_values_back(client: TestClient, done: dict[str, Any]) -> None:
    body = client.get(f"/internal/picture/{done['id']}/0", headers=ADA).content
    found = client.post("/internal/infotext", files={"picture": ("a.png", body, "image/png")}, headers=ADA).json()
    said = {id: value for id, value in found["values"].items() if id in FORM}
    assert said == {id: value for id, value in FORM.items() if id != "txt2img_batch_count"}
    assert found["infotext"] == done["pictures"][0]["infotext"]
    assert {"key": "note", "text": '{"batch": 0}'} in found["items"]


def test_the_arrow_reads_the_prompt_or_the_last_generation(client: TestClient, done: dict[str, Any]) -> None:
    text = "a cat\nSteps: 7, Sampler: Euler, Schedule type: Karras, CFG scale: 3, Seed: 12, Size: 128x96, "
    text += "Clip skip: 2, RNG: NV"
    found = client.post("/internal/infotext", json={"text": text}, headers=ADA).json()
    assert found["values"]["txt2img_prompt"] == "a cat"
    assert (found["values"]["txt2img_steps"], found["values"]["txt2img_width"], found["values"]["txt2img_height"]) == (
        7,
        128,
        96,
    )
    assert found["overrides"] == ["Clip skip: 2", "RNG: NV"]
    again = client.post("/internal/infotext", json={"text": ""}, headers=ADA).json()
    assert again["infotext"].startswith(("a red circle", HOLD))
    assert client.post("/internal/infotext", json={"text": " "}, headers={"x-test-user": "nobody"}).json() is None


def test_styles_hidden_in_a_prompt_are_found(client: TestClient) -> None:
    text = (
        "oil painting of a cat\nNegative prompt: blurry\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 12, Size: 128x96"
    )
    values = client.post("/internal/infotext", json={"text": text}).json()["values"]
    assert (values["txt2img_styles"], values["txt2img_prompt"], values["txt2img_neg_prompt"]) == (["油画"], "a cat", "")


@pytest.mark.parametrize("body", [b"", b"no picture", b"\x89PNG\r\n\x1a\nbroken"])
def test_a_broken_picture_is_a_clear_message(client: TestClient, body: bytes) -> None:
    answer = client.post("/internal/infotext", files={"picture": ("a.png", body, "image/png")})
    assert answer.status_code == 422
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
def test_what_is_no_question_is_refused_without_a_fault(client: TestClient, body: bytes) -> None:
    answer = client.post("/internal/infotext", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_tokens_are_counted_for_both_prompts_with_their_styles(client: TestClient) -> None:
    counts = client.post(
        "/internal/tokens", json={"prompt": "a red circle", "negative_prompt": "", "styles": []}
    ).json()["counts"]
    assert counts == [{"tokens": 3, "most": 75}, {"tokens": 0, "most": 75}]
    styled = client.post("/internal/tokens", json={"prompt": "a red circle", "styles": ["油画", "gone"]}).json()[
        "counts"
    ]
    assert [count["tokens"] for count in styled] == [6, 1]
    long = client.post("/internal/tokens", json={"prompt": "cat " * 80}).json()["counts"][0]
    assert long == {"tokens": 80, "most": 150}


def test_choices_name_models_styles_and_what_is_in_force(client: TestClient) -> None:
    found = client.get("/internal/choices").json()
    titles = [model["title"].split(" [")[0] for model in found["checkpoints"]]
    assert "first.safetensors" in titles
    assert "动漫/第二" in titles
    assert found["vaes"][:2] == ["Automatic", "None"]
    assert found["styles"] == [{"name": "油画", "prompt": "oil painting of {prompt}", "negative_prompt": "blurry"}]
    assert found["now"]["quick"] == {"setting_CLIP_stop_at_last_layers": 1}
    assert client.post("/internal/refresh/checkpoint").status_code == 200
    assert client.post("/internal/refresh/everything").status_code == 422


def test_the_page_knows_who_is_signed_in(client: TestClient) -> None:
    assert client.get("/internal/choices", headers=ADA).json()["account"] == "ada"
    assert client.get("/internal/choices").json()["account"] == ""


def test_a_style_is_saved_and_deleted(client: TestClient) -> None:
    body = {"name": "水彩", "prompt": "watercolour", "negative_prompt": ""}
    assert client.post("/internal/styles", json=body).status_code == 200
    assert "水彩" in [style["name"] for style in client.get("/internal/choices").json()["styles"]]
    assert client.post("/internal/styles", json={"name": " ", "prompt": "x"}).status_code == 422
    assert client.post("/internal/styles", json={"delete": "水彩"}).status_code == 200
    assert "水彩" not in [style["name"] for style in client.get("/internal/choices").json()["styles"]]


def test_settings_are_shown_by_section_and_changed(client: TestClient, services: Services) -> None:
    form = client.get("/internal/settings").json()
    rows = {row["key"]: row for section in form["sections"] for row in section["settings"]}
    assert rows["saving.jpeg_quality"]["id"] == "jpeg_quality"
    assert (rows["saving.jpeg_quality"]["lo"], rows["saving.jpeg_quality"]["hi"]) == (1, 100)
    changed = client.post(
        "/internal/settings", json={"values": {"saving.jpeg_quality": 77, "CLIP_stop_at_last_layers": 2}}
    )
    assert changed.status_code == 200
    assert (services.settings.current.saving.jpeg_quality, services.settings.current.model.clip_skip) == (77, 2)
    refused = client.post("/internal/settings", json={"values": {"saving.jpeg_quality": 1000}})
    assert refused.status_code == 422
    assert "jpeg_quality" in refused.json()["detail"]
    client.post("/internal/settings", json={"values": {"saving.jpeg_quality": 80, "CLIP_stop_at_last_layers": 1}})


def test_folders_are_chosen_by_the_owner_on_the_page_alone(client: TestClient, services: Services) -> None:
    body = {"values": {"outdir_txt2img_samples": "outputs/elsewhere"}}
    program = {"authorization": "Basic Ym90OnNlY3JldA=="}
    refused = client.post("/internal/settings", json=body, headers=program)
    assert refused.status_code == 403
    assert client.post("/internal/settings", json={"values": {"jpeg_quality": 80}}, headers=program).status_code == 200
    rows = client.get("/internal/settings", headers=program).json()["sections"]
    fixed = {row["id"] for section in rows for row in section["settings"] if row["fixed"]}
    assert "outdir_txt2img_samples" in fixed and "jpeg_quality" not in fixed
    assert client.post("/internal/settings", json=body, headers=ADA).status_code == 200
    assert services.settings.current.paths.outdir_txt2img_samples == "outputs/elsewhere"
    client.post(
        "/internal/settings", json={"values": {"outdir_txt2img_samples": "outputs/txt2img-images"}}, headers=ADA
    )


@pytest.mark.parametrize("flags", [Flags(listen=True), Flags(share=True), Flags(server_name="0.0.0.0")])
def test_a_shared_server_without_accounts_knows_no_owner(flags: Flags) -> None:
    passer_by = Request({"type": "http", "headers": [], "state": {}})
    signed_in = Request({"type": "http", "headers": [], "state": {"user": "ada"}})
    assert (authority(passer_by, flags), authority(signed_in, flags)) == ("api", "owner")
    assert authority(passer_by, Flags()) == "owner"


def test_a_browser_behind_a_tunnel_or_proxy_does_not_sit_here() -> None:
    def asked(host: str, *headers: tuple[bytes, bytes]) -> Request:
        return Request({"type": "http", "headers": list(headers), "client": (host, 1)})

    assert sits_here(asked("127.0.0.1"), Flags())
    assert not sits_here(asked("192.168.1.7"), Flags(listen=True))
    assert not sits_here(asked("127.0.0.1"), Flags(share=True))
    assert not sits_here(asked("127.0.0.1", (b"x-forwarded-for", b"1.2.3.4")), Flags())


def test_the_folder_is_told_but_not_opened_for_somebody_elsewhere(client: TestClient, root: Path) -> None:
    answer = client.post("/internal/open-folder", json={"job": None}).json()
    assert answer == {"path": str(root / "outputs" / "txt2img-images"), "opened": False}


def test_none_of_this_is_in_the_api_document(app: Any) -> None:
    assert [path for path in app.app.openapi()["paths"] if path.startswith("/internal")] == []


def test_a_pasted_infotext_fills_hires_fix_and_a_plain_one_unticks_it(client: TestClient) -> None:
    plain = "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64"
    found = client.post("/internal/infotext", json={"text": plain}).json()["values"]
    assert (found["txt2img_hr-checkbox"], found["txt2img_enable-checkbox"]) == (False, False)
    text = f"{plain}, Denoising strength: 0.5, Hires upscale: 1.5, Hires upscaler: Lanczos"
    found = client.post("/internal/infotext", json={"text": text}).json()["values"]
    assert found["txt2img_hr-checkbox"] is True
    assert (found["txt2img_hr_upscaler"], found["txt2img_hr_scale"], found["txt2img_denoising_strength"]) == (
        "Lanczos",
        1.5,
        0.5,
    )
    other = client.post("/internal/infotext?tab=img2img", json={"text": text}).json()["values"]
    assert [id for id in other if not id.startswith("img2img_")] == []


def test_upscalers_are_among_the_choices(client: TestClient) -> None:
    assert client.get("/internal/choices").json()["upscalers"][:2] == ["Latent", "Latent (antialiased)"]


def test_a_picture_is_upscaled_with_its_own_prompt_and_seed_and_the_forms_hires_fix(
    client: TestClient, services: Services, done: dict[str, Any]
) -> None:
    values = {"txt2img_prompt": "typed since", "txt2img_hr_scale": 1.5, "txt2img_hr_upscaler": "Lanczos"}
    body = {"job": done["id"], "number": 1, "values": values}
    answer = client.post("/internal/upscale", json=body, headers=ADA)
    assert answer.status_code == 200, answer.text
    asked = services.jobs.get(answer.json()["id"]).request
    assert (asked.prompt, asked.seed, asked.width, asked.batch_count) == ("a red circle", 6, 64, 1)
    assert (asked.hires.scale, asked.hires.upscaler, asked.init) == (1.5, "Lanczos", None)
    assert services.gallery.blobs.open(asked.hires.picture).size == (64, 64)
    assert client.post("/internal/upscale", json=body, headers=BEN).status_code == 404
    assert client.post("/internal/upscale", json=body | {"number": 9}, headers=ADA).status_code == 404


def test_a_job_tells_how_long_it_took_by_the_servers_clock(client: TestClient, done: dict[str, Any]) -> None:
    told = client.get(f"/internal/jobs/{done['id']}", headers=ADA).json()
    assert told["elapsed"] == pytest.approx(told["finished"] - told["started"])
    assert client.get("/internal/memory").json()["text"]
