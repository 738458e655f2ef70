"""What a model can wear for a while: adapters merged into its weights, hypernetworks, tiling, ways of being asked.

A patch is a frozen value, equal by value, with `put_on(model)` and `take_off(model)`; after taking off, the model's
weights and answers are what they were, bit for bit. What it puts aside lies in `model.kept` under the patch. One that
changes weights says `merges = True` and may `take_over(model, other)` from one of its own class. Add one: a module here
with such a class; a kind of adapter: its formula in `deltas`, its names in `layers`.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel


class Patch(Protocol):
    def put_on(self, model: "LoadedModel") -> None: ...

    def take_off(self, model: "LoadedModel") -> None: ...
