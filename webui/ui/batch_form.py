"""img2img's Batch sub-tab → `Series`: uploaded pictures, or a folder of the machine the server runs on.

A folder is opened for nobody but the server's owner: the route says who that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from webui.domain import GenerationRequest
from webui.domain.errors import Refused
from webui.domain.series import Series, Turn
from webui.intake import folder
from webui.services import Services
from webui.ui.init_form import InitFieldWrong, NoInitImage, init_shape, inpaint_from

FOLDERS = (
    "img2img_batch_input_dir",
    "img2img_batch_output_dir",
    "img2img_batch_inpaint_mask_dir",
    "img2img_batch_png_info_dir",
)


class FoldersRefused(Refused):
    """Somebody who is not the server's owner named a folder."""

    key: ClassVar[str] = "folders_refused"


def series_from(values: Mapping[str, Any], request: GenerationRequest, services: Services, *, owner: bool) -> Series:
    """The batch the form asks for, checked. `owner`: whether who asks may name folders.

    Raises FoldersRefused, NoInitImage, InitFieldWrong, what `intake.folder` and `Intake.accept` raise.
    """
    by_folder = values.get("img2img_batch_source") == "folder"
    named = {id: str(values.get(id) or "").strip().strip('"') for id in FOLDERS} if by_folder else {}
    if by_folder and not owner:
        raise FoldersRefused()
    root = services.settings.path.parent
    places = {id: root / Path(text).expanduser() for id, text in named.items() if text}
    sources = _of_folder(places) if by_folder else _uploaded(values, services)
    masks = _masks(places, sources)
    shape = init_shape(values, images=(_stand_in(services),), inpaint=None)
    scale = shape.scale
    # The pictures themselves are looked at when their turn comes; what is checked now is everything else.
    init = replace(shape, scale=0.0, inpaint=inpaint_from(values, _stand_in(services)) if masks else None)
    template = services.intake.accept(replace(request, init=init))
    changes = _remembered(values, sources, places, services)
    turns = tuple(
        Turn(
            picture=source,
            name=name,
            mask=str(masks.get(name, "")),
            request=_changed(request, template, changes[source], services) if changes.get(source) else None,
        )
        for name, source in sources
    )
    output = str(places.get("img2img_batch_output_dir", ""))
    shown = services.settings.current.img2img.batch_show_results_limit
    # Below zero there is no limit, as in A1111.
    return Series(request=template, turns=turns, scale=scale, output=output, shown=shown if shown >= 0 else len(turns))


Sources = Sequence[tuple[str, str]]
"""(name without ending, blob id or absolute path) of each picture."""


def _of_folder(places: Mapping[str, Path]) -> Sources:
    where = places.get("img2img_batch_input_dir")
    if where is None:
        raise NoInitImage()
    return [(path.stem, str(path)) for path in folder.pictures_in(where)]


def _uploaded(values: Mapping[str, Any], services: Services) -> Sources:
    given = values.get("img2img_batch_pictures")
    if not isinstance(given, list) or not given:
        raise NoInitImage()
    if len(given) > folder.MOST:
        raise folder.TooManyPictures(given=len(given), most=folder.MOST)
    found: list[tuple[str, str]] = []
    for each in given:
        if not isinstance(each, dict):
            raise InitFieldWrong(field="img2img_batch_pictures", value=str(each)[:80])
        id = services.gallery.blobs.path(str(each.get("id") or "")).name
        found.append((Path(str(each.get("name") or id)).stem, id))
    return found


def _masks(places: Mapping[str, Path], sources: Sources) -> Mapping[str, Path]:
    where = places.get("img2img_batch_inpaint_mask_dir")
    return folder.masks_for([name for name, _ in sources], folder.pictures_in(where)) if where else {}


def _remembered(
    values: Mapping[str, Any], sources: Sources, places: Mapping[str, Path], services: Services
) -> dict[str, dict[str, Any]]:
    """Source → fields that its infotext, or that of the file of its name in the PNG info folder, tells of."""
    props = values.get("img2img_batch_png_info_props")
    if not values.get("img2img_batch_use_png_info") or not isinstance(props, list):
        return {}
    where = places.get("img2img_batch_png_info_dir")
    beside = {path.stem: path for path in folder.pictures_in(where)} if where else None
    settings, lookup = services.settings.current, services.names
    told: dict[str, dict[str, Any]] = {}
    for name, source in sources:
        path = beside.get(name) if beside is not None else _path(source, services)
        if path is not None and path.stat().st_size <= folder.MOST_TEXT_BYTES:
            told[source] = folder.remembered(path.read_bytes(), map(str, props), settings=settings, lookup=lookup)
    return told


def _path(source: str, services: Services) -> Path:
    path = Path(source)
    return path if path.is_absolute() else services.gallery.blobs.path(source)


def _changed(
    request: GenerationRequest, template: GenerationRequest, told: Mapping[str, Any], services: Services
) -> GenerationRequest:
    """The request for one picture: prompts go behind those of the form, everything else takes their place."""
    joined = {
        field: f"{getattr(request, field)} {value}".strip() if field in folder.APPENDED else value
        for field, value in told.items()
    }
    whole = replace(request, init=template.init, seed=template.seed, subseed=template.subseed)
    return services.intake.accept(replace(whole, **joined))


def _stand_in(services: Services) -> str:
    """A picture that takes the place of those of the batch while the request is checked."""
    return services.gallery.blobs.put_image(Image.new("L", (64, 64), 255))
