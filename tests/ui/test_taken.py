"""The memory line, in both languages, with and without a graphics card."""

from webui.ui.taken import GB, memory_text

CARD = {
    "system": {"free": 2 * GB, "used": 6 * GB, "total": 8 * GB},
    "active": {"current": GB, "peak": 3 * GB},
    "reserved": {"current": GB, "peak": 4 * GB},
}


def test_a_cards_memory_is_told_as_a1111_tells_it() -> None:
    assert memory_text(CARD, "en").startswith("A: 3.00 GB, R: 4.00 GB")
    assert memory_text(CARD, "en").endswith("Sys: 6.00/8.00 GB (75%)")
    assert "6.00/8.00 GB" in memory_text(CARD, "zh-CN")


def test_without_a_card_the_computers_is_told() -> None:
    assert memory_text(None, "en").startswith("RAM: ")
