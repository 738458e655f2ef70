"""What the form says becomes the request, and what an infotext says becomes the form."""

import pytest

from webui.domain import GenerationRequest, Hires, Refiner
from webui.settings import NotAChoice
from webui.ui.form import FieldNotANumber, RefinerNotChosen, request_from, values_from

FORM = {
    "txt2img_prompt": "a red circle",
    "txt2img_neg_prompt": "blurry",
    "txt2img_styles": ["油画"],
    "txt2img_sampling": "Euler a",
    "txt2img_scheduler": "Karras",
    "txt2img_steps": 12,
    "txt2img_tiling": True,
    "txt2img_width": 320,
    "txt2img_height": 256,
    "txt2img_batch_count": 3,
    "txt2img_batch_size": 2,
    "txt2img_cfg_scale": 5.5,
    "txt2img_seed": 4199432978,
    "txt2img_subseed_show": True,
    "txt2img_subseed": 7,
    "txt2img_subseed_strength": 0.25,
    "txt2img_seed_resize_from_w": 128,
    "txt2img_seed_resize_from_h": 64,
    "txt2img_override_settings": [],
    "setting_sd_model_checkpoint": "first.safetensors [0123456789]",
    "setting_sd_vae": "None",
    "setting_CLIP_stop_at_last_layers": 2,
}
ASKED = GenerationRequest(
    prompt="a red circle", negative_prompt="blurry", styles=("油画",), checkpoint="first.safetensors [0123456789]",
    vae="None", clip_skip=2, sampler="Euler a", schedule="Karras", steps=12, cfg_scale=5.5, width=320, height=256,
    batch_size=2, batch_count=3, seed=4199432978,
    subseed=7, subseed_strength=0.25, seed_resize_width=128, seed_resize_height=64, tiling=True,
)  # fmt: skip


def test_every_field_of_the_form_reaches_the_request() -> None:
    assert request_from(FORM) == ASKED


def test_variation_counts_only_while_extra_is_ticked() -> None:
    plain = request_from(FORM | {"txt2img_subseed_show": False})
    assert (plain.subseed, plain.subseed_strength, plain.seed_resize_width) == (-1, 0.0, 0)


def test_an_empty_number_box_takes_the_default() -> None:
    assert request_from(FORM | {"txt2img_seed": None, "txt2img_steps": ""}).seed == -1


def test_a_word_in_a_number_box_is_named() -> None:
    with pytest.raises(FieldNotANumber) as raised:
        request_from(FORM | {"txt2img_width": "wide"})
    assert raised.value.fields == {"field": "width", "value": "wide"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [], {"a": 1}])
def test_a_number_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(FieldNotANumber):
        request_from(FORM | {"txt2img_steps": value})


def test_a_whole_cfg_scale_stays_whole() -> None:
    assert repr(request_from(FORM | {"txt2img_cfg_scale": 7}).cfg_scale) == "7"


def test_override_settings_are_in_force_for_the_request() -> None:
    asked = request_from(FORM | {"txt2img_override_settings": ["ENSD: 31337", "RNG: CPU", "Clip skip: 3", "Nobody: 1"]})
    assert asked.overrides == {"sampling.ensd": 31337, "sampling.noise_source": "CPU"}
    assert asked.clip_skip == 3


def test_an_override_that_cannot_be_is_refused() -> None:
    with pytest.raises(NotAChoice):
        request_from(FORM | {"txt2img_override_settings": ["RNG: dice"]})


def test_values_of_an_infotext_go_to_their_elements() -> None:
    found = {
        "prompt": "a",
        "steps": 9,
        "cfg_scale": 4.5,
        "seed": 3,
        "subseed": 5,
        "subseed_strength": 0.5,
        "styles": ("油画",),
    }
    assert values_from(found) == {
        "txt2img_prompt": "a", "txt2img_steps": 9, "txt2img_cfg_scale": 4.5, "txt2img_seed": 3, "txt2img_subseed": 5,
        "txt2img_subseed_strength": 0.5, "txt2img_styles": ["油画"], "txt2img_subseed_show": True,
    }  # fmt: skip


def test_an_infotext_without_variation_closes_extra() -> None:
    assert (
        values_from({"subseed": -1, "subseed_strength": 0.0, "seed_resize_width": 0})["txt2img_subseed_show"] is False
    )


HIRES = {
    "txt2img_hr-checkbox": True,
    "txt2img_hr_upscaler": "Lanczos",
    "txt2img_hires_steps": 7,
    "txt2img_denoising_strength": 0.4,
    "txt2img_hr_scale": 1.5,
    "txt2img_hr_resize_x": 0,
    "txt2img_hr_resize_y": 640,
    "hr_checkpoint": "Use same checkpoint",
    "hr_sampler": "DPM++ 2M",
    "hr_scheduler": "Use same scheduler",
    "hires_prompt": "finer",
    "hires_neg_prompt": "",
}
SECOND = Hires(
    upscaler="Lanczos", steps=7, denoising_strength=0.4, scale=1.5, height=640, sampler="DPM++ 2M", prompt="finer"
)


def test_every_field_of_hires_fix_reaches_the_request() -> None:
    assert request_from(FORM | HIRES).hires == SECOND
    assert request_from(FORM | HIRES | {"txt2img_hr-checkbox": False}).hires is None


def test_hires_fix_goes_to_its_elements_and_back() -> None:
    shown = values_from({"hires": SECOND})
    assert shown == HIRES
    assert request_from(shown).hires == SECOND
    assert values_from({"hires": None}) == {"txt2img_hr-checkbox": False}


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_the_refiner_goes_both_ways_in_both_tabs(tab: str) -> None:
    refiner = Refiner(checkpoint="first.safetensors", switch_at=0.6)
    shown = values_from({"refiner": refiner}, tab)
    assert request_from(shown, tab).refiner == refiner
    assert request_from(shown | {f"{tab}_enable-checkbox": False}, tab).refiner is None


def test_a_refiner_without_a_checkpoint_is_said_before_the_run() -> None:
    with pytest.raises(RefinerNotChosen):
        request_from(FORM | {"txt2img_enable-checkbox": True, "txt2img_checkpoint": None})


def test_the_other_tabs_fields_are_its_own() -> None:
    asked = request_from(FORM | {"img2img_prompt": "a boat", "img2img_steps": 3}, "img2img")
    assert (asked.prompt, asked.steps, asked.checkpoint) == ("a boat", 3, ASKED.checkpoint)
    assert "img2img_prompt" in values_from({"prompt": "a"}, "img2img")
