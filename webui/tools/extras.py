"""Extras: pictures enlarged by one upscaler, or by two blended, as jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from PIL import Image

from webui.catalog import Catalog
from webui.catalog.upscalers import UPSCALERS, named_upscaler
from webui.domain import Artifact, ExtrasRequest, ModelRecord, Progress, Reporter, Result, ShuttingDown, Wish
from webui.engine.cache import ModelCache
from webui.engine.upscale import Grow, Tiles, by_pillow, grown
from webui.gallery.infotext import InfotextFields
from webui.gallery.metadata import read_picture
from webui.gallery.save import Gallery
from webui.settings import Settings, from_flat


class _Bench(Protocol):
    """What of a worker's bench this needs."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def gallery(self) -> Gallery: ...
    @property
    def models(self) -> ModelCache: ...


def run_extras(request: ExtrasRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: _Bench) -> Result:
    """The job: every picture enlarged, kept with what its own infotext told.

    Raises BlobGone, UnknownUpscaler, NoUpscaler, OutOfMemory, DiskFull.
    """
    in_force = from_flat(settings)
    done: list[Artifact] = list(reporter.finished())
    with bench.models.lease():
        for number, id in enumerate(request.images):
            if number < len(done):
                continue
            match reporter.wish():
                case Wish.SHUTDOWN:
                    raise ShuttingDown
                case Wish.STOP | Wish.FINISH:
                    return Result(artifacts=tuple(done), stopped=True)
                case _:
                    pass
            reporter.report(Progress(phase="upscaling", done=number, total=len(request.images)))
            artifact = _made(id, request, in_force, bench)
            reporter.artifact(artifact)
            done.append(artifact)
    return Result(artifacts=tuple(done), info={"html_info": _facts_shown(done)})


def _made(id: str, request: ExtrasRequest, settings: Settings, bench: _Bench) -> Artifact:
    picture = bench.gallery.blobs.open(id)
    told = read_picture(bench.gallery.blobs.path(id).read_bytes()).infotext or ""
    picture, facts = enlarged(picture.convert("RGB"), request, settings, bench)
    line = ", ".join(f"{name}: {value}" for name, value in facts.items())
    keep = bench.gallery.save if request.save else bench.gallery.blob
    more: dict[str, Any] = {"kind": "extras", "chunks": {"postprocessing": line}} if request.save else {}
    fields = InfotextFields(width=picture.width, height=picture.height)
    artifact = keep(picture, fields=fields, infotext=told, settings=settings, **more)
    return replace(artifact, infotext="\n".join(filter(None, (told, line))))


def enlarged(
    picture: Image.Image, request: ExtrasRequest, settings: Settings, bench: _Bench
) -> tuple[Image.Image, dict[str, object]]:
    """An RGB picture at the asked size, and what was done by A1111's names. "None" leaves it as it is."""
    name, model = named_upscaler(bench.catalog, request.upscaler)
    if name == "None":
        return picture, {}
    size, crop, facts = target_of(picture.size, request)
    one = _by(name, model, picture, size, settings, bench)
    facts["Postprocess upscaler"] = name
    second, second_model = named_upscaler(bench.catalog, request.second_upscaler)
    if second != "None" and request.second_visibility > 0:
        one = Image.blend(one, _by(second, second_model, picture, size, settings, bench), request.second_visibility)
        facts |= {"Postprocess upscaler 2": second}
    if crop:
        one = _cut(one, size)
        facts["Postprocess crop to"] = f"{size[0]}x{size[1]}"
    return one, facts


def target_of(size: tuple[int, int], request: ExtrasRequest) -> tuple[tuple[int, int], bool, dict[str, object]]:
    """(width, height) to reach on both sides, whether the rest is cut off, and the facts told.

    >>> target_of((64, 32), ExtrasRequest(images=(), scale=4, max_side=128))[0]
    (128, 64)
    """
    width, height = size
    if request.width and request.height:
        return (request.width, request.height), request.crop, {
            "Postprocess upscale to": f"{request.width}x{request.height}"
        }  # fmt: skip
    facts: dict[str, object] = {"Postprocess upscale by": request.scale}
    scale = request.scale
    if request.max_side and max(size) * scale > request.max_side:
        scale = request.max_side / max(size)
        facts["Max side length"] = request.max_side
    return (int(width * scale), int(height * scale)), False, facts


def _by(
    name: str, model: ModelRecord | None, picture: Image.Image, size: tuple[int, int], settings: Settings,
    bench: _Bench,
) -> Image.Image:  # fmt: skip
    """The picture grown until both sides reach `size`, proportions kept."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    return grown(picture, scale, _grow(name, model, scale, settings, bench))


def _grow(name: str, model: ModelRecord | None, scale: float, settings: Settings, bench: _Bench) -> Grow:
    if model is not None:
        tiles = Tiles(side=settings.upscaling.tile, overlap=settings.upscaling.tile_overlap)
        return partial(bench.models.upscaler(model).grow, tiles=tiles)
    row = UPSCALERS.find(name)
    assert row is not None, "the name was looked up"
    return by_pillow(row, scale)


def _cut(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of the picture on a canvas of `size`."""
    canvas = Image.new("RGB", size)
    canvas.paste(picture, (size[0] // 2 - picture.width // 2, size[1] // 2 - picture.height // 2))
    return canvas


def _facts_shown(done: Sequence[Artifact]) -> str:
    return done[-1].infotext if done else ""
