"""Pictures named by an address: fetched where that is allowed, and nothing of the network around the server."""

import base64
import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.api import remote
from webui.api.bodies import Img2Img
from webui.api.handed_in import decoded, kept
from webui.domain.errors import UnreadablePicture
from webui.gallery.blobs import Blobs, NotAPicture
from webui.settings.groups.api import Api

OPEN = Api(forbid_local_requests=False)


def picture() -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(body, "PNG")
    return body.getvalue()


@dataclass(slots=True)
class Site:
    """A web server of our own on this machine, and what it was asked."""

    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, dict(self.headers)))
            match self.path:
                case "/red.png":
                    self.send(200, picture())
                case "/moved":
                    self.send(302, b"", Location="/red.png")
                case "/round":
                    self.send(302, b"", Location="/round")
                case "/elsewhere":
                    self.send(302, b"", Location="file:///etc/hostname")
                case "/page":
                    self.send(200, b"<html>")
                case "/large":
                    self.send_response(200)
                    self.end_headers()
                    self.endless()
                case "/said-large":
                    self.send(200, b"", length=remote.MOST_BYTES + 1)
                case _:
                    self.send(404, b"")

        def send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def endless(self) -> None:
            try:
                while True:
                    self.wfile.write(b"\0" * 2**20)
            except OSError:
                pass  # the other side has hung up, as it should

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_picture_is_fetched_from_its_address(site: Site, tmp_path: Path) -> None:
    assert decoded(site.at("red.png"), OPEN) == picture()
    blobs = Blobs(tmp_path)
    assert blobs.open(kept(site.at("moved"), blobs, OPEN)).size == (8, 6)


def test_an_init_image_may_be_an_address(site: Site, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    init = Img2Img(init_images=[site.at("red.png")], mask=site.at("red.png")).request(blobs, OPEN).init
    assert init and init.inpaint
    assert init.images == (init.inpaint.mask,)
    assert blobs.open(init.images[0]).size == (8, 6)


def test_this_machine_is_not_asked_by_default(site: Site) -> None:
    assert Api().forbid_local_requests
    with pytest.raises(remote.RemoteForbidden):
        decoded(site.at("red.png"), Api())
    assert site.asked == []


def test_a_public_name_that_answers_with_a_private_address_is_refused(site: Site, monkeypatch: Any) -> None:
    def answer(host: str, port: int, **_: Any) -> list[Any]:
        places = [("93.184.216.34", port), ("127.0.0.1", site.port)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(remote.RemoteForbidden):
        remote.fetched("http://pictures.example/red.png", Api())
    assert site.asked == []


def test_the_name_is_looked_up_once(site: Site, monkeypatch: Any) -> None:
    """What was judged is what is connected to: a second, different answer would never be heard."""
    asked: list[str] = []

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", site.port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert remote.fetched("http://pictures.example/red.png", OPEN) == picture()
    assert asked == ["pictures.example"]
    assert site.asked[0][1]["Host"] == "pictures.example"


def test_redirects_are_judged_and_counted(site: Site) -> None:
    with pytest.raises(remote.RemoteFailed, match="redirects"):
        remote.fetched(site.at("round"), OPEN)
    assert len(site.asked) == remote.MOST_REDIRECTS + 1
    with pytest.raises(remote.RemoteFailed, match="neither"):
        remote.fetched(site.at("elsewhere"), OPEN)


@pytest.mark.parametrize("path", ["large", "said-large"])
def test_more_than_the_limit_is_not_read(site: Site, path: str, monkeypatch: Any) -> None:
    if path == "large":
        monkeypatch.setattr(remote, "MOST_BYTES", 4 * 2**20)
    with pytest.raises(remote.RemoteTooLarge):
        remote.fetched(site.at(path), OPEN)


def test_a_server_that_never_answers_is_left(monkeypatch: Any) -> None:
    monkeypatch.setattr(remote, "MOST_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(remote.RemoteFailed):
            remote.fetched(f"http://127.0.0.1:{silent.getsockname()[1]}/x", OPEN)


def test_what_is_there_must_be_a_picture(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NotAPicture):
        kept(site.at("page"), Blobs(tmp_path), OPEN)
    with pytest.raises(remote.RemoteFailed, match="404"):
        kept(site.at("none"), Blobs(tmp_path), OPEN)


def test_addresses_can_be_switched_off(site: Site) -> None:
    with pytest.raises(remote.RemoteOff):
        decoded(site.at("red.png"), Api(enable_requests=False))
    with pytest.raises(UnreadablePicture):
        decoded(site.at("red.png"))
    assert site.asked == []


def test_the_user_agent_is_the_settings(site: Site) -> None:
    remote.fetched(site.at("red.png"), Api(forbid_local_requests=False, useragent="a browser"))
    assert site.asked[0][1]["User-Agent"] == "a browser"


def test_other_kinds_of_address_are_no_pictures() -> None:
    for text in ("file:///etc/passwd", "ftp://host/x", "gopher://host/"):
        assert not remote.is_address(text)
        with pytest.raises(UnreadablePicture):
            decoded(text, OPEN)
    for broken in ("http://", "http://[::1", "https://host:port/"):
        with pytest.raises(remote.RemoteFailed):
            remote.fetched(broken, OPEN)


@pytest.mark.parametrize(
    ("place", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("127.0.0.1", False),
        ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False),
        ("::", False), ("fe80::1%eth0", False), ("fc00::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False), ("2002:7f00:1::", False),
    ],
)  # fmt: skip
def test_only_the_open_internet_is_public(place: str, public: bool) -> None:
    assert remote.is_public(place) is public


def test_base64_stays_what_it_was() -> None:
    text = base64.b64encode(picture()).decode()
    assert decoded(text, OPEN) == decoded(f"data:image/png;base64,{text}", OPEN) == picture()
