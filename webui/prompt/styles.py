"""styles.csv: named pieces of prompt, in A1111's file form.

Columns name, prompt, negative_prompt (the oldest files: name, text). Read as UTF-8 with or without mark, UTF-16 with
mark, or GBK, which is what a Chinese Excel saves; written as UTF-8 with mark, which Excel opens rightly.
"""

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from webui.domain.errors import BadInput, BrokenFile

PLACE = "{prompt}"
"""Where in a style the prompt goes; without it the style is appended."""
FIELDS = ("name", "prompt", "negative_prompt")
_MOST_CELL = 1_000_000


class UnnamedStyle(BadInput):
    """A style cannot be kept without a name. No fields."""

    key = "unnamed_style"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One style. `path` is the file it stands in. A divider heads the styles of one file among several."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""
    path: Path | None = None
    divider: bool = False


def style_files(patterns: Sequence[Path]) -> list[Path]:
    """The files named by paths and wildcards (`*`, `?` in the last part), once each. A plain path need not exist."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        wild = set(pattern.name) & set("*?")
        found |= dict.fromkeys(sorted(pattern.parent.glob(pattern.name)) if wild else [pattern])
    return list(found)


def default_file(patterns: Sequence[Path]) -> Path:
    """Where a new style goes: the first path, or for a wildcard its first file or `styles.csv` beside."""
    first = patterns[0]
    if not set(first.name) & set("*?"):
        return first
    return next(iter(style_files([first])), first.parent / "styles.csv")


def read_styles(patterns: Sequence[Path], *, on_broken: Callable[[BrokenFile], None] | None = None) -> list[Style]:
    """All styles in order. Of two with one name the later wins, in the earlier's place, as in A1111.

    Missing files are empty. A file that cannot be read is told to `on_broken` and left out, or raised when that is
    None.
    """
    files = style_files(patterns)
    styles: dict[str, Style] = {}
    for path in files:
        if len(files) > 1:
            divider = f" {path.stem.upper()} ".center(40, "-")
            styles[divider] = Style(name=divider, path=path, divider=True)
        try:
            rows = _read_file(path) if path.is_file() else []
        except BrokenFile as broken:
            if on_broken is None:
                raise
            on_broken(broken)
            continue
        styles |= {style.name: style for style in rows}
    return list(styles.values())


def write_styles(path: Path, styles: Iterable[Style]) -> None:
    """Write the styles that belong to this file (their `path` is it, or None). What was there is kept as `<name>.bak`.

    The file is replaced in one go: a full disk or a crash leaves the old one. Raises UnnamedStyle, OSError.
    """
    rows = [style for style in styles if not style.divider and style.path in (None, path)]
    if any(not style.name.strip() for style in rows):
        raise UnnamedStyle
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    writer.writerows((style.name, style.prompt, style.negative_prompt) for style in rows)
    if path.exists():
        shutil.copy(path, path.with_name(path.name + ".bak"))
    _replace(path, text.getvalue().encode("utf-8-sig"))


def apply_styles(prompt: str, negative: str, styles: Iterable[Style]) -> tuple[str, str]:
    """(prompt, negative) with the styles merged in, one after the other."""
    for style in styles:
        if not style.divider:
            prompt = _merge(style.prompt, prompt)
            negative = _merge(style.negative_prompt, negative)
    return prompt, negative


def match_styles(prompt: str, negative: str, styles: Sequence[Style]) -> tuple[list[str], str, str]:
    """(names, prompt, negative): the styles that a pasted pair of prompts was made with, and the pair without them.

    Names are in the order in which applying them gives the pair back. A style counts when both its parts are found.
    """
    names: list[str] = []
    left = [style for style in styles if not style.divider and (style.prompt or style.negative_prompt)]
    while True:
        for style in left:
            found = _without(style.prompt, prompt)
            found_negative = _without(style.negative_prompt, negative)
            if found is not None and found_negative is not None:
                break
        else:
            return names[::-1], prompt, negative
        prompt, negative = found, found_negative
        left.remove(style)
        names.append(style.name)


def _merge(style: str, prompt: str) -> str:
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)


def _without(style: str, prompt: str) -> str | None:
    """The prompt that `_merge` made this from, or None."""
    style, stripped = style.strip(), prompt.strip()
    if not style:
        return prompt
    if PLACE in style:
        left, *between, right = style.split(PLACE)
        pattern = re.escape(left) + "(.*)" + "".join(re.escape(part) + r"\1" for part in between) + re.escape(right)
        found = re.fullmatch(pattern, stripped, re.DOTALL)
        return None if found is None else found[1]
    if stripped == style:
        return ""
    return stripped.removesuffix(", " + style) if stripped.endswith(", " + style) else None


def _read_file(path: Path) -> list[Style]:
    text = _decode(path)
    try:
        # A NUL ends a cell for some spreadsheets and is refused by older Pythons.
        rows = list(csv.reader(io.StringIO(text.replace("\0", ""), newline=""), skipinitialspace=True))
    except csv.Error as error:
        raise BrokenFile(path=str(path), reason=str(error)) from error
    rows = [row for row in rows if row]
    if not rows:
        return []
    columns = {name.strip().lower(): place for place, name in reversed(list(enumerate(rows[0])))}
    prompt = columns.get("prompt", columns.get("text"))
    if "name" not in columns or prompt is None:
        raise BrokenFile(path=str(path), reason="no columns name and prompt")

    def cell(row: list[str], place: int | None) -> str:
        return row[place] if place is not None and place < len(row) else ""

    named = [row for row in rows[1:] if cell(row, columns["name"]) and not cell(row, columns["name"]).startswith("#")]
    return [
        Style(
            name=cell(row, columns["name"]),
            prompt=cell(row, prompt),
            negative_prompt=cell(row, columns.get("negative_prompt")),
            path=path,
        )
        for row in named
    ]


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BrokenFile(path=str(path), reason=error.strerror or str(error)) from error
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ["utf-16"] if wide else ["utf-8-sig", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BrokenFile(path=str(path), reason="neither UTF-8 nor GBK")


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
