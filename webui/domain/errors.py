"""The error tree. Every error carries a key and fields; `webui.words.explain` puts them into the reader's language.

    MapleError
    ├── BadInput          what was asked cannot be done as asked (HTTP 422)
    │   ├── OutOfRange, UnknownSampler, UnknownSchedule, UnknownStyle, UnreadablePicture, PromptTooLong, ...
    ├── NotFound          what was named is not there (404)
    │   ├── UnknownModel, ModelGone, UnknownJob
    ├── Refused           not allowed (403)
    │   └── UnsafeFile, LockedSetting
    ├── BadFile           a file is not what it should be (422)
    │   ├── BrokenFile, WrongKind, UnsupportedModel
    └── Failed            the machine could not (500)
        └── OutOfMemory, DiskFull, NotANumber

Rooms add their own leaves in their own modules. A leaf is a class with a `key`; its sentences stand in `webui/words/`.
"""

from collections.abc import Callable
from typing import ClassVar


class MapleError(Exception):
    """Base of all errors of ours. `fields` fill the sentence that `key` names."""

    key: ClassVar[str] = "error"

    def __init__(self, **fields: object) -> None:
        super().__init__(self.key, fields)
        self.fields = fields

    def __reduce__(self) -> tuple[Callable[[type["MapleError"], dict[str, object]], "MapleError"], tuple[object, ...]]:
        # Fields are keywords; pickle would hand them over by position when an error crosses to another process.
        return (_rebuild, (type(self), self.fields))

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"{self.key}({shown})"


def _rebuild(kind: type[MapleError], fields: dict[str, object]) -> MapleError:
    return kind(**fields)


class BadInput(MapleError):
    """What was asked cannot be done as it was asked."""

    key = "bad_input"


class NotFound(MapleError):
    """What was named is not there."""

    key = "not_found"


class Refused(MapleError):
    """Not allowed here, or not safe."""

    key = "refused"


class BadFile(MapleError):
    """A file is not what its place or ending says."""

    key = "bad_file"


class Failed(MapleError):
    """The machine could not do it."""

    key = "failed"


class OutOfRange(BadInput):
    """Fields: field, value, lo, hi."""

    key = "out_of_range"


class UnknownSampler(BadInput):
    """Fields: name, closest (list of names)."""

    key = "unknown_sampler"


class UnknownSchedule(BadInput):
    """Fields: name, closest."""

    key = "unknown_schedule"


class UnreadablePicture(BadInput):
    """Fields: reason."""

    key = "unreadable_picture"


class TooLong(BadInput):
    """Fields: field, length, most."""

    key = "too_long"


class UnknownModel(NotFound):
    """Fields: kind, name, searched (folders), closest (list of names)."""

    key = "unknown_model"


class ModelGone(NotFound):
    """A model that was listed is no longer on the disk. Fields: name, path."""

    key = "model_gone"


class UnknownJob(NotFound):
    """Fields: id."""

    key = "unknown_job"


class UnsafeFile(Refused):
    """A pickle asked for something outside the allow-list. Fields: path, asked (dotted names)."""

    key = "unsafe_file"


class LockedSetting(Refused):
    """Fields: name."""

    key = "locked_setting"


class BrokenFile(BadFile):
    """Fields: path, reason."""

    key = "broken_file"


class WrongKind(BadFile):
    """Fields: path, expected, found."""

    key = "wrong_kind"


class UnsupportedModel(BadFile):
    """A file of a kind we know but cannot run. Fields: path, family, reason."""

    key = "unsupported_model"


class OutOfMemory(Failed):
    """Fields: needed, free (bytes), doing."""

    key = "out_of_memory"


class DiskFull(Failed):
    """Fields: path, needed, free (bytes)."""

    key = "disk_full"


class NotANumber(Failed):
    """A tensor came out with NaN. Fields: where."""

    key = "not_a_number"
