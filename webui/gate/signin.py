"""The sign-in before every route: a session cookie for browsers, HTTP Basic for programs, one small page of its own."""

import base64
import binascii
import json
from typing import Any, cast
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from webui.gate.accounts import GUEST, LOCAL, SESSION_SECONDS, Accounts
from webui.gate.asking import cookies_of, headers_of, language, path_of, refuse, wants_page
from webui.gate.page import sign_in_page
from webui.gate.policy import GatePolicy
from webui.words import say

SIGN_IN = "/gate/sign-in"
SIGN_OUT = "/gate/sign-out"
GRADIO_LOGIN = "/login"
"""Where programs written for A1111's page send the same form."""

FORM_LIMIT = 64 * 1024
API_PATHS = ("/sdapi/", "/v1/", "/controlnet/")


class SignIn:
    """Lets signed-in requests pass, with the account's name in their scope; everything else is answered 401 here."""

    def __init__(self, app: ASGIApp, *, policy: GatePolicy, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts
        # Cookies know no port: two servers on one machine must not sign each other out.
        self._cookie = f"maple-session-{policy.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not self._accounts:
            await self._app(owned(scope, LOCAL), receive, send)
            return
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and path_of(scope) in (SIGN_IN, GRADIO_LOGIN, SIGN_OUT)
        ):
            answer = self._sign_out(scope) if path_of(scope) == SIGN_OUT else await self._sign_in(scope, receive)
            await answer(scope, receive, send)
            return
        name = self._accounts.session(cookies_of(scope).get(self._cookie, ""))
        if name is None and "authorization" in headers_of(scope):
            wait, name = self._basic(scope)
            if wait:
                await refuse(
                    scope,
                    receive,
                    send,
                    status=429,
                    key="sign_in_wait",
                    headers={"retry-after": f"{wait:.0f}"},
                    seconds=f"{wait:.0f}",
                )
                return
        if name is not None:
            await self._app(owned(scope, name), receive, send)
            return
        await self._ask(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """401: the sign-in page for a person on the way somewhere, words for a program."""
        if wants_page(scope) and scope["method"] in ("GET", "HEAD"):
            await self._page(scope, "", 401)(scope, receive, send)
            return
        # A Basic challenge makes a browser open its own dialog, so only the APIs give it.
        scheme = "Basic" if path_of(scope).startswith(API_PATHS) else "Session"
        challenge = {"www-authenticate": f'{scheme} realm="Maple WebUI", charset="UTF-8"'}
        await refuse(scope, receive, send, status=401, key="sign_in_needed", headers=challenge)

    def _basic(self, scope: Scope) -> tuple[float, str | None]:
        """(seconds to wait, name) of an Authorization header."""
        pair = basic_pair(headers_of(scope)["authorization"])
        if pair is None:
            return 0.0, None
        return self._look(scope, *pair, page=False)

    def _look(self, scope: Scope, name: str, password: str, *, page: bool) -> tuple[float, str | None]:
        """(seconds to wait, name if the password is right); a password is not looked at while the caller must wait."""
        caller = (scope.get("client") or ("-",))[0]
        wait = self._accounts.patience.wait(caller, name)
        if wait:
            return wait, None
        if self._accounts.check(name, password, page=page):
            self._accounts.patience.right(caller, name)
            return 0.0, name
        self._accounts.patience.wrong(caller, name)
        return 0.0, None

    async def _sign_in(self, scope: Scope, receive: Receive) -> Response:
        form = await read_form(Request(scope, receive))
        if form is None:
            return JSONResponse({"detail": "form"}, 413)
        guest = GUEST if self._accounts.password_alone else ""
        wait, name = self._look(scope, form.get("username") or guest, form.get("password", ""), page=True)
        person = wants_page(scope)
        target = local_target(form.get("next", ""), str(scope.get("root_path", "")))
        if name is None:
            problem, status = ("sign_in_wait", 429) if wait else ("sign_in_wrong", 401)
            if person:
                return self._page(scope, problem, status, target=target, seconds=f"{wait:.0f}")
            return self._wrong(scope, problem, status, wait)
        answer = RedirectResponse(target, 303) if person else JSONResponse({"success": True})
        answer.headers["cache-control"] = "no-store"
        answer.set_cookie(
            self._cookie,
            self._accounts.open_session(name),
            max_age=int(SESSION_SECONDS),
            path=root_of(scope),
            secure=scope.get("scheme") == "https",
            httponly=True,
            samesite="lax",
        )
        return answer

    def _sign_out(self, scope: Scope) -> Response:
        self._accounts.close_session(cookies_of(scope).get(self._cookie, ""))
        answer = RedirectResponse(root_of(scope), 303) if wants_page(scope) else JSONResponse({"success": True})
        answer.delete_cookie(self._cookie, path=root_of(scope), httponly=True, samesite="lax")
        return answer

    def _wrong(self, scope: Scope, problem: str, status: int, wait: float) -> Response:
        extra = {"retry-after": f"{wait:.0f}"} if wait else None
        detail = say(problem, language(scope), seconds=f"{wait:.0f}")
        return JSONResponse({"error": problem, "detail": detail, "body": "", "errors": problem}, status, extra)

    def _page(self, scope: Scope, problem: str, status: int, *, target: str = "", **fields: object) -> Response:
        root = str(scope.get("root_path", "")).rstrip("/")
        body = sign_in_page(
            language=language(scope),
            action=root + SIGN_IN,
            guest=GUEST if self._accounts.password_alone else "",
            target=target or (root_of(scope) if path_of(scope) == SIGN_IN else ""),
            problem=problem,
            fields=fields,
        )
        # `unsafe-inline`: the page is one file; all else stays shut, it calls nowhere but its own form.
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; form-action 'self'; "
            "base-uri 'none'; img-src data:"
        )
        headers = {
            "cache-control": "no-store",
            "content-security-policy": policy,
            "vary": "Accept, Accept-Language, Cookie",
        }
        return HTMLResponse(body, status, headers)


def owned(scope: Scope, name: str) -> Scope:
    """The scope with its owner's name; the server's own state object is not touched."""
    return {**scope, "state": {**scope.get("state", {}), "user": name}}


def root_of(scope: Scope) -> str:
    return str(scope.get("root_path", "")).rstrip("/") or "/"


def basic_pair(header: str) -> tuple[str, str] | None:
    """(name, password) of `Basic …`; UTF-8, else Latin-1 as old programs send it. None for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    return (name, password) if colon else None


async def read_form(request: Request) -> dict[str, str] | None:
    """A small form or JSON object; None when it is too large to be one."""
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > FORM_LIMIT:
            return None
    text = body.decode("utf-8", "replace")
    if "json" in request.headers.get("content-type", ""):
        try:
            found: Any = json.loads(text)
        except ValueError:
            return {}
        rows = cast(dict[str, object], found) if isinstance(found, dict) else {}
        return {key: value for key, value in rows.items() if isinstance(value, str)}
    return {key: values[0] for key, values in parse_qs(text, keep_blank_values=True).items()}


def local_target(asked: str, root: str) -> str:
    """Where to go after signing in: a path of this server and nothing else."""
    plain = (
        asked.startswith("/") and not asked.startswith(("//", "/\\")) and all(letter.isprintable() for letter in asked)
    )
    return quote(asked, safe="/?&=%#:@!$'()*+,;~-._") if plain and "\\" not in asked else root.rstrip("/") + "/"
