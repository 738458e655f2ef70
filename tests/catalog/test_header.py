"""Safetensors headers: read exactly, and refused with the reason when the file cannot be whole."""

import json
import struct
import tracemalloc
from pathlib import Path

import pytest

from tests.catalog.files import safetensors
from webui.catalog.header import LONGEST_HEADER, Tensor, read_safetensors
from webui.domain.errors import BrokenFile


def write(path: Path, header: object, payload: bytes = b"", *, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + payload)
    return path


def entry(shape: list[int], begin: int, end: int, dtype: str = "F16") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_names_shapes_dtypes_and_metadata_are_read(tmp_path: Path):
    path = safetensors(tmp_path / "a.safetensors", {"x": (2, 3), "y": ()}, dtype="BF16", metadata={"format": "pt"})
    header = read_safetensors(path)
    assert header.tensors == {"x": Tensor("BF16", (2, 3)), "y": Tensor("BF16", ())}
    assert header.metadata == {"format": "pt"}


def test_metadata_that_is_not_text_is_carried_as_json(tmp_path: Path):
    header = read_safetensors(write(tmp_path / "a.safetensors", {"__metadata__": {"steps": 3, "tags": {"a": 1}}}))
    assert header.metadata == {"steps": "3", "tags": '{"a": 1}'}


def test_a_header_claiming_a_trillion_bytes_costs_no_memory(tmp_path: Path):
    path = write(tmp_path / "a.safetensors", b"{}", length=10**12)
    tracemalloc.start()
    with pytest.raises(BrokenFile, match="1000000000000"):
        read_safetensors(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_header_past_the_limit_is_refused_even_if_the_file_is_large(tmp_path: Path):
    path = write(tmp_path / "a.safetensors", b"{}", length=LONGEST_HEADER + 1)
    with open(path, "r+b") as file:
        file.truncate(LONGEST_HEADER * 2)
    with pytest.raises(BrokenFile, match="claims"):
        read_safetensors(path)


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_file_too_short_for_a_length_is_broken(tmp_path: Path, size: int):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\0" * size)
    with pytest.raises(BrokenFile, match="too short"):
        read_safetensors(path)


def test_a_file_cut_short_is_named_by_the_tensor_that_is_missing(tmp_path: Path):
    path = write(tmp_path / "a.safetensors", {"whole": entry([2], 0, 4), "cut": entry([100], 4, 204)}, b"\0" * 50)
    with pytest.raises(BrokenFile, match=r"'cut'.*cut short"):
        read_safetensors(path)


@pytest.mark.parametrize(
    "header",
    [
        b"not json at all",
        b"[1, 2]",
        b"[" * 50_000,
        b"\xff\xfe\x00",
        {"x": "text"},
        {"x": {"dtype": "F16", "shape": [2]}},
        {"x": entry([-2], 0, 4)},
        {"x": entry([2], 4, 0)},
        {"x": {"dtype": "F16", "shape": "ab", "data_offsets": [0, 4]}},
        {"x": entry([3], 0, 4)},
        {"x": {"dtype": "F16", "shape": [1e400], "data_offsets": [0, 4]}},
    ],
    ids=repr,
)
def test_a_header_that_makes_no_sense_is_broken(tmp_path: Path, header: object):
    with pytest.raises(BrokenFile):
        read_safetensors(write(tmp_path / "a.safetensors", header, b"\0" * 64))


def test_a_dtype_of_tomorrow_is_let_through(tmp_path: Path):
    path = write(tmp_path / "a.safetensors", {"x": entry([3], 0, 4, "Q2_K")}, b"\0" * 4)
    assert read_safetensors(path).tensors["x"] == Tensor("Q2_K", (3,))
