"""ControlNet units before they enter the queue: whole, possible, and said in words when not."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.catalog.chosen import ControlMisfit, ControlMisfitNone, ControlWithoutModel
from webui.catalog.detectors import DetectorLeftOut, UnknownDetector
from webui.catalog.hashing import legacy
from webui.domain import ControlUnit, GenerationRequest, Init
from webui.domain.errors import OutOfRange, UnknownModel
from webui.gallery.blobs import BlobGone
from webui.gallery.control_text import controls_from
from webui.gallery.infotext import read
from webui.intake.controls import ControlLayersUnfit, ControlStartsLate, ControlWithoutPicture
from webui.services import Services
from webui.words import explain

ASKED = GenerationRequest(prompt="a cat", width=64, height=64)
SD1 = {
    "control_model.input_hint_block.0.weight": [16, 3, 3, 3],
    "control_model.input_blocks.0.0.weight": [320, 4, 3, 3],
    "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [320, 768],
}
SDXL = SD1 | {
    "control_model.label_emb.0.0.weight": [1280, 2816],
    "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [640, 2048],
}


def stub(path: Path, shapes: dict[str, list[int]]) -> Path:
    """A file of that header, with nothing in it."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.fixture
def folder(services: Services, tmp_path: Path) -> Path:
    return tmp_path / "models" / "ControlNet"


@pytest.fixture
def canny(services: Services, folder: Path) -> ControlUnit:
    stub(folder / "control_canny.safetensors", SD1)
    services.catalog.scan()
    picture = services.gallery.blobs.put_image(Image.new("RGB", (8, 8)))
    return ControlUnit(module="canny", model="control_canny", image=picture)


def accepted(services: Services, unit: ControlUnit, **more: Any) -> GenerationRequest:
    return services.intake.accept(replace(ASKED, controls=(unit,), **more))


def test_a_unit_is_taken_as_it_is_with_its_preprocessor_by_its_own_name(services: Services, canny: ControlUnit) -> None:
    assert accepted(services, canny).controls == (canny,)
    for name in ("pidinet", "softedge_pidinet"):
        assert accepted(services, replace(canny, module=name)).controls[0].module == "softedge_pidinet"


def test_a_unit_without_a_model_is_refused_by_its_number(services: Services, canny: ControlUnit) -> None:
    for model in ("", "None"):
        with pytest.raises(ControlWithoutModel) as refused:
            accepted(services, replace(canny, model=model))
    assert "Unit 0" in explain(refused.value, "en") and "单元 0" in explain(refused.value, "zh-CN")
    assert accepted(services, replace(canny, model="", module="reference_only"))


def test_a_unit_without_a_picture_needs_one_to_start_from(services: Services, canny: ControlUnit) -> None:
    without = replace(canny, image="")
    with pytest.raises(ControlWithoutPicture):
        accepted(services, without)
    assert accepted(services, without, init=Init(images=(canny.image,))).controls == (without,)


def test_an_unknown_model_or_preprocessor_comes_with_the_nearest(services: Services, canny: ControlUnit) -> None:
    with pytest.raises(UnknownModel) as model:
        accepted(services, replace(canny, model="controll_cany"))
    assert "control_canny" in explain(model.value, "en")
    with pytest.raises(UnknownDetector) as module:
        accepted(services, replace(canny, module="cannny"))
    assert "canny" in explain(module.value, "en")
    with pytest.raises(DetectorLeftOut):
        accepted(services, replace(canny, module="densepose"))


def test_a_model_for_another_base_is_refused_before_the_run(
    services: Services, canny: ControlUnit, folder: Path
) -> None:
    stub(folder / "wide.safetensors", SDXL)
    services.catalog.scan()
    with pytest.raises(ControlMisfit) as refused:
        accepted(services, replace(canny, model="wide"))
    assert refused.value.fields["fitting"] == ["control_canny"]
    assert "sdxl" in explain(refused.value, "en")
    (folder / "control_canny.safetensors").unlink()
    services.catalog.scan()
    with pytest.raises(ControlMisfitNone):
        accepted(services, replace(canny, model="wide"))


def test_what_a_person_wrote_of_a_models_base_counts_more_than_its_header(
    services: Services, canny: ControlUnit, folder: Path
) -> None:
    (folder / "control_canny.json").write_text('{"sd version": "SDXL"}', encoding="utf-8")
    services.catalog.scan()
    with pytest.raises(ControlMisfit):
        accepted(services, canny)
    (folder / "control_canny.json").write_text('{"sd version": "SD1"}', encoding="utf-8")
    services.catalog.scan()
    assert accepted(services, canny)


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", 2.5), ("weight", float("nan")), ("start", -0.1), ("end", 1.1), ("resolution", 32), ("resolution", 4096),
     ("layer_weights", (1.0,) * 12 + (99.0,))],
)  # fmt: skip
def test_a_value_out_of_range_is_named_with_its_unit(
    services: Services, canny: ControlUnit, field: str, value: Any
) -> None:
    with pytest.raises(OutOfRange) as raised:
        accepted(services, replace(canny, **{field: value}))
    assert str(raised.value.fields["field"]).startswith(f"controls[0].{field}")


def test_start_after_end_and_a_wrong_number_of_layer_weights_are_refused(
    services: Services, canny: ControlUnit
) -> None:
    with pytest.raises(ControlStartsLate):
        accepted(services, replace(canny, start=0.6, end=0.5))
    with pytest.raises(ControlLayersUnfit):
        accepted(services, replace(canny, layer_weights=(1.0, 2.0)))
    with pytest.raises(OutOfRange):
        services.intake.accept(replace(ASKED, controls=(canny,) * 65))


@pytest.mark.parametrize("field", ["image", "mask", "region"])
def test_a_picture_that_is_gone_is_refused(services: Services, canny: ControlUnit, field: str) -> None:
    with pytest.raises(BlobGone):
        accepted(services, replace(canny, **{field: "0" * 40 + ".png"}))


def test_waiting_units_keep_their_pictures(services: Services, canny: ControlUnit) -> None:
    services.submit(replace(ASKED, controls=(canny,)), owner="local")
    path = services.gallery.blobs.path(canny.image)
    os.utime(path, (0, 0))
    services.prune()
    assert path.is_file()


def test_a_pasted_models_name_leads_to_what_is_here(services: Services, canny: ControlUnit, folder: Path) -> None:
    digits = legacy(folder / "control_canny.safetensors")
    for model in ("control_canny", f"control_canny [{digits}]", f"renamed since [{digits}]"):
        text = f'a\nSteps: 20, Sampler: Euler, Seed: 1, ControlNet 0: "Module: pidinet, Model: {model}, Weight: 0.5"'
        ((number, unit),) = controls_from(read(text), names=services.names)
        assert (number, unit.module, unit.model) == (0, "softedge_pidinet", f"control_canny [{digits}]")
        assert accepted(services, replace(unit, image=canny.image))
