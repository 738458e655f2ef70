"""From request to files: the whole story on a small real model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.small import Ears, save_small_checkpoint
from webui.domain import GenerationRequest, Result, ShuttingDown, Wish
from webui.domain.errors import ModelGone, UnknownModel
from webui.gallery.infotext import read
from webui.gallery.metadata import read_picture
from webui.hooks import hookimpl
from webui.settings import Settings, flat, from_flat

pytestmark = pytest.mark.torch

ASKED = GenerationRequest(
    prompt="a red circle", sampler="Euler a", steps=3, width=64, height=64, seed=5, subseed=1, cfg_scale=4.0
)


def make(bench: Any, request: GenerationRequest = ASKED, ears: Ears | None = None, **settings: Any) -> Result:
    from webui.generate import run

    return run(request, settings=flat(Settings()) | settings, reporter=ears or Ears(), bench=bench)


def pixels(result: Result, number: int = 0) -> np.ndarray:
    with Image.open(result.artifacts[number].path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def count_calls(module: Any) -> list[int]:
    calls: list[int] = []
    module.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls


def test_the_same_request_gives_the_same_picture_and_other_seeds_others(bench: Any) -> None:
    first, again, other = make(bench), make(bench), make(bench, replace(ASKED, seed=6))
    assert (pixels(first) == pixels(again)).all()
    assert (pixels(first) != pixels(other)).any()


def test_prompts_matter(bench: Any) -> None:
    assert (pixels(make(bench)) != pixels(make(bench, replace(ASKED, prompt="(blue:1.5) square")))).any()


def test_a_batch_equals_its_pictures_made_alone(bench: Any) -> None:
    together = make(bench, replace(ASKED, batch_size=2, save_grid=False))
    for number in range(2):
        alone = make(bench, replace(ASKED, seed=5 + number))
        assert abs(pixels(together, number) - pixels(alone)).max() <= 1


def test_a_picture_remembers_how_it_was_made_and_comes_out_again(bench: Any) -> None:
    made = make(bench, replace(ASKED, negative_prompt="blurry", subseed=9, subseed_strength=0.25))
    told = read(read_picture(Path(made.artifacts[0].path)).infotext or "")
    assert told.prompt == "a red circle"
    assert told.negative == "blurry"
    assert told.fields["Steps"] == "3"
    assert told.fields["Seed"] == "5"
    assert told.fields["Variation seed strength"] == "0.25"
    assert told.fields["Model"] == "small"
    assert len(told.fields["Model hash"]) == 10
    repeated = replace(
        ASKED, negative_prompt=told.negative, seed=int(told.fields["Seed"]), subseed=int(told.fields["Variation seed"]),
        subseed_strength=float(told.fields["Variation seed strength"]),
    )  # fmt: skip
    assert (pixels(make(bench, repeated)) == pixels(made)).all()


def test_files_lie_where_a1111_puts_them(bench: Any, tmp_path: Path) -> None:
    made = make(bench, replace(ASKED, batch_size=2))
    grid, *pictures = made.artifacts
    folder = tmp_path / "outputs" / "txt2img-images"
    assert [Path(each.path).name for each in pictures] == ["00000-5.png", "00001-6.png"]
    assert all(Path(each.path).parent.parent == folder for each in pictures)
    assert grid.grid
    assert Path(grid.path).name == "grid-0000.png"
    assert (grid.width, grid.height) == (128, 64)
    assert made.info["index_of_first_image"] == 1
    assert made.info["all_seeds"] == [5, 6]


def test_a_picture_that_is_not_to_be_saved_lies_in_the_cache(bench: Any, tmp_path: Path) -> None:
    made = make(bench, replace(ASKED, save=False))
    assert not made.artifacts[0].saved
    assert Path(made.artifacts[0].path).is_relative_to(tmp_path / "cache" / "pictures")
    assert not (tmp_path / "outputs").exists()


def test_stop_keeps_the_last_latent_as_a_picture_and_does_not_save_it(bench: Any) -> None:
    ears = Ears(wishes={2: Wish.STOP})
    made = make(bench, replace(ASKED, steps=6, batch_count=2), ears)
    assert made.stopped
    assert len(made.artifacts) == 1
    assert not made.artifacts[0].saved
    assert max(progress.step for progress in ears.progress) == 2


def test_finish_completes_the_batch_in_work_and_ends(bench: Any) -> None:
    ears = Ears(wishes={2: Wish.FINISH})
    made = make(bench, replace(ASKED, batch_count=3), ears)
    assert made.stopped
    assert (pixels(made) == pixels(make(bench))).all()
    assert len(made.artifacts) == 1
    assert made.artifacts[0].saved


def test_skip_drops_one_batch_and_goes_on(bench: Any) -> None:
    made = make(bench, replace(ASKED, batch_count=3, save_grid=False), Ears(wishes={2: Wish.SKIP}))
    assert not made.stopped
    assert [each.seed for each in made.artifacts] == [6, 7]


def test_a_shutdown_leaves_the_run_and_finished_pictures_are_not_made_again(bench: Any) -> None:
    asked = replace(ASKED, batch_count=3, save_grid=False)
    whole = make(bench, asked)
    ears = Ears(wishes={5: Wish.SHUTDOWN})  # in the second batch
    with pytest.raises(ShuttingDown):
        make(bench, asked, ears)
    assert [each.seed for each in ears.artifacts] == [5]
    calls = count_calls(bench.models.current.unet)
    again = Ears(earlier=tuple(ears.artifacts))
    resumed = make(bench, asked, again)
    assert len(calls) == 2 * 3
    assert [each.seed for each in resumed.artifacts] == [5, 6, 7]
    assert [each.seed for each in again.artifacts] == [6, 7]
    for number in range(3):
        assert (pixels(resumed, number) == pixels(whole, number)).all()


def test_previews_are_made_only_when_somebody_looks_and_the_setting_says(bench: Any) -> None:
    unseen, seen, off = Ears(), Ears(looking=True), Ears(looking=True)
    make(bench, ASKED, unseen)
    made = make(bench, ASKED, seen, **{"previews.every_n_steps": 1, "previews.image_format": "jpeg"})
    make(bench, ASKED, off, **{"previews.enabled": False})
    assert (len(unseen.previews), len(seen.previews), len(off.previews)) == (0, 3, 0)
    assert all(data[:2] == b"\xff\xd8" and kind == "image/jpeg" for data, kind in seen.previews)
    assert (pixels(made) == pixels(make(bench))).all()


def test_progress_rises_to_the_end_over_all_batches(bench: Any) -> None:
    ears = Ears()
    make(bench, replace(ASKED, batch_count=2), ears)
    fractions = [progress.fraction for progress in ears.progress]
    assert fractions == sorted(fractions)
    assert {progress.phase for progress in ears.progress} == {"loading", "encoding", "sampling", "decoding", "saving"}
    assert ears.progress[-1].batch == 1


def test_text_is_encoded_once_for_runs_that_say_the_same(bench: Any) -> None:
    make(bench)
    calls = count_calls(bench.models.current.text_encoder)
    make(bench, replace(ASKED, seed=99))
    assert calls == []


def test_overrides_count_for_one_run(bench: Any) -> None:
    plain = make(bench)
    skipped = make(bench, replace(ASKED, overrides={"CLIP_stop_at_last_layers": 2}))
    assert "Clip skip: 2" in skipped.artifacts[0].infotext
    assert (pixels(plain) != pixels(skipped)).any()
    assert "Clip skip" not in make(bench).artifacts[0].infotext


def test_tiling_is_worn_for_its_run_alone(bench: Any) -> None:
    plain, tiled = make(bench), make(bench, replace(ASKED, tiling=True))
    assert (pixels(plain) != pixels(tiled)).any()
    assert "Tiling: True" in tiled.artifacts[0].infotext
    assert (pixels(make(bench)) == pixels(plain)).all()


def test_a_tag_of_an_unknown_kind_leaves_the_prompt_and_is_said(bench: Any) -> None:
    ears = Ears()
    made = make(bench, replace(ASKED, prompt="a red circle<wobble:soft:0.5>"), ears)
    assert ears.notes == [("network_not_yet", {"tag": "wobble:soft:0.5"})]
    assert (pixels(made) == pixels(make(bench))).all()
    assert "<wobble:soft:0.5>" in made.artifacts[0].infotext


def test_comments_leave_prompt_and_infotext(bench: Any) -> None:
    made = make(bench, replace(ASKED, prompt="a red circle# not a square"))
    assert (pixels(made) == pixels(make(bench))).all()
    assert "square" not in made.artifacts[0].infotext


def test_a_size_off_the_grid_is_rounded_down_and_said(bench: Any) -> None:
    ears = Ears()
    made = make(bench, replace(ASKED, width=71), ears)
    assert (made.artifacts[0].width, made.artifacts[0].height) == (64, 64)
    assert ears.notes == [("size_rounded", {"width": 64, "height": 64})]


def test_a_different_prompt_for_each_picture(bench: Any) -> None:
    made = make(bench, replace(ASKED, prompts=("a red circle", "a blue square"), batch_size=2, save_grid=False))
    assert [each.infotext.split("\n")[0] for each in made.artifacts] == ["a red circle", "a blue square"]
    assert abs(pixels(made) - pixels(make(bench))).max() <= 1


def test_a_model_that_is_gone_or_unknown_is_named(bench: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        make(bench, replace(ASKED, checkpoint="no-such-model"))
    other = save_small_checkpoint(tmp_path / "models" / "Stable-diffusion" / "other.safetensors")
    bench.catalog.scan()
    make(bench, replace(ASKED, checkpoint="other"))
    other.unlink()
    with pytest.raises(ModelGone):
        make(bench, replace(ASKED, checkpoint="other"))
    make(bench)


def test_a_checkpoint_without_a_vae_says_so_before_sampling(bench: Any, tmp_path: Path) -> None:
    from webui.engine.vae import NoVae

    save_small_checkpoint(tmp_path / "models" / "Stable-diffusion" / "bare.safetensors", with_vae=False)
    bench.catalog.scan()
    ears = Ears()
    with pytest.raises(NoVae):
        make(bench, replace(ASKED, checkpoint="bare"), ears)
    assert all(progress.phase == "loading" for progress in ears.progress)


class Plugin:
    """Touches a run everywhere a plugin can."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.calls: list[int] = []

    @hookimpl
    def wrap_run(self, plan: Any) -> None:
        self.seen.append(f"run {len(plan.pictures)}")

    @hookimpl
    def patches_for(self, stage: Any, picture: Any) -> list[Any]:
        self.seen.append(f"patches {picture.seed}")
        return []

    @hookimpl
    def transform_conditioning(self, conditioning: Any) -> None:
        self.seen.append("conditioning")

    @hookimpl
    def wrap_denoise(self, denoise: Any) -> Any:
        def counted(calls: Any, context: Any) -> Any:
            self.calls.append(context.call)
            return denoise(calls, context)

        return counted

    @hookimpl
    def wrap_guided(self, guided: Any) -> Any:
        return lambda x, sigma: guided(x, sigma) * 0.5

    @hookimpl
    def on_step(self, step: int) -> None:
        self.seen.append(f"step {step}")

    @hookimpl
    def transform_latent(self, latent: Any) -> None:
        self.seen.append(f"latent {tuple(latent.shape)}")

    @hookimpl
    def transform_image(self, image: Image.Image) -> Image.Image:
        return image.rotate(90)

    @hookimpl
    def before_save(self) -> dict[str, object]:
        return {"Plugin": "was here"}


def test_a_plugin_reaches_every_place_the_hooks_promise(bench: Any) -> None:
    plain = make(bench)
    plugin = Plugin()
    bench.hooks.register(plugin, name="plugin")
    made = make(bench)
    assert plugin.seen == [
        "run 1", "patches 5", "conditioning", "step 0", "step 1", "step 2", "latent (1, 4, 8, 8)",
    ]  # fmt: skip
    assert plugin.calls == [0, 1, 2]
    assert "Plugin: was here" in made.artifacts[0].infotext
    bench.hooks.unregister("plugin")
    assert (pixels(make(bench)) == pixels(plain)).all()
    assert (pixels(made) != pixels(plain)).any()


def test_an_old_snapshot_of_settings_still_runs(bench: Any) -> None:
    assert from_flat({"no.such.setting": 1}) == Settings()
    made = make(bench, ASKED, **{"no.such.setting": 1})
    assert len(made.artifacts) == 1


def test_prompt_and_negative_can_be_asked_one_after_the_other(bench: Any) -> None:
    asked = replace(ASKED, width=128, height=128)  # one row through the small model's norms needs more than one pixel
    together = make(bench, asked)
    calls = count_calls(bench.models.current.unet)
    apart = make(bench, asked, **{"sampling.batch_cond_uncond": False})
    assert len(calls) == 2 * 3
    assert abs(pixels(together) - pixels(apart)).max() <= 1


def test_padding_brings_unequal_prompts_into_one_call(bench: Any) -> None:
    long = replace(ASKED, width=128, height=128, prompt=", ".join(["a red circle"] * 40))
    plain = make(bench, long)
    calls = count_calls(bench.models.current.unet)
    padded = make(bench, long, **{"sampling.pad_cond_uncond": True})
    assert len(calls) == 3
    old = make(bench, long, **{"sampling.pad_cond_uncond_v0": True})
    assert (pixels(plain) != pixels(padded)).any()
    assert (pixels(padded) != pixels(old)).any()
    assert "Pad conds: True" in padded.artifacts[0].infotext
    assert (pixels(make(bench, ASKED, **{"sampling.pad_cond_uncond": True})) == pixels(make(bench))).all()


def test_a_picture_tells_who_asked_only_when_the_setting_says_so(bench: Any) -> None:
    from webui.domain.job import OWNER

    signed = {OWNER: "ada", "infotext.add_user_name": True, "saving.samples_filename_pattern": "[seed] [user]"}
    made = make(bench, **signed).artifacts[0]
    assert read(made.infotext).fields["User"] == "ada" and Path(made.path).stem.endswith("-5 ada")
    assert "User" not in read(make(bench, **{OWNER: "ada"}).artifacts[0].infotext).fields
    nobody = make(bench, **signed | {OWNER: "local"}).artifacts[0]
    assert "User" not in read(nobody.infotext).fields, "a server without accounts has nobody to name"


def test_a_file_name_can_leave_the_styles_out(bench: Any) -> None:
    from webui.domain.job import STYLE_PROMPTS

    asked = replace(ASKED, prompt="a red circle, oil painting", styles=("oil",))
    told = {STYLE_PROMPTS: ["{prompt}, oil painting"], "saving.samples_filename_pattern": "[styles]-[prompt_no_styles]"}
    assert Path(make(bench, asked, **told).artifacts[0].path).stem.endswith("-oil-a red circle")
