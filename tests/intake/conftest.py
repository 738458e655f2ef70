"""A server's parts without a worker; models are empty files with true names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small import stub_checkpoint
from webui.app import build
from webui.services import Services
from webui.settings.flags import Flags


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    stub_checkpoint(tmp_path / "models" / "Stable-diffusion" / "first.safetensors")
    made = build(Flags(data_dir=tmp_path))
    made.catalog.scan()
    yield made
    made.jobs.close()
    made.catalog.close()
