"""The txt2img tab as A1111 lays it out: prompts left, Generate right, settings below left, pictures below right."""

from collections.abc import Sequence
from typing import Any

from webui.ui import controlnet, generation
from webui.ui.accordions import accordions
from webui.ui.generation import Offered
from webui.ui.gradio6 import gr
from webui.ui.parts import tool

TAB = "txt2img"


def txt2img(offered: Offered, shared: Sequence[Any]) -> list[Any]:
    """Draw the tab; its fields. `shared` are the quick settings, sent along with every request."""
    with gr.Tab("txt2img", id=TAB, elem_id="tab_txt2img"):
        generate, prompts = generation.toprow(TAB)
        settings = generation.extra_tabs(TAB, lambda: _settings(offered))
        fields = [*prompts, *settings, *shared]
        generation.wire(TAB, generate, fields)
    return fields


def _settings(offered: Offered) -> list[Any]:
    sampling = generation.sampling(TAB, offered)
    opened = accordions(TAB, offered)
    tiling = generation.tiling(TAB)
    with gr.Row(elem_id="txt2img_dimensions", elem_classes=["dimensions"], equal_height=False):
        with gr.Column(elem_id="txt2img_column_size", scale=4, min_width=200):
            sides = generation.sides(TAB)
        with gr.Column(elem_id="txt2img_dimensions_row", elem_classes=["dimensions-tools"], scale=0, min_width=40):
            tool("⇅", "txt2img_res_switch_btn")
        batch = generation.batch(TAB)
    cfg = generation.cfg(TAB)
    seeds = generation.seeds(TAB)
    overrides = generation.overrides(TAB)
    controlnet.units(TAB)
    return [*sampling, *opened, *tiling, *sides, *batch, *cfg, *seeds, *overrides]
