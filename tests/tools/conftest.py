"""The engine's miniatures."""

from tests.engine.conftest import record, tiny

__all__ = ["record", "tiny"]
