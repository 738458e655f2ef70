"""Hires. fix and Refiner: parts of the form that count only while their box is ticked, and are open exactly then.

The box and the open state are one thing, as in A1111 (`assets/accordions.js` opens and closes). The box of an accordion
has its id with "-checkbox" behind it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from webui.ui.generation import Offered
from webui.ui.gradio6 import gr
from webui.ui.parts import slider, slot, tool

SAME_CHECKPOINT = "Use same checkpoint"
SAME_SAMPLER = "Use same sampler"
SAME_SCHEDULE = "Use same scheduler"
FIRST_UPSCALER = "Latent"


def accordions(tab: str, offered: Offered) -> list[Any]:
    """The row of accordions of a tab; its fields, boxes included."""
    with gr.Row(elem_id=f"{tab}_accordions", elem_classes=["accordions"], equal_height=False):
        hires = accordion("Hires. fix", "txt2img_hr", lambda: _hires(offered)) if tab == "txt2img" else []
        return [*hires, *accordion("Refiner", f"{tab}_enable", lambda: _refiner(tab))]


def accordion(
    label: str, elem_id: str, content: Callable[[], Sequence[Any]], *, value: bool = False
) -> list[Any]:  # fmt: skip
    """A box with what it opens; [box, *fields]. `value`: whether it is open at first."""
    with gr.Column(elem_id=elem_id, elem_classes=["input-accordion"], min_width=0):
        with gr.Row(elem_classes=["accordion-head"]):
            box = gr.Checkbox(value, label=label, elem_id=f"{elem_id}-checkbox", container=False, scale=0, min_width=0)
            if elem_id == "txt2img_hr":
                slot("txtimg_hr_finalres", classes=["accordion-note"])
        with gr.Column(elem_classes=["accordion-body"], min_width=0):
            fields = content()
    return [box, *fields]


def _hires(offered: Offered) -> list[Any]:
    with gr.Row():
        upscaler = gr.Dropdown(
            [FIRST_UPSCALER], value=FIRST_UPSCALER, label="Upscaler", elem_id="txt2img_hr_upscaler", min_width=140
        )
        steps = slider("Hires steps", "txt2img_hires_steps", 0, 150, 0, 1, min_width=140)
        strength = slider("Denoising strength", "txt2img_denoising_strength", 0, 1, 0.7, 0.01, min_width=140)
    with gr.Row():
        scale = slider("Upscale by", "txt2img_hr_scale", 1, 4, 2, 0.05, min_width=140)
        width = slider("Resize width to", "txt2img_hr_resize_x", 0, 2048, 0, 8, min_width=140)
        height = slider("Resize height to", "txt2img_hr_resize_y", 0, 2048, 0, 8, min_width=140)
    with gr.Row(elem_id="txt2img_hires_fix_row_sampler", elem_classes=["hires-sampler"]):
        checkpoint = _same("Hires checkpoint", "hr_checkpoint", SAME_CHECKPOINT)
        sampler = _same("Hires sampling method", "hr_sampler", SAME_SAMPLER, offered.samplers)
        schedule = _same("Hires schedule type", "hr_scheduler", SAME_SCHEDULE, offered.schedules)
    with gr.Row(elem_id="txt2img_hires_fix_row_prompts", elem_classes=["hires-prompts"]):
        prompt = _prompt("Hires prompt", "hires_prompt")
        negative = _prompt("Hires negative prompt", "hires_neg_prompt")
    return [upscaler, steps, strength, scale, width, height, checkpoint, sampler, schedule, prompt, negative]


def _same(label: str, elem_id: str, same: str, names: Sequence[str] = ()) -> Any:
    return gr.Dropdown([same, *names], value=same, label=label, elem_id=elem_id, min_width=140)


def _prompt(label: str, elem_id: str) -> Any:
    return gr.Textbox(
        label=label,
        elem_id=elem_id,
        show_label=False,
        lines=2,
        max_lines=12,
        min_width=200,
        placeholder=f"{label}\nLeave empty to use the same prompt as in first pass.",
        elem_classes=["prompt"],
    )


def _refiner(tab: str) -> list[Any]:
    with gr.Row():
        checkpoint = gr.Dropdown([], value=None, label="Checkpoint", elem_id=f"{tab}_checkpoint", min_width=160)
        tool("🔄", f"{tab}_checkpoint_refresh")
        since = slider("Switch at", f"{tab}_switch_at", 0.01, 1, 0.8, 0.01, min_width=140)
    return [checkpoint, since]
