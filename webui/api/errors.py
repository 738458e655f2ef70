"""Errors as answers: a status by the branch of the error tree, A1111's four fields, the reader's language."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from webui.domain.errors import (
    BadFile,
    BadInput,
    MapleError,
    NotFound,
    Refused,
    UnknownSampler,
    UnknownSchedule,
)
from webui.words import explain, language_of

STATUS: tuple[tuple[type[MapleError], int], ...] = (
    (UnknownSampler, 400),  # as A1111 answers
    (UnknownSchedule, 400),
    (BadInput, 422),
    (NotFound, 404),
    (Refused, 403),
    (BadFile, 422),
    (MapleError, 500),
)


def status_of(error: MapleError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUS if isinstance(error, kind))


def language(request: Request) -> str:
    """The reader's language: the page's own header first, then the browser's."""
    return language_of(request.headers.get("x-maple-language") or request.headers.get("accept-language") or "en")


def answer(error: MapleError, request: Request) -> JSONResponse:
    """`error` is the machine's name for it, `detail` a sentence for a person."""
    body = {"error": error.key, "detail": explain(error, language(request)), "body": "", "errors": str(error)}
    return JSONResponse(body, status_of(error))


def add_handlers(app: FastAPI) -> None:
    """Every MapleError leaving a route becomes an answer."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, MapleError)
        return answer(error, request)

    app.add_exception_handler(MapleError, handle)
