"""PyTorch pickles read without running them: an unpickler whose every name is a stand-in of ours.

`torch.save` writes a pickle that calls `torch._utils._rebuild_tensor_v2` and friends. Here those names give plain
records (`Entry`) of where a tensor's bytes lie; nothing of torch, numpy or anybody's package is ever imported or
called. A name outside `ALLOWED` is collected, and the file is refused with all of them (`UnsafeFile`). To allow
another harmless name (a training callback's class, say), add it to `INERT`.
"""

import io
import mmap
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from webui.domain.errors import BrokenFile, UnsafeFile
from webui.engine.weights import Entry, FileSource, MemorySource, Source, Weights, sniff

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# The pickle of a checkpoint is a list of names: SD 1.5's is 300 KB.
LARGEST_PICKLE = 256 * 1024 * 1024

STORAGES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
DTYPES: dict[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
}
INERT = frozenset(
    {
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
        "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
        "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.dtype",
        "numpy.ndarray",
        "_codecs.encode",
        "torch.device",
        "torch.Size",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch.serialization._get_layout",
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
        *(f"torch.{kind}Tensor" for kind in ("Double", "Float", "Half", "Long", "Int", "Short", "Char", "Byte")),
        "omegaconf.dictconfig.DictConfig",
        "omegaconf.listconfig.ListConfig",
        "omegaconf.base.ContainerMetadata",
        "omegaconf.base.Metadata",
        "omegaconf.nodes.AnyNode",
        "typing.Any",
        "pathlib.PosixPath",
        "pathlib.WindowsPath",
        "pathlib.Path",
        "pathlib.PurePosixPath",
    }
)
"""Names whose value nobody needs: each becomes a `Husk`, which takes any arguments and does nothing."""


class Husk:
    """Stands for an object that is not wanted. Swallows what a pickle does to it."""

    def __new__(cls, *_args: object, **_kwargs: object) -> "Husk":
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass

    def __setitem__(self, _key: object, _value: object) -> None:
        pass

    def append(self, _value: object) -> None:
        pass

    def extend(self, _values: object) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, *_args: object, **_kwargs: object) -> "Husk":
        return self


class Dictionary(OrderedDict[Any, Any]):
    """An OrderedDict that lets a pickle set attributes (`_metadata` of state dicts) without keeping them."""

    def __setstate__(self, _state: object) -> None:
        pass


class Parameters(Dictionary):
    """An `nn.ParameterDict`: what it holds stands in its module's state. The first embeddings were saved so."""

    def __setstate__(self, state: object) -> None:
        held = state.get("_parameters") if isinstance(state, dict) else None
        if isinstance(held, dict):
            self.update(held)


@dataclass(slots=True)
class Storage:
    """A run of numbers in the file. `source` is None until a legacy file's data part was walked."""

    dtype: torch.dtype | None
    source: Source | None = None
    offset: int = 0
    size: int = 0

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError("a storage has no state")


@dataclass(slots=True)
class Lump:
    """A tensor as the pickle tells of it: a window on a storage, counted in elements."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError("a tensor has no state")


def _rebuild_tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_rest: object
) -> Lump:
    if not isinstance(storage, Storage) or storage.dtype is None:
        raise pickle.UnpicklingError("a tensor without a typed storage")
    return Lump(storage, storage.dtype, int(offset), _sizes(shape), _sizes(stride))


def _rebuild_tensor_v3(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    _grad: object,
    _hooks: object,
    dtype: torch.dtype,
    *_rest: object,
) -> Lump:
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        raise pickle.UnpicklingError("a tensor without a storage")
    return Lump(storage, dtype, int(offset), _sizes(shape), _sizes(stride))


def _rebuild_parameter(data: object, *_rest: object) -> object:
    return data


def _rebuild_from_type(_function: object, _kind: object, arguments: tuple[Any, ...], _state: object) -> Lump:
    return _rebuild_tensor(*arguments)


def _sizes(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or not all(isinstance(n, int) and n >= 0 for n in values):
        raise pickle.UnpicklingError("sizes that are no numbers")
    return tuple(values)


class Maker:
    """A function a pickle may call.

    An object with no attributes to set, so that a pickle cannot leave anything on it.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, _state: object) -> None:
        raise pickle.UnpicklingError("a function has no state")


ALLOWED: Mapping[str, Any] = {
    "collections.OrderedDict": Dictionary,
    "collections.defaultdict": Maker(lambda *_arguments: Dictionary()),
    "builtins.set": set,
    "__builtin__.set": set,
    "builtins.dict": dict,
    "__builtin__.dict": dict,
    "torch._utils._rebuild_tensor": Maker(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": Maker(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v3": Maker(_rebuild_tensor_v3),
    "torch._utils._rebuild_parameter": Maker(_rebuild_parameter),
    "torch._utils._rebuild_parameter_with_state": Maker(_rebuild_parameter),
    "torch._tensor._rebuild_from_type_v2": Maker(_rebuild_from_type),
    "torch.nn.modules.container.ParameterDict": Parameters,
    "torch.storage.UntypedStorage": None,
    "torch.UntypedStorage": None,
    **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
    **{f"torch.cuda.{name}": dtype for name, dtype in STORAGES.items()},
    **{f"torch.{name}": dtype for name, dtype in DTYPES.items()},
}
# `defaultdict(list)` and `set` name these; as bare values they do no harm, and nothing here calls them with a
# pickle's arguments.
_VALUES = frozenset(
    {
        "builtins.list",
        "__builtin__.list",
        "builtins.int",
        "__builtin__.int",
        "builtins.float",
        "__builtin__.float",
        "builtins.str",
        "__builtin__.str",
        "__builtin__.unicode",
        "__builtin__.long",
        "builtins.bool",
        "__builtin__.bool",
    }
)


class Reader(pickle.Unpickler):
    """An unpickler that can only make stand-ins. `asked` lists the names it has no stand-in for."""

    def __init__(self, file: Any, storage_of: Callable[[Any], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self.asked: list[str] = []
        self._storage_of = storage_of

    def find_class(self, module: str, name: str, /) -> Any:
        dotted = f"{module}.{name}"
        if dotted in ALLOWED:
            return ALLOWED[dotted]
        if dotted not in INERT and dotted not in _VALUES and dotted not in self.asked:
            self.asked.append(dotted)
        return Husk

    def persistent_load(self, pid: Any, /) -> Any:
        if isinstance(pid, tuple) and len(pid) > 1 and pid[0] == "module":
            # The legacy form of a module's class: a stand-in already, with its source beside it.
            return pid[1]
        return self._storage_of(pid)


def open_pickle(path: Path) -> Weights:
    """Read a .ckpt, .pt, .pth or .bin: zip, legacy stream or tar. Raises UnsafeFile, BrokenFile.

    The tensors are those of `state_dict` when the file has one, else the file's own; nested tables are flattened with
    dots.
    """
    source = FileSource(path)
    try:
        value = {"zip": _from_zip, "pickle": _from_stream, "tar": _from_tar}[sniff(path)](path, source)
        entries, extra = _flattened(path, value)
    except (UnsafeFile, BrokenFile):
        source.close()
        raise
    except Exception as error:  # a broken pickle can raise anything at all from the unpickler
        source.close()
        raise BrokenFile(path=str(path), reason=f"{type(error).__name__}: {error}") from error
    if not any(entry.source is source for entry in entries.values()):
        source.close()
    # What a safetensors file says in its header, a pickle says beside its tensors.
    return Weights(path, entries, {name: item for name, item in extra.items() if isinstance(item, str)}, extra)


def _unpickled(path: Path, file: Any, storage_of: Callable[[Any], Any]) -> Any:
    """Run one pickle through the reader.

    Raises UnsafeFile when it asked for anything else, even if it broke on the way.
    """
    reader = Reader(file, storage_of)
    try:
        value = reader.load()
    except Exception:
        if reader.asked:
            raise UnsafeFile(path=str(path), asked=reader.asked) from None
        raise
    if reader.asked:
        raise UnsafeFile(path=str(path), asked=reader.asked)
    return value


def _from_zip(path: Path, source: FileSource) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        pickles = [name for name in members if name.rsplit("/", 1)[-1] == "data.pkl"]
        if not pickles:
            raise BrokenFile(path=str(path), reason="an archive without data.pkl")
        base = pickles[0][: -len("data.pkl")]
        if members[pickles[0]].file_size > LARGEST_PICKLE:
            raise BrokenFile(path=str(path), reason="its table of names is too large")
        order = members.get(f"{base}byteorder")
        if order is not None and archive.read(order) == b"big":
            raise BrokenFile(path=str(path), reason="it was written on a big-endian machine")
        storages: dict[str, Storage] = {}

        def storage_of(pid: Any) -> Storage:
            dtype, key = _storage_name(pid)
            if key not in storages:
                storages[key] = _member(archive, members[f"{base}data/{key}"], source, dtype)
            return storages[key]

        return _unpickled(path, io.BytesIO(archive.read(pickles[0])), storage_of)


def _storage_name(pid: Any) -> tuple[torch.dtype | None, str]:
    if not isinstance(pid, tuple) or len(pid) < 4 or pid[0] != "storage":
        raise pickle.UnpicklingError(f"unknown reference {type(pid).__name__}")
    if pid[1] is not None and not isinstance(pid[1], torch.dtype):
        raise pickle.UnpicklingError("unknown storage type")
    return pid[1], str(pid[2])


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: FileSource, dtype: torch.dtype | None) -> Storage:
    """A storage inside the archive: in place when stored, unpacked when somebody has compressed it."""
    if info.compress_type != zipfile.ZIP_STORED:
        return Storage(dtype, MemorySource(bytearray(archive.read(info))), 0, info.file_size)
    local = bytearray(30)
    source.read_into(memoryview(local), info.header_offset)
    names, extras = struct.unpack_from("<HH", local, 26)
    return Storage(dtype, source, info.header_offset + 30 + names + extras, info.file_size)


def _from_stream(path: Path, source: FileSource) -> Any:
    """The format before PyTorch 1.6: magic, protocol, system, the value, the storages' names, then their data in that
    order.
    """
    storages: dict[str, Storage] = {}
    counts: dict[str, int] = {}

    def storage_of(pid: Any) -> Storage:
        dtype, key = _storage_name(pid)
        storage = storages.setdefault(key, Storage(dtype))
        counts[key] = int(pid[4])
        if len(pid) > 5 and pid[5] is not None:
            # A view: (its own key, offset and count in elements of the storage it looks into).
            return _View(dtype, storage, int(pid[5][1]))
        return storage

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if _unpickled(path, data, storage_of) != LEGACY_MAGIC:
            raise BrokenFile(path=str(path), reason="a pickle that PyTorch did not write")
        _unpickled(path, data, storage_of)
        system = _unpickled(path, data, storage_of)
        if isinstance(system, dict) and not system.get("little_endian", True):
            raise BrokenFile(path=str(path), reason="it was written on a big-endian machine")
        value = _unpickled(path, data, storage_of)
        for key in _unpickled(path, data, storage_of):
            storage = storages[str(key)]
            _place(storage, source, data.tell(), counts[str(key)])
            data.seek(storage.offset + storage.size)
    return value


class _View(Storage):
    """A legacy view on another storage; the place is known only after the data part was walked."""

    __slots__ = ("base", "first")

    def __init__(self, dtype: torch.dtype | None, base: Storage, first: int) -> None:
        super().__init__(dtype)
        self.base = base
        self.first = first


def _place(storage: Storage, source: Source, at: int, count: int) -> None:
    if storage.dtype is None:
        raise pickle.UnpicklingError("a storage without a type")
    storage.source, storage.offset, storage.size = source, at + 8, count * storage.dtype.itemsize
    if storage.offset + storage.size > source.size:
        raise EOFError(f"it ends at byte {source.size}, its data at {storage.offset + storage.size}")


def _from_tar(path: Path, source: FileSource) -> Any:
    """The format before PyTorch 0.1.10: a tar of `storages`, `tensors` and `pickle`, whose references are tensor ids.
    """
    objects: dict[Any, Any] = {}

    def kind_of(pid: Any) -> Any:
        raise pickle.UnpicklingError(f"unexpected reference {pid!r}")

    with (
        tarfile.open(path, "r:") as archive,
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        places = {info.name.removeprefix("./"): info.offset_data for info in archive.getmembers()}
        data.seek(places["storages"])
        for _ in range(int(_unpickled(path, data, kind_of))):
            key, _location, dtype = _unpickled(path, data, kind_of)
            (count,) = struct.unpack("<q", data[data.tell() : data.tell() + 8])
            objects[key] = storage = Storage(dtype)
            _place(storage, source, data.tell(), count)
            data.seek(storage.offset + storage.size)
        for target, root, offset, count in _unpickled(path, data, kind_of):
            base = objects[root]
            objects[target] = Storage(
                base.dtype, source, base.offset + offset * base.dtype.itemsize, count * base.dtype.itemsize
            )
        data.seek(places["tensors"])
        for _ in range(int(_unpickled(path, data, kind_of))):
            key, storage_key, _kind = _unpickled(path, data, kind_of)
            at = data.tell()
            (rank,) = struct.unpack_from("<i", data, at)
            numbers = struct.unpack_from(f"<{2 * rank + 1}q", data, at + 8)
            data.seek(at + 8 + 8 * (2 * rank + 1))
            objects[key] = _rebuild_tensor(objects[storage_key], numbers[-1], numbers[:rank], numbers[rank : 2 * rank])
        data.seek(places["pickle"])
        return _unpickled(path, data, lambda pid: Husk if isinstance(pid, tuple) else objects[int(pid)])


def _flattened(path: Path, value: Any) -> tuple[dict[str, Entry], dict[str, Any]]:
    entries: dict[str, Entry] = {}
    extra: dict[str, Any] = {}
    if isinstance(value, Lump):
        value = {"": value}
    if not isinstance(value, dict):
        raise BrokenFile(path=str(path), reason="a pickle that holds no table of tensors")
    if isinstance(value.get("state_dict"), dict):
        extra = {str(key): item for key, item in value.items() if isinstance(item, int | float | str)}
        value = value["state_dict"]
    stack: list[tuple[str, Any]] = [(str(key), item) for key, item in reversed(value.items())]
    while stack:
        name, item = stack.pop()
        if isinstance(item, Lump):
            entries[name] = _entry(name, item)
        elif isinstance(item, dict) and name.count(".") < 64:
            stack += [(f"{name}.{key}", below) for key, below in reversed(item.items())]
        elif isinstance(item, list | tuple) and name.count(".") < 64:
            # A hypernetwork keeps its pairs so.
            stack += [(f"{name}.{number}", below) for number, below in reversed(list(enumerate(item)))]
        elif isinstance(item, int | float | str):
            extra[name] = item
    return entries, extra


def _entry(name: str, lump: Lump) -> Entry:
    storage, first = lump.storage, lump.offset
    if isinstance(storage, _View):
        storage, first = storage.base, storage.first + first
    if storage.source is None:
        raise EOFError(f"no data for {name}")
    plain = _in_order(lump.shape, lump.stride)
    entry = Entry(
        storage.source,
        storage.offset + first * lump.dtype.itemsize,
        lump.dtype,
        lump.shape,
        None if plain else lump.stride,
    )
    if first * lump.dtype.itemsize + entry.size > storage.size:
        raise EOFError(f"{name} reaches beyond its storage")
    return entry


def _in_order(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    if len(shape) != len(stride):
        raise pickle.UnpicklingError("shape and stride disagree")
    expected = 1
    for size, step in zip(reversed(shape), reversed(stride), strict=True):
        if size != 1 and step != expected:
            return False
        expected *= size
    return True
