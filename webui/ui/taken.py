"""The memory line under the pictures: what the graphics card had at most and has now, or the computer's without one."""

from collections.abc import Mapping
from typing import Any

import psutil

from webui.words import say

GB = 1024**3


def memory_text(card: Mapping[str, Any] | None, language: str) -> str:
    """One line. `card`: bytes by A1111's names (`Services.engine_memory`), None without a card."""
    if card is None:
        own, whole = psutil.Process().memory_info().rss, psutil.virtual_memory()
        used = _gb(whole.total - whole.available)
        return say("memory_of_computer", language, own=_gb(own), used=used, total=_gb(whole.total))
    system = card["system"]
    return say(
        "memory_of_card", language,
        active=_gb(card["active"]["peak"]), reserved=_gb(card["reserved"]["peak"]), used=_gb(system["used"]),
        total=_gb(system["total"]), percent=round(100 * system["used"] / system["total"]),
    )  # fmt: skip


def _gb(size: int) -> str:
    return f"{size / GB:.2f}"
