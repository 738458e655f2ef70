"""What came out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One picture made. `path` is where it lies (saved picture, or a blob when saving was off)."""

    path: str
    width: int
    height: int
    infotext: str = ""
    seed: int = -1
    subseed: int = -1
    grid: bool = False
    beside: bool = False
    """A mask, composite or control map shown after the pictures; not a picture of the run."""
    saved: bool = True
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Pictures in order (grid first), what was really done, seconds by phase, notes as (key, fields)."""

    artifacts: tuple[Artifact, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The facts A1111's `info` lists: all_prompts, all_seeds, infotexts, index_of_first_image, ..."""
    timings: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[tuple[str, dict[str, Any]], ...] = ()
    stopped: bool = False
