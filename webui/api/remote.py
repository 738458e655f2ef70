"""Pictures named by an address: fetched over http and https, from public machines unless the owner allows others.

The address is looked up once, every answer of that look-up is judged, and the connection goes to what was judged: a
name that answers differently a moment later reaches nothing else (DNS rebinding). Each redirect is judged anew.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.parse
from dataclasses import dataclass

from webui import __version__
from webui.domain.errors import BadInput, Refused
from webui.settings.groups.api import Api

MOST_BYTES = 64 * 2**20
MOST_SECONDS = 30.0
MOST_REDIRECTS = 5
PIECE = 2**16
PORTS = {"http": 80, "https": 443}
MOVED = (301, 302, 303, 307, 308)


class RemoteOff(Refused):
    """Addresses are not taken, by the settings."""

    key = "remote_off"


class RemoteForbidden(Refused):
    """An address of this machine or of the network around it. Fields: host."""

    key = "remote_forbidden"


class RemoteFailed(BadInput):
    """Fields: host, reason."""

    key = "remote_failed"


class RemoteTooLarge(BadInput):
    """Fields: host, most (MB)."""

    key = "remote_too_large"


@dataclass(frozen=True, slots=True)
class Target:
    """One address, taken apart."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def named(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Connection(http.client.HTTPConnection):
    """HTTP over a socket that is already open."""

    def __init__(self, target: Target, opened: socket.socket) -> None:
        super().__init__(target.host, target.port)
        self.sock = opened


def is_address(text: str) -> bool:
    """True for what is an address instead of a picture."""
    return text[:8].lower().startswith(("http://", "https://"))


def fetched(address: str, settings: Api) -> bytes:
    """What lies at the address. Blocks for up to MOST_SECONDS.

    Raises RemoteOff, RemoteForbidden, RemoteFailed, RemoteTooLarge.
    """
    if not settings.enable_requests:
        raise RemoteOff()
    until = time.monotonic() + MOST_SECONDS
    for _ in range(MOST_REDIRECTS + 1):
        target = taken_apart(address)
        try:
            with contextlib.closing(connected(target, settings, until)) as opened:
                found = _asked(target, opened, settings, until)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RemoteFailed(host=target.host, reason=str(error)[:200] or type(error).__name__) from error
        if isinstance(found, bytes):
            return found
        address = urllib.parse.urljoin(address, found)
    raise RemoteFailed(host=taken_apart(address).host, reason=f"more than {MOST_REDIRECTS} redirects")


def taken_apart(address: str) -> Target:
    """Raises RemoteFailed for what is no address of http or https."""
    try:
        parts = urllib.parse.urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise RemoteFailed(host=address[:100], reason=str(error)) from error
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in PORTS or not host:
        raise RemoteFailed(host=address[:100], reason="neither http:// nor https://")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="=&%/?:@!$'()*+,;~-._[]")
    return Target(scheme=scheme, host=host, port=port or PORTS[scheme], path=f"{path}?{query}" if query else path)


def connected(target: Target, settings: Api, until: float) -> socket.socket:
    """An open connection to a machine that may be asked. Raises RemoteForbidden, OSError."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    if settings.forbid_local_requests and not all(is_public(str(place[0])) for *_, place in found):
        # One private answer among public ones is refused too: nobody honest has both.
        raise RemoteForbidden(host=target.host)
    last: OSError | None = None
    for family, kind, protocol, _, place in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(_left(until))
            opened.connect(place)
            if target.scheme == "https":
                opened = ssl.create_default_context().wrap_socket(opened, server_hostname=target.host)
            return opened
        except OSError as error:
            opened.close()
            last = error
    raise last or OSError("no address")


def is_public(place: str) -> bool:
    """Whether an IP address is one of the open internet's. IPv6 that carries an IPv4 address is as public as that."""
    address = ipaddress.ip_address(place.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if address in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address.is_global and not address.is_multicast


NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _asked(target: Target, opened: socket.socket, settings: Api, until: float) -> bytes | str:
    """The body, or where it has moved to."""
    connection = Connection(target, opened)
    agent = settings.useragent or f"Maple/{__version__}"
    headers = {"Host": target.named, "User-Agent": agent, "Accept": "image/*", "Connection": "close"}
    connection.request("GET", target.path, headers=headers)
    answer = connection.getresponse()
    moved = answer.getheader("location")
    if answer.status in MOVED and moved:
        return moved
    if answer.status != 200:
        raise RemoteFailed(host=target.host, reason=f"{answer.status} {answer.reason}"[:100])
    length = answer.getheader("content-length") or "0"
    if length.isdigit() and int(length) > MOST_BYTES:
        raise RemoteTooLarge(host=target.host, most=MOST_BYTES // 2**20)
    return _read(answer, target, opened, until)


def _read(answer: http.client.HTTPResponse, target: Target, opened: socket.socket, until: float) -> bytes:
    body = bytearray()
    while True:
        opened.settimeout(_left(until))
        piece = answer.read1(PIECE)
        if not piece:
            return bytes(body)
        body += piece
        if len(body) > MOST_BYTES:
            raise RemoteTooLarge(host=target.host, most=MOST_BYTES // 2**20)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no whole answer within {MOST_SECONDS:.0f} seconds")
    return left
