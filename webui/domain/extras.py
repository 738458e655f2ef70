"""Finished pictures worked on further: enlarged, two upscalers blended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtrasRequest:
    """`images` are blob ids, or absolute paths on the server where its owner named a folder. Either `scale` or `width`
    and `height` (pixels, both) say the size.
    """

    images: tuple[str, ...]
    names: tuple[str, ...] = ()
    """What each result is called, for batches: its source's name without the ending; (): numbered."""
    output: str = ""
    """A folder on the server for the results; "": where Extras saves."""
    shown: int = 10_000
    """Results handed back; the others are only saved."""
    upscaler: str = "None"
    second_upscaler: str = "None"
    second_visibility: float = 0.0
    """0 to 1: how much of the second upscaler's picture is laid over the first's."""
    scale: float = 2.0
    width: int = 0
    height: int = 0
    crop: bool = True
    """With width and height: fill them and cut off the rest; else the picture may be larger on one side."""
    max_side: int = 0
    """Longest side in pixels after `scale`; 0: no limit."""
    save: bool = True
