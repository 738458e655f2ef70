"""The gate before the real application: page, APIs, files, events, static files and all of Gradio's routes."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

import webui.app
from webui import gate
from webui.settings.flags import parse


def table(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of every route, those of mounted apps too; parameters are filled in."""
    for route in iter_route_contexts(routes):
        path = prefix + (route.path or "").rstrip("/")
        inner = getattr(route.original_route, "routes", None)
        if inner:
            yield from table(list(inner), path)
        elif (methods := route.methods) is not None:
            yield from ((method, re.sub(r"\{[^}]*\}", "1", path) or "/") for method in sorted(methods))
        else:
            yield "GET", f"{path}/1.js"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[tuple[str, str]]]]:
    """The whole application with an account, and its own table of routes."""
    flags = parse(["--data-dir", str(tmp_path_factory.mktemp("data")), "--gradio-auth", "anna:geheim"], {})
    services = webui.app.build(flags)
    caught: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        real = gate.build
        patch.setattr(gate, "build", lambda app, **rest: caught.append(app) or real(app, **rest))
        engine = webui.app.Engine(services)
        whole = webui.app.application(services, engine, port=7860, accounts=gate.accounts_from(flags))
    inner = caught[0]
    while not hasattr(inner, "routes"):
        inner = inner._app
    yield whole, list(table(list(inner.routes)))
    engine.close()


def statuses(app: Any, rows: list[tuple[str, str]], **headers: str) -> dict[tuple[str, str], int]:
    async def ask() -> dict[tuple[str, str], int]:
        transport = httpx.ASGITransport(app, client=("192.168.1.20", 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860", headers=headers) as client:
            return {(method, path): (await client.request(method, path)).status_code for method, path in rows}

    return asyncio.run(ask())


def test_without_sign_in_every_route_of_the_real_table_answers_401(behind: tuple[Any, list[tuple[str, str]]]) -> None:
    app, rows = behind
    paths = {path for _, path in rows}
    assert {"/", "/sdapi/v1/txt2img", "/sdapi/v1/cmd-flags", "/docs", "/openapi.json", "/controlnet/detect"} <= paths
    assert any(path.startswith("/v1/jobs") for path in paths) and any(path.startswith("/internal/") for path in paths)
    assert any("/gradio_api/" in path for path in paths), "Gradio's own routes are in the table"
    assert len(rows) > 100
    found = statuses(app, rows)
    assert {row: status for row, status in found.items() if status != 401} == {}


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"host": "127.0.0.1.evil.example:7860"}])
def test_a_hostile_host_gets_403_on_every_route(
    behind: tuple[Any, list[tuple[str, str]]], headers: dict[str, str]
) -> None:
    app, rows = behind
    assert set(statuses(app, rows, **headers).values()) == {403}


def test_a_hostile_origin_gets_403_on_every_write(behind: tuple[Any, list[tuple[str, str]]]) -> None:
    app, rows = behind
    writes = [row for row in rows if row[0] not in ("GET", "HEAD", "OPTIONS")]
    assert len(writes) > 20
    assert set(statuses(app, writes, origin="https://evil.example").values()) == {403}


def test_cmd_flags_hold_no_password(behind: tuple[Any, list[tuple[str, str]]]) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(behind[0])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return await client.get("/sdapi/v1/cmd-flags", auth=("anna", "geheim"))

    answer = asyncio.run(ask())
    assert answer.status_code == 200 and "geheim" not in answer.text
