"""What a file is: kind, family and variant from tensor names and shapes, with the reasons of every rule that said no.

A rule is a function from `Keys` to `Found` or to the reason why not. They are asked in order; the first that finds
wins, so the more particular stand first. To teach a new layout, add a function and its line in RULES, raise VERSION,
and add a header to the tests.
"""

import bisect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from webui.catalog.header import Header, Tensor
from webui.domain import Family, ModelFormat, ModelKind

VERSION = 5
"""Raise it when the rules change, and every file's header is read once more."""

CONTEXT = {768: Family.SD1, 1024: Family.SD2, 2048: Family.SDXL, 1280: Family.SDXL_REFINER}
"""Width of the text states that cross attention reads → family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    kind: ModelKind
    family: Family = Family.UNKNOWN
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """`reasons` are (rule, why not) of every rule that was asked and said no."""

    found: Found | None
    reasons: tuple[tuple[str, str], ...] = ()


class Keys:
    """Tensor names and shapes without the wrappers that trainers put around them."""

    WRAPPERS = ("state_dict.", "params_ema.", "params-ema.", "params.", "model_state_dict.", "module.")

    def __init__(self, header: Header, name: str = "") -> None:
        tensors: Mapping[str, Tensor] = header.tensors
        outermost = {key.partition(".")[0] for key in tensors}
        for wrapper in self.WRAPPERS:
            if wrapper[:-1] in outermost:
                tensors = {key[len(wrapper) :]: tensor for key, tensor in tensors.items() if key.startswith(wrapper)}
                outermost = {key.partition(".")[0] for key in tensors}
        self.tensors = tensors
        self.metadata = header.metadata
        self.format = header.format
        self.name = name.lower()

    # Rules ask some thirty times how a name begins or ends; sorted once, each answer is a bisection.
    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.tensors)

    @cached_property
    def _backwards(self) -> list[str]:
        return sorted(name[::-1] for name in self.tensors)

    def has(self, *names: str) -> bool:
        return all(name in self.tensors for name in names)

    def starts(self, *prefixes: str) -> bool:
        return any(_has_prefix(self._sorted, prefix) for prefix in prefixes)

    def ends(self, *suffixes: str) -> bool:
        return any(_has_prefix(self._backwards, suffix[::-1]) for suffix in suffixes)

    def contains(self, *parts: str) -> bool:
        return any(part in key for key in self.tensors for part in parts)

    def shape(self, name: str) -> tuple[int, ...]:
        tensor = self.tensors.get(name)
        return tensor.shape if tensor else ()

    def width(self, pattern: str, axis: int = 1) -> int:
        """Size along `axis` of the first tensor whose name matches, or 0."""
        wanted = re.compile(pattern)
        for key, tensor in self.tensors.items():
            if len(tensor.shape) > axis and wanted.search(key):
                return tensor.shape[axis]
        return 0


def _has_prefix(names: Sequence[str], prefix: str) -> bool:
    """Whether one of the sorted names begins so."""
    place = bisect.bisect_left(names, prefix)
    return place < len(names) and names[place].startswith(prefix)


def identify(header: Header, name: str = "") -> Identity:
    """What the header says the file is; `name` (the file's) decides only where weights of two uses look alike."""
    keys = Keys(header, name)
    reasons: list[tuple[str, str]] = []
    for label, rule in RULES:
        answer = rule(keys)
        if isinstance(answer, Found):
            return Identity(found=answer, reasons=tuple(reasons))
        reasons.append((label, answer))
    return Identity(found=None, reasons=tuple(reasons))


def prediction(keys: Keys) -> str:
    """ "v-prediction" or "edm" when the file says so, else "": weights alone do not tell eps from v."""
    if keys.starts("edm_"):
        return "edm"
    said = keys.metadata.get("modelspec.prediction_type", "").lower()
    kohya = keys.metadata.get("ss_v_parameterization", "").lower()
    if said in ("v", "v_prediction", "v-prediction", "velocity") or kohya == "true" or keys.has("v_pred"):
        return "v-prediction"
    return ""


def _folder(keys: Keys) -> Found | str:
    if keys.format is not ModelFormat.DIFFUSERS:
        return "not a diffusers folder"
    said = keys.metadata.get("_class_name", "")
    if said.startswith("ControlNet") or said == "T2IAdapter":
        width = keys.metadata.get("cross_attention_dim", "")
        return Found(kind=ModelKind.CONTROLNET, family=CONTEXT.get(_whole(width), Family.UNKNOWN), variant="diffusers")
    if said.startswith(("AutoencoderKL", "AsymmetricAutoencoderKL")):
        return Found(kind=ModelKind.VAE, variant=f"{keys.metadata.get('latent_channels', '4')}ch")
    if said == "AutoencoderTiny":
        return Found(kind=ModelKind.PREVIEW, variant="taesd")
    if "Pipeline" not in said:
        return f"a diffusers folder of {said or 'no class'}"
    return Found(kind=ModelKind.CHECKPOINT, family=_pipeline_family(keys, said), variant=_pipeline_variant(keys, said))


def _pipeline_family(keys: Keys, said: str) -> Family:
    if said.startswith("Flux"):
        return Family.FLUX
    if said.startswith("StableDiffusion3"):
        return Family.SD3
    context = _whole(keys.metadata.get("unet.cross_attention_dim", ""))
    if "XL" in said:
        return Family.SDXL_REFINER if context == 1280 else Family.SDXL
    return CONTEXT.get(context, Family.SD1 if said.startswith("StableDiffusion") else Family.UNKNOWN)


def _pipeline_variant(keys: Keys, said: str) -> str:
    channels = _whole(keys.metadata.get("unet.in_channels", ""))
    if channels in CHANNELS:
        return CHANNELS[channels]
    return "v-prediction" if keys.metadata.get("scheduler.prediction_type") == "v_prediction" else ""


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0


CHANNELS = {9: "inpaint", 8: "pix2pix", 5: "depth", 7: "upscale"}
"""Input channels of the UNet → variant."""
UNET = "model.diffusion_model."


def _sd_checkpoint(keys: Keys) -> Found | str:
    conv_in = keys.shape(UNET + "input_blocks.0.0.weight")
    if len(conv_in) != 4:
        return f"no UNet: {UNET}input_blocks.0.0.weight is missing"
    if not keys.has(UNET + "out.2.weight"):
        return f"half a UNet: {UNET}out.2.weight is missing"
    context = keys.width(re.escape(UNET) + r".*attn2\.to_k\.weight$")
    pooled = keys.width(re.escape(UNET) + r"label_emb\.0\.0\.weight$")
    if keys.starts("conditioner.embedders.1.") or context == 2048 or pooled == 2816:
        family = Family.SDXL
    elif keys.starts("conditioner.embedders.0.model.") or context == 1280 or pooled == 2560:
        family = Family.SDXL_REFINER
    elif keys.starts("cond_stage_model.model.") or context == 1024:
        family = Family.SD2
    else:
        family = CONTEXT.get(context, Family.SD1 if keys.starts("cond_stage_model.transformer.") else Family.UNKNOWN)
    if family is Family.UNKNOWN:
        return f"a UNet whose text width {context} is no family's"
    variant = CHANNELS.get(conv_in[1], "")
    if not variant and family is Family.SD2 and pooled:
        variant = "unclip"
    return Found(kind=ModelKind.CHECKPOINT, family=family, variant=variant or prediction(keys))


def _sd3(keys: Keys) -> Found | str:
    for prefix in (UNET, ""):
        if keys.has(prefix + "x_embedder.proj.weight") and keys.starts(prefix + "joint_blocks."):
            return Found(kind=ModelKind.CHECKPOINT, family=Family.SD3)
    return "no joint_blocks beside x_embedder"


def _flux(keys: Keys) -> Found | str:
    for prefix in (UNET, ""):
        if keys.starts(prefix + "double_blocks.") and keys.starts(prefix + "single_blocks."):
            channels = keys.width(re.escape(prefix) + r"img_in\.weight$")
            kind = "dev" if keys.starts(prefix + "guidance_in.") else "schnell"
            return Found(kind=ModelKind.CHECKPOINT, family=Family.FLUX, variant="inpaint" if channels > 64 else kind)
    return "no double_blocks and single_blocks"


def _vae(keys: Keys) -> Found | str:
    for prefix in ("", "first_stage_model.", "vae."):
        shape = keys.shape(prefix + "decoder.conv_in.weight")
        if len(shape) == 4 and keys.has(prefix + "encoder.conv_in.weight"):
            family = Family.SDXL if "xl" in keys.metadata.get("modelspec.architecture", "").lower() else Family.UNKNOWN
            return Found(kind=ModelKind.VAE, family=family, variant=f"{shape[1]}ch")
    return "no encoder.conv_in and decoder.conv_in"


def _taesd(keys: Keys) -> Found | str:
    names = ("1.weight", "decoder.1.weight", "decoder.layers.0.weight")
    for name in names:
        shape = keys.shape(name)
        if len(shape) == 4 and shape[0] == 64 and shape[1] in (4, 16) and shape[2:] == (3, 3):
            return Found(kind=ModelKind.PREVIEW, variant=f"taesd {shape[1]}ch")
    for name in ("0.weight", "encoder.0.weight", "encoder.layers.0.weight"):
        if keys.shape(name) == (64, 3, 3, 3):
            return Found(kind=ModelKind.PREVIEW, variant="taesd encoder")
    return "none of taesd's first layers"


def _vae_approx(keys: Keys) -> Found | str:
    if keys.has("conv1.weight", "conv8.weight") and keys.shape("conv1.weight")[2:] == (7, 7):
        return Found(kind=ModelKind.PREVIEW, variant="approx")
    return "no conv1 to conv8"


ADAPTERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("loha", (".hada_w1_a", ".hada_w1_b")),
    ("lokr", (".lokr_w1", ".lokr_w1_a", ".lokr_w2", ".lokr_w2_a")),
    ("glora", (".a1.weight",)),
    ("ia3", (".on_input",)),
    ("oft", (".oft_blocks", ".oft_diag")),
    (
        "lora",
        (
            ".lora_down.weight",
            ".lora_A.weight",
            ".lora.down.weight",
            "_lora.down.weight",
            ".lora_linear_layer.down.weight",
            ".lora_A.default.weight",
        ),
    ),
    ("full", (".diff", ".diff_b")),
    ("norm", (".w_norm", ".b_norm")),
)
"""Adapter formats by the endings of their names."""
ADAPTED = (
    "lora_unet_",
    "lora_te",
    "lycoris_",
    "unet.",
    "text_encoder",
    "transformer.",
    "base_model.model.",
    "oft_unet_",
    "oft_te",
)


def _adapter(keys: Keys) -> Found | str:
    if keys.starts("lora_controlnet", "lllite_"):
        return "a ControlNet made of low-rank parts"
    variant = next((variant for variant, endings in ADAPTERS if keys.ends(*endings)), "")
    if not variant:
        return "none of the adapters' endings"
    if variant in ("full", "norm", "ia3", "glora") and not keys.starts(*ADAPTED):
        return "an adapter's ending, but not on a layer of a model"
    if variant == "oft" and any(len(t.shape) == 4 for key, t in keys.tensors.items() if key.endswith(".oft_blocks")):
        variant = "boft"
    if keys.ends(".dora_scale"):
        variant = f"dora {variant}" if variant != "lora" else "dora"
    return Found(kind=ModelKind.LORA, family=adapter_family(keys), variant=variant)


def adapter_family(keys: Keys) -> Family:
    """By names that only one family has, then by the width of the text states, then by what the trainer wrote."""
    if keys.contains("double_blocks", "single_transformer_blocks"):
        return Family.FLUX
    if keys.contains("joint_blocks", "joint_transformer", "transformer.transformer_blocks."):
        return Family.SD3
    if keys.starts("lora_te1_", "lora_te2_", "text_encoder_2.") or keys.contains(
        "transformer_blocks_1_", "transformer_blocks.1."
    ):
        return Family.SDXL
    for pattern in (r"attn2[._](processor[._])?to_[kv]", r"lora_te_|text_encoder\."):
        width = context_width(keys, pattern)
        if width in CONTEXT:
            return CONTEXT[width]
    return _said_family(keys.metadata)


def context_width(keys: Keys, pattern: str) -> int:
    """Input width of the first layer whose name matches, through any adapter's factors, or 0."""
    wanted = re.compile(pattern)
    layers = {key.rsplit(".", 1)[0] for key in keys.tensors if wanted.search(key)}
    for key, tensor in keys.tensors.items():
        if not wanted.search(key) or len(tensor.shape) < 2:
            continue
        if key.endswith(
            (
                ".hada_w1_b",
                ".diff",
                ".lora_down.weight",
                ".lora_A.weight",
                ".lora_A.default.weight",
                "lora.down.weight",
                ".lora_linear_layer.down.weight",
            )
        ):
            return tensor.shape[1]
        if key.endswith((".a1.weight", ".a2.weight")):
            return max(tensor.shape)
    for layer in layers:
        left = keys.shape(f"{layer}.lokr_w1") or keys.shape(f"{layer}.lokr_w1_b")
        right = keys.shape(f"{layer}.lokr_w2") or keys.shape(f"{layer}.lokr_w2_b")
        if len(left) > 1 and len(right) > 1:
            return left[1] * right[1]
    return 0


SAID = (
    ("xl", Family.SDXL),
    ("flux", Family.FLUX),
    ("sd3", Family.SD3),
    ("stable-diffusion-3", Family.SD3),
    ("v2", Family.SD2),
    ("v1", Family.SD1),
    ("sd1", Family.SD1),
    ("sd15", Family.SD1),
)


def _said_family(metadata: Mapping[str, str]) -> Family:
    said = " ".join(
        metadata.get(key, "") for key in ("ss_base_model_version", "modelspec.architecture", "baseModel")
    ).lower()
    return next((family for part, family in SAID if part in said), Family.UNKNOWN)


WORDS = {768: Family.SD1, 1024: Family.SD2, 1280: Family.SDXL_REFINER}
"""Width of a word's vector → family."""


def _embedding(keys: Keys) -> Found | str:
    if keys.has("clip_g", "t5xxl"):
        return Found(kind=ModelKind.EMBEDDING, family=Family.SD3, variant="clip_l clip_g t5xxl")
    if keys.has("clip_l", "clip_g"):
        return Found(kind=ModelKind.EMBEDDING, family=Family.SDXL, variant="clip_l clip_g")
    named = {
        key: tensor for key, tensor in keys.tensors.items() if key.startswith("string_to_param.") or key == "emb_params"
    }
    if not named and len(keys.tensors) == 1:
        named = dict(keys.tensors)
    shapes = [tensor.shape for tensor in named.values() if len(tensor.shape) in (1, 2)]
    if not shapes:
        return "no emb_params, string_to_param or single small tensor"
    width = shapes[0][-1]
    family = WORDS.get(width) or _said_family(keys.metadata)
    return Found(kind=ModelKind.EMBEDDING, family=family, variant="" if width in WORDS else f"width {width}")


HYPER = re.compile(r"^(\d+)\.[01]\.linear(?:\.\d+|[12])\.weight$")


def _hypernetwork(keys: Keys) -> Found | str:
    sizes = {int(found[1]) for key in keys.tensors if (found := HYPER.match(key))}
    if not sizes:
        return "no layer pairs named by width"
    family = next((family for width, family in CONTEXT.items() if width in sizes and width != 1280), Family.UNKNOWN)
    return Found(kind=ModelKind.HYPERNETWORK, family=family)


def _control(keys: Keys, variant: str, pattern: str = r"attn2[._]to_k") -> Found:
    width = keys.width(pattern + r".*weight$")
    family = CONTEXT.get(width) or _said_family(keys.metadata)
    if family is Family.UNKNOWN and keys.contains("label_emb.0.0.", "add_embedding.linear_1."):
        family = Family.SDXL  # its small networks attend to nothing
    return Found(kind=ModelKind.CONTROLNET, family=family, variant=variant)


def _control_lora(keys: Keys) -> Found | str:
    if not keys.has("lora_controlnet"):
        return "no lora_controlnet"
    width = keys.width(r"attn2\.to_k\.down$") or keys.width(r"attn2\.to_k\.weight$")
    return Found(kind=ModelKind.CONTROLNET, family=CONTEXT.get(width, Family.UNKNOWN), variant="control-lora")


def _sparse(keys: Keys) -> Found | str:
    if keys.starts("controlnet_cond_embedding.", "module.controlnet_cond_embedding.") and keys.contains(
        "motion_modules."
    ):
        return _control(keys, "sparsectrl")
    return "no motion_modules beside controlnet_cond_embedding"


def _control_diffusers(keys: Keys) -> Found | str:
    if not keys.has("controlnet_cond_embedding.conv_in.weight"):
        return "no controlnet_cond_embedding.conv_in.weight"
    return _control(keys, _by_name(keys, "union" if keys.starts("control_add_embedding.") else "diffusers"))


def _control_union(keys: Keys) -> Found | str:
    if keys.starts("control_add_embedding.", "control_model.control_add_embedding."):
        return _control(keys, "union")
    return "no control_add_embedding"


def _control_ldm(keys: Keys) -> Found | str:
    for prefix in ("control_model.", ""):
        if keys.has(prefix + "input_hint_block.0.weight"):
            difference = keys.starts("difference")
            return _control(keys, _by_name(keys, "difference" if difference else "cldm"))
    return "no input_hint_block.0.weight"


def _by_name(keys: Keys, variant: str) -> str:
    for word in ("instant_id", "instantid", "instant-id"):
        if word in keys.name:
            return "instant-id"
    return "shuffle" if "shuffle" in keys.name else variant


def _ip_adapter(keys: Keys) -> Found | str:
    if not keys.starts("image_proj.") or not keys.starts("ip_adapter."):
        return "no image_proj and ip_adapter"
    width = keys.width(r"ip_adapter\.\d+\.to_k_ip\.weight$")
    variant = "instant-id" if "instant" in keys.name else "ip-adapter"
    return Found(kind=ModelKind.CONTROLNET, family=CONTEXT.get(width, Family.UNKNOWN), variant=variant)


def _lllite(keys: Keys) -> Found | str:
    if not keys.starts("lllite_"):
        return "no lllite_ names"
    deep = keys.contains("transformer_blocks_1_", "input_blocks_8_1_transformer_blocks_9")
    return Found(kind=ModelKind.CONTROLNET, family=Family.SDXL if deep else Family.UNKNOWN, variant="lllite")


def _t2i(keys: Keys) -> Found | str:
    if keys.has("adapter.body.0.resnets.0.block1.weight") or keys.starts("adapter.conv_in."):
        seen = keys.shape("adapter.conv_in.weight")[1:2] or (192,)
        family = Family.SDXL if seen[0] in (256, 768) else Family.SD1
        return Found(kind=ModelKind.CONTROLNET, family=family, variant="t2i")
    if keys.has("body.0.in_conv.weight", "body.0.out_conv.weight"):
        return Found(kind=ModelKind.CONTROLNET, family=Family.SD1, variant="t2i")
    if keys.has("conv_in.weight") and keys.starts("body.0."):
        family = (
            Family.SDXL if keys.shape("conv_in.weight")[1:2] and keys.shape("conv_in.weight")[1] > 192 else Family.SD1
        )
        return Found(kind=ModelKind.CONTROLNET, family=family, variant="t2i")
    if keys.has("transformer_layes.0.attn.in_proj_weight") or keys.has("style_embedding"):
        return Found(kind=ModelKind.CONTROLNET, family=Family.SD1, variant="t2i style")
    return "no adapter body"


UPSCALERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("esrgan", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight")),
    ("esrgan", ("conv_first.weight", "body.0.rdb1.conv1.weight")),
    ("esrgan", ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight")),
    ("compact", ("body.0.weight", "body.1.weight", "body.2.weight")),
    ("dat", ("conv_first.weight", "layers.0.blocks.0.ffn.fc1.weight")),
    ("swinir", ("conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight")),
    ("hat", ("conv_first.weight", "layers.0.residual_group.overlap_attn.qkv.weight")),
    ("scunet", ("m_head.0.weight", "m_tail.0.weight")),
)
"""Architectures by names that must all be there; spandrel knows many more when it loads one."""
FACES = (("gfpgan", "stylegan_decoder."), ("codeformer", "quantize.embedding."))


def _upscaler(keys: Keys) -> Found | str:
    for variant, names in UPSCALERS:
        if keys.has(*names):
            return Found(kind=ModelKind.UPSCALER, variant=variant)
    return "no upscaler's first layers"


def _face(keys: Keys) -> Found | str:
    for variant, prefix in FACES:
        if keys.starts(prefix):
            return Found(kind=ModelKind.FACE, variant=variant)
    return "no face restorer's layers"


def _part(keys: Keys) -> Found | str:
    """Parts of a model on their own: recognised so that the reason can say so."""
    if keys.has("conv_in.weight", "conv_out.weight") and keys.starts("down_blocks.", "mid_block."):
        return Found(kind=ModelKind.OTHER, variant="unet")
    if keys.starts("text_model.encoder.", "encoder.block.", "transformer.resblocks."):
        return Found(kind=ModelKind.OTHER, variant="text encoder")
    return "no UNet or text encoder by itself"


RULES: tuple[tuple[str, Callable[[Keys], Found | str]], ...] = (
    ("diffusers folder", _folder),
    ("ControlNet: control-lora", _control_lora),
    ("ControlNet: LLLite", _lllite),
    ("ControlNet: SparseCtrl", _sparse),
    ("ControlNet: diffusers", _control_diffusers),
    ("ControlNet: union", _control_union),
    ("ControlNet: IP-Adapter", _ip_adapter),
    ("ControlNet: cldm", _control_ldm),
    ("ControlNet: T2I-Adapter", _t2i),
    ("adapter (LoRA and its kin)", _adapter),
    ("checkpoint: Stable Diffusion", _sd_checkpoint),
    ("checkpoint: SD3", _sd3),
    ("checkpoint: FLUX", _flux),
    ("face restorer", _face),
    ("hypernetwork", _hypernetwork),
    ("VAE approximation", _vae_approx),
    ("VAE", _vae),
    ("TAESD", _taesd),
    ("upscaler", _upscaler),
    ("part of a model", _part),
    ("embedding", _embedding),
)

PERMISSIVE = frozenset({ModelKind.UPSCALER, ModelKind.FACE, ModelKind.OTHER})
"""Kinds whose loader knows more layouts than the rules do: not being recognised is no fault there."""


def mismatch(expected: ModelKind, found: ModelKind | None, *, refused: object = (), is_picture: object = ()) -> str:
    """A key into words when the file is not what its folder says, else ""."""
    if refused:
        return "model_unsafe"
    if found is None:
        if expected in PERMISSIVE:
            return ""
        return "model_is_picture" if is_picture else "model_unknown"
    return "" if found is expected or expected is ModelKind.OTHER else f"model_is_{found}"


def reason_keys() -> Iterable[str]:
    """Every key that a record's `reason` can hold."""
    yield from (f"model_is_{kind}" for kind in ModelKind)
    yield from (
        "model_is_picture",
        "model_unknown",
        "model_unsafe",
        "model_broken",
        "model_unreadable",
        "model_downloading",
        "model_absent",
    )
