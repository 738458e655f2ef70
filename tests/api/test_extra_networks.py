"""A1111's routes of LoRAs and extra networks, answered from the index and never beyond it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.catalog.files import safetensors
from tests.catalog.test_cards import LORA_SD1, png
from webui import api
from webui.app import build
from webui.services import Services
from webui.settings.flags import Flags

COVER = png("lime", (32, 32))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("networks")
    covers = json.dumps([base64.b64encode(COVER).decode()])
    path = safetensors(
        root / "models" / "Lora" / "画风" / "glow.safetensors",
        LORA_SD1,
        metadata={
            "ss_output_name": "Glow", "ssmd_cover_images": covers, "sshs_model_hash": "abc",
            "ss_tag_frequency": '{"10_x": {"glow": 4}}',
        },
    )  # fmt: skip
    path.with_suffix(".png").write_bytes(png("red"))
    safetensors(root / "models" / "Lora" / "plain.safetensors", LORA_SD1)
    (root / "secret.png").write_bytes(png("blue"))
    made = build(Flags(data_dir=root))
    made.catalog.scan()
    yield made
    made.jobs.close()
    made.cards.close()
    made.catalog.close()


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    api.mount(app, services)
    with TestClient(app) as made:
        yield made


@pytest.fixture
def root(services: Services) -> Path:
    return services.settings.path.parent


def test_loras_are_listed_as_a1111_lists_them(client: TestClient, root: Path) -> None:
    plain, glow = sorted(client.get("/sdapi/v1/loras").json(), key=lambda each: each["name"] == "glow")
    assert set(glow) == {"name", "alias", "path", "metadata"}
    assert (glow["name"], glow["alias"]) == ("glow", "Glow")
    assert glow["path"] == str(root / "models" / "Lora" / "画风" / "glow.safetensors")
    assert glow["metadata"]["ss_tag_frequency"] == {"10_x": {"glow": 4}}
    assert "ssmd_cover_images" not in glow["metadata"]
    assert (plain["alias"], plain["metadata"]) == ("plain", {})


def test_refresh_loras_finds_a_new_file(client: TestClient, root: Path) -> None:
    path = safetensors(root / "models" / "Lora" / "late.safetensors", LORA_SD1)
    assert client.post("/sdapi/v1/refresh-loras").json() is None
    assert "late" in [each["name"] for each in client.get("/sdapi/v1/loras").json()]
    path.unlink()
    client.post("/sdapi/v1/refresh-loras")
    assert "late" not in [each["name"] for each in client.get("/sdapi/v1/loras").json()]


def test_a_preview_is_served_by_its_path(client: TestClient, root: Path) -> None:
    path = root / "models" / "Lora" / "画风" / "glow.png"
    answer = client.get("/sd_extra_networks/thumb", params={"filename": str(path)})
    assert answer.content == path.read_bytes()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "name", ["secret.png", "models/Lora/画风/glow.safetensors", "models/Lora/../../secret.png", "config.json", ""]
)
def test_no_other_file_is_served(client: TestClient, root: Path, name: str) -> None:
    for filename in (name, str(root / name)):
        assert client.get("/sd_extra_networks/thumb", params={"filename": filename}).status_code == 404


def test_a_cover_comes_out_of_the_header(client: TestClient) -> None:
    wanted = {"page": "lora", "item": "glow"}
    answer = client.get("/sd_extra_networks/cover-images", params=wanted | {"index": 0})
    assert (answer.content, answer.headers["content-type"]) == (COVER, "image/png")
    assert client.get("/sd_extra_networks/cover-images", params=wanted | {"index": 1}).status_code == 404
    assert client.get("/sd_extra_networks/cover-images", params=wanted | {"item": "plain"}).status_code == 404


def test_metadata_is_indented_json_without_covers_and_hashes(client: TestClient) -> None:
    answer = client.get("/sd_extra_networks/metadata", params={"page": "lora", "item": "glow"}).json()
    assert json.loads(answer["metadata"]) == {"ss_output_name": "Glow", "ss_tag_frequency": {"10_x": {"glow": 4}}}
    for wanted in ({"page": "lora", "item": "plain"}, {"page": "lora", "item": "no"}, {"page": "no", "item": "glow"}):
        assert client.get("/sd_extra_networks/metadata", params=wanted).json() == {}


def test_a_single_card_is_html_that_escapes_names(client: TestClient, root: Path) -> None:
    safetensors(root / "models" / "Lora" / "a<b>&'.safetensors", LORA_SD1)
    client.post("/sdapi/v1/refresh-loras")
    wanted = {"page": "lora", "tabname": 'txt2img"><script>', "name": "a<b>&'"}
    text = client.get("/sd_extra_networks/get-single-card", params=wanted).json()["html"]
    assert text.startswith('<div class="card"')
    assert "<script>" not in text and "a&lt;b&gt;&amp;" in text
    assert client.get("/sd_extra_networks/get-single-card", params=wanted | {"name": "no"}).json() == {}
