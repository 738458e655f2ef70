"""The models' cards beside Generation: one empty tab per kind, which `assets/cards.js` fills when it is opened.

The script draws only what is in sight and keeps one list for both generating tabs; its routes are in `card_routes.py`.
Add a page: its row in `catalog.cards.PAGES` and in LABELS.
"""

from webui.ui.gradio6 import gr
from webui.ui.parts import slot

LABELS = {
    "textual_inversion": "Textual Inversion",
    "hypernetworks": "Hypernetworks",
    "checkpoints": "Checkpoints",
    "lora": "Lora",
}
"""Page → its tab's label, in A1111's order."""


def cards(tab: str) -> None:
    """Draw the pages' tabs; `tab` is the generating tab's name and the beginning of every id."""
    for page, label in LABELS.items():
        with gr.Tab(label, id=f"{tab}_{page}", elem_id=f"{tab}_{page}", elem_classes=["extra-page"]):
            slot(f"{tab}_{page}_cards_html", classes=["extra-page-slot"])
