"""What is done with the pictures one starts from."""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class Img2img:
    """How pictures are started from, and how masks are used."""

    fix_steps: Annotated[
        bool,
        Control(
            "With img2img, do exactly the amount of steps the slider specifies.",
            a1111="img2img_fix_steps",
            info="normally you'd do less with less denoising",
        ),
    ] = False
    noise_multiplier: Annotated[
        float,
        Control(
            "Noise multiplier for img2img",
            lo=0,
            hi=1.5,
            step=0.001,
            a1111="initial_noise_multiplier",
            infotext="Noise multiplier",
        ),
    ] = 1.0
    extra_noise: Annotated[
        float,
        Control(
            "Extra noise multiplier for img2img and hires fix",
            lo=0,
            hi=1,
            step=0.01,
            a1111="img2img_extra_noise",
            infotext="Extra noise",
            info="0 = disabled; should be lower than denoising strength",
        ),
    ] = 0.0
    color_correction: Annotated[
        bool,
        Control(
            "Apply color correction to img2img results to match original colors.", a1111="img2img_color_correction"
        ),
    ] = False
    background_color: Annotated[
        str,
        Control(
            "With img2img, fill transparent parts of the input image with this color.",
            a1111="img2img_background_color",
        ),
    ] = "#ffffff"
    mask_weight: Annotated[
        float,
        Control(
            "Inpainting conditioning mask strength",
            lo=0,
            hi=1,
            step=0.01,
            a1111="inpainting_mask_weight",
            infotext="Conditional mask weight",
            info="of inpainting checkpoints: 1 hides what lies under the mask, 0 shows it",
        ),
    ] = 1.0
    overlay: Annotated[
        bool,
        Control(
            "Overlay original for inpaint",
            a1111="overlay_inpaint",
            info="when inpainting, put the original image over the areas that weren't inpainted",
        ),
    ] = True
    return_mask: Annotated[
        bool, Control("For inpainting, include the greyscale mask in results for web", a1111="return_mask")
    ] = False
    return_mask_composite: Annotated[
        bool, Control("For inpainting, include masked composite in results for web", a1111="return_mask_composite")
    ] = False
    upscaler: Annotated[
        str,
        Control(
            "Upscaler for img2img", a1111="upscaler_for_img2img", info="where an image must grow to the size asked for"
        ),
    ] = "None"
    batch_show_results_limit: Annotated[
        int,
        Control(
            "Show the first N batch img2img results in UI",
            lo=-1,
            hi=1000,
            a1111="img2img_batch_show_results_limit",
            info="0: none, -1: all. Many pictures make the page slow.",
        ),
    ] = 32
    editor_height: Annotated[
        int,
        Control("Height of the image editor", lo=80, hi=1600, a1111="img2img_editor_height", info="in pixels, at most"),
    ] = 720
    mask_high_contrast: Annotated[
        bool,
        Control(
            "For inpainting, use a high-contrast brush pattern",
            a1111="img2img_inpaint_mask_high_contrast",
            info="squares of light and dark instead of a colour",
        ),
    ] = True
    mask_brush_color: Annotated[str, Control("Inpaint mask brush color", a1111="img2img_inpaint_mask_brush_color")] = (
        "#ffffff"
    )
    sketch_brush_color: Annotated[
        str, Control("Initial color for img2img sketch", a1111="img2img_sketch_default_brush_color")
    ] = "#ffffff"
    inpaint_sketch_brush_color: Annotated[
        str, Control("Initial color for inpaint sketch", a1111="img2img_inpaint_sketch_default_brush_color")
    ] = "#ffffff"
