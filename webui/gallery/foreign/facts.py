"""What a foreign picture told, in our own terms, and how it becomes an infotext; careful reading of strangers' JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from webui.gallery.infotext import InfotextFields, write

MOST_JSON = 32 * 1024 * 1024
"""Characters; no program writes more into a picture."""
Note = tuple[str, Mapping[str, Any]]
"""Key of a sentence in `words`, and its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """One program's text, translated. `program` as the program calls itself."""

    program: str
    infotext: str
    notes: tuple[Note, ...] = ()


@dataclass(slots=True, kw_only=True)
class Told:
    """What has been found so far; None is "nothing was said"."""

    prompt: str = ""
    negative: str = ""
    steps: int | None = None
    sampler: str = ""
    schedule: str | None = None
    cfg_scale: float | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    model: str = ""
    model_hash: str = ""
    vae: str = ""
    clip_skip: int = 1
    denoising_strength: float | None = None
    ensd: int = 0
    noise_source: str = "GPU"
    loras: list[tuple[str, float, float]] = field(default_factory=list[tuple[str, float, float]])
    """Name, strength for the UNet, strength for the text encoder."""
    extras: dict[str, object] = field(default_factory=dict[str, object])
    left_out: list[str] = field(default_factory=list[str])
    """What could not be carried over, as the other program calls it."""
    notes: list[Note] = field(default_factory=list[Note])

    def leave(self, name: str) -> None:
        """`name` cannot be carried over; said once."""
        name = name.strip()[:80]
        if name and name not in self.left_out and len(self.left_out) < 20:
            self.left_out.append(name)


def translated(program: str, told: Told, *, width: int, height: int) -> Foreign:
    """The infotext of what was told, the picture's own size where none was."""
    tags = "".join(f" {lora_tag(name, unet, text)}" for name, unet, text in told.loras)
    fields = InfotextFields(
        prompt=f"{told.prompt}{tags}".strip(),
        negative=told.negative,
        steps=20 if told.steps is None else told.steps,
        sampler=told.sampler or "Euler",
        schedule=told.schedule,
        cfg_scale=7.0 if told.cfg_scale is None else whole(told.cfg_scale),
        seed=-1 if told.seed is None else told.seed,
        width=told.width or width,
        height=told.height or height,
        model=told.model or None,
        model_hash=told.model_hash or None,
        vae=told.vae or None,
        clip_skip=told.clip_skip,
        denoising_strength=told.denoising_strength,
        ensd=told.ensd,
        noise_source=told.noise_source,
        extras=told.extras,
    )
    notes: list[Note] = [("foreign_picture", {"program": program}), *told.notes]
    if told.left_out:
        notes.append(("foreign_left_out", {"program": program, "names": told.left_out}))
    return Foreign(program=program, infotext=write(fields), notes=tuple(notes))


def lora_tag(name: str, unet: float, text: float) -> str:
    """The tag of a LoRA; the text encoder's strength comes first."""
    strengths = f"{whole(unet):g}" if unet == text else f"{whole(text):g}:{whole(unet):g}"
    return f"<lora:{name}:{strengths}>"


def whole(value: float) -> float | int:
    """7 for 7.0: an infotext says "CFG scale: 7" where a whole number was asked."""
    return int(value) if value == int(value) else round(value, 6)


def parsed(text: str) -> Any:
    """JSON, or None. NaN and Infinity, which some programs write, are taken."""
    if len(text) > MOST_JSON:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def table(value: object) -> Mapping[str, Any]:
    """`value` if it is a JSON object, else an empty one. A text that holds one counts."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = parsed(value)
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def listed(value: object) -> Sequence[Any]:
    """`value` if it is a JSON array, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def text(value: object) -> str:
    """`value` if it is text, else ""."""
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """A finite number, also one written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        made = float(value)
    except (ValueError, OverflowError):
        return None
    return made if math.isfinite(made) and abs(made) < 1e300 else None


def integer(value: object) -> int | None:
    """A whole number below 2⁶⁴ in size, also one written as text; seeds keep all their digits."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and len(value) < 24:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**64 else None
    made = number(value)
    return int(made) if made is not None and abs(made) < 2**53 else None


def stem(name: object) -> str:
    """A model's name without folders and ending: "models/x/anime v3.safetensors" → "anime v3"."""
    last = text(name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    head, dot, ending = last.rpartition(".")
    known = ending.lower() in {"safetensors", "ckpt", "pt", "pth", "bin", "sft", "gguf"}
    return head if dot and known else last
