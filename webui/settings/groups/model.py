"""Which weights are used, and how upscaler models are fed."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Which weights, and how they are kept."""

    checkpoint: Annotated[
        str, Control("Stable Diffusion checkpoint", a1111="sd_model_checkpoint", infotext="Model hash")
    ] = ""
    """"": the first one found, or the demo checkpoint."""
    vae: Annotated[
        str,
        Control(
            "SD VAE",
            a1111="sd_vae",
            infotext="VAE",
            info="Automatic = use one with same filename as checkpoint; None = use VAE from checkpoint",
        ),
    ] = "Automatic"
    checkpoints_limit: Annotated[
        int,
        Control(
            "Maximum number of checkpoints loaded at the same time",
            lo=1,
            hi=10,
            a1111="sd_checkpoints_limit",
            info="those used last stay in memory",
        ),
    ] = 1
    checkpoints_keep_in_cpu: Annotated[
        bool,
        Control(
            "Only keep one model on device",
            a1111="sd_checkpoints_keep_in_cpu",
            info="will keep models other than the currently used one in RAM rather than VRAM",
        ),
    ] = True
    vae_checkpoint_cache: Annotated[
        int,
        Control(
            "VAE Checkpoints to cache in RAM",
            lo=0,
            hi=10,
            a1111="sd_vae_checkpoint_cache",
            info="external VAEs used before, so that changing back reads no file",
        ),
    ] = 0
    vae_overrides: Annotated[
        bool, Control("Selected VAE overrides per-model preferences", a1111="sd_vae_overrides_per_model_preferences")
    ] = True
    upcast_attn: Annotated[
        bool,
        Control(
            "Upcast cross attention layer to float32",
            a1111="upcast_attn",
            info="for models that give NaN in half precision; slower",
        ),
    ] = False
    vae_encode_method: Annotated[
        str,
        Control(
            "VAE type for encode",
            choices=("Full", "TAESD"),
            a1111="sd_vae_encode_method",
            infotext="VAE Encoder",
            info="how pictures become latents in img2img, hires fix and inpainting; TAESD: small, fast, less exact",
        ),
    ] = "Full"
    vae_decode_method: Annotated[
        str,
        Control(
            "VAE type for decode",
            choices=("Full", "TAESD"),
            a1111="sd_vae_decode_method",
            infotext="VAE Decoder",
            info="how latents become pictures; TAESD: small, fast, less exact",
        ),
    ] = "Full"
    auto_vae_precision: Annotated[
        bool,
        Control(
            "Automatically revert VAE to 32-bit floats",
            a1111="auto_vae_precision",
            info="triggers when a tensor with NaNs is produced in VAE",
        ),
    ] = True
    auto_vae_precision_bfloat16: Annotated[
        bool,
        Control(
            "Automatically convert VAE to bfloat16",
            a1111="auto_vae_precision_bfloat16",
            info="triggers when a tensor with NaNs is produced in VAE; goes before 32-bit floats",
        ),
    ] = False
    clip_skip: Annotated[
        int,
        Control(
            "Clip skip",
            lo=1,
            hi=12,
            a1111="CLIP_stop_at_last_layers",
            infotext="Clip skip",
            info="ignore last layers of CLIP network; 1 ignores none, 2 ignores one layer",
        ),
    ] = 1
    sdxl_clip_l_skip: Annotated[
        bool,
        Control(
            "Clip skip SDXL",
            a1111="sdxl_clip_l_skip",
            info="clip skip counts for the first text encoder of SDXL too; no effect on SD 1.5",
        ),
    ] = False
    sdxl_crop_top: Annotated[
        int, Control("crop top coordinate", lo=0, hi=16384, a1111="sdxl_crop_top", info="what SDXL is told")
    ] = 0
    sdxl_crop_left: Annotated[
        int, Control("crop left coordinate", lo=0, hi=16384, a1111="sdxl_crop_left", info="what SDXL is told")
    ] = 0
    sdxl_refiner_low_aesthetic_score: Annotated[
        float,
        Control(
            "SDXL low aesthetic score",
            lo=0,
            hi=10,
            a1111="sdxl_refiner_low_aesthetic_score",
            info="used for refiner model negative prompt",
        ),
    ] = 2.5
    sdxl_refiner_high_aesthetic_score: Annotated[
        float,
        Control(
            "SDXL high aesthetic score",
            lo=0,
            hi=10,
            a1111="sdxl_refiner_high_aesthetic_score",
            info="used for refiner model prompt",
        ),
    ] = 6.0
    tiling: Annotated[bool, Control("Tiling", a1111="tiling", infotext="Tiling", info="produce a tileable picture")] = (
        False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upscaling:
    """How upscaler models are fed."""

    tile: Annotated[
        int, Control("Tile size for ESRGAN upscalers", lo=0, hi=512, a1111="ESRGAN_tile", info="0 = no tiling")
    ] = 192
    tile_overlap: Annotated[
        int,
        Control(
            "Tile overlap for ESRGAN upscalers",
            lo=0,
            hi=48,
            a1111="ESRGAN_tile_overlap",
            info="low values = visible seam",
        ),
    ] = 8
