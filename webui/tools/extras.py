"""Extras: pictures enlarged by one upscaler, or by two blended, as jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

from PIL import Image, ImageOps

from webui.catalog import Catalog
from webui.catalog.upscalers import UPSCALERS, named_upscaler
from webui.domain import Artifact, ExtrasRequest, ModelRecord, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import BadInput, MapleError, UnreadablePicture
from webui.engine.cache import ModelCache
from webui.engine.upscale import Grow, OnTile, Tiles, by_pillow, grown
from webui.gallery.blobs import BlobGone, NotAPicture
from webui.gallery.infotext import InfotextFields
from webui.gallery.metadata import PictureInfo, open_picture, read_picture
from webui.gallery.save import Gallery
from webui.settings import Settings, from_flat

MOST_BYTES = 512 * 2**20
"""A larger file is no picture anybody means."""


class _Bench(Protocol):
    """What of a worker's bench this needs."""

    @property
    def catalog(self) -> Catalog: ...
    @property
    def gallery(self) -> Gallery: ...
    @property
    def models(self) -> ModelCache: ...


def run_extras(request: ExtrasRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: _Bench) -> Result:
    """The job: every picture enlarged, kept with what its own infotext told. What cannot be read is told of and left
    out; Skip goes on with the next picture, also in the middle of one.

    Raises NoPictureReadable when not one could be read, UnknownUpscaler, NoUpscaler, OutOfMemory, DiskFull.
    """
    in_force = from_flat(settings)
    shown: list[Artifact] = list(reporter.finished())
    earlier, made, unread = len(shown), len(shown), None
    with bench.models.lease():
        for number, source in enumerate(request.images):
            if number < earlier:
                continue
            match reporter.wish():
                case Wish.SHUTDOWN:
                    raise ShuttingDown
                case Wish.STOP | Wish.FINISH:
                    return _result(shown, made, reporter, stopped=True)
                case Wish.SKIP:
                    reporter.served(Wish.SKIP)
                case _:
                    pass
            turn = _Turn(reporter, number=number, of=len(request.images), pieces=_pieces(request))
            try:
                artifact = _made(source, _name(request, number), request, in_force, bench, turn)
            except (OSError, NotAPicture, BlobGone, UnreadablePicture) as error:
                unread = NoPictureReadable(name=Path(source).name, reason=_reason(error))
                reporter.note("turn_unreadable", **unread.fields)
                continue
            except _LeftOut:
                continue
            except _Ended:
                return _result(shown, made, reporter, stopped=True)
            made += 1
            if len(shown) < request.shown:
                reporter.artifact(artifact)
                shown.append(artifact)
    if unread is not None and not made:
        raise unread
    return _result(shown, made, reporter, stopped=False)


def _result(shown: Sequence[Artifact], made: int, reporter: Reporter, *, stopped: bool) -> Result:
    if made > len(shown):
        reporter.note("extras_more_made", made=made, shown=len(shown))
    return Result(artifacts=tuple(shown), info={"html_info": shown[-1].infotext if shown else ""}, stopped=stopped)


class NoPictureReadable(BadInput):
    """Fields: name, reason."""

    key: ClassVar[str] = "turn_unreadable"


def _reason(error: Exception) -> str:
    if isinstance(error, MapleError):
        return str(error.fields.get("reason", error.key))
    return str(error.strerror or error) if isinstance(error, OSError) else type(error).__name__


class _Ended(Exception):
    """The person wants no more of it."""


class _LeftOut(Exception):
    """The person wants the next picture."""


class _Turn:
    """One picture's progress within the whole job, in `pieces` applications of upscalers; and the ear that is kept open
    between tiles.
    """

    def __init__(self, reporter: Reporter, *, number: int, of: int, pieces: int) -> None:
        self._reporter, self._number, self._of, self._pieces = reporter, number, of, pieces
        self._begun = 0  # applications

    def listen(self) -> None:
        """Raises ShuttingDown, _Ended, _LeftOut."""
        match self._reporter.wish():
            case Wish.SHUTDOWN:
                raise ShuttingDown
            case Wish.STOP:
                raise _Ended
            case Wish.SKIP:
                self._reporter.served(Wish.SKIP)
                raise _LeftOut
            case _:
                pass

    def report(self, part: float) -> None:
        """Say how far it is: `part` of this picture, 0 to 1."""
        done = int(WHOLE * (self._number + min(1.0, part)))
        self._reporter.report(
            Progress(phase="upscaling", batch=self._number, batches=self._of, done=done, total=WHOLE * self._of)
        )

    def at(self, done: int, of: int) -> None:
        """Before a tile of an application. Raises as `listen`."""
        self.listen()
        self._begun += not done
        self.report((self._begun - 1 + done / of) / self._pieces)


WHOLE = 1000
"""Steps of progress that a picture counts."""


def _pieces(request: ExtrasRequest) -> int:
    return 2 if request.second_upscaler != "None" and request.second_visibility > 0 else 1


def _name(request: ExtrasRequest, number: int) -> str:
    return request.names[number] if number < len(request.names) else ""


def _bytes(source: str, bench: _Bench) -> bytes:
    """A picture's file. Raises OSError, BlobGone, NotAPicture."""
    path = Path(source)
    if not path.is_absolute():
        return bench.gallery.blobs.path(source).read_bytes()
    # It was a plain file when the job was asked for; what was put in its place since is not followed.
    if path.is_symlink() or path.stat().st_size > MOST_BYTES:
        raise NotAPicture(reason=path.name)
    return path.read_bytes()


def _made(
    source: str, name: str, request: ExtrasRequest, settings: Settings, bench: _Bench, turn: _Turn
) -> Artifact:  # fmt: skip
    data = _bytes(source, bench)
    told = read_picture(data)
    picture = ImageOps.exif_transpose(open_picture(data)).convert("RGB")
    turn.report(0)
    picture, facts = enlarged(picture, request, settings, bench, on_tile=turn.at)
    line = ", ".join(f"{name}: {value}" for name, value in facts.items())
    fields = InfotextFields(width=picture.width, height=picture.height)
    if request.save:
        artifact = bench.gallery.save(
            picture, fields=fields, infotext=told.infotext, request_json=told.maple or None, kind="extras",
            settings=_into(settings, request, name), chunks=_chunks(told, line),
        )  # fmt: skip
        if bench.gallery.within(artifact.path) is None:
            # A folder of the person's choice is not served: the page is shown a copy.
            artifact = replace(bench.gallery.blob(picture, fields=fields, settings=settings), saved=True)
    else:
        artifact = bench.gallery.blob(picture, fields=fields, infotext=told.infotext, settings=settings)
    return replace(artifact, infotext="\n".join(filter(None, (told.infotext, line))))


def _chunks(told: PictureInfo, line: str) -> dict[str, str]:
    """What the file told beside its infotext, and what was done to it now."""
    return {**told.items, **({"postprocessing": line} if line else {})}


def _into(settings: Settings, request: ExtrasRequest, name: str) -> Settings:
    """Where Extras saves, as A1111: no dated folders, and for batches the source's own name. Nothing is replaced."""
    saving = replace(settings.saving, save_to_dirs=False, samples_filename_pattern="[none]")
    if name and settings.saving.use_original_name_batch:
        plain = name.replace("[", "(").replace("]", ")")  # brackets are tokens of a file name's pattern
        saving = replace(
            saving, samples_filename_pattern=plain, save_images_add_number=False,
            save_images_replace_action="Add number suffix",
        )  # fmt: skip
    elif not settings.saving.save_images_add_number:
        saving = replace(saving, save_images_add_number=True)
    paths = settings.paths
    if request.output:
        paths = replace(paths, outdir_samples="", outdir_extras_samples=request.output)
    return replace(settings, saving=saving, paths=paths)


def enlarged(
    picture: Image.Image, request: ExtrasRequest, settings: Settings, bench: _Bench, *,
    on_tile: OnTile = lambda _done, _all: None,
) -> tuple[Image.Image, dict[str, object]]:  # fmt: skip
    """An RGB picture at the asked size, and what was done by A1111's names. "None" leaves it as it is."""
    name, model = named_upscaler(bench.catalog, request.upscaler)
    if name == "None":
        return picture, {}
    size, crop, facts = target_of(picture.size, request)
    one = _by(name, model, picture, size, settings, bench, on_tile)
    facts["Postprocess upscaler"] = name
    second, second_model = named_upscaler(bench.catalog, request.second_upscaler)
    if second != "None" and request.second_visibility > 0:
        other = _by(second, second_model, picture, size, settings, bench, on_tile)
        one = Image.blend(one, other, request.second_visibility)
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
    bench: _Bench, on_tile: OnTile,
) -> Image.Image:  # fmt: skip
    """The picture grown until both sides reach `size`, proportions kept."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    return grown(picture, scale, _grow(name, model, scale, settings, bench, on_tile))


def _grow(
    name: str, model: ModelRecord | None, scale: float, settings: Settings, bench: _Bench, on_tile: OnTile
) -> Grow:
    if model is not None:
        tiles = Tiles(side=settings.upscaling.tile, overlap=settings.upscaling.tile_overlap)
        return partial(bench.models.upscaler(model).grow, tiles=tiles, on_tile=on_tile)
    row = UPSCALERS.find(name)
    assert row is not None, "the name was looked up"
    return by_pillow(row, scale)


def _cut(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of the picture on a canvas of `size`."""
    canvas = Image.new("RGB", size)
    canvas.paste(picture, (size[0] // 2 - picture.width // 2, size[1] // 2 - picture.height // 2))
    return canvas
