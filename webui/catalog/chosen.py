"""Which checkpoint is meant when a setting or a request names one, or none."""

from typing import TYPE_CHECKING, ClassVar

from webui.domain import ModelKind, ModelRecord
from webui.domain.errors import NotFound

if TYPE_CHECKING:
    from webui.catalog import Catalog

DEMO = "maple.config"
"""Metadata key that our own demo checkpoints carry."""


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
