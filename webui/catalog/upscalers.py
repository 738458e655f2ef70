"""The table of upscalers that need no file: in the latent (for the second pass) and on pixels. Others are models.

Add one: a row here; `engine/upscale.py` carries it out. A model is an upscaler by lying in its folder.
"""

import difflib
from dataclasses import dataclass

from webui.catalog.catalog import Catalog
from webui.domain import Hires, ModelKind, ModelRecord, Registry
from webui.domain.errors import BadInput

ORIGIN = "webui.catalog.upscalers"


class UnknownUpscaler(BadInput):
    """Fields: name, closest (list of names)."""

    key = "unknown_upscaler"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpscalerRow:
    """One upscaler. Either `mode` (torch's interpolation of the latent) or `resample` (Pillow's, of pixels)."""

    name: str
    mode: str = ""
    antialias: bool = False
    resample: str = ""

    @property
    def latent(self) -> bool:
        """True when the latent itself is enlarged, without decoding."""
        return bool(self.mode)


ROWS = (
    UpscalerRow(name="Latent", mode="bilinear"),
    UpscalerRow(name="Latent (antialiased)", mode="bilinear", antialias=True),
    UpscalerRow(name="Latent (bicubic)", mode="bicubic"),
    UpscalerRow(name="Latent (bicubic antialiased)", mode="bicubic", antialias=True),
    UpscalerRow(name="Latent (nearest)", mode="nearest"),
    UpscalerRow(name="Latent (nearest-exact)", mode="nearest-exact"),
    UpscalerRow(name="None", resample="LANCZOS"),
    UpscalerRow(name="Lanczos", resample="LANCZOS"),
    UpscalerRow(name="Nearest", resample="NEAREST"),
)


def upscalers() -> Registry[UpscalerRow]:
    """A fresh registry of the built-in rows; plugins add theirs to it."""
    registry: Registry[UpscalerRow] = Registry()
    for row in ROWS:
        registry.add(row.name, row, origin=ORIGIN)
    return registry


UPSCALERS = upscalers()
"""The built-in rows; read it, and make your own with `upscalers()` to add to."""


def named_upscaler(catalog: Catalog, name: str) -> tuple[str, ModelRecord | None]:
    """(its own name, its file or None) for the name of a row or of a model. Raises UnknownUpscaler."""
    known = UPSCALERS.canonical(name)
    if known is not None:
        return known, None
    found = catalog.find(ModelKind.UPSCALER, name)
    if found is None:
        names = [*UPSCALERS.names(), *(record.stem for record in catalog.models(ModelKind.UPSCALER))]
        raise UnknownUpscaler(name=name, closest=difflib.get_close_matches(name, names, n=3, cutoff=0.4))
    return found.stem, found


def hires_size(hires: Hires, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(width, height) of the second pass in pixels, and those it is enlarged to before the rest is cut off.

    >>> hires_size(Hires(scale=1.5), 512, 768)
    ((768, 1152), (768, 1152))
    >>> hires_size(Hires(width=1024, height=1024), 512, 768)
    ((1024, 1024), (1024, 1536))
    """
    wide, tall = hires.width, hires.height
    if not wide and not tall:
        whole = int(width * hires.scale), int(height * hires.scale)
    elif not tall or (wide and width / height < wide / tall):
        whole = wide, wide * height // width
    else:
        whole = tall * width // height, tall
    # Cut in whole latent pixels, as A1111 does.
    cut = [(side - target) // 8 if wide and tall else 0 for side, target in zip(whole, (wide, tall), strict=True)]
    final = (whole[0] // 8 - cut[0]) * 8, (whole[1] // 8 - cut[1]) * 8
    return final, whole
