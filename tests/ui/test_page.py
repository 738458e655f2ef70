"""The HTML that is sent: our scripts first, nothing of anybody else's."""

import gzip
import re

from fastapi.testclient import TestClient

from webui.services import Services
from webui.ui.page import FIRST, SCRIPTS, STYLES, assets

ADDRESS = re.compile(r"https?://[^\s\"'<>)]+")


def test_our_scripts_stand_before_gradios(client: TestClient) -> None:
    html = client.get("/").text
    assert html.index("language.js") < html.index("gradio_config")
    assert html.index("words.js") < html.index("language.js") < html.index('type="module"')
    for name in (*FIRST, *SCRIPTS, *STYLES):
        assert f"internal/assets/{name}?v=" in html


def test_the_encoding_is_said_within_the_first_kilobyte(client: TestClient) -> None:
    assert b'charset="utf-8"' in client.get("/").content[:1024]


def test_the_head_names_no_other_machine(client: TestClient) -> None:
    head = client.get("/").text.split("window.gradio_config")[0]
    assert ADDRESS.findall(head) == []


def test_nothing_of_ours_names_another_machine() -> None:
    for name, asset in assets().items():
        found = set(ADDRESS.findall(asset.body.decode())) - {"http://www.w3.org/2000/svg"}
        # Sentences about addresses end at "https://" itself.
        assert not found, name


def test_scripts_are_kept_for_good_and_change_their_address_with_their_content(client: TestClient) -> None:
    for name, asset in assets().items():
        answer = client.get(f"/{asset.address}")
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["cache-control"]
        assert answer.content == asset.body
        assert client.get(f"/{asset.address}", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    assert len({asset.hash for asset in assets().values()}) == len(assets())


def test_scripts_are_sent_packed_to_those_who_can_unpack(client: TestClient) -> None:
    with client.stream("GET", f"/{assets()['page.css'].address}", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert gzip.decompress(raw) == assets()["page.css"].body


def test_the_page_is_sent_packed(client: TestClient) -> None:
    with client.stream("GET", "/", headers={"accept-encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
    assert len(raw) < 60_000
    assert b"gradio_config" in gzip.decompress(raw)


def test_an_unknown_script_is_not_found(client: TestClient) -> None:
    assert client.get("/internal/assets/nobody.js").status_code == 404
    assert client.get("/internal/assets/..%2f..%2fpage.py").status_code == 404


def test_the_page_follows_the_settings_language_and_theme(client: TestClient, services: Services) -> None:
    assert '"language": ""' in client.get("/").text
    services.settings.change({"page.language": "en", "page.theme": "dark"}, by="owner")
    try:
        assert '{"theme": "dark", "language": "en"}' in client.get("/").text
    finally:
        services.settings.change({"page.language": "auto", "page.theme": "auto"}, by="owner")


def test_gradio_tells_nobody_anything(client: TestClient) -> None:
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config["footer_links"] == []
