"""A little app with a route of every sort, and a way to knock at it without a socket."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from webui import gate
from webui.settings.flags import parse

NAVIGATION = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def whose(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.state.user})


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<p>drawing board</p>")


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def echoes_any_origin(request: Request) -> PlainTextResponse:
    """What Gradio does on a LAN address."""
    headers = {
        "access-control-allow-origin": request.headers.get("origin", "*"),
        "access-control-allow-credentials": "true",
    }
    return PlainTextResponse("secret", headers=headers)


async def events(request: Request) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        yield "data: 1\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.state.user)
    await websocket.close()


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("mounted")(scope, receive, send)


def little_app() -> Starlette:
    return Starlette(
        routes=[
            Route("/", page),
            Route("/whose", whose, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
            Route("/length", length, methods=["POST"]),
            Route("/sdapi/v1/options", whose, methods=["GET", "POST"]),
            Route("/v1/jobs", whose, methods=["GET", "POST"]),
            Route("/internal/jobs/1/events", events),
            Route("/docs", page),
            Route("/openapi.json", whose),
            Route("/file=outputs/a.png", whose),
            Route("/infinite_image_browsing/db", whose, methods=["GET", "POST"]),
            Route("/echo", echoes_any_origin, methods=["GET", "POST"]),
            WebSocketRoute("/socket", socket),
            Mount("/assets", mounted),
        ]
    )


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Server:
    """The little app behind the gate those flags make."""

    flags: str = ""
    port: int = 7860
    client: str = "192.168.1.20"
    clock: Clock = field(default_factory=Clock)
    limit: int | None = None

    def __post_init__(self) -> None:
        from dataclasses import replace

        self.parsed = parse(self.flags.split(), {})
        self.policy = gate.policy_from(self.parsed, self.port)
        if self.limit is not None:
            self.policy = replace(self.policy, body_limit=self.limit)
        self.accounts = gate.accounts_from(self.parsed)
        self.accounts._clock = self.clock  # pyright: ignore[reportPrivateUsage]
        self.accounts.patience._clock = self.clock  # pyright: ignore[reportPrivateUsage]
        self.inner = little_app()
        self.app = gate.build(self.inner, policy=self.policy, accounts=self.accounts)

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        base: str = "http://127.0.0.1:7860",
        **rest: Any,
    ) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self.client, 40000))
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, headers=dict(headers or {}), **rest)

        return asyncio.run(once())

    def get(self, path: str, **rest: Any) -> httpx.Response:
        return self.ask("GET", path, **rest)

    def post(self, path: str, **rest: Any) -> httpx.Response:
        return self.ask("POST", path, **rest)

    def sign_in(self, name: str, password: str, **rest: Any) -> httpx.Response:
        return self.post("/gate/sign-in", data={"username": name, "password": password, "next": "/docs?a=1"}, **rest)

    def cookie(self, name: str, password: str) -> dict[str, str]:
        answer = self.sign_in(name, password)
        assert answer.status_code == 200, answer.text
        return {"cookie": answer.headers["set-cookie"].split(";")[0]}


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
