"""`extension.toml`: what an extension says of itself, read without running any of it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from webui.domain.errors import BadFile
from webui.hooks import Specs

FILE = "extension.toml"
API = 1
"""The version of hooks and manifest that this server speaks; an extension names the one it was written for."""
HOOKS = frozenset(name for name in vars(Specs) if not name.startswith("_"))
HEAD = (
    "name", "version", "api", "title", "title_zh", "about", "about_zh", "author", "homepage", "licence", "on", "after",
)  # fmt: skip
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PLACE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class BadManifest(BadFile):
    """Fields: path, problem (what is wrong, with the key)."""

    key = "extension_manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An extension's own words and parts. Texts come in English and 简体中文; the second falls back to the first."""

    name: str
    version: str
    title: str
    title_zh: str
    about: str = ""
    about_zh: str = ""
    author: str = ""
    homepage: str = ""
    licence: str = ""
    on: bool = True
    """Whether it takes part before anybody has said so."""
    after: tuple[str, ...] = ()
    """Names of extensions that, where they are there, come before this one."""
    hooks: Mapping[str, str] = field(default_factory=dict[str, str])
    """Hook → "module:function" below the extension's folder."""
    scripts: tuple[str, ...] = ()
    """Files below the folder that the page loads, in order, after its own."""
    styles: tuple[str, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises BadManifest naming the key that is wrong."""
    path = folder / FILE
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadManifest(path=str(path), problem=str(error)) from error
    try:
        return _manifest(told, folder)
    except ValueError as error:
        raise BadManifest(path=str(path), problem=str(error)) from error


def _manifest(told: Mapping[str, Any], folder: Path) -> Manifest:
    _only(told, {"extension", "hooks", "page"}, "")
    head = _table(told, "extension")
    _only(head, set(HEAD), "extension.")
    if (api := head.get("api")) != API:
        raise ValueError(f"extension.api is {api!r}, this server speaks {API}")
    name = _text(head, "name", folder.name)
    if not NAME.fullmatch(name):
        raise ValueError(f"extension.name {name!r}: letters, digits, '.', '_' and '-' alone")
    title = _text(head, "title", name)
    about = _text(head, "about")
    on = head.get("on", True)
    if not isinstance(on, bool):
        raise ValueError("extension.on is neither true nor false")
    page = _table(told, "page")
    _only(page, {"scripts", "styles"}, "page.")
    return Manifest(
        name=name, version=_text(head, "version", "0"), title=title, title_zh=_text(head, "title_zh", title),
        about=about, about_zh=_text(head, "about_zh", about), author=_text(head, "author"),
        homepage=_text(head, "homepage"), licence=_text(head, "licence"), on=on,
        after=tuple(_texts(head, "after")), hooks=_hooks(_table(told, "hooks")),
        scripts=tuple(_files(page, "scripts", folder, ".js")), styles=tuple(_files(page, "styles", folder, ".css")),
    )  # fmt: skip


def _hooks(table: Mapping[str, Any]) -> dict[str, str]:
    for hook, place in table.items():
        if hook not in HOOKS:
            raise ValueError(f"hooks.{hook}: there is no such hook; there are {', '.join(sorted(HOOKS))}")
        if not isinstance(place, str) or not PLACE.fullmatch(place):
            raise ValueError(f'hooks.{hook} is {place!r}, not "module:function"')
    return cast("dict[str, str]", dict(table))


def _files(table: Mapping[str, Any], key: str, folder: Path, ending: str) -> Iterator[str]:
    for name in _texts(table, key):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or path.suffix != ending:
            raise ValueError(f"page.{key}: {name!r} is no {ending} file below the extension's folder")
        if not path.is_file():
            raise ValueError(f"page.{key}: there is no {name!r}")
        yield name


def _only(table: Mapping[str, Any], known: set[str], before: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{before}{key} is unknown; known are {', '.join(sorted(known))}")


def _table(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = told.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} is no table")
    return cast("dict[str, Any]", table)


def _text(table: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    value = table.get(key, otherwise)
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in cast("list[Any]", value)):
        raise ValueError(f"{key} is no list of texts")
    return cast("list[str]", value)
