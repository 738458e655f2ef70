"""A series makes every picture of a folder, tells of what it cannot read, and hands back only what is shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.domain import Artifact, GenerationRequest, Init, Inpaint, Progress, Result, Series, Turn, Wish
from webui.gallery.save import Gallery
from webui.generate import series as module
from webui.generate.series import TurnUnreadable, asked, run_series
from webui.settings import Settings, flat

pytestmark = pytest.mark.torch


@dataclass
class Told:
    """A reporter that remembers."""

    wished: Wish = Wish.NONE
    earlier: tuple[Artifact, ...] = ()
    progress: list[Progress] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)

    def preview_wanted(self, step: int) -> bool:
        return False

    def preview(self, picture: bytes, media_type: str) -> None:
        raise AssertionError

    def artifact(self, artifact: Artifact) -> None:
        self.artifacts.append(artifact)

    def note(self, key: str, **fields: Any) -> None:
        self.notes.append(key)

    def finished(self) -> tuple[Artifact, ...]:
        return self.earlier

    def wish(self) -> Wish:
        return self.wished

    def served(self, wish: Wish) -> None: ...


@dataclass
class Tools:
    """What a series needs of a bench."""

    gallery: Gallery


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    return Tools(Gallery(Settings, tmp_path / "root"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "一批"
    made.mkdir()
    for number in range(4):
        Image.new("RGB", (64 + 8 * number, 64), (number * 60, 9, 9)).save(made / f"p[{number}].png")
    (made / "p[2].png").write_bytes(b"no picture")
    return made


Ran = list[tuple[GenerationRequest, Mapping[str, Any]]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, bench: Any) -> Ran:
    """Stands for the model: saves a picture of the asked size where the settings say."""
    calls: Ran = []

    def run(request: GenerationRequest, *, settings: Mapping[str, Any], reporter: Any, bench: Any) -> Result:
        calls.append((request, settings))
        if len(reporter.finished()) == request.batch_size:
            return Result(artifacts=reporter.finished())
        reporter.report(Progress(step=2, steps=4, batches=1, done=2, total=5))
        out = bench.gallery.folder("img2img") if not settings["paths.outdir_img2img_samples"].startswith("/") else None
        folder = out or Path(settings["paths.outdir_img2img_samples"])
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for copy in range(request.batch_size):
            path = folder / f"{settings['saving.samples_filename_pattern'] or 'x'}{len(calls)}{copy}.png"
            Image.new("RGB", (request.width, request.height)).save(path)
            made.append(Artifact(path=str(path), width=request.width, height=request.height, seed=request.seed))
        for artifact in made:
            reporter.artifact(artifact)
        return Result(artifacts=tuple(made), info={"n": len(calls)})

    monkeypatch.setattr(module, "run", run)
    return calls


def asking(folder: Path, **more: Any) -> Series:
    request = GenerationRequest(width=128, height=128, seed=7, init=Init(images=()))
    turns = tuple(Turn(picture=str(path), name=path.stem) for path in sorted(folder.iterdir()))
    return Series(request=request, turns=turns, **more)


def test_every_picture_gets_its_turn_and_a_broken_one_is_told_of(folder: Path, bench: Any, ran: Ran) -> None:
    told = Told()
    result = run_series(asking(folder), settings=flat(Settings()), reporter=told, bench=bench)
    assert len(result.artifacts) == 3
    assert told.artifacts == list(result.artifacts)
    assert told.notes == ["turn_unreadable"]
    sizes = [bench.gallery.blobs.size(request.init.images[0]) for request, _ in ran if request.init]
    assert sizes == [(64, 64), (72, 64), (88, 64)]
    assert {request.seed for request, _ in ran} == {7}


def test_a_scale_is_of_each_picture(folder: Path, bench: Any, ran: Ran) -> None:
    run_series(asking(folder, scale=2.0), settings=flat(Settings()), reporter=Told(), bench=bench)
    assert [(request.width, request.height) for request, _ in ran] == [(128, 128), (144, 128), (176, 128)]


def test_results_carry_the_pictures_names_into_the_folder_chosen(
    folder: Path, bench: Any, ran: Ran, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = run_series(asking(folder, output=str(out)), settings=flat(Settings()), reporter=Told(), bench=bench)
    assert [settings["saving.samples_filename_pattern"] for _, settings in ran] == ["p(0)", "p(1)", "p(3)"]
    assert len(list(out.iterdir())) == 3
    # The page fetches a copy: a folder of the person's choice is not served.
    assert all(bench.gallery.within(artifact.path) for artifact in result.artifacts)


def test_only_the_first_results_are_handed_back(folder: Path, bench: Any, ran: Ran) -> None:
    told = Told()
    result = run_series(asking(folder, shown=1), settings=flat(Settings()), reporter=told, bench=bench)
    assert (len(ran), len(result.artifacts), len(told.artifacts)) == (3, 1, 1)
    assert "series_more_made" in told.notes


def test_progress_counts_the_whole_series(folder: Path, bench: Any, ran: Ran) -> None:
    told = Told()
    run_series(asking(folder), settings=flat(Settings()), reporter=told, bench=bench)
    assert [(progress.done, progress.total, progress.batch, progress.batches) for progress in told.progress] == [
        (2, 20, 0, 4), (7, 20, 1, 4), (17, 20, 3, 4),
    ]  # fmt: skip


def test_stop_ends_the_series_and_keeps_what_was_made(folder: Path, bench: Any, ran: Ran) -> None:
    result = run_series(asking(folder), settings=flat(Settings()), reporter=Told(wished=Wish.STOP), bench=bench)
    assert (result.stopped, ran) == (True, [])


def test_a_server_that_died_goes_on_where_it_was(folder: Path, bench: Any, ran: Ran) -> None:
    told = Told()
    first = run_series(asking(folder), settings=flat(Settings()), reporter=told, bench=bench)
    again = Told(earlier=first.artifacts[:2])
    result = run_series(asking(folder), settings=flat(Settings()), reporter=again, bench=bench)
    assert result.artifacts[:2] == first.artifacts[:2]
    assert len(result.artifacts) == 3


def test_a_mask_belongs_to_its_picture(folder: Path, bench: Any) -> None:
    Image.new("L", (64, 64), 255).save(folder / "mask.png")
    series = asking(folder)
    shape = replace(series.request, init=Init(images=(), inpaint=Inpaint(mask="")))
    series = replace(series, request=shape)
    with_mask = asked(series, replace(series.turns[0], mask=str(folder / "mask.png")), bench)
    without = asked(series, series.turns[1], bench)
    assert (
        with_mask.init and with_mask.init.inpaint and bench.gallery.blobs.size(with_mask.init.inpaint.mask) == (64, 64)
    )
    assert without.init and without.init.inpaint is None


def test_a_link_put_in_a_pictures_place_is_not_followed(folder: Path, bench: Any, tmp_path: Path, ran: Ran) -> None:
    outside = tmp_path / "outside.png"
    Image.new("RGB", (64, 64)).save(outside)
    series = asking(folder)
    (folder / "p[0].png").unlink()
    (folder / "p[0].png").symlink_to(outside)
    told = Told()
    run_series(series, settings=flat(Settings()), reporter=told, bench=bench)
    assert (len(ran), told.notes) == (2, ["turn_unreadable", "turn_unreadable"])


def test_a_series_of_nothing_readable_fails_with_a_sentence(tmp_path: Path, bench: Any, ran: Ran) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"x")
    with pytest.raises(TurnUnreadable):
        run_series(asking(tmp_path / "bad"), settings=flat(Settings()), reporter=Told(), bench=bench)
