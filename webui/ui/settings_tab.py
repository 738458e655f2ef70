"""The Settings tab: a frame. `assets/settings.js` draws the form from /internal/settings when the tab is opened.

Hundreds of settings as Gradio blocks would be paid for at every load of the page; as a form of our own they cost
nothing until they are looked at.
"""

from webui.ui.gradio6 import gr
from webui.ui.parts import slot


def settings() -> None:
    """Draw the tab."""
    with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
        slot("settings_frame")
