"""The nouns everybody shares: requests, plans, results, jobs, model records, progress, errors. Standard library only.

Nouns are frozen and equal by value; a change makes a new one with `dataclasses.replace`. Add a noun in the module that
names it and export it here when more than one room speaks of it.
"""

from webui.domain.control import Control
from webui.domain.controlnet import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.domain.convert import ConvertRequest
from webui.domain.detect import DetectRequest
from webui.domain.extras import ExtrasRequest
from webui.domain.fetch import FetchRequest
from webui.domain.job import Job, JobState
from webui.domain.model import Family, ModelFormat, ModelKind, ModelRecord
from webui.domain.plan import Enlarge, Pass, Picture, Plan, PlannedControl, Stage
from webui.domain.progress import Progress, Reporter, ShuttingDown, Wish
from webui.domain.registry import Registry
from webui.domain.request import (
    GenerationRequest,
    Hires,
    Init,
    Inpaint,
    MaskedContent,
    NoiseSource,
    Refiner,
    ResizeMode,
    SamplerOptions,
    SoftInpainting,
)
from webui.domain.result import Artifact, Result
from webui.domain.series import Series, Turn

__all__ = [
    "Artifact",
    "Control",
    "ControlHires",
    "ControlMode",
    "ControlResize",
    "ControlUnit",
    "ConvertRequest",
    "DetectRequest",
    "Enlarge",
    "ExtrasRequest",
    "Family",
    "FetchRequest",
    "GenerationRequest",
    "Hires",
    "Init",
    "Inpaint",
    "Job",
    "JobState",
    "MaskedContent",
    "ModelFormat",
    "ModelKind",
    "ModelRecord",
    "NoiseSource",
    "Pass",
    "Picture",
    "Plan",
    "PlannedControl",
    "Progress",
    "Refiner",
    "Registry",
    "Reporter",
    "ResizeMode",
    "Result",
    "SamplerOptions",
    "Series",
    "ShuttingDown",
    "SoftInpainting",
    "Stage",
    "Turn",
    "Wish",
]
