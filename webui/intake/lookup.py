"""Names in a pasted infotext, looked up among what is here; fulfils `gallery.infotext.Lookup`."""

from dataclasses import dataclass

from webui.catalog import Catalog
from webui.catalog.lora_hashes import DIGITS
from webui.catalog.samplers import SAMPLERS, named_schedule, split_name
from webui.domain import ModelKind, ModelRecord
from webui.domain.errors import BadInput
from webui.intake.stylebook import StyleBook
from webui.prompt.styles import match_styles


def told_hash(record: ModelRecord) -> str:
    """Twelve digits by which infotexts know a LoRA, when its header tells them; no file is read for it."""
    return record.metadata.get("sshs_model_hash", "")[:DIGITS].lower()


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

    def lora(self, name: str, hash: str) -> str | None:
        """The name of the LoRA whose header tells that hash, when no LoRA here has the name."""
        if self.catalog.find(ModelKind.LORA, name) is not None:
            return None
        same = (record for record in self.catalog.models(ModelKind.LORA) if told_hash(record) == hash[:DIGITS].lower())
        record = next(same, None)
        return record.stem if record else None

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        """Styles contained in both texts, and the texts without them."""
        names, bare_prompt, bare_negative = match_styles(prompt, negative, self.book.all())
        return tuple(names), bare_prompt, bare_negative
