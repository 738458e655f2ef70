"""ONNX files written by hand: networks of a known signature whose answers are known. The wire format of protobuf."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_onnx(path: Path, *, takes: tuple[str, tuple[int, ...]], gives: Mapping[str, np.ndarray]) -> Path:
    """A network that takes a picture of that name and shape and gives these arrays, whatever it is shown."""
    nodes = b"".join(_field(1, _text(1, f"{name}_held") + _text(2, name) + _text(4, "Identity")) for name in gives)
    held = b"".join(_field(5, _tensor(f"{name}_held", values)) for name, values in gives.items())
    outputs = b"".join(_field(12, _described(name, values.shape)) for name, values in gives.items())
    graph = nodes + _text(2, "known") + held + _field(11, _described(*takes)) + outputs
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, _text(1, "") + _number(2, 13)))
    return path


def _tensor(name: str, values: np.ndarray) -> bytes:
    sizes = b"".join(_number(1, size) for size in values.shape)
    return sizes + _number(2, 1) + _text(8, name) + _field(9, values.astype("<f4").tobytes())


def _described(name: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(_field(1, _number(1, size)) for size in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, 1) + _field(2, sizes)))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])
