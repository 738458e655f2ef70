"""The cards' routes: one list for every state, small pictures kept by browsers, notes and previews written."""

import io
import json
import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.catalog.files import safetensors
from tests.catalog.test_cards import LORA_SD1, opened, png
from webui.domain import ModelKind
from webui.services import Services


@pytest.fixture(scope="module")
def lora(services: Services) -> Path:
    folder = services.settings.path.parent / "models" / "Lora"
    path = safetensors(
        folder / "画风" / "glow.safetensors",
        LORA_SD1,
        metadata={"ss_output_name": "Glow", "ss_tag_frequency": json.dumps({"10_x": {"glow": 4, "night": 9}})},
    )
    path.with_suffix(".json").write_text('{"activation text": "glow", "preferred weight": 0.7, "site": 3}')
    path.with_suffix(".png").write_bytes(png())
    for number in range(40):
        safetensors(folder / "many" / f"{number}.safetensors", LORA_SD1)
    services.catalog.refresh(ModelKind.LORA)
    return path


def card(client: TestClient, title: str = "glow", page: str = "lora") -> dict:
    return next(card for card in client.get(f"/internal/cards/{page}").json()["cards"] if card["title"] == title)


def test_a_page_lists_its_models_with_what_is_told_of_them(client: TestClient, lora: Path) -> None:
    answer = client.get("/internal/cards/lora").json()
    assert len(answer["cards"]) == 41
    assert answer["settings"]["add_text_separator"] == " "
    found = card(client)
    assert (found["name"], found["path"], found["family"]) == ("Glow", "画风/glow.safetensors", "sd1")
    assert (found["activation"], found["weight"]) == ("glow", 0.7)


def test_the_list_is_made_once_and_a_browser_that_has_it_gets_no_bytes(client: TestClient, lora: Path) -> None:
    first = client.get("/internal/cards/lora")
    opened.clear()
    second = client.get("/internal/cards/lora", headers={"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert [path for path in opened if "Lora" in path] == []


def test_the_list_is_another_when_the_name_setting_changes(client: TestClient, services: Services, lora: Path) -> None:
    services.settings.change({"lora_preferred_name": "Filename"}, by="owner")
    try:
        assert card(client)["name"] == "glow"
    finally:
        services.settings.change({"lora_preferred_name": "Alias from file"}, by="owner")
    assert card(client)["name"] == "Glow"


def test_a_thumbnail_is_small_and_kept_by_browsers(client: TestClient, lora: Path) -> None:
    found = card(client)
    address = f"/internal/cards/lora/{found['id']}/thumbnail"
    answer = client.get(address, params={"v": found["preview"]})
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (480, 720)
    again = client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(address).headers["cache-control"] == "private, no-cache"


def test_a_model_without_a_picture_has_no_thumbnail(client: TestClient, lora: Path) -> None:
    found = card(client, "7")
    assert "preview" not in found
    assert client.get(f"/internal/cards/lora/{found['id']}/thumbnail").status_code == 404


@pytest.mark.parametrize("id", ["0" * 16, "..%2f..%2fetc%2fpasswd", "x"])
def test_a_made_up_id_leads_nowhere(client: TestClient, id: str) -> None:
    assert client.get(f"/internal/cards/lora/{id}/thumbnail").status_code == 404
    assert client.get(f"/internal/cards/lora/{id}").status_code == 404


def test_the_dialogs_are_told_path_notes_and_training(client: TestClient, lora: Path) -> None:
    told = client.get(f"/internal/cards/lora/{card(client)['id']}").json()
    assert told["file"] == str(lora)
    assert told["notes"]["preferred_weight"] == 0.7
    assert told["tags"] == [["night", 9], ["glow", 4]]
    assert ["Output name", "Glow"] in told["facts"]


def test_saved_notes_are_in_the_file_and_on_the_card(client: TestClient, lora: Path) -> None:
    before = json.loads(lora.with_suffix(".json").read_text())
    address = f"/internal/cards/lora/{card(client)['id']}/notes"
    answer = client.post(address, json={"description": "夜色", "preferred_weight": 0.5})
    assert answer.status_code == 200
    assert json.loads(lora.with_suffix(".json").read_text("utf-8")) == before | {
        "description": "夜色", "preferred weight": 0.5,
    }  # fmt: skip
    assert card(client)["description"] == "夜色"


def test_notes_that_make_no_sense_are_refused(client: TestClient, lora: Path) -> None:
    address = f"/internal/cards/lora/{card(client)['id']}/notes"
    before = lora.with_suffix(".json").read_bytes()
    for body in ({"preferred_weight": "much"}, {"preferred_weight": 1e9}, {"path": "/etc"}):
        assert client.post(address, json=body).status_code == 422
    assert lora.with_suffix(".json").read_bytes() == before


def test_a_checkpoints_editor_keeps_its_vae(client: TestClient, root: Path) -> None:
    found = card(client, "first", "checkpoints")
    client.post(f"/internal/cards/checkpoints/{found['id']}/notes", json={"vae": "None", "activation_text": "not here"})
    notes = json.loads((root / "models" / "Stable-diffusion" / "first.json").read_text())
    assert notes == {"vae": "None"}


def test_a_picture_of_ones_own_becomes_the_preview(client: TestClient, lora: Path) -> None:
    values = {"txt2img_prompt": "a preview", "txt2img_steps": 1, "txt2img_width": 64, "txt2img_height": 64}
    job = client.post("/internal/submit", json={"tab": "txt2img", "values": values}).json()["id"]
    while client.get(f"/internal/jobs/{job}").json()["state"] not in ("done", "failed"):
        pass
    found = card(client)
    address = f"/internal/cards/lora/{found['id']}/preview"
    stranger = client.post(address, json={"job": job, "number": 0}, headers={"x-test-user": "eve"})
    assert stranger.status_code == 404
    assert client.post(address, json={"job": job, "number": 0}).status_code == 200
    with Image.open(lora.with_suffix(".png")) as picture:
        assert picture.size == (64, 64)
        assert picture.info["parameters"].startswith("a preview")
    assert card(client)["preview"] != found["preview"]
    named = {"filename": str(lora.with_suffix(".jpg")), "job": job, "number": 0}
    assert client.post("/internal/cards/preview", json=named).status_code == 200
    assert client.post("/internal/cards/preview", json=named | {"filename": "/etc/passwd"}).status_code == 422


def test_refresh_finds_what_is_new_everywhere(client: TestClient, services: Services, root: Path, lora: Path) -> None:
    state = services.cards.state
    safetensors(root / "models" / "Lora" / "late.safetensors", LORA_SD1)
    note = lora.with_suffix(".json")
    note.write_text('{"activation text": "later"}')
    os.utime(note, ns=(9, 9))
    assert client.post("/internal/cards/lora/refresh", json={}).json() == {"count": 42}
    assert services.cards.state != state
    assert card(client, "late")["name"] == "late"
    assert card(client)["activation"] == "later"


def test_what_a_file_is_not_is_said_in_the_readers_language(client: TestClient, root: Path) -> None:
    (root / "models" / "hypernetworks").mkdir(exist_ok=True)
    safetensors(root / "models" / "hypernetworks" / "wrong.safetensors", LORA_SD1)
    client.post("/internal/cards/hypernetworks/refresh", json={})
    assert "models/Lora" in card(client, "wrong", "hypernetworks")["problem"]
    chinese = client.get("/internal/cards/hypernetworks", headers={"x-maple-language": "zh-CN"}).json()["cards"][0]
    assert "附加模型" in chinese["problem"]
