"""ComfyUI: the graph that made a picture, followed from its sampler back to texts, models and sizes.

`prompt` is the graph as it ran, `workflow` as it was drawn. Nodes are known by what they take rather than by their
class, so that most custom nodes are followed too; what a common node adds that has no place in an infotext is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webui.gallery.foreign.facts import Foreign, Told, integer, listed, number, parsed, stem, table, text, translated
from webui.gallery.foreign.samplers import COMFY, COMFY_SCHEDULES

DEEPEST = 60
"""Links followed in a row."""
MOST_NODES = 5000
MOST_VISITS = 4000
TEXT_INPUTS = ("text", "text_g", "string", "value", "prompt", "positive", "t5xxl", "clip_l", "wildcard_text",
               "string_a", "text1", "text_a", "STRING", "Text", "result", "populated_text")  # fmt: skip
NUMBER_INPUTS = ("value", "seed", "noise_seed", "int", "Value", "number", "INT", "float", "a")
MODEL_FILES = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "gguf_name")
OUTPUTS = ("SaveImage", "PreviewImage", "Image Save", "SaveImageWebsocket", "SaveAnimatedWEBP", "SaveAnimatedPNG")

NAMED = {
    "ControlNetApply": "ControlNet", "ControlNetApplyAdvanced": "ControlNet", "ControlNetApplySD3": "ControlNet",
    "IPAdapter": "IP-Adapter", "IPAdapterAdvanced": "IP-Adapter", "IPAdapterApply": "IP-Adapter",
    "ConditioningSetArea": "ConditioningSetArea", "ConditioningSetMask": "ConditioningSetMask",
    "ConditioningSetTimestepRange": "ConditioningSetTimestepRange", "ConditioningAverage": "ConditioningAverage",
    "FreeU": "FreeU", "FreeU_V2": "FreeU", "RescaleCFG": "RescaleCFG", "HyperTile": "HyperTile",
    "TomePatchModel": "ToMe",
    "PerturbedAttentionGuidance": "PAG", "SelfAttentionGuidance": "SAG", "PatchModelAddDownscale": "Kohya Deep Shrink",
    "ModelMergeSimple": "ModelMergeSimple", "FaceDetailer": "FaceDetailer", "UltimateSDUpscale": "Ultimate SD Upscale",
    "unCLIPConditioning": "unCLIP", "GLIGENTextboxApply": "GLIGEN", "DifferentialDiffusion": "DifferentialDiffusion",
    "SkipLayerGuidanceDiT": "SkipLayerGuidance", "TeaCache": "TeaCache",
}  # fmt: skip
"""Nodes whose effect has no place in an infotext → what they are called."""

WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("add_noise", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler", "start_at_step",
                         "end_at_step", "return_with_leftover_noise"),
    "SamplerCustom": ("add_noise", "noise_seed", "", "cfg"),
    "KSamplerSelect": ("sampler_name",), "BasicScheduler": ("scheduler", "steps", "denoise"),
    "KarrasScheduler": ("steps", "sigma_max", "sigma_min", "rho"),
    "AlignYourStepsScheduler": ("model_type", "steps", "denoise"),
    "RandomNoise": ("noise_seed", ""), "CFGGuider": ("cfg",), "FluxGuidance": ("guidance",),
    "CLIPTextEncode": ("text",), "CLIPTextEncodeSDXLRefiner": ("ascore", "width", "height", "text"),
    "CLIPTextEncodeSDXL": ("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CheckpointLoaderSimple": ("ckpt_name",), "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",), "VAELoader": ("vae_name",),
    "EmptyLatentImage": ("width", "height", "batch_size"), "EmptySD3LatentImage": ("width", "height", "batch_size"),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"), "LatentUpscaleBy": ("upscale_method", "scale_by"),
    "ImageScale": ("upscale_method", "width", "height", "crop"), "ImageScaleBy": ("upscale_method", "scale_by"),
    "UpscaleModelLoader": ("model_name",), "PrimitiveNode": ("value",), "PrimitiveInt": ("value",),
    "PrimitiveString": ("value",), "PrimitiveStringMultiline": ("value",), "ControlNetApply": ("strength",),
}  # fmt: skip
"""Order of a node's own values in `workflow`; "" is one that only the page knows."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its class and its inputs, values and links alike."""

    id: str
    kind: str
    inputs: Mapping[str, Any]


@dataclass(slots=True)
class Graph:
    """All nodes, and how many steps following them has cost."""

    nodes: dict[str, Node]
    visits: int = 0

    def behind(self, value: object) -> Node | None:
        """The node a link leads to; None for a value, and when the graph turns in circles for too long."""
        link = listed(value)
        self.visits += 1
        if len(link) != 2 or self.visits > MOST_VISITS:
            return None
        return self.nodes.get(str(link[0]))


def comfyui(items: Mapping[str, str], width: int, height: int) -> Foreign | None:
    """None when the texts hold no graph with a sampler in it."""
    nodes = ran(parsed(items.get("prompt", ""))) or drawn(parsed(items.get("workflow", "")))
    if not nodes:
        return None
    graph = Graph(nodes)
    samplers = chain(graph)
    if not samplers:
        return None
    told = Told(noise_source="CPU")
    _pass(graph, samplers[0], told)
    if len(samplers) > 1:
        _second(graph, samplers[0], samplers[1], told, size=(width, height))
    for node in graph.nodes.values():
        if node.kind in NAMED:
            told.leave(NAMED[node.kind])
    if any(mark in told.prompt for mark in "(["):
        told.notes.append(("foreign_comfy_weights", {}))
    told.notes.append(("foreign_noise_cpu", {"program": "ComfyUI"}))
    return translated("ComfyUI", told, width=width, height=height)


def ran(said: Any) -> dict[str, Node]:
    """Nodes of the graph as it ran."""
    made: dict[str, Node] = {}
    for id, node in list(table(said).items())[:MOST_NODES]:
        kind = text(table(node).get("class_type"))
        if kind:
            made[id] = Node(id, kind, table(table(node).get("inputs")))
    return made


def drawn(said: Any) -> dict[str, Node]:
    """Nodes of the graph as it was drawn: links by number, values by their order. Muted ones are left out."""
    links: dict[int, list[object]] = {}
    for link in listed(table(said).get("links"))[: MOST_NODES * 4]:
        row = listed(link)
        if len(row) >= 3 and isinstance(row[0], int):
            links[row[0]] = [str(row[1]), row[2]]
    made: dict[str, Node] = {}
    for each in listed(table(said).get("nodes"))[:MOST_NODES]:
        node = table(each)
        kind, id = text(node.get("type")), str(node.get("id", ""))
        if not kind or not id or node.get("mode") == 2:
            continue
        values: object = node.get("widgets_values")
        inputs: dict[str, Any] = {} if isinstance(values, str) else dict(table(values))
        for name, value in zip(WIDGETS.get(kind, ()), listed(values), strict=False):
            inputs[name] = value
        if kind not in WIDGETS:
            texts = [value for value in listed(values) if isinstance(value, str)]
            inputs |= {"text": texts[0]} if texts else {}
        for slot in listed(node.get("inputs")):
            number = table(slot).get("link")
            if isinstance(number, int) and number in links:
                inputs[text(table(slot).get("name"))] = links[number]
        made[id] = Node(id, kind, inputs)
    return made


def is_sampler(node: Node) -> bool:
    """Whether a node turns a latent into another by denoising."""
    takes = node.inputs.keys()
    return {"latent_image", "positive"} <= takes or {"latent_image", "guider"} <= takes or (
        "sampler_name" in takes and {"steps", "cfg"} <= takes
    )  # fmt: skip


def chain(graph: Graph) -> list[Node]:
    """Samplers on the way to the picture, the first to run first."""
    ends = [node for node in graph.nodes.values() if node.kind in OUTPUTS or node.kind.startswith("Save")]
    for end in ends:
        found = [node for node in upstream(graph, end) if is_sampler(node)]
        if found:
            return found[::-1]
    loose = [node for node in graph.nodes.values() if is_sampler(node)]
    if not loose:
        return []
    # No end that we know: the sampler that no other one takes up.
    taken = {node.id for each in loose for node in upstream(graph, each) if node.id != each.id}
    last = next((node for node in loose if node.id not in taken), loose[0])
    return [node for node in upstream(graph, last) if is_sampler(node)][::-1]


def upstream(graph: Graph, start: Node) -> Iterator[Node]:
    """The nodes a picture or latent passed through, from `start` backwards."""
    names = ("images", "image", "samples", "latent_image", "latent", "pixels", "optional_latent", "upscaled_image")
    node: Node | None = start
    seen: set[str] = set()
    while node is not None and node.id not in seen and len(seen) < DEEPEST:
        seen.add(node.id)
        yield node
        inputs = node.inputs
        follow = [inputs[name] for name in names if listed(inputs.get(name))]
        others = [value for name, value in inputs.items() if listed(value) and ("image" in name or "latent" in name)]
        node = next((found for link in (*follow, *others) if (found := graph.behind(link))), None)


def _pass(graph: Graph, node: Node, told: Told) -> None:
    """All that one sampler says."""
    inputs = node.inputs
    guider = graph.behind(inputs.get("guider"))
    parts = {**(guider.inputs if guider else {}), **inputs}
    told.seed = _integer(graph, _either(inputs, "seed", "noise_seed"))
    if told.seed is None and (noise := graph.behind(inputs.get("noise"))):
        told.seed = _integer(graph, _either(noise.inputs, "noise_seed", "seed"))
    told.steps, told.cfg_scale = _integer(graph, inputs.get("steps")), _number(graph, parts.get("cfg"))
    name, schedule, steps, strength = _sampling(graph, inputs)
    told.steps = told.steps or steps
    told.sampler, told.schedule = _sampler(name, told), _schedule(schedule, told)
    positive = parts.get("positive", parts.get("conditioning"))
    told.prompt, told.negative = _words(graph, positive, told), _words(graph, parts.get("negative"), told)
    _model(graph, parts.get("model"), told)
    _vae(graph, node, told)
    _latent(graph, inputs, strength, told)


def _sampling(graph: Graph, inputs: Mapping[str, Any]) -> tuple[str, str, int | None, float | None]:
    """Sampler, schedule, steps and strength, wherever they stand."""
    name, schedule = _text(graph, inputs.get("sampler_name")), _text(graph, inputs.get("scheduler"))
    steps, strength = None, _number(graph, inputs.get("denoise"))
    if chosen := graph.behind(inputs.get("sampler")):
        name = name or _text(graph, chosen.inputs.get("sampler_name")) or chosen.kind
    if sigmas := graph.behind(inputs.get("sigmas")):
        steps = _integer(graph, sigmas.inputs.get("steps"))
        strength = _number(graph, sigmas.inputs.get("denoise")) if strength is None else strength
        given = {"KarrasScheduler": "karras", "ExponentialScheduler": "exponential",
                 "AlignYourStepsScheduler": "align_your_steps", "BetaSamplingScheduler": "beta"}  # fmt: skip
        schedule = _text(graph, sigmas.inputs.get("scheduler")) or given.get(sigmas.kind, sigmas.kind)
    return name, schedule, steps, strength


def _sampler(name: str, told: Told) -> str:
    if name == "uni_pc_bh2":
        told.extras["UniPC variant"] = "bh2"
    if name and name not in COMFY:
        told.leave(name)
    return COMFY.get(name, "Euler")


def _schedule(name: str, told: Told) -> str | None:
    if name and name not in COMFY_SCHEDULES:
        told.leave(name)
    return COMFY_SCHEDULES.get(name)


def _either(inputs: Mapping[str, Any], *names: str) -> object:
    return next((inputs[name] for name in names if name in inputs), None)


def _number(graph: Graph, value: object) -> float | None:
    """A number, also through nodes that only hold one."""
    for _ in range(8):
        node = graph.behind(value)
        if node is None:
            return number(value)
        value = _either(node.inputs, *NUMBER_INPUTS)
    return None


def _integer(graph: Graph, value: object) -> int | None:
    for _ in range(8):
        node = graph.behind(value)
        if node is None:
            return integer(value)
        value = _either(node.inputs, *NUMBER_INPUTS)
    return None


def _text(graph: Graph, value: object, depth: int = 0) -> str:
    """A text, also through nodes that hold, join or show one."""
    node = graph.behind(value)
    if node is None:
        return text(value)
    if depth > DEEPEST:
        return ""
    pieces = [
        found
        for name, inner in node.inputs.items()
        if (name in TEXT_INPUTS or "text" in name.lower() or "string" in name.lower())
        and (found := _text(graph, inner, depth + 1))
    ]
    joint = text(node.inputs.get("delimiter")) or ", "
    several = any(word in node.kind.lower() for word in ("concat", "join", "combine"))
    return joint.join(pieces) if several else (pieces[0] if pieces else "")


def _words(graph: Graph, value: object, told: Told, depth: int = 0) -> str:
    """The prompt behind a conditioning."""
    node = graph.behind(value)
    if node is None or depth > DEEPEST:
        return ""
    inputs = node.inputs
    if "ZeroOut" in node.kind:
        return ""
    if node.kind in ("ConditioningCombine", "ConditioningConcat"):
        names = ("conditioning_1", "conditioning_2", "conditioning_to", "conditioning_from")
        parts = [_words(graph, inputs[name], told, depth + 1) for name in names if name in inputs]
        between = " AND " if node.kind == "ConditioningCombine" else " BREAK "
        return between.join(part for part in parts if part)
    if "guidance" in inputs and (guidance := _number(graph, inputs["guidance"])) is not None:
        told.extras.setdefault("Distilled CFG Scale", guidance)
    slot = listed(value)[1]
    # Nodes that pass both prompts on have the positive one first.
    both = ("negative", "positive") if slot == 1 else ("positive", "negative")
    further = (*both, "conditioning", "conditioning_1", "conditioning_to", "cond")
    for name in further:
        if name in inputs and graph.behind(inputs[name]):
            return _words(graph, inputs[name], told, depth + 1)
    own = inputs.get(both[0])
    if isinstance(own, str):
        return own
    _clip(graph, inputs.get("clip"), told)
    if "text_g" in inputs or "text_l" in inputs:
        first, second = _text(graph, inputs.get("text_g")), _text(graph, inputs.get("text_l"))
        if first and second and first != second:
            told.leave("text_l")
        return first or second
    if "clip_l" in inputs and "t5xxl" in inputs:
        return _text(graph, inputs["t5xxl"]) or _text(graph, inputs["clip_l"])
    for name in TEXT_INPUTS:
        if found := _text(graph, inputs.get(name)):
            return found
    return ""


def _clip(graph: Graph, value: object, told: Told) -> None:
    """Clip skip, set between the loader and the encoder."""
    for _ in range(DEEPEST):
        node = graph.behind(value)
        if node is None:
            return
        last = integer(node.inputs.get("stop_at_clip_layer"))
        if last is not None and -12 <= last <= -1:
            told.clip_skip = -last
            return
        value = node.inputs.get("clip")


def _model(graph: Graph, value: object, told: Told) -> None:
    """Checkpoint and LoRAs, from the sampler back to the loader."""
    seen: set[str] = set()
    while (node := graph.behind(value)) and node.id not in seen and len(seen) < DEEPEST:
        seen.add(node.id)
        inputs = node.inputs
        _loras(graph, inputs, told)
        file = next((_text(graph, inputs[name]) for name in MODEL_FILES if name in inputs), "")
        if file:
            told.model = stem(file)
            skip = integer(inputs.get("clip_skip"))
            if skip is not None and -12 <= skip <= -2:
                told.clip_skip = -skip
            return
        value = next((inputs[name] for name in ("model", "model1", "base_model", "pipe") if name in inputs), None)


def _loras(graph: Graph, inputs: Mapping[str, Any], told: Told) -> None:
    if name := stem(_text(graph, inputs.get("lora_name"))):
        unet = _number(graph, _either(inputs, "strength_model", "lora_model_strength"))
        unet = 1.0 if unet is None else unet
        clip = _number(graph, _either(inputs, "strength_clip", "lora_clip_strength"))
        # A loader for the model alone leaves the text encoder as it is.
        clip = clip if clip is not None else (unet if "clip" in inputs else 0.0)
        if name != "None" and (unet or clip):
            told.loras.insert(0, (name, unet, clip))
    for label, value in inputs.items():
        row = table(value)
        if label.lower().startswith("lora") and row.get("on") is True and (name := stem(row.get("lora"))):
            strength = number(row.get("strength"))
            strength = 1.0 if strength is None else strength
            second = number(row.get("strengthTwo"))
            told.loras.append((name, strength, strength if second is None else second))


def _vae(graph: Graph, sampler: Node, told: Told) -> None:
    """A VAE of its own, loaded for the decoder that takes up this sampler's latent."""
    for node in graph.nodes.values():
        loader = graph.behind(node.inputs.get("vae")) if "vae" in node.inputs else None
        if loader is not None and "Decode" in node.kind and (name := text(loader.inputs.get("vae_name"))):
            told.vae = name.replace("\\", "/").rpartition("/")[2]
            return
    own = text(sampler.inputs.get("vae_name"))
    told.vae = told.vae or own


def _latent(graph: Graph, inputs: Mapping[str, Any], strength: float | None, told: Told) -> None:
    """Where the first pass starts: an empty latent's size, or a picture that is not in the file."""
    node = graph.behind(_either(inputs, "latent_image", "optional_latent", "latent"))
    for _ in range(DEEPEST):
        if node is None:
            return
        width = _integer(graph, _either(node.inputs, "width", "empty_latent_width"))
        height = _integer(graph, _either(node.inputs, "height", "empty_latent_height"))
        if "Empty" in node.kind or "empty_latent_width" in node.inputs:
            told.width, told.height = (width or None), (height or None)
            return
        if "pixels" in node.inputs or "Encode" in node.kind:
            told.denoising_strength = strength
            told.notes.append(("foreign_init_missing", {"program": "ComfyUI"}))
            return
        node = graph.behind(_either(node.inputs, "samples", "latent", "latent_image", "image"))


def _second(graph: Graph, first: Node, second: Node, told: Told, *, size: tuple[int, int]) -> None:
    """A later sampler: the refiner when it goes on where the first ended, else a second pass over a larger picture."""
    end = _integer(graph, first.inputs.get("end_at_step"))
    if end is not None and told.steps and end < told.steps:
        other = Told()
        _model(graph, second.inputs.get("model"), other)
        if other.model and other.model != told.model:
            told.extras |= {"Refiner": other.model, "Refiner switch at": round(end / told.steps, 4)}
        return
    name, schedule, steps, strength = _sampling(graph, second.inputs)
    told.denoising_strength = strength
    factor, upscaler = _enlarged(graph, second)
    if factor[0]:
        told.extras["Hires upscale"] = factor[0]
    elif factor[1]:
        told.extras["Hires resize"] = f"{factor[1]}x{factor[2]}"
    elif upscaler.startswith("Latent"):
        told.extras["Hires upscale"] = 1
    else:
        # A model enlarges by a factor that only its file tells: the picture itself shows what came of it.
        told.extras["Hires resize"] = f"{size[0]}x{size[1]}"
    if (other_name := _sampler(name, told)) != told.sampler:
        told.extras["Hires sampler"] = other_name
    if (other_schedule := _schedule(schedule, told)) and other_schedule != told.schedule:
        told.extras["Hires schedule type"] = other_schedule
    steps = _integer(graph, second.inputs.get("steps")) or steps
    if steps and steps != told.steps:
        told.extras["Hires steps"] = steps
    told.extras["Hires upscaler"] = upscaler


def _enlarged(graph: Graph, second: Node) -> tuple[tuple[float, int, int], str]:
    """Factor, or width and height, and the upscaler between two samplers. A model's own factor is not known here."""
    methods = {"nearest-exact": "Latent (nearest-exact)", "bicubic": "Latent (bicubic)"}
    size, upscaler, model = (0.0, 0, 0), "", ""
    for node in list(upstream(graph, second))[1:]:
        if is_sampler(node):
            break
        if loader := graph.behind(node.inputs.get("upscale_model")):
            model = model or stem(loader.inputs.get("model_name"))
        method = text(node.inputs.get("upscale_method"))
        if method and not upscaler:
            upscaler = methods.get(method, "Latent") if "Latent" in node.kind else "Lanczos"
        factor = _number(graph, node.inputs.get("scale_by"))
        width, height = _integer(graph, node.inputs.get("width")), _integer(graph, node.inputs.get("height"))
        if not any(size) and (factor or (width and height)):
            size = (factor or 0.0, width or 0, height or 0)
    if model and not size[1]:
        size = (0.0, 0, 0)
    return size, model or upscaler or "Latent"
