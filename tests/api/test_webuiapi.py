"""The Python client people use for A1111's API, unmodified, against the real application over a real socket."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
import webuiapi
from fastapi import FastAPI
from PIL import Image, ImageDraw

from webui import api
from webui.services import Services

pytestmark = pytest.mark.torch

NOT_IN_A1111 = {
    "get_artists": "gone from A1111 since 1.0",
    "get_artist_categories": "gone from A1111 since 1.0",
    "list_prompt_gen_models": "the promptgen extension's",
    "prompt_gen": "the promptgen extension's",
    "controlnet_version": "the ControlNet extension's, tried in test_controlnet.py",
    "controlnet_model_list": "the ControlNet extension's, tried in test_controlnet.py",
    "controlnet_module_list": "the ControlNet extension's, tried in test_controlnet.py",
    "controlnet_detect": "the ControlNet extension's, tried in test_controlnet.py",
    "custom_get": "any address",
    "custom_post": "any address",
    "check_extensions": "asks for the scripts' names",
}
"""Methods of the client whose routes A1111 1.10.1 itself does not have."""


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[webuiapi.WebUIApi]:
    app = FastAPI(docs_url=None)
    api.mount(app, services)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield webuiapi.WebUIApi(host="127.0.0.1", port=port, sampler="Euler a", steps=2)
    server.should_exit = True
    thread.join()


def drawing() -> Image.Image:
    picture = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(picture).ellipse((16, 16, 48, 48), fill="red")
    return picture


SMALL = {"width": 64, "height": 64, "seed": 3, "steps": 2}


def test_txt2img_answers_a_picture_and_its_facts(client: webuiapi.WebUIApi) -> None:
    found = client.txt2img(prompt="a red circle", **SMALL)
    assert found.image.size == (64, 64)
    assert found.info["seed"] == 3
    assert found.parameters["prompt"] == "a red circle"


def test_txt2img_with_a_second_pass_is_larger(client: webuiapi.WebUIApi) -> None:
    upscaler = webuiapi.HiResUpscaler.Latent
    found = client.txt2img(prompt="a red circle", enable_hr=True, hr_scale=2, hr_upscaler=upscaler, **SMALL)
    assert found.image.size == (128, 128)


def test_the_client_may_override_settings_for_one_call(client: webuiapi.WebUIApi) -> None:
    before = client.get_options()["CLIP_stop_at_last_layers"]
    client.txt2img(prompt="x", override_settings={"CLIP_stop_at_last_layers": 2}, **SMALL)
    assert client.get_options()["CLIP_stop_at_last_layers"] == before


def test_img2img_and_inpainting_answer_pictures(client: webuiapi.WebUIApi) -> None:
    plain = client.img2img(images=[drawing()], prompt="a blue circle", denoising_strength=0.6, **SMALL)
    assert plain.image.size == (64, 64)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    painted = client.img2img(
        images=[drawing()], mask_image=mask, mask_blur=0, prompt="blue", inpaint_full_res=False, **SMALL
    )
    right = (40, 0, 64, 64)
    assert painted.image.convert("RGB").crop(right).tobytes() == drawing().crop(right).tobytes()


def test_extras_enlarge_one_and_several(client: webuiapi.WebUIApi) -> None:
    one = client.extra_single_image(drawing(), upscaler_1="Lanczos", upscaling_resize=2)
    assert one.image.size == (128, 128)
    several = client.extra_batch_images([drawing(), drawing()], upscaler_1="Nearest", upscaling_resize=3)
    assert [each.size for each in several.images] == [(192, 192)] * 2


def test_a_picture_tells_how_it_was_made(client: webuiapi.WebUIApi) -> None:
    made = client.txt2img(prompt="a red circle", **SMALL)
    assert "a red circle" in client.png_info(made.image).info


@pytest.mark.parametrize(
    "method",
    [
        "get_options", "get_cmd_flags", "get_progress", "get_samplers", "get_schedulers", "get_sd_vae", "get_upscalers",
        "get_latent_upscale_modes", "get_loras", "get_sd_models", "get_hypernetworks", "get_face_restorers",
        "get_realesrgan_models", "get_prompt_styles", "get_embeddings", "get_memory", "get_scripts",
        "util_get_model_names", "util_get_sampler_names", "util_get_scheduler_names", "util_get_current_model",
    ],
)  # fmt: skip
def test_every_list_answers(client: webuiapi.WebUIApi, method: str) -> None:
    found = getattr(client, method)()
    assert isinstance(found, dict | list | str)
    assert not (isinstance(found, dict) and "detail" in found), found


def test_what_changes_something_answers(client: webuiapi.WebUIApi) -> None:
    client.refresh_checkpoints()
    client.interrupt()
    client.skip()
    client.set_options({"CLIP_stop_at_last_layers": 2})
    assert client.get_options()["CLIP_stop_at_last_layers"] == 2
    client.set_options({"CLIP_stop_at_last_layers": 1})
    client.util_set_model("small")
    assert client.util_get_current_model().startswith("small")
    client.util_wait_for_ready(check_interval=0.05)


def test_a_route_without_its_model_says_so(client: webuiapi.WebUIApi) -> None:
    with pytest.raises(RuntimeError, match="no model here"):
        client.interrogate(drawing())


def test_every_method_of_the_client_is_tried_or_named() -> None:
    kind = webuiapi.WebUIApi
    methods = {name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))}
    source = Path(__file__).read_text(encoding="utf-8")
    tried = {name for name in methods if f"client.{name}" in source or f'"{name}"' in source}
    here = {"set_auth", "post_and_get_api_result", "get_endpoint", "async_post"}  # how the others call
    assert methods - tried - here == set()
    assert set(NOT_IN_A1111) <= methods
