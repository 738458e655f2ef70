"""Base model families, told apart by the shapes of their weights. One module per family that runs.

A row claims a table of weights and either gives the configurations its modules are built from, or refuses with a
reason. Add one: a module with `claims(weights)` and `configure(weights)`, and its row in `FAMILIES` (first claim
wins).
"""

from collections.abc import Callable
from dataclasses import dataclass

from webui.domain.errors import BrokenFile, UnsupportedModel, WrongKind
from webui.domain.model import Family, ModelKind
from webui.engine.families import known, sd1, sdxl
from webui.engine.families.parts import Parts
from webui.engine.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """`configure` is None for a family that is known but not run yet; `reason` then says why (a key into words)."""

    family: Family
    claims: Callable[[Weights], bool]
    configure: Callable[[Weights], Parts] | None = None
    reason: str = ""


FAMILIES: tuple[FamilyRow, ...] = (
    FamilyRow(family=Family.SDXL_REFINER, claims=known.sdxl_refiner, configure=sdxl.configure_refiner),
    FamilyRow(family=Family.SDXL, claims=known.edm, reason="edm_not_yet"),
    FamilyRow(family=Family.SDXL, claims=known.sdxl, configure=sdxl.configure),
    FamilyRow(family=Family.SD3, claims=known.sd3, reason="family_not_yet"),
    FamilyRow(family=Family.FLUX, claims=known.flux, reason="family_not_yet"),
    FamilyRow(family=Family.SD2, claims=known.sd2, reason="family_not_yet"),
    FamilyRow(family=Family.SD1, claims=sd1.claims, configure=sd1.configure),
)


def configured(weights: Weights) -> tuple[Family, Parts]:
    """The family of a checkpoint and what its modules are built from.

    Raises UnsupportedModel for a family or variant that is not run, WrongKind for a file that is no checkpoint,
    BrokenFile where tensors its modules cannot be built without are missing or of no sensible shape.
    """
    try:
        row = next((row for row in FAMILIES if row.claims(weights)), None)
        if row is not None and row.configure is not None:
            return row.family, row.configure(weights)
    except KeyError as missing:
        raise BrokenFile(path=str(weights.path), reason=f"{missing.args[0]} is missing") from missing
    except (IndexError, ValueError, TypeError) as error:
        raise BrokenFile(path=str(weights.path), reason=f"a weight's shape makes no sense ({error})") from error
    if row is None:
        raise WrongKind(path=str(weights.path), expected=ModelKind.CHECKPOINT.value, found=known.kind(weights))
    raise UnsupportedModel(path=str(weights.path), family=row.family.value, reason=row.reason)
