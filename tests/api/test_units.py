"""`alwayson_scripts.controlnet` as clients write it becomes ControlNet units; what cannot be meant is said."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from webui.api.bodies import NotYet, Txt2Img
from webui.api.units import ControlFieldBad, ControlMaskSize, ControlPickled
from webui.domain import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.domain.errors import UnreadablePicture
from webui.gallery.blobs import Blobs, NotAPicture


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path)


def b64(size: tuple[int, int] = (8, 6), colour: str = "red") -> str:
    body = io.BytesIO()
    Image.new("RGB", size, colour).save(body, "PNG")
    return base64.b64encode(body.getvalue()).decode()


def units(blobs: Blobs, *args: Any, name: str = "controlnet") -> tuple[ControlUnit, ...]:
    return Txt2Img(alwayson_scripts={name: {"args": list(args)}}).request(blobs).controls


def test_every_field_arrives(blobs: Blobs) -> None:
    told = {
        "enabled": True, "module": "canny", "model": "lines [d14c016b]", "weight": 0.8, "image": b64(),
        "mask": b64(colour="white"), "resize_mode": "Resize and Fill", "low_vram": True, "processor_res": 640,
        "threshold_a": 50, "threshold_b": 150.5, "guidance_start": 0.1, "guidance_end": 0.9, "pixel_perfect": True,
        "control_mode": "ControlNet is more important", "inpaint_crop_input_image": False,
        "hr_option": "High res only", "save_detected_map": False, "advanced_weighting": [1] * 12 + [0.5],
        "effective_region_mask": b64((4, 4)), "pulid_mode": "Fidelity", "union_control_type": "Soft Edge",
        "is_ui": False, "of_no_field": {"at": "all"},
    }  # fmt: skip
    (unit,) = units(blobs, told)
    assert blobs.open(unit.image).getpixel((0, 0)) == (255, 0, 0)
    assert blobs.open(unit.mask).getpixel((0, 0)) == (255, 255, 255)
    assert blobs.size(unit.region) == (4, 4)
    assert unit == ControlUnit(
        module="canny", model="lines [d14c016b]", weight=0.8, image=unit.image, mask=unit.mask,
        resize_mode=ControlResize.FILL, low_vram=True, resolution=640, threshold_a=50, threshold_b=150.5, start=0.1,
        end=0.9, pixel_perfect=True, mode=ControlMode.CONTROL, crop_with_inpaint=False, hires=ControlHires.HIGH,
        save_map=False, layer_weights=(*[1.0] * 12, 0.5), region=unit.region, union_type="Soft Edge",
    )  # fmt: skip


def test_a_unit_of_nothing_is_the_domains_own(blobs: Blobs) -> None:
    assert units(blobs, {}) == (ControlUnit(),)
    nothing = dict.fromkeys(
        ("module", "model", "weight", "image", "mask", "resize_mode", "processor_res", "threshold_a", "control_mode",
         "hr_option", "advanced_weighting", "effective_region_mask", "union_control_type", "ipadapter_input")
    )  # fmt: skip
    assert units(blobs, {**nothing, "model": "None"}) == (ControlUnit(),)


def test_what_is_off_is_no_unit_whatever_else_it_says(blobs: Blobs) -> None:
    assert units(blobs, {"enabled": False, "image": "no picture", "weight": "heavy"}, None) == ()
    assert units(blobs) == ()
    assert Txt2Img(alwayson_scripts={"ControlNet": {}}).request(blobs).controls == ()


@pytest.mark.parametrize("name", ["controlnet", "ControlNet", "CONTROLNET"])
def test_the_scripts_name_is_taken_in_any_case(blobs: Blobs, name: str) -> None:
    assert len(units(blobs, {"module": "invert"}, name=name)) == 1
    with pytest.raises(NotYet):
        Txt2Img(alwayson_scripts={name: {"args": []}, "something else": {"args": [1]}}).request(blobs)


@pytest.mark.parametrize(
    ("field", "given", "attribute", "meant"),
    [
        ("control_mode", 0, "mode", ControlMode.BALANCED),
        ("control_mode", 1, "mode", ControlMode.PROMPT),
        ("control_mode", "2", "mode", ControlMode.CONTROL),
        ("control_mode", "ControlMode.PROMPT", "mode", ControlMode.PROMPT),
        ("control_mode", "balanced", "mode", ControlMode.BALANCED),
        ("guess_mode", True, "mode", ControlMode.CONTROL),
        ("guessmode", True, "mode", ControlMode.CONTROL),
        ("resize_mode", 0, "resize_mode", ControlResize.STRETCH),
        ("resize_mode", 1, "resize_mode", ControlResize.CROP),
        ("resize_mode", 2, "resize_mode", ControlResize.FILL),
        ("resize_mode", 3, "resize_mode", ControlResize.STRETCH),
        ("resize_mode", "Scale to Fit (Inner Fit)", "resize_mode", ControlResize.CROP),
        ("resize_mode", "Envelope (Outer Fit)", "resize_mode", ControlResize.FILL),
        ("resize_mode", "ResizeMode.RESIZE", "resize_mode", None),
        ("hr_option", "Low res only", "hires", ControlHires.LOW),
        ("hr_option", 2, "hires", ControlHires.HIGH),
        ("guidance", 0.5, "end", 0.5),
        ("lowvram", True, "low_vram", True),
        ("processor_res", 63, "resolution", -1),
        ("processor_res", 512.0, "resolution", 512),
        ("processor_res", 4096, "resolution", -1),
        ("threshold_a", "12.5", "threshold_a", 12.5),
        ("union_control_type", "Unknown", "union_type", ""),
        ("union_control_type", "openpose", "union_type", "OpenPose"),
        ("pixel_perfect", "true", "pixel_perfect", True),
    ],
)
def test_numbers_names_and_older_words_mean_the_same(
    blobs: Blobs, field: str, given: Any, attribute: str, meant: Any
) -> None:
    if meant is None:
        with pytest.raises(ControlFieldBad):
            units(blobs, {field: given})
        return
    (unit,) = units(blobs, {field: given})
    assert getattr(unit, attribute) == meant


def test_pictures_come_in_every_form(blobs: Blobs) -> None:
    red, white = b64(), b64(colour="white")
    whole = {(unit.image, unit.mask) for unit in (
        *units(blobs, {"image": red, "mask": white}), *units(blobs, {"input_image": red, "mask_image": white}),
        *units(blobs, {"image": {"image": red, "mask": white}}), *units(blobs, {"image": [red, white]}),
        *units(blobs, {"image": [{"image": red, "mask": white}]}),
        *units(blobs, {"image": f"data:image/png;base64,{red}", "mask": white}),
    )}  # fmt: skip
    assert len(whole) == 1
    assert all(whole.pop())
    several = units(
        blobs, {"module": "canny", "weight": 0.5, "image": [{"image": red}, {"image": white}, {"image": red}]}
    )
    assert [unit.weight for unit in several] == [0.5] * 3
    assert several[0].image == several[2].image != several[1].image


@pytest.mark.parametrize(
    "told",
    [
        {"weight": "heavy"}, {"weight": True}, {"weight": float("nan")}, {"guidance_end": []}, {"module": 3},
        {"control_mode": 3}, {"control_mode": "Wild"}, {"resize_mode": 9}, {"hr_option": "Never"}, {"image": 5},
        {"image": [{"image": "x"}, "y"]}, {"advanced_weighting": "12"}, {"advanced_weighting": ["x"]},
        {"union_control_type": "Telepathy"}, {"enabled": "maybe"}, {"effective_region_mask": [[1]]},
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named(blobs: Blobs, told: dict[str, Any]) -> None:
    with pytest.raises(ControlFieldBad) as caught:
        units(blobs, {}, {"module": "none", **told})
    assert caught.value.fields["unit"] == 1
    assert caught.value.fields["name"] in {*told, "args"}


@pytest.mark.parametrize("args", ["text", 3, [3], ["text"], [{}] * 65])
def test_arguments_must_be_objects(blobs: Blobs, args: Any) -> None:
    with pytest.raises(ControlFieldBad):
        Txt2Img(alwayson_scripts={"controlnet": {"args": args}}).request(blobs)


def test_a_picture_must_be_one_and_its_mask_as_large(blobs: Blobs) -> None:
    with pytest.raises(UnreadablePicture):
        units(blobs, {"image": "no base64!"})
    with pytest.raises(NotAPicture):
        units(blobs, {"image": base64.b64encode(b"text").decode()})
    with pytest.raises(ControlMaskSize):
        units(blobs, {"image": b64((8, 6)), "mask": b64((6, 8))})


def test_nothing_is_unpickled(blobs: Blobs, tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    for trap in (base64.b64encode(pickle.dumps(Trap())).decode(), [base64.b64encode(pickle.dumps([Trap()])).decode()]):
        with pytest.raises(ControlPickled):
            units(blobs, {"module": "canny", "ipadapter_input": trap})
    assert not (tmp_path / "sprung").exists()
