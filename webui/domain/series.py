"""Many pictures, one after the other, from one request: img2img's batch."""

from dataclasses import dataclass

from webui.domain.request import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One picture of a series."""

    picture: str
    """A blob id, or a file's absolute path on the server."""
    name: str
    """What its results are called in `Series.output`: the file's name without its ending."""
    mask: str = ""
    """Like `picture`; "": none."""
    request: GenerationRequest | None = None
    """What is asked of this picture where it differs; None: as the series asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A request carried out for picture after picture. It is checked already; its own init images do not count.

    `scale` is the asked size as a multiple of each picture's own (0: the request's width and height), `output` a folder
    on the server ("": where img2img saves), `shown` the number of results that are handed back.
    """

    request: GenerationRequest
    turns: tuple[Turn, ...]
    scale: float = 0.0
    output: str = ""
    shown: int = 32
