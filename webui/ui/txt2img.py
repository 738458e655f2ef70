"""The txt2img tab as A1111 lays it out: prompts left, Generate right, settings below left, pictures below right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from webui.ui.gradio6 import gr
from webui.ui.parts import in_browser, number, slider, slot, tool

PROMPT_HINT = "Prompt\n(Press Ctrl+Enter to generate, Alt+Enter to skip, Esc to interrupt)"
NEGATIVE_HINT = "Negative prompt\n(Press Ctrl+Enter to generate, Alt+Enter to skip, Esc to interrupt)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the two drop-downs that never change while the page runs can offer."""

    samplers: Sequence[str]
    schedules: Sequence[str]
    sampler: str
    schedule: str


def txt2img(offered: Offered, shared: Sequence[Any]) -> None:
    """Draw the tab. `shared` are the quick settings, sent along with every request."""
    with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
        generate, prompts = _top_row()
        # The other tabs of this row (embeddings, checkpoints, Lora) come with their features.
        with (
            gr.Tabs(elem_id="txt2img_extra_tabs", elem_classes=["extra-networks"]),
            gr.Tab("Generation", id="txt2img_generation", elem_id="txt2img_generation_tab"),
            gr.Row(equal_height=False),
        ):
            with gr.Column(elem_id="txt2img_settings", min_width=320):
                settings = _settings(offered)
            with gr.Column(elem_id="txt2img_results", min_width=320):
                _results()
        fill = gr.Button("fill", elem_id="txt2img_fill", visible="hidden")
    fields = [*prompts, *settings, *shared]
    ids = [field.elem_id for field in fields]
    in_browser(
        generate, f"(...values) => maple.jobs.generate('txt2img', maple.form.named({ids}, values))", inputs=fields
    )
    # Writing to the form: our scripts lay the wanted values out and click; Gradio hands over what is there now.
    in_browser(fill, f"(...values) => maple.form.filled('txt2img', {ids}, values)", inputs=fields, outputs=fields)


def _top_row() -> tuple[Any, list[Any]]:
    with gr.Row(elem_id="txt2img_toprow", elem_classes=["toprow"], equal_height=False):
        with gr.Column(elem_id="txt2img_prompt_container", elem_classes=["prompt-container"], scale=6, min_width=320):
            with gr.Row(elem_id="txt2img_prompt_row", elem_classes=["prompt-row"]):
                prompt = gr.Textbox(
                    label="Prompt",
                    elem_id="txt2img_prompt",
                    show_label=False,
                    lines=3,
                    max_lines=12,
                    placeholder=PROMPT_HINT,
                    elem_classes=["prompt"],
                )
                slot("txt2img_token_counter", "<span>0/75</span>", classes=["token-counter"])
            with gr.Row(elem_id="txt2img_neg_prompt_row", elem_classes=["prompt-row"]):
                negative = gr.Textbox(
                    label="Negative prompt",
                    elem_id="txt2img_neg_prompt",
                    show_label=False,
                    lines=3,
                    max_lines=12,
                    placeholder=NEGATIVE_HINT,
                    elem_classes=["prompt"],
                )
                slot("txt2img_negative_token_counter", "<span>0/75</span>", classes=["token-counter"])
        with gr.Column(elem_id="txt2img_actions_column", elem_classes=["actions-column"], scale=1, min_width=200):
            with gr.Row(elem_id="txt2img_generate_box", elem_classes=["generate-box"]):
                gr.Button(
                    "Interrupt", elem_id="txt2img_interrupt", elem_classes=["generate-box-interrupt"], min_width=0
                )
                gr.Button("Skip", elem_id="txt2img_skip", elem_classes=["generate-box-skip"], min_width=0)
                gr.Button(
                    "Interrupting...",
                    elem_id="txt2img_interrupting",
                    elem_classes=["generate-box-interrupting"],
                    min_width=0,
                )
                generate = gr.Button("Generate", elem_id="txt2img_generate", variant="primary", min_width=0)
            with gr.Row(elem_id="txt2img_tools", elem_classes=["tools"]):
                tool("↙️", "paste")
                tool("🗑️", "txt2img_clear_prompt")
                tool("📋", "txt2img_style_apply")
            with gr.Row(elem_id="txt2img_styles_row", elem_classes=["styles-row"]):
                styles = gr.Dropdown(
                    [],
                    value=[],
                    multiselect=True,
                    label="Styles",
                    elem_id="txt2img_styles",
                    show_label=False,
                    min_width=80,
                    scale=1,
                )
                tool("🖌️", "txt2img_styles_edit_button")
    return generate, [prompt, negative, styles]


def _settings(offered: Offered) -> list[Any]:
    with gr.Row(elem_id="sampler_selection_txt2img"):
        sampler = gr.Dropdown(
            list(offered.samplers),
            value=offered.sampler,
            label="Sampling method",
            elem_id="txt2img_sampling",
            min_width=120,
        )
        schedule = gr.Dropdown(
            list(offered.schedules),
            value=offered.schedule,
            label="Schedule type",
            elem_id="txt2img_scheduler",
            min_width=120,
        )
        steps = slider("Sampling steps", "txt2img_steps", 1, 150, 20, 1, min_width=160)
    tiling = gr.Checkbox(False, label="Tiling", elem_id="txt2img_tiling", container=False)
    with gr.Row(elem_id="txt2img_dimensions", elem_classes=["dimensions"], equal_height=False):
        with gr.Column(elem_id="txt2img_column_size", scale=4, min_width=200):
            width = slider("Width", "txt2img_width", 64, 2048, 512, 8)
            height = slider("Height", "txt2img_height", 64, 2048, 512, 8)
        with gr.Column(elem_id="txt2img_dimensions_row", elem_classes=["dimensions-tools"], scale=0, min_width=40):
            tool("⇅", "txt2img_res_switch_btn")
        with gr.Column(elem_id="txt2img_column_batch", scale=4, min_width=150):
            count = slider("Batch count", "txt2img_batch_count", 1, 100, 1, 1)
            size = slider("Batch size", "txt2img_batch_size", 1, 8, 1, 1)
    cfg = slider("CFG Scale", "txt2img_cfg_scale", 1, 30, 7, 0.5)
    seeds = _seeds()
    overrides = gr.Dropdown(
        [],
        value=[],
        multiselect=True,
        allow_custom_value=True,
        label="Override settings",
        elem_id="txt2img_override_settings",
        elem_classes=["when-filled"],
    )
    return [sampler, schedule, steps, tiling, width, height, count, size, cfg, *seeds, overrides]


def _seeds() -> list[Any]:
    with gr.Row(elem_id="txt2img_seed_row", elem_classes=["seed-row"]):
        seed = number("Seed", "txt2img_seed", -1, min_width=120, scale=1)
        tool("🎲️", "txt2img_random_seed")
        tool("♻️", "txt2img_reuse_seed")
        extra = gr.Checkbox(
            False, label="Extra", elem_id="txt2img_subseed_show", container=False, scale=0, min_width=80
        )
    with gr.Column(elem_id="txt2img_seed_extras", elem_classes=["seed-extras"], min_width=0):
        with gr.Row(elem_classes=["seed-row"]):
            subseed = number("Variation seed", "txt2img_subseed", -1, min_width=120, scale=1)
            tool("🎲️", "txt2img_random_subseed")
            tool("♻️", "txt2img_reuse_subseed")
            strength = slider("Variation strength", "txt2img_subseed_strength", 0, 1, 0, 0.01, min_width=140)
        with gr.Row():
            width = slider("Resize seed from width", "txt2img_seed_resize_from_w", 0, 2048, 0, 8, min_width=140)
            height = slider("Resize seed from height", "txt2img_seed_resize_from_h", 0, 2048, 0, 8, min_width=140)
    return [seed, extra, subseed, strength, width, height]


def _results() -> None:
    with gr.Column(elem_id="txt2img_results_panel", elem_classes=["results-panel"], min_width=0):
        with gr.Column(elem_id="txt2img_gallery_container", elem_classes=["gallery-container"]):
            slot("txt2img_gallery", classes=["maple-gallery"])
        with gr.Row(elem_id="image_buttons_txt2img", elem_classes=["image-buttons"]):
            tool("📂", "txt2img_open_folder")
            tool("💾", "save_txt2img")
            tool("🗃️", "save_zip_txt2img")
        slot("html_info_txt2img", classes=["html-info"])
        slot("html_log_txt2img", classes=["html-log"])
        slot("generation_info_txt2img", classes=["out-of-sight"])
