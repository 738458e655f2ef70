"""Frozen nouns to JSON values and back, by their annotations. What cannot be written raises NotStorable."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin

Noun = TypeVar("Noun")


class NotStorable(TypeError):
    """A value that JSON cannot hold (a live object handed in by a script)."""


def pack(value: Any) -> Any:
    """JSON values for a noun. Raises NotStorable for anything that would not come back equal."""
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: pack(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        table = cast("Mapping[Any, Any]", value)
        if not all(isinstance(key, str) for key in table):
            raise NotStorable(f"a table with keys that are not text: {table!r}")
        return {key: pack(item) for key, item in table.items()}
    if isinstance(value, list | tuple):
        return [pack(item) for item in cast("Sequence[Any]", value)]
    raise NotStorable(f"{type(value).__name__} cannot be stored")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def unpack(kind: type[Noun], value: Any) -> Noun:
    """A noun from its JSON values. Fields that a newer version added take their defaults; unknown ones are left out."""
    return cast("Noun", _read(kind, value))


def _read(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _read(next(part for part in get_args(kind) if part is not type(None)), value)
    if origin is tuple:
        parts = get_args(kind)
        if len(parts) == 2 and parts[1] is Ellipsis:
            return tuple(_read(parts[0], item) for item in value)
        return tuple(_read(part, item) for part, item in zip(parts, value, strict=True))
    if origin in (list, Sequence):
        return [_read(get_args(kind)[0], item) for item in value]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(get_args(kind)[1], item) for key, item in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        known = {field.name for field in dataclasses.fields(kind) if field.init}
        return kind(**{name: _read(hints[name], item) for name, item in value.items() if name in known})
    if isinstance(kind, type) and issubclass(kind, Enum | Path):
        return kind(value)
    return value
