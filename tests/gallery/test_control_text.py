"""ControlNet units in infotexts: as the extension writes them, and back."""

from dataclasses import replace

import pytest

from webui.domain import ControlHires, ControlMode, ControlResize, ControlUnit
from webui.gallery.control_text import control_text, controls_from
from webui.gallery.infotext import InfotextFields, read, write

CANNY = (
    "Module: canny, Model: control_v11p_sd15_canny [d14c016b], Weight: 1.0, Resize Mode: Crop and Resize, "
    "Processor Res: 512, Threshold A: 100.0, Threshold B: 200.0, Guidance Start: 0.0, Guidance End: 1.0, "
    "Pixel Perfect: True, Control Mode: Balanced"
)
MODEL = "control_v11p_sd15_canny [d14c016b]"


class Everything:
    """Every name is here, but for the absent."""

    def detector(self, name: str) -> str | None:
        return None if name.startswith("absent") else name

    def controlnet(self, name: str) -> str | None:
        return None if name.startswith("absent") else name


def pasted(text: str, **more: object):
    line = f"a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8, {text}, Version: v1.10.1"
    return controls_from(read(line), names=Everything(), **more)  # type: ignore[arg-type]


def told(unit: ControlUnit, resolution: int | None = 512, a: float | None = 100, b: float | None = 200) -> str:
    return control_text(unit, module=unit.module, model=unit.model, resolution=resolution, a=a, b=b)


def test_a_unit_is_told_as_the_extension_tells_it_and_stands_quoted_in_the_line():
    unit = ControlUnit(module="canny", model=MODEL, pixel_perfect=True)
    assert told(unit) == CANNY
    assert write(InfotextFields(prompt="p", extras={"ControlNet 0": told(unit)})).endswith(f'ControlNet 0: "{CANNY}"')


def test_what_a_preprocessor_does_not_have_is_told_as_there():
    text = told(ControlUnit(module="none"), resolution=None, a=None, b=None)
    assert "Model: None, " in text
    assert "Processor Res: 512, Threshold A: 0.5, Threshold B: 0.5" in text


@pytest.mark.parametrize(
    "unit",
    [
        ControlUnit(module="canny", model=MODEL, resolution=512, threshold_a=100, threshold_b=200),
        ControlUnit(
            module="lineart_standard (from white bg & black line)", model="a model [01234567]", weight=0.55, start=0.05,
            end=0.8, mode=ControlMode.CONTROL, resize_mode=ControlResize.FILL, resolution=768, threshold_a=1.5,
            threshold_b=0.25, hires=ControlHires.HIGH, low_vram=True, crop_with_inpaint=False, union_type="Hard Edge",
        ),
    ],
)  # fmt: skip
def test_a_unit_comes_back_as_it_was(unit: ControlUnit):
    text = write(
        InfotextFields(
            prompt="p",
            extras={f"ControlNet {n}": told(unit, unit.resolution, unit.threshold_a, unit.threshold_b) for n in (0, 2)},
        )
    )
    assert controls_from(read(text), names=Everything()) == ((0, unit), (2, unit))


def test_forges_and_the_older_forms_are_read():
    forge = pasted(f'ControlNet 1: "{CANNY}, Hr Option: Low res only"')
    assert forge[0][0] == 1
    assert forge[0][1].hires is ControlHires.LOW
    older = pasted(
        'ControlNet 0: "preprocessor: lineart_realistic, model: m [43d4be0d], weight: 0.6, '
        "starting/ending: (0.1, 0.9), resize mode: Inner Fit (Scale to Fit), pixel perfect: True, "
        "control mode: My prompt is more important, "
        'preprocessor params: (768, 1, 2)"'
    )
    assert older == ((0, ControlUnit(
        module="lineart_realistic", model="m [43d4be0d]", weight=0.6, start=0.1, end=0.9, pixel_perfect=True,
        mode=ControlMode.PROMPT, resolution=768, threshold_a=1, threshold_b=2,
    )),)  # fmt: skip
    oldest = pasted(
        "ControlNet-0 Enabled: True, ControlNet-0 Module: canny, ControlNet-0 Model: m [43d4be0d], "
        "ControlNet-0 Weight: 0.7, ControlNet-0 Guidance Start: 0.2, ControlNet-0 Guidance End: 0.5"
    )
    assert oldest == ((0, ControlUnit(module="canny", model="m [43d4be0d]", weight=0.7, start=0.2, end=0.5)),)
    first = pasted(
        "ControlNet Enabled: True, ControlNet Preprocessor: canny, ControlNet Model: m [1], ControlNet Weight: 1"
    )
    assert first == ((0, ControlUnit(module="canny", model="m [1]")),)
    assert not pasted("ControlNet-0 Enabled: False, ControlNet-0 Module: canny")


def test_what_is_not_here_and_what_makes_no_sense_leaves_the_default():
    unit = ControlUnit(model="m")
    assert pasted("ControlNet 0: x") == ()
    assert pasted('ControlNet 0: "Module: absent, Model: absent [00000000], Weight: 1.0"') == ((0, ControlUnit()),)
    for wrong in ("Weight: nan", "Weight: 9", "Guidance Start: x", "Resize Mode: Sideways", "Processor Res: 9000000",
                  "Pixel Perfect: maybe", "Guidance Start: 0.9, Guidance End: 0.1"):  # fmt: skip
        ((_, found),) = pasted(f'ControlNet 0: "Module: none, Model: m, {wrong}"')
        assert replace(found, end=1.0) == unit, wrong


def test_a_label_that_is_skipped_and_a_number_beyond_all_units_tell_nothing():
    assert pasted(f'ControlNet 0: "{CANNY}", ControlNet 1: "{CANNY}"', skip=["ControlNet 0"])[0][0] == 1
    assert pasted(f'ControlNet 0: "{CANNY}"', skip=["ControlNet"]) == ()
    assert pasted(f'ControlNet 99: "{CANNY}"') == ()


def test_names_with_commas_and_colons_do_not_break_the_text():
    ((_, unit),) = pasted(f'ControlNet 0: "{told(ControlUnit(model="a, b: c [01234567]"))}"')
    assert unit.model == "a b c [01234567]"


def test_a_hostile_text_takes_no_time():
    assert pasted('ControlNet 0: "' + "Module: x, " * 100_000 + '"') == ()
