"""From what was asked to a checked request: limits, names, styles, overrides, extensions' transforms, seeds.

May import domain, words, hooks, settings, prompt, catalog, gallery. `Intake.accept` is pure but for random seeds; it
says what
is wrong before anything is queued. `drawn.py` makes masks and sketches of what was drawn, `folder.py` finds what a
batch takes of a folder. Add a check where the field is read in `accept.py`, and its sentence in
`words/intake.py`.
"""

from webui.intake.accept import Intake
from webui.intake.lookup import Names
from webui.intake.stylebook import StyleBook

__all__ = ["Intake", "Names", "StyleBook"]
