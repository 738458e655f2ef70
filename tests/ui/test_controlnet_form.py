"""What the units' page posts becomes `ControlUnit`s, and what an infotext tells of comes back."""

from typing import Any

import pytest
from PIL import Image, ImageDraw

from webui.catalog.detectors import UnknownDetector
from webui.domain.controlnet import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.gallery.blobs import BlobGone
from webui.services import Services
from webui.ui.controlnet_form import ControlFieldWrong, NoControlPicture, controls_from, unit_values


@pytest.fixture
def picture(services: Services) -> str:
    return services.gallery.blobs.put_image(Image.new("RGB", (64, 48), "white"))


def asked(services: Services, *units: Any, tab: str = "txt2img") -> tuple[ControlUnit, ...]:
    return controls_from({f"{tab}_controlnet": list(units)}, tab, services.gallery.blobs)


def test_every_control_of_a_unit_reaches_the_request(services: Services, picture: str) -> None:
    values = {
        "number": 1, "module": "canny", "model": "line [0123abcd]", "weight": 0.8, "start": 0.1, "end": 0.9,
        "resolution": 640, "threshold_a": 90, "threshold_b": 180, "mode": "My prompt is more important",
        "resize_mode": "Resize and Fill", "hires": "High res only", "pixel_perfect": True, "low_vram": True,
        "union_type": "Depth", "crop_with_inpaint": False, "picture": picture, "layer_weights": [1.0] * 13,
    }  # fmt: skip
    assert asked(services, values) == (
        ControlUnit(
            module="canny", model="line [0123abcd]", image=picture, weight=0.8, start=0.1, end=0.9,
            mode=ControlMode.PROMPT, resize_mode=ControlResize.FILL, resolution=640, threshold_a=90, threshold_b=180,
            pixel_perfect=True, low_vram=True, hires=ControlHires.HIGH, union_type="Depth", crop_with_inpaint=False,
            layer_weights=(1.0,) * 13,
        ),
    )  # fmt: skip


def test_a_form_without_units_has_no_controls(services: Services) -> None:
    assert controls_from({}, "txt2img", services.gallery.blobs) == ()


def test_the_chosen_model_none_is_no_model(services: Services, picture: str) -> None:
    assert asked(services, {"module": "reference_only", "model": "None", "picture": picture})[0].model == ""


def test_what_is_drawn_on_the_picture_is_the_units_mask(services: Services, picture: str) -> None:
    layer = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    ImageDraw.Draw(layer).rectangle((10, 10, 20, 20), fill=(255, 255, 255, 255))
    blobs = services.gallery.blobs
    unit = asked(services, {"picture": picture, "drawing": blobs.put_image(layer)})[0]
    assert blobs.open(unit.mask).getbbox() == (10, 10, 21, 21)
    assert asked(services, {"picture": picture, "drawing": blobs.put_image(Image.new("RGBA", (64, 48)))})[0].mask == ""


def test_a_region_is_what_is_white_and_what_is_drawn(services: Services, picture: str) -> None:
    blobs = services.gallery.blobs
    half = Image.new("L", (64, 48), 0)
    half.paste(255, (0, 0, 32, 48))
    layer = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    layer.paste((255, 255, 255, 255), (40, 0, 64, 10))
    values = {"picture": picture, "region": blobs.put_image(half), "region_drawing": blobs.put_image(layer)}
    region = blobs.open(asked(services, values)[0].region)
    assert [region.getpixel(at) for at in ((5, 40), (35, 5), (50, 5), (50, 20))] == [255, 0, 255, 0]


def test_each_picture_of_multi_inputs_is_a_control_of_its_own_with_its_share_of_the_weight(
    services: Services, picture: str
) -> None:
    other = services.gallery.blobs.put_image(Image.new("RGB", (32, 32), "red"))
    units = asked(services, {"module": "canny", "weight": 0.5, "pictures": [picture, other]})
    assert [(unit.image, unit.weight) for unit in units] == [(picture, 0.25), (other, 0.25)]


def test_img2img_lends_its_picture_and_txt2img_has_none_to_lend(services: Services) -> None:
    assert asked(services, {"module": "canny"}, tab="img2img")[0].image == ""
    with pytest.raises(NoControlPicture) as raised:
        asked(services, {"module": "canny", "number": 2})
    assert raised.value.fields == {"number": 2}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"weight": "much"}, ControlFieldWrong),
        ({"weight": float("nan")}, ControlFieldWrong),
        ({"mode": "sideways"}, ControlFieldWrong),
        ({"resolution": None}, ControlFieldWrong),
        ({"layer_weights": "1,2"}, ControlFieldWrong),
        ({"pictures": "x"}, ControlFieldWrong),
        ({"module": "nobody"}, UnknownDetector),
        ({"picture": "../../config.json"}, BlobGone),
        ({"picture": "0" * 40 + ".png"}, BlobGone),
        ("a unit", ControlFieldWrong),
    ],
)
def test_what_cannot_be_meant_is_refused(services: Services, values: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(services, values)


def test_more_units_than_there_can_be_are_refused(services: Services, picture: str) -> None:
    with pytest.raises(ControlFieldWrong):
        asked(services, *[{"picture": picture}] * 11)


def test_a_unit_of_an_infotext_goes_to_its_controls_and_back(services: Services, picture: str) -> None:
    unit = ControlUnit(module="canny", model="line", image=picture, weight=0.7, threshold_a=90, threshold_b=180,
                       resolution=640, mode=ControlMode.CONTROL)  # fmt: skip
    assert asked(services, unit_values(unit) | {"picture": picture}) == (unit,)


def test_what_an_infotext_leaves_open_is_shown_as_it_is_in_force() -> None:
    shown = unit_values(ControlUnit(module="canny"))
    assert (shown["resolution"], shown["threshold_a"], shown["threshold_b"], shown["model"]) == (512, 100, 200, "None")
