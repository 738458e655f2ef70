"""POST /sdapi/v1/img2img as A1111's clients know it, and init images over /v1."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from webui.api.bodies import Img2Img
from webui.domain import Inpaint, MaskedContent, ResizeMode
from webui.services import Services

pytestmark = pytest.mark.torch

ASKED: dict[str, Any] = {
    "prompt": "a red circle", "sampler_name": "Euler", "steps": 2, "width": 64, "height": 64, "seed": 7, "cfg_scale": 2,
}  # fmt: skip


def encoded(image: Image.Image, format: str = "PNG") -> str:
    made = io.BytesIO()
    image.save(made, format)
    return base64.b64encode(made.getvalue()).decode()


def picture(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def drawing(width: int = 64, height: int = 64) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def mask() -> Image.Image:
    made = Image.new("L", (64, 64))
    made.paste(255, (16, 16, 48, 48))
    return made


def test_a_picture_comes_from_a_picture(client: TestClient) -> None:
    body = ASKED | {"init_images": [f"data:image/png;base64,{encoded(drawing())}"], "denoising_strength": 0.5}
    answer = client.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert picture(told["images"][0]).size == (64, 64)
    assert told["parameters"]["init_images"] is None
    assert told["parameters"]["denoising_strength"] == 0.5
    info = json.loads(told["info"])
    assert info["denoising_strength"] == 0.5
    assert "Denoising strength: 0.5" in info["infotexts"][0]


def test_init_images_come_back_when_asked(client: TestClient) -> None:
    given = encoded(drawing())
    body = ASKED | {"init_images": [given], "include_init_images": True}
    assert client.post("/sdapi/v1/img2img", json=body).json()["parameters"]["init_images"] == [given]


def test_a_mask_leaves_the_rest_alone(client: TestClient) -> None:
    body = ASKED | {
        "init_images": [encoded(drawing())], "mask": encoded(mask()), "mask_blur": 0, "inpainting_fill": 1,
        "inpaint_full_res": False, "denoising_strength": 0.9,
    }  # fmt: skip
    told = client.post("/sdapi/v1/img2img", json=body).json()
    made = np.asarray(picture(told["images"][0]).convert("RGB"))
    painted = np.asarray(mask()) > 0
    assert (made[~painted] == np.asarray(drawing())[~painted]).all()
    assert (made[painted] != np.asarray(drawing())[painted]).any()


@pytest.mark.parametrize("images", [None, []])
def test_without_init_images_it_is_404(client: TestClient, images: Any) -> None:
    answer = client.post("/sdapi/v1/img2img", json=ASKED | {"init_images": images})
    assert answer.status_code == 404
    assert set(answer.json()) >= {"error", "detail", "body", "errors"}


@pytest.mark.parametrize(
    "change",
    [
        {"init_images": ["not a picture"]},
        {"init_images": [base64.b64encode(b"not a picture").decode()]},
        {"init_images": ["https://example.org/cat.png"]},
        {"resize_mode": 7},
        {"inpainting_fill": -1, "mask": encoded(mask())},
        {"mask": "%%%"},
        {"denoising_strength": 3},
        {"init_images": [encoded(drawing())] * 3},
        {"alwayson_scripts": {"ControlNet": {"args": [{}]}}},
        {"mask": encoded(mask()), "alwayson_scripts": {"Soft Inpainting": {"args": [True, "much"]}}},
        {"script_name": "Loopback"},
    ],
)
def test_what_cannot_be_used_is_said(client: TestClient, change: dict[str, Any]) -> None:
    answer = client.post("/sdapi/v1/img2img", json=ASKED | {"init_images": [encoded(drawing())]} | change)
    assert answer.status_code == 422
    assert answer.json()["errors"] or answer.json()["detail"]


def test_a1111s_defaults_stand(services: Services) -> None:
    body = Img2Img(init_images=[encoded(drawing())], mask=encoded(mask()))
    init = body.request(services.gallery.blobs).init
    assert init is not None
    assert (init.denoising_strength, init.resize_mode) == (0.75, ResizeMode.STRETCH)
    inpaint = init.inpaint
    assert inpaint == Inpaint(
        mask=inpaint.mask if inpaint else "", blur_x=4, blur_y=4, content=MaskedContent.FILL, only_masked=True,
        padding=0,
    )  # fmt: skip


def test_soft_inpainting_is_asked_for_as_a_script(client: TestClient) -> None:
    body = ASKED | {
        "init_images": [encoded(drawing())], "mask": encoded(mask()), "mask_blur": 8, "inpaint_full_res": False,
        "alwayson_scripts": {"Soft inpainting": {"args": [True, 1, 0.5, 4, 0, 0.5, 2]}},
    }  # fmt: skip
    answer = client.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 200, answer.text
    assert "Soft inpainting enabled: True" in json.loads(answer.json()["info"])["infotexts"][0]


def test_several_init_images_make_the_batch(client: TestClient) -> None:
    body = ASKED | {"init_images": [encoded(drawing()), encoded(Image.new("RGB", (64, 64)))], "batch_size": 2}
    told = client.post("/sdapi/v1/img2img", json=body | {"do_not_save_grid": True}).json()
    assert len(told["images"]) == 2


def test_an_infotext_fills_what_the_body_leaves_out(client: TestClient) -> None:
    text = (
        "a cat\nSteps: 2, Sampler: Euler, CFG scale: 2, Seed: 3, Size: 64x64, Denoising strength: 0.4, "
        "Mask blur: 2, Masked content: latent noise"
    )
    body = {
        "infotext": text, "init_images": [encoded(drawing())], "mask": encoded(mask()), "inpaint_full_res": False,
    }  # fmt: skip
    answer = client.post("/sdapi/v1/img2img", json=body)
    assert answer.status_code == 200, answer.text
    told = json.loads(answer.json()["info"])["infotexts"][0]
    assert "Denoising strength: 0.4" in told and "Mask blur: 2, Masked content: latent noise" in told
