"""What upper rooms are handed: the parts of one server, built once in `app.py`."""

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webui.catalog import Catalog
from webui.catalog.cards import Cards
from webui.catalog.lora_hashes import LoraHashes
from webui.catalog.need import Measures, Room, Stated
from webui.domain import ExtrasRequest, GenerationRequest, Job, JobState
from webui.domain.job import STYLE_PROMPTS
from webui.gallery.blobs import ID
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.intake import Intake, Names, StyleBook
from webui.intake.need import stated_for
from webui.jobs import Jobs
from webui.jobs.wire import NotStorable, pack
from webui.settings import SettingsStore, flat
from webui.settings.flags import Flags

if TYPE_CHECKING:
    from webui.plugins import Plugins

REMEMBERED = 500
"""Jobs, newest first, whose init images are kept whatever their age, so that they can be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The frozen bundle. Nothing here imports torch; what needs a model goes through `jobs`."""

    flags: Flags
    settings: SettingsStore
    catalog: Catalog
    cards: Cards
    gallery: Gallery
    styles: StyleBook
    intake: Intake
    jobs: Jobs
    hooks: Hooks
    plugins: "Plugins | None" = None
    """The extensions of this server; None where it was put together without them."""
    lora_hashes: LoraHashes = field(default_factory=LoraHashes)
    engine_memory: Callable[[], dict[str, Any] | None] = lambda: None
    """Bytes of the graphics card by A1111's names, or None: no card, or the engine is not loaded yet."""

    engine_room: Callable[[], Room | None] = lambda: None
    """The device before a run; asking does not load the engine."""
    measures: Measures = field(default_factory=Measures)

    engine_unload: Callable[[], None] = lambda: None
    """Give the models' memory back, if the engine is loaded."""
    engine_reload: Callable[[], None] = lambda: None
    """Load the checkpoint in force ahead of the next request."""
    started: float = field(default_factory=time.time)
    """Seconds since 1970; two starts of one server differ in it."""
    restart: Callable[[], None] | None = None
    """End the server and start it again with the same flags; None where nobody is there to do so."""

    @property
    def names(self) -> Names:
        """What names in a pasted infotext are looked up in."""
        return Names(self.catalog, self.styles, self.lora_hashes)

    def prune(self) -> int:
        """Delete old pictures that nobody saved, and old init images that no job waits for; the number deleted."""
        waiting = self.jobs.list(states=(JobState.QUEUED, JobState.RUNNING), limit=1_000_000)
        named: set[str] = set()
        for job in (*waiting, *self.jobs.list(limit=REMEMBERED)):
            # A live request holds objects that cannot be written; it is never older than the server's own start.
            with contextlib.suppress(NotStorable):
                named.update(ID.findall(json.dumps(pack(job.request))))
        return self.gallery.prune() + self.gallery.blobs.prune(named=named)

    def submit(self, request: GenerationRequest, *, owner: str, id: str | None = None) -> Job:
        """Check a request and put it into the queue; when this returns it is on the disk.

        Raises what `Intake.accept` raises; nothing is queued then.
        """
        accepted = self.intake.accept(request)
        kind = "txt2img" if accepted.init is None else "img2img"
        return self.jobs.put(accepted, kind=kind, owner=owner, settings=self._snapshot(accepted), id=id)

    def _snapshot(self, request: GenerationRequest) -> dict[str, Any]:
        """The settings of this moment, and what of the styles a file name may leave out ([prompt_no_styles])."""
        chosen = [style for style in map(self.styles.get, request.styles) if style is not None]
        told = {STYLE_PROMPTS: [style.prompt for style in chosen]} if chosen else {}
        return {**flat(self.settings.current), **told}

    def stated(self, request: GenerationRequest) -> Stated | None:
        """What the pictures asked for need of the device's memory, by headers alone; None where that is not known.

        Raises UnknownModel, NoCheckpoint and what overrides raise; the request need not be checked.
        """
        room = self.engine_room()
        if room is None:
            return None
        return stated_for(
            request, catalog=self.catalog, settings=self.settings.current, measures=self.measures, room=room
        )

    def submit_extras(self, request: ExtrasRequest, *, owner: str) -> Job:
        """Put pictures to be enlarged into the queue."""
        return self.jobs.put(request, kind="extras", owner=owner, settings=flat(self.settings.current))
