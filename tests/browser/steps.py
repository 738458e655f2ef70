"""What a person does on the page, said once."""

import json
import time
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page


def choose(page: Page, elem_id: str, name: str) -> None:
    """Pick a drop-down's choice by the beginning of its name."""
    box = page.locator(f"#{elem_id} input")
    box.click()
    option = page.locator("ul.options li, [role=option]").filter(has_text=name).first
    option.click()
    page.wait_for_function(
        """([id, name]) => {
            const box = document.getElementById(id);
            return box.querySelector("input").value.includes(name)
                || [...box.querySelectorAll(".token")].some(token => token.innerText.includes(name));
        }""",
        arg=[elem_id, name],
    )


def put(page: Page, elem_id: str, value: float) -> None:
    """Type a number."""
    box = page.locator(f"#{elem_id} input[type=number]")
    box.fill(str(value))
    box.press("Tab")


def prompt(page: Page, text: str, negative: str = "") -> None:
    page.locator("#txt2img_prompt textarea").fill(text)
    page.locator("#txt2img_neg_prompt textarea").fill(negative)


def small_request(page: Page, *, text: str = "a red circle", steps: int = 4, count: int = 1, seed: int = 5) -> None:
    """A request the small checkpoint answers in a moment."""
    choose(page, "setting_sd_model_checkpoint", "small")
    prompt(page, text)
    for elem_id, value in {
        "txt2img_steps": steps, "txt2img_width": 64, "txt2img_height": 64, "txt2img_batch_count": count,
        "txt2img_seed": seed,
    }.items():  # fmt: skip
        put(page, elem_id, value)


def form(page: Page, tab: str = "txt2img") -> dict[str, Any]:
    """The values of a tab's form as Gradio holds them."""
    return json.loads(page.evaluate("tab => maple.form.read(tab).then(JSON.stringify)", tab))


def holds(page: Page, expected: Mapping[str, Any], *, tab: str = "txt2img", patience: float = 20) -> None:
    """Wait until the form holds these values; the answer of what a click set off comes in its own time."""
    until = time.monotonic() + patience
    while True:
        values = form(page, tab)
        found = {name: values.get(name) for name in expected}
        if found == dict(expected) or time.monotonic() > until:
            assert found == dict(expected)
            return
        page.wait_for_timeout(100)


def kept(page: Page, elem_id: str, value: float | str) -> None:
    """Change a quick setting, by number or by name, and wait until the server has it."""
    with page.expect_response(lambda answer: answer.url.endswith("/internal/settings")) as answer:
        if isinstance(value, str):
            choose(page, elem_id, value)
        else:
            put(page, elem_id, value)
    assert answer.value.ok


def idle(page: Page, patience: int = 120_000) -> None:
    """Wait until nothing of ours runs any more."""
    page.wait_for_function(
        "maple.jobs && !maple.jobs.followed && !document.querySelector('.progressDiv')", timeout=patience
    )


def generate(page: Page, patience: int = 120_000) -> dict[str, Any]:
    """Click Generate and wait until the job has ended; it must have ended well."""
    before = page.evaluate("maple.jobs.last?.id ?? null")
    page.locator("#txt2img_generate").click()
    page.wait_for_function(
        "before => maple.jobs.last && maple.jobs.last.id !== before && !maple.jobs.followed",
        arg=before,
        timeout=patience,
    )
    made = json.loads(page.evaluate("JSON.stringify(maple.jobs.last)"))
    assert made["state"] == "done", made["error"]
    return made


def drop(page: Page, selector: str, name: str, body: bytes) -> None:
    """Drop a file on an element, as from a folder."""
    page.evaluate(
        """([selector, name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
            const target = document.querySelector(selector);
            for (const type of ["dragenter", "dragover", "drop"])
                target.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: transfer}));
        }""",
        [selector, name, list(body)],
    )
