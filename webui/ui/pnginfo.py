"""The PNG Info tab: a picture goes in, what it remembers comes out and goes to the form (`assets/pnginfo.js`)."""

from webui.ui.gradio6 import gr
from webui.ui.parts import slot


def pnginfo() -> None:
    """Draw the tab. The picture is read by /internal/infotext and never kept."""
    with gr.Tab("PNG Info", id="pnginfo", elem_id="tab_pnginfo"), gr.Row(equal_height=False):
        with gr.Column(min_width=320):
            slot("pnginfo_image", classes=["drop-zone"])
        with gr.Column(min_width=320):
            slot("pnginfo_generation_info")
            with gr.Row(elem_id="pnginfo_send_buttons"):
                gr.Button("Send to txt2img", elem_id="txt2img_tab", min_width=0)
                gr.Button("Send to img2img", elem_id="img2img_tab", min_width=0)
                gr.Button("Send to inpaint", elem_id="inpaint_tab", min_width=0)
                gr.Button("Send to extras", elem_id="extras_tab", min_width=0)
            slot("pnginfo_differences", classes=["differences-slot"])
            slot("pnginfo_html")
