"""Pictures of other programs: their metadata as our infotext, with notes on what has no place in one.

Pure text and JSON (and, in `stealth.py`, a picture's lowest bits); nothing here raises on what a stranger wrote. Add a
program: a function from a picture's texts and its size to `Foreign`, or None when the texts are not that program's, and
a row in `READERS`. The order counts: what is more particular stands first.
"""

from collections.abc import Callable, Mapping

from webui.gallery.foreign.comfy import comfyui
from webui.gallery.foreign.facts import Foreign, Note
from webui.gallery.foreign.novelai import novelai
from webui.gallery.foreign.programs import civitai, draw_things, easy_diffusion, fooocus, invokeai, swarmui
from webui.gallery.foreign.stealth import hidden_text

READERS: Mapping[str, Callable[[Mapping[str, str], int, int], Foreign | None]] = {
    "swarmui": swarmui,
    "fooocus": fooocus,
    "civitai": civitai,
    "invokeai": invokeai,
    "novelai": novelai,
    "comfyui": comfyui,
    "draw things": draw_things,
    "easy diffusion": easy_diffusion,
}


def translate(items: Mapping[str, str], width: int, height: int) -> tuple[str, Foreign] | None:
    """The first reader that knows these texts, and what it made of them."""
    for name, reader in READERS.items():
        if (found := reader(items, width, height)) is not None:
            return name, found
    return None


__all__ = ["READERS", "Foreign", "Note", "hidden_text", "translate"]
