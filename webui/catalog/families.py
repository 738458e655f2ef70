"""Facts of base model families that the page and the planner need without loading one. Add a family: its row."""

from collections.abc import Mapping

from webui.domain import Family

NATIVE_SIZE: Mapping[Family, int] = {
    Family.SD1: 512,
    Family.SD2: 768,
    Family.SDXL: 1024,
    Family.SDXL_REFINER: 1024,
    Family.SD3: 1024,
    Family.FLUX: 1024,
}
"""Side in pixels of the squares a family was trained at; a file may say its own."""
