"""Our scripts and styles in the served page: read once, addressed by their hash, put into the HTML before it leaves.

Gradio's own `head=` is carried out by its scripts after the page has loaded, too late to translate before first paint
and for extensions that wait for DOMContentLoaded. So the HTML is changed on its way out.
"""

import contextlib
import gzip
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.services import Services
from webui.ui import card_routes
from webui.ui.controlnet import controlnet_routes
from webui.ui.convert import converting
from webui.ui.explained import explained
from webui.ui.extensions import extending
from webui.ui.extras import enlarging
from webui.ui.gradio6 import Default, gr
from webui.ui.kept import saving
from webui.ui.needed import needing
from webui.ui.routes import routes
from webui.ui.shell import build
from webui.words import sentences
from webui.words.labels import LABELS

FIRST = ("words.js", "language.js")
"""Scripts that run before anything is drawn; the others wait for the document."""
SCRIPTS = (
    "app.js",
    "accordions.js",
    "form.js",
    "prompt.js",
    "gallery.js",
    "jobs.js",
    "styles.js",
    "canvas.js",
    "pose.js",
    "batch.js",
    "img2img.js",
    "controlnet.js",
    "controlnet_tab.js",
    "cards.js",
    "differences.js",
    "saving.js",
    "send.js",
    "pnginfo.js",
    "extras.js",
    "need.js",
    "convert.js",
    "extensions.js",
    "settings.js",
)
STYLES = (
    "page.css",
    "canvas.css",
    "pose.css",
    "img2img.css",
    "controlnet.css",
    "cards.css",
    "differences.css",
    "convert.css", "extensions.css",
    "extras.css",
)
BROUGHT = "extensions"
"""Where extensions' scripts and styles stand among the assets."""
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "json": "application/json"}
FONTS = ["ui-sans-serif", "system-ui", "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", "sans-serif"]
MONO = ["ui-monospace", "Consolas", "monospace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of ours as it is served: its bytes, both plain and gzipped, its type and the hash it is addressed by."""

    name: str
    body: bytes
    packed: bytes
    hash: str
    media_type: str

    @property
    def address(self) -> str:
        return f"internal/assets/{quote(self.name)}?v={self.hash}"


def _asset(name: str, body: bytes) -> Asset:
    return Asset(
        name=name,
        body=body,
        packed=gzip.compress(body, 6, mtime=0),
        hash=hashlib.sha256(body).hexdigest()[:12],
        media_type=TYPES[name.rsplit(".", 1)[-1]],
    )


def assets() -> dict[str, Asset]:
    """Every script and style of the page by file name, with `words.js` made from the tables in `webui/words/`."""
    found = {"words.js": _asset("words.js", words_script().encode())}
    for file in files("webui.ui").joinpath("assets").iterdir():
        if file.name.rsplit(".", 1)[-1] in TYPES:
            found[file.name] = _asset(file.name, file.read_bytes())
    return found


def words_script() -> str:
    """The translations as a script: labels English → 简体中文, sentences key → both languages."""
    spoken = {key: {"zh-CN": zh, "en": en} for key, (zh, en) in sentences().items() if key.startswith("page_")}
    body = json.dumps({"labels": {"zh-CN": LABELS}, "sentences": spoken}, ensure_ascii=False)
    return f"window.maple = window.maple || {{}};\nmaple.words = {body};\n"


def brought(files: Iterable[tuple[str, Path]]) -> dict[str, Asset]:
    """What extensions bring along: (name, file) as `Plugins.scripts` and `.styles` give them. One that has gone since
    the start is left out.
    """
    found: dict[str, Asset] = {}
    for name, file in files:
        with contextlib.suppress(OSError):
            found[f"{BROUGHT}/{name}"] = _asset(f"{BROUGHT}/{name}", file.read_bytes())
    return found


def head(found: Mapping[str, Asset], boot: Mapping[str, Any]) -> bytes:
    """The tags that go right after <head>. `boot` is what the scripts must know before the first request."""

    def of_extensions(ending: str) -> list[str]:
        return [name for name in found if name.startswith(f"{BROUGHT}/") and name.endswith(ending)]

    facts = json.dumps(boot, ensure_ascii=False).replace("<", "\\u003c")
    tags = [
        '<meta charset="utf-8">',
        '<link rel="icon" href="internal/assets/favicon.svg" type="image/svg+xml">',
        f"<script>window.maple = {{boot: {facts}}};</script>",
        *(f'<script src="{found[name].address}"></script>' for name in FIRST),
        *(f'<link rel="stylesheet" href="{found[name].address}">' for name in STYLES),
        *(f'<link rel="stylesheet" href="{html.escape(found[name].address)}">' for name in of_extensions(".css")),
        *(f'<script defer src="{found[name].address}"></script>' for name in SCRIPTS),
        *(f'<script defer src="{html.escape(found[name].address)}"></script>' for name in of_extensions(".js")),
    ]
    return "\n".join(tags).encode()


def asset_routes(found: Mapping[str, Asset]) -> APIRouter:
    """GET /internal/assets/{name}: kept by browsers for good, because a changed file has another address."""
    router = APIRouter(include_in_schema=False)

    @router.get("/internal/assets/{name:path}")
    def asset(name: str, request: Request) -> Response:
        file = found.get(name)
        if file is None:
            raise HTTPException(404)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if request.query_params.get("v") else "no-cache"
        }
        headers |= {"ETag": f'"{file.hash}"', "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, media_type=file.media_type, headers=headers | {"Content-Encoding": "gzip"})
        return Response(file.body, media_type=file.media_type, headers=headers)

    return router


class WithHead:
    """ASGI: puts `tags` after <head> of the page's HTML, takes out what points elsewhere, lets all else through."""

    def __init__(self, app: ASGIApp, tags: Callable[[], bytes]) -> None:
        self.app = app
        self.tags = tags

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _below_root(scope) not in ("", "/"):
            await self.app(scope, receive, send)
            return
        plain = [(key, value) for key, value in scope["headers"] if key != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, _Rewriting(send, self.tags()))


def _below_root(scope: Scope) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


class _Rewriting:
    """Sends on everything but an HTML body, which it keeps until it is whole and then changes."""

    def __init__(self, send: Send, tags: bytes) -> None:
        self.send = send
        self.tags = tags
        self.start: Message | None = None
        self.body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_html(message):
            self.start = message
            return
        if self.start is None or message["type"] != "http.response.body":
            await self.send(message)
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = _changed(bytes(self.body), self.tags)
        kept = [(key, value) for key, value in self.start["headers"] if key.lower() != b"content-length"]
        headers = [*kept, (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-cache")]
        await self.send({**self.start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _is_html(message: Message) -> bool:
    return any(key.lower() == b"content-type" and value.startswith(b"text/html") for key, value in message["headers"])


def _changed(html: bytes, tags: bytes) -> bytes:
    kept: Iterable[bytes] = html.replace(b"<head>", b"<head>\n" + tags + b"\n", 1).split(b"<meta")
    first, *metas = kept
    # Cards for social networks: addresses on other machines, and of no use here.
    local = [part if not _is_card(part) else part[part.index(b">") + 1 :] for part in metas]
    return first + b"".join(
        part if _is_card(meta) else b"<meta" + part for meta, part in zip(metas, local, strict=True)
    )


def _is_card(meta: bytes) -> bool:
    tag = meta[: meta.index(b">")]
    return b'"og:' in tag or b'"twitter:' in tag


def mount(app: FastAPI, services: Services, flags: Any = None) -> None:
    """Put the page at / of `app`. Call it after all other routes: a mount at the root swallows what comes later."""
    found = assets()
    if services.plugins is not None:
        found |= brought((*services.plugins.styles, *services.plugins.scripts))
    app.include_router(asset_routes(found))
    app.include_router(routes(services))
    app.include_router(converting(services))
    app.include_router(extending(services))
    app.include_router(enlarging(services))
    app.include_router(needing(services))
    app.include_router(controlnet_routes(services))
    app.include_router(card_routes.routes(services))
    app.include_router(saving(services))
    app.include_router(explained(services))
    page = build(services, flags)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        theme=_theme(),
        show_error=True,
    )
    for route in app.router.routes:
        if isinstance(route, Mount) and route.path in ("", "/"):
            route.app = GZipMiddleware(
                WithHead(route.app, lambda: head(found, boot(services, flags))), minimum_size=1024, compresslevel=5
            )
    app.router.routes.sort(key=lambda route: isinstance(route, Mount) and route.path in ("", "/"))


def boot(services: Services, flags: Any) -> dict[str, Any]:
    """What holds before a browser has a choice of its own: flags first, then the settings; "" follows the browser."""
    page = services.settings.current.page
    theme = getattr(flags, "theme", None) or page.theme
    spoken = getattr(flags, "language", "") or page.language
    return {"theme": "" if theme == "auto" else theme, "language": "" if spoken == "auto" else spoken}


def _theme() -> Any:
    """A1111's colours: orange on grey, fonts that are on the machine."""
    return Default(
        primary_hue="orange",
        neutral_hue="gray",
        font=FONTS,
        font_mono=MONO,
        spacing_size="sm",
        radius_size="sm",
        text_size="md",
    )
