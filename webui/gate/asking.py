"""What a request says of itself: headers, path, language, and short answers to it."""

import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from webui.words import language_of, say


def headers_of(scope: Scope) -> Headers:
    return Headers(scope=scope)


def cookies_of(scope: Scope) -> Mapping[str, str]:
    """The request's cookies; a broken header is no cookies."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load("; ".join(headers_of(scope).getlist("cookie")))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def path_of(scope: Scope) -> str:
    """The path below the prefix of a reverse proxy."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] or "/" if root and (path == root or path.startswith(root + "/")) else path


def language(scope: Scope) -> str:
    """The reader's language: the page's own choice first, then the browser's."""
    headers = headers_of(scope)
    asked = headers.get("x-maple-language") or cookies_of(scope).get("maple_language")
    return language_of(asked or headers.get("accept-language") or "en")


def wants_page(scope: Scope) -> bool:
    """Whether a browser is going somewhere, so that the answer is read by a person."""
    return scope["type"] == "http" and "text/html" in headers_of(scope).get("accept", "")


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    status: int,
    key: str,
    headers: Mapping[str, str] | None = None,
    **fields: object,
) -> None:
    """An answer in the API's shape; a websocket that cannot carry one is closed before it opens."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": key})
        return
    detail = say(key, language(scope), **fields)
    if wants_page(scope):
        body, kind = detail, "text/plain; charset=utf-8"
    else:
        body = json.dumps({"error": key, "detail": detail, "body": "", "errors": key}, ensure_ascii=False)
        kind = "application/json"
    response = Response(body, status, {"cache-control": "no-store", **(headers or {})}, media_type=kind)
    await response(scope, receive, send)
