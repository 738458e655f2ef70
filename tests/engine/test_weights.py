"""Weight files as tables: what is read, what is refused, and that nothing is copied without need."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from webui.domain.errors import BrokenFile, ModelGone

pytestmark = pytest.mark.torch


def _safetensors(path: Path, header: object, data: bytes = b"", *, claimed: int | None = None) -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if claimed is None else claimed) + text + data)
    return path


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "int64", "uint8", "bool", "float8_e4m3fn"]
)
def test_every_number_type_reads_as_it_was_written(tmp_path: Path, dtype: str) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.weights import open_weights

    value = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    save_file({"a": value, "scalar": value[0, 1].clone()}, tmp_path / "x.safetensors", metadata={"k": "v"})
    with open_weights(tmp_path / "x.safetensors") as weights:
        assert weights.metadata == {"k": "v"}
        assert weights.shape("a") == (2, 3)
        read = weights.read("a")
        assert read.dtype == value.dtype
        assert torch.equal(read.float(), value.float())
        assert torch.equal(weights.read("scalar").float(), value[0, 1].float())


@pytest.mark.parametrize("off", [0, 8])
def test_a_tensor_in_its_own_type_is_a_view_where_it_lies_well_and_outlives_the_file(tmp_path: Path, off: int) -> None:
    from webui.engine.weights import open_weights

    header = {"a": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}
    pad = (8 + off - len(json.dumps(header))) % 16
    text = json.dumps(header).encode() + b" " * pad
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", 1) * 1000)
    with open_weights(path) as weights:
        one, other = weights.read("a"), weights.read("a")
    assert (one.data_ptr() == other.data_ptr()) is (off == 0)
    assert one.data_ptr() % 16 == 0
    one[0] = 7
    assert struct.pack("<f", 7) not in path.read_bytes(), "writing to a tensor must never reach the file"
    path.unlink()
    assert one.sum() == 1006


def test_conversion_uses_one_scratch_and_gives_independent_tensors(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.weights import open_weights

    save_file({"a": torch.full((50,), 1.5).half(), "b": torch.full((50,), 2.5).half()}, tmp_path / "x.safetensors")
    with open_weights(tmp_path / "x.safetensors") as weights:
        a = weights.read("a", dtype=torch.float32)
        b = weights.read("b", dtype=torch.float32)
    assert a.unique().tolist() == [1.5]
    assert b.unique().tolist() == [2.5]


def test_whole_numbers_are_not_converted(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.weights import open_weights

    save_file({"ids": torch.arange(5)}, tmp_path / "x.safetensors")
    with open_weights(tmp_path / "x.safetensors") as weights:
        assert weights.read("ids", dtype=torch.float16).dtype == torch.int64


def test_a_header_claiming_a_terabyte_is_refused_at_once(tmp_path: Path) -> None:
    from webui.engine.weights import open_weights

    path = _safetensors(tmp_path / "x.safetensors", {}, claimed=10**12)
    with pytest.raises(BrokenFile, match="claims 1000000000000 bytes"):
        open_weights(path)


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 12]}},
        {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F33", "shape": [4], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F32", "shape": [4]}},
        {"a": {"dtype": "F32", "shape": "four", "data_offsets": [0, 16]}},
        {"a": 3},
        {"__metadata__": 3},
        {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}},
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}},
    ],
)
def test_a_header_that_does_not_fit_together_is_a_broken_file(tmp_path: Path, header: object) -> None:
    from webui.engine.weights import open_weights

    with pytest.raises(BrokenFile):
        open_weights(_safetensors(tmp_path / "x.safetensors", header, bytes(16)))


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 100, 2000, -1])
def test_a_file_cut_short_anywhere_is_a_broken_file(tmp_path: Path, keep: int) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.weights import open_weights

    path = tmp_path / "x.safetensors"
    save_file({f"layer.{i}": torch.ones(100) for i in range(40)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BrokenFile):
        open_weights(path)


def test_a_renamed_file_is_told_by_its_content(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.engine.weights import WrongFormat, open_weights

    torch.save({"a": torch.ones(2)}, tmp_path / "pickled.safetensors")
    save_file({"a": torch.ones(2)}, tmp_path / "safe.ckpt")
    with pytest.raises(WrongFormat) as refused:
        open_weights(tmp_path / "pickled.safetensors")
    assert refused.value.fields["found"] == "zip"
    with pytest.raises(WrongFormat) as refused:
        open_weights(tmp_path / "safe.ckpt")
    assert refused.value.fields["found"] == "safetensors"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"rubbish" * 9, "no known"),
    ],
)
def test_what_is_no_weight_file_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    from webui.engine.weights import open_weights

    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(BrokenFile, match=said):
        open_weights(tmp_path / "x.safetensors")


def test_a_header_as_long_as_an_archives_first_letters_is_still_safetensors(tmp_path: Path) -> None:
    from webui.engine.weights import sniff

    path = tmp_path / "x.safetensors"
    path.write_bytes(b"PK" + bytes(6) + b"{}" + b" " * (int.from_bytes(b"PK", "little") - 2))
    assert sniff(path) == "safetensors"


def test_a_file_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    from webui.engine.weights import open_weights

    with pytest.raises(ModelGone):
        open_weights(tmp_path / "x.safetensors")


def test_own_dtype_is_that_of_most_bytes(tiny_checkpoint: Path, tiny_state: dict[str, Any]) -> None:
    import torch

    from webui.engine.loading import own_dtype
    from webui.engine.weights import open_weights

    with open_weights(tiny_checkpoint) as weights:
        assert own_dtype(weights, tiny_state) == torch.float16
