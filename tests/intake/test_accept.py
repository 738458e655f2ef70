"""What enters the queue is whole, possible and reproducible; what is not says why."""

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from webui.catalog.chosen import NoCheckpoint
from webui.catalog.samplers import TooFewSteps
from webui.domain import GenerationRequest, Hires, Init, Inpaint, ModelKind, SoftInpainting
from webui.domain.errors import (
    LockedSetting,
    MapleError,
    OutOfRange,
    TooLong,
    UnknownModel,
    UnknownSampler,
    UnknownSchedule,
)
from webui.gallery.blobs import BlobGone
from webui.hooks import hookimpl
from webui.intake.accept import InitWithHires, NoInitImage, TooManyInitImages
from webui.prompt.styles import Style
from webui.services import Services
from webui.words import explain

ASKED = GenerationRequest(prompt="a cat", width=64, height=64)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0), ("width", 63), ("height", 100_000), ("steps", -1), ("steps", 0), ("batch_size", 0),
        ("batch_count", -1),
        ("cfg_scale", -3.0), ("subseed_strength", 1.5), ("clip_skip", 0), ("width", float("nan")),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_named_with_its_limits(services: Services, field: str, value: Any) -> None:
    with pytest.raises(OutOfRange) as raised:
        services.intake.accept(replace(ASKED, **{field: value}))
    assert raised.value.fields["field"] == field
    assert str(raised.value.fields["lo"]) in explain(raised.value, "en")


def test_a_ten_megabyte_prompt_is_refused_at_once(services: Services) -> None:
    with pytest.raises(TooLong):
        services.intake.accept(replace(ASKED, prompt="(" * 10_000_000))
    with pytest.raises(TooLong):
        services.intake.accept(replace(ASKED, negative_prompt="x" * 10_000_000))


def test_unbalanced_brackets_are_only_text(services: Services) -> None:
    assert services.intake.accept(replace(ASKED, prompt="((a cat] [")).prompt == "((a cat] ["


def test_unknown_names_come_with_the_nearest(services: Services) -> None:
    with pytest.raises(UnknownSampler) as sampler:
        services.intake.accept(replace(ASKED, sampler="Euler b"))
    assert "Euler a" in explain(sampler.value, "zh-CN")
    with pytest.raises(UnknownSchedule) as schedule:
        services.intake.accept(replace(ASKED, schedule="Karas"))
    assert "Karras" in explain(schedule.value, "en")
    with pytest.raises(UnknownModel) as model:
        services.intake.accept(replace(ASKED, checkpoint="frist"))
    assert "first" in explain(model.value, "en")


def test_old_sampler_names_are_split_and_sizes_rounded_down(services: Services) -> None:
    accepted = services.intake.accept(replace(ASKED, sampler="DPM++ 2M Karras", width=71))
    assert (accepted.sampler, accepted.schedule, accepted.width) == ("DPM++ 2M", "Karras", 64)


def test_seeds_are_fixed_and_given_ones_kept(services: Services) -> None:
    drawn = {services.intake.accept(ASKED).seed for _ in range(20)}
    assert len(drawn) == 20
    assert all(0 <= seed < 2**32 for seed in drawn)
    assert services.intake.accept(replace(ASKED, seed=0, subseed=3)).seed == 0


def test_accepting_twice_changes_nothing_more(services: Services) -> None:
    once = services.intake.accept(replace(ASKED, sampler="k_euler_a"))
    assert services.intake.accept(once) == once


def test_unipc_needs_more_steps_than_its_order(services: Services) -> None:
    with pytest.raises(TooFewSteps):
        services.intake.accept(replace(ASKED, sampler="UniPC", steps=2))
    services.intake.accept(replace(ASKED, sampler="UniPC", steps=8))


def test_styles_are_merged_once_and_their_names_kept(services: Services) -> None:
    services.styles.save(Style(name="oil", prompt="oil painting of {prompt}", negative_prompt="photo"))
    accepted = services.intake.accept(replace(ASKED, styles=("oil", "not there")))
    assert accepted.prompt == "oil painting of a cat"
    assert accepted.negative_prompt == "photo"
    assert "oil" in accepted.styles


def test_folders_cannot_be_moved_by_an_override(services: Services) -> None:
    for key in ("paths.outdir_txt2img_samples", "outdir_txt2img_samples", "samples_filename_pattern"):
        with pytest.raises(LockedSetting):
            services.intake.accept(replace(ASKED, overrides={key: "/etc"}))


def test_without_any_checkpoint_the_folder_is_named(services: Services) -> None:
    for record in services.catalog.models(ModelKind.CHECKPOINT):
        record.path.unlink()
    services.catalog.scan()
    with pytest.raises(NoCheckpoint) as raised:
        services.intake.accept(ASKED)
    assert "Stable-diffusion" in explain(raised.value, "zh-CN")


def test_a_plugin_may_change_a_request_but_not_past_the_limits(services: Services) -> None:
    class Wide:
        @hookimpl
        def transform_request(self, request: GenerationRequest) -> GenerationRequest:
            return replace(request, width=request.width * 2)

    services.hooks.register(Wide(), name="wide")
    assert services.intake.accept(ASKED).width == 128
    with pytest.raises(OutOfRange):
        services.intake.accept(replace(ASKED, width=8000))


def test_nothing_is_queued_when_a_request_is_refused(services: Services) -> None:
    with pytest.raises(MapleError):
        services.submit(replace(ASKED, width=0), owner="local")
    assert services.jobs.list() == []
    assert services.submit(ASKED, owner="local").position == 0


def put(services: Services, width: int = 64, height: int = 64, *, colour: str = "red") -> str:
    return services.gallery.blobs.put_image(Image.new("RGB", (width, height), colour))


def test_an_init_picture_settles_size_and_batch(services: Services) -> None:
    first, second = put(services, 100, 60), put(services, colour="blue")
    scaled = services.intake.accept(replace(ASKED, init=Init(images=(first,), scale=2.0)))
    assert (scaled.width, scaled.height) == (200, 120)
    assert scaled.init is not None and scaled.init.scale == 0
    assert services.intake.accept(scaled).width == 200
    both = services.intake.accept(replace(ASKED, batch_size=4, init=Init(images=(first, second))))
    assert both.batch_size == 2
    each = services.intake.accept(replace(ASKED, batch_count=2, init=Init(images=(first, second))))
    assert (each.batch_size, each.batch_count) == (1, 2)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"images": ()}, NoInitImage),
        ({"images": ("0" * 40 + ".png",)}, BlobGone),
        ({"inpaint": Inpaint(mask="../../etc/passwd")}, BlobGone),
        ({"latent_mask": "nothing"}, BlobGone),
        ({"denoising_strength": 1.5}, OutOfRange),
        ({"scale": 9.0}, OutOfRange),
        ({"noise_multiplier": -1.0}, OutOfRange),
        ({"images": 3}, TooManyInitImages),
    ],
)
def test_an_init_picture_that_cannot_be_used_says_why(
    services: Services, change: dict[str, Any], error: type[MapleError]
) -> None:
    init = Init(images=(put(services),))
    if change.get("images") == 3:
        change = {"images": init.images * 3}
    with pytest.raises(error) as raised:
        services.intake.accept(replace(ASKED, init=replace(init, **change)))
    for language in ("en", "zh-CN"):
        assert "{" not in explain(raised.value, language)


def test_masks_and_soft_inpainting_have_limits(services: Services) -> None:
    blob = put(services)
    for change, field in (
        ({"blur_x": -1}, "init.inpaint.blur_x"),
        ({"padding": -1}, "init.inpaint.padding"),
        ({"soft": SoftInpainting(transition_contrast_boost=0.5)}, "init.inpaint.soft.transition_contrast_boost"),
    ):
        inpaint = replace(Inpaint(mask=blob), **change)  # type: ignore[arg-type]
        with pytest.raises(OutOfRange) as raised:
            services.intake.accept(replace(ASKED, init=Init(images=(blob,), inpaint=inpaint)))
        assert raised.value.fields["field"] == field


def test_a_second_pass_after_init_pictures_is_refused(services: Services) -> None:
    with pytest.raises(InitWithHires):
        services.intake.accept(replace(ASKED, init=Init(images=(put(services),)), hires=Hires()))


def test_a_share_of_steps_too_small_for_the_sampler_is_said(services: Services) -> None:
    init = Init(images=(put(services),), denoising_strength=0.6)
    asked = replace(ASKED, sampler="UniPC", steps=4, init=init)
    with pytest.raises(TooFewSteps):
        services.intake.accept(asked)
    services.intake.accept(replace(asked, init=replace(init, denoising_strength=0.0)))
    services.intake.accept(replace(asked, steps=8))
