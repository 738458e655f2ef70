"""How much a request may carry. The first layer: nothing is read before it."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webui.gate.asking import headers_of, refuse
from webui.gate.policy import GatePolicy


class TooMuch(Exception):
    """A body without a length grew past the limit."""


class Limits:
    """413 for a body beyond the limit, whether it says so beforehand or not."""

    def __init__(self, app: ASGIApp, *, policy: GatePolicy) -> None:
        self._app = app
        self._limit = policy.body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = headers_of(scope).get("content-length", "0")
        if not said.isdecimal() or int(said) > self._limit:
            await self._refuse(scope, receive, send)
            return
        got, answered, over = 0, False, False

        async def counted() -> Message:
            nonlocal got, over
            message = await receive()
            got += len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if got > self._limit:
                over = True
                raise TooMuch
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if over and not answered:
                return  # the app's own words about a body it could not read
            answered = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except Exception:  # TooMuch, bare or in the group of a task that read the body
            if not over:
                raise
        if over and not answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._limit // (1024 * 1024)
        await refuse(scope, receive, send, status=413, key="body_too_large", headers={"connection": "close"}, most=most)
