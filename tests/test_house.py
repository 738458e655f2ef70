"""Style, types, and that set-up installs what is imported. The other laws stand in test_laws.py."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
STANDARD = sys.stdlib_module_names
# What a package is called where it is imported.
IMPORTED_AS = {"pillow": "PIL", "pyyaml": "yaml", "opencv-python-headless": "cv2"}


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )


def test_the_style_is_kept() -> None:
    done = tool("ruff", "check", "--output-format", "concise", "--no-cache", ".")
    assert done.returncode == 0, done.stdout[-4000:]


def test_every_room_with_torch_is_named_where_torch_is_allowed() -> None:
    contracts = {row["id"]: row for row in PROJECT["tool"]["importlinter"]["contracts"]}
    allowed = set(contracts["torch"]["allowed_importers"])
    assert set(contracts["starred"]["protected_modules"]) <= allowed
    assert contracts["rooms"]["exhaustive"] is True, "a room that is not in the table fails"


def imports_of(folder: Path) -> dict[str, Path]:
    """Top-level names imported anywhere below, with a file that does."""
    found: dict[str, Path] = {}
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], path)
    return found


@pytest.mark.parametrize(("folder", "extras"), [("webui", ()), ("tests", ("test",))])
def test_what_is_imported_is_what_set_up_installs(folder: str, extras: tuple[str, ...]) -> None:
    project = PROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    names = [re.split(r"[=<>\[;]", line)[0].strip().lower() for line in lines]
    known = {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names} | {"starlette"}  # fastapi's own
    foreign = {
        name: str(path.relative_to(ROOT))
        for name, path in imports_of(ROOT / folder).items()
        if name not in STANDARD and name not in known | {"webui", "tests", "launch", "benchmarks"}
    }
    assert not foreign


@pytest.mark.timeout(900)
def test_the_types_hold() -> None:
    """Strict where a room has no torch; the list stands in pyproject.toml."""
    done = tool("basedpyright", "--level", "error")
    assert done.returncode == 0, done.stdout[-4000:]
