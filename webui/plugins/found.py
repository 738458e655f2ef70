"""Which extensions there are, which of them take part, and in what order."""

import graphlib
import time
import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from webui.plugins.manifest import FILE, BadManifest, Manifest, read_manifest

OURS = "maple-"
"""Extensions that are part of the project have names that begin so."""


class State(StrEnum):
    """What became of an extension."""

    ON = "on"
    OFF = "off"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Extension:
    """One folder in `extensions/`. Lives as long as the server; `trouble` grows while it runs."""

    folder: Path
    manifest: Manifest
    state: State = State.ON
    trouble: list[str] = field(default_factory=list)
    """Tracebacks, newest last: at reading, at import, in a hook."""
    seconds: float = 0.0
    """Spent in its modules' imports and in its hooks."""
    calls: int = 0
    """How often one of its hooks was called."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def ours(self) -> bool:
        """Whether it came with the project."""
        return self.name.startswith(OURS)

    def failed(self, error: BaseException, *, for_good: bool) -> None:
        """Remember an error. `for_good`: it takes no further part until the next start."""
        self.trouble.append("".join(traceback.format_exception(error)))
        del self.trouble[:-KEPT]
        if for_good:
            self.state = State.FAILED

    def spent(self, since: float) -> None:
        """Count one call that began at `since` (time.perf_counter)."""
        self.calls += 1
        self.seconds += time.perf_counter() - since


KEPT = 20
"""Tracebacks kept of one extension."""


def extensions_in(roots: Iterable[Path]) -> list[Extension]:
    """Every folder with a manifest below `roots`, by name. Of two with one name the first root's counts, the other
    one is FAILED, and so is one whose manifest cannot be read.
    """
    found: list[Extension] = []
    names: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            continue
        for folder in sorted(root.iterdir()):
            if not (folder / FILE).is_file():
                continue
            try:
                manifest = read_manifest(folder)
                if manifest.name in names:
                    problem = f"{names[manifest.name]} has the name {manifest.name!r} already"
                    raise BadManifest(path=str(folder / FILE), problem=problem)
            except BadManifest as error:
                name = folder.name
                broken = Extension(folder, Manifest(name=name, version="", title=name, title_zh=name))
                broken.failed(error, for_good=True)
                found.append(broken)
                continue
            names[manifest.name] = folder
            found.append(Extension(folder, manifest))
    return found


def switch(extensions: Iterable[Extension], *, off: Collection[str], on: Collection[str], all_off: str) -> None:
    """Settle who takes part. `all_off` is A1111's: "none", "extra" (all but the project's own) or "all"; `on` names
    those that are off unless asked for.
    """
    for extension in extensions:
        if extension.state is State.FAILED:
            continue
        wanted = extension.name not in off and (extension.manifest.on or extension.name in on)
        if all_off == "all" or (all_off == "extra" and not extension.ours) or not wanted:
            extension.state = State.OFF


def ordered(extensions: Sequence[Extension]) -> list[Extension]:
    """By name, but after those named in `after`. Those in a circle keep the order of their names, and are told so."""
    by_name = {each.name: each for each in sorted(extensions, key=lambda each: each.name)}
    graph: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for name, each in by_name.items():
        graph.add(name, *(before for before in each.manifest.after if before in by_name))
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]
        for name in set(circle):
            by_name[name].failed(error, for_good=False)
        return list(by_name.values())
    order: list[Extension] = []
    while graph.is_active():
        ready = sorted(graph.get_ready())
        order += [by_name[name] for name in ready]
        graph.done(*ready)
    return order
