"""A picture to its map, as a job: what ControlNet's preprocessors make, without a picture being drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.catalog.detectors import DetectorRow, find_detector
from webui.domain import Artifact, ControlResize, DetectRequest, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import BadInput
from webui.engine.cache import ModelCache
from webui.engine.control.detect import Detected, Maps, check_size
from webui.engine.control.pixels import mask_shown
from webui.engine.control.pose import MOST_PEOPLE
from webui.engine.resize import flattened, upright
from webui.gallery.infotext import InfotextFields
from webui.gallery.save import Gallery
from webui.settings import Settings, flat, from_flat


class MaskNeeded(BadInput):
    """A preprocessor whose map is made of a mask was given none. Fields: detector."""

    key = "mask_needed"


class _Bench(Protocol):
    """What of a worker's bench this needs."""

    @property
    def gallery(self) -> Gallery: ...
    @property
    def models(self) -> ModelCache: ...
    @property
    def maps(self) -> Maps: ...
    @property
    def annotators(self) -> tuple[Path, ...]: ...


def run_detect(request: DetectRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: _Bench) -> Result:
    """The job: one map; `info["poses"]` holds what was found of people as OpenPose JSON, in pixels of the map.

    Raises UnknownDetector, DetectorLeftOut, BlobGone, MaskNeeded and what `engine.control.detect` raises.
    """
    row = find_detector(request.module)
    blobs = bench.gallery.blobs
    check_size(*blobs.size(request.image))
    if row.takes_mask and not request.mask:
        raise MaskNeeded(detector=row.name)
    match reporter.wish():
        case Wish.SHUTDOWN:
            raise ShuttingDown
        case Wish.STOP | Wish.FINISH | Wish.SKIP:
            return Result(stopped=True)
        case _:
            reporter.report(Progress(phase="detecting", done=0, total=1))
    picture = np.asarray(_on_white(blobs.open(request.image)))
    with bench.models.lease():
        made = bench.maps.detect(
            row, picture, resolution=resolution_of(request, picture), a=request.threshold_a, b=request.threshold_b,
            folders=bench.annotators, device=bench.models.device,
        )  # fmt: skip
    for key, fields in made.notes:
        reporter.note(key, **fields)
    shown = _shown(row, made, request, bench.gallery, reporter)
    artifact = _kept(shown, row, request, from_flat(settings), bench.gallery)
    reporter.artifact(artifact)
    info = {} if made.poses is None else {"poses": [poses_of(made)]}
    return Result(artifacts=(artifact,), info=info)


def poses_of(made: Detected) -> dict[str, Any]:
    """sd-webui-controlnet's object of the people found; those beyond what can be read again are left out."""
    height, width = made.map.shape[:2]
    people = list(made.poses or ())[:MOST_PEOPLE]
    return {"people": people, "animals": [], "canvas_height": height, "canvas_width": width}


def resolution_of(request: DetectRequest, picture: NDArray[np.uint8]) -> int:
    """Pixels of the shorter side; -1 for the row's own. Pixel perfect: what fills, or fits, the size to be drawn."""
    if not request.pixel_perfect:
        return request.resolution
    height, width = picture.shape[:2]
    across, down = (request.width or width) / width, (request.height or height) / height
    scale = min(across, down) if request.resize_mode is ControlResize.FILL else max(across, down)
    return round(scale * min(width, height))


def _shown(
    row: DetectorRow, made: Detected, request: DetectRequest, gallery: Gallery, reporter: Reporter
) -> Image.Image:
    if not row.takes_mask:
        return Image.fromarray(made.map)
    mask = _on_white(gallery.blobs.open(request.mask)).getchannel(0)
    size = made.map.shape[1], made.map.shape[0]
    if mask.size != size:
        told = {"mask": "{}×{}".format(*mask.size), "picture": "{}×{}".format(*size)}
        reporter.note("mask_misfit", **told)
        mask = mask.resize(size, Image.Resampling.BILINEAR)
    return Image.fromarray(mask_shown(made.map, np.asarray(mask)))


def _kept(
    shown: Image.Image, row: DetectorRow, request: DetectRequest, settings: Settings, gallery: Gallery
) -> Artifact:
    fields = InfotextFields(width=shown.width, height=shown.height)
    if not request.save:
        return gallery.blob(shown, fields=fields, settings=settings)
    below = Path(settings.control.detectedmap_dir).expanduser() / row.name
    into = {
        "paths.outdir_samples": str(gallery.folder("txt2img", settings=settings) / below),
        "saving.save_to_dirs": False, "saving.samples_filename_pattern": row.name,
        "saving.save_images_add_number": True,
    }  # fmt: skip
    settings = from_flat({**flat(settings), **into})
    return gallery.save(shown, fields=fields, infotext="", settings=settings)


def _on_white(image: Image.Image) -> Image.Image:
    """RGB, upright; what is seen through lies on white, as drawings do and as a run takes it."""
    return flattened(upright(image), "#ffffff")
