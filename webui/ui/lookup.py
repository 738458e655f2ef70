"""Where an infotext's names are looked up: the catalogue and the styles at hand."""

from dataclasses import dataclass

from webui.catalog import Catalog
from webui.catalog.samplers import samplers
from webui.catalog.schedules import schedules
from webui.domain import ModelKind
from webui.intake import StyleBook
from webui.prompt.styles import match_styles


@dataclass(frozen=True, slots=True, kw_only=True)
class FormLookup:
    """Answers `gallery.infotext.Lookup` from what this server has."""

    catalog: Catalog
    styles_at_hand: StyleBook

    def sampler(self, name: str, schedule: str) -> tuple[str, str] | None:
        """Canonical names; "Automatic" when the schedule is what the sampler would take by itself."""
        row = samplers().find(name)
        label = schedules().canonical(schedule)
        if row is None or label is None:
            return None
        own = row.default_schedule or ""
        return row.name, "Automatic" if label == own else label

    def checkpoint(self, name: str) -> str | None:
        """The title of the checkpoint with that hash or name."""
        record = self.catalog.find(ModelKind.CHECKPOINT, name)
        return None if record is None else record.title

    def vae(self, name: str) -> str | None:
        """The file name of that VAE."""
        record = self.catalog.find(ModelKind.VAE, name)
        return None if record is None else record.filename

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        """Styles that both texts were made with, and the texts without them."""
        names, bare, bare_negative = match_styles(prompt, negative, self.styles_at_hand.all())
        return tuple(names), bare, bare_negative
