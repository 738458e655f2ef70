"""The few shapes the page is drawn from, with what must hold for all of them said once."""

from collections.abc import Sequence
from typing import Any

from webui.ui.gradio6 import gr


def number(label: str, elem_id: str, value: float, *, precision: int | None = 0, **options: Any) -> Any:
    """A number box without Gradio's own buttons."""
    return gr.Number(label=label, elem_id=elem_id, value=value, precision=precision, **options)


def slider(label: str, elem_id: str, lo: float, hi: float, value: float, step: float, **options: Any) -> Any:
    """A slider with its number box, without the reset button."""
    return gr.Slider(lo, hi, value=value, step=step, label=label, elem_id=elem_id, buttons=[], **options)


def tool(symbol: str, elem_id: str, **options: Any) -> Any:
    """A small square button with a symbol; its title is put on in the browser (`assets/app.js`)."""
    return gr.Button(symbol, elem_id=elem_id, min_width=0, scale=0, **{"elem_classes": ["tool"], **options})


def slot(elem_id: str, content: str = "", *, classes: Sequence[str] = ()) -> Any:
    """A place our own scripts fill. Gradio draws `content` once and never again."""
    return gr.HTML(content, elem_id=elem_id, elem_classes=list(classes), js_on_load="", apply_default_css=False)


def in_browser(button: Any, script: str, *, inputs: Sequence[Any] = (), outputs: Sequence[Any] = ()) -> None:
    """Wire a click that runs in the browser only: `script` gets the inputs' values and returns the outputs'."""
    button.click(
        fn=None,
        inputs=list(inputs),
        outputs=list(outputs),
        js=script,
        api_visibility="private",
        show_progress="hidden",
        queue=False,
        trigger_mode="multiple",
    )
