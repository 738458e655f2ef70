"""Which extensions take part, and in what order."""

from pathlib import Path

import pytest

from tests.plugins.conftest import Write
from webui.plugins.found import State, extensions_in, ordered, switch


def names(extensions: list) -> list[str]:
    return [each.name for each in extensions]


def states(tmp_path: Path, **how) -> dict[str, State]:
    found = extensions_in([tmp_path / "extensions"])
    switch(found, **{"off": (), "on": (), "all_off": "none"} | how)
    return {each.name: each.state for each in found}


def test_a_folder_without_a_manifest_is_no_extension_of_ours(tmp_path: Path, write: Write) -> None:
    write("one")
    (tmp_path / "extensions" / "sd-webui-something" / "scripts").mkdir(parents=True)
    assert names(extensions_in([tmp_path / "extensions", tmp_path / "nowhere"])) == ["one"]


def test_one_that_cannot_be_read_is_named_and_the_others_stay(tmp_path: Path, write: Write) -> None:
    write("bad", "[hooks]\nnone = 'x:y'")
    write("good")
    bad, good = extensions_in([tmp_path / "extensions"])
    assert (bad.name, bad.state, good.state) == ("bad", State.FAILED, State.ON)
    assert "there is no such hook" in bad.trouble[0]


def test_of_two_with_one_name_the_first_counts(tmp_path: Path, write: Write) -> None:
    write("one")
    other = write("two")
    file = other / "extension.toml"
    file.write_text(file.read_text().replace('"two"', '"one"'))
    first, second = extensions_in([tmp_path / "extensions"])
    assert (first.state, second.state, second.name) == (State.ON, State.FAILED, "two")


def test_after_is_kept_and_the_rest_goes_by_name(tmp_path: Path, write: Write) -> None:
    write("a", head='after = ["c", "not-here"]')
    write("b")
    write("c")
    assert names(ordered(extensions_in([tmp_path / "extensions"]))) == ["b", "c", "a"]


def test_a_circle_is_told_to_those_in_it_and_nobody_is_left_out(tmp_path: Path, write: Write) -> None:
    write("a", head='after = ["b"]')
    write("b", head='after = ["a"]')
    write("c")
    order = ordered(extensions_in([tmp_path / "extensions"]))
    assert names(order) == ["a", "b", "c"]
    assert [bool(each.trouble) for each in order] == [True, True, False]
    assert {each.state for each in order} == {State.ON}


@pytest.mark.parametrize(("how", "on"), [
    ({}, {"maple-own", "theirs"}),
    ({"off": ("theirs",)}, {"maple-own"}),
    ({"on": ("shy",)}, {"maple-own", "theirs", "shy"}),
    ({"on": ("shy",), "off": ("shy",)}, {"maple-own", "theirs"}),
    ({"all_off": "extra"}, {"maple-own"}),
    ({"all_off": "all", "on": ("shy",)}, set()),
])  # fmt: skip
def test_who_is_on(tmp_path: Path, write: Write, how: dict, on: set[str]) -> None:
    write("maple-own")
    write("theirs")
    write("shy", head="on = false")
    assert {name for name, state in states(tmp_path, **how).items() if state is State.ON} == on
