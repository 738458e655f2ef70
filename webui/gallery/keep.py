"""The Save button: chosen pictures once more into a folder of their own, with a line each in log.csv, or as a zip."""

import csv
import io
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.domain.result import Artifact
from webui.gallery.filenames import BatchPlace
from webui.gallery.files import disk_errors, write_beside, write_whole
from webui.gallery.infotext import facts_of, read
from webui.gallery.save import Gallery

COLUMNS = ("prompt", "seed", "width", "height", "sampler", "cfgs", "steps", "filename", "negative_prompt",
           "sd_model_name", "sd_model_hash")  # fmt: skip
"""A1111's, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where they lie now; pictures whose file is gone are missing. `archive`: the zip, when one was asked for."""

    files: tuple[Path, ...]
    archive: Path | None = None


class SaveButton:
    """Keeps pictures of one gallery. One writer at a time, so that the log's lines stay whole."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = threading.Lock()

    def keep(
        self,
        artifacts: Sequence[Artifact],
        *,
        info: Mapping[str, Any],
        log: bool,
        archive: bool = False,
        user: str = "",
    ) -> Kept:
        """Save them as the settings say. `info` is the job's. Raises DiskFull, PictureNotSaved."""
        made: list[tuple[Artifact, Path]] = []
        seeds = tuple(artifact.seed for artifact in artifacts if not artifact.grid)
        pictures = 0
        for artifact in artifacts:
            # Where it stood in its run, for [batch_number] and the like.
            size = max(int(info.get("batch_size") or 1), 1)
            place = BatchPlace(
                size=size, count=-(-len(seeds) // size), index=pictures % size, iteration=pictures // size, seeds=seeds,
                styles=tuple(info.get("styles") or ()), user=user,
            )  # fmt: skip
            pictures += not artifact.grid
            path = self._gallery.save_again(artifact, batch=place)
            if path is not None:
                made.append((artifact, path))
        files = tuple(path for _, path in made)
        with self._lock:
            if log and made:
                self._log(made, info)
            packed = self._archive(files, [artifact for artifact, _ in made], user) if archive and made else None
        return Kept(files=files, archive=packed)

    def _log(self, made: Sequence[tuple[Artifact, Path]], info: Mapping[str, Any]) -> None:
        """One line for each picture. An older log, with fewer columns, gets the new ones."""
        path = self._gallery.kept_folder / "log.csv"
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, COLUMNS, extrasaction="ignore", restval="")
        for artifact, file in made:
            facts = facts_of(read(artifact.infotext))
            writer.writerow({
                "prompt": facts.prompt, "seed": artifact.seed, "width": artifact.width, "height": artifact.height,
                "sampler": facts.sampler, "cfgs": facts.cfg_scale, "steps": facts.steps,
                "filename": file.relative_to(self._gallery.kept_folder).as_posix(), "negative_prompt": facts.negative,
                "sd_model_name": facts.model or info.get("sd_model_name") or "",
                "sd_model_hash": facts.model_hash or info.get("sd_model_hash") or "",
            })  # fmt: skip
        with disk_errors(path, lines.tell()):
            if not _complete(path):
                write_whole(path, _renewed(path))
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(lines.getvalue())

    def _archive(self, files: Sequence[Path], artifacts: Sequence[Artifact], user: str) -> Path:
        path = self._gallery.kept_folder / f"{self._gallery.archive_name(artifacts, user=user)}.zip"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.relative_to(self._gallery.kept_folder).as_posix())
        with disk_errors(path, packed.tell()):
            return write_beside(path, packed.getvalue())


def _complete(path: Path) -> bool:
    """Whether the log's first line has all columns."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        return tuple(next(csv.reader(file), ())) == COLUMNS


def _renewed(path: Path) -> bytes:
    """The log with all columns: an empty one, or the older one with what it held."""
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, COLUMNS, extrasaction="ignore", restval="")
    writer.writeheader()
    if path.is_file():
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            for row in csv.DictReader(file):
                writer.writerow({name: value for name, value in row.items() if name in COLUMNS})
    return lines.getvalue().encode()
