"""The styles at hand: read from their files, saved back, seen fresh when a file changes."""

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from webui.prompt.styles import Style, apply_styles, default_file, read_styles, style_files, write_styles


class StyleBook:
    """Styles of one server. `paths` are the styles files (wildcards allowed); saved ones go into the first plain
    file.
    """

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
        self._rewrite(lambda styles: {**styles, style.name: style})

    def delete(self, name: str) -> None:
        """Take one style out; a name that is not there changes nothing."""
        self._rewrite(lambda styles: {key: style for key, style in styles.items() if key != name})

    def _rewrite(self, change: Callable[[dict[str, Style]], dict[str, Style]]) -> None:
        with self._lock:
            home = default_file(self._paths)
            own = {style.name: style for style in read_styles([home]) if not style.divider}
            write_styles(home, change(own).values())
            self._stamp = None

    def _fresh(self) -> dict[str, Style]:
        with self._lock:
            stamp = tuple(_stamp(file) for file in style_files(self._paths))
            if stamp != self._stamp:
                self._styles = {style.name: style for style in read_styles(self._paths)}
                self._stamp = stamp
            return self._styles


def _stamp(file: Path) -> tuple[Path, int, int]:
    """What changes when the file does; zeros while it is not there."""
    try:
        facts = file.stat()
    except OSError:
        return file, 0, 0
    return file, facts.st_mtime_ns, facts.st_size
