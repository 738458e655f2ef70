"""What the Extensions tab asks for."""

from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from webui.api.errors import add_handlers
from webui.services import Services
from webui.ui.extensions import extending

OURS = ["maple-contrast", "maple-ratio-bar", "maple-wildcards"]
GUEST = {"authorization": "Basic YTpi"}


@pytest.fixture
def restarts() -> list[int]:
    return []


@pytest.fixture
def client(services: Services, restarts: list[int]) -> TestClient:
    app = FastAPI()
    add_handlers(app)
    app.include_router(extending(replace(services, restart=lambda: restarts.append(1))))
    return TestClient(app, headers={"accept-language": "en"})


def listed(client: TestClient) -> dict[str, Any]:
    return {each["name"]: each for each in client.get("/internal/extensions").json()["extensions"]}


def test_those_of_the_project_are_listed_and_on(client: TestClient) -> None:
    found = listed(client)
    assert list(found) == OURS
    assert {each["state"] for each in found.values()} == {"on"}
    assert found["maple-wildcards"]["hooks"] == ["transform_request"]


def test_titles_come_in_the_language_that_is_asked_for(client: TestClient) -> None:
    answer = client.get("/internal/extensions", headers={"accept-language": "zh-CN"}).json()
    assert answer["extensions"][1]["title"] == "画面比例"
    assert listed(client)["maple-ratio-bar"]["title"] == "Ratio bar"


def test_what_is_turned_off_is_kept_and_counts_from_the_next_start(client: TestClient, services: Services) -> None:
    body = {"on": OURS[1:], "off": OURS[:1], "all_off": "none"}
    try:
        answer = client.post("/internal/extensions", json=body).json()
        first = answer["extensions"][0]
        assert (first["name"], first["wanted"], first["state"]) == ("maple-contrast", False, "on")
        assert services.settings.current.extensions.off == ("maple-contrast",)
    finally:
        client.post("/internal/extensions", json={"on": OURS, "off": [], "all_off": "none"})
    assert services.settings.current.extensions.off == ()


def test_names_that_are_not_installed_keep_what_was_said_of_them(client: TestClient, services: Services) -> None:
    services.settings.change({"extensions.off": ["gone"]}, by="owner")
    try:
        client.post("/internal/extensions", json={"on": [*OURS, "invented"], "off": ["another"], "all_off": "none"})
        assert services.settings.current.extensions.off == ("gone",)
        assert services.settings.current.extensions.on == ()
    finally:
        services.settings.change({"extensions.off": []}, by="owner")


def test_a_guest_changes_nothing_and_restarts_nothing(
    client: TestClient, services: Services, restarts: list[int]
) -> None:
    body = {"on": [], "off": OURS, "all_off": "all"}
    assert client.post("/internal/extensions", json=body, headers=GUEST).status_code == 403
    assert client.post("/internal/restart", json={}, headers=GUEST).status_code == 403
    assert services.settings.current.extensions.all_off == "none"
    assert restarts == []


def test_the_owner_restarts(client: TestClient, restarts: list[int]) -> None:
    assert client.post("/internal/restart", json={}).status_code == 200
    assert restarts == [1]


def test_a_server_that_nobody_starts_again_says_so(services: Services) -> None:
    app = FastAPI()
    add_handlers(app)
    app.include_router(extending(services))
    answer = TestClient(app, headers={"accept-language": "en"}).post("/internal/restart", json={})
    assert answer.status_code == 500
    assert "by hand" in answer.text


def test_a_wrong_choice_is_refused(client: TestClient, services: Services) -> None:
    assert client.post("/internal/extensions", json={"on": [], "off": [], "all_off": "most"}).status_code == 422
    assert services.settings.current.extensions.all_off == "none"
