"""/internal/*: what the page asks of the server. Not an API: shapes may change with the page; `/v1` is the API.

A job belongs to who submitted it, and nobody else can see, stop or fetch it. Pictures are named by job and number,
never by a path from the browser. Where a route touches a file or the database it is a plain function, so that FastAPI
runs it in a thread and the event loop stays free.
"""

import asyncio
import functools
import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from PIL import Image
from starlette.concurrency import run_in_threadpool

from webui.catalog.embeddings import Embeddings, lengths
from webui.domain import GenerationRequest, Job, JobState, ModelKind, Wish
from webui.domain.errors import BadInput, NotFound
from webui.domain.result import Artifact
from webui.gallery import control_text, infotext, metadata
from webui.jobs import changes, view
from webui.prompt.counter import count_prompt
from webui.prompt.styles import Style
from webui.prompt.tokens import ClipTokenizer
from webui.services import Services
from webui.settings import flat
from webui.settings.flags import Flags
from webui.settings.store import By
from webui.ui.batch_form import series_from
from webui.ui.choices import choices
from webui.ui.controlnet_form import controls_from, unit_values
from webui.ui.form import request_from, upscaled, values_from
from webui.ui.init_form import init_from, init_values, mode_of
from webui.ui.settings_form import settings_form
from webui.ui.taken import memory_text
from webui.ui.uploads import NotForThePage, uploaded, uploads
from webui.words import language_of, say

LOCAL = "local"
TABS = ("txt2img", "img2img")
"""Tabs that submit; a job's kind is the name of the tab it belongs to, perhaps with more behind a hyphen."""
BATCH = "img2img-batch"
"""The kind of a job that works through many pictures."""
SHOWN = 30
"""Jobs that a page which just opened is told of."""
SMALL = 360
"""Longest side of a thumbnail, pixels."""
FOREVER = "private, max-age=31536000, immutable"
ENDED: Any = object()
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class UnknownTab(BadInput):
    """Fields: name."""

    key: ClassVar[str] = "unknown_tab"


class NoSuchPicture(NotFound):
    """Fields: id, number."""

    key: ClassVar[str] = "no_such_picture"


class NotToBeUpscaled(BadInput):
    """A grid, or a picture that img2img made. Fields: name."""

    key: ClassVar[str] = "not_to_be_upscaled"


class PictureGone(NotFound):
    """Fields: name."""

    key: ClassVar[str] = "picture_gone"


def owner_of(request: Request) -> str:
    """Who asks: the gate put the account's name into the scope; without accounts there is one person."""
    return request.scope.get("state", {}).get("user") or LOCAL


def language(request: Request) -> str:
    """The page's language; server-sent events cannot carry a header, so there is a cookie too."""
    asked = (
        request.headers.get("x-maple-language")
        or request.cookies.get("maple_language")
        or request.headers.get("accept-language")
    )
    return language_of(asked or "en")


def authority(request: Request, flags: Flags) -> By:
    """ "owner" for who may choose folders: somebody signed in on the page, or who sits at a server that is not shared.
    shared.

    HTTP Basic is how programs come, and a server that asks nobody to sign in does not know its owner from a passer-by.
    """
    if "authorization" in request.headers:
        return "api"
    shared = flags.listen or flags.share or flags.server_name not in (*LOOPBACK, "")
    return "api" if shared and owner_of(request) == LOCAL else "owner"


def sits_here(request: Request, flags: Flags) -> bool:
    """Whether the browser runs on this machine. A tunnel or a proxy also calls from it, so those count as elsewhere."""
    near = request.client is not None and request.client.host in LOOPBACK
    return near and not flags.share and "x-forwarded-for" not in request.headers


def tab_of(job: Job) -> str:
    """The tab a job's pictures are shown in."""
    return job.kind.partition("-")[0]


def routes(services: Services) -> APIRouter:
    """All of them."""
    router = APIRouter(prefix="/internal", include_in_schema=False)
    _jobs(router, services)
    _pictures(router, services)
    _form(router, services)
    _settings(router, services)
    whole = APIRouter(include_in_schema=False)
    whole.include_router(router)
    whole.include_router(uploads(services))
    return whole


def shown(services: Services, job: Job, tongue: str) -> dict[str, Any]:
    """A job for the page. Infotexts come once it is closed, so that an event in mid-run stays small."""
    preview = services.jobs.preview(job.id) if job.state is JobState.RUNNING else None
    whole = view(job, tongue, preview=preview.revision if preview else 0)
    # By the server's clock; the reader's may go wrong.
    whole["elapsed"] = (job.finished or time.time()) - job.started if job.started else 0.0
    if not job.state.final:
        whole["info"] = {}
        whole["pictures"] = [picture | {"infotext": ""} for picture in whole["pictures"]]
    return whole


def _jobs(router: APIRouter, services: Services) -> None:
    jobs = services.jobs

    @router.post("/submit")
    def submit(request: Request, tab: str = Body(), values: dict[str, Any] = Body()) -> dict[str, Any]:
        if tab not in TABS:
            raise UnknownTab(name=tab)
        asked, owner = request_from(values, tab), owner_of(request)
        asked = replace(asked, controls=controls_from(values, tab, services.gallery.blobs))
        if tab == "img2img" and mode_of(values) == "batch":
            mine = authority(request, services.flags) == "owner" and not services.flags.hide_ui_dir_config
            series = series_from(values, asked, services, owner=mine)
            snapshot = flat(services.settings.current)
            return shown(services, jobs.put(series, kind=BATCH, owner=owner, settings=snapshot), language(request))
        if tab == "img2img":
            asked = replace(asked, init=init_from(values, services.gallery.blobs))
        return shown(services, services.submit(asked, owner=owner), language(request))

    @router.post("/upscale")
    def upscale(
        request: Request, job: str = Body(), number: int = Body(), values: dict[str, Any] = Body()
    ) -> dict[str, Any]:
        """One picture of a job once more, enlarged as the form's Hires. fix says (A1111's ✨)."""
        made, path = artifact(services, job, number, request)
        source = jobs.get(job, owner=owner_of(request)).request
        if made.grid or not isinstance(source, GenerationRequest) or source.init is not None:
            raise NotToBeUpscaled(name=path.name)
        asked = upscaled(source, made, services.gallery.blobs.put(path.read_bytes()), values)
        return shown(services, services.submit(asked, owner=owner_of(request)), language(request))

    @router.get("/jobs")
    def listed(request: Request) -> list[dict[str, Any]]:
        tongue = language(request)
        active = jobs.list(owner=owner_of(request), states=(JobState.RUNNING, JobState.QUEUED), limit=500)
        recent = jobs.list(owner=owner_of(request), limit=SHOWN)
        found = {job.id: job for job in (*active, *recent)}
        made = [job for job in recent if job.state.final and job.result and job.result.artifacts]
        last = {tab_of(job): job.id for job in reversed(made)}
        # Only the last one of each tab is shown with its pictures; the others are named.
        return [
            shown(services, job, tongue)
            if job.id == last.get(tab_of(job)) or not job.state.final
            else shown(services, job, tongue) | {"pictures": []}
            for job in found.values()
        ]

    @router.get("/jobs/{id}")
    def one(id: str, request: Request) -> dict[str, Any]:
        jobs.look(id)
        return shown(services, jobs.get(id, owner=owner_of(request)), language(request))

    @router.get("/jobs/{id}/events")
    async def events(id: str, request: Request) -> StreamingResponse:
        jobs.get(id, owner=owner_of(request))
        tongue = language(request)
        period = services.settings.current.previews.refresh_period / 1000

        async def stream() -> AsyncIterator[str]:
            async for job in at_most_every(period, changes(jobs, id)):
                if job is None:
                    yield ": still here\n\n"
                else:
                    yield f"data: {json.dumps(await run_in_threadpool(shown, services, job, tongue))}\n\n"

        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    @router.get("/jobs/{id}/preview")
    def preview(id: str, request: Request) -> Response:
        found = jobs.preview(id, owner=owner_of(request))
        if found is None:
            return Response(status_code=204)
        return Response(found.picture, media_type=found.media_type, headers={"Cache-Control": "no-store"})

    @router.post("/jobs/{id}/{wish}")
    def wished(id: str, wish: Literal["finish", "stop", "skip"], request: Request) -> dict[str, Any]:
        jobs.wish(id, Wish[wish.upper()], owner=owner_of(request))
        return shown(services, jobs.get(id), language(request))


async def at_most_every(period: float, jobs: AsyncIterator[Job | None]) -> AsyncIterator[Job | None]:
    """Jobs as they come, only the newest of each `period` seconds, a closed one at once. None passes through."""
    held: Job | None = None
    said = -period
    coming = asyncio.ensure_future(anext(jobs, ENDED))
    try:
        while True:
            wait = max(0.0, said + period - time.monotonic()) if held else None
            await asyncio.wait({coming}, timeout=wait)
            if not coming.done():
                assert held is not None
                yield held
                held, said = None, time.monotonic()
                continue
            job = coming.result()
            if job is ENDED:
                if held is not None:
                    yield held
                return
            coming = asyncio.ensure_future(anext(jobs, ENDED))
            if job is None:
                yield None
            elif job.state.final or time.monotonic() - said >= period:
                yield job
                held, said = None, time.monotonic()
            else:
                held = job
    finally:
        coming.cancel()


def artifact(services: Services, id: str, number: int, request: Request) -> tuple[Artifact, Path]:
    """A picture of a job of whoever asks, and its file. Raises NoSuchPicture, PictureGone, and what `jobs.get` does."""
    result = services.jobs.get(id, owner=owner_of(request)).result
    if result is None or not 0 <= number < len(result.artifacts):
        raise NoSuchPicture(id=id, number=number)
    found = result.artifacts[number]
    path = services.gallery.within(found.path)
    if path is None:
        raise PictureGone(name=Path(found.path).name)
    return found, path


def _pictures(router: APIRouter, services: Services) -> None:
    small = functools.lru_cache(maxsize=512)(thumbnail)

    @router.get("/picture/{id}/{number}")
    def picture(id: str, number: int, request: Request) -> Response:
        found, path = artifact(services, id, number, request)
        if "small" in request.query_params:
            stat = path.stat()
            body = small(str(path), stat.st_mtime_ns)
            return Response(body, media_type="image/webp", headers={"Cache-Control": FOREVER})
        kind = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            path,
            media_type=found.media_type,
            filename=path.name,
            content_disposition_type=kind,
            headers={"Cache-Control": FOREVER},
        )

    @router.get("/jobs/{id}/zip")
    def archive(id: str, request: Request) -> StreamingResponse:
        result = services.jobs.get(id, owner=owner_of(request)).result
        if result is None or not result.artifacts:
            raise NoSuchPicture(id=id, number=0)
        paths = [artifact(services, id, number, request)[1] for number in range(len(result.artifacts))]
        name = f"{services.gallery.archive_name(result.artifacts)}.zip"
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return StreamingResponse(zipped(paths), media_type="application/zip", headers=headers)

    @router.post("/open-folder")
    def open_folder(
        request: Request, job: str | None = Body(None), tab: Literal["txt2img", "img2img", "extras"] = Body("txt2img")
    ) -> dict[str, Any]:
        """Show the folder in the machine's own file browser to a person who sits at it; say where it is to others."""
        folder = artifact(services, job, 0, request)[1].parent if job else services.gallery.folder(tab)
        local = (
            request.client is not None and request.client.host in LOOPBACK and "x-forwarded-for" not in request.headers
        )
        return {"path": str(folder), "opened": local and opened(folder)}


def thumbnail(path: str, changed: int) -> bytes:
    """A small WebP of a picture, at most SMALL pixels a side. `changed`, the file's time, has a new file read anew."""
    del changed
    with Image.open(path) as picture:
        picture.thumbnail((SMALL, SMALL))
        body = io.BytesIO()
        picture.convert("RGB").save(body, "WEBP", quality=82, method=2)
    return body.getvalue()


def zipped(paths: list[Path]) -> Iterator[bytes]:
    """A zip of the files, in pieces; pictures are packed already, so they are only stored."""
    pieces = _Pieces()
    with zipfile.ZipFile(pieces, "w", zipfile.ZIP_STORED) as archive:
        used: set[str] = set()
        for number, path in enumerate(paths):
            name = path.name if path.name not in used else f"{number}-{path.name}"
            used.add(name)
            archive.write(path, name)
            yield pieces.taken()
    yield pieces.taken()


class _Pieces(io.RawIOBase):
    """A file that zipfile writes to and that hands over what came since last asked."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        return len(data)

    def taken(self) -> bytes:
        taken, self._buffer = bytes(self._buffer), bytearray()
        return taken


def opened(folder: Path) -> bool:
    """Open a folder in the desktop's file browser; False where there is none."""
    if not folder.is_dir():
        return False
    try:
        if sys.platform == "win32":
            os.startfile(folder)
        elif sys.platform == "darwin":
            subprocess.Popen(["open", str(folder)])
        elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            subprocess.Popen(["xdg-open", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            return False
    except OSError:
        return False
    return True


def _form(router: APIRouter, services: Services) -> None:
    tokenizer = functools.cache(ClipTokenizer)

    @router.get("/choices")
    def offered(request: Request) -> dict[str, Any]:
        name = owner_of(request)
        return choices(services) | {"account": "" if name == LOCAL else name}

    @router.get("/memory")
    def memory(request: Request) -> dict[str, str]:
        return {"text": memory_text(services.engine_memory(), language(request))}

    @router.post("/refresh/{kind}")
    def refresh(kind: Literal["checkpoint", "vae"]) -> dict[str, Any]:
        services.catalog.refresh(ModelKind(kind))
        if kind == "checkpoint":  # upscalers have no button of their own
            services.catalog.refresh(ModelKind.UPSCALER)
        return {"refreshed": kind}

    embeddings = Embeddings()

    @router.post("/tokens")
    def tokens(
        prompt: str = Body(""), negative_prompt: str = Body(""), styles: list[str] = Body([]), steps: int = Body(20)
    ) -> dict[str, Any]:
        chosen = [style for style in map(services.styles.get, styles) if style is not None]
        settings = services.settings.current.sampling
        counts = [
            count_prompt(
                text,
                tokenizer(),
                steps=max(1, min(steps, 1000)),
                negative=negative,
                styles=chosen,
                lengths=lengths(embeddings.read(services.catalog)),
                comments=settings.enable_prompt_comments,
                emphasis=settings.emphasis,
                backtrack=settings.comma_padding_backtrack,
            )
            for text, negative in ((prompt, False), (negative_prompt, True))
        ]
        return {"counts": [{"tokens": count, "most": most} for count, most in counts]}

    @router.post("/styles")
    def style(
        name: str = Body(""), prompt: str = Body(""), negative_prompt: str = Body(""), delete: str = Body("")
    ) -> dict[str, Any]:
        if delete:
            services.styles.delete(delete)
        else:
            services.styles.save(Style(name=name, prompt=prompt, negative_prompt=negative_prompt))
        return {}

    @router.post("/infotext")
    async def read(request: Request, tab: Literal["txt2img", "img2img"] = "txt2img") -> dict[str, Any] | None:
        """What a text or an uploaded picture says, as values for a tab's form. No text means the last generation."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            found = await run_in_threadpool(metadata.read_picture, await uploaded(request))
            items = [{"key": key, "text": text} for key, text in found.items.items()]
            spoken = language(request)
            notes = [say("picture_damaged", spoken, reason=found.damaged)] if found.damaged else []
            notes += [say(key, spoken, **fields) for key, fields in found.notes]
            told = _read(services, found.infotext, tab)
            return {"infotext": "", **told, "items": items, "notes": [*notes, *told.get("notes", [])]}
        text = await _text(request)
        return _read(services, text or _last(services, owner_of(request)), tab) or None


async def _text(request: Request) -> str:
    """`{"text": …}`. Raises NotForThePage."""
    try:
        body = await request.json()
    except ValueError as error:
        raise NotForThePage(reason=str(error)) from None
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise NotForThePage(reason="text")
    return text


def _last(services: Services, owner: str) -> str:
    """The infotext of the owner's last picture."""
    for job in services.jobs.list(owner=owner, limit=SHOWN):
        if tab_of(job) in TABS and job.result and job.result.artifacts:
            return job.result.artifacts[0].infotext
    return ""


def _read(services: Services, text: str, tab: str) -> dict[str, Any]:
    """{"infotext", "values" by element id, "overrides" as entries, "notes"}; {} for no text."""
    if not text.strip():
        return {}
    lookup = services.names
    read = infotext.read(text)
    found, overrides = infotext.request_from(read, settings=services.settings.current, lookup=lookup)
    values = values_from(found, tab)
    if tab == "img2img" and (init := infotext.init_from(read)) is not None:
        values |= init_values(init)
    tiling = [value for _, key, value in overrides if key == "model.tiling"]
    if tiling:  # it has a box of its own on the page
        values[f"{tab}_tiling"] = bool(tiling[0])
    entries = [f"{label}: {value}" for label, key, value in overrides if key != "model.tiling"]
    return {"infotext": text, "values": values, "overrides": entries, "notes": [], "controlnet": _units(services, read)}


def _units(services: Services, read: infotext.Infotext) -> list[dict[str, Any]]:
    """The ControlNet units a text tells of, as the page fills them in."""
    settings = services.settings.current
    if not settings.control.sync_field_args:
        return []
    found = control_text.controls_from(read, names=services.names, skip=settings.infotext.skip_pasting)
    return [{"number": number, **unit_values(unit)} for number, unit in found]


def _settings(router: APIRouter, services: Services) -> None:
    @router.get("/settings")
    def get(request: Request) -> dict[str, Any]:
        return settings_form(services.settings, by=authority(request, services.flags))

    @router.post("/settings")
    def change(request: Request, values: dict[str, Any] = Body(embed=True)) -> dict[str, Any]:
        by = authority(request, services.flags)
        services.settings.change(values, by=by)
        return settings_form(services.settings, by=by)
