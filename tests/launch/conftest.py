"""A stand-in project: the real launch.py, a page of two lines, and four tiny packages in an index of their own."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = """import json, sys, tiny
print("PAGE", json.dumps([sys.argv[1:], sys.prefix, tiny.NAME, sys.flags.utf8_mode]))
"""


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module, one 64 KiB data file and one console script."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"NAME = {name!r}\ndef main():\n    import sys\n    print(NAME, sys.prefix)\n".encode(),
        f"{name}/data.bin": bytes(65536),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}-say = {name}:main\n".encode(),
    }
    rows = [
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for file, data in files.items()
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            archive.writestr(file, data)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))
    return path


@dataclass(frozen=True)
class Standin:
    """The folder with launch.py in it, and how to start it."""

    folder: Path
    index: Path

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PIP_", "PYTHON", "TORCH_", "INDEX_"))
        }
        clean |= {
            "PIP_CONFIG_FILE": os.devnull,
            "INDEX_URL": self.index.as_uri(),
            "LANG": "en_US.UTF-8",
            "PIP_NO_CACHE_DIR": "1",
            "COMMANDLINE_ARGS": "",
            "LC_ALL": "en_US.UTF-8",
        }
        command = [python, str(self.folder / "launch.py"), *arguments]
        return subprocess.run(
            command,
            env=clean | dict(env or {}),
            cwd=self.folder.parent,
            capture_output=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )

    def offer(self, name: str, version: str) -> None:
        """Put a package into the index."""
        (self.index / name).mkdir(parents=True, exist_ok=True)
        made = wheel(self.index / name, name, version)
        with (self.index / name / "index.html").open("a", encoding="utf-8") as page:
            page.write(f'<a href="{made.name}">{made.name}</a><br>\n')


def made_in(place: Path) -> Standin:
    """A stand-in project nothing has been installed for."""
    folder = place / "绘画 工具(1) [新]"
    folder.mkdir()
    for name in ("webui/__init__.py", "webui/settings/flags.py", "webui/words", "webui/domain", "launch.py"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, target)
    (folder / "webui/__main__.py").write_text(PAGE, "utf-8")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "standin"\nversion = "1"\ndependencies = ["torch==9.0", "torchvision==9.1", "tiny==1.0"]\n'
        '[project.optional-dependencies]\ntest = ["pytest==0.0.1"]\n',
        "utf-8",
    )
    (folder / "constraints.txt").write_text("tiny==1.0\n", "utf-8")
    made = Standin(folder, place / "index")
    for name, version in (("torch", "9.0"), ("torchvision", "9.1"), ("tiny", "1.0"), ("tiny", "2.0")):
        made.offer(name, version)
    return made


@pytest.fixture
def bare(tmp_path: Path) -> Standin:
    """A fresh clone: the first command has not been given yet."""
    return made_in(tmp_path)


@pytest.fixture(scope="session")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One folder installed once, and a copy of it to put back before each test."""
    place = tmp_path_factory.mktemp("once") / "place"
    place.mkdir()
    done = made_in(place).start()
    assert done.returncode == 0, done.stdout + done.stderr
    kept = place.with_name("kept")
    shutil.copytree(place, kept, symlinks=True)
    return place, kept


@pytest.fixture
def standin(_kept: tuple[Path, Path]) -> Standin:
    """The same project after a first start, at the very path it was installed at."""
    place, kept = _kept
    shutil.rmtree(place)
    shutil.copytree(kept, place, symlinks=True)
    return Standin(place / "绘画 工具(1) [新]", place / "index")
