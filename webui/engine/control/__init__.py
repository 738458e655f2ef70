"""ControlNet: networks that read a map (line art, a pose) beside the noisy picture and guide what is drawn.

`cache.ControlCache` keeps networks; `networks` fills one from a file, whose layout `layouts` recognises; `applied` puts
units beside a model's `Denoise`; `reference` guides by a picture without any network. Preprocessors (`detect` and what
it names) make maps of pictures. May import the engine. Add a layout of files: `layouts.LAYOUTS`; a preprocessor: its
row in `catalog.detectors` and its function here.
"""

from webui.engine.control.applied import Applied, controlled
from webui.engine.control.cache import ControlCache
from webui.engine.control.layouts import UnsupportedControl
from webui.engine.control.networks import ControlMisfit, ControlNetwork, UnknownUnionType
from webui.engine.control.reference import Reference

__all__ = [
    "Applied", "ControlCache", "ControlMisfit", "ControlNetwork", "Reference", "UnknownUnionType", "UnsupportedControl",
    "controlled",
]  # fmt: skip
