"""What is known of a model file without loading it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class ModelKind(StrEnum):
    """What a file is for; the folders under models/ are named after these."""

    CHECKPOINT = "checkpoint"
    VAE = "vae"
    LORA = "lora"
    EMBEDDING = "embedding"
    HYPERNETWORK = "hypernetwork"
    CONTROLNET = "controlnet"
    UPSCALER = "upscaler"
    PREVIEW = "preview"
    """TAESD and VAE-approx: small decoders for previews."""
    FACE = "face"
    OTHER = "other"


class Family(StrEnum):
    """Which base model's latents and text a file speaks."""

    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"
    SDXL_REFINER = "sdxl-refiner"
    SD3 = "sd3"
    FLUX = "flux"
    UNKNOWN = "unknown"


class ModelFormat(StrEnum):
    SAFETENSORS = "safetensors"
    PICKLE = "pickle"
    DIFFUSERS = "diffusers"
    PICTURE = "picture"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One model on disk. `name` is its path below its root, with forward slashes and without the ending."""

    kind: ModelKind
    name: str
    path: Path
    root: Path | None = None
    format: ModelFormat = ModelFormat.SAFETENSORS
    family: Family = Family.UNKNOWN
    variant: str = ""
    """"" (plain), "inpaint", "pix2pix", "v-prediction", ...; what else the header tells."""
    reason: str = ""
    """A key into words when the file is not what its folder says, else ""."""
    size: int = 0
    mtime_ns: int = 0
    sha256: str | None = None
    legacy_hash: str | None = None
    vae: Path | None = None
    """A VAE of the same name beside it or in the VAE folder."""
    preview: Path | None = None
    config: Path | None = None
    """<stem>.yaml beside it."""
    notes: Path | None = None
    """<stem>.json beside it (user metadata)."""
    beside: tuple[tuple[str, int], ...] = ()
    """Names of the small files beside it that tell of it (preview, notes, description, Civitai's), with their mtime_ns:
    a card is read anew when one of them changes.
    """
    created_ns: int = 0
    """When the file came to be here, as well as the file system knows."""
    aliases: tuple[str, ...] = ()
    """Other names below a root by which the same file is reached (links, a folder given twice)."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """__metadata__ of a safetensors header, values as text."""

    @property
    def filename(self) -> str:
        """Path below the root with its ending, forward slashes: what A1111 calls name."""
        return self.name + (self.path.suffix if self.format is not ModelFormat.DIFFUSERS else "")

    @property
    def shorthash(self) -> str | None:
        """First ten hex digits of the SHA-256: A1111's Model hash."""
        return self.sha256[:10] if self.sha256 else None

    @property
    def title(self) -> str:
        """`name.safetensors [abcdef1234]`, as A1111 lists it; without the hash while that is not known."""
        return f"{self.filename} [{self.shorthash}]" if self.sha256 else self.filename

    @property
    def stem(self) -> str:
        """The last part of the name, as infotexts call the model."""
        return self.name.rsplit("/", 1)[-1]
