"""What stands around the tabs: quick settings, footer, and the order of the tabs."""

from typing import Any

import webui
from webui.ui.choices import offered
from webui.ui.gradio6 import gr
from webui.ui.parts import slider, slot, tool
from webui.ui.pnginfo import pnginfo
from webui.ui.settings_tab import settings
from webui.ui.txt2img import txt2img

TITLE = "Maple WebUI"


def build(services: Any, flags: Any = None) -> Any:
    """The whole page as gradio.Blocks. Lists of models and styles are filled in the browser from /internal/choices, so
    that a page opened after a refresh shows what is there then."""
    del services, flags
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        shared = _quick_settings()
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            txt2img(offered(), shared)
            pnginfo()
            settings()
        slot("footer", f"<div>Maple WebUI {webui.__version__}</div>", classes=["maple-footer"])
    return page


def _quick_settings() -> list[Any]:
    with gr.Row(elem_id="quicksettings", equal_height=False):
        checkpoint = gr.Dropdown(
            [], value=None, label="Stable Diffusion checkpoint", elem_id="setting_sd_model_checkpoint", scale=3, min_width=200
        )
        tool("🔄", "refresh_sd_model_checkpoint")
        vae = gr.Dropdown(["Automatic", "None"], value="Automatic", label="SD VAE", elem_id="setting_sd_vae", scale=2, min_width=140)
        tool("🔄", "refresh_sd_vae")
        skip = slider("Clip skip", "setting_CLIP_stop_at_last_layers", 1, 12, 1, 1, scale=2, min_width=160)
        slot("maple_corner", classes=["maple-corner"])
    return [checkpoint, vae, skip]
