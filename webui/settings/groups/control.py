"""ControlNet: how many units, what stays in memory, what becomes of the maps. Keys and defaults are
sd-webui-controlnet's.
"""

from dataclasses import dataclass
from typing import Annotated

from webui.domain.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlNet:
    """The units of the ControlNet tab and what is kept of their maps."""

    unit_count: Annotated[
        int,
        Control("Multi-ControlNet: ControlNet unit number", lo=1, hi=10, a1111="control_net_unit_count", restart=True),
    ] = 3
    model_cache_size: Annotated[int, Control("Model cache size", lo=1, hi=10, a1111="control_net_model_cache_size")] = 2
    inpaint_blur_sigma: Annotated[
        int,
        Control("ControlNet inpainting Gaussian blur sigma", lo=0, hi=64, a1111="control_net_inpaint_blur_sigma"),
    ] = 7
    no_detectmap: Annotated[bool, Control("Do not append detectmap to output", a1111="control_net_no_detectmap")] = (
        False
    )
    detectmap_autosaving: Annotated[
        bool, Control("Allow detectmap auto saving", a1111="control_net_detectmap_autosaving")
    ] = False
    detectedmap_dir: Annotated[
        str,
        Control(
            "Directory for detected maps auto saving",
            a1111="control_net_detectedmap_dir",
            locked=True,
            info="below the pictures' folder, unless it is a full path",
        ),
    ] = "detected_maps"
    sync_field_args: Annotated[
        bool, Control("Paste ControlNet parameters in infotext", a1111="control_net_sync_field_args")
    ] = True
    ignore_noninpaint_mask: Annotated[
        bool,
        Control(
            "Ignore mask on ControlNet input image if control type is not inpaint",
            a1111="controlnet_ignore_noninpaint_mask",
        ),
    ] = False
