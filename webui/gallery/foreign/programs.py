"""Programs that write their fields as JSON or as chunks of their own: Fooocus, InvokeAI, SwarmUI, Easy Diffusion, Draw
Things, and sites that keep a JSON beside the picture.
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from webui.gallery.foreign.facts import (
    Foreign,
    Told,
    integer,
    listed,
    number,
    parsed,
    stem,
    table,
    text,
    translated,
    whole,
)
from webui.gallery.foreign.samplers import COMFY, COMFY_SCHEDULES, EASY, INVOKE
from webui.gallery.infotext import hashes_of, read, write_pairs

PAIR = re.compile(r"\(?\s*(\d+)\s*[,x×]\s*(\d+)\s*\)?")


# --- Fooocus


def fooocus(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """Both of its schemes: its own JSON, and lines like A1111's with its LoRAs' strengths beside."""
    said = table(items.get("parameters"))
    if said and ("base_model" in said or "performance" in said):
        return _fooocus_json(said, width, height)
    lines = items.get("parameters", "")
    if lines and not said and (items.get("fooocus_scheme") == "a1111" or "Version: Fooocus" in lines):
        return _fooocus_lines(lines)
    return None


def _fooocus_json(said: Mapping[str, Any], width: int, height: int) -> Foreign:
    told = Told(noise_source="CPU")
    told.prompt, told.negative = _lines(said.get("prompt")), _lines(said.get("negative_prompt"))
    full = [text(part) for part in listed(said.get("full_prompt")) if text(part)]
    if full and said.get("styles") not in (None, "[]", []):
        told.prompt = ", ".join(full)
        full_negative = [text(part) for part in listed(said.get("full_negative_prompt")) if text(part)]
        told.negative = ", ".join(full_negative) or told.negative
    elif styles := text(said.get("styles")).strip("[]"):
        told.leave(f"styles {styles}")
    told.steps, told.seed = integer(said.get("steps")), integer(said.get("seed"))
    told.cfg_scale = number(said.get("guidance_scale"))
    told.sampler, told.schedule = _comfy_names(said, told)
    if size := PAIR.match(text(said.get("resolution"))):
        told.width, told.height = int(size[1]), int(size[2])
    told.model, told.model_hash = stem(said.get("base_model")), text(said.get("base_model_hash"))[:10]
    _fooocus_loras(said, told)
    told.clip_skip = min(max(integer(said.get("clip_skip")) or 1, 1), 12)
    refiner = stem(said.get("refiner_model"))
    if refiner and refiner != "None":
        told.extras |= {"Refiner": refiner, "Refiner switch at": number(said.get("refiner_switch")) or 0.8}
    if (vae := text(said.get("vae"))) and not vae.startswith("Default"):
        told.vae = vae
    for name in ("sharpness", "adm_guidance", "adaptive_cfg", "freeu"):
        if (value := said.get(name)) not in (None, ""):
            told.leave(f"{name} {value}")
    return translated("Fooocus", told, width=width, height=height)


def _fooocus_loras(said: Mapping[str, Any], told: Told) -> None:
    for row in listed(said.get("loras")):
        parts = listed(row)
        if len(parts) >= 2 and (name := stem(parts[0])) and (strength := number(parts[1])) is not None:
            told.loras.append((name, strength, strength))
    if told.loras:
        return
    for key, value in said.items():
        name, colon, strength = text(value).rpartition(" : ")
        if key.startswith("lora_combined") and colon and (amount := number(strength)) is not None:
            told.loras.append((stem(name), amount, amount))


def _fooocus_lines(parameters: str) -> Foreign:
    """A1111's lines; LoRAs are named beside the prompt and get their tags."""
    found = read(parameters)
    tags = ""
    for name, strength in hashes_of(found.fields.get("Lora weights")).items():
        amount = number(strength)
        if amount is not None and f"<lora:{stem(name)}:" not in found.prompt:
            tags += f" <lora:{stem(name)}:{whole(amount):g}>"
    fields = dict(found.fields)
    dropped = [fields.pop(name) and name for name in ("Sharpness", "ADM Guidance", "Performance") if name in fields]
    told = write_pairs(f"{found.prompt}{tags}", found.negative, fields)
    notes: list[tuple[str, Mapping[str, Any]]] = [("foreign_picture", {"program": "Fooocus"})]
    if dropped:
        notes.append(("foreign_left_out", {"program": "Fooocus", "names": dropped}))
    return Foreign(program="Fooocus", infotext=told, notes=tuple(notes))


def _lines(value: object) -> str:
    """Text, or several joined."""
    return text(value) or "\n".join(text(part) for part in listed(value))


def _comfy_names(said: Mapping[str, Any], told: Told) -> tuple[str, str | None]:
    """ComfyUI's names of sampler and schedule, which Fooocus and SwarmUI use."""
    name, schedule = text(said.get("sampler")), text(said.get("scheduler"))
    for wanted, known in ((name, COMFY), (schedule, COMFY_SCHEDULES)):
        if wanted and wanted not in known:
            told.leave(wanted)
    return COMFY.get(name, "Euler"), COMFY_SCHEDULES.get(schedule)


# --- InvokeAI


def invokeai(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """Version 3 and later, version 2, and the command lines of the first."""
    if said := table(items.get("invokeai_metadata")):
        return _invoke_3(said, width, height)
    if said := table(items.get("sd-metadata")):
        return _invoke_2(said, width, height)
    if line := items.get("Dream"):
        return _dream(line, width, height)
    return None


def _invoke_3(said: Mapping[str, Any], width: int, height: int) -> Foreign | None:
    if not {"positive_prompt", "seed", "steps"} & said.keys():
        return None
    told = Told(noise_source="CPU" if said.get("rand_device", "cpu") == "cpu" else "GPU")
    told.prompt = invoke_prompt(text(said.get("positive_prompt")), told)
    told.negative = invoke_prompt(text(said.get("negative_prompt")), told)
    told.steps, told.seed = integer(said.get("steps")), integer(said.get("seed"))
    told.cfg_scale = number(said.get("cfg_scale"))
    told.width, told.height = integer(said.get("width")), integer(said.get("height"))
    told.sampler, told.schedule = _invoke_sampler(text(said.get("scheduler")), told)
    told.clip_skip = min(max((integer(said.get("clip_skip")) or 0) + 1, 1), 12)
    told.model = _invoke_model(said.get("model"))
    told.vae = _invoke_model(said.get("vae"))
    for row in listed(said.get("loras")):
        each = table(row)
        name = _invoke_model(each.get("lora")) or _invoke_model(each.get("model"))
        strength = number(each.get("weight"))
        if name:
            strength = 1.0 if strength is None else strength
            told.loras.append((name, strength, strength))
    if refiner := _invoke_model(said.get("refiner_model")):
        told.extras |= {"Refiner": refiner, "Refiner switch at": number(said.get("refiner_start")) or 0.8}
    for name in ("controlnets", "t2iAdapters", "ipAdapters", "regions", "control_layers"):
        if said.get(name):
            told.leave(name)
    style = text(said.get("positive_style_prompt"))
    if style and style != text(said.get("positive_prompt")):
        told.leave("positive_style_prompt")
    if "img2img" in text(said.get("generation_mode")) or said.get("init_image"):
        told.denoising_strength = number(said.get("strength"))
        told.notes.append(("foreign_init_missing", {"program": "InvokeAI"}))
    return translated("InvokeAI", told, width=width, height=height)


def _invoke_model(value: object) -> str:
    said = table(value)
    return text(said.get("model_name")) or text(said.get("name")) or (stem(value) if isinstance(value, str) else "")


def _invoke_2(said: Mapping[str, Any], width: int, height: int) -> Foreign | None:
    image = table(said.get("image"))
    if not image:
        return None
    told = Told(model=stem(said.get("model_weights")), model_hash="")
    prompt = image.get("prompt")
    parts = [text(table(part).get("prompt")) for part in listed(prompt)]
    _split_prompt(text(prompt) or ", ".join(part for part in parts if part), told)
    told.steps, told.seed = integer(image.get("steps")), integer(image.get("seed"))
    told.cfg_scale = number(image.get("cfg_scale"))
    told.width, told.height = integer(image.get("width")), integer(image.get("height"))
    told.sampler, told.schedule = _invoke_sampler(text(image.get("sampler")), told)
    if image.get("type") == "img2img":
        told.denoising_strength = number(image.get("strength"))
        told.notes.append(("foreign_init_missing", {"program": "InvokeAI"}))
    for name in ("perlin", "threshold", "hires_fix", "variations"):
        if image.get(name):
            told.leave(name)
    return translated("InvokeAI", told, width=width, height=height)


def _dream(line: str, width: int, height: int) -> Foreign | None:
    """`"a cat" -s 50 -S 123 -W 512 -H 512 -C 7.5 -A k_lms`."""
    if len(line) > 20_000:
        return None
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if not words:
        return None
    told = Told()
    _split_prompt(words[0], told)
    given: dict[str, str] = {}
    for at, word in enumerate(words[1:], 1):
        if re.fullmatch(r"-[a-zA-Z]", word):
            given[word[1]] = words[at + 1] if at + 1 < len(words) else ""
        elif found := re.fullmatch(r"-([a-zA-Z])(\S+)", word):
            given[found[1]] = found[2]
    told.steps, told.seed, told.cfg_scale = integer(given.get("s")), integer(given.get("S")), number(given.get("C"))
    told.width, told.height = integer(given.get("W")), integer(given.get("H"))
    told.sampler, told.schedule = _invoke_sampler(given.get("A", ""), told)
    told.denoising_strength = number(given.get("f")) if "I" in given else None
    return translated("InvokeAI", told, width=width, height=height)


def _split_prompt(prompt: str, told: Told) -> None:
    """Version 2 keeps the negative prompt in square brackets."""
    told.negative = ", ".join(part.strip() for part in re.findall(r"\[([^\[\]]*)\]", prompt))
    told.prompt = invoke_prompt(re.sub(r"\s*\[[^\[\]]*\]", "", prompt).strip(), told)


def invoke_prompt(prompt: str, told: Told) -> str:
    """Its weights in ours: `cat++` and `(two words)1.2`; functions such as .swap() cannot be carried over."""
    for name in re.findall(r"\)\.(and|blend|swap)\b", prompt):
        told.leave(f".{name}()")
    prompt = re.sub(r"\(([^()]+)\)(\d+(?:\.\d+)?)", r"(\1:\2)", prompt)

    def weighed(found: re.Match[str]) -> str:
        signs = found[3]
        weight = round((1.1 if signs[0] == "+" else 0.9) ** len(signs), 4)
        return f"({found[1] or found[2]}:{weight:g})"

    return re.sub(r"(?:\(([^()]+)\)|(\b\w+))(\++|-{2,})(?=[\s,.)]|$)", weighed, prompt)


def _invoke_sampler(name: str, told: Told) -> tuple[str, str | None]:
    bare = name.removesuffix("_k") if name not in INVOKE else name
    if name and bare not in INVOKE:
        told.leave(name)
    return INVOKE.get(bare, "Euler"), "Karras" if bare != name else None


# --- SwarmUI


def swarmui(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """`sui_image_params` inside `parameters`."""
    said = table(table(items.get("parameters")).get("sui_image_params"))
    if not said:
        return None
    told = Told(noise_source="CPU")
    told.prompt, told.negative = _swarm_prompt(text(said.get("prompt")), told), text(said.get("negativeprompt"))
    told.steps, told.seed = integer(said.get("steps")), integer(said.get("seed"))
    told.cfg_scale = number(said.get("cfgscale"))
    told.width, told.height = integer(said.get("width")), integer(said.get("height"))
    told.model = stem(said.get("model"))
    told.sampler, told.schedule = _comfy_names(said, told)
    names, strengths = _several(said.get("loras")), _several(said.get("loraweights"))
    for at, name in enumerate(names):
        strength = number(strengths[at]) if at < len(strengths) else None
        strength = 1.0 if strength is None else strength
        told.loras.append((stem(name), strength, strength))
    if (vae := stem(said.get("vae"))) and vae not in ("None", "Automatic"):
        told.vae = vae
    last = integer(said.get("clipstopatlayer"))
    told.clip_skip = -last if last is not None and -12 <= last <= -1 else 1
    if (creativity := number(said.get("initimagecreativity"))) is not None:
        told.denoising_strength = creativity
        told.notes.append(("foreign_init_missing", {"program": "SwarmUI"}))
    control, upscale = number(said.get("refinercontrolpercentage")), number(said.get("refinerupscale"))
    if control is not None and upscale and upscale > 1:
        told.denoising_strength = control
        told.extras |= {"Hires upscale": whole(upscale), "Hires upscaler": "Latent"}
    elif control is not None and (refiner := stem(said.get("refinermodel"))):
        told.extras |= {"Refiner": refiner, "Refiner switch at": round(1 - control, 4)}
    for name in said:
        if name.startswith(("controlnet", "freeu", "regional", "segment", "ipadapter", "video")):
            told.leave(name)
    return translated("SwarmUI", told, width=width, height=height)


def _several(value: object) -> list[str]:
    """A list, or its items separated by commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(part) for part in listed(value)]


def _swarm_prompt(prompt: str, told: Told) -> str:
    """Its own <tags> are left out and named; LoRAs stay."""
    for name in re.findall(r"<(?!lora:)(\w+)[:\[>]", prompt):
        told.leave(f"<{name}>")
    return re.sub(r"<(?!lora:)(\w+)(?:[:\[][^<>]*)?>", "", prompt).strip()


# --- chunks of their own


EASY_NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "Prompt"),
    "negative": ("negative_prompt", "Negative Prompt"),
    "seed": ("seed", "Seed"),
    "steps": ("num_inference_steps", "Steps"),
    "scale": ("guidance_scale", "Guidance Scale"),
    "width": ("width", "Width"),
    "height": ("height", "Height"),
    "sampler": ("sampler_name", "Sampler"),
    "model": ("use_stable_diffusion_model", "Stable Diffusion model"),
    "vae": ("use_vae_model", "VAE model"),
    "strength": ("prompt_strength", "Prompt Strength"),
    "lora": ("use_lora_model", "LoRA model"),
    "lora_strength": ("lora_alpha", "LoRA Strength"),
}


def easy_diffusion(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """Each field a chunk of its own."""
    given = {name: next((items[key] for key in keys if key in items), "") for name, keys in EASY_NAMES.items()}
    if not (given["prompt"] and given["seed"] and given["steps"] and given["sampler"]):
        return None
    told = Told(prompt=given["prompt"], negative=given["negative"], model=stem(given["model"]))
    told.seed, told.steps, told.cfg_scale = integer(given["seed"]), integer(given["steps"]), number(given["scale"])
    told.width, told.height = integer(given["width"]), integer(given["height"])
    told.sampler = EASY.get(given["sampler"], "Euler a")
    if given["sampler"] not in EASY:
        told.leave(given["sampler"])
    told.vae = stem(given["vae"]) if given["vae"] not in ("None", "null") else ""
    names = [text(name) for name in listed(parsed(given["lora"]))] or [given["lora"]]
    strengths = listed(parsed(given["lora_strength"])) or [given["lora_strength"]]
    for at, name in enumerate(names):
        strength = number(strengths[at]) if at < len(strengths) else None
        if name and name not in ("None", "null"):
            told.loras.append(
                (stem(name), 1.0 if strength is None else strength, 1.0 if strength is None else strength)
            )
    return translated("Easy Diffusion", told, width=width, height=height)


def draw_things(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """A JSON inside XMP, with short names."""
    said = table(items.get("draw things"))
    if not {"c", "sampler", "steps"} <= said.keys():
        return None
    told = Told(prompt=text(said.get("c")), negative=text(said.get("uc")), model=stem(said.get("model")))
    told.steps, told.seed, told.cfg_scale = integer(said["steps"]), integer(said.get("seed")), number(said.get("scale"))
    if size := PAIR.match(text(said.get("size"))):
        told.width, told.height = int(size[1]), int(size[2])
    told.sampler = text(said["sampler"])
    for row in listed(said.get("lora")):
        strength = number(table(row).get("weight"))
        strength = 1.0 if strength is None else strength
        if name := stem(table(row).get("model")):
            told.loras.append((name, strength, strength))
    strength = number(said.get("strength"))
    if strength is not None and strength < 1:
        told.denoising_strength = strength
    told.notes.append(("foreign_noise_own", {"program": "Draw Things"}))
    return translated("Draw Things", told, width=width, height=height)


def civitai(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """The generator of Civitai: a JSON `extraMetadata` beside the graph."""
    said = table(table(items.get("parameters")).get("extraMetadata"))
    if "prompt" not in said:
        return None
    told = Told(prompt=text(said["prompt"]), negative=text(said.get("negativePrompt")), noise_source="CPU")
    told.steps, told.seed, told.cfg_scale = (
        integer(said.get("steps")),
        integer(said.get("seed")),
        number(said.get("cfgScale")),
    )
    told.width, told.height = integer(said.get("width")), integer(said.get("height"))
    told.sampler = text(said.get("sampler"))
    told.clip_skip = min(max(integer(said.get("clipSkip")) or 1, 1), 12)
    for row in listed(said.get("resources")):
        each = table(row)
        told.leave(f"modelVersionId {each.get('modelVersionId', '?')}")
    return translated("Civitai", told, width=width, height=height)
