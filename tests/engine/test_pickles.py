"""Pickles are read without running them: every format torch ever wrote, and nothing else."""

import io
import os
import pickle
import struct
import sys
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from webui.domain.errors import BrokenFile, UnsafeFile

pytestmark = pytest.mark.torch


class Evil:
    """Pickles as a call of os.system."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.mark}'",)


def _state() -> dict[str, Any]:
    import torch

    shared = torch.arange(12.0)
    return {
        "plain": torch.randn(3, 4).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "turned": torch.arange(6.0).reshape(2, 3).t(),
        "window": shared[4:8],
        "whole": shared,
        "number": torch.tensor(5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy stream"])
@pytest.mark.parametrize("wrapped", [True, False], ids=["state_dict", "bare"])
def test_every_tensor_is_what_torch_reads(tmp_path: Path, zipped: bool, wrapped: bool) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    state = _state()
    value = {"state_dict": OrderedDict(state), "global_step": 470000, "epoch": 3} if wrapped else state
    torch.save(value, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    with open_pickle(tmp_path / "x.ckpt") as weights:
        assert set(weights) == set(state)
        for name, tensor in state.items():
            assert weights.read(name).dtype == tensor.dtype
            assert torch.equal(weights.read(name), tensor), name
            assert torch.equal(weights.read(name, dtype=torch.float64).double(), tensor.double()), name
        assert weights.extra.get("global_step") == (470000 if wrapped else None)


def test_a_module_state_with_its_metadata_reads(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    torch.save({"state_dict": torch.nn.Linear(2, 3).state_dict()}, tmp_path / "x.pt")
    with open_pickle(tmp_path / "x.pt") as weights:
        assert set(weights) == {"weight", "bias"}


def test_an_archive_somebody_compressed_still_reads(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    torch.save({"a": torch.arange(100.0)}, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as old,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with open_pickle(tmp_path / "y.pt") as weights:
        assert torch.equal(weights.read("a"), torch.arange(100.0))


def test_the_tar_format_of_2016_reads(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    class TypeName:
        def __init__(self, name: str) -> None:
            self.name = name

    class Writer(pickle.Pickler):
        def persistent_id(self, obj: object) -> str | None:
            return "7" if isinstance(obj, TypeName) and obj.name == "tensor" else None

        def reducer_override(self, obj: Any) -> Any:
            return getattr(torch, obj.name) if isinstance(obj, TypeName) else NotImplemented

    def dump(*values: Any) -> bytes:
        buffer = io.BytesIO()
        for value in values:
            if isinstance(value, bytes):
                buffer.write(value)
            else:
                Writer(buffer, 2).dump(value)
        return buffer.getvalue()

    numbers = struct.pack("<q6f", 6, *range(6))
    members = {
        "storages": dump(1, ("3", "cpu", torch.FloatStorage), numbers, []),
        "tensors": dump(1, (7, "3", torch.FloatTensor), struct.pack("<ii5q", 2, 0, 2, 2, 2, 1, 1)),
        "pickle": dump({"a": TypeName("tensor")}),
    }
    with tarfile.open(tmp_path / "x.pth", "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    with open_pickle(tmp_path / "x.pth") as weights:
        assert weights.read("a").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_by_name_and_never_run(tmp_path: Path, zipped: bool) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    mark = tmp_path / "ran"
    torch.save(
        {"state_dict": {"a": torch.ones(2)}, "x": Evil(mark)},
        tmp_path / "x.ckpt",
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UnsafeFile) as refused:
        open_pickle(tmp_path / "x.ckpt")
    assert refused.value.fields["asked"] == [f"{os.system.__module__}.system"]
    assert not mark.exists()


def test_everything_a_file_asks_for_is_named(tmp_path: Path) -> None:
    from webui.engine.pickles import open_pickle

    asks = b"\x80\x02]q\x00(cos\nsystem\ncsubprocess\nPopen\n(X\x02\x00\x00\x00lstR"
    asks += b"cbuiltins\neval\n(X\x01\x00\x00\x001tRe."
    (tmp_path / "x.pt").write_bytes(asks)
    with pytest.raises(UnsafeFile) as refused:
        open_pickle(tmp_path / "x.pt")
    assert refused.value.fields["asked"] == ["os.system", "subprocess.Popen", "builtins.eval"]


def test_a_file_that_asks_and_then_breaks_is_still_refused_as_unsafe(tmp_path: Path) -> None:
    from webui.engine.pickles import open_pickle

    (tmp_path / "x.pt").write_bytes(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R\xff")
    with pytest.raises(UnsafeFile):
        open_pickle(tmp_path / "x.pt")


@pytest.mark.parametrize(
    "name",
    [
        "torch._utils\n_rebuild_tensor_v2",
        "torch._utils\n_rebuild_parameter",
        "collections\nOrderedDict",
        "torch\nFloatStorage",
    ],
)
def test_a_pickle_cannot_change_what_it_is_given(tmp_path: Path, name: str) -> None:
    from webui.engine import pickles

    before = {key: dict(vars(value)) for key, value in vars(pickles).items() if isinstance(value, type)}
    # BUILD with (None, {"__call__": 1}): sets attributes on whatever the name gave.
    (tmp_path / "x.pt").write_bytes(b"\x80\x02c" + name.encode() + b"\nN}X\x08\x00\x00\x00__call__K\x01s\x86b.")
    with pytest.raises(BrokenFile):
        pickles.open_pickle(tmp_path / "x.pt")
    assert before == {key: dict(vars(value)) for key, value in vars(pickles).items() if isinstance(value, type)}


def test_training_leftovers_are_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pytorch-lightning and numpy leave in published checkpoints: stand-ins swallow it, lightning absent or not.
    """
    import numpy as np
    import torch

    from webui.engine.pickles import open_pickle

    module = ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    module.ModelCheckpoint = type(
        "ModelCheckpoint", (), {"__module__": module.__name__, "__qualname__": "ModelCheckpoint"}
    )
    names = [module.__name__.rsplit(".", n)[0] for n in (2, 1, 0)]
    for name in names:
        monkeypatch.setitem(sys.modules, name, module)
    value = {
        "state_dict": {"a": torch.ones(2)},
        "callbacks": {module.ModelCheckpoint: {"best": np.float64(0.5), "last": module.ModelCheckpoint()}},
        "curve": np.arange(4),
        "where": Path("x"),
        "kind": torch.float16,
    }
    torch.save(value, tmp_path / "x.ckpt")
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    with open_pickle(tmp_path / "x.ckpt") as weights:
        assert set(weights) == {"a"}


def test_what_torch_calls_weights_only_reads_the_same(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    state = _state()
    torch.save(state, tmp_path / "x.pt")
    theirs = torch.load(tmp_path / "x.pt", weights_only=True)
    with open_pickle(tmp_path / "x.pt") as weights:
        assert all(torch.equal(weights.read(name), theirs[name]) for name in theirs)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_pickle_cut_short_is_a_broken_file(tmp_path: Path, zipped: bool, share: float) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    path = tmp_path / "x.ckpt"
    torch.save({"a": torch.randn(1000), "b": torch.randn(1000)}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BrokenFile):
        open_pickle(path)


def test_tensors_reaching_beyond_their_storage_are_refused(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    path = tmp_path / "x.pt"
    torch.save({"a": torch.arange(300.0)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    # The shape (300,) and the count 300 stand as 2-byte numbers; make the shape longer than the storage.
    at = data.rindex(b"M\x2c\x01")
    path.write_bytes(data[:at] + b"M\xff\x7f" + data[at + 3 :])
    with pytest.raises(BrokenFile):
        open_pickle(path)


def test_a_lone_tensor_and_a_list_are_told_apart(tmp_path: Path) -> None:
    import torch

    from webui.engine.pickles import open_pickle

    torch.save([torch.ones(1)], tmp_path / "list.pt")
    with pytest.raises(BrokenFile, match="no table of tensors"):
        open_pickle(tmp_path / "list.pt")
    torch.save(torch.ones(3), tmp_path / "one.pt")
    with open_pickle(tmp_path / "one.pt") as weights:
        assert weights.read("").tolist() == [1, 1, 1]
