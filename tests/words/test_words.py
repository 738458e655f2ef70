"""Every sentence stands in both languages, and everything that is said stands here."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from webui.domain.errors import OutOfRange
from webui.words import explain, language_of, say, sentences

ROOT = Path(__file__).resolve().parents[2]


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "webui").rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def keys_of(tree: ast.Module) -> Iterator[str]:
    """Keys of error classes, and first arguments of say(...) and note(...), where they are written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for line in node.body:
                targets = (
                    line.targets
                    if isinstance(line, ast.Assign)
                    else [line.target]
                    if isinstance(line, ast.AnnAssign)
                    else []
                )
                named = any(isinstance(target, ast.Name) and target.id == "key" for target in targets)
                value = getattr(line, "value", None)
                if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("say", "note") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def test_everything_that_is_said_has_a_sentence() -> None:
    known, missing = sentences(), []
    for path, tree in modules():
        if path.name == "launch.py":
            continue
        missing += [f"{path.relative_to(ROOT)}: {key}" for key in keys_of(tree) if key not in known]
    assert missing == []


@pytest.mark.parametrize("key", sorted(sentences()))
def test_a_sentence_stands_in_both_languages_with_the_same_fields(key: str) -> None:
    chinese, english = sentences()[key]
    assert chinese.strip()
    assert english.strip()
    assert fields(chinese) == fields(english)


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("zh-CN,zh;q=0.9", "zh-CN"),
        ("zh_TW", "zh-CN"),
        ("en-GB", "en"),
        ("fr, zh;q=0.5", "zh-CN"),
        ("", "en"),
        ("fr", "en"),
    ],
)
def test_the_nearest_language_is_taken(asked: str, language: str) -> None:
    assert language_of(asked) == language


def test_an_error_is_put_into_words_with_its_fields() -> None:
    error = OutOfRange(field="width", value=63, lo=64, hi=8192)
    assert explain(error, "en") == "Width (width) is 63; choose 64 to 8192."
    assert "64 到 8192" in explain(error, "zh-CN")


def test_an_unknown_key_hides_nothing() -> None:
    assert say("no_such_key", "en", a=1) == "no_such_key {'a': 1}"
