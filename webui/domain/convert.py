"""A model file asked for in another format."""

from dataclasses import dataclass

from webui.domain.model import ModelFormat, ModelKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertRequest:
    """A model written anew in another format, into the folder it lies in (one of ours, when that is not ours)."""

    model: str
    """A name or title of the catalogue."""
    kind: ModelKind = ModelKind.CHECKPOINT
    to: ModelFormat = ModelFormat.SAFETENSORS
    """Safetensors, pickle (.ckpt, .pt) or a diffusers folder."""
    name: str = ""
    """Of the result, without ending, below its folder; "": the model's own."""
    precision: str = ""
    """"" keeps the file's number type; "fp16", "bf16", "fp32"."""
    drop_ema: bool = False
    """Leave out the running averages of training that some checkpoints carry beside their weights."""
    overwrite: bool = False
    """Replace a file that is already there."""
