"""The page: Gradio draws the form, our own scripts run the jobs. One file per tab, scripts and styles in `assets/`.

    places.py    every element id of the page, where it stands and whether its feature is built: the contract
    gradio6.py   Gradio, imported quickly and without analytics
    parts.py     the few shapes everything is drawn from (field, tool button, script-only listener)
    shell.py     quick settings, tabs, footer
    generation.py  what txt2img and img2img have in common, by tab name
    txt2img.py, img2img.py, pnginfo.py, settings_tab.py   one tab each
    cards.py, card_routes.py   the models' cards beside Generation: their tabs, and what `assets/cards.js` asks for
    form.py      element id ↔ request field: what the page posts, what an infotext fills
    init_form.py, batch_form.py   img2img's pictures, masks and batches ↔ request
    uploads.py   pictures that go before the form, kept by content
    routes.py    /internal/*: submit, jobs, events, pictures, tokens, infotext, settings, choices
    share.py     Gradio's tunnel for --share
    page.py      puts our scripts and styles into the served HTML, serves them with hashes

The page gathers values, shows events and decides nothing: requests go to `Services.submit`, names and ranges come
from the catalogue and the typed settings. Gradio's listeners are dear (at load every block is compared with every
listener), so what only moves things in the browser is wired in `assets/`; a test counts both.
Labels are A1111's plain English; `assets/language.js` puts 简体中文 on before anything is painted.

May import gradio, fastapi and every lower room, no torch. Add a tab: a module with one function, its ids in
`places.py`, its labels in `webui/words/labels.py`.
"""

from webui.ui.page import mount
from webui.ui.share import open_tunnel
from webui.ui.shell import build

__all__ = ["build", "mount", "open_tunnel"]
