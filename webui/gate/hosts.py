"""Which names this server answers to.

A page of somebody else whose name is pointed at our address (DNS rebinding) is, for the browser, the same origin as
ours: only the Host header tells. Such a page always comes with a *name* of its own, so addresses and names that cannot
be had in the public DNS pass, and the rest must be named with `--allowed-host`.
"""

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from webui.gate.asking import headers_of, refuse
from webui.gate.policy import GatePolicy

SHARED_SPACE = ipaddress.ip_network("100.64.0.0/10")  # carrier NAT; Tailscale and ZeroTier addresses live here


def host_of(header: str) -> str:
    """The host of a Host header or an authority, without port, brackets and final dot; "" when it is none."""
    text = header.strip().lower()
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        return inside if bracket and (not rest or rest[1:].isdecimal()) else ""
    host, colon, port = text.partition(":")
    if colon and not port.isdecimal():
        return ""
    return host.removesuffix(".")


def is_ours(host: str, policy: GatePolicy, served_at: str = "") -> bool:
    """Whether this server answers to `host`; `served_at` is the address the connection came in on."""
    if not host:
        return False
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    if host in policy.own_names or policy.names(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    near = address.is_private or address.is_loopback or address.is_link_local
    shared = address.version == 4 and address in SHARED_SPACE
    return (near and not address.is_unspecified) or shared or host == served_at


class HostCheck:
    """403 for a foreign or missing Host."""

    def __init__(self, app: ASGIApp, *, policy: GatePolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        named = headers_of(scope).getlist("host")
        served_at = (scope.get("server") or ("",))[0]
        if len(named) == 1 and is_ours(host_of(named[0]), self._policy, served_at):
            await self._app(scope, receive, send)
            return
        await refuse(scope, receive, send, status=403, key="foreign_host", host=host_of(named[0]) if named else "-")
