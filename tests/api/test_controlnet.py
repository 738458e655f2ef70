"""/controlnet as sd-webui-controlnet answers it, and units inside a request, over the real server and its client."""

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import uvicorn
import webuiapi
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from tests.small import save_small_checkpoint, save_small_control, save_small_sdxl
from webui import api
from webui.app import Engine, build
from webui.services import Services
from webui.settings.flags import Flags

pytestmark = pytest.mark.torch
SMALL = {"prompt": "a red circle", "width": 64, "height": 64, "steps": 2, "seed": 3, "sampler_name": "Euler"}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("controlled")
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    save_small_sdxl(root / "models" / "Stable-diffusion" / "wide.safetensors")
    save_small_control(root / "models" / "ControlNet" / "control_11_small_canny.safetensors")
    (root / "config.json").write_text(json.dumps({"sd_model_checkpoint": "small.safetensors"}), "utf-8")
    made = build(Flags(data_dir=root))
    made.catalog.scan()
    made.jobs.start(Engine(made).workers)
    yield made
    made.jobs.close()
    made.catalog.close()


@pytest.fixture(scope="module")
def app(services: Services) -> FastAPI:
    made = FastAPI(docs_url=None)
    api.mount(made, services)
    return made


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, headers={"accept-language": "en"}) as made:
        yield made


@pytest.fixture(scope="module")
def theirs(app: FastAPI) -> Iterator[webuiapi.WebUIApi]:
    """The client itself. Units are handed in beside scripts of their own: it writes them into its default, which every
    later call would send along.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield webuiapi.WebUIApi(host="127.0.0.1", port=port, sampler="Euler", steps=2)
    server.should_exit = True
    thread.join()


def drawing(size: tuple[int, int] = (64, 64)) -> Image.Image:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).ellipse((16, 16, 48, 48), fill="black")
    return picture


def b64(image: Image.Image) -> str:
    body = io.BytesIO()
    image.save(body, "PNG")
    return base64.b64encode(body.getvalue()).decode()


def opened(text: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        return np.asarray(image.convert("RGB"))


def unit(**more: Any) -> dict[str, Any]:
    return {"enabled": True, "module": "canny", "model": "control_11_small_canny", "image": b64(drawing()), **more}


def generate(client: TestClient, *units: dict[str, Any], route: str = "txt2img", **more: Any) -> Any:
    scripts = {"alwayson_scripts": {"controlnet": {"args": list(units)}}} if units else {}
    return client.post(f"/sdapi/v1/{route}", json={**SMALL, **scripts, **more})


# --- lists


def test_version_and_settings(client: TestClient) -> None:
    assert client.get("/controlnet/version").json() == {"version": 3}
    assert client.get("/controlnet/settings").json() == {"control_net_unit_count": 3}


def test_models_are_named_as_units_name_them(client: TestClient, services: Services) -> None:
    (name,) = client.get("/controlnet/model_list").json()["model_list"]
    assert name.startswith("control_11_small_canny [")
    assert generate(client, unit(model=name)).status_code == 200
    more = save_small_control(services.settings.path.parent / "models" / "ControlNet" / "later.safetensors", seed=6)
    assert len(client.get("/controlnet/model_list", params={"update": False}).json()["model_list"]) == 1
    assert len(client.get("/controlnet/model_list").json()["model_list"]) == 2
    more.unlink()
    assert len(client.get("/controlnet/model_list", params={"update": True}).json()["model_list"]) == 1


def test_modules_are_listed_with_their_dials(client: TestClient) -> None:
    plain = client.get("/controlnet/module_list").json()
    assert plain["module_list"][0] == "none"
    assert {"canny", "depth", "openpose_full", "pidinet", "invert", "reference_only"} <= set(plain["module_list"])
    assert set(plain["module_list"]) == set(plain["module_detail"])
    assert plain["module_detail"]["reference_only"]["model_free"] is True
    canny = plain["module_detail"]["canny"]
    assert canny["model_free"] is False
    assert canny["sliders"] == [
        {"name": "Resolution", "value": 512, "min": 64, "max": 2048, "step": 8},
        {"name": "Low Threshold", "value": 100, "min": 1, "max": 255, "step": 1},
        {"name": "High Threshold", "value": 200, "min": 1, "max": 255, "step": 1},
    ]
    labels = client.get("/controlnet/module_list", params={"alias_names": True}).json()
    assert "depth_midas" in labels["module_list"]
    assert "lineart_standard (from white bg & black line)" in labels["module_detail"]


def test_control_types_say_what_goes_together(client: TestClient) -> None:
    types = client.get("/controlnet/control_types").json()["control_types"]
    canny = types["Canny"]
    assert canny["module_list"][0] == "none"
    assert canny["default_option"] == "canny"
    assert canny["model_list"][0] == "None"
    assert canny["default_model"] == canny["model_list"][1]
    assert canny["default_model"].startswith("control_11_small_canny [")
    assert types["Depth"]["default_model"] == "None"
    assert set(types) >= {"All", "OpenPose", "Lineart", "Reference"}


def test_a_client_is_told_of_the_script(client: TestClient) -> None:
    assert "controlnet" in client.get("/sdapi/v1/scripts").json()["img2img"]


# --- maps


def test_a_map_is_made_without_a_picture_being_drawn(client: TestClient) -> None:
    told = {"controlnet_module": "canny", "controlnet_input_images": [b64(drawing()), b64(drawing((96, 64)))],
            "controlnet_processor_res": 128}  # fmt: skip
    found = client.post("/controlnet/detect", json=told).json()
    assert found["info"] == "Success"
    maps = [opened(each) for each in found["images"]]
    assert [each.shape for each in maps] == [(128, 128, 3), (128, 192, 3)]
    assert {0, 255} == set(np.unique(maps[0]))
    assert "poses" not in found


def test_dials_of_minus_one_are_the_preprocessors_own(client: TestClient) -> None:
    def made(**more: Any) -> Any:
        told = {"controlnet_module": "threshold", "controlnet_input_images": [b64(drawing())], **more}
        return client.post("/controlnet/detect", json=told).json()["images"]

    assert made() == made(controlnet_threshold_a=127) == made(controlnet_threshold_a=-1, controlnet_processor_res=512)


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        ({"controlnet_module": "crystal ball"}, 422, "crystal ball"),
        ({"controlnet_module": "seg_ofade20k"}, 422, "seg_ofade20k"),
        ({"controlnet_input_images": []}, 422, "no picture"),
        ({"controlnet_input_images": ["no base64!"]}, 422, "picture"),
        ({"controlnet_input_images": [base64.b64encode(b"text").decode()]}, 422, "picture"),
        ({"controlnet_module": "inpaint_only"}, 422, "mask for each picture"),
        ({"controlnet_module": "inpaint_only", "controlnet_masks": [b64(drawing((32, 64)))]}, 422, "32×64"),
        ({"controlnet_module": "openpose_full"}, 404, "body_pose_model.pth"),
        ({"controlnet_input_images": [b64(Image.new("1", (20_000, 8)))]}, 422, "20000"),
        ({"controlnet_input_images": "text"}, 422, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_detected_is_said(client: TestClient, told: dict[str, Any], status: int, words: str) -> None:
    whole = {"controlnet_module": "canny", "controlnet_input_images": [b64(drawing())], **told}
    answer = client.post("/controlnet/detect", json=whole)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text


# --- poses


def pose(**more: Any) -> dict[str, Any]:
    points = [[256, 100, 1], [256, 150, 1], *[[0, 0, 0]] * 5, [400, 146, 1], *[[0, 0, 0]] * 10]
    body = [number for point in points for number in point]
    return {"people": [{"pose_keypoints_2d": body}], "canvas_width": 512, "canvas_height": 384, **more}


def test_poses_are_drawn_in_the_fields_colours(client: TestClient) -> None:
    found = client.post("/controlnet/render_openpose_json", json=[pose(), pose(canvas_height=512)]).json()
    first, second = (opened(each) for each in found["images"])
    assert (first.shape, second.shape) == ((384, 512, 3), (512, 512, 3))
    assert tuple(first[146, 400]) == (0, 255, 85)
    assert tuple(first[100, 256]) == (255, 0, 0)
    assert tuple(first[0, 0]) == (0, 0, 0)
    assert client.post("/controlnet/render_openpose_json", json=[]).json() == {"info": "No pose data detected."}


@pytest.mark.parametrize(
    "broken",
    [
        {}, {"people": 3}, {"people": [{"pose_keypoints_2d": [1, 2]}]}, {"people": [{"pose_keypoints_2d": ["x"] * 54}]},
        {"canvas_width": 10**9}, {"people": [None]}, {"people": [{"pose_keypoints_2d": [1] * 54}] * 200},
    ],
)  # fmt: skip
def test_a_malformed_pose_is_said(client: TestClient, broken: dict[str, Any]) -> None:
    told = [pose(**broken)] if broken else [broken]
    answer = client.post("/controlnet/render_openpose_json", json=told)
    assert answer.status_code == 422
    assert answer.json()["detail"]


# --- units in a request


def test_a_unit_changes_the_picture_and_its_map_comes_last(client: TestClient) -> None:
    plain, controlled = generate(client).json(), generate(client, unit()).json()
    assert len(plain["images"]) == 1
    assert len(controlled["images"]) == 2
    assert (opened(plain["images"][0]) != opened(controlled["images"][0])).any()
    assert {0, 255} == set(np.unique(opened(controlled["images"][1])))
    info = json.loads(controlled["info"])
    assert "ControlNet 0" in info["infotexts"][0]
    assert info["extra_generation_params"]["ControlNet 0"].startswith("Module: canny, Model: control_11_small_canny [")
    assert len(info["all_seeds"]) == 1


def test_weight_0_gives_the_picture_of_no_unit(client: TestClient) -> None:
    plain, none = generate(client).json(), generate(client, unit(weight=0, save_detected_map=False)).json()
    assert len(none["images"]) == 1
    assert (opened(plain["images"][0]) == opened(none["images"][0])).all()


def test_a_unit_that_is_off_is_no_unit(client: TestClient) -> None:
    assert len(generate(client, unit(enabled=False), None).json()["images"]) == 1  # pyright: ignore[reportArgumentType]


def test_img2imgs_picture_is_the_units_where_it_has_none(client: TestClient) -> None:
    init = b64(drawing())
    own = generate(client, unit(), route="img2img", init_images=[init]).json()
    taken = generate(client, unit(image=None), route="img2img", init_images=[init]).json()
    assert (opened(own["images"][0]) == opened(taken["images"][0])).all()


@pytest.mark.parametrize(
    ("broken", "status", "words"),
    [
        ({"module": "crystal ball"}, 422, "crystal ball"),
        ({"model": "nowhere"}, 404, "nowhere"),
        ({"model": "None"}, 422, ""),
        ({"image": None}, 422, "picture"),
        ({"image": "no base64!"}, 422, "picture"),
        ({"mask": b64(drawing((32, 64)))}, 422, "32×64"),
        ({"weight": 5}, 422, "weight"),
        ({"guidance_start": 0.9, "guidance_end": 0.1}, 422, "0.9"),
        ({"control_mode": "wild"}, 422, "control_mode"),
        ({"advanced_weighting": [1, 2]}, 422, "2"),
        ({"ipadapter_input": "gASVIAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAVzbGVlcJSFlFKULg=="}, 422, "ipadapter_input"),
        ({"image": b64(Image.new("1", (20_000, 8)))}, 422, "20000"),
    ],
)
def test_a_unit_that_cannot_be_is_said_and_nothing_is_drawn(
    client: TestClient, services: Services, broken: dict[str, Any], status: int, words: str
) -> None:
    before = services.settings.current
    answer = generate(client, unit(**broken))
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert answer.json()["detail"]
    assert services.settings.current == before


def test_a_model_for_another_base_is_said(client: TestClient) -> None:
    answer = generate(client, unit(), override_settings={"sd_model_checkpoint": "wide.safetensors"})
    assert answer.status_code == 422
    assert "control_11_small_canny" in answer.json()["detail"]


# --- the client people use


def test_webuiapi_asks_what_there_is(theirs: webuiapi.WebUIApi) -> None:
    assert theirs.controlnet_version() == 3
    assert "canny" in theirs.controlnet_module_list()
    (name,) = theirs.controlnet_model_list()
    assert name.startswith("control_11_small_canny")


def test_webuiapi_makes_a_map(theirs: webuiapi.WebUIApi) -> None:
    found = theirs.controlnet_detect([drawing()], module="canny")
    assert found.image.size == (512, 512)


def test_webuiapi_draws_with_units(theirs: webuiapi.WebUIApi) -> None:
    (model,) = theirs.controlnet_model_list()
    units = [
        webuiapi.ControlNetUnit(image=drawing(), module="canny", model=model, weight=0.7, guidance_end=0.8),
        webuiapi.ControlNetUnit(image=drawing(), mask=Image.new("L", (64, 64), 255), module="none", model=model,
                                control_mode=2, hr_option="Low res only"),
    ]  # fmt: skip
    small = {"width": 128, "height": 128, "seed": 3, "steps": 2}
    found = theirs.txt2img(prompt="a red circle", controlnet_units=units, alwayson_scripts={}, **small)
    assert found.image.size == (128, 128)
    assert len(found.images) == 3
    init = theirs.img2img(images=[drawing()], prompt="x", controlnet_units=units[:1], alwayson_scripts={}, **small)
    assert init.image.size == (128, 128)


def test_webuiapi_is_told_what_is_wrong(theirs: webuiapi.WebUIApi) -> None:
    units = [webuiapi.ControlNetUnit(image=drawing(), module="canny", model="nowhere")]
    with pytest.raises(RuntimeError, match="nowhere"):
        theirs.txt2img(prompt="x", width=64, height=64, steps=1, controlnet_units=units, alwayson_scripts={})
