"""Which model is meant when a setting or a request names one, or none; whether a ControlNet model fits it."""

from typing import TYPE_CHECKING, ClassVar

from webui.catalog.beside import family_of
from webui.domain import Family, ModelKind, ModelRecord
from webui.domain.errors import BadInput, ModelGone, NotFound

if TYPE_CHECKING:
    from webui.catalog import Catalog

DEMO = "maple.config"
"""Metadata key that our own demo checkpoints carry."""
MOST_NAMED = 5
"""Names in one sentence."""


class NoCheckpoint(NotFound):
    """There is no checkpoint at all. Fields: searched."""

    key: ClassVar[str] = "no_checkpoint"


def chosen_checkpoint(catalog: "Catalog", name: str) -> ModelRecord:
    """The checkpoint of that name; for "" the first one of the person's own, else the demo.

    Raises UnknownModel or ModelGone for a name that is not there, NoCheckpoint when there is nothing to choose.
    """
    if name and name != "None":
        return catalog.need(ModelKind.CHECKPOINT, name)
    usable = [record for record in catalog.models(ModelKind.CHECKPOINT) if not record.reason]
    own = [record for record in usable if DEMO not in record.metadata]
    for record in own or usable:
        return record
    raise NoCheckpoint(searched=[str(folder) for folder in catalog.searched(ModelKind.CHECKPOINT)])


class ControlWithoutModel(BadInput):
    """A ControlNet unit whose preprocessor needs a model, and none is chosen. Fields: unit (from 0), module."""

    key: ClassVar[str] = "control_without_model"


class ControlMisfit(BadInput):
    """A ControlNet model for another base model. Fields: name, family, model, needed, fitting (names)."""

    key: ClassVar[str] = "control_misfit"


class ControlMisfitNone(ControlMisfit):
    """The same where no installed one would do. Fields: name, family, model, needed."""

    key: ClassVar[str] = "control_misfit_none"


def chosen_control(catalog: "Catalog", name: str) -> ModelRecord:
    """The ControlNet model of that name, title or hash; one whose name holds it where no other does, as there.

    Raises UnknownModel, ModelGone.
    """
    return catalog.need(ModelKind.CONTROLNET, name)


def check_control(catalog: "Catalog", record: ModelRecord, checkpoint: ModelRecord) -> None:
    """Raises ControlMisfit where both headers tell of different base models."""
    family, wanted = family_of(record), checkpoint.family
    if Family.UNKNOWN in (family, wanted) or family is wanted:
        return
    told = {"name": record.stem, "family": family.value, "model": checkpoint.stem, "needed": wanted.value}
    fitting = [each.stem for each in catalog.models(ModelKind.CONTROLNET) if family_of(each) is wanted]
    if fitting:
        raise ControlMisfit(**told, fitting=fitting[:MOST_NAMED])
    raise ControlMisfitNone(**told)


def control_title(catalog: "Catalog", record: ModelRecord) -> str:
    """A ControlNet model as sd-webui-controlnet lists it and infotexts name it: `stem [8 digits]`."""
    try:
        return f"{record.stem} [{catalog.legacy_hash(record)}]"
    except (OSError, ModelGone):
        return record.stem
