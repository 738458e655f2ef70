"""Finding a record by what somebody calls it: the settings' title, an infotext's hash, a prompt's short name."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from webui.domain import ModelKind, ModelRecord

BRACKETS = re.compile(r"\s*\[([0-9a-fA-F]+)\]\s*$")


class Names:
    """Every name of some records. Earlier records win among equals, and more particular names over shorter ones."""

    def __init__(self, records: Sequence[ModelRecord]) -> None:
        self._records = records

    def find(self, name: str, *, partly: bool) -> ModelRecord | None:
        """Exact, then in any case, then if `partly` the shortest title containing it; then again without ` [hash]`."""
        wanted = plain(name).strip()
        if not wanted:
            return None
        found = self._whole(wanted) or (self._part(wanted) if partly else None)
        bracket = BRACKETS.search(wanted)
        if found is not None or bracket is None:
            return found
        bare = wanted[: bracket.start()]
        # The hash names the weights even when the file was renamed since.
        found = self._table.get(bracket[1].lower()) or self._whole(bare)
        return found or (self._part(bare) if partly and bare else None)

    def _whole(self, wanted: str) -> ModelRecord | None:
        return self._table.get(wanted) or self._folded.get(wanted.casefold())

    def _part(self, wanted: str) -> ModelRecord | None:
        part = wanted.casefold()
        holding = [record for record in self._records if part in plain(record.title).casefold()]
        return min(holding, key=lambda record: len(record.title), default=None)

    @cached_property
    def _table(self) -> dict[str, ModelRecord]:
        table: dict[str, ModelRecord] = {}
        for names in TIERS:
            for record in self._records:
                for name in names(record):
                    table.setdefault(plain(name), record)
        return table

    @cached_property
    def _folded(self) -> dict[str, ModelRecord]:
        folded: dict[str, ModelRecord] = {}
        for name, record in self._table.items():
            folded.setdefault(name.casefold(), record)
        return folded


def plain(name: str) -> str:
    """One spelling: forward slashes, composed accents (macOS writes them apart)."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _titles(record: ModelRecord) -> Iterable[str]:
    yield record.title
    yield record.filename


def _paths(record: ModelRecord) -> Iterable[str]:
    yield record.name
    yield record.name.replace("/", "_")
    if record.shorthash:
        yield f"{record.name} [{record.shorthash}]"


def _aliases(record: ModelRecord) -> Iterable[str]:
    suffix = record.filename[len(record.name) :]
    for alias in record.aliases:
        yield alias + suffix
        yield alias


def _short(record: ModelRecord) -> Iterable[str]:
    for name in (record.name, *record.aliases):
        stem = name.rsplit("/", 1)[-1]
        yield stem + record.filename[len(record.name) :]
        yield stem
        if record.shorthash:
            yield f"{stem} [{record.shorthash}]"
        if record.kind is ModelKind.CONTROLNET and record.legacy_hash:
            yield f"{stem} [{record.legacy_hash}]"


def _hashes(record: ModelRecord) -> Iterable[str]:
    yield from (value for value in (record.sha256, record.shorthash, record.legacy_hash) if value)


def _inner(record: ModelRecord) -> Iterable[str]:
    """The name a LoRA's trainer gave it."""
    if record.kind is ModelKind.LORA and (name := record.metadata.get("ss_output_name")):
        yield name


TIERS: tuple[Callable[[ModelRecord], Iterable[str]], ...] = (_titles, _paths, _aliases, _short, _hashes, _inner)
