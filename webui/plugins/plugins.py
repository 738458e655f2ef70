"""`Plugins`: the extensions of one server."""

import logging
from collections.abc import Sequence
from pathlib import Path

from webui.hooks import Hooks
from webui.plugins.deferred import deferred, package_of
from webui.plugins.found import Extension, State, extensions_in, ordered, switch
from webui.settings import Settings
from webui.settings.flags import Flags

log = logging.getLogger(__name__)
CHECKOUT = Path(__file__).resolve().parents[2]


class _Subscriber:
    """What pluggy registers: an object whose attributes are the hooks."""


class Plugins:
    """Extensions in the order they take part. Built once at start; changing what is on needs a restart."""

    def __init__(self, extensions: Sequence[Extension]) -> None:
        self.extensions = tuple(extensions)

    @classmethod
    def load(cls, flags: Flags, settings: Settings, data_root: Path, hooks: Hooks) -> "Plugins":
        """Find, order and subscribe. Runs no extension's code; nothing an extension does wrong is raised."""
        roots = list(dict.fromkeys([CHECKOUT / "extensions", data_root / "extensions"]))
        extensions = extensions_in(roots)
        chosen = settings.extensions
        all_off = (
            "all" if flags.disable_all_extensions else "extra" if flags.disable_extra_extensions else chosen.all_off
        )
        switch(extensions, off=chosen.off, on=chosen.on, all_off=all_off)
        order = ordered(extensions)
        for extension in order:
            if extension.state is State.ON:
                subscribe(extension, hooks, data_root)
            elif extension.state is State.FAILED:
                log.error("extension %s is left out: %s", extension.folder, extension.trouble[-1].splitlines()[-1])
        return cls(order)

    @property
    def on(self) -> tuple[Extension, ...]:
        """Those that take part."""
        return tuple(each for each in self.extensions if each.state is State.ON)

    @property
    def scripts(self) -> tuple[tuple[str, Path], ...]:
        """(name to be served under, file) of every script for the page, in order."""
        return tuple((f"{each.name}/{name}", each.folder / name) for each in self.on for name in each.manifest.scripts)

    @property
    def styles(self) -> tuple[tuple[str, Path], ...]:
        """(name to be served under, file) of every style sheet for the page, in order."""
        return tuple((f"{each.name}/{name}", each.folder / name) for each in self.on for name in each.manifest.styles)


def subscribe(extension: Extension, hooks: Hooks, data_root: Path) -> None:
    """Let an extension's hooks be called; its modules are imported then."""
    package, subscriber = package_of(extension, data_root), _Subscriber()
    for hook, place in extension.manifest.hooks.items():
        setattr(subscriber, hook, deferred(extension, hook, place, package))
    hooks.register(subscriber, name=f"extension {extension.name}")
