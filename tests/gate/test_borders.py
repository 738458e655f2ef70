"""Hosts, origins and sizes."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from webui.gate.hosts import host_of, is_ours
from webui.gate.policy import GatePolicy, policy_from
from webui.settings.flags import parse

from .little import Server

OWN = socket.gethostname().lower()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:7860",
        "localhost:7860",
        "LOCALHOST",
        "localhost.",
        "[::1]:7860",
        "192.168.1.5:7860",
        "10.1.2.3",
        "172.20.0.1",
        "100.101.102.103",
        "169.254.7.7",
        "[fd00::5]:7860",
        "[fe80::1]",
        "desktop.local:7860",
        "maple.localhost",
        OWN,
        OWN + ":7860",
    ],
)
def test_own_names_and_lan_addresses_pass(host: str) -> None:
    assert Server("").get("/whose", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example.",
        "evillocal",
        "8.8.8.8",
        "0.0.0.0:7860",
        "",
        "127.0.0.1:7860@evil.example",
        "localhost:x",
        "[::1",
        "[2606:4700::1]",
        "xn--localhost.example",
        "local",
    ],
)
def test_foreign_hosts_get_403_even_with_a_session(host: str) -> None:
    server = Server("--gradio-auth anna:geheim")
    for headers in ({}, server.cookie("anna", "geheim")):
        answer = server.get("/whose", headers=headers | {"host": host})
        assert answer.status_code == 403
        assert answer.json()["error"] == "foreign_host"


def test_two_host_headers_get_403() -> None:
    async def knock() -> int:
        sent: list[int] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/whose",
            "root_path": "",
            "query_string": b"",
            "scheme": "http",
            "headers": [(b"host", b"127.0.0.1"), (b"host", b"evil.example")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 7860),
        }

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                sent.append(int(str(message["status"])))

        await Server("").app(scope, lambda: asyncio.sleep(0, {"type": "http.disconnect"}), send)  # type: ignore[arg-type]
        return sent[0]

    assert asyncio.run(knock()) == 403


def test_allowed_host_adds_names_and_the_refusal_says_how() -> None:
    refused = Server("").get("/whose", headers={"host": "maple.example.org"})
    assert "--allowed-host maple.example.org" in refused.json()["detail"]
    server = Server("--allowed-host Maple.example.org --allowed-host *.lab.example")
    for host in ("maple.example.org", "a.lab.example", "a.b.lab.example:443"):
        assert server.get("/whose", headers={"host": host}).status_code == 200
    for host in ("example.org", "lab.example", "evillab.example", "x.maple.example.org"):
        assert server.get("/whose", headers={"host": host}).status_code == 403


def test_a_public_address_passes_where_the_connection_came_in_on_it() -> None:
    policy = GatePolicy()
    assert is_ours("203.0.114.9", policy, served_at="203.0.114.9")
    assert not is_ours("203.0.114.9", policy, served_at="192.168.1.5")


def test_server_name_is_a_name_of_ours() -> None:
    assert is_ours("paint.example", policy_from(parse(["--server-name", "paint.example"], {}), 7860))


@pytest.mark.parametrize(
    ("header", "host"), [("[::1]:80", "::1"), ("A.b:1", "a.b"), ("a.b.", "a.b"), ("a:b:c", ""), ("[::1]x", "")]
)
def test_a_host_header_is_read_strictly(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://evil.example:7860",
        "null",
        "http://127.0.0.1:9999",
        "http://127.0.0.1.evil.example:7860",
        "file://",
        "http://192.168.1.20:7860",
        "",
        "http://127.0.0.1:bad",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_cross_origin_writes_get_403(origin: str, method: str) -> None:
    answer = Server("").ask(method, "/whose", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"] == "foreign_origin"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:7860"},
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"},
    ],
)
def test_our_own_page_and_programs_may_write(headers: dict[str, str]) -> None:
    assert Server("").post("/whose", headers=headers).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_write_from_elsewhere_without_origin_is_told_by_sec_fetch_site(site: str) -> None:
    assert Server("").post("/whose", headers={"sec-fetch-site": site}).status_code == 403


def test_behind_a_tls_proxy_the_page_may_write() -> None:
    server = Server("--allowed-host paint.example")
    assert (
        server.post("/whose", headers={"host": "paint.example", "origin": "https://paint.example"}).status_code == 200
    )
    rewritten = {"host": "127.0.0.1:7860", "origin": "https://paint.example"}
    assert server.post("/whose", headers=rewritten).status_code == 200, "a proxy that rewrites Host, its name allowed"
    assert Server("").post("/whose", headers=rewritten).status_code == 403


def test_a_foreign_page_cannot_sign_anyone_in() -> None:
    server = Server("--gradio-auth anna:geheim")
    assert server.sign_in("anna", "geheim", headers={"origin": "https://evil.example"}).status_code == 403


def test_foreign_pages_read_nothing_even_where_the_app_would_let_them() -> None:
    answer = Server("--listen --insecure-no-auth").get(
        "/echo", headers={"host": "192.168.1.5:7860", "origin": "https://evil.example"}
    )
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_preflight_is_refused_unless_a_flag_allows_the_origin() -> None:
    asked = {
        "origin": "https://friend.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    assert Server("").ask("OPTIONS", "/sdapi/v1/options", headers=asked).status_code == 403
    server = Server("--gradio-auth anna:geheim --cors-allow-origins https://friend.example,https://other.example")
    answer = server.ask("OPTIONS", "/sdapi/v1/options", headers=asked)
    assert answer.status_code == 200, "a preflight carries no account and must not need one"
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    assert (
        "POST" in answer.headers["access-control-allow-methods"]
        and "authorization" in answer.headers["access-control-allow-headers"]
    )
    assert server.ask("OPTIONS", "/whose", headers=asked | {"origin": "https://evil.example"}).status_code == 403


def test_an_allowed_origin_may_write_and_read_and_its_refusals_too() -> None:
    server = Server("--api-auth bot:x --cors-allow-origins-regex https://.*[.]friend[.]example")
    origin = {"origin": "https://a.friend.example"}
    refused = server.post("/whose", headers=origin)
    assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == "https://a.friend.example"
    from .little import basic

    answer = server.post("/echo", headers=origin | basic("bot", "x"))
    assert answer.status_code == 200 and answer.headers.get_list("access-control-allow-origin") == [
        "https://a.friend.example"
    ]
    assert server.post("/whose", headers={"origin": "https://a.friend.example.evil.example"}).status_code == 403


def test_any_origin_never_comes_with_the_persons_own_session() -> None:
    answer = Server("--cors-allow-origins *").get("/echo", headers={"origin": "https://anyone.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_answers_cannot_be_framed_or_sniffed() -> None:
    headers = Server("").get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_a_body_beyond_the_limit_gets_413_whether_it_says_its_length_or_not() -> None:
    async def unsaid() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    server = Server("", limit=1000)
    assert server.post("/length", content=b"x" * 1000).text == "1000"
    assert server.post("/length", content=b"x" * 1001).status_code == 413
    answer = server.post("/length", content=unsaid())
    assert answer.status_code == 413 and answer.json()["error"] == "body_too_large"


def test_the_size_is_looked_at_before_anything_else() -> None:
    assert (
        Server("--gradio-auth a:b", limit=10)
        .post("/length", content=b"x" * 11, headers={"host": "evil.example"})
        .status_code
        == 413
    )
