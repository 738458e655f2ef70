"""One picture and the preprocessor that makes a map of it, without generating."""

from dataclasses import dataclass

from webui.domain.controlnet import ControlResize


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectRequest:
    """A map of one picture. Blob ids name pictures; -1 is the preprocessor's own default."""

    image: str
    module: str
    """The preprocessor (`catalog.detectors`), by its name or an older one."""
    resolution: int = -1
    """Shorter side in pixels, 64 to 2048."""
    threshold_a: float = -1
    threshold_b: float = -1
    mask: str = ""
    """White is what the map says something about."""
    width: int = 0
    """Size of what will be drawn, for `pixel_perfect`; 0: the picture's own."""
    height: int = 0
    resize_mode: ControlResize = ControlResize.CROP
    pixel_perfect: bool = False
    """The resolution follows from picture and target."""
    save: bool = False
    """Write the map to the folder of maps."""
