"""NovelAI: `Software` and a JSON `Comment`. Seeds of its first models need ENSD 31337 and clip skip 2 here."""

import re
from collections.abc import Mapping

from webui.gallery.foreign.facts import Foreign, Told, integer, number, table, text, translated, whole
from webui.gallery.foreign.samplers import NOVELAI, NOVELAI_SCHEDULES

WEIGHED = re.compile(r"(-?\d+(?:\.\d+)?)::(.*?)::", re.DOTALL)
FIELDS = frozenset({"steps", "scale", "seed", "sampler"})


def novelai(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """None when the texts are not NovelAI's."""
    if "NovelAI" not in items.get("Software", ""):
        return None
    said = table(items.get("Comment"))
    if not FIELDS & said.keys():
        return None
    told = Told(ensd=31337, clip_skip=2)
    told.prompt = emphasis(text(said.get("prompt")) or items.get("Description", ""))
    told.negative = emphasis(text(said.get("uc")))
    told.steps, told.seed = integer(said.get("steps")), integer(said.get("seed"))
    told.cfg_scale = number(said.get("scale"))
    asked = text(said.get("sampler"))
    told.sampler = NOVELAI.get(asked, "Euler a")
    told.schedule = NOVELAI_SCHEDULES.get(text(said.get("noise_schedule")))
    strength = number(said.get("strength"))
    if text(said.get("request_type")) in ("Img2ImgRequest", "NativeInfillingRequest") and strength is not None:
        told.denoising_strength = strength
    if asked and asked not in NOVELAI:
        told.leave(asked)
    for name in ("sm", "sm_dyn", "dynamic_thresholding"):
        if said.get(name) is True:
            told.leave(name)
    if rescale := number(said.get("cfg_rescale")):
        told.leave(f"cfg_rescale {whole(rescale):g}")
    if (table(table(said.get("v4_prompt")).get("caption")).get("char_captions")) or said.get("characterPrompts"):
        told.leave("character prompts")
    if said.get("reference_image_multiple") or said.get("reference_strength_multiple"):
        told.leave("vibe transfer")
    if items.get("Source"):
        told.notes.append(("foreign_model_only_there", {"program": "NovelAI", "model": items["Source"][:80]}))
    return translated("NovelAI", told, width=width, height=height)


def emphasis(prompt: str) -> str:
    """Its prompt in ours: `{x}` is 1.05, `[x]` the inverse, `1.2::x::` a number; round brackets mean nothing there."""
    plain = re.sub(r"(?<!\\)([()])", r"\\\1", prompt)
    numbered = WEIGHED.sub(lambda found: f"({found[2].strip()}:{found[1]})" if found[2].strip() else "", plain)
    if not any(mark in numbered for mark in "{}[]"):
        return numbered
    if (flat := _braces(numbered)) is not None:
        return flat
    # Brackets that do not match weigh nothing here.
    return re.sub(r"[{}\[\]]", "", numbered)


def _braces(prompt: str) -> str | None:
    """Each run of text with the weight of all brackets around it; None when they do not match."""
    made: list[str] = []
    open_ones: list[str] = []
    for part in re.split(r"([{}\[\]])", prompt):
        if part in ("{", "["):
            open_ones.append(part)
        elif part in ("}", "]"):
            if not open_ones or open_ones.pop() != {"}": "{", "]": "["}[part]:
                return None
        elif open_ones and part.strip():
            power = open_ones.count("{") - open_ones.count("[")
            made.append(_around(part, round(1.05**power, 4)))
        else:
            made.append(part)
    return None if open_ones else "".join(made)


def _around(part: str, weight: float) -> str:
    inner = part.strip()
    before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
    return part if weight == 1 else f"{before}({inner}:{weight:g}){after}"
