"""The img2img tab: six sub-tabs of pictures to start from (`assets/canvas.js`), then what txt2img has.

What is chosen by opening a tab (which picture counts, Resize to or by) is known in the browser and sent along by
`assets/img2img.js`, as are the pictures; `init_form.py` says what they mean.
"""

from collections.abc import Sequence
from typing import Any

from webui.domain.request import MaskedContent, ResizeMode
from webui.ui import controlnet, generation
from webui.ui.accordions import accordion, accordions
from webui.ui.generation import Offered
from webui.ui.gradio6 import gr
from webui.ui.parts import slider, slot, tool

TAB = "img2img"
COPIES = (
    ("img2img", "img2img_copy_to_img2img"),
    ("sketch", "img2img_copy_to_sketch"),
    ("inpaint", "img2img_copy_to_inpaint"),
    ("inpaint sketch", "img2img_copy_to_inpaint_sketch"),
)
PNG_INFO = ("Prompt", "Negative prompt", "Seed", "CFG scale", "Sampler", "Steps", "Model hash")
"""What a batch can take from each picture's own infotext."""


def img2img(offered: Offered, shared: Sequence[Any]) -> list[Any]:
    """Draw the tab; its fields. `shared` are the quick settings, sent along with every request."""
    with gr.Tab("img2img", id=TAB, elem_id="tab_img2img"):
        generate, prompts = generation.toprow(TAB)
        settings = generation.extra_tabs(TAB, lambda: _settings(offered))
        fields = [*prompts, *settings, *shared]
        generation.wire(TAB, generate, fields)
    return fields


def _settings(offered: Offered) -> list[Any]:
    pictures = _pictures()
    resize_mode = gr.Radio(
        [mode.value for mode in ResizeMode], value=ResizeMode.STRETCH.value, label="Resize mode", elem_id="resize_mode"
    )
    inpaint = _inpaint()
    sampling = generation.sampling(TAB, offered)
    refiner = accordions(TAB, offered)
    soft = accordion("Soft inpainting", "soft_inpainting_enabled", _soft)
    tiling = generation.tiling(TAB)
    dimensions = _dimensions()
    cfg = generation.cfg(TAB)
    image_cfg = slider("Image CFG Scale", "img2img_image_cfg_scale", 0, 3, 1.5, 0.05, elem_classes=["only-pix2pix"])
    denoising = slider("Denoising strength", "img2img_denoising_strength", 0, 1, 0.75, 0.01)
    seeds = generation.seeds(TAB)
    overrides = generation.overrides(TAB)
    controlnet.units(TAB)
    return [
        *pictures, resize_mode, *inpaint, *sampling, *refiner, *soft, *tiling, *dimensions, *cfg, image_cfg, denoising,
        *seeds, *overrides,
    ]  # fmt: skip


def _pictures() -> list[Any]:
    with gr.Tabs(elem_id="mode_img2img", elem_classes=["img2img-modes"]):
        with gr.Tab("img2img", id="mode_img2img_img2img", elem_id="img2img_img2img_tab"):
            slot("img2img_image", classes=["canvas-slot"])
        with gr.Tab("Sketch", id="mode_img2img_sketch", elem_id="img2img_img2img_sketch_tab"):
            slot("img2img_sketch", classes=["canvas-slot"])
        with gr.Tab("Inpaint", id="mode_img2img_inpaint", elem_id="img2img_inpaint_tab"):
            slot("img2maskimg", classes=["canvas-slot"])
        with gr.Tab("Inpaint sketch", id="mode_img2img_inpaint_sketch", elem_id="img2img_inpaint_sketch_tab"):
            slot("inpaint_sketch", classes=["canvas-slot"])
        with gr.Tab("Inpaint upload", id="mode_img2img_inpaint_upload", elem_id="img2img_inpaint_upload_tab"):
            slot("img_inpaint_base", classes=["canvas-slot"])
            slot("img_inpaint_mask", classes=["canvas-slot"])
        with gr.Tab("Batch", id="mode_img2img_batch", elem_id="img2img_batch_tab"):
            batch = _batch()
    with gr.Row(elem_id="img2img_copy_row", elem_classes=["copy-row"]):
        gr.HTML("<span>Copy image to</span>", elem_classes=["copy-words"], js_on_load="", apply_default_css=False)
        for label, elem_id in COPIES:
            gr.Button(label, elem_id=elem_id, size="sm", min_width=0)
    return batch


def _batch() -> list[Any]:
    with gr.Tabs(elem_id="img2img_batch_source"):
        with gr.Tab("Upload", id="batch_upload", elem_id="img2img_batch_upload_tab"):
            slot("img2img_batch_upload", classes=["canvas-slot"])
        with gr.Tab("From directory", id="batch_from_dir", elem_id="img2img_batch_from_dir_tab"):
            places = [
                gr.Textbox(label=label, elem_id=elem_id, placeholder=hint, lines=1, max_lines=1)
                for label, elem_id, hint in (
                    ("Input directory", "img2img_batch_input_dir", "A folder on the machine the server runs on"),
                    ("Output directory", "img2img_batch_output_dir", "Empty: the usual output folder"),
                    (
                        "Inpaint batch mask directory (required for inpaint batch processing only)",
                        "img2img_batch_inpaint_mask_dir",
                        "Masks with the pictures' names, or a single one for all",
                    ),
                )
            ]
    with gr.Accordion("PNG info", open=False, elem_id="img2img_batch_png_info"):
        use = gr.Checkbox(
            False, label="Append png info to prompts", elem_id="img2img_batch_use_png_info", container=False
        )
        folder = gr.Textbox(
            label="PNG info directory",
            elem_id="img2img_batch_png_info_dir",
            placeholder="Empty: the pictures themselves",
            lines=1,
            max_lines=1,
        )
        props = gr.CheckboxGroup(
            list(PNG_INFO),
            value=[],
            label="Parameters to take from png info",
            info="Prompts from png info will be appended to prompts set in ui.",
            elem_id="img2img_batch_png_info_props",
        )
    return [*places, use, folder, props]


def _inpaint() -> list[Any]:
    with gr.Column(elem_id="inpaint_controls", elem_classes=["inpaint-controls"], min_width=0):
        with gr.Row():
            blur = slider("Mask blur", "img2img_mask_blur", 0, 64, 4, 1, min_width=160)
            transparency = slider(
                "Mask transparency", "img2img_mask_alpha", 0, 100, 0, 1, min_width=160, elem_classes=["only-sketched"]
            )
        with gr.Row():
            masked = _radio("Mask mode", "img2img_mask_mode", ("Inpaint masked", "Inpaint not masked"))
            content = _radio(
                "Masked content",
                "img2img_inpainting_fill",
                [content.value for content in MaskedContent],
                value=MaskedContent.ORIGINAL.value,
            )
        with gr.Row():
            area = _radio("Inpaint area", "img2img_inpaint_full_res", ("Whole picture", "Only masked"))
            padding = slider(
                "Only masked padding, pixels", "img2img_inpaint_full_res_padding", 0, 256, 32, 4, min_width=160
            )
    return [blur, transparency, masked, content, area, padding]


def _radio(label: str, elem_id: str, choices: Sequence[str], *, value: str = "") -> Any:
    return gr.Radio(list(choices), value=value or choices[0], label=label, elem_id=elem_id, min_width=220)


def _soft() -> list[Any]:
    """Soft inpainting's sliders."""
    with gr.Row():
        bias = slider("Schedule bias", "soft_inpainting_schedule_bias", 0, 8, 1, 0.1, min_width=160)
        kept = slider("Preservation strength", "soft_inpainting_preservation_strength", 0, 8, 0.5, 0.05, min_width=160)
        boost = slider(
            "Transition contrast boost", "soft_inpainting_transition_contrast_boost", 1, 32, 4, 0.5, min_width=160
        )
    with gr.Row():
        influence = slider("Mask influence", "soft_inpainting_mask_influence", 0, 1, 0, 0.05, min_width=160)
        threshold = slider(
            "Difference threshold", "soft_inpainting_difference_threshold", 0, 8, 0.5, 0.25, min_width=160
        )
        contrast = slider("Difference contrast", "soft_inpainting_difference_contrast", 0, 8, 2, 0.25, min_width=160)
    return [bias, kept, boost, influence, threshold, contrast]


def _dimensions() -> list[Any]:
    with gr.Row(elem_id="img2img_dimensions", elem_classes=["dimensions"], equal_height=False):
        with gr.Column(elem_id="img2img_column_size", scale=4, min_width=200):  # noqa: SIM117
            with gr.Tabs(elem_id="img2img_tabs_resize"):
                with gr.Tab("Resize to", id="to", elem_id="img2img_tab_resize_to"), gr.Row(elem_classes=["resize-to"]):
                    with gr.Column(scale=1, min_width=0):
                        sides = generation.sides(TAB)
                    with gr.Column(
                        elem_id="img2img_dimensions_row", elem_classes=["dimensions-tools"], scale=0, min_width=40
                    ):
                        tool("⇅", "img2img_res_switch_btn")
                        tool("📐", "img2img_detect_image_size_btn")
                with gr.Tab("Resize by", id="by", elem_id="img2img_tab_resize_by"):
                    scale = slider("Scale", "img2img_scale", 0.05, 4, 1, 0.05)
                    slot("img2img_scale_resolution_preview", classes=["scale-preview"])
                    gr.Button("Copy to Resize to", elem_id="img2img_update_resize_to", size="sm", visible="hidden")
        batch = generation.batch(TAB)
    return [*sides, scale, *batch]
