"""Names in a pasted infotext, looked up among what is here; fulfils `gallery.infotext.Lookup` and
`gallery.control_text.ControlNames`.
"""

import re
from dataclasses import dataclass, field

from webui.catalog import Catalog
from webui.catalog.chosen import control_title
from webui.catalog.detectors import find_detector
from webui.catalog.lora_hashes import LoraHashes
from webui.catalog.samplers import SAMPLERS, named_schedule, split_name
from webui.domain import ModelKind
from webui.domain.errors import BadInput
from webui.intake.stylebook import StyleBook
from webui.prompt.styles import match_styles

LISTED_HASH = re.compile(r"\[([0-9a-fA-F]{8})\]$")


@dataclass(frozen=True, slots=True)
class Names:
    """Samplers, checkpoints, VAEs and styles of one server."""

    catalog: Catalog
    book: StyleBook
    lora_hashes: LoraHashes = field(default_factory=LoraHashes)

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
        """The name here of the LoRA with that hash, when it is another than the text's name leads to.

        As in A1111 the hash decides, whatever file of that name lies here.
        """
        named = self.catalog.find(ModelKind.LORA, name)
        record = self.lora_hashes.find(hash, self.catalog, first=named)
        if record is None or record == named:
            return None
        return record.stem if self.catalog.find(ModelKind.LORA, record.stem) == record else record.name

    def detector(self, name: str) -> str | None:
        """The name of that preprocessor."""
        try:
            return find_detector(name).name
        except BadInput:
            return None

    def controlnet(self, name: str) -> str | None:
        """The ControlNet model of that name or hash, as it is listed."""
        record = self.catalog.find(ModelKind.CONTROLNET, name)
        hashed = LISTED_HASH.search(name)
        if record is None and hashed is not None:
            record = self.catalog.find(ModelKind.CONTROLNET, hashed[1])
        return control_title(self.catalog, record) if record else None

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        """Styles contained in both texts, and the texts without them."""
        names, bare_prompt, bare_negative = match_styles(prompt, negative, self.book.all())
        return tuple(names), bare_prompt, bare_negative
