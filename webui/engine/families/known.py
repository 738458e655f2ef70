"""Signs by which weights of families and kinds are recognised, those included that are not run yet."""

from collections.abc import Mapping
from typing import Any

from webui.engine import keys
from webui.engine.weights import Weights

V_WORDS = ("v", "v_prediction", "v-prediction", "velocity")
_CONV_IN = (f"{keys.UNET}input_blocks.0.0.weight", "unet/conv_in.weight")


def channels_in(weights: Weights) -> int | None:
    """Channels the UNet takes: 4 for pictures, 5 with depth, 8 pix2pix, 9 inpainting."""
    for name in _CONV_IN:
        if name in weights:
            return weights.shape(name)[1]
    return None


def context_width(weights: Weights) -> int | None:
    """Width of the text states the UNet listens to: 768 SD 1, 1024 SD 2, 1280 SDXL's refiner, 2048 SDXL."""
    for name in weights:
        if name.endswith("attn2.to_k.weight") and name.startswith((keys.UNET, "unet/")):
            return weights.shape(name)[1]
    return None


def sdxl(weights: Weights) -> bool:
    if "unet" in weights.extra:
        return "text_encoder" in weights.extra and "text_encoder_2" in weights.extra
    return _any(weights, "conditioner.embedders.1.") or context_width(weights) == 2048


def sdxl_refiner(weights: Weights) -> bool:
    if "unet" in weights.extra:
        return "text_encoder" not in weights.extra and "text_encoder_2" in weights.extra
    return not _any(weights, "conditioner.embedders.1.") and (
        _any(weights, "conditioner.embedders.0.") or context_width(weights) == 1280
    )


def sd3(weights: Weights) -> bool:
    return _any(weights, "model.diffusion_model.joint_blocks.") or _any(weights, "joint_blocks.")


def flux(weights: Weights) -> bool:
    return _any(weights, "model.diffusion_model.double_blocks.") or _any(weights, "double_blocks.")


def sd2(weights: Weights) -> bool:
    return _any(weights, "cond_stage_model.model.") or context_width(weights) == 1024


def inpaint(weights: Weights) -> bool:
    return channels_in(weights) == 9


def pix2pix(weights: Weights) -> bool:
    return channels_in(weights) == 8


def edm(weights: Weights) -> bool:
    """Marks of checkpoints with noise levels of their own (Karras et al. 2022), as CosXL and Playground 2.5."""
    return _any(weights, "edm_")


def says_v(weights: Weights) -> bool:
    """Whether the file says that the network answers with the velocity: a mark of its own, modelspec's word, kohya's,
    or a folder's scheduler.
    """
    said = weights.metadata.get("modelspec.prediction_type", "").lower()
    return (
        "v_pred" in weights
        or said in V_WORDS
        or weights.metadata.get("ss_v_parameterization", "").lower() == "true"
        or _scheduler(weights).get("prediction_type") == "v_prediction"
    )


def says_zero_snr(weights: Weights) -> bool:
    """Whether the file says that it was trained down to pure noise (zero terminal SNR)."""
    return (
        "ztsnr" in weights
        or weights.metadata.get("ss_zero_terminal_snr", "").lower() == "true"
        or bool(_scheduler(weights).get("rescale_betas_zero_snr"))
    )


def _scheduler(weights: Weights) -> Mapping[str, Any]:
    return weights.extra.get("scheduler", {}) if "unet" in weights.extra else {}


def kind(weights: Weights) -> str:
    """What a file that is no checkpoint seems to be; the values of ModelKind."""
    if _any(weights, "lora_unet_") or _any(weights, "lora_te"):
        return "lora"
    if _any(weights, "control_model.") or _any(weights, "input_hint_block."):
        return "controlnet"
    if "decoder.conv_in.weight" in weights or "first_stage_model.decoder.conv_in.weight" in weights:
        return "vae"
    if _any(weights, "string_to_param.") or "emb_params" in weights:
        return "embedding"
    return "other"


def _any(weights: Weights, start: str) -> bool:
    return any(name.startswith(start) for name in weights)
