"""Styles are read fresh, saved and taken out."""

from pathlib import Path

from webui.intake import Names, StyleBook
from webui.prompt.styles import Style
from webui.services import Services


def test_a_changed_file_is_seen_without_a_restart(tmp_path: Path) -> None:
    book = StyleBook([tmp_path / "styles.csv"])
    assert book.all() == []
    book.save(Style(name="a", prompt="one", negative_prompt=""))
    (tmp_path / "styles.csv").write_text("name,prompt,negative_prompt\nb,two,\n你好,三,四\n", "utf-8-sig")
    assert [style.name for style in book.all()] == ["b", "你好"]
    book.delete("b")
    assert [style.name for style in book.all()] == ["你好"]


def test_saving_leaves_other_files_styles_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("name,prompt,negative_prompt\nm,more,\n", "utf-8")
    book = StyleBook([tmp_path / "styles.csv", tmp_path / "more.csv"])
    book.save(Style(name="a", prompt="one", negative_prompt=""))
    assert {style.name for style in book.all() if not style.divider} == {"a", "m"}
    assert "more" not in (tmp_path / "styles.csv").read_text("utf-8-sig")


def test_pasted_names_are_found_among_what_is_here(services: Services) -> None:
    names = Names(services.catalog, services.styles)
    assert names.sampler("DPM++ 2M Karras", "Automatic") == ("DPM++ 2M", "Automatic")
    assert names.sampler("Euler", "Karras") == ("Euler", "Karras")
    assert names.sampler("no such", "Karras") is None
    assert names.checkpoint("first") == "first.safetensors"
    assert names.checkpoint("no such") is None
