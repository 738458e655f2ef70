"""What upper rooms are handed: the parts of one server, built once in `app.py`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from webui.catalog import Catalog
from webui.catalog.cards import Cards
from webui.catalog.lora_hashes import LoraHashes
from webui.domain import ExtrasRequest, GenerationRequest, Job
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.intake import Intake, Names, StyleBook
from webui.jobs import Jobs
from webui.settings import SettingsStore, flat
from webui.settings.flags import Flags


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
    lora_hashes: LoraHashes = field(default_factory=LoraHashes)
    engine_memory: Callable[[], dict[str, Any] | None] = lambda: None
    """Bytes of the graphics card by A1111's names, or None: no card, or the engine is not loaded yet."""

    engine_unload: Callable[[], None] = lambda: None
    """Give the models' memory back, if the engine is loaded."""
    engine_reload: Callable[[], None] = lambda: None
    """Load the checkpoint in force ahead of the next request."""

    @property
    def names(self) -> Names:
        """What names in a pasted infotext are looked up in."""
        return Names(self.catalog, self.styles, self.lora_hashes)

    def submit(self, request: GenerationRequest, *, owner: str, id: str | None = None) -> Job:
        """Check a request and put it into the queue; when this returns it is on the disk.

        Raises what `Intake.accept` raises; nothing is queued then.
        """
        accepted = self.intake.accept(request)
        kind = "txt2img" if accepted.init is None else "img2img"
        return self.jobs.put(accepted, kind=kind, owner=owner, settings=flat(self.settings.current), id=id)

    def submit_extras(self, request: ExtrasRequest, *, owner: str) -> Job:
        """Put pictures to be enlarged into the queue."""
        return self.jobs.put(request, kind="extras", owner=owner, settings=flat(self.settings.current))
