"""Pickles are followed, never run: what they name is seen, what they would do is not done."""

import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from tests.catalog.files import calls, legacy, mapping, number, program, tensor, text, weights, zipped
from webui.catalog import pickles
from webui.catalog.header import Tensor
from webui.catalog.identify import identify
from webui.catalog.pickles import read_pickle
from webui.domain import Family, ModelKind
from webui.domain.errors import BrokenFile

SHAPES = {"conv.weight": (320, 4, 3, 3), "conv.bias": (320,), "count": ()}
AS_READ = {name: Tensor("F16", shape) for name, shape in SHAPES.items()}


@pytest.mark.parametrize("write", [zipped, legacy])
def test_names_and_shapes_are_read_from_both_containers(tmp_path: Path, write: object):
    header = read_pickle(write(tmp_path / "a.ckpt", weights(SHAPES)))  # type: ignore[operator]
    assert header.tensors == AS_READ
    assert header.refused == ()
    assert "torch._utils._rebuild_tensor_v2" in header.asked


def test_a_wrapped_state_dict_keeps_its_wrapper_and_its_numbers(tmp_path: Path):
    header = read_pickle(zipped(tmp_path / "a.ckpt", weights(SHAPES, wrapper="state_dict")))
    assert header.tensors == {f"state_dict.{name}": tensor for name, tensor in AS_READ.items()}
    assert header.metadata == {"global_step": "840000"}


@pytest.mark.parametrize("folder", ["archive", "模型 (1)", "a/b", "v1.5 [x]"])
def test_the_folder_inside_the_zip_may_have_any_name(tmp_path: Path, folder: str):
    assert read_pickle(zipped(tmp_path / "a.pt", weights(SHAPES), folder=folder)).tensors == AS_READ


def test_keys_that_are_numbers_become_names(tmp_path: Path):
    pickled = program(mapping({768: b"(" + mapping({"linear.0.weight": tensor((1536, 768))}) + b"t"}))
    assert list(read_pickle(zipped(tmp_path / "h.pt", pickled)).tensors) == ["768.0.linear.0.weight"]


def test_a_malicious_pickle_is_named_and_not_executed(tmp_path: Path):
    mark = tmp_path / "ran"
    path = zipped(tmp_path / "a.ckpt", calls("os", "system", f"touch '{mark}'"))
    header = read_pickle(path)
    assert header.refused == ("os.system",)
    assert not mark.exists()


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "ran"))


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_is_followed_and_none_executed(tmp_path: Path, protocol: int):
    mark = tmp_path / "ran"
    path = zipped(tmp_path / "a.pt", pickle.dumps({"x": Evil(mark), "y": [1, 2.5, "z", None, True]}, protocol=protocol))
    assert any("Path" in name or "getattr" in name for name in read_pickle(path).refused)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("pickled", "asked"),
    [
        (program(b"(ios\nsystem\n"), "os.system"),
        (program(b"(cos\nsystem\n" + text("x") + b"o"), "os.system"),
        (program(b"cos\nsystem\n)\x81"), "os.system"),
        (b"\x80\x04" + b"\x8c\x02os\x8c\x06system\x93" + b")R.", "os.system"),
        (program(b"\x82\x07"), "copyreg.extension_7"),
        (program(b"cbuiltins\neval\n"), "builtins.eval"),
        (program(b"ctorch.hub\nload\n"), "torch.hub.load"),
        (program(b"ctorch\n_utils._rebuild_tensor_v2 \n"), "torch._utils._rebuild_tensor_v2 "),
    ],
)
def test_every_way_to_ask_for_a_name_is_seen(tmp_path: Path, pickled: bytes, asked: str):
    assert asked in read_pickle(zipped(tmp_path / "a.pt", pickled)).refused


def test_a_pickle_hidden_behind_the_weights_is_seen_too(tmp_path: Path):
    evil = calls("os", "system", "true")
    assert "os.system" in read_pickle(legacy(tmp_path / "a.pt", weights(SHAPES), keys=evil)).refused
    path = zipped(tmp_path / "b.pt", weights(SHAPES))
    with zipfile.ZipFile(path, "a") as box:
        box.writestr("archive/other.pkl", evil)
    assert "os.system" in read_pickle(path).refused


def test_a_zip_behind_a_legacy_pickle_does_not_hide_it(tmp_path: Path):
    path = legacy(tmp_path / "a.pt", calls("os", "system", "true"))
    harmless = zipped(tmp_path / "b.pt", weights(SHAPES))
    path.write_bytes(path.read_bytes() + harmless.read_bytes())
    assert zipfile.is_zipfile(path)
    assert read_pickle(path).refused == ("os.system",)


def test_two_entries_of_one_name_are_refused(tmp_path: Path):
    path = zipped(tmp_path / "a.pt", weights(SHAPES))
    with zipfile.ZipFile(path, "a") as box, pytest.warns(UserWarning, match="Duplicate"):
        box.writestr("archive/data.pkl", calls("os", "system", "true"))
    with pytest.raises(BrokenFile, match="two entries"):
        read_pickle(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x80", b"hello, this is text", b"\x00" * 100, b"PK\x03\x04" + b"\0" * 50, b"\x80\x02}q", b"\x80\x02R.",
        b"\x80\x02t.", b"\x80\x02h\x05.", b"\x80\x02(((((", b"\x80\x02X\xff\xff\xff\x7fabc",
        b"I" + b"9" * 10_000 + b"\n.",
        b"\x80\x02}(K\x01u.", b"\x80\x05\x97.", b"\x80\x02" + b"\x8b\xff\xff\xff\x7f", b"\x80\x02.", b"\x80\x02u.",
    ],
    ids=repr,
)  # fmt: skip
def test_nonsense_is_broken_and_never_anything_else(tmp_path: Path, content: bytes):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    try:
        header = read_pickle(path)
    except BrokenFile as error:
        assert error.fields["path"] == str(path)
    else:
        assert header.tensors == {}


def test_every_single_damaged_byte_is_survived(tmp_path: Path):
    """A bit turned anywhere gives a header or BrokenFile, and nothing is run."""
    pickled = weights({"a.weight": (2, 3)}, wrapper="state_dict")
    path = tmp_path / "a.pt"
    for place in range(len(pickled)):
        for turned in (0x00, 0xFF, pickled[place] ^ 1):
            path.write_bytes(pickled[:place] + bytes([turned]) + pickled[place + 1 :])
            try:
                read_pickle(path)
            except BrokenFile:
                continue


def test_a_truncated_zip_is_broken(tmp_path: Path):
    path = zipped(tmp_path / "a.ckpt", weights(SHAPES))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BrokenFile, match="zip"):
        read_pickle(path)


def test_a_zip_without_a_pickle_is_broken(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as box:
        box.writestr("readme.txt", "hello")
    with pytest.raises(BrokenFile, match=r"data\.pkl"):
        read_pickle(tmp_path / "a.ckpt")


def test_a_pickle_that_only_goes_on_and_on_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pickles, "MOST_OPCODES", 1000)
    path = tmp_path / "a.pt"
    path.write_bytes(b"\x80\x02" + b"N" * 5000 + b".")
    with pytest.raises(BrokenFile, match="larger than any"):
        read_pickle(path)


def test_a_zip_bomb_is_given_up_by_its_claimed_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pickles, "LONGEST_PICKLE", 10_000)
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("a/data.pkl", b"\x80\x02" + b"N" * 1_000_000 + b".")
    with pytest.raises(BrokenFile, match="larger than any"):
        read_pickle(tmp_path / "a.pt")


def test_containers_that_hold_themselves_end(tmp_path: Path):
    path = tmp_path / "a.pt"
    path.write_bytes(program(b"}q\x00(" + text("self") + b"h\x00" + text("x") + tensor((2,)) + b"u"))
    assert read_pickle(path).tensors == {"x": Tensor("F16", (2,))}


def test_shared_containers_do_not_multiply(tmp_path: Path):
    """Forty levels, each holding the one below twice, are 2^40 paths."""
    pickled = b"]q\x00"
    for level in range(40):
        pickled += (
            b"0](h" + struct.pack("<B", level) + b"h" + struct.pack("<B", level) + b"eq" + struct.pack("<B", level + 1)
        )
    path = tmp_path / "a.pt"
    path.write_bytes(program(pickled + number(1) + b"0"))
    assert read_pickle(path).tensors == {}


@pytest.mark.torch
@pytest.mark.parametrize("zipfile_form", [True, False])
def test_what_torch_saves_is_read(tmp_path: Path, zipfile_form: bool):
    import torch

    state = {
        "half": torch.zeros(2, 3, dtype=torch.float16),
        "brain": torch.nn.Parameter(torch.zeros(4, dtype=torch.bfloat16)),
        "whole": torch.zeros(5, dtype=torch.int64),
        "view": torch.zeros(10, 10)[2:4, 3:],
    }
    model = {"state_dict": torch.nn.Linear(3, 2).state_dict() | state, "epoch": 3, "note": "hello"}
    torch.save(model, tmp_path / "a.ckpt", _use_new_zipfile_serialization=zipfile_form)
    header = read_pickle(tmp_path / "a.ckpt")
    assert header.refused == ()
    assert header.tensors == {
        "state_dict.weight": Tensor("F32", (2, 3)), "state_dict.bias": Tensor("F32", (2,)),
        "state_dict.half": Tensor("F16", (2, 3)), "state_dict.brain": Tensor("BF16", (4,)),
        "state_dict.whole": Tensor("I64", (5,)), "state_dict.view": Tensor("F32", (2, 7)),
    }  # fmt: skip
    assert header.metadata == {"epoch": "3", "note": "hello"}


@pytest.mark.torch
def test_what_torch_refuses_to_load_as_weights_is_refused_here_too(tmp_path: Path):
    import torch

    torch.save({"x": Evil(tmp_path / "ran")}, tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pt", weights_only=True)
    assert read_pickle(tmp_path / "a.pt").refused
    assert not (tmp_path / "ran").exists()


@pytest.mark.torch
def test_the_catalog_and_the_loader_allow_the_same_names():
    from webui.engine import pickles as loader

    assert set(loader.ALLOWED) | loader.INERT | loader._VALUES == pickles.ALLOWED


@pytest.mark.torch
@pytest.mark.parametrize("zipfile_form", [True, False])
def test_an_embedding_as_a1111_and_as_its_trainer_saved_it(tmp_path: Path, zipfile_form: bool):
    import torch

    vector = torch.zeros(4, 768)
    for held in ({"*": vector}, torch.nn.ParameterDict({"*": torch.nn.Parameter(vector)})):
        path = tmp_path / "e.pt"
        embedding = {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": held, "name": "e", "step": 5}
        torch.save(embedding, path, _use_new_zipfile_serialization=zipfile_form)
        header = read_pickle(path)
        assert header.refused == ()
        found = identify(header, "e.pt").found
        assert found is not None
        assert (found.kind, found.family) == (ModelKind.EMBEDDING, Family.SD1)
        assert header.metadata == {"name": "e", "step": "5"}


@pytest.mark.torch
def test_a_hypernetwork_as_a1111_saved_it(tmp_path: Path):
    import torch

    def layers(width: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        one = {"linear.0.weight": torch.zeros(2 * width, width), "linear.1.weight": torch.zeros(width, 2 * width)}
        return one, one

    state = {768: layers(768), 320: layers(320), "step": 20_000, "name": "h", "layer_structure": [1, 2, 1]}
    torch.save(state, tmp_path / "h.pt")
    header = read_pickle(tmp_path / "h.pt")
    found = identify(header).found
    assert found is not None
    assert (found.kind, found.family) == (ModelKind.HYPERNETWORK, Family.SD1)
    assert header.metadata == {"step": "20000", "name": "h"}


@pytest.mark.torch
def test_a_hypernetwork_of_the_first_weeks_is_one_too(tmp_path: Path):
    import torch

    one = {"linear1.weight": torch.zeros(1536, 768), "linear2.weight": torch.zeros(768, 1536)}
    torch.save({768: (one, one)}, tmp_path / "h.pt")
    found = identify(read_pickle(tmp_path / "h.pt")).found
    assert found is not None
    assert (found.kind, found.family) == (ModelKind.HYPERNETWORK, Family.SD1)
