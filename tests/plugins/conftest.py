"""Extensions written for one test."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an extension below tmp_path/extensions: its name, the rest of its manifest, its files."""

    def written(name: str, more: str = "", files: Mapping[str, str] = {}, head: str = "") -> Path:
        folder = tmp_path / "extensions" / name
        folder.mkdir(parents=True)
        manifest = f'[extension]\nname = "{name}"\nversion = "1"\napi = 1\n{head}\n{more}'
        (folder / "extension.toml").write_text(manifest, encoding="utf-8")
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        return folder

    return written
