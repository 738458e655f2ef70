"""A registry is a table: rows are values, order is declared, a duplicate names both origins."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Row = TypeVar("Row")


class DuplicateRow(ValueError):
    """Two origins registered the same name."""


class Registry(Generic[Row]):
    """Rows by name, in order of registration unless `before=` says otherwise; aliases found without regard to case."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._origin: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(
        self, name: str, row: Row, *, origin: str, aliases: tuple[str, ...] = (), before: str | None = None
    ) -> None:
        """Add one row. Raises DuplicateRow when the name or an alias is taken, KeyError when `before` is unknown.

        A failed add changes nothing.
        """
        keys = {name.casefold(), *(alias.casefold() for alias in aliases)}
        for key in keys:
            if key in self._names:
                taken = self._names[key]
                raise DuplicateRow(f"{name!r} from {origin} is already {taken!r} from {self._origin[taken]}")
        if before is not None and before not in self._rows:
            raise KeyError(before)
        rows = dict(self._rows)
        if before is None:
            rows[name] = row
        else:
            rows = {}
            for other, value in self._rows.items():
                if other == before:
                    rows[name] = row
                rows[other] = value
        self._rows = rows
        self._origin[name] = origin
        self._names |= dict.fromkeys(keys, name)

    def find(self, name: str) -> Row | None:
        """The row of that name or alias, or None."""
        found = self._names.get(name.casefold())
        return None if found is None else self._rows[found]

    def canonical(self, name: str) -> str | None:
        """The row's own name for a name or alias, or None."""
        return self._names.get(name.casefold())

    def origin(self, name: str) -> str:
        return self._origin[name]

    def names(self) -> list[str]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)
