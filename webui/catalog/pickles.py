"""Pickled weights (.ckpt .pt .pth .bin) read opcode by opcode: tensor names, shapes, and what they ask to import.

Nothing is imported, called or executed: a small machine pushes symbols where Python's would build objects. Work and
memory are bounded. The two forms that torch.load reads are told apart as it does, by the first four bytes: a zip
holding `<anything>/data.pkl`, or the legacy stream of five pickles followed by raw storage.
"""

import pickletools
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from webui.catalog.header import Header, Tensor
from webui.domain import ModelFormat
from webui.domain.errors import BrokenFile

LONGEST_PICKLE = 64 * 1024 * 1024
"""Bytes of pickle code looked at; a checkpoint with EMA has about half a megabyte."""
MOST_OPCODES = 5_000_000
DEEPEST = 12
LONGEST_NAME = 512
MOST_TENSORS = 200_000
MOST_WORDS = 100
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

STORAGES = {
    "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
_BUILDERS = """
    _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state
    _rebuild_device_tensor_from_numpy
"""
_TORCH = """
    _tensor._rebuild_from_type_v2 nn.parameter.Parameter nn.modules.container.ParameterDict storage.UntypedStorage
    UntypedStorage Tensor Size device serialization._get_layout
    DoubleTensor FloatTensor HalfTensor LongTensor IntTensor ShortTensor CharTensor ByteTensor
"""
_TRAINERS = """
    pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint
    lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint
    pytorch_lightning.callbacks.early_stopping.EarlyStopping
    pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor
    pytorch_lightning.utilities.parsing.AttributeDict omegaconf.dictconfig.DictConfig omegaconf.listconfig.ListConfig
    omegaconf.base.ContainerMetadata omegaconf.base.Metadata omegaconf.nodes.AnyNode
"""
_PLAIN = """
    collections.OrderedDict collections.defaultdict _codecs.encode typing.Any
    pathlib.PosixPath pathlib.WindowsPath pathlib.Path pathlib.PurePosixPath
    numpy.core.multiarray.scalar numpy._core.multiarray.scalar numpy.dtype numpy.ndarray
    numpy.core.multiarray._reconstruct numpy._core.multiarray._reconstruct __builtin__.unicode __builtin__.long
"""
ALLOWED = frozenset({
    *_TRAINERS.split(), *_PLAIN.split(),
    *(f"torch._utils.{name}" for name in _BUILDERS.split()), *(f"torch.{name}" for name in _TORCH.split()),
    *(f"torch{device}.{name}" for name in STORAGES for device in ("", ".cuda")), *(f"torch.{name}" for name in DTYPES),
    *(f"{module}.{name}" for module in ("builtins", "__builtin__")
      for name in ("set", "dict", "list", "int", "float", "str", "bool")),
})  # fmt: skip
"""What weights need: torch's ways to build tensors, plain containers, and what trainers leave beside them.

None of these is ever imported, neither here nor by the loader, which has a stand-in for each; a test holds the two
lists together.
"""


class _TooMuch(Exception):
    """The pickle goes on past what is looked at."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name the pickle asks to import."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    dtype: str


@dataclass(eq=False, slots=True)
class Built:
    """What a call would have built; `items` are what would have been put into it."""

    what: object
    arguments: object = None
    items: dict[Any, Any] = field(default_factory=dict[Any, Any])
    state: object = None


MARK = object()
NONSENSE = (
    ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, OverflowError, RecursionError, MemoryError,
)  # fmt: skip
"""What following a damaged pickle can raise."""


def read_pickle(path: Path) -> Header:
    """The header of a pickled file. Raises BrokenFile when it cannot be followed, OSError when it cannot be read."""
    with open(path, "rb") as file:
        return read_open(file, path)


def read_open(file: IO[bytes], path: Path) -> Header:
    """As `read_pickle`, of a file already open; `path` is for the messages."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    try:
        roots, asked = _read_zip(file) if start == b"PK\x03\x04" else _read_stream(file)
    except _TooMuch as error:
        raise BrokenFile(path=str(path), reason="its pickle is larger than any model's") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise BrokenFile(path=str(path), reason=f"its zip container is broken: {error}") from error
    except NONSENSE as error:
        raise BrokenFile(path=str(path), reason=f"its pickle cannot be followed: {error}") from error
    tensors: dict[str, Tensor] = {}
    words: dict[str, str] = {}
    for root in roots:
        for name, value in _leaves(root):
            if isinstance(value, Tensor):
                tensors[name] = value
            elif "." not in name and isinstance(value, str | int | float) and len(words) < MOST_WORDS:
                words[name] = str(value)[:4096]
            if len(tensors) > MOST_TENSORS:
                raise BrokenFile(path=str(path), reason="it names more tensors than any model has")
    names = tuple(sorted(asked))
    return Header(
        format=ModelFormat.PICKLE,
        tensors=tensors,
        metadata=words,
        asked=names,
        refused=tuple(name for name in names if name not in ALLOWED),
    )


def _read_zip(file: IO[bytes]) -> tuple[list[object], set[str]]:
    with zipfile.ZipFile(file) as box:
        names = [entry.filename for entry in box.infolist()]
        if len(set(names)) != len(names):
            raise ValueError("two entries of one name")
        pickles = [entry for entry in box.infolist() if entry.filename.lower().endswith(".pkl")]
        if not any(entry.filename.rsplit("/", 1)[-1] == "data.pkl" for entry in pickles):
            raise ValueError("there is no data.pkl in it")
        roots: list[object] = []
        asked: set[str] = set()
        for entry in pickles:
            if entry.file_size > LONGEST_PICKLE:
                raise _TooMuch
            with box.open(entry) as stream:
                machine = Machine(_Bounded(stream))
                roots.append(machine.run())
                asked |= machine.asked
    return roots, asked


def _read_stream(file: IO[bytes]) -> tuple[list[object], set[str]]:
    """Legacy: magic, protocol, system, object, storage keys. Anything else is one plain pickle."""
    bounded = _Bounded(file)
    asked: set[str] = set()

    def one() -> object:
        machine = Machine(bounded)
        try:
            return machine.run()
        finally:
            asked.update(machine.asked)

    first = one()
    if first != LEGACY_MAGIC:
        return [first], asked
    one()  # protocol
    one()  # system
    root = one()
    one()  # storage keys: torch.load unpickles them like the rest, so they are looked at like the rest
    return [root], asked


class _Bounded:
    """A reader that gives at most LONGEST_PICKLE bytes, so that no claimed length can fill memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = LONGEST_PICKLE

    def read(self, count: int = -1) -> bytes:
        if count < 0 or count > self._left:
            raise _TooMuch
        data = self._file.read(count)
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self._file.readline(self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise _TooMuch
        return data


class Machine:
    """Python's pickle machine with symbols for objects. `run` gives the root; `asked` fills with dotted names."""

    def __init__(self, stream: _Bounded) -> None:
        self._stream = stream
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.asked: set[str] = set()

    def run(self) -> object:
        """The symbolic value of one pickle, up to its STOP. Raises ValueError or IndexError on nonsense."""
        for steps, (opcode, argument, _) in enumerate(pickletools.genops(cast("IO[bytes]", self._stream))):
            if steps > MOST_OPCODES:
                raise _TooMuch
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("no STOP")

    def _step(self, code: str, argument: Any) -> None:
        stack = self._stack
        match code:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                stack.append(MARK)
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(code == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append(Built("dict"))
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE" | "LIST" | "FROZENSET" | "DICT":
                self._collect(code)
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(code[-1])
                stack[-count:] = [tuple(self._top(count))]
            case "APPEND" | "APPENDS" | "ADDITEMS":
                self._append([stack.pop()] if code == "APPEND" else self._since_mark())
            case "SETITEM" | "SETITEMS":
                self._set_items([stack.pop(), stack.pop()][::-1] if code == "SETITEM" else self._since_mark())
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[int(argument)] = stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self._memo[int(argument)])
            case _:
                self._call(code, argument)

    def _call(self, code: str, argument: Any) -> None:
        stack = self._stack
        match code:
            case "GLOBAL":
                stack.append(self._ask(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(self._ask(module, name))
            case "INST":
                arguments = tuple(self._since_mark())
                stack.append(Built(self._ask(*argument.split(" ", 1)), arguments))
            case "OBJ":
                what, *arguments = self._since_mark()
                stack.append(Built(what, tuple(arguments)))
            case "NEWOBJ" | "REDUCE":
                arguments, what = stack.pop(), stack.pop()
                stack.append(build(what, arguments))
            case "NEWOBJ_EX":
                _, arguments, what = stack.pop(), stack.pop(), stack.pop()
                stack.append(build(what, arguments))
            case "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], Built):
                    stack[-1].state = state
            case "PERSID" | "BINPERSID":
                stack.append(storage(stack.pop() if code == "BINPERSID" else argument))
            case "EXT1" | "EXT2" | "EXT4":
                stack.append(self._ask("copyreg", f"extension_{argument}"))
            case "NEXT_BUFFER" | "READONLY_BUFFER":
                raise ValueError("out-of-band buffers")
            case _:
                stack.append(argument)

    def _ask(self, module: object, name: object) -> Symbol:
        asked = f"{module}.{name}"[:LONGEST_NAME]
        self.asked.add(asked)
        return Symbol(asked)

    def _top(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("stack is empty")
        return self._stack[-count:]

    def _since_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not MARK:
            place -= 1
            if place < 0:
                raise IndexError("no mark")
        found = self._stack[place + 1 :]
        del self._stack[place:]
        return found

    def _collect(self, code: str) -> None:
        items = self._since_mark()
        if code == "DICT":
            self._stack.append(Built("dict"))
            self._set_items(items)
        else:
            self._stack.append(tuple(items) if code == "TUPLE" else items)

    def _append(self, items: Iterable[Any]) -> None:
        if isinstance(self._stack[-1], list):
            cast("list[Any]", self._stack[-1]).extend(items)

    def _set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Built):
            for key, value in zip(pairs[::2], pairs[1::2], strict=False):
                if isinstance(key, str | int | float):
                    target.items[key] = value


def storage(identity: object) -> object:
    """The persistent id torch writes for a storage: ("storage", type, key, location, count)."""
    if isinstance(identity, tuple):
        parts = cast("tuple[object, ...]", identity)
        if len(parts) >= 2 and isinstance(parts[1], Symbol):
            return Storage(STORAGES.get(parts[1].name.rsplit(".", 1)[-1], "?"))
    return Storage("?")


def build(what: object, arguments: object) -> object:
    """A Tensor for torch's rebuild functions, a Built for anything else."""
    name = what.name.rsplit(".", 1)[-1] if isinstance(what, Symbol) else ""
    given = _tuple(arguments)
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3") and len(given) >= 3:
        return _tensor(given)
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state", "Parameter") and given:
        return given[0]
    if name == "_rebuild_from_type_v2" and len(given) >= 3 and isinstance(given[2], tuple):
        return build(given[0], cast("tuple[object, ...]", given[2]))
    return Built(what, arguments)


def _tuple(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()


def _tensor(given: tuple[object, ...]) -> object:
    held, shape = given[0], given[2]
    if isinstance(shape, Built):  # torch.Size((…))
        shape = next(iter(_tuple(shape.arguments)), ())
    if not isinstance(shape, tuple | list):
        return Built("tensor")
    sizes = tuple(size for size in cast("Iterable[object]", shape) if isinstance(size, int))
    dtype = held.dtype if isinstance(held, Storage) else "?"
    # _rebuild_tensor_v3 names the dtype itself, over an untyped storage.
    named = next(
        (DTYPES[one.name[6:]] for one in given[3:] if isinstance(one, Symbol) and one.name[6:] in DTYPES), dtype
    )
    return Tensor(named, sizes)


def _leaves(root: object) -> Iterator[tuple[str, object]]:
    """Dotted names and values of everything reachable, each container once."""
    seen: set[int] = set()
    waiting: list[tuple[str, object, int]] = [("", root, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        if isinstance(value, Tensor | str | float) or (isinstance(value, int) and value.bit_length() <= 64):
            yield name, value
            continue
        if id(value) in seen or depth > DEEPEST:
            continue
        seen.add(id(value))
        below = [
            (f"{name}.{key}" if name else str(key), inner, depth + 1) for key, inner in _inside(value) if _short(key)
        ]
        waiting.extend(reversed(below))


def _short(key: object) -> bool:
    """Long keys are no tensor's name; nested, they would fill memory."""
    return len(key) <= LONGEST_NAME if isinstance(key, str) else not isinstance(key, int) or key.bit_length() <= 64


def _inside(value: object) -> Iterable[tuple[Any, object]]:
    if isinstance(value, Built):
        state: dict[Any, Any] = value.state.items if isinstance(value.state, Built) else {}
        hidden = state.get("_parameters")
        return [*value.items.items(), *state.items(), *(hidden.items.items() if isinstance(hidden, Built) else ())]
    if isinstance(value, list | tuple):
        return list(enumerate(cast("Iterable[object]", value)))
    return ()
