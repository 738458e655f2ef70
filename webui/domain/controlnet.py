"""One ControlNet unit: a picture, how its map is made, and how strongly the map guides the drawing."""

from dataclasses import dataclass
from enum import StrEnum


class ControlMode(StrEnum):
    """Who wins where prompt and map disagree; the order is sd-webui-controlnet's numbering, 0 to 2."""

    BALANCED = "Balanced"
    PROMPT = "My prompt is more important"
    CONTROL = "ControlNet is more important"


class ControlResize(StrEnum):
    """How a unit's picture comes to the size of what is drawn; the order is sd-webui-controlnet's numbering, 0 to 2."""

    STRETCH = "Just Resize"
    CROP = "Crop and Resize"
    FILL = "Resize and Fill"


class ControlHires(StrEnum):
    """Which pass of a hires run a unit guides."""

    BOTH = "Both"
    LOW = "Low res only"
    HIGH = "High res only"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlUnit:
    """A unit that is switched on; those that are off are not part of a request. Blob ids name pictures."""

    module: str = "none"
    """The preprocessor (`catalog.detectors`), by its name or an older one."""
    model: str = ""
    """Name, title or hash; "" where the preprocessor needs none (reference-only)."""
    image: str = ""
    """Blob id; "": the picture that img2img starts from."""
    mask: str = ""
    """Blob id of a mask of the unit's own: white is what the map says something about."""
    weight: float = 1.0
    """0 to 2."""
    start: float = 0.0
    """Fraction of the steps, 0 to 1, from which on it guides."""
    end: float = 1.0
    mode: ControlMode = ControlMode.BALANCED
    resize_mode: ControlResize = ControlResize.CROP
    resolution: int = -1
    """Shorter side in pixels the preprocessor works at, 64 to 2048; -1: its own default."""
    threshold_a: float = -1
    """The preprocessor's own dials; -1: its default."""
    threshold_b: float = -1
    pixel_perfect: bool = False
    """The resolution follows from picture and target."""
    low_vram: bool = False
    """The network leaves the device after each pass."""
    hires: ControlHires = ControlHires.BOTH
    crop_with_inpaint: bool = True
    """With "Only masked", the unit's picture is cut out as the init image is."""
    save_map: bool = True
    """The map is shown, and saved where the settings say, beside the results."""
    layer_weights: tuple[float, ...] = ()
    """12 or 13 factors, one per residual from the outermost in; (): by `mode`."""
    region: str = ""
    """Blob id of a mask of where the unit has effect; "": everywhere."""
    union_type: str = ""
    """What a union network is to take the map for; "": by the preprocessor."""
