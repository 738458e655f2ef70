"""简体中文 and English are equals: a label on the page without its other language is a fault."""

import re
from importlib.resources import files

import pytest

from webui.catalog.trained import SHOWN
from webui.services import Services
from webui.settings import declared
from webui.ui import build
from webui.ui.settings_form import SECTIONS
from webui.words import sentences
from webui.words.labels import LABELS

SENTENCES = sentences()
SYMBOL = re.compile(r"^[^A-Za-z]*$")
NAMES = {"fill", "Maple WebUI", "ETA"}
"""Texts nobody reads, and names that are the same everywhere."""


def needs_chinese(text: str) -> bool:
    return not SYMBOL.match(text) and text not in NAMES and text not in LABELS


def scripts() -> dict[str, str]:
    folder = files("webui.ui").joinpath("assets")
    return {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.name.endswith(".js")}


@pytest.fixture(scope="module")
def components(services: Services) -> list[dict]:
    return build(services).get_config_file()["components"]


def test_every_label_of_gradio_has_chinese(components: list[dict]) -> None:
    texts: set[str] = set()
    for part in components:
        props = part["props"]
        texts |= {props.get(name) for name in ("label", "placeholder", "info") if isinstance(props.get(name), str)}
        if part["type"] == "button":
            texts.add(props["value"])
    assert sorted(filter(needs_chinese, texts - {"Dropdown", "Textbox", "HTML", "Tabs", ""})) == []


def test_every_label_drawn_by_our_scripts_has_chinese() -> None:
    found: set[str] = set()
    for name, script in scripts().items():
        if name != "language.js":
            found |= set(re.findall(r'(?:text|title|placeholder|"aria-label"): "((?:[^"\\]|\\.)*)"', script))
    titles = re.search(r"const TITLES = \{(.*?)\};", scripts()["app.js"], re.S)
    assert titles
    found |= set(re.findall(r': "((?:[^"\\]|\\.)*)"', titles[1]))
    assert sorted(filter(needs_chinese, found)) == []


def test_every_setting_has_chinese() -> None:
    texts = set(SECTIONS.values())
    for row in declared().values():
        texts |= {row.control.label, row.control.info, *row.control.choices} - {""}
    assert sorted(text for text in texts if text not in LABELS) == []


def test_every_label_of_the_cards_dialogs_has_chinese() -> None:
    script = scripts()["cards.js"]
    fields = re.findall(r'\w+: \["([^"]+)",', script.split("const FIELDS")[1].split("};")[0])
    rows = re.findall(r'\["([^"]+)", (?:told|bytes|new|FAMILIES)', script)
    assert len(fields) >= 7 and len(rows) >= 5
    told = {*fields, *rows, *SHOWN.values(), "Trained", "Resolutions", "Training pictures"}
    assert sorted(filter(needs_chinese, told)) == []


def test_every_sentence_the_scripts_say_exists() -> None:
    said: set[str] = set()
    for script in scripts().values():
        said |= set(re.findall(r'maple\.say\("(\w+)"', script))
    assert sorted(key for key in said if f"page_{key}" not in SENTENCES) == []


def test_no_sentence_of_the_page_is_left_unsaid() -> None:
    whole = "".join(scripts().values())
    assert [key for key in SENTENCES if key.startswith("page_") and f'"{key.removeprefix("page_")}"' not in whole] == []


def test_both_languages_fill_in_the_same_fields() -> None:
    for key, (zh, en) in SENTENCES.items():
        assert set(re.findall(r"\{(\w+)\}", zh)) == set(re.findall(r"\{(\w+)\}", en)), key
