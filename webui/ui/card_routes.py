"""/internal/cards/*: what the models' cards are drawn from, and where their notes and previews are written.

A page's list is made once for every state of the catalogue and sent gzipped with an ETag; a thumbnail's address names
its state, so browsers keep it for good. Models are named by ids of ours, never by a path from the browser.
"""

import gzip
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from webui.catalog.beside import KEYS, own_notes, stem_path
from webui.catalog.cards import PAGES, Card
from webui.catalog.trained import facts, plain, tags
from webui.domain import Family
from webui.domain.errors import BadInput, BrokenFile, NotFound
from webui.services import Services
from webui.ui.routes import FOREVER, NoSuchPicture, PictureGone, language, owner_of
from webui.words import say

EDITED: Mapping[str, tuple[str, ...]] = {
    "lora": ("description", "sd_version", "activation_text", "preferred_weight", "negative_text", "notes"),
    "checkpoints": ("description", "vae", "prediction_type", "notes"),
    "textual_inversion": ("description", "notes"),
    "hypernetworks": ("description", "notes"),
}
"""Page → what its editor writes."""
DESCRIBED = 300
"""Characters of a description that stand on a card; the editor has all of it."""
Page = Literal["textual_inversion", "hypernetworks", "checkpoints", "lora"]


class NoPreview(NotFound):
    """No fields."""

    key: ClassVar[str] = "no_preview"


class PreviewNotNamed(BadInput):
    """Fields: name."""

    key: ClassVar[str] = "preview_not_named"


class Notes(BaseModel):
    """What the editor sends; what it leaves out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    description: str | None = Field(None, max_length=100_000)
    notes: str | None = Field(None, max_length=100_000)
    activation_text: str | None = Field(None, max_length=20_000)
    negative_text: str | None = Field(None, max_length=20_000)
    preferred_weight: float | None = Field(None, ge=-10, le=10, allow_inf_nan=False)
    sd_version: str | None = Field(None, max_length=100)
    vae: str | None = Field(None, max_length=1000)
    prediction_type: Literal["", "Automatic", "Epsilon", "V-prediction"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page's list as it is sent. `state`: what it was made of."""

    state: tuple[Any, ...]
    body: bytes
    etag: str


class Listings:
    """Every page's list in every language, made anew only when something changed."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Listing] = {}

    def get(self, page: str, tongue: str) -> Listing:
        """The list, gzipped."""
        services = self._services
        waiting = services.cards.soon(PAGES[page])
        settings = services.settings.current.networks
        state = (services.cards.state, settings, waiting)
        with self._lock:
            made = self._made.get((page, tongue))
            if made is None or made.state != state:
                text = json.dumps(listing(services, page, tongue, waiting=waiting), ensure_ascii=False)
                body = text.encode("utf-8", "replace")
                etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
                made = Listing(state=state, body=gzip.compress(body, 4, mtime=0), etag=etag)
                self._made[page, tongue] = made
        return made


def listing(services: Services, page: str, tongue: str, *, waiting: int) -> dict[str, Any]:
    """A page's cards, the settings they follow, the folders looked into. `waiting`: models not yet described."""
    kind, settings = PAGES[page], services.settings.current.networks
    made = services.cards.all(kind, aliases=settings.preferred_name == "Alias from file")
    return {
        "page": page,
        "waiting": waiting,
        "settings": asdict(settings),
        "folders": [str(path) for path in services.catalog.searched(kind)],
        "cards": [shown(card, tongue) for card in made],
    }


def shown(card: Card, tongue: str) -> dict[str, Any]:
    """One card; what is empty is left out. Times in seconds."""
    record, told = card.record, card.told
    row = {
        "id": card.id,
        "name": card.name,
        "title": record.stem,
        "path": record.filename,
        "also": " ".join(dict.fromkeys([*record.aliases, card.name])),
        "family": "" if card.family is Family.UNKNOWN else card.family.value,
        "variant": record.variant,
        "description": told.description[:DESCRIBED],
        "activation": told.activation_text,
        "weight": told.preferred_weight,
        "negative": told.negative_text,
        "created": record.created_ns // 10**9,
        "modified": record.mtime_ns // 10**9,
        "preview": card.preview,
        "problem": say(record.reason, tongue) if record.reason else "",
        "theirs": not card.own,
    }
    return {key: value for key, value in row.items() if value}


def detail(services: Services, page: str, card: Card) -> dict[str, Any]:
    """What the dialogs show of one model: notes as they are kept, the file, what its header tells."""
    record, told = card.record, card.told
    own = own_notes(record)
    try:
        metadata = services.catalog.metadata(record)
    except (BrokenFile, OSError):
        metadata = {}
    return {
        "id": card.id,
        "title": record.stem,
        "file": str(record.path),
        "size": record.size,
        "modified": record.mtime_ns // 10**9,
        "hash": record.shorthash or "",
        "family": card.family.value,
        "own": card.own,
        "fields": list(EDITED[page]),
        "notes": {name: getattr(own, name) for name in KEYS},
        "told": {"description": told.description, "activation_text": told.activation_text},
        "facts": facts(metadata),
        "tags": tags(metadata)[:200],
        "metadata": plain(metadata),
    }


def routes(services: Services) -> APIRouter:
    """/internal/cards/*."""
    router = APIRouter(prefix="/internal/cards", include_in_schema=False)
    listings = Listings(services)

    def need(page: str, id: str) -> Card:
        aliases = services.settings.current.networks.preferred_name == "Alias from file"
        return services.cards.card(PAGES[page], id, aliases=aliases)

    @router.get("/{page}")
    def listed(page: Page, request: Request) -> Response:
        made = listings.get(page, language(request))
        headers = {"ETag": made.etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, X-Maple-Language"}
        if request.headers.get("if-none-match") == made.etag:
            return Response(status_code=304, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(gzip.decompress(made.body), media_type="application/json", headers=headers)
        return Response(made.body, media_type="application/json", headers=headers | {"Content-Encoding": "gzip"})

    @router.post("/{page}/refresh")
    def refresh(page: Page) -> dict[str, Any]:
        services.catalog.refresh(PAGES[page])
        services.cards.soon(PAGES[page])
        return {"count": len(services.catalog.models(PAGES[page]))}

    @router.get("/{page}/{id}")
    def one(page: Page, id: str) -> dict[str, Any]:
        return detail(services, page, need(page, id))

    @router.get("/{page}/{id}/thumbnail")
    def thumbnail(page: Page, id: str, request: Request, v: str = "") -> Response:
        card = need(page, id)
        etag = f'"{card.preview}"'
        headers = {"ETag": etag, "Cache-Control": FOREVER if v == card.preview else "private, no-cache"}
        if card.preview and request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        body = services.cards.thumbnail(card)
        if body is None:
            raise NoPreview()
        return Response(body, media_type="image/webp", headers=headers)

    @router.post("/{page}/{id}/notes")
    def write(page: Page, id: str, notes: Notes) -> dict[str, Any]:
        card = need(page, id)
        given = notes.model_dump(exclude_none=True)
        services.cards.write(card, {name: value for name, value in given.items() if name in EDITED[page]})
        return detail(services, page, need(page, id))

    def replaced(card: Card, request: Request, job: str, number: int) -> dict[str, Any]:
        result = services.jobs.get(job, owner=owner_of(request)).result
        if result is None or not 0 <= number < len(result.artifacts):
            raise NoSuchPicture(id=job, number=number)
        artifact = result.artifacts[number]
        path = services.gallery.within(artifact.path)
        if path is None:
            raise PictureGone(name=Path(artifact.path).name)
        services.cards.write_preview(card, path.read_bytes(), path.suffix, infotext=artifact.infotext)
        return {"id": card.id}

    @router.post("/{page}/{id}/preview")
    def replace(page: Page, id: str, request: Request, job: str = Body(), number: int = Body()) -> dict[str, Any]:
        return replaced(need(page, id), request, job, number)

    @router.post("/preview")
    def replace_named(
        request: Request, filename: str = Body(), job: str = Body(), number: int = Body()
    ) -> dict[str, Any]:
        """As A1111's pages do it: `filename` is where the preview shall lie."""
        return replaced(named_by(services, filename), request, job, number)

    return router


def named_by(services: Services, filename: str) -> Card:
    """The card whose preview would have this path, whatever its ending. Raises PreviewNotNamed."""
    wanted = os.path.normcase(os.path.splitext(filename.strip())[0])
    for kind in PAGES.values():
        for card in services.cards.all(kind):
            if os.path.normcase(str(stem_path(card.record))) == wanted:
                return card
    raise PreviewNotNamed(name=filename)
