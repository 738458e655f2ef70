"""Files of preprocessors fetched from the addresses their table names, and from nowhere else.

A file is written beside its place as `<name>.part`, goes on where it stopped, and gets its name once it is whole.
`HF_ENDPOINT` (a mirror of huggingface.co) is heeded, as every program of the field does; so are the system's proxies.
"""

import contextlib
import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from webui.catalog.annotators import missing, place
from webui.catalog.detectors import HUB, WeightFile, find_detector
from webui.domain import FetchRequest, Progress, Reporter, Result, ShuttingDown, Wish
from webui.domain.errors import BadFile, Failed
from webui.tools.targets import told_of

PIECE = 1024 * 1024
PATIENCE = 30.0
"""Seconds without a byte until a source is given up."""
STARTS: Mapping[str, tuple[bytes, ...]] = {
    ".onnx": (b"\x08",),
    ".pth": (b"PK\x03\x04", b"\x80"),
    ".pt": (b"PK\x03\x04", b"\x80"),
}
"""What a file of that ending begins with: a server's page of apology does not."""


class FetchFailed(Failed):
    """No source gave the file. Fields: name, reason, folder, sources."""

    key = "fetch_failed"


class FetchDamaged(BadFile):
    """What came is not the file. Fields: name, reason."""

    key = "fetch_damaged"


class Ended(Exception):
    """Raised by `told` to end a download; what has come is kept for the next."""


class _Bench(Protocol):
    @property
    def annotators(self) -> tuple[Path, ...]: ...


def run_fetch(request: FetchRequest, *, settings: Mapping[str, Any], reporter: Reporter, bench: _Bench) -> Result:
    """The job: every file a preprocessor lacks, one after the other.

    Raises UnknownDetector, FetchFailed, FetchDamaged, DiskFull, NotWritableFolder.
    """
    lacking = missing(find_detector(request.module), bench.annotators)
    parts = 1000
    notes: list[tuple[str, dict[str, Any]]] = []
    for number, file in enumerate(lacking):

        def told(fraction: float, number: int = number) -> None:
            match reporter.wish():
                case Wish.SHUTDOWN:
                    raise ShuttingDown
                case Wish.STOP | Wish.FINISH | Wish.SKIP:
                    raise Ended
                case _:
                    done = int((number + fraction) * parts)
                    reporter.report(Progress(phase="fetching", done=done, total=len(lacking) * parts))

        try:
            path = fetch(file, place(file, bench.annotators), told=told)
        except Ended:
            return Result(notes=tuple(notes), stopped=True)
        notes.append(("fetched", {"path": str(path)}))
    return Result(info={"files": [file.name for file in lacking]}, notes=tuple(notes))


def fetch(file: WeightFile, path: Path, *, told: Callable[[float], None] = lambda _share: None) -> Path:
    """One file to its place, from the first source that gives it. `told` hears the share done, 0 to 1, and may raise.

    Raises FetchFailed, FetchDamaged, DiskFull, NotWritableFolder.
    """
    part = path.with_name(f"{path.name}.part")
    reason: object = "no address"
    with told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for source in sources_of(file):
            try:
                _download(source, part, told)
            except (urllib.error.URLError, TimeoutError, ConnectionError, EOFError) as error:
                reason = getattr(error, "reason", None) or error
                continue
            _check(file, part)
            part.replace(path)
            return path
    raise FetchFailed(name=file.name, reason=str(reason), folder=str(path.parent), sources=list(file.sources))


def sources_of(file: WeightFile, env: Mapping[str, str] = os.environ) -> Sequence[str]:
    """The table's addresses, at the mirror that `HF_ENDPOINT` names where they are the hub's."""
    mirror = env.get("HF_ENDPOINT", "").rstrip("/")
    if not mirror.startswith(("https://", "http://")):
        return file.sources
    return [mirror + source.removeprefix(HUB) if source.startswith(f"{HUB}/") else source for source in file.sources]


def _download(source: str, part: Path, told: Callable[[float], None]) -> None:
    """Bytes of a source into `part`, after those it has. Raises URLError, TimeoutError, ConnectionError, EOFError."""
    have = part.stat().st_size if part.is_file() else 0
    asked = urllib.request.Request(source, headers={"User-Agent": "maple-webui"})
    if have:
        asked.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(asked, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # It has no bytes after those we have: all of them, or a file that has changed.
        size = (error.headers.get("Content-Range") or "").rpartition("/")[2]
        if size == str(have):
            return
        part.unlink()
        raise ConnectionError("the file has changed; it is fetched anew next time") from None
    with answer, contextlib.ExitStack() as stack:
        if answer.status != 206:
            have = 0
        out = stack.enter_context(part.open("ab" if have else "wb"))
        whole = have + int(answer.headers.get("Content-Length") or 0)
        came = have + _copied(answer, out, have, whole, told)
    if whole > have and came != whole:
        raise EOFError(f"{came} of {whole} bytes came")


def _copied(answer: IO[bytes], out: IO[bytes], have: int, whole: int, told: Callable[[float], None]) -> int:
    came = 0
    while piece := answer.read(PIECE):
        out.write(piece)
        came += len(piece)
        told(min(1.0, (have + came) / whole) if whole else 0.0)
    return came


def _check(file: WeightFile, part: Path) -> None:
    """Raises FetchDamaged, and deletes what came, when it is not the file."""
    with part.open("rb") as found:
        start = found.read(4)
        digest = ""
        if file.sha256:
            found.seek(0)
            digest = hashlib.file_digest(found, "sha256").hexdigest()
    wanted = STARTS.get(Path(file.name).suffix, ())
    if wanted and not start.startswith(wanted):
        reason = f"it begins with {start!r}"
    elif digest != file.sha256:
        reason = f"SHA-256 {digest[:10]}… instead of {file.sha256[:10]}…"
    else:
        return
    part.unlink()
    raise FetchDamaged(name=file.name, reason=reason)
