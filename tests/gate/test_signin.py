"""One sign-in before every route."""

import asyncio
from typing import Any

import pytest
from starlette.routing import Mount, WebSocketRoute

from .little import NAVIGATION, Server, basic

ACCOUNTS = "--listen --gradio-auth anna:geheim,ben:two:colons,cleo:with,comma --api-auth bot:nur-api"


def test_without_sign_in_every_route_of_the_apps_own_table_answers_401() -> None:
    server = Server(ACCOUNTS)
    asked = 0
    for route in server.inner.routes:
        if isinstance(route, WebSocketRoute):
            continue
        path = f"{route.path}/x.js" if isinstance(route, Mount) else route.path  # type: ignore[union-attr]
        for method in getattr(route, "methods", None) or {"GET"}:
            answer = server.ask(method, path)
            assert answer.status_code == 401, (method, path)
            assert "drawing board" not in answer.text and "mounted" not in answer.text
            asked += 1
    assert asked > 20
    for path in ("/nowhere", "/favicon.ico", "/gate/sign-in", "/gate/other", "//whose", "/sdapi/../whose", "/WHOSE"):
        assert server.get(path).status_code == 401, path
    assert server.ask("OPTIONS", "/whose").status_code == 401


def test_a_websocket_without_sign_in_is_not_opened() -> None:
    assert knock_at_socket(Server(ACCOUNTS), {}) == [
        {"type": "websocket.close", "code": 1008, "reason": "sign_in_needed"}
    ]
    server = Server(ACCOUNTS)
    opened = knock_at_socket(server, server.cookie("anna", "geheim"))
    assert opened[0]["type"] == "websocket.accept" and opened[1]["text"] == "anna"


def knock_at_socket(server: Server, headers: dict[str, str]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    rows = {"host": "127.0.0.1:7860", **headers}
    scope = {
        "type": "websocket",
        "path": "/socket",
        "raw_path": b"/socket",
        "root_path": "",
        "query_string": b"",
        "subprotocols": [],
        "scheme": "ws",
        "headers": [(key.encode(), value.encode()) for key, value in rows.items()],
        "client": ("10.0.0.9", 1),
        "server": ("10.0.0.1", 7860),
        "extensions": {},
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(server.app(scope, receive, send))
    return sent


def test_a_browser_is_shown_the_sign_in_page_in_its_own_language_and_nothing_is_fetched_for_it() -> None:
    server = Server(ACCOUNTS)
    chinese = server.get("/docs", headers=NAVIGATION | {"accept-language": "zh-CN,zh;q=0.9"})
    english = server.get("/docs", headers=NAVIGATION | {"accept-language": "en-GB"})
    assert chinese.status_code == english.status_code == 401
    assert 'lang="zh-CN"' in chinese.text and "用户名" in chinese.text and "密码" in chinese.text
    assert 'lang="en"' in english.text and "Password" in english.text
    assert 'name="viewport"' in english.text
    for text in ("http://", "https://", "src=", "@import", "url("):
        assert text not in english.text, "the page asks for nothing else"
    assert "default-src 'none'" in english.headers["content-security-policy"]
    assert english.headers["cache-control"] == "no-store"


def test_signing_in_goes_on_to_the_page_that_was_wanted_and_sets_a_careful_cookie() -> None:
    server = Server(ACCOUNTS)
    answer = server.sign_in("anna", "geheim", headers=NAVIGATION)
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs?a=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and "geheim" not in cookie
    assert "Secure" not in cookie, "plain http would lose it"
    assert server.get("/whose", headers={"cookie": cookie.split(";")[0]}).json() == {"user": "anna"}


def test_over_tls_the_cookie_is_secure() -> None:
    answer = Server(ACCOUNTS).sign_in("anna", "geheim", base="https://127.0.0.1:7860")
    assert "Secure" in answer.headers["set-cookie"]


def test_two_servers_on_one_machine_keep_their_sessions_apart() -> None:
    first, second = Server(ACCOUNTS, port=7860), Server(ACCOUNTS, port=7861)
    assert (
        set(first.cookie("anna", "geheim")["cookie"].split("=")[0])
        and first.cookie("anna", "geheim")["cookie"].split("=")[0]
        != (second.cookie("anna", "geheim")["cookie"].split("=")[0])
    )


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\r\nX: 1"]
)
def test_signing_in_never_leads_to_another_site(target: str) -> None:
    answer = Server(ACCOUNTS).post(
        "/gate/sign-in", data={"username": "anna", "password": "geheim", "next": target}, headers=NAVIGATION
    )
    assert answer.status_code == 303 and answer.headers["location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("ben", "two:colons"), ("cleo", "with,comma")])
def test_passwords_may_hold_colons_and_commas(name: str, password: str) -> None:
    server = Server(ACCOUNTS)
    assert server.sign_in(name, password).status_code == 200
    assert server.get("/whose", headers=basic(name, password)).json() == {"user": name}


def test_basic_is_accepted_on_every_route_and_asked_for_on_the_apis_alone() -> None:
    server = Server(ACCOUNTS)
    for path in ("/sdapi/v1/options", "/v1/jobs", "/infinite_image_browsing/db", "/whose", "/openapi.json"):
        assert server.get(path, headers=basic("bot", "nur-api")).json() == {"user": "bot"}
    assert server.get("/sdapi/v1/options").headers["www-authenticate"].startswith("Basic ")
    assert not server.get("/whose").headers["www-authenticate"].startswith("Basic"), "no dialog over the page"


def test_an_api_account_cannot_use_the_sign_in_page() -> None:
    assert Server(ACCOUNTS).sign_in("bot", "nur-api").status_code == 401


def test_a_program_may_sign_in_as_at_a1111s_page() -> None:
    server = Server(ACCOUNTS)
    answer = server.post("/login", data={"username": "anna", "password": "geheim"})
    assert answer.json() == {"success": True}
    assert server.get("/whose", headers={"cookie": answer.headers["set-cookie"].split(";")[0]}).json() == {
        "user": "anna"
    }


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YW5uYQ==", "Bearer geheim", "Basic OmdlaGVpbQ==", ""])
def test_a_broken_authorization_header_is_no_sign_in(header: str) -> None:
    assert Server(ACCOUNTS).get("/whose", headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    ["maple-session-7860=", "maple-session-7860=forged", "maple-session-7860=a; maple-session-7860=b", "\x01=;;"],
)
def test_a_forged_cookie_is_no_sign_in(cookie: str) -> None:
    assert Server(ACCOUNTS).get("/whose", headers={"cookie": cookie}).status_code == 401


def test_a_wrong_password_says_so_in_both_languages() -> None:
    server = Server(ACCOUNTS)
    assert server.sign_in("anna", "wrong").json()["detail"] == "Incorrect username or password."
    page = server.sign_in("anna", "wrong", headers=NAVIGATION | {"accept-language": "zh"})
    assert (
        page.status_code == 401
        and "用户名或密码不正确" in page.text
        and "wrong" not in page.text.replace('"wrong"', "")
    )
    assert "set-cookie" not in page.headers
    assert 'name="next" value="/docs?a=1"' in page.text, "the second try still goes where the first was going"


def test_guessing_is_slowed_down_and_the_wait_ends() -> None:
    server = Server(ACCOUNTS)
    for _ in range(5):
        assert server.sign_in("anna", "guess").status_code == 401
    assert server.sign_in("anna", "geheim").status_code == 429, "not even the right one is looked at"
    waiting = server.get("/sdapi/v1/options", headers=basic("anna", "guess"))
    assert waiting.status_code == 429 and int(waiting.headers["retry-after"]) >= 1
    server.client = "192.168.1.99"
    assert server.sign_in("anna", "geheim").status_code == 200, "another device is not held up"
    server.client = "192.168.1.20"
    server.clock.now += 61
    assert server.sign_in("anna", "geheim").status_code == 200


def test_waits_double_up_to_a_minute() -> None:
    server = Server(ACCOUNTS)
    waits: list[float] = []
    for _ in range(14):
        server.accounts.patience.wrong("10.0.0.1", "anna")
        waits.append(server.accounts.patience.wait("10.0.0.1", "anna"))
    assert waits[:8] == [0, 0, 0, 0, 1, 2, 4, 8] and waits[-1] == 60


def test_guessing_many_names_is_slowed_down_too_and_one_household_is_one_caller() -> None:
    server = Server(ACCOUNTS)
    for number in range(30):
        server.client = f"2001:db8::{number:x}"
        assert server.get("/whose", headers=basic(f"user{number}", "x")).status_code == 401
    assert server.get("/whose", headers=basic("anna", "geheim")).status_code == 429


def test_a_signed_in_person_is_not_held_up_by_somebody_elses_guesses() -> None:
    server = Server(ACCOUNTS)
    cookie = server.cookie("anna", "geheim")
    for _ in range(10):
        server.sign_in("anna", "guess")
    assert server.get("/whose", headers=cookie).status_code == 200


def test_signing_out_ends_the_session_on_the_server() -> None:
    server = Server(ACCOUNTS)
    cookie = server.cookie("anna", "geheim")
    assert server.post("/gate/sign-out", headers=cookie).status_code == 200
    assert server.get("/whose", headers=cookie).status_code == 401


def test_a_session_ends_after_a_month_of_rest_and_not_before() -> None:
    server = Server(ACCOUNTS)
    cookie = server.cookie("anna", "geheim")
    server.clock.now += 29 * 86400
    assert server.get("/whose", headers=cookie).status_code == 200
    server.clock.now += 29 * 86400
    assert server.get("/whose", headers=cookie).status_code == 200, "using it keeps it"
    server.clock.now += 31 * 86400
    assert server.get("/whose", headers=cookie).status_code == 401


def test_this_computer_alone_needs_no_sign_in_and_its_owner_is_local() -> None:
    server = Server("", client="127.0.0.1")
    assert server.get("/whose").json() == {"user": "local"}
    assert "drawing board" in server.get("/", headers=NAVIGATION).text


def test_accounts_count_on_this_computer_too() -> None:
    assert Server("--gradio-auth anna:geheim", client="127.0.0.1").get("/whose").status_code == 401


@pytest.mark.parametrize("flags", ["--listen", "--share", "--server-name 0.0.0.0", "--server-name 192.168.1.5"])
def test_listening_without_an_account_makes_a_password_for_this_start(flags: str) -> None:
    server, other = Server(flags), Server(flags)
    assert server.get("/whose").status_code == 401
    assert len(server.accounts.one_time) == 14 and server.accounts.one_time != other.accounts.one_time
    page = server.get("/", headers=NAVIGATION).text
    assert 'value="maple" hidden' in page and server.accounts.one_time not in page
    cookie = server.post("/gate/sign-in", data={"username": "", "password": server.accounts.one_time}).headers[
        "set-cookie"
    ]
    assert server.get("/whose", headers={"cookie": cookie.split(";")[0]}).json() == {"user": "maple"}


@pytest.mark.parametrize("flags", ["--server-name 127.0.0.1", "--server-name localhost", "--listen --insecure-no-auth"])
def test_nobody_is_asked_where_nobody_else_can_knock_or_the_owner_said_so(flags: str) -> None:
    assert Server(flags).get("/whose").status_code == 200


def test_accounts_for_the_api_alone_do_not_leave_the_page_open_or_without_a_way_in() -> None:
    server = Server("--listen --api-auth bot:nur-api")
    assert server.get("/", headers=NAVIGATION).status_code == 401
    assert server.sign_in("maple", server.accounts.one_time).status_code == 200
    assert server.get("/sdapi/v1/options", headers=basic("bot", "nur-api")).status_code == 200


def test_a_large_form_is_not_read_to_its_end() -> None:
    assert Server(ACCOUNTS).post("/gate/sign-in", content=b"password=" + b"x" * 100_000).status_code == 413


def test_the_sign_in_works_below_the_prefix_of_a_proxy() -> None:
    server = Server("--gradio-auth anna:geheim --subpath /paint")
    from webui.gate.signin import root_of

    async def knock() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        body = b"username=anna&password=geheim&next="
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/paint/gate/sign-in",
            "raw_path": b"",
            "root_path": "/paint",
            "scheme": "http",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1"), (b"accept", b"text/html")],
            "client": ("10.0.0.9", 1),
            "server": ("127.0.0.1", 7860),
            "state": {},
        }
        assert root_of(scope) == "/paint"

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        await server.app(scope, receive, send)
        return sent

    start = asyncio.run(knock())[0]
    headers = {key.decode(): value.decode() for key, value in start["headers"]}
    assert start["status"] == 303 and headers["location"] == "/paint/" and "Path=/paint" in headers["set-cookie"]
