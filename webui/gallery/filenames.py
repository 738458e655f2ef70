"""File names as A1111 makes them: patterns with [tokens], and the next free number of a folder.

Add a token: one row in `PLAIN`, or in `WITH_ARGUMENTS` when it takes some in <>: from `NameFacts` to text, None (leave
the token as it stands) or NOTHING (drop it together with the text before it).
"""

import hashlib
import re
import string
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from PIL import Image

from webui.gallery.infotext import InfotextFields

INVALID = '#<>:"/\\|?*\n\r\t'
"""What Windows (and URLs, for #) cannot have in a name."""
UNIX_INVALID = "/"
PUNCTUATION = re.compile(r"[\s" + re.escape(string.punctuation) + "]+")
TOKEN = re.compile(r"\[([^\[\]]+)\]")
ARGUMENT = re.compile(r"(.*)<([^>]*)>$", re.DOTALL)
RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitizing:
    """How names are made safe: `--unix-filenames-sanitization` and `--filenames-max-length`."""

    unix: bool = False
    most: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """Where in its run a picture stands. `index` counts from 0 within its batch, `iteration` batches from 0."""

    size: int = 1
    count: int = 1
    index: int = 0
    iteration: int = 0
    seeds: tuple[int, ...] = ()
    """Seeds of all pictures of the run."""
    styles: tuple[str, ...] = ()
    style_prompts: tuple[str, ...] = ()
    """The positive prompts of those styles."""
    user: str = ""
    archive: bool = False
    """A name for several pictures together: tokens that count within the run are left out."""
    basename: str = ""
    """[basename]: the name of the file a picture was made from (Extras), "grid" for grids."""
    started: datetime | None = None
    """When the job began: [job_timestamp]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFacts:
    """All that tokens may ask for."""

    fields: InfotextFields
    image: Image.Image
    batch: BatchPlace = field(default_factory=BatchPlace)
    now: datetime = field(default_factory=datetime.now)
    max_words: int = 8
    sanitizing: Sanitizing = field(default_factory=Sanitizing)

    def part(self, text: str, *, replace_spaces: bool = False) -> str:
        return sanitized(text, replace_spaces=replace_spaces, how=self.sanitizing)


class Nothing:
    """The answer of a token that is not there, and takes the text before it along."""


NOTHING: Final = Nothing()
Replacement = str | int | float | Nothing | None


def sanitized(text: str, *, replace_spaces: bool = True, how: Sanitizing) -> str:
    """`text` as part of a file name: no forbidden signs, outer blanks or trailing dot, at most `how.most` letters."""
    if replace_spaces:
        text = text.replace(" ", "_")
    forbidden = UNIX_INVALID if how.unix else INVALID
    text = text.translate({ord(sign): "_" for sign in forbidden} | {ord("\0"): None})
    text = "".join(letter for letter in text if letter >= " " or how.unix)
    return text.lstrip(" ")[: how.most].rstrip(" .")


def filled(pattern: str, facts: NameFacts) -> str:
    """The pattern with its tokens replaced; tokens nobody knows stay as they are."""
    made = ""
    position = 0
    for found in TOKEN.finditer(pattern):
        before, position = pattern[position : found.start()], found.end()
        name, arguments = _taken_apart(found[1])
        token = TOKENS.get(name.lower())
        try:
            replacement = token(facts, *arguments) if token else None
        except (TypeError, ValueError):
            # Too many arguments, or a length that is no number: the person sees the token they mistyped.
            replacement = None
        if isinstance(replacement, Nothing):
            continue
        made += before + (found[0] if replacement is None else str(replacement))
    return made + pattern[position:]


def _taken_apart(token: str) -> tuple[str, list[str]]:
    """Name and arguments of `name<a><b>`."""
    arguments: list[str] = []
    while found := ARGUMENT.match(token):
        token = found[1]
        arguments.insert(0, found[2])
    return token, arguments


def _hash(text: str, length: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: int(length or 8)]


def _datetime(facts: NameFacts, form: str = "", zone: str = "") -> str:
    """[datetime<format><time zone>]; a bad format or zone falls back to the default and to local time."""
    try:
        now = facts.now.astimezone(ZoneInfo(zone) if zone else None)
    except (KeyError, ValueError, OSError):
        now = facts.now.astimezone(None)
    try:
        text = now.strftime(form or "%Y%m%d%H%M%S")
    except (ValueError, UnicodeError):
        text = now.strftime("%Y%m%d%H%M%S")
    return facts.part(text)


def _prompt_words(facts: NameFacts) -> str:
    words = [word for word in PUNCTUATION.split(facts.fields.prompt) if word] or ["empty"]
    return facts.part(" ".join(words[: facts.max_words]))


def _prompt_no_styles(facts: NameFacts) -> str:
    prompt = facts.fields.prompt
    for style in facts.batch.style_prompts:
        for part in style.split("{prompt}"):
            if part:
                prompt = prompt.replace(part, "").replace(", ,", ",").strip().strip(",")
        prompt = prompt.strip().strip(",").strip()
    return facts.part(prompt)


def _has_prompt(facts: NameFacts, *wanted: str) -> str:
    """[hasprompt<girl|no girl><boy>]: each word that is in the prompt, else its default."""
    prompt = facts.fields.prompt.lower()
    made = ""
    for choice in wanted:
        word, _, default = choice.partition("|")
        if word:
            made += word.lower() if word.lower() in prompt else default.split("|")[0]
    return facts.part(made, replace_spaces=True)


def _vae_filename(facts: NameFacts) -> str:
    """The name up to its first dot, as A1111 gives it."""
    name = facts.fields.vae
    if not name:
        return "NoneType"
    parts = name.replace("\\", "/").rsplit("/", 1)[-1].split(".")
    return facts.part(parts[1] if len(parts) > 1 and not parts[0] else parts[0])


def _sampler_scheduler(facts: NameFacts) -> str:
    schedule = facts.fields.schedule
    return facts.part(f"{facts.fields.sampler} {schedule}" if schedule else facts.fields.sampler)


def _seed_last(facts: NameFacts) -> Replacement:
    return NOTHING if facts.batch.size == 1 or not facts.batch.seeds else facts.batch.seeds[-1]


def _batch_number(facts: NameFacts) -> Replacement:
    return NOTHING if facts.batch.size == 1 or facts.batch.archive else facts.batch.index + 1


def _generation_number(facts: NameFacts) -> Replacement:
    batch = facts.batch
    alone = batch.size == 1 and batch.count == 1
    return NOTHING if alone or batch.archive else batch.iteration * batch.size + batch.index + 1


def _image_hash(facts: NameFacts, length: str = "") -> str:
    return hashlib.sha256(facts.image.tobytes()).hexdigest()[: int(length) if length else None]


def _prompt_hash(facts: NameFacts, length: str = "") -> str:
    return _hash(facts.fields.prompt, length)


def _negative_prompt_hash(facts: NameFacts, length: str = "") -> str:
    return _hash(facts.fields.negative, length)


def _full_prompt_hash(facts: NameFacts, length: str = "") -> str:
    return _hash(f"{facts.fields.prompt} {facts.fields.negative}", length)


PLAIN: Mapping[str, Callable[[NameFacts], Replacement]] = {
    "basename": lambda facts: facts.part(facts.batch.basename) or "img",
    "seed": lambda facts: facts.fields.seed,
    "seed_first": lambda facts: facts.batch.seeds[0] if facts.batch.seeds else facts.fields.seed,
    "seed_last": _seed_last,
    "steps": lambda facts: facts.fields.steps,
    "cfg": lambda facts: facts.fields.cfg_scale,
    "width": lambda facts: facts.image.width,
    "height": lambda facts: facts.image.height,
    "styles": lambda facts: facts.part(", ".join(name for name in facts.batch.styles if name != "None") or "None"),
    "sampler": lambda facts: facts.part(facts.fields.sampler),
    "sampler_scheduler": _sampler_scheduler,
    "scheduler": lambda facts: facts.part(facts.fields.schedule or "Automatic"),
    "model_hash": lambda facts: facts.fields.model_hash or "",
    "model_name": lambda facts: facts.part(facts.fields.model or ""),
    "date": lambda facts: facts.now.strftime("%Y-%m-%d"),
    "job_timestamp": lambda facts: (facts.batch.started or facts.now).strftime("%Y%m%d%H%M%S"),
    "prompt": lambda facts: facts.part(facts.fields.prompt, replace_spaces=True),
    "prompt_no_styles": _prompt_no_styles,
    "prompt_spaces": lambda facts: facts.part(facts.fields.prompt),
    "prompt_words": _prompt_words,
    "batch_number": _batch_number,
    "batch_size": lambda facts: facts.batch.size,
    "generation_number": _generation_number,
    "clip_skip": lambda facts: facts.fields.clip_skip,
    "denoising": lambda facts: facts.fields.denoising_strength or NOTHING,
    "user": lambda facts: facts.part(facts.batch.user),
    "vae_filename": _vae_filename,
    "none": lambda facts: "",
}

WITH_ARGUMENTS: Mapping[str, Callable[..., Replacement]] = {
    "datetime": _datetime,
    "prompt_hash": _prompt_hash,
    "negative_prompt_hash": _negative_prompt_hash,
    "full_prompt_hash": _full_prompt_hash,
    "hasprompt": _has_prompt,
    "image_hash": _image_hash,
}

TOKENS: Mapping[str, Callable[..., Replacement]] = {**PLAIN, **WITH_ARGUMENTS}


def subfolder(pattern: str, facts: NameFacts) -> Path:
    """The relative folder a directory pattern names. It never leads out, whatever stands in it."""
    text = filled(pattern or "[prompt_words]", facts).lstrip(" ").rstrip("\\/ ")
    parts = (_folder_part(part, facts.sanitizing) for part in re.split(r"[\\/]", text))
    return Path(*(part for part in parts if part))


def _folder_part(part: str, how: Sanitizing) -> str:
    made = sanitized(part, replace_spaces=False, how=how)
    if set(made) <= {"."}:
        return ""
    return f"_{made}" if made.partition(".")[0].upper() in RESERVED else made


def fitted(stem: str, *, ending: str, how: Sanitizing, longest: int = 255) -> str:
    """The stem, separators gone and cut to what a file system takes in bytes, room for a suffix left."""
    forbidden = UNIX_INVALID if how.unix else INVALID
    stem = stem.translate({ord(sign): "_" for sign in forbidden} | {ord("\0"): None})
    room = longest - len(ending.encode()) - len("-000.tmp")
    stem = stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore").rstrip(" .")
    return f"_{stem}" if stem.partition(".")[0].upper() in RESERVED else stem


STALE_SECONDS = 3600
"""A claim this old belongs to a process that was killed."""


class FolderNumbers:
    """Next free numbers by folder. A folder is listed once, and again only when somebody else wrote into it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[Path, str], tuple[int, int]] = {}
        """(folder, basename) → next number, the folder's mtime_ns when it was true."""
        self.listings = 0

    def claim(self, folder: Path, basename: str) -> tuple[int, Path]:
        """A number nobody has, and the temporary file that holds it, created: write there, rename it, then `settle`.

        The temporary file is created exclusively by number, so threads, processes and machines on one folder differ.
        """
        with self._lock:
            number = self._next(folder, basename)
            while True:
                held = folder / f".{basename or 'image'}-{number:05}.tmp"
                try:
                    held.touch(exist_ok=False)
                except FileExistsError:
                    number += 1
                    continue
                self._known[folder, basename] = (number + 1, self._mtime(folder))
                return number, held

    def settle(self, folder: Path) -> None:
        """Our own file in `folder` is in place: what we know of the folder stays true."""
        with self._lock:
            mtime = self._mtime(folder)
            for key, (number, _) in self._known.items():
                if key[0] == folder:
                    self._known[key] = (number, mtime)

    def _next(self, folder: Path, basename: str) -> int:
        known = self._known.get((folder, basename))
        if known is not None and known[1] == self._mtime(folder):
            return known[0]
        self.listings += 1
        listed = _highest(folder, f"{basename}-" if basename else "") + 1
        # Never below what was handed out already: that picture may still be on its way.
        return max(listed, known[0]) if known and listed else listed

    @staticmethod
    def _mtime(folder: Path) -> int:
        return folder.stat().st_mtime_ns


def _highest(folder: Path, prefix: str) -> int:
    """The highest number at the head of a name in the folder, -1 without any; old claims are cleared away."""
    highest = -1
    for path in folder.iterdir():
        name = path.name
        if name.startswith(".") and name.endswith(".tmp"):
            _clear_stale(path)
            continue
        if not name.startswith(prefix):
            continue
        head = name[len(prefix) :].rpartition(".")[0] or name[len(prefix) :]
        digits = head.split("-", 1)[0]
        if digits.isascii() and digits.isdecimal():
            highest = max(highest, int(digits))
    return highest


def _clear_stale(path: Path) -> None:
    try:
        if time.time() - path.stat().st_mtime > STALE_SECONDS:
            path.unlink()
    except OSError:
        pass
