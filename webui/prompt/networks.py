"""`<lora:name:0.8>`: networks worn for a run, named in the positive prompt.

>>> extract("a cat <lora:soft light:0.8:dyn=4>")
('a cat ', [NetworkTag(kind='lora', items=('soft light', '0.8', 'dyn=4'))])
"""

import re
from dataclasses import dataclass

from webui.prompt.limits import check_length

_TAG = re.compile(r"<(\w+):([^>]+)>")


@dataclass(frozen=True, slots=True)
class NetworkTag:
    """One tag. `kind` is its first word (lora, lyco, hypernet, or anything); `items` what follows, split at colons."""

    kind: str
    items: tuple[str, ...]

    @property
    def positional(self) -> tuple[str, ...]:
        """Items that are not `key=value`; the first is the network's name."""
        return tuple(item for item in self.items if item.count("=") != 1)

    @property
    def named(self) -> dict[str, str]:
        """`key=value` items; a repeated key counts once, with its last value."""
        return {key: value for key, _, value in (item.partition("=") for item in self.items if item.count("=") == 1)}

    @property
    def name(self) -> str:
        """The network's name, "" when only named items stand in the tag."""
        return next(iter(self.positional), "")


def extract(text: str) -> tuple[str, list[NetworkTag]]:
    """The text without its tags, and the tags in order. Tags of unknown kinds are removed as well, as A1111 does."""
    check_length(text)
    # Nothing can match past the last ">", and looking there again and again would be quadratic.
    end = text.rfind(">") + 1
    tags: list[NetworkTag] = []

    def take(found: re.Match[str]) -> str:
        tags.append(NetworkTag(found[1], tuple(found[2].split(":"))))
        return ""

    return _TAG.sub(take, text[:end]) + text[end:], tags
