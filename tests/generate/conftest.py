"""A bench with the small checkpoint."""

from pathlib import Path
from typing import Any

import pytest

from tests.small import save_small_checkpoint
from webui.catalog import Catalog, folders_from
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.settings import Settings
from webui.settings.flags import Flags


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_checkpoint(tmp_path_factory.mktemp("checkpoints") / "small.safetensors")


@pytest.fixture
def bench(tmp_path: Path, small_checkpoint: Path) -> Any:
    from webui.generate import open_bench

    flags = Flags(ckpt_dir=(small_checkpoint.parent,))
    catalog = Catalog(tmp_path / "models.db", folders_from(flags, tmp_path))
    catalog.scan()
    made = open_bench(catalog=catalog, gallery=Gallery(Settings, tmp_path), hooks=Hooks(), flags=flags)
    yield made
    made.close()
    catalog.close()
