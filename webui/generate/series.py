"""A series: the same request for one picture after the other, each read when its turn comes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from webui.domain import GenerationRequest, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import BadFile, BadInput, MapleError
from webui.domain.result import Artifact
from webui.domain.series import Series, Turn
from webui.gallery.blobs import BlobGone, NotAPicture
from webui.gallery.infotext import facts_of, read
from webui.generate.bench import Bench
from webui.generate.run import run

MOST_BYTES = 512 * 2**20
"""A larger file is no picture anybody means."""


class TurnUnreadable(BadInput):
    """A picture of a series cannot be read. Fields: name, reason."""

    key: ClassVar[str] = "turn_unreadable"


def run_series(series: Series, *, settings: Mapping[str, Any], reporter: Reporter, bench: Bench) -> Result:
    """Every turn's pictures; what cannot be read is told of and left out. Skip goes on with the next picture.

    The first `shown` pictures are handed back, the others only saved. Raises what making a picture raises, and
    TurnUnreadable when not one of the pictures could be read.
    """
    artifacts: list[Artifact] = []
    infos: list[Mapping[str, Any]] = []
    earlier = [each for each in reporter.finished() if not each.beside]
    made, broken = 0, None
    for number, turn in enumerate(series.turns):
        match reporter.wish():
            case Wish.SHUTDOWN:
                raise ShuttingDown
            case Wish.STOP | Wish.FINISH:
                return _result(artifacts, infos, series, reporter, made=made, stopped=True)
            case _:
                pass
        try:
            request = asked(series, turn, bench)
        except (OSError, NotAPicture, BlobGone, BadFile) as error:
            broken = TurnUnreadable(name=turn.name, reason=_reason(error))
            reporter.note(broken.key, **broken.fields)
            continue
        one = _OneTurn(reporter, number=number, turns=len(series.turns), earlier=_taken(earlier, request))
        result = run(request, settings=_into(settings, series, turn, request), reporter=one, bench=bench)
        made += len(result.artifacts)
        kept = [_reachable(artifact, bench) for artifact in result.artifacts[: series.shown - len(artifacts)]]
        artifacts += kept
        infos.append(result.info)
        for artifact in kept:
            reporter.artifact(artifact)
        if result.stopped:
            return _result(artifacts, infos, series, reporter, made=made, stopped=True)
    if broken is not None and not made:
        raise broken
    return _result(artifacts, infos, series, reporter, made=made, stopped=False)


def asked(series: Series, turn: Turn, bench: Bench) -> GenerationRequest:
    """The request of one turn, its pictures kept as blobs. Raises OSError, NotAPicture, BlobGone."""
    request = turn.request or series.request
    assert request.init is not None
    blobs = bench.gallery.blobs
    picture = _blob(turn.picture, bench)
    inpaint = request.init.inpaint
    if inpaint is not None:
        inpaint = replace(inpaint, mask=_blob(turn.mask, bench)) if turn.mask else None
    if series.scale:
        width, height = (max(64, int(side * series.scale) // 8 * 8) for side in blobs.size(picture))
        request = replace(request, width=width, height=height)
    assert request.init is not None
    # A result grid of one picture's variants would stand between the pictures.
    return replace(request, save_grid=False, init=replace(request.init, images=(picture,), inpaint=inpaint))


def _blob(source: str, bench: Bench) -> str:
    path = Path(source)
    if not path.is_absolute():
        return bench.gallery.blobs.path(source).name
    # It was a plain file when the series was asked for; what was put in its place since is not followed.
    if path.is_symlink() or path.stat().st_size > MOST_BYTES:
        raise NotAPicture(reason=path.name)
    return bench.gallery.blobs.put(path.read_bytes())


def _into(settings: Mapping[str, Any], series: Series, turn: Turn, request: GenerationRequest) -> Mapping[str, Any]:
    """The settings of one turn: where its results go and what they are called."""
    if not series.output:
        return settings
    name = turn.name.replace("[", "(").replace("]", ")")  # brackets are tokens of a file name's pattern
    several = request.batch_size * request.batch_count > 1
    return {
        **settings,
        "paths.outdir_samples": "",
        "paths.outdir_img2img_samples": series.output,
        "saving.save_to_dirs": False,
        "saving.samples_filename_pattern": f"{name}-[generation_number]" if several else name,
        "saving.save_images_add_number": False,
    }


def _reachable(artifact: Artifact, bench: Bench) -> Artifact:
    """The picture where the page may fetch it: pictures in a folder of the person's choice are shown from a copy."""
    if bench.gallery.within(artifact.path) is not None:
        return artifact
    with Image.open(artifact.path) as image:
        image.load()
        return bench.gallery.blob(image, fields=facts_of(read(artifact.infotext)), infotext=artifact.infotext)


def _taken(earlier: list[Artifact], request: GenerationRequest) -> tuple[Artifact, ...]:
    """What an attempt before this one had finished of a turn: as many pictures as it makes, from the front."""
    count = request.batch_size * request.batch_count
    taken, earlier[:] = tuple(earlier[:count]), earlier[count:]
    return taken if len(taken) == count else ()


def _result(
    artifacts: list[Artifact], infos: list[Mapping[str, Any]], series: Series, reporter: Reporter, *, made: int,
    stopped: bool,
) -> Result:  # fmt: skip
    if made > len(artifacts):
        reporter.note("series_more_made", made=made, shown=len(artifacts))
    return Result(artifacts=tuple(artifacts), info=infos[0] if infos else {}, stopped=stopped)


def _reason(error: Exception) -> str:
    if isinstance(error, MapleError):
        return str(error.fields.get("reason", error.key))
    return str(error.__class__.__name__ if not isinstance(error, OSError) else error.strerror or error)


class _OneTurn:
    """What one turn speaks through: its steps are a part of the whole series', its grid and notes pass on."""

    def __init__(self, reporter: Reporter, *, number: int, turns: int, earlier: tuple[Artifact, ...]) -> None:
        self._reporter, self._number, self._turns, self._earlier = reporter, number, turns, earlier

    def report(self, progress: Progress) -> None:
        self._reporter.report(
            replace(
                progress,
                batch=self._number * progress.batches + progress.batch,
                batches=self._turns * progress.batches,
                done=self._number * progress.total + progress.done,
                total=self._turns * progress.total,
            )
        )

    def preview_wanted(self, step: int) -> bool:
        return self._reporter.preview_wanted(step)

    def preview(self, picture: bytes, media_type: str) -> None:
        self._reporter.preview(picture, media_type)

    def artifact(self, artifact: Artifact) -> None:
        """Told of by the series, once it is known where the page can fetch it."""

    def note(self, key: str, **fields: Any) -> None:
        self._reporter.note(key, **fields)

    def finished(self) -> tuple[Artifact, ...]:
        return self._earlier

    def wish(self) -> Wish:
        return self._reporter.wish()

    def served(self, wish: Wish) -> None:
        self._reporter.served(wish)
