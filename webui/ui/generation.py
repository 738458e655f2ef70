"""What txt2img and img2img have in common: prompts and Generate, settings, seeds, pictures. `tab` is "txt2img" or
"img2img" and the beginning of every id; each function draws one part and returns its fields in the page's order.

A tab is `toprow`, `extra_tabs` around its Generation column and results, and `wire` with all its fields; the shell
gives the same fields to `fill`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from webui.ui.cards import cards
from webui.ui.gradio6 import gr
from webui.ui.parts import in_browser, number, slider, slot, tool

PROMPT_HINT = "Prompt\n(Press Ctrl+Enter to generate, Alt+Enter to skip, Esc to interrupt)"
NEGATIVE_HINT = "Negative prompt\n(Press Ctrl+Enter to generate, Alt+Enter to skip, Esc to interrupt)"
PASTE = {"txt2img": "paste", "img2img": "img2img_paste"}
"""A1111 gives both buttons the id `paste`; an id can stand but once, so the second has its tab's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What the drop-downs that never change while the page runs can offer."""

    samplers: Sequence[str]
    schedules: Sequence[str]
    sampler: str
    schedule: str


def toprow(tab: str) -> tuple[Any, list[Any]]:
    """The row over everything: (the Generate button, [prompt, negative prompt, styles])."""
    with gr.Row(elem_id=f"{tab}_toprow", elem_classes=["toprow"], equal_height=False):
        prompts = _prompts(tab)
        with gr.Column(elem_id=f"{tab}_actions_column", elem_classes=["actions-column"], scale=1, min_width=200):
            generate = generate_box(tab)
            with gr.Row(elem_id=f"{tab}_tools", elem_classes=["tools"]):
                tool("↙️", PASTE[tab])
                tool("🗑️", f"{tab}_clear_prompt")
                tool("📋", f"{tab}_style_apply")
                tool("🌀", f"{tab}_restore_progress", elem_classes=["tool", "restore-progress"])
            styles = _styles(tab)
            slot(f"{tab}_need", classes=["need-slot"])
    return generate, [*prompts, styles]


def _prompts(tab: str) -> list[Any]:
    with gr.Column(elem_id=f"{tab}_prompt_container", elem_classes=["prompt-container"], scale=6, min_width=320):
        with gr.Row(elem_id=f"{tab}_prompt_row", elem_classes=["prompt-row"]):
            prompt = _prompt("Prompt", f"{tab}_prompt", PROMPT_HINT)
            slot(f"{tab}_token_counter", "<span>0/75</span>", classes=["token-counter"])
            slot(f"{tab}_prompt_image", classes=["out-of-sight"])
        with gr.Row(elem_id=f"{tab}_neg_prompt_row", elem_classes=["prompt-row"]):
            negative = _prompt("Negative prompt", f"{tab}_neg_prompt", NEGATIVE_HINT)
            slot(f"{tab}_negative_token_counter", "<span>0/75</span>", classes=["token-counter"])
    return [prompt, negative]


def _prompt(label: str, elem_id: str, hint: str, *, lines: int = 3) -> Any:
    return gr.Textbox(
        label=label,
        elem_id=elem_id,
        show_label=False,
        lines=lines,
        max_lines=12,
        placeholder=hint,
        elem_classes=["prompt"],
    )


def generate_box(tab: str) -> Any:
    """Generate, and in its place while a job runs Interrupt and Skip."""
    with gr.Row(elem_id=f"{tab}_generate_box", elem_classes=["generate-box"]):
        for label, name in (("Interrupt", "interrupt"), ("Skip", "skip"), ("Interrupting...", "interrupting")):
            gr.Button(label, elem_id=f"{tab}_{name}", elem_classes=[f"generate-box-{name}"], min_width=0)
        return gr.Button("Generate", elem_id=f"{tab}_generate", variant="primary", min_width=0)


def _styles(tab: str) -> Any:
    with gr.Row(elem_id=f"{tab}_styles_row", elem_classes=["styles-row"]):
        styles = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            label="Styles",
            elem_id=f"{tab}_styles",
            show_label=False,
            min_width=80,
            scale=1,
        )
        tool("🖌️", f"{tab}_styles_edit_button")
    return styles


def extra_tabs(tab: str, generation: Callable[[], list[Any]]) -> list[Any]:
    """The inner row of tabs: Generation, drawn by `generation` (its fields are returned), and the models' cards."""
    with gr.Tabs(elem_id=f"{tab}_extra_tabs", elem_classes=["extra-networks"], overflow_behavior="wrap"):
        fields = _generation(tab, generation)
        cards(tab)
    return fields


def _generation(tab: str, generation: Callable[[], list[Any]]) -> list[Any]:
    with gr.Tab("Generation", id=f"{tab}_generation", elem_id=f"{tab}_generation_tab"), gr.Row(equal_height=False):
        with gr.Column(elem_id=f"{tab}_settings", elem_classes=["settings-column"], min_width=320):
            fields = generation()
        with gr.Column(elem_id=f"{tab}_results", min_width=320):
            results(tab)
    return fields


def wire(tab: str, generate: Any, fields: Sequence[Any]) -> None:
    """Generate hands the values of all fields to our scripts."""
    in_browser(
        generate,
        f"(...values) => maple.jobs.generate('{tab}', maple.form.named({_ids(fields)}, values))",
        inputs=fields,
    )


def fill(tab: str, fields: Sequence[Any]) -> None:
    """The button nobody sees that reads and writes a tab's fields. It stands outside of the tabs, because what is in a
    closed tab is not in the document.

    Our scripts lay the wanted values out and click it; Gradio hands over what is there now.
    """
    button = gr.Button("fill", elem_id=f"{tab}_fill", visible="hidden")
    in_browser(
        button,
        f"(...values) => maple.form.filled('{tab}', {_ids(fields)}, values)",
        inputs=fields,
        outputs=fields,
    )


def _ids(fields: Sequence[Any]) -> list[str]:
    return [field.elem_id for field in fields]


def sampling(tab: str, offered: Offered) -> list[Any]:
    """Sampling method, schedule type, steps."""
    with gr.Row(elem_id=f"sampler_selection_{tab}"):
        sampler = gr.Dropdown(
            list(offered.samplers),
            value=offered.sampler,
            label="Sampling method",
            elem_id=f"{tab}_sampling",
            min_width=120,
        )
        schedule = gr.Dropdown(
            list(offered.schedules),
            value=offered.schedule,
            label="Schedule type",
            elem_id=f"{tab}_scheduler",
            min_width=120,
        )
        steps = slider("Sampling steps", f"{tab}_steps", 1, 150, 20, 1, min_width=160)
    return [sampler, schedule, steps]


def tiling(tab: str) -> list[Any]:
    """The Tiling box."""
    return [gr.Checkbox(False, label="Tiling", elem_id=f"{tab}_tiling", container=False)]


def sides(tab: str) -> list[Any]:
    """Width and height, one under the other."""
    width = slider("Width", f"{tab}_width", 64, 2048, 512, 8)
    height = slider("Height", f"{tab}_height", 64, 2048, 512, 8)
    return [width, height]


def batch(tab: str) -> list[Any]:
    """Batch count and size, in their column."""
    with gr.Column(elem_id=f"{tab}_column_batch", scale=4, min_width=150):
        count = slider("Batch count", f"{tab}_batch_count", 1, 100, 1, 1)
        size = slider("Batch size", f"{tab}_batch_size", 1, 8, 1, 1)
    return [count, size]


def cfg(tab: str) -> list[Any]:
    """CFG scale."""
    return [slider("CFG Scale", f"{tab}_cfg_scale", 1, 30, 7, 0.5)]


def seeds(tab: str) -> list[Any]:
    """Seed, and behind Extra the variation and the seed's own size."""
    with gr.Row(elem_id=f"{tab}_seed_row", elem_classes=["seed-row"]):
        seed = number("Seed", f"{tab}_seed", -1, min_width=120, scale=1)
        tool("🎲️", f"{tab}_random_seed")
        tool("♻️", f"{tab}_reuse_seed")
        extra = gr.Checkbox(False, label="Extra", elem_id=f"{tab}_subseed_show", container=False, scale=0, min_width=80)
    with gr.Column(elem_id=f"{tab}_seed_extras", elem_classes=["seed-extras"], min_width=0):
        with gr.Row(elem_classes=["seed-row"]):
            subseed = number("Variation seed", f"{tab}_subseed", -1, min_width=120, scale=1)
            tool("🎲️", f"{tab}_random_subseed")
            tool("♻️", f"{tab}_reuse_subseed")
            strength = slider("Variation strength", f"{tab}_subseed_strength", 0, 1, 0, 0.01, min_width=140)
        with gr.Row():
            width = slider("Resize seed from width", f"{tab}_seed_resize_from_w", 0, 2048, 0, 8, min_width=140)
            height = slider("Resize seed from height", f"{tab}_seed_resize_from_h", 0, 2048, 0, 8, min_width=140)
    return [seed, extra, subseed, strength, width, height]


def overrides(tab: str) -> list[Any]:
    """What pasted infotexts ask of the settings, for one request; out of sight while there is nothing in it."""
    return [
        gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label="Override settings",
            elem_id=f"{tab}_override_settings",
            elem_classes=["when-filled"],
        )
    ]


def results(tab: str) -> None:
    """The pictures, what can be done with them, and what they remember."""
    with gr.Column(elem_id=f"{tab}_results_panel", elem_classes=["results-panel"], min_width=0):
        with gr.Column(elem_id=f"{tab}_gallery_container", elem_classes=["gallery-container"]):
            slot(f"{tab}_gallery", classes=["maple-gallery"])
        with gr.Row(elem_id=f"image_buttons_{tab}", elem_classes=["image-buttons"]):
            tool("📂", f"{tab}_open_folder")
            if tab != "extras":
                tool("💾", f"save_{tab}")
                tool("🗃️", f"save_zip_{tab}")
            tool("🖼️", f"{tab}_send_to_img2img")
            tool("🎨️", f"{tab}_send_to_inpaint")
            tool("📐", f"{tab}_send_to_extras")
            if tab == "txt2img":
                tool("✨", "txt2img_upscale")
        if tab != "extras":
            slot(f"download_files_{tab}", classes=["download-files"])
            slot(f"{tab}_differences", classes=["differences-slot"])
        slot(f"html_info_{tab}", classes=["html-info"])
        slot(f"html_log_{tab}", classes=["html-log"])
        slot(f"generation_info_{tab}", classes=["out-of-sight"])
