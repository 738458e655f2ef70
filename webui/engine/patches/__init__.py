"""What a model can wear for a while: tiling now; adapters, networks and attention changes later.

A patch is a frozen value, equal by value, with `put_on(model)` and `take_off(model)`; after taking off, the model's
weights and answers are what they were, bit for bit. Add one: a module here with such a class.
"""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel


class Patch(Protocol):
    def put_on(self, model: "LoadedModel") -> None: ...

    def take_off(self, model: "LoadedModel") -> None: ...
