"""The text under a picture: prompt, negative prompt, one line of `Key: value` pairs, as A1111 writes and reads it.

`write` is exact, byte for byte, for what A1111 1.10 writes. `read` follows A1111's reader with three repairs: a last
line of the prompt that merely looks like pairs stays prompt, a model called `512x512` keeps its name, and time stays
linear in the length of the text.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from webui.domain import Hires, Refiner
from webui.domain.errors import BadInput
from webui.domain.request import Init, Inpaint, MaskedContent, SoftInpainting
from webui.settings import Settings, checked, declared, flat, infotext_labels


@dataclass(frozen=True, slots=True, kw_only=True)
class InfotextFields:
    """What is told of one picture. None (or the value that means "not used") is left out of the text."""

    prompt: str = ""
    negative: str = ""
    steps: int = 20
    sampler: str = ""
    schedule: str | None = None
    """The schedule really used, by its label; "Automatic" when the sampler has none of its own."""
    cfg_scale: float = 7.0
    image_cfg_scale: float | None = None
    seed: int = -1
    face_restoration: str | None = None
    width: int = 512
    height: int = 512
    model_hash: str | None = None
    model: str | None = None
    vae_hash: str | None = None
    vae: str | None = None
    subseed: int = -1
    subseed_strength: float = 0.0
    seed_resize_width: int = 0
    seed_resize_height: int = 0
    denoising_strength: float | None = None
    mask_weight: float | None = None
    clip_skip: int = 1
    ensd: int = 0
    """0 unless the sampler uses it."""
    init_image_hash: str | None = None
    noise_source: str = "GPU"
    tiling: bool = False
    extras: Mapping[str, object] = field(default_factory=dict[str, object])
    """Everything else, in order: hires, sampler options, emphasis, hashes, what extensions add. None is left out."""
    version: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Infotext:
    """A text taken apart. `fields` are as written, but `Size: 64x32` stands as `Size-1` and `Size-2`, as in A1111."""

    prompt: str = ""
    negative: str = ""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])


class Lookup(Protocol):
    """What the form's values are looked up in; the catalog and the style file answer."""

    def sampler(self, name: str, schedule: str) -> tuple[str, str] | None:
        """Sampler and schedule by names or aliases, "Automatic" for the sampler's own; None: unknown sampler."""
        ...

    def checkpoint(self, name: str) -> str | None:
        """The title of the checkpoint with that hash or name, or None."""
        ...

    def vae(self, name: str) -> str | None:
        """The name of the VAE with that file name, or None."""
        ...

    def lora(self, name: str, hash: str) -> str | None:
        """What the LoRA with that hash (12 digits) is called here, when it goes by another name; else None."""
        ...

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        """Styles found in both texts, and the texts without them."""
        ...


# --- writing -------------------------------------------------------------------------------------------------------


def quote(value: object) -> str:
    """A value as it stands after `Key: `: JSON when it would otherwise break the line apart."""
    text = str(value)
    # A1111 quotes for the first three. The others would come back changed: blanks are eaten, quotes are taken off.
    if any(mark in text for mark in ",\n:") or text != text.strip() or text.startswith('"'):
        return json.dumps(value if isinstance(value, str) else text, ensure_ascii=False)
    return text


def pairs(fields: InfotextFields) -> dict[str, object]:
    """The pairs in A1111's order, those that are not used left out."""
    varied = fields.subseed_strength != 0
    resized = fields.seed_resize_width > 0 and fields.seed_resize_height > 0
    table: dict[str, object] = {
        "Steps": fields.steps,
        "Sampler": fields.sampler or None,
        "Schedule type": fields.schedule,
        "CFG scale": fields.cfg_scale,
        "Image CFG scale": fields.image_cfg_scale,
        "Seed": fields.seed,
        "Face restoration": fields.face_restoration,
        "Size": f"{fields.width}x{fields.height}",
        "Model hash": fields.model_hash,
        "Model": fields.model,
        "VAE hash": fields.vae_hash,
        "VAE": fields.vae,
        "Variation seed": fields.subseed if varied else None,
        "Variation seed strength": fields.subseed_strength if varied else None,
        "Seed resize from": f"{fields.seed_resize_width}x{fields.seed_resize_height}" if resized else None,
        "Denoising strength": fields.denoising_strength,
        "Conditional mask weight": fields.mask_weight,
        "Clip skip": fields.clip_skip if fields.clip_skip > 1 else None,
        "ENSD": fields.ensd or None,
        "Init image hash": fields.init_image_hash,
        "RNG": None if fields.noise_source == "GPU" else fields.noise_source,
        "Tiling": True if fields.tiling else None,
        **fields.extras,
        "Version": fields.version,
        "User": fields.user,
    }
    return {key: value for key, value in table.items() if value is not None}


def write(fields: InfotextFields) -> str:
    """The text A1111 would write."""
    return write_pairs(fields.prompt, fields.negative, pairs(fields))


def write_pairs(prompt: str, negative: str, told: Mapping[str, object]) -> str:
    """A text of pairs as they are; `Size-1` and `Size-2` of a text that was read become `Size: 64x32` again."""
    whole: dict[str, object] = {}
    for key, value in told.items():
        name, dash, part = key.rpartition("-")
        second = told.get(f"{name}-2") if dash and part == "1" else None
        if second is not None:
            whole[name] = f"{value}x{second}"
        elif not (dash and part == "2" and f"{name}-1" in told):
            whole[key] = value
    line = ", ".join(key if key == value else f"{key}: {quote(value)}" for key, value in whole.items())
    return f"{prompt}{f'{chr(10)}Negative prompt: {negative}' if negative else ''}\n{line}".strip()


SOFT: dict[str, str] = {
    "Soft inpainting schedule bias": "schedule_bias",
    "Soft inpainting preservation strength": "preservation_strength",
    "Soft inpainting transition contrast boost": "transition_contrast_boost",
    "Soft inpainting mask influence": "mask_influence",
    "Soft inpainting difference threshold": "difference_threshold",
    "Soft inpainting difference contrast": "difference_contrast",
}
"""Infotext label → field of SoftInpainting."""


def inpaint_pairs(inpaint: Inpaint, *, blank: bool = False) -> dict[str, object]:
    """What a mask adds to `extras`, before all else, in A1111's order.

    `blank`: the mask was empty and "Only masked" found nothing, so the whole picture was worked on as without a mask.
    """
    told: dict[str, object] = {}
    if inpaint.soft is not None:
        told["Soft inpainting enabled"] = True
        told |= {label: getattr(inpaint.soft, name) for label, name in SOFT.items()}
    if inpaint.invert:
        told["Mask mode"] = "Inpaint not masked"
    # Two different blurs have no word of their own in A1111, and it then says nothing.
    if inpaint.blur_x == inpaint.blur_y and inpaint.blur_x > 0:
        told["Mask blur"] = inpaint.blur_x
    if blank and inpaint.only_masked:
        return told
    if inpaint.only_masked:
        told |= {"Inpaint area": "Only masked", "Masked area padding": inpaint.padding}
    if inpaint.content is not MaskedContent.ORIGINAL:
        told["Masked content"] = inpaint.content.value
    return told


def init_pairs(*, noise_multiplier: float = 1.0, extra_noise: float = 0.0) -> dict[str, object]:
    """What starting from a picture adds to `extras`, after hashes and emphasis and before the sampler's options.

    The strength, the image CFG scale, the mask weight and the hash of the picture have fields of their own.
    """
    told: dict[str, object] = {}
    if noise_multiplier != 1:
        told["Noise multiplier"] = noise_multiplier
    if extra_noise > 0:
        told["Extra noise"] = extra_noise
    return told


# --- reading -------------------------------------------------------------------------------------------------------

KEY = re.compile(r"\w[\w \-/]+\Z")
QUOTED = re.compile(r'"(?:\\.|[^\\"])+"(?=,|\Z)')
SIZE = re.compile(r"(\d+)x(\d+)")
STEPS_FIRST = re.compile(r"\s*Steps:\s*\d+\s*(?:,|\Z)")
LONGEST_KEY = 200
LONGEST_LINE = 1_000_000
"""Characters; a longer last line is prompt. Keeps a hostile text from costing more than a moment."""

SURE = frozenset({
    "Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model hash", "Model", "Denoising strength",
    "Clip skip", "VAE hash", "Variation seed", "Version", "Hires upscaler", "Postprocess upscaler", "Mask blur",
})  # fmt: skip
"""A line of pairs holds one of these at least; "subject: x, style: y, light: z" holds none and is prompt."""

TEXT = frozenset({
    "Model", "Model hash", "VAE", "VAE hash", "Sampler", "Schedule type", "Hires prompt", "Hires negative prompt",
    "Hires checkpoint", "Refiner", "User", "Version", "Init image hash",
})  # fmt: skip
"""Keys whose value is never a size, even when it reads like one."""


OPENINGS = frozenset({"[{", '{"', "[]", "{}"})
"""How a value begins that a site put into the line as bare JSON (Civitai's resources): its commas are its own."""
MOST_TRIES = 20


def _json_end(line: str, start: int) -> int:
    """Where the JSON value that begins at `start` ends, when a comma or the line's end follows; else 0."""
    try:
        _, end = json.JSONDecoder().raw_decode(line, start)
    except (ValueError, RecursionError):
        return 0
    return end if line[end:].lstrip()[:1] in ("", ",") else 0


def line_pairs(line: str) -> list[tuple[str, str]]:
    """All `key: value` of a line, in order, values as written (still quoted)."""
    found: list[tuple[str, str]] = []
    position, tries = 0, MOST_TRIES
    while (colon := line.find(":", position)) >= 0:
        key = KEY.search(line[max(position, colon - LONGEST_KEY) : colon])
        if key is None:
            position = colon + 1
            continue
        start = colon + 1
        while start < len(line) and line[start].isspace():
            start += 1
        quoted = QUOTED.match(line, start)
        comma = line.find(",", start)
        end = quoted.end() if quoted else (len(line) if comma < 0 else comma)
        if line[start : start + 2] in OPENINGS and tries:
            whole = _json_end(line, start)
            end, tries = (whole, tries) if whole else (end, tries - 1)
        found.append((key.group(), line[start:end]))
        position = end + 1
    return found


def unquote(value: str) -> str:
    """A value without its JSON quotes, if it has them and they are whole."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        inner = json.loads(value)
    except ValueError:
        return value
    return inner if isinstance(inner, str) else value


def is_parameters(line: str) -> bool:
    """True when the line is the pairs of an infotext and not the last line of a prompt."""
    if len(line) > LONGEST_LINE:
        return False
    if STEPS_FIRST.match(line):
        return True
    found = line_pairs(line)
    return len(found) >= 3 and any(key in SURE for key, _ in found)


def read(text: str) -> Infotext:
    """An infotext taken apart. Any text is one: without parameters it is all prompt."""
    lines = text.strip().split("\n")
    last = lines.pop() if is_parameters(lines[-1]) else ""
    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in (line.strip() for line in lines):
        if line.startswith("Negative prompt:"):
            part = negative
            line = line.removeprefix("Negative prompt:").strip()
        # Leading empty lines vanish, as they do in A1111.
        if part or line:
            part.append(line)
    fields: dict[str, str] = {}
    for key, raw in line_pairs(last):
        value = unquote(raw)
        if not raw:
            continue
        size = None if key in TEXT else SIZE.fullmatch(value)
        if size:
            fields[f"{key}-1"], fields[f"{key}-2"] = size.groups()
        else:
            fields[key] = value
    return Infotext(prompt="\n".join(prompt), negative="\n".join(negative), fields=fields)


def facts_of(infotext: Infotext) -> InfotextFields:
    """A text that was read as the fields file names are made of; what it does not tell is at its default."""
    told = infotext.fields
    wholes = {"steps": "Steps", "seed": "Seed", "width": "Size-1", "height": "Size-2", "clip_skip": "Clip skip"}
    found: dict[str, Any] = {name: _number(told.get(label), int) for name, label in wholes.items()}
    found |= {name: _number(told.get(label), float) for name, label in
              {"cfg_scale": "CFG scale", "denoising_strength": "Denoising strength"}.items()}  # fmt: skip
    found |= {"model": told.get("Model"), "model_hash": told.get("Model hash"), "vae": told.get("VAE"),
              "schedule": told.get("Schedule type"), "sampler": told.get("Sampler")}  # fmt: skip
    return InfotextFields(
        prompt=infotext.prompt,
        negative=infotext.negative,
        **{name: value for name, value in found.items() if value is not None},
    )


# --- from a text back to the form ------------------------------------------------------------------------------------

DEFAULTS = {
    "Clip skip": "1", "Hires resize-1": "0", "Hires resize-2": "0", "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler", "Hires checkpoint": "Use same checkpoint", "Hires prompt": "",
    "Hires negative prompt": "", "Mask mode": "Inpaint masked", "Masked content": "original",
    "Inpaint area": "Whole picture", "Masked area padding": "32", "RNG": "GPU", "Schedule type": "Automatic",
    "Schedule max sigma": "0", "Schedule min sigma": "0", "Schedule rho": "0", "VAE Encoder": "Full",
    "VAE Decoder": "Full", "FP8 weight": "Disable", "Refiner switch by sampling steps": "False",
}  # fmt: skip
"""What A1111 means when a text does not say it."""

VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-(RC|\d+))?(?:-.*)?", re.IGNORECASE)
BRACKET = re.compile(r"(?<!\\)[()\[\]]")
NETWORK_HASH = re.compile(r"\(([0-9a-f]+)\)$")


def version_of(text: str | None) -> tuple[int, int, int, int] | None:
    """A1111's version as (major, minor, patch, commits since; -1: release candidate). Other programs' are None."""
    found = VERSION.fullmatch(text.strip()) if text else None
    if found is None:
        return None
    major, minor, patch, since = found.groups()
    later = -1 if since and since.upper() == "RC" else int(since or 0)
    return int(major), int(minor), int(patch or 0), later


def parameters(infotext: Infotext, *, auto_backcompat: bool = True) -> dict[str, str]:
    """A1111's flat dict: prompts, fields, what leaving a field out means; older spellings mended."""
    found = {"Prompt": infotext.prompt, "Negative prompt": infotext.negative, **infotext.fields}
    if not infotext.fields:
        return found
    _networks_to_tags(found)
    _first_pass_to_size(found)
    found = found | {key: value for key, value in DEFAULTS.items() if key not in found}
    if "Emphasis" not in found and (BRACKET.search(infotext.prompt) or BRACKET.search(infotext.negative)):
        found["Emphasis"] = "Original"
    if auto_backcompat:
        _backcompat(found)
    return found


def _networks_to_tags(found: dict[str, str]) -> None:
    """Networks that older texts name in fields become tags in the prompt."""
    if hypernet := found.get("Hypernet"):
        found["Prompt"] += f"<hypernet:{hypernet}:{found.get('Hypernet strength', '1.0')}>"
    tags = ""
    for key in [key for key in found if key.startswith("AddNet Model ")]:
        number = key.removeprefix("AddNet Model ")
        if found.get(f"AddNet Module {number}", "LoRA") != "LoRA":
            continue
        name = NETWORK_HASH.sub("", found[key])
        tags += f"<lora:{name}:{found.get(f'AddNet Weight A {number}', '1.0')}>"
    if tags:
        found["Prompt"] += f"\n{tags}"


def _first_pass_to_size(found: dict[str, str]) -> None:
    """Before 1.0 `Size` was the final size and `First pass size` the first pass's; 0x0 stood for about 512² pixels."""
    try:
        width, height = int(found["First pass size-1"]), int(found["First pass size-2"])
        final_width, final_height = int(found.get("Size-1", 512)), int(found.get("Size-2", 512))
    except (KeyError, ValueError):
        return
    if (width == 0 or height == 0) and final_width > 0 and final_height > 0:
        scale = math.sqrt(512 * 512 / (final_width * final_height))
        width = math.ceil(scale * final_width / 64) * 64
        height = math.ceil(scale * final_height / 64) * 64
    found |= {"Size-1": str(width), "Size-2": str(height)}
    found |= {"Hires resize-1": str(final_width), "Hires resize-2": str(final_height)}


def _backcompat(found: dict[str, str]) -> None:
    """Options that make a newer program behave as the older one that wrote the text."""
    version = version_of(found.get("Version"))
    if version is None:
        return
    if version < (1, 6, 0, 0) and "[" in found["Prompt"]:
        found["Old prompt editing timelines"] = "True"
    if version < (1, 6, 0, 0) and found.get("Sampler") in ("DDIM", "PLMS"):
        found["Pad conds v0"] = "True"
    if version < (1, 7, 0, 225):
        found["Downcast alphas_cumprod"] = "True"
    if version < (1, 8, 0, 0) and found.get("Refiner"):
        found["Refiner switch by sampling steps"] = "True"


SCHEDULE_ENDINGS = (
    "Karras", "Exponential", "Polyexponential", "SGM Uniform", "SGMUniform", "KL Optimal", "Align Your Steps",
    "Uniform", "Simple", "Normal", "Beta", "Turbo", "karras", "exponential", "polyexponential", "sgm_uniform",
    "kl_optimal", "align_your_steps", "uniform", "simple", "normal", "beta",
)  # fmt: skip
"""Trailing names of schedules, from the time when "DPM++ 2M Karras" was one sampler. Longer ones stand first."""


def split_sampler(name: str) -> tuple[str, str | None]:
    """The sampler and the schedule of "DPM++ 2M Karras"; other names come back whole with None."""
    for ending in SCHEDULE_ENDINGS:
        if name.endswith(f" {ending}"):
            return name[: -len(ending) - 1], ending
    return name, None


Override = tuple[str, str, Any]
"""Label in the infotext, our dotted key, value."""

NUMBERS: dict[str, tuple[str, type]] = {
    "Steps": ("steps", int),
    "CFG scale": ("cfg_scale", float),
    "Seed": ("seed", int),
    "Size-1": ("width", int),
    "Size-2": ("height", int),
    "Variation seed": ("subseed", int),
    "Variation seed strength": ("subseed_strength", float),
    "Seed resize from-1": ("seed_resize_width", int),
    "Seed resize from-2": ("seed_resize_height", int),
}
"""Infotext label → field of GenerationRequest."""


HIRES_NUMBERS: dict[str, tuple[str, type]] = {
    "Hires upscale": ("scale", float),
    "Hires resize-1": ("width", int),
    "Hires resize-2": ("height", int),
    "Hires steps": ("steps", int),
    "Denoising strength": ("denoising_strength", float),
}
HIRES_TEXTS = {
    "Hires upscaler": "upscaler", "Hires prompt": "prompt", "Hires negative prompt": "negative_prompt",
}  # fmt: skip
"""Infotext label → field of Hires."""


def request_from(infotext: Infotext, *, settings: Settings, lookup: Lookup) -> tuple[dict[str, Any], list[Override]]:
    """What a pasted text puts into the form: values by field of GenerationRequest, and overrides for what differs from
    the settings. Fields that cannot be understood are left as they are in the form.
    """
    found = parameters(infotext, auto_backcompat=settings.infotext.auto_backcompat)
    skipped = set(settings.infotext.skip_pasting)
    found |= _renamed(found, lookup)
    values = _prompts(found, settings.infotext.styles, lookup)
    skipped_fields = {"Prompt": ("prompt",), "Negative prompt": ("negative_prompt",), "Styles array": ("styles",)}
    for label, names in skipped_fields.items():
        if label in skipped:
            for name in names:
                values.pop(name, None)
    kept = {key: value for key, value in found.items() if key not in skipped and key.rpartition("-")[0] not in skipped}
    for label, (name, kind) in NUMBERS.items():
        number = _number(kept.get(label), kind)
        if number is not None:
            values[name] = number
    if infotext.fields:
        values |= _unvaried(kept, skipped)
        if "Tiling" not in skipped:
            values["tiling"] = kept.get("Tiling") == "True"
    if "Sampler" in kept:
        values |= _sampler(kept["Sampler"], kept.get("Schedule type", "Automatic"), lookup)
    elif "Schedule type" in infotext.fields and "Schedule type" in kept:
        values["schedule"] = kept["Schedule type"]
    if infotext.fields and "Hires upscaler" not in skipped:
        values["hires"] = _hires(kept, lookup)
    if infotext.fields and "Refiner" not in skipped:
        named = lookup.checkpoint(kept["Refiner"]) if "Refiner" in kept else None
        since = _number(kept.get("Refiner switch at"), float)
        values["refiner"] = Refiner(checkpoint=named, switch_at=0.8 if since is None else since) if named else None
    return values, _overrides(kept, settings, lookup)


LORA_TAG = re.compile(r"<lora:([^:>]+)(?=[:>])")


def hashes_of(told: str | None) -> dict[str, str]:
    """Name → hash of a "Lora hashes" or "TI hashes" value."""
    found: dict[str, str] = {}
    for part in (told or "").split(","):
        name, colon, digits = part.rpartition(":")
        if colon and name.strip():
            found[name.strip()] = digits.strip().lower()
    return found


def _renamed(found: Mapping[str, str], lookup: Lookup) -> dict[str, str]:
    """Both prompts with the tags of LoRAs that are here under another name, known by the hashes of the text."""
    hashes = hashes_of(found.get("Lora hashes"))
    if not hashes:
        return {}

    def tag(match: re.Match[str]) -> str:
        digits = hashes.get(match[1])
        return f"<lora:{(digits and lookup.lora(match[1], digits)) or match[1]}"

    return {label: LORA_TAG.sub(tag, found[label]) for label in ("Prompt", "Negative prompt")}


def _hires(kept: Mapping[str, str], lookup: Lookup) -> Hires | None:
    """The second pass, or None when the text tells of no second pass."""
    # What is left out has a default by now, a size of 0 and "Use same …".
    kept = {label: text for label, text in kept.items() if not text.startswith("Use same ")}
    if not ("Hires upscale" in kept or "Hires upscaler" in kept or _number(kept.get("Hires resize-1"), int)):
        return None
    values: dict[str, Any] = {}
    for label, (name, kind) in HIRES_NUMBERS.items():
        number = _number(kept.get(label), kind)
        if number is not None:
            values[name] = number
    for label, name in HIRES_TEXTS.items():
        if label in kept:
            values[name] = kept[label]
    if "Hires sampler" in kept or "Hires schedule type" in kept:
        schedule = kept.get("Hires schedule type", "Automatic")
        known = _sampler(kept.get("Hires sampler", kept.get("Sampler", "")), schedule, lookup)
        values["schedule"] = known["schedule"]
        values["sampler"] = known.get("sampler", "") if "Hires sampler" in kept else ""
    if "Hires checkpoint" in kept:
        values["checkpoint"] = lookup.checkpoint(kept["Hires checkpoint"]) or ""
    return Hires(**values)


MASK_LABELS = frozenset({
    "Mask mode", "Mask blur", "Inpaint area", "Masked area padding", "Masked content", "Soft inpainting enabled",
})  # fmt: skip
INIT_LABELS = frozenset({"Image CFG scale", "Init image hash", "Noise multiplier", "Extra noise"})


def init_from(infotext: Infotext, *, skip: Collection[str] = ()) -> Init | None:
    """What the text tells of the picture it started from, without the pictures themselves (`images` is empty, so is
    `inpaint.mask`); None when it tells of none. `skip` are labels that are not taken from a text.
    """
    kept = {label: text for label, text in infotext.fields.items() if label not in skip}
    strength = _number(kept.get("Denoising strength"), float)
    second_pass = any(label.startswith(("Hires ", "First pass size")) for label in infotext.fields)
    masked = not MASK_LABELS.isdisjoint(kept)
    if not masked and INIT_LABELS.isdisjoint(kept) and (strength is None or second_pass):
        return None
    return Init(
        images=(),
        denoising_strength=0.75 if strength is None else strength,
        image_cfg_scale=_number(kept.get("Image CFG scale"), float),
        noise_multiplier=_number(kept.get("Noise multiplier"), float),
        inpaint=_inpaint(kept) if masked else None,
    )


def _inpaint(kept: Mapping[str, str]) -> Inpaint:
    # A1111 says nothing of a blur of 0, and of everything else when it is at its default.
    blur = _number(kept.get("Mask blur"), float) or 0
    padding = _number(kept.get("Masked area padding"), int)
    content = kept.get("Masked content", "original")
    soft = None
    if kept.get("Soft inpainting enabled") == "True":
        told = {name: _number(kept.get(label), float) for label, name in SOFT.items()}
        soft = SoftInpainting(**{name: value for name, value in told.items() if value is not None})
    return Inpaint(
        mask="",
        blur_x=blur,
        blur_y=blur,
        invert=kept.get("Mask mode") == "Inpaint not masked",
        content=MaskedContent(content) if content in set(MaskedContent) else MaskedContent.ORIGINAL,
        only_masked=kept.get("Inpaint area") == "Only masked",
        padding=32 if padding is None else int(padding),
        # Soft inpainting keeps the mask's shades.
        round_mask=soft is None,
        soft=soft,
    )


def _prompts(found: Mapping[str, str], mode: str, lookup: Lookup) -> dict[str, Any]:
    prompt, negative = found["Prompt"], found["Negative prompt"]
    if mode == "Ignore":
        return {"prompt": prompt, "negative_prompt": negative}
    styles, bare_prompt, bare_negative = lookup.styles(prompt, negative)
    values: dict[str, Any] = {"prompt": bare_prompt, "negative_prompt": bare_negative}
    if mode == "Apply" or (mode == "Apply if any" and styles):
        values["styles"] = styles
    return values


def _unvaried(kept: Mapping[str, str], skipped: set[str]) -> dict[str, Any]:
    """A text with parameters and without variation means none: the form must not keep the last picture's."""
    values: dict[str, Any] = {}
    if "Variation seed strength" not in kept and "Variation seed strength" not in skipped:
        values |= {"subseed": -1, "subseed_strength": 0.0}
    if "Seed resize from-1" not in kept and "Seed resize from" not in skipped:
        values |= {"seed_resize_width": 0, "seed_resize_height": 0}
    return values


def _number(text: str | None, kind: type) -> int | float | None:
    if text is None:
        return None
    try:
        return int(text) if kind is int and text.strip().lstrip("-").isdecimal() else _finite(float(text), kind)
    except (ValueError, OverflowError):
        return None


def _finite(number: float, kind: type) -> int | float | None:
    if not math.isfinite(number) or (kind is int and number != int(number)):
        return None
    return int(number) if kind is int else number


def _sampler(name: str, schedule: str, lookup: Lookup) -> dict[str, Any]:
    known = lookup.sampler(name, schedule)
    if known is None:
        bare, ending = split_sampler(name)
        known = None if ending is None else lookup.sampler(bare, ending)
    # A schedule that is not here does not take the sampler along.
    known = known or lookup.sampler(name, "Automatic")
    if known is None:
        return {"schedule": schedule}
    return {"sampler": known[0], "schedule": known[1]}


def _overrides(kept: Mapping[str, str], settings: Settings, lookup: Lookup) -> list[Override]:
    """Every setting a label names and whose value differs, checked; a locked one is never taken from a text."""
    now = flat(settings)
    made: list[Override] = []
    seen: set[str] = set()
    for label, key in infotext_labels().items():
        text = kept.get(label)
        if key == "model.checkpoint":
            # A text whose model was not hashed yet still has its name.
            text = text or kept.get("Model")
        if text is None or key in seen or declared()[key].locked:
            continue
        if key == "model.checkpoint":
            text = None if settings.infotext.disregard_model else _checkpoint(kept, lookup)
        elif key == "model.vae":
            text = lookup.vae(text) or text
        if text is None:
            continue
        try:
            value = checked(declared()[key], text)
        except BadInput:
            continue
        seen.add(key)
        if value != now[key]:
            made.append((label, key, value))
    return made


def _checkpoint(kept: Mapping[str, str], lookup: Lookup) -> str | None:
    """By hash, else by name; a checkpoint that is not here cannot be chosen."""
    for label in ("Model hash", "Model"):
        title = lookup.checkpoint(kept[label]) if label in kept else None
        if title is not None:
            return title
    return None


def pasted_overrides(texts: list[str]) -> dict[str, Any]:
    """Entries of the page's Override settings, "Clip skip: 2" → {our key: value}. Unreadable values raise BadInput."""
    values: dict[str, Any] = {}
    for text in texts:
        label, _, value = text.partition(":")
        key = infotext_labels().get(label.strip())
        if key is not None:
            values[key] = checked(declared()[key], value.strip())
    return values
