"""styles.csv, in every form people have it."""

import os
from pathlib import Path

import pytest

from webui.domain.errors import BrokenFile
from webui.prompt.styles import (
    Style,
    UnnamedStyle,
    apply_styles,
    default_file,
    match_styles,
    read_styles,
    style_files,
    write_styles,
)

PAINT = Style(name="paint", prompt="oil painting of {prompt}, thick", negative_prompt="photo")
SHARP = Style(name="sharp", prompt="sharp, detailed", negative_prompt="")
NOT = Style(name="not", prompt="", negative_prompt="blurry")


@pytest.mark.parametrize(
    ("prompt", "styles", "expected"),
    [
        ("cat", [SHARP], ("cat, sharp, detailed", "low")),
        ("", [SHARP], ("sharp, detailed", "low")),
        (" cat ", [SHARP], ("cat, sharp, detailed", "low")),
        ("cat", [NOT], ("cat", "low, blurry")),
        ("cat", [PAINT], ("oil painting of cat, thick", "low, photo")),
        ("cat", [PAINT, SHARP], ("oil painting of cat, thick, sharp, detailed", "low, photo")),
        ("cat", [SHARP, PAINT], ("oil painting of cat, sharp, detailed, thick", "low, photo")),
        ("cat", [], ("cat", "low")),
        ("cat", [Style(name="two", prompt="{prompt} and {prompt}")], ("cat and cat", "low")),
        ("cat", [Style(name="--- A ---", divider=True)], ("cat", "low")),
    ],
)
def test_styles_are_merged_in_their_order(prompt: str, styles: list[Style], expected: tuple[str, str]) -> None:
    assert apply_styles(prompt, "low", styles) == expected


@pytest.mark.parametrize("styles", [[SHARP], [PAINT], [NOT], [PAINT, SHARP], [SHARP, NOT], [PAINT, SHARP, NOT]])
def test_styles_are_found_again_in_what_they_made(styles: list[Style]) -> None:
    made = apply_styles("1girl, smile", "low", styles)
    names, prompt, negative = match_styles(*made, [NOT, SHARP, PAINT])
    assert (prompt, negative) == ("1girl, smile", "low")
    assert sorted(names) == sorted(style.name for style in styles)
    by_name = {style.name: style for style in styles}
    assert apply_styles(prompt, negative, [by_name[name] for name in names]) == made


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("cat", "low"), ("cat, sharp", "low"), ("oil painting of cat, thick", "low"), ("unsharp, detailed", "low"),
        ("", ""),
    ],
)
def test_what_only_looks_alike_is_no_style(prompt: str, negative: str) -> None:
    assert match_styles(prompt, negative, [PAINT, SHARP, NOT]) == ([], prompt, negative)


def test_a_style_that_says_its_place_twice_is_found_only_when_both_agree() -> None:
    two = Style(name="two", prompt="{prompt} and {prompt}")
    assert match_styles("cat and cat", "", [two]) == (["two"], "cat", "")
    assert match_styles("cat and dog", "", [two]) == ([], "cat and dog", "")


TABLE = "name,prompt,negative_prompt\r\n水墨,\"水墨画, {prompt}\",照片\r\nplain,a,b\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_every_encoding_people_save_in_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "styles.csv"
    path.write_bytes(TABLE.encode(encoding))
    assert read_styles([path]) == [
        Style(name="水墨", prompt="水墨画, {prompt}", negative_prompt="照片", path=path),
        Style(name="plain", prompt="a", negative_prompt="b", path=path),
    ]


def test_the_oldest_files_have_a_text_column(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text("name,text\nold,a cat\n")
    assert read_styles([path]) == [Style(name="old", prompt="a cat", path=path)]


def test_empty_and_commented_rows_are_left_out_and_short_ones_filled(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text('name,prompt,negative_prompt\n\n#note,x,y\n,x,y\nshort\ngood, "a, b",c\n')
    assert [(style.name, style.prompt) for style in read_styles([path])] == [("short", ""), ("good", "a, b")]


def test_a_cell_may_hold_line_breaks_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    style = Style(name='a "quoted", name', prompt="line\nbreak", negative_prompt='"', path=path)
    write_styles(path, [style])
    assert read_styles([path]) == [style]


def test_a_missing_file_has_no_styles(tmp_path: Path) -> None:
    assert read_styles([tmp_path / "styles.csv"]) == []


def test_of_two_styles_of_one_name_the_later_wins(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_text("name,prompt\nx,1\ny,2\nx,3\n")
    assert [(style.name, style.prompt) for style in read_styles([path])] == [("x", "3"), ("y", "2")]


def test_several_files_get_dividers_and_wildcards_find_files_once(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text(f"name,prompt\n{name}-style,{name}\n")
    patterns = [tmp_path / "*.csv", tmp_path / "a.csv"]
    styles = read_styles(patterns)
    assert style_files(patterns) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert [style.name for style in styles] == [" A ".center(40, "-"), "a-style", " B ".center(40, "-"), "b-style"]
    assert [style.divider for style in styles] == [True, False, True, False]


def test_a_new_style_goes_to_the_first_file(tmp_path: Path) -> None:
    assert default_file([tmp_path / "mine.csv", tmp_path / "x.csv"]) == tmp_path / "mine.csv"
    assert default_file([tmp_path / "*.csv"]) == tmp_path / "styles.csv"
    (tmp_path / "a.csv").touch()
    assert default_file([tmp_path / "*.csv"]) == tmp_path / "a.csv"


@pytest.mark.parametrize("data", [b"\xff\xff\xff\x80", b"a,b\n1,2\n", b"\xff\xfe\x00"])
def test_a_broken_file_is_named_and_does_not_hide_the_others(tmp_path: Path, data: bytes) -> None:
    broken, good = tmp_path / "broken.csv", tmp_path / "good.csv"
    broken.write_bytes(data)
    good.write_text("name,prompt\nx,1\n")
    told: list[BrokenFile] = []
    styles = read_styles([broken, good], on_broken=told.append)
    assert [style.name for style in styles if not style.divider] == ["x"]
    assert [error.fields["path"] for error in told] == [str(broken)]
    with pytest.raises(BrokenFile):
        read_styles([broken])


def test_saving_keeps_the_old_file_as_bak_and_writes_utf_8_with_mark(tmp_path: Path) -> None:
    path = tmp_path / "styles.csv"
    path.write_bytes(TABLE.encode("gbk"))
    styles = read_styles([path])
    write_styles(path, [*styles, Style(name="new", prompt="n"), Style(name="--- A ---", divider=True)])
    assert (tmp_path / "styles.csv.bak").read_bytes() == TABLE.encode("gbk")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname,prompt,negative_prompt\r\n")
    assert [style.name for style in read_styles([path])] == ["水墨", "plain", "new"]


def test_only_the_styles_of_a_file_are_written_to_it(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine.csv", tmp_path / "other.csv"
    write_styles(mine, [Style(name="a", path=mine), Style(name="b", path=other), Style(name="c")])
    assert [style.name for style in read_styles([mine])] == ["a", "c"]


def test_a_style_without_a_name_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnnamedStyle):
        write_styles(tmp_path / "styles.csv", [Style(name=" ", prompt="x")])
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_leaves_the_old_file_and_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "styles.csv"
    write_styles(path, [SHARP])
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_styles(path, [PAINT])
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["styles.csv", "styles.csv.bak"]
