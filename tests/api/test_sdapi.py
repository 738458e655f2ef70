"""A1111's clients find what they know: fields, defaults, answers."""

import base64
import io
import json
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from webui.api.bodies import Txt2Img
from webui.services import Services

pytestmark = pytest.mark.torch

ASKED: dict[str, Any] = {
    "prompt": "a red circle", "negative_prompt": "blurry", "sampler_name": "Euler a", "steps": 3, "width": 64,
    "height": 64,
    "seed": 5, "cfg_scale": 4,
}  # fmt: skip


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def test_txt2img_answers_pictures_the_request_and_the_facts(client: TestClient) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=ASKED).json()
    assert set(answer) == {"images", "parameters", "info"}
    assert picture(answer["images"][0]).size == (64, 64)
    assert answer["parameters"]["steps"] == 3
    assert answer["parameters"]["hr_scale"] == 2.0
    info = json.loads(answer["info"])
    assert info["all_seeds"] == [5]
    assert info["sampler_name"] == "Euler a"
    assert info["infotexts"][0].startswith("a red circle\nNegative prompt: blurry\nSteps: 3, Sampler: Euler a")
    assert info["index_of_first_image"] == 0


def test_several_pictures_come_without_a_grid_unless_saved(client: TestClient) -> None:
    plain = client.post("/sdapi/v1/txt2img", json=ASKED | {"batch_size": 2}).json()
    saved = client.post("/sdapi/v1/txt2img", json=ASKED | {"batch_size": 2, "save_images": True}).json()
    assert [picture(each).size for each in plain["images"]] == [(64, 64)] * 2
    assert [picture(each).size for each in saved["images"]] == [(128, 64), (64, 64), (64, 64)]


def test_the_old_fields_work(client: TestClient) -> None:
    asked = {key: value for key, value in ASKED.items() if key != "sampler_name"} | {"sampler_index": "DPM++ 2M Karras"}
    info = json.loads(client.post("/sdapi/v1/txt2img", json=asked).json()["info"])
    assert info["sampler_name"] == "DPM++ 2M"
    assert "Schedule type: Karras" in info["infotexts"][0]


def test_pictures_need_not_be_sent(client: TestClient) -> None:
    assert client.post("/sdapi/v1/txt2img", json=ASKED | {"send_images": False}).json()["images"] is None


def test_overrides_count_once_or_for_good(client: TestClient, services: Services) -> None:
    once = ASKED | {"override_settings": {"CLIP_stop_at_last_layers": 2}}
    assert "Clip skip: 2" in client.post("/sdapi/v1/txt2img", json=once).json()["info"]
    assert services.settings.current.model.clip_skip == 1
    client.post("/sdapi/v1/txt2img", json=once | {"override_settings_restore_afterwards": False})
    assert services.settings.current.model.clip_skip == 2
    client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 1})


def test_a_checkpoint_can_be_named_for_one_request(client: TestClient) -> None:
    asked = ASKED | {"override_settings": {"sd_model_checkpoint": "small.safetensors"}}
    assert "Model: small" in client.post("/sdapi/v1/txt2img", json=asked).json()["info"]
    wrong = client.post("/sdapi/v1/txt2img", json=ASKED | {"override_settings": {"sd_model_checkpoint": "nothing"}})
    assert wrong.status_code == 404
    assert "nothing" in wrong.json()["detail"]


def test_an_infotext_fills_what_the_request_leaves_out(client: TestClient) -> None:
    told = json.loads(client.post("/sdapi/v1/txt2img", json=ASKED).json()["info"])["infotexts"][0]
    again = json.loads(client.post("/sdapi/v1/txt2img", json={"infotext": told, "cfg_scale": 2}).json()["info"])
    assert (again["seed"], again["steps"], again["cfg_scale"], again["prompt"]) == (5, 3, 2, "a red circle")


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"sampler_name": "no such"}, 400, "sampler"),
        ({"scheduler": "no such"}, 400, "schedule"),
        ({"width": 0}, 422, "width"),
        ({"width": 63}, 422, "64"),
        ({"height": 100000}, 422, "height"),
        ({"steps": -1}, 422, "steps"),
        ({"prompt": "x" * 10_000_000}, 422, "100000"),
        ({"prompt": ["a", "b"]}, 422, ""),
        ({"enable_hr": True, "hr_upscaler": "Nope"}, 422, "Nope"),
        ({"enable_hr": True, "hr_scale": 100}, 422, "hires.scale"),
        ({"enable_hr": True, "denoising_strength": 2}, 422, "hires.denoising_strength"),
        ({"enable_hr": True, "hr_sampler_name": "UniPC", "hr_second_pass_steps": 2}, 422, "UniPC"),
        ({"script_name": "X/Y/Z plot"}, 422, "script_name"),
        ({"sampler_name": "UniPC", "steps": 2}, 422, "UniPC"),
        ({"override_settings": {"outdir_txt2img_samples": "/etc"}}, 403, "outdir"),
    ],
)
def test_bad_input_gets_a_status_and_a_sentence(
    client: TestClient, change: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=ASKED | change)
    assert answer.status_code == status
    assert says in json.dumps(answer.json()["detail"])


def test_the_second_pass_is_asked_for_with_a1111s_names(client: TestClient) -> None:
    asked = {"enable_hr": True, "hr_resize_x": 96, "hr_upscaler": "Lanczos", "denoising_strength": 0.5}
    answer = client.post("/sdapi/v1/txt2img", json=ASKED | {"width": 64, "height": 64} | asked).json()
    info = json.loads(answer["info"])
    assert info["extra_generation_params"]["Hires resize"] == "96x0"
    again = client.post("/sdapi/v1/txt2img", json={"infotext": info["infotexts"][0]}).json()
    assert json.loads(again["info"])["infotexts"] == info["infotexts"]


def test_the_refiner_is_asked_for_with_a1111s_names(client: TestClient) -> None:
    asked = {"refiner_checkpoint": "small", "refiner_switch_at": 0.5}
    info = json.loads(client.post("/sdapi/v1/txt2img", json=ASKED | asked).json()["info"])
    assert info["extra_generation_params"]["Refiner switch at"] == 0.5
    unknown = client.post("/sdapi/v1/txt2img", json=ASKED | {"refiner_checkpoint": "nowhere"})
    assert unknown.status_code == 404


def test_what_enlarges_is_listed(client: TestClient) -> None:
    assert [each["name"] for each in client.get("/sdapi/v1/upscalers").json()[:3]] == ["None", "Lanczos", "Nearest"]
    assert {"name": "Latent (nearest-exact)"} in client.get("/sdapi/v1/latent-upscale-modes").json()


def test_errors_speak_the_readers_language(client: TestClient) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=ASKED | {"width": 0}, headers={"accept-language": "zh-CN"})
    assert "超出范围" in answer.json()["detail"]
    assert answer.json()["error"] == "out_of_range"


def test_png_info_reads_a_picture_back(client: TestClient) -> None:
    made = client.post("/sdapi/v1/txt2img", json=ASKED).json()
    found = client.post("/sdapi/v1/png-info", json={"image": made["images"][0]}).json()
    assert found["info"] == json.loads(made["info"])["infotexts"][0]
    assert found["parameters"]["Seed"] == "5"
    assert found["parameters"]["Sampler"] == "Euler a"
    assert "parameters" not in found["items"]  # A1111 takes it out as `info`
    for broken in ("data:image/png;base64,AAAA", "no base64 at all!"):
        assert client.post("/sdapi/v1/png-info", json={"image": broken}).status_code == 422
    assert client.post("/sdapi/v1/png-info", json={"image": "http://127.0.0.1/x.png"}).status_code == 403


def test_progress_and_interrupt_reach_your_own_job_alone(client: TestClient, services: Services) -> None:
    answers: list[Any] = []
    long = ASKED | {"steps": 1000, "sampler_name": "Euler"}
    mine = {"x-test-user": "ada"}
    caller = threading.Thread(
        target=lambda: answers.append(client.post("/sdapi/v1/txt2img", json=long, headers=mine).json())
    )
    caller.start()
    seen: dict[str, Any] = {}
    end = time.monotonic() + 60
    while not seen.get("state", {}).get("sampling_step") and time.monotonic() < end:
        seen = client.get("/sdapi/v1/progress", headers=mine).json()
        time.sleep(0.05)
    assert seen["state"]["sampling_steps"] == 1000
    assert 0 < seen["progress"] < 1
    assert client.get("/sdapi/v1/progress", headers={"x-test-user": "bob"}).json()["progress"] == 0
    client.post("/sdapi/v1/interrupt", headers={"x-test-user": "bob"})
    assert services.jobs.running() is not None
    client.post("/sdapi/v1/interrupt", headers=mine)
    caller.join(60)
    assert picture(answers[0]["images"][0]).size == (64, 64)


def test_options_are_read_and_changed_by_a1111s_keys(client: TestClient) -> None:
    options = client.get("/sdapi/v1/options").json()
    assert options["samples_format"] == "png"
    assert options["sd_model_checkpoint"].startswith("small.safetensors")
    assert client.post("/sdapi/v1/options", json={"jpeg_quality": 70, "some_extension_key": [1]}).status_code == 200
    changed = client.get("/sdapi/v1/options").json()
    assert changed["jpeg_quality"] == 70
    assert changed["some_extension_key"] == [1]
    for body, status in (
        ({"outdir_samples": "/etc"}, 403), ({"jpeg_quality": 1000}, 422), ({"sd_model_checkpoint": "nothing"}, 404),
    ):  # fmt: skip
        assert client.post("/sdapi/v1/options", json=body).status_code == status
    assert client.get("/sdapi/v1/options").json()["jpeg_quality"] == 70


def test_flags_are_told_without_secrets(client: TestClient) -> None:
    answer = client.get("/sdapi/v1/cmd-flags")
    assert "secret-word" not in answer.text
    assert answer.json()["gradio_auth"] == "***"
    assert answer.json()["listen"] is False


def test_lists_have_a1111s_fields(client: TestClient) -> None:
    samplers = client.get("/sdapi/v1/samplers").json()
    assert [each["name"] for each in samplers][:3] == ["DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE"]
    assert samplers[0] == {"name": "DPM++ 2M", "aliases": ["k_dpmpp_2m"], "options": {"scheduler": "karras"}}
    schedulers = client.get("/sdapi/v1/schedulers").json()
    assert {
        "name": "karras",
        "label": "Karras",
        "aliases": None,
        "default_rho": 7.0,
        "need_inner_model": False,
    } in schedulers
    model = client.get("/sdapi/v1/sd-models").json()[0]
    assert set(model) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert client.get("/sdapi/v1/sd-vae").json() == []
    assert client.get("/sdapi/v1/prompt-styles").json() == []
    assert set(client.get("/sdapi/v1/memory").json()) == {"ram", "cuda"}


def test_a_new_checkpoint_is_listed_after_refresh(client: TestClient, services: Services) -> None:
    from tests.small import stub_checkpoint

    new = stub_checkpoint(services.settings.path.parent / "models" / "Stable-diffusion" / "new.safetensors")
    assert client.post("/sdapi/v1/refresh-checkpoints").status_code == 200
    names = [each["model_name"] for each in client.get("/sdapi/v1/sd-models").json()]
    assert names == ["new", "small"]
    new.unlink()
    client.post("/sdapi/v1/refresh-checkpoints")


def test_networks_can_be_left_unfollowed(services: Services) -> None:
    assert Txt2Img(prompt="a <lora:b:1>").request(services.gallery.blobs).networks
    assert not Txt2Img(prompt="a <lora:b:1>", disable_extra_networks=True).request(services.gallery.blobs).networks
