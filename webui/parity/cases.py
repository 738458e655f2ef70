"""A folder of cases: requests as A1111's API takes them, the settings they were made under, and what came out.

`cases.json`: {"settings": {A1111 key: value}, "cases": {name: {"endpoint", "request", "pictures"}}}. Settings hold
for every case; a request's `override_settings` go over them.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from webui.domain import (
    GenerationRequest,
    Hires,
    Init,
    Inpaint,
    MaskedContent,
    Refiner,
    ResizeMode,
    SamplerOptions,
    SoftInpainting,
)
from webui.domain.errors import BrokenFile
from webui.parity.checkpoint import SECOND

SHIPPED = Path(__file__).parents[2] / "tests" / "parity" / "cases"
PROMPT_MATRIX = "Prompt matrix"

# A1111's name of a field → ours and A1111's default.
FIELDS: Mapping[str, tuple[str, Any]] = {
    "prompt": ("prompt", ""),
    "negative_prompt": ("negative_prompt", ""),
    "seed": ("seed", -1),
    "subseed": ("subseed", -1),
    "subseed_strength": ("subseed_strength", 0.0),
    "seed_resize_from_w": ("seed_resize_width", 0),
    "seed_resize_from_h": ("seed_resize_height", 0),
    "sampler_name": ("sampler", "Euler"),
    "scheduler": ("schedule", "Automatic"),
    "steps": ("steps", 50),
    "cfg_scale": ("cfg_scale", 7.0),
    "width": ("width", 512),
    "height": ("height", 512),
    "batch_size": ("batch_size", 1),
    "n_iter": ("batch_count", 1),
    "tiling": ("tiling", False),
}
HIRES: Mapping[str, tuple[str, Any]] = {
    "hr_scale": ("scale", 2.0),
    "hr_resize_x": ("width", 0),
    "hr_resize_y": ("height", 0),
    "hr_upscaler": ("upscaler", "Latent"),
    "hr_second_pass_steps": ("steps", 0),
    "denoising_strength": ("denoising_strength", 0.75),
    "hr_sampler_name": ("sampler", ""),
    "hr_scheduler": ("schedule", ""),
    "hr_checkpoint_name": ("checkpoint", ""),
    "hr_prompt": ("prompt", ""),
    "hr_negative_prompt": ("negative_prompt", ""),
}
RESIZE_MODES, CONTENTS = tuple(ResizeMode), tuple(MaskedContent)
FILE = "@file:"
"""Stands before the name of a picture of the case folder's neighbour `files`, in place of its base64."""
OPTIONS = ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and what A1111 answered. `needs`: a key into words when we cannot make it yet, then there is no
    request."""

    name: str
    request: GenerationRequest | None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """A1111 key → value, in force for this case."""
    pictures: tuple[Path, ...] = ()
    """One file per picture, in order; grids are left out."""
    latents: Path = Path()
    """Folder with NAME.noise.npy, NAME.init.npy, NAME.samples.npy, NAME.cond.npz, those that are known."""
    pictures_in: Mapping[str, Path] = field(default_factory=dict[str, Path])
    """Name in the request's place of a blob id → the file handed in."""
    needs: str = ""

    @property
    def files(self) -> Path:
        """The folder of adapters, embeddings and pictures that it names."""
        return self.latents.parents[1] / "files"

    @property
    def second_checkpoint(self) -> bool:
        if self.request is None:
            return False
        refiner = self.request.refiner.checkpoint if self.request.refiner else ""
        return SECOND in f"{self.request.overrides.get('sd_model_checkpoint', '')} {refiner}"


def read_cases(folder: Path) -> list[Case]:
    """Every case of a folder, in order. Raises BrokenFile."""
    path = folder / "cases.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return [_case(name, entry, known["settings"], folder) for name, entry in known["cases"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenFile(path=str(path), reason=repr(error)) from error


def _case(name: str, entry: Mapping[str, Any], settings: Mapping[str, Any], folder: Path) -> Case:
    asked: Mapping[str, Any] = entry["request"]
    needs = _needs(entry["endpoint"], asked)
    pictures = tuple(folder / picture for picture in entry["pictures"])
    with_grid = asked.get("script_name") == PROMPT_MATRIX
    from_pictures = entry["endpoint"] == "img2img"
    named = [*asked.get("init_images", ()), asked.get("mask")] if from_pictures else []
    files = {each: folder.parent / each.removeprefix(FILE) for each in named if each and each.startswith(FILE)}
    request = None if needs else _request(asked)
    if request is not None and from_pictures:
        request = replace(request, init=_init(asked))
    return Case(
        name=name, request=request, settings=settings, needs=needs, pictures_in=files,
        latents=folder / "latents", pictures=pictures[1:] if with_grid else pictures,
    )  # fmt: skip


def _needs(endpoint: str, asked: Mapping[str, Any]) -> str:
    """What of ours is missing for this request, as a key into words; "" for nothing."""
    if endpoint not in ("txt2img", "img2img"):
        return "parity_needs_route"
    if asked.get("script_name") not in (None, "", PROMPT_MATRIX):
        return "parity_needs_script"
    return ""


def _request(asked: Mapping[str, Any]) -> GenerationRequest:
    values = {ours: asked.get(theirs, default) for theirs, (ours, default) in FIELDS.items()}
    for name in ("seed_resize_width", "seed_resize_height"):
        values[name] = max(values[name], 0)  # -1 is A1111's "not"
    if asked.get("script_name") == PROMPT_MATRIX:
        values["prompts"] = matrix(values["prompt"])
    if asked.get("refiner_checkpoint"):
        since = asked.get("refiner_switch_at") or 0.0
        values["refiner"] = Refiner(checkpoint=asked["refiner_checkpoint"], switch_at=since)
    if asked.get("enable_hr"):
        values["hires"] = Hires(**{ours: asked.get(theirs) or other for theirs, (ours, other) in HIRES.items()})
    options = SamplerOptions(**{name: asked.get(name) for name in OPTIONS})
    return GenerationRequest(
        **values, options=options, overrides=asked.get("override_settings") or {}, save=False, save_grid=False
    )


def _init(asked: Mapping[str, Any]) -> Init:
    """What an img2img request says of init image and mask; pictures are named as they stand in the request."""
    inpaint = None
    if asked.get("mask"):
        blur = asked.get("mask_blur")
        inpaint = Inpaint(
            mask=asked["mask"], blur_x=asked.get("mask_blur_x", 4) if blur is None else blur,
            blur_y=asked.get("mask_blur_y", 4) if blur is None else blur,
            invert=bool(asked.get("inpainting_mask_invert", 0)), content=CONTENTS[asked.get("inpainting_fill", 0)],
            only_masked=asked.get("inpaint_full_res", True), padding=asked.get("inpaint_full_res_padding", 0),
            round_mask=asked.get("mask_round", True), soft=_soft(asked.get("alwayson_scripts") or {}),
        )  # fmt: skip
    return Init(
        images=tuple(asked["init_images"]), denoising_strength=asked.get("denoising_strength", 0.75),
        resize_mode=RESIZE_MODES[asked.get("resize_mode", 0)], image_cfg_scale=asked.get("image_cfg_scale"),
        inpaint=inpaint, noise_multiplier=asked.get("initial_noise_multiplier"),
    )  # fmt: skip


def _soft(scripts: Mapping[str, Any]) -> SoftInpainting | None:
    told = next((told for name, told in scripts.items() if name.lower() == "soft inpainting"), {})
    on, *numbers = told.get("args") or [False]
    names = [each.name for each in fields(SoftInpainting)]
    return SoftInpainting(**dict(zip(names, numbers, strict=False))) if on else None


def matrix(prompt: str) -> tuple[str, ...]:
    """The prompts of A1111's prompt matrix: the first part with every choice of the others, the second part turning
    first.

    >>> matrix("a|b|c")
    ('a', 'a, b', 'a, c', 'a, b, c')
    """
    first, *others = [part.strip() for part in prompt.split("|")]
    choices = itertools.product((False, True), repeat=len(others))
    taken = [[part for part, on in zip(others, reversed(choice), strict=True) if on] for choice in choices]
    return tuple(", ".join([first, *parts]) for parts in taken)
