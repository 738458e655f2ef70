"""Promises about the whole house: nothing heavy at start, the table of rooms, short documents that stay true."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from webui.hooks import Specs

ROOT = Path(__file__).resolve().parents[1]
HOOKS = [name for name in vars(Specs) if not name.startswith("_")]


def imported_by(code: str) -> set[str]:
    """Top-level names of modules in memory after running code in a fresh interpreter."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"],
        cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return set(told.stdout.split())


def test_the_server_starts_without_torch() -> None:
    assert imported_by("import webui.app") & {"torch", "diffusers", "transformers", "torchvision", "scipy"} == set()


def test_flags_need_the_standard_library_alone() -> None:
    assert (
        imported_by("import webui.settings.flags, webui.words") & {"pluggy", "PIL", "gradio", "fastapi", "numpy"}
        == set()
    )


def test_imports_point_down() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_called_and_documented(name: str) -> None:
    calls = [
        path
        for path in (ROOT / "webui").rglob("*.py")
        if path.name != "hooks.py" and f'"{name}"' in path.read_text("utf-8")
    ]
    assert calls, f"nothing calls {name}"
    assert f"`{name}" in (ROOT / "docs" / "extensions.md").read_text("utf-8")
    doc = getattr(Specs, name).__doc__
    assert doc and len(doc) > 40


def test_package_docstrings_are_door_signs() -> None:
    for init in (ROOT / "webui").rglob("__init__.py"):
        doc = ast.get_docstring(ast.parse(init.read_text("utf-8")))
        assert doc, f"{init.relative_to(ROOT)} does not say what is here"


def test_links_in_documents_lead_somewhere() -> None:
    broken: list[str] = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
