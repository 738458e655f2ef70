"""The styles at hand: read from their files, saved back, seen fresh when a file changes."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from webui.prompt.styles import Style, apply_styles, read_styles, write_styles


class StyleBook:
    """Styles of one server. `paths` are the styles files (wildcards allowed); new styles go into the first."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] | None = None
        self._styles: dict[str, Style] = {}

    def all(self) -> list[Style]:
        """In the order of the files; dividers included."""
        return list(self._fresh().values())

    def get(self, name: str) -> Style | None:
        return self._fresh().get(name)

    def apply(self, prompt: str, negative: str, names: Iterable[str]) -> tuple[str, str]:
        """Both prompts with the named styles merged in, in order; unknown names are passed over as A1111 does."""
        found = self._fresh()
        return apply_styles(prompt, negative, [found[name] for name in names if name in found])

    def save(self, style: Style) -> None:
        """Add or replace one style. Raises what `write_styles` raises."""
        with self._lock:
            styles = dict(self._read())
            styles[style.name] = style
            write_styles(self._paths[0], styles.values())
            self._stamp = None

    def delete(self, name: str) -> None:
        with self._lock:
            styles = dict(self._read())
            if styles.pop(name, None) is not None:
                write_styles(self._paths[0], styles.values())
            self._stamp = None

    def _fresh(self) -> dict[str, Style]:
        with self._lock:
            return self._read()

    def _read(self) -> dict[str, Style]:
        stamp = tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in self._files())
        if stamp != self._stamp:
            self._styles = {style.name: style for style in read_styles(self._paths)}
            self._stamp = stamp
        return self._styles

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for path in self._paths:
            found += [file for file in sorted(path.parent.glob(path.name)) if file.is_file()]
        return found
