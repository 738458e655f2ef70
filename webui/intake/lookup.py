"""Names in a pasted infotext, looked up among what is here; fulfils `gallery.infotext.Lookup`."""

from dataclasses import dataclass

from webui.catalog import Catalog
from webui.catalog.samplers import SAMPLERS, named_schedule, split_name
from webui.domain import ModelKind
from webui.domain.errors import BadInput
from webui.intake.stylebook import StyleBook
from webui.prompt.styles import match_styles


@dataclass(frozen=True, slots=True)
class Names:
    """Samplers, checkpoints, VAEs and styles of one server."""

    catalog: Catalog
    book: StyleBook

    def sampler(self, name: str, schedule: str) -> tuple[str, str] | None:
        """Sampler and schedule by name; the schedule becomes Automatic when it is the sampler's own."""
        try:
            found, implied = split_name(name)
            asked = named_schedule(schedule)
        except BadInput:
            return None
        chosen = implied if asked == "Automatic" else asked
        row = SAMPLERS.find(found)
        own = row is not None and chosen == row.default_schedule
        return found, "Automatic" if own else chosen

    def checkpoint(self, name: str) -> str | None:
        """The title of the checkpoint with that name or hash."""
        record = self.catalog.find(ModelKind.CHECKPOINT, name)
        return record.title if record else None

    def vae(self, name: str) -> str | None:
        """The file name of that VAE."""
        record = self.catalog.find(ModelKind.VAE, name)
        return record.filename if record else None

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        """Styles contained in both texts, and the texts without them."""
        names, bare_prompt, bare_negative = match_styles(prompt, negative, self.book.all())
        return tuple(names), bare_prompt, bare_negative
