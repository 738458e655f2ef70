"""Every sentence of ours, in 简体中文 and English. Standard library and `domain` only.

A sentence is a key with {fields}. Each area has a module here with `SENTENCES: dict[key, (zh, en)]`; the page's labels
(plain English in code) have theirs in `labels.py`. A test finds a key that is raised somewhere and missing here, and a
sentence that lacks a language. Add one: put the key in its area's module, both languages.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from webui.domain.errors import MapleError
from webui.words.fields import FIELDS

LANGUAGES = ("zh-CN", "en")


@cache
def sentences() -> Mapping[str, tuple[str, str]]:
    """All sentences: key → (简体中文, English). Raises ValueError when two areas claim one key."""
    table: dict[str, tuple[str, str]] = {}
    for found in pkgutil.iter_modules(__path__):
        area: dict[str, tuple[str, str]] = getattr(importlib.import_module(f"{__name__}.{found.name}"), "SENTENCES", {})
        for key, pair in area.items():
            if key in table:
                raise ValueError(f"sentence {key!r} stands twice, once in words/{found.name}.py")
            table[key] = pair
    return table


def language_of(wanted: str) -> str:
    """The nearest of LANGUAGES for an Accept-Language header or a locale name."""
    for part in wanted.replace("_", "-").split(","):
        tag = part.split(";")[0].strip().lower()
        if tag.startswith("zh"):
            return "zh-CN"
        if tag.startswith("en"):
            return "en"
    return "en"


def say(key: str, language: str, /, **fields: Any) -> str:
    """The sentence in that language; an unknown key says itself and its fields, so that nothing is hidden."""
    pair = sentences().get(key)
    if pair is None:
        return f"{key} {fields}" if fields else key
    text = pair[LANGUAGES.index(language_of(language))]
    shown = {name: _listed(value) for name, value in fields.items()}
    if fields.get("field") in FIELDS:
        # People know the page's name; a program that reads the API knows its own.
        shown["field"] = f"{FIELDS[fields['field']][LANGUAGES.index(language_of(language))]} ({fields['field']})"
    try:
        return text.format(**shown)
    except (KeyError, IndexError):
        return f"{text} {fields}"


def explain(error: MapleError, language: str) -> str:
    """An error as a sentence: what, where, what to do next."""
    return say(error.key, language, **error.fields)


def _listed(value: Any) -> Any:
    """Lists as people write them."""
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list | tuple) else value
