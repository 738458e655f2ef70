"""What stands around the tabs: quick settings, footer, and the order of the tabs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import webui
from webui.services import Services
from webui.settings import Declared, a1111_to_key, declared
from webui.ui.choices import offered
from webui.ui.controlnet import controlnet
from webui.ui.convert import models
from webui.ui.extensions import extensions
from webui.ui.extras import extras
from webui.ui.generation import fill
from webui.ui.gradio6 import gr
from webui.ui.img2img import img2img
from webui.ui.parts import number, slider, slot, tool
from webui.ui.pnginfo import pnginfo
from webui.ui.settings_tab import settings
from webui.ui.txt2img import txt2img

TITLE = "Maple WebUI"


def build(services: Services, flags: Any = None) -> Any:
    """The whole page as gradio.Blocks. Lists of models and styles are filled in the browser from /internal/choices, so
    that a page opened after a refresh shows what is there then."""
    del flags
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        shared = _quick_settings(services.settings.current.page.quicksettings_list)
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            tabs = {"txt2img": txt2img(offered(), shared), "img2img": img2img(offered(), shared)}
            tabs["extras"] = extras()
            pnginfo()
            controlnet()
            models()
            settings()
            extensions()
        for tab, fields in tabs.items():
            fill(tab, fields)
        slot(
            "footer",
            f'<div><a href="docs" target="_blank">API</a> • Maple WebUI {webui.__version__}</div>',
            classes=["maple-footer"],
        )
    return page


def _quick_settings(names: Sequence[str]) -> list[Any]:
    """The row at the top: a control for each setting of the list (A1111's key or ours); unknown names are left out."""
    rows = [declared()[key] for key in map(a1111_to_key, names) if key is not None]
    drawn: list[Any] = []
    with gr.Row(elem_id="quicksettings", equal_height=False):
        for row in rows:
            drawn.append(LISTED[row.key]() if row.key in LISTED else _plain(row))
        slot("maple_corner", classes=["maple-corner"])
    return drawn


def _checkpoint() -> Any:
    chosen = gr.Dropdown(
        [],
        value=None,
        label="Stable Diffusion checkpoint",
        elem_id="setting_sd_model_checkpoint",
        scale=3,
        min_width=200,
    )
    tool("🔄", "refresh_sd_model_checkpoint")
    return chosen


def _vae() -> Any:
    chosen = gr.Dropdown(
        ["Automatic", "None"], value="Automatic", label="SD VAE", elem_id="setting_sd_vae", scale=2, min_width=140
    )
    tool("🔄", "refresh_sd_vae")
    return chosen


def _plain(row: Declared) -> Any:
    """A setting by its type, with its default; what is in force is put in by the browser."""
    control, elem_id = row.control, f"setting_{row.stored}"
    if row.type is bool:
        return gr.Checkbox(row.default, label=control.label, elem_id=elem_id, scale=1, min_width=120)
    if control.choices:
        return gr.Dropdown(
            list(control.choices), value=row.default, label=control.label, elem_id=elem_id, scale=1, min_width=120
        )
    if row.type in (int, float) and control.lo is not None and control.hi is not None:
        step = control.step or (1 if row.type is int else 0.01)
        return slider(control.label, elem_id, control.lo, control.hi, row.default, step, scale=2, min_width=160)
    if row.type in (int, float):
        return number(
            control.label, elem_id, row.default, precision=0 if row.type is int else None, scale=1, min_width=120
        )
    value = ", ".join(row.default) if row.type is tuple else row.default
    return gr.Textbox(value, label=control.label, elem_id=elem_id, scale=1, min_width=160, lines=1, max_lines=1)


LISTED: Mapping[str, Callable[[], Any]] = {"model.checkpoint": _checkpoint, "model.vae": _vae}
"""Settings whose choices are lists of files, with a button that reads the folders anew."""
