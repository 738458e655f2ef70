"""Pictures to disk: whole or not at all, never over another one, readable from the served folders only."""

import contextlib
import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from webui.domain.result import Artifact
from webui.gallery.blobs import Blobs
from webui.gallery.filenames import BatchPlace, FolderNumbers, NameFacts, Sanitizing, filled, fitted, subfolder
from webui.gallery.files import PictureNotSaved, disk_errors, publish, write_beside, write_synced, write_whole
from webui.gallery.infotext import InfotextFields, facts_of, read
from webui.gallery.metadata import MEDIA_TYPES, Encoded, embed
from webui.settings import Paths, Settings

SERVED = frozenset({*(f".{ending}" for ending in MEDIA_TYPES), ".gif", ".txt"})
"""Endings of files that are served from output folders: pictures and their texts."""
ARCHIVE = "[datetime]_[[model_name]]_[seed]-[seed_last]"
PRUNE_SECONDS = 3600.0
KIND = re.compile(r"[a-z0-9]+")


class Gallery:
    """Writes pictures under `data_root`. `settings` answers those in force; calls may give a run's own instead."""

    def __init__(
        self, settings: Callable[[], Settings], data_root: Path, *, sanitizing: Sanitizing | None = None
    ) -> None:
        self._settings = settings
        self._root = data_root.resolve()
        self._sanitizing = sanitizing or Sanitizing()
        self._numbers = FolderNumbers()
        self._pruned = 0.0
        self.blobs = Blobs(self._root / "cache" / "inputs")
        """Pictures handed in: init images and masks."""

    @property
    def data_root(self) -> Path:
        """Where run-time files lie."""
        return self._root

    @property
    def cache(self) -> Path:
        """Where pictures lie that were not asked to be saved."""
        return self._root / "cache" / "pictures"

    def folder(self, kind: str, *, grid: bool = False, settings: Settings | None = None) -> Path:
        """The output folder of a kind of picture ("txt2img", "img2img", "extras"), without its dated subfolder."""
        paths = (settings or self._settings()).paths
        chosen = paths.outdir_grids if grid else paths.outdir_samples
        field = f"outdir_{kind}_{'grids' if grid else 'samples'}"
        folder: str = chosen or getattr(paths, field, "") or getattr(Paths(), field, "")
        if not folder:
            folder = f"outputs/{kind if KIND.fullmatch(kind) else 'other'}-{'grids' if grid else 'images'}"
        return self._root / Path(folder).expanduser()

    def save(
        self,
        image: Image.Image,
        *,
        fields: InfotextFields,
        infotext: str,
        request_json: str | None = None,
        kind: str = "txt2img",
        grid: bool = False,
        batch: BatchPlace | None = None,
        settings: Settings | None = None,
        chunks: Mapping[str, str] | None = None,
        suffix: str = "",
    ) -> Artifact:
        """Write one picture as the settings say; it is on the disk when this returns.

        `fields` fill the name, `infotext` and `request_json` go into the file, `chunks` are further PNG texts, `suffix`
        ("-before-highres-fix") ends the name. Raises DiskFull or PictureNotSaved, with nothing left behind.
        """
        now = settings or self._settings()
        place = batch or BatchPlace()
        if grid and not place.basename:
            place = replace(place, basename="grid")
        facts = NameFacts(
            fields=fields,
            image=image,
            batch=place,
            max_words=now.saving.directories_max_prompt_words,
            sanitizing=self._sanitizing,
        )
        made = self._encoded(image, infotext, request_json, now, grid=grid, chunks=chunks)
        folder = self.folder(kind, grid=grid, settings=now)
        if now.saving.grid_save_to_dirs if grid else now.saving.save_to_dirs:
            folder /= subfolder(now.saving.directories_filename_pattern, facts)
        name = _decoration(facts, now, grid=grid) + suffix
        with disk_errors(folder, len(made.data)):
            folder.mkdir(parents=True, exist_ok=True)
            path = self._placed(folder, name, made, now, grid=grid)
            if infotext and (now.infotext.save_txt or (not made.complete and now.infotext.enable_pnginfo)):
                write_whole(path.with_suffix(".txt"), f"{infotext}\n".encode())
            self._numbers.settle(folder)
        if now.saving.export_for_4chan and not grid:
            self._export_small(image, path, made, infotext, now)
        return _artifact(path, image, made, fields, infotext, grid=grid, saved=True)

    def save_again(self, artifact: Artifact, *, batch: BatchPlace | None = None) -> Path | None:
        """A finished picture's file once more in `outdir_save`, byte for byte, under a number of that folder.

        That is A1111's Save button. None when the picture is no longer there. Raises DiskFull or PictureNotSaved.
        """
        real = self.within(artifact.path)
        if real is None:
            return None
        now, fields = self._settings(), facts_of(read(artifact.infotext))
        with Image.open(real) as image:
            facts = NameFacts(
                fields=fields, image=image, batch=batch or BatchPlace(), sanitizing=self._sanitizing,
                max_words=now.saving.directories_max_prompt_words,
            )  # fmt: skip
            # [image_hash] asks for the pixels while the file is open.
            name = _decoration(facts, now, grid=artifact.grid)
            below = subfolder(now.saving.directories_filename_pattern, facts)
        folder = self.kept_folder / below if now.saving.use_save_to_dirs_for_ui else self.kept_folder
        made = Encoded(data=real.read_bytes(), format=real.suffix.lstrip("."))
        with disk_errors(folder, len(made.data)):
            folder.mkdir(parents=True, exist_ok=True)
            path = self._placed(folder, name, made, now, grid=artifact.grid)
            if now.infotext.save_txt and artifact.infotext:
                write_whole(path.with_suffix(".txt"), f"{artifact.infotext}\n".encode())
            self._numbers.settle(folder)
        return path

    @property
    def kept_folder(self) -> Path:
        """Where the Save button puts pictures, their log and archives: `outdir_save`."""
        paths = self._settings().paths
        return self._root / Path(paths.outdir_save or Paths().outdir_save).expanduser()

    def archive_name(self, artifacts: Sequence[Artifact], *, user: str = "") -> str:
        """The name of a zip of these pictures, without its ending: `grid_zip_filename_pattern` filled."""
        pictures = [artifact for artifact in artifacts if not artifact.grid] or list(artifacts)
        first, now = pictures[0], self._settings()
        place = BatchPlace(
            size=len(pictures), count=1, seeds=tuple(each.seed for each in pictures), user=user, archive=True
        )
        fields = replace(facts_of(read(first.infotext)), seed=first.seed)
        facts = NameFacts(
            fields=fields, image=Image.new("1", (first.width, first.height)), batch=place, sanitizing=self._sanitizing
        )
        name = filled(now.saving.grid_zip_filename_pattern or ARCHIVE, facts)
        return fitted(name, ending=".zip", how=self._sanitizing) or "pictures"

    def blob(
        self,
        image: Image.Image,
        *,
        fields: InfotextFields,
        infotext: str = "",
        request_json: str | None = None,
        grid: bool = False,
        settings: Settings | None = None,
    ) -> Artifact:
        """Keep a picture that was not asked to be saved: under its content's hash in the cache, pruned by age."""
        now = settings or self._settings()
        made = self._encoded(image, infotext, request_json, now, grid=grid)
        name = hashlib.sha256(made.data).hexdigest()[:40]
        path = self.cache / name[:2] / f"{name}.{made.format}"
        with disk_errors(path.parent, len(made.data)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                path.touch()
            else:
                write_whole(path, made.data)
        if time.time() - self._pruned > PRUNE_SECONDS:
            self.prune()
        return _artifact(path, image, made, fields, infotext, grid=grid, saved=False)

    def keep_init(self, image: Image.Image, *, settings: Settings | None = None) -> str:
        """Keep an init image in its own folder, once, under the MD5 of its pixels; that MD5 (A1111's Init image hash).

        Raises DiskFull.
        """
        now = settings or self._settings()
        name = hashlib.md5(image.tobytes(), usedforsecurity=False).hexdigest()
        folder = self._root / Path(now.paths.outdir_init_images or Paths().outdir_init_images).expanduser()
        saving = now.saving
        made = embed(
            image, "", format=saving.samples_format, quality=saving.jpeg_quality, lossless=saving.webp_lossless
        )
        path = folder / f"{name}.{made.format}"
        with disk_errors(folder, len(made.data)):
            folder.mkdir(parents=True, exist_ok=True)
            if not path.is_file():
                write_whole(path, made.data)
        return name

    def prune(self) -> int:
        """Delete cached pictures older than the setting says; the number deleted."""
        self._pruned = time.time()
        oldest = self._pruned - self._settings().saving.keep_unsaved_days * 86400
        gone = 0
        for path in self.cache.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.lstat().st_mtime < oldest:
                    path.unlink()
                    gone += 1
        return gone

    def within(self, path: str | Path) -> Path | None:
        """The real file behind `path` when it may be served, else None: pictures and texts in output folders and cache.

        Links are followed first, so one that leads out of the folders is refused.
        """
        try:
            real = (self._root / path).resolve(strict=True)
            if not real.is_file() or real.suffix.lower() not in SERVED:
                return None
            return real if any(real.is_relative_to(root) for root in self._served_roots()) else None
        except (OSError, ValueError, RuntimeError):
            return None

    def _served_roots(self) -> list[Path]:
        kinds = [(kind, grid) for kind in ("txt2img", "img2img", "extras") for grid in (False, True)]
        folders = {self.folder(kind, grid=grid) for kind, grid in kinds} | {self._root / "outputs", self.cache}
        roots = [folder.resolve() for folder in folders]
        # A folder above the data root would put settings, accounts and the queue within reach.
        return [root for root in roots if not self._root.is_relative_to(root)]

    def _encoded(
        self,
        image: Image.Image,
        infotext: str,
        request_json: str | None,
        settings: Settings,
        *,
        grid: bool,
        chunks: Mapping[str, str] | None = None,
    ) -> Encoded:
        saving = settings.saving
        told = settings.infotext.enable_pnginfo
        return embed(
            image,
            infotext if told else "",
            maple=request_json if told else None,
            format=saving.grid_format if grid else saving.samples_format,
            quality=saving.jpeg_quality,
            lossless=saving.webp_lossless,
            chunks=chunks if told else None,
        )

    def _placed(self, folder: Path, name: str, made: Encoded, settings: Settings, *, grid: bool) -> Path:
        """The picture at its final name. With numbers it never meets another; without, the setting decides."""
        ending = f".{made.format}"
        if not settings.saving.save_images_add_number and name:
            path = folder / (fitted(name, ending=ending, how=self._sanitizing) + ending)
            if settings.saving.save_images_replace_action == "Replace":
                write_whole(path, made.data)
                return path
            return write_beside(path, made.data)
        basename = "grid" if grid else ""
        while True:
            number, held = self._numbers.claim(folder, basename)
            head = f"grid-{number:04}" if grid else f"{number:05}"
            stem = f"{head}-{name}" if name and not name.startswith("-") else head + name
            path = folder / (fitted(stem, ending=ending, how=self._sanitizing) + ending)
            try:
                write_synced(held, made.data)
                publish(held, path)
                return path
            except FileExistsError:
                continue
            finally:
                held.unlink(missing_ok=True)

    def _export_small(self, image: Image.Image, path: Path, made: Encoded, infotext: str, settings: Settings) -> None:
        """A1111's "export for 4chan": a JPG beside a picture that is heavy or wide, no wider than the limit."""
        saving = settings.saving
        most = saving.target_side_length
        wide = max(image.size) > most > 0
        if not wide and len(made.data) <= saving.img_downscale_threshold * 1024 * 1024:
            return
        beside = path.with_suffix(".jpg")
        if beside == path:
            return
        if wide:
            scale = most / max(image.size)
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        told = infotext if settings.infotext.enable_pnginfo else ""
        small = embed(image, told, format="jpg", quality=saving.jpeg_quality)
        with disk_errors(beside, len(small.data)):
            write_whole(beside, small.data)
            self._numbers.settle(path.parent)


def rows_for(count: int, *, batch_size: int, settings: Settings) -> int:
    """How many rows a grid of `count` pictures has, by A1111's rule."""
    saving = settings.saving
    if saving.n_rows > 0:
        rows = saving.n_rows
    elif saving.n_rows == 0:
        rows = batch_size
    elif saving.grid_prevent_empty_spots:
        rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    else:
        rows = round(math.sqrt(count))
    return max(1, min(rows, count))


def grid(
    images: Sequence[Image.Image], *, settings: Settings, batch_size: int = 1, rows: int | None = None
) -> Image.Image:
    """All pictures in one, row by row, on black; a cell is as large as the largest picture."""
    if not images:
        raise ValueError("a grid of no pictures")
    rows = rows or rows_for(len(images), batch_size=batch_size, settings=settings)
    columns = math.ceil(len(images) / rows)
    width, height = max(image.width for image in images), max(image.height for image in images)
    whole = Image.new("RGB", (columns * width, rows * height), "black")
    for number, image in enumerate(images):
        whole.paste(image, (number % columns * width, number // columns * height))
    return whole


def grid_fits(images: Sequence[Image.Image], *, settings: Settings) -> bool:
    """False when the grid would be larger than the setting allows."""
    return sum(image.width * image.height for image in images) <= settings.saving.img_max_size_mp * 1_000_000


def _decoration(facts: NameFacts, settings: Settings, *, grid: bool) -> str:
    """The name after the number. Grids have none unless asked for."""
    saving = settings.saving
    if grid and not saving.grid_extended_filename:
        return ""
    default = "[seed]" if saving.save_to_dirs else "[seed]-[prompt_spaces]"
    return filled(saving.samples_filename_pattern or default, facts)


def _artifact(
    path: Path, image: Image.Image, made: Encoded, fields: InfotextFields, infotext: str, *, grid: bool, saved: bool
) -> Artifact:
    return Artifact(
        path=str(path),
        width=image.width,
        height=image.height,
        infotext=infotext,
        seed=fields.seed,
        subseed=fields.subseed,
        grid=grid,
        saved=saved,
        media_type=made.media_type,
    )


__all__ = ["SERVED", "Gallery", "PictureNotSaved", "grid", "grid_fits", "rows_for"]
