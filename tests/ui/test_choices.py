"""What the page is offered of each model."""

import json
from pathlib import Path

import pytest

from webui.domain import Family, ModelKind, ModelRecord
from webui.ui.choices import offers


@pytest.mark.parametrize(
    ("family", "told", "width", "height"),
    [
        (Family.SD1, {}, 512, 512),
        (Family.SDXL, {}, 1024, 1024),
        (Family.SDXL_REFINER, {}, 1024, 1024),
        (Family.SD1, {"maple.config": json.dumps({"native_size": [128, 192]})}, 128, 192),
        (Family.SDXL, {"maple.config": "{"}, 1024, 1024),
    ],
)
def test_a_models_own_size_goes_before_its_familys(family: Family, told: dict[str, str], width: int, height: int):
    record = ModelRecord(kind=ModelKind.CHECKPOINT, name="x", path=Path("x"), family=family, metadata=told)
    assert offers(record) == {"width": width, "height": height}


def test_a_model_of_no_known_family_offers_no_size():
    assert offers(ModelRecord(kind=ModelKind.CHECKPOINT, name="x", path=Path("x"))) == {}
