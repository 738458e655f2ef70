"""A1111's routes of LoRAs and cards, spelt as 1.10.1 spells them; answered from the index.

    GET  /sdapi/v1/loras, POST /sdapi/v1/refresh-loras
    GET  /sd_extra_networks/thumb?filename=, cover-images?page=&item=&index=, metadata?page=&item=,
         get-single-card?page=&tabname=&name=

Unlike A1111's they stand behind the sign-in like every route, and a path from outside is only ever compared with the
previews of known models. `metadata` of a list leaves long values empty; the single route reads the file.
"""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, JSONResponse

from webui.catalog.cards import Card
from webui.catalog.covers import embedded, small
from webui.catalog.trained import HASHES, plain
from webui.domain import ModelKind
from webui.domain.errors import BrokenFile, NotFound
from webui.services import Services

PAGES: Mapping[str, ModelKind] = {
    "lora": ModelKind.LORA,
    "checkpoints": ModelKind.CHECKPOINT,
    "textual inversion": ModelKind.EMBEDDING,
    "hypernetworks": ModelKind.HYPERNETWORK,
}
"""A1111's page names."""
PICTURES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif",
    ".avif": "image/avif", ".jxl": "image/jxl",
}  # fmt: skip
SIGNATURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8", "image/jpeg"), (b"GIF8", "image/gif"), (b"RIFF", "image/webp"))


class NoSuchFile(NotFound):
    """Fields: name."""

    key: ClassVar[str] = "no_such_preview"


def routes(services: Services) -> APIRouter:
    """All of them."""
    router = APIRouter(tags=["A1111"])
    _loras(router, services)
    _networks(router, services)
    return router


def _loras(router: APIRouter, services: Services) -> None:
    @router.get("/sdapi/v1/loras")
    def loras() -> list[dict[str, Any]]:  # pyright: ignore[reportUnusedFunction]
        """LoRAs by name, with the alias their trainer gave them."""
        return [lora(card) for card in services.cards.all(ModelKind.LORA)]

    @router.post("/sdapi/v1/refresh-loras")
    def refresh_loras() -> None:  # pyright: ignore[reportUnusedFunction]
        """Look for new and vanished LoRAs."""
        services.catalog.refresh(ModelKind.LORA)
        services.cards.soon(ModelKind.LORA)


def lora(card: Card) -> dict[str, Any]:
    """A LoRA as A1111 lists it."""
    record = card.record
    alias = record.metadata.get("ss_output_name", "")
    return {
        "name": record.stem,
        "alias": record.stem if alias in ("", "None") else alias,
        "path": str(record.path),
        "metadata": plain(record.metadata),
    }


def _networks(router: APIRouter, services: Services) -> None:
    @router.get("/sd_extra_networks/thumb")
    def thumb(filename: str = "") -> Response:  # pyright: ignore[reportUnusedFunction]
        """A model's preview, by its path."""
        wanted = Path(filename)
        for kind in PAGES.values():
            for card in services.cards.all(kind):
                preview = card.record.preview
                if preview is not None and preview == wanted and preview.suffix.lower() in PICTURES:
                    headers = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
                    return FileResponse(preview, media_type=PICTURES[preview.suffix.lower()], headers=headers)
        raise NoSuchFile(name=filename)

    @router.get("/sd_extra_networks/cover-images")
    def cover(page: str = "", item: str = "", index: int = 0) -> Response:  # pyright: ignore[reportUnusedFunction]
        """A picture kept in a model's header."""
        card = found(services, page, item)
        pictures = embedded(whole(services, card)) if card else []
        if not 0 <= index < len(pictures) or small(pictures[index]) is None:
            raise NoSuchFile(name=item)
        body = pictures[index]
        kind = next((kind for start, kind in SIGNATURES if body.startswith(start)), "")
        return Response(body if kind else small(body), media_type=kind or "image/webp")

    @router.get("/sd_extra_networks/metadata")
    def metadata(page: str = "", item: str = "") -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        """A header's metadata as indented JSON; {} when there is none."""
        card = found(services, page, item)
        told = plain(whole(services, card)) if card else {}
        kept = {key: value for key, value in told.items() if key not in HASHES}
        return JSONResponse({"metadata": json.dumps(kept, indent=4, ensure_ascii=False)} if kept else {})

    @router.get("/sd_extra_networks/get-single-card")
    def single_card(page: str = "", tabname: str = "", name: str = "") -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        """One card as HTML; {} when there is no such model."""
        card = found(services, page, name)
        return JSONResponse({"html": card_html(card, tabname, page)} if card else {})


def found(services: Services, page: str, item: str) -> Card | None:
    """The card A1111 calls `item` on that page: by file stem, else by any of its names."""
    kind = PAGES.get(page.casefold())
    if kind is None or not item:
        return None
    cards = services.cards.all(kind)
    by_stem = next((card for card in cards if card.record.stem == item), None)
    record = None if by_stem else services.catalog.find(kind, item)
    return by_stem or next((card for card in cards if record and card.record.path == record.path), None)


def whole(services: Services, card: Card) -> Mapping[str, str]:
    """All of a file's metadata; none when it cannot be read."""
    try:
        return services.catalog.metadata(card.record)
    except (BrokenFile, OSError):
        return {}


def card_html(card: Card, tab: str, page: str) -> str:
    """A card's HTML with A1111's classes and data attributes."""
    record = card.record
    told = {
        "data-name": record.stem, "data-tabname": tab, "data-page": page,
        "data-sort-path": record.filename.casefold(), "data-sort-name": record.stem.casefold(),
        "data-sort-date_created": record.created_ns // 10**9, "data-sort-date_modified": record.mtime_ns // 10**9,
    }  # fmt: skip
    attributes = " ".join(f'{name}="{html.escape(str(value))}"' for name, value in told.items())
    title, described = html.escape(record.stem), html.escape(card.told.description)
    return (
        f'<div class="card" {attributes}><div class="actions"><div class="additional"></div>'
        f'<span class="name">{title}</span><span class="description">{described}</span></div></div>'
    )
