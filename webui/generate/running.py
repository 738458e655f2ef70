"""What every batch of a run is made with."""

from dataclasses import dataclass, field
from typing import Any

from webui.domain import Plan, Reporter
from webui.generate.bench import Bench
from webui.generate.progress import Meter
from webui.settings import Settings

Note = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a plan."""

    plan: Plan
    settings: Settings
    bench: Bench
    reporter: Reporter
    meter: Meter
    user: str = ""
    """Who asked, by the name signed in with; "" without accounts."""
    style_prompts: tuple[str, ...] = ()
    """Positive prompts of the styles asked for."""
    said: list[Note] = field(default_factory=list[Note])
    guides: dict[tuple[int, str], Any] = field(default_factory=dict[tuple[int, str], Any])
    """Maps of the ControlNet units: (unit, blob of the init picture they depend on or "") → `controls.Guide`."""
    fitted: dict[tuple[int, int, int], Any] = field(default_factory=dict[tuple[int, int, int], Any])
    """The same at the sizes of the passes."""

    def say_once(self, key: str, fields: dict[str, Any]) -> None:
        """Tell the person; every batch and pass may find the same, they hear it once."""
        if (key, fields) not in self.said:
            self.said.append((key, fields))
            self.reporter.note(key, **fields)
