"""Small real model files, written by hand so that no test here needs torch."""

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]
STORAGES = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage"}
WIDTH = {"F32": 4, "F16": 2, "BF16": 2}


def safetensors(path: Path, shapes: Shapes, *, dtype: str = "F16", metadata: Mapping[str, str] | None = None) -> Path:
    """A whole safetensors file of zeros; large shapes stay holes in the file."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + count(shape) * WIDTH[dtype]
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    header = json.dumps(table).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return path


def count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def text(word: str) -> bytes:
    raw = word.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tensor(shape: tuple[int, ...], dtype: str = "F16") -> bytes:
    """What torch.save writes for one tensor."""
    storage = (
        b"("
        + text("storage")
        + f"ctorch\n{STORAGES[dtype]}\n".encode()
        + text("0")
        + text("cpu")
        + number(count(shape))
        + b"tQ"
    )
    sizes = b"(" + b"".join(map(number, shape)) + b"t"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + number(0)
        + sizes
        + sizes
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def mapping(items: Mapping[str | int, bytes]) -> bytes:
    keys = {key: number(key) if isinstance(key, int) else text(key) for key in items}
    return b"}(" + b"".join(keys[key] + value for key, value in items.items()) + b"u"


def program(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def weights(shapes: Shapes, *, wrapper: str = "") -> bytes:
    """The pickle of a state dict, bare or under `wrapper`."""
    state = mapping({name: tensor(shape) for name, shape in shapes.items()})
    return program(mapping({wrapper: state, "global_step": number(840000)}) if wrapper else state)


def zipped(path: Path, pickled: bytes, *, folder: str = "archive") -> Path:
    """torch's zip container around a pickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as box:
        box.writestr(f"{folder}/data.pkl", pickled)
        box.writestr(f"{folder}/version", "3\n")
        box.writestr(f"{folder}/data/0", b"\0" * 64)
    return path


def legacy(path: Path, pickled: bytes, *, keys: bytes | None = None) -> Path:
    """torch's stream of five pickles, as before version 1.6."""
    magic = program(b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little"))
    parts = [magic, program(b"M\xe9\x03"), program(b"}"), pickled, keys or program(b"]" + text("0") + b"a")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(parts) + struct.pack("<q", 4) + b"\0" * 16)
    return path


def calls(module: str, name: str, argument: str) -> bytes:
    """A pickle that would call `module.name(argument)` if anybody executed it."""
    return program(f"c{module}\n{name}\n".encode() + b"(" + text(argument) + b"tR")


def png(path: Path, chunks: Mapping[str, bytes] | None = None) -> Path:
    """A PNG of one pixel with these text chunks; nobody here looks at the pixel."""
    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(8)
    for name, value in (chunks or {}).items():
        body = name.encode() + b"\0" + value
        out.write(struct.pack(">I", len(body)) + b"tEXt" + body + b"\0\0\0\0")
    out.write(struct.pack(">I", 0) + b"IEND" + b"\xaeB`\x82")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out.getvalue())
    return path
