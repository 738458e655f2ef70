"""The bundle's own deeds."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tests.small import stub_checkpoint
from webui.app import build
from webui.domain import GenerationRequest, Init, Inpaint
from webui.gallery.blobs import BlobGone
from webui.settings.flags import Flags


def test_old_init_pictures_go_unless_a_job_names_them(tmp_path: Path) -> None:
    stub_checkpoint(tmp_path / "models" / "Stable-diffusion" / "first.safetensors")
    services = build(Flags(data_dir=tmp_path))
    services.catalog.scan()
    blobs = services.gallery.blobs
    needed, mask, forgotten = (
        blobs.put_image(Image.new("RGB", (64, 64), colour)) for colour in ("red", "white", "tan")
    )
    for id in (needed, mask, forgotten):
        os.utime(blobs.path(id), (0, 0))
    request = GenerationRequest(width=64, height=64, init=Init(images=(needed,), inpaint=Inpaint(mask=mask)))
    assert services.submit(request, owner="ada").kind == "img2img"
    assert services.prune() == 1
    assert blobs.path(needed) and blobs.path(mask)
    with pytest.raises(BlobGone):
        blobs.path(forgotten)
    services.jobs.close()
    services.catalog.close()
