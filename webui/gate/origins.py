"""Who may call across: writes and websockets of other pages are refused, CORS headers come only where a flag asks.

A browser sends Origin with every write; a program sends none. Sec-Fetch-Site tells where there is no Origin. Gradio
echoes foreign origins on LAN addresses, so what comes from the inside about CORS is dropped.
"""

import functools
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.gate.asking import headers_of, refuse
from webui.gate.hosts import host_of
from webui.gate.policy import GatePolicy

READS = frozenset({"GET", "HEAD", "OPTIONS"})
PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def is_same(origin: str, host: str) -> bool:
    """Whether an Origin is this Host. Behind a TLS proxy our scheme differs, so the default port is Origin's own."""
    try:
        parts = urlsplit(origin)
        port, own = parts.port, urlsplit(f"//{host}").port
    except ValueError:
        return False
    usual = PORTS.get(parts.scheme)
    return bool(parts.hostname) and parts.hostname == host_of(host) and (port or usual) == (own or usual)


class OriginCheck:
    """403 for a cross-origin write, websocket or preflight that no flag allows; safe headers on every answer."""

    def __init__(self, app: ASGIApp, *, policy: GatePolicy) -> None:
        self._policy = policy
        self._app: ASGIApp = functools.partial(without_cors, app)
        self._ancestors = "frame-ancestors 'self'" + "".join(f" {origin}" for origin in policy.cors_origins)
        if policy.cors_origins or policy.cors_regex:
            self._app = CORSMiddleware(
                self._app,
                allow_origins=policy.cors_origins,
                allow_origin_regex=policy.cors_regex or None,
                allow_methods=["*"],
                allow_headers=["*"],
                # "*" with credentials would hand every page the signed-in person's session.
                allow_credentials=not policy.any_origin,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        safe = functools.partial(self._with_safe_headers, send)
        if self._passes(scope):
            await self._app(scope, receive, safe)
            return
        await refuse(
            scope, receive, safe, status=403, key="foreign_origin", origin=headers_of(scope).get("origin", "-")
        )

    def _passes(self, scope: Scope) -> bool:
        headers = headers_of(scope)
        preflight = "access-control-request-method" in headers
        if scope["type"] == "http" and scope["method"] in READS and not preflight:
            return True
        site = headers.get("sec-fetch-site")
        origin = headers.get("origin")
        if origin is None:
            return site in (None, "same-origin", "none")
        if is_same(origin, headers.get("host", "")) or self._policy.allows_origin(origin):
            return True
        # A proxy that rewrites Host: the browser itself vouches, or the person named the outer host.
        return site == "same-origin" or self._policy.names(urlsplit(origin).hostname or "")

    async def _with_safe_headers(self, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("x-content-type-options", "nosniff")
            headers.setdefault("referrer-policy", "same-origin")
            headers.append("content-security-policy", self._ancestors)
        await send(message)


async def without_cors(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The app, its own words about CORS left out."""

    async def cleaned(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [row for row in message.get("headers", ()) if not row[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": kept}
        await send(message)

    await app(scope, receive, cleaned)
