"""The line under Generate that says what a run will need."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from webui.catalog.need import Measures, Room, Sizes
from webui.services import Services
from webui.ui.needed import needing

GB = 2**30


class Known(Measures):
    """Every file is as large as Stable Diffusion 1."""

    def of(self, record) -> Sizes:
        return Sizes(unet=860_000_000, text=123_000_000, vae=84_000_000, channels=320, attended=True, vae_channels=128)


@pytest.fixture
def page(services: Services) -> Iterator[TestClient]:
    room = Room(device="cuda", free=6 * GB, itemsize={"unet": 2, "text": 2, "vae": 2})
    app = FastAPI()
    app.include_router(needing(replace(services, engine_room=lambda: room, measures=Known())))
    with TestClient(app, headers={"accept-language": "en"}) as made:
        yield made


def said(page: TestClient, tab: str = "txt2img", **values) -> dict[str, str]:
    asked = {f"{tab}_{name}": value for name, value in values.items()}
    return page.post("/internal/need", json={"tab": tab, "values": asked}).json()


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_the_need_is_said_in_gigabytes(page: TestClient, tab: str) -> None:
    assert said(page, tab, width=512, height=512) == {"text": "needs about 2.5 GB of 6.0 GB free", "fits": "whole"}


def test_a_need_beyond_what_is_free_is_said(page: TestClient) -> None:
    answer = said(page, width=2048, height=2048, batch_size=8)
    assert answer["fits"] == "tight"
    assert "only 6.0 GB free" in answer["text"]


def test_the_second_pass_counts(page: TestClient) -> None:
    values = {"txt2img_width": 512, "txt2img_height": 512, "txt2img_hr-checkbox": True, "txt2img_hr_scale": 4}
    answer = page.post("/internal/need", json={"tab": "txt2img", "values": values}).json()
    assert answer["text"] != said(page, width=512, height=512)["text"]


def test_a_form_that_generate_would_refuse_says_nothing(page: TestClient) -> None:
    values = {"setting_sd_model_checkpoint": "none such"}
    assert page.post("/internal/need", json={"tab": "txt2img", "values": values}).json()["text"] == ""
    assert page.post("/internal/need", json={"tab": "extras", "values": {}}).json()["text"] == ""


def test_before_the_engine_is_there_nothing_is_said(services: Services) -> None:
    app = FastAPI()
    app.include_router(needing(services))
    with TestClient(app) as client:
        assert client.post("/internal/need", json={"tab": "txt2img", "values": {}}).json() == {"text": "", "fits": ""}
