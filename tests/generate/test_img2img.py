"""img2img and inpainting from request to file: what starts a picture, what a mask leaves alone, what is told of it."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.small import Ears
from webui.domain import GenerationRequest, Init, Inpaint, MaskedContent, ResizeMode, Result, SoftInpainting, Wish
from webui.gallery.infotext import read
from webui.settings import Settings, flat

pytestmark = pytest.mark.torch

ASKED = GenerationRequest(
    prompt="a red circle", sampler="Euler", steps=4, width=64, height=64, seed=5, subseed=1, cfg_scale=4.0
)


def drawing(size: tuple[int, int] = (64, 64), *, seed: int = 1) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def square(size: tuple[int, int] = (64, 64), box: tuple[int, int, int, int] = (24, 24, 40, 40)) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return mask


def img2img(bench: Any, picture: Image.Image | None = None, request: GenerationRequest = ASKED, **values: Any) -> Any:
    blob = bench.gallery.blobs.put_image(picture or drawing())
    return replace(request, init=Init(images=(blob,), **values))


def inpaint(bench: Any, picture: Image.Image | None = None, mask: Image.Image | None = None, **values: Any) -> Any:
    id = bench.gallery.blobs.put_image(mask or square())
    return img2img(bench, picture, denoising_strength=0.9, inpaint=Inpaint(mask=id, **values))


def make(
    bench: Any, request: GenerationRequest, ears: Ears | None = None, settings: dict[str, Any] | None = None
) -> Result:
    from webui.generate import run

    return run(request, settings=flat(Settings()) | (settings or {}), reporter=ears or Ears(), bench=bench)


def pixels(result: Result, number: int = 0) -> np.ndarray:
    with Image.open(result.artifacts[number].path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def told(result: Result, number: int = 0) -> dict[str, str]:
    return dict(read(result.artifacts[number].infotext).fields)


def test_the_init_picture_shows_and_the_more_the_less_noise(bench: Any) -> None:
    start = np.asarray(drawing()).astype(int)
    little, much = (pixels(make(bench, img2img(bench, denoising_strength=s))) for s in (0.1, 0.95))
    alone = pixels(make(bench, img2img(bench, denoising_strength=0.0)))
    assert abs(little - alone).mean() < abs(much - alone).mean()
    assert start.shape == little.shape


def test_another_init_picture_gives_another_result_and_the_same_the_same(bench: Any) -> None:
    first, again = make(bench, img2img(bench)), make(bench, img2img(bench))
    other = make(bench, img2img(bench, drawing(seed=2)))
    assert (pixels(first) == pixels(again)).all()
    assert (pixels(first) != pixels(other)).any()


def test_pictures_lie_in_img2img_folders_and_say_their_strength(bench: Any, tmp_path: Path) -> None:
    made = make(bench, replace(img2img(bench, denoising_strength=0.6), batch_size=2))
    grid, *pictures = made.artifacts
    assert all((tmp_path / "outputs" / "img2img-images") in Path(each.path).parents for each in pictures)
    assert (tmp_path / "outputs" / "img2img-grids") in Path(grid.path).parents
    assert told(made, 1)["Denoising strength"] == "0.6"
    assert made.info["denoising_strength"] == 0.6


@pytest.mark.parametrize("mode", list(ResizeMode))
def test_every_resize_mode_gives_the_size_asked_for(bench: Any, mode: ResizeMode) -> None:
    asked = img2img(bench, drawing((96, 40)), resize_mode=mode, denoising_strength=0.5)
    assert pixels(make(bench, replace(asked, width=64, height=72))).shape == (72, 64, 3)


def test_resize_modes_differ(bench: Any) -> None:
    made = [
        pixels(make(bench, img2img(bench, drawing((96, 40)), resize_mode=mode, denoising_strength=0.3)))
        for mode in ResizeMode
    ]
    assert all((a != b).any() for n, a in enumerate(made) for b in made[:n])


def test_a_batch_equals_its_pictures_made_alone(bench: Any) -> None:
    asked = img2img(bench)
    together = make(bench, replace(asked, batch_size=2, save_grid=False))
    for number in range(2):
        assert abs(pixels(together, number) - pixels(make(bench, replace(asked, seed=5 + number)))).max() <= 1


def test_several_init_images_make_a_picture_each(bench: Any) -> None:
    blobs = tuple(bench.gallery.blobs.put_image(drawing(seed=n)) for n in (1, 2))
    both = make(bench, replace(ASKED, init=Init(images=blobs, denoising_strength=0.4), batch_count=2, save_grid=False))
    for number in range(2):
        alone = replace(ASKED, seed=5 + number, init=Init(images=(blobs[number],), denoising_strength=0.4))
        assert abs(pixels(both, number) - pixels(make(bench, alone))).max() <= 1


def test_steps_are_a_share_unless_the_setting_asks_for_all(bench: Any) -> None:
    request = replace(img2img(bench, denoising_strength=0.5), steps=8)
    for settings, expected in (({}, 5), ({"img2img.fix_steps": True}, 8)):
        ears = Ears()
        make(bench, request, ears, settings=settings)
        steps = {progress.step for progress in ears.progress if progress.phase == "sampling"}
        assert max(steps) == expected
        assert ears.progress[-1].steps == expected


@pytest.mark.parametrize("sampler", ["DDIM", "UniPC", "DPM++ 2M SDE", "DPM fast", "LCM", "DDIM CFG++"])
def test_every_way_of_sampling_keeps_bytes_outside_the_mask(bench: Any, sampler: str) -> None:
    request = replace(inpaint(bench, blur_x=0, blur_y=0), sampler=sampler, steps=8)
    made, start = pixels(make(bench, request)), np.asarray(drawing()).astype(int)
    painted = np.asarray(square()) > 0
    assert (made[~painted] == start[~painted]).all()
    assert (made[painted] != start[painted]).any()


def test_the_mask_can_be_turned_round(bench: Any) -> None:
    made = pixels(make(bench, inpaint(bench, blur_x=0, blur_y=0, invert=True)))
    start, painted = np.asarray(drawing()).astype(int), np.asarray(square()) > 0
    assert (made[painted] == start[painted]).all()
    assert (made[~painted] != start[~painted]).any()


def test_the_masks_blur_is_where_both_mix(bench: Any) -> None:
    made = pixels(make(bench, inpaint(bench, blur_x=2, blur_y=2)))
    start = np.asarray(drawing()).astype(int)
    far = np.asarray(square(box=(16, 16, 48, 48))) == 0
    assert (made[far] == start[far]).all()


def test_without_overlay_the_vae_has_its_say_everywhere(bench: Any) -> None:
    request = inpaint(bench, blur_x=0, blur_y=0)
    start, painted = np.asarray(drawing()).astype(int), np.asarray(square()) > 0
    assert (pixels(make(bench, request, settings={"img2img.overlay": False}))[~painted] != start[~painted]).any()


@pytest.mark.parametrize("content", list(MaskedContent))
def test_every_content_under_the_mask_gives_another_picture(bench: Any, content: MaskedContent) -> None:
    made = make(bench, inpaint(bench, content=content))
    plain = make(bench, inpaint(bench))
    assert (pixels(made) != pixels(plain)).any() == (content is not MaskedContent.ORIGINAL)
    assert told(made).get("Masked content") == (None if content is MaskedContent.ORIGINAL else content.value)


def test_only_masked_works_on_a_part_and_puts_it_back(bench: Any) -> None:
    start, mask = drawing((128, 96)), square((128, 96), (80, 40, 96, 56))
    made = make(bench, inpaint(bench, start, mask, only_masked=True, padding=8, blur_x=0, blur_y=0))
    assert pixels(made).shape == (96, 128, 3)
    painted = np.asarray(mask) > 0
    assert (pixels(made)[~painted] == np.asarray(start).astype(int)[~painted]).all()
    assert (pixels(made)[painted] != np.asarray(start).astype(int)[painted]).any()
    assert told(made)["Inpaint area"] == "Only masked"
    assert told(made)["Masked area padding"] == "8"


def test_an_empty_mask_with_only_masked_is_plain_img2img_and_is_said(bench: Any) -> None:
    ears = Ears()
    empty = inpaint(bench, mask=Image.new("L", (64, 64)), only_masked=True)
    made = make(bench, empty, ears)
    assert ("mask_is_empty", {}) in ears.notes
    assert (pixels(made) == pixels(make(bench, img2img(bench, denoising_strength=0.9)))).all()
    assert "Inpaint area" not in told(made)


def test_alpha_is_the_mask_where_there_is_any(bench: Any) -> None:
    alpha = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    alpha.paste((0, 0, 0, 255), (24, 24, 40, 40))
    by_alpha = make(bench, inpaint(bench, mask=alpha))
    assert (pixels(by_alpha) == pixels(make(bench, inpaint(bench)))).all()


def test_a_mask_of_another_size_is_fitted(bench: Any) -> None:
    doubled = square((128, 128), (48, 48, 80, 80))
    made, same = make(bench, inpaint(bench, mask=doubled)), make(bench, inpaint(bench))
    assert abs(pixels(made) - pixels(same)).mean() < 10


def test_a_mask_over_latents_alone_leaves_pixels_to_the_vae(bench: Any) -> None:
    over = bench.gallery.blobs.put_image(square())
    made = make(bench, img2img(bench, denoising_strength=0.9, latent_mask=over))
    plain = make(bench, img2img(bench, denoising_strength=0.9))
    assert (pixels(made) != pixels(plain)).any()
    assert "Mask blur" not in told(made)


def test_soft_inpainting_mixes_and_is_told(bench: Any) -> None:
    soft = inpaint(bench, blur_x=8, blur_y=8, soft=SoftInpainting())
    made, hard = make(bench, soft), make(bench, inpaint(bench, blur_x=8, blur_y=8))
    assert (pixels(made) != pixels(hard)).any()
    assert told(made)["Soft inpainting enabled"] == "True"
    assert told(made)["Soft inpainting transition contrast boost"] == "4.0"
    for sampler in ("DDIM", "UniPC"):
        assert pixels(make(bench, replace(soft, sampler=sampler, steps=8))).shape == (64, 64, 3)


def test_noise_multiplier_and_extra_noise_change_the_picture_and_are_told(bench: Any) -> None:
    plain = make(bench, img2img(bench))
    more = make(bench, img2img(bench, noise_multiplier=1.2))
    extra = make(bench, img2img(bench), settings={"img2img.extra_noise": 0.3})
    assert (pixels(more) != pixels(plain)).any()
    assert (pixels(extra) != pixels(plain)).any()
    assert told(more)["Noise multiplier"] == "1.2"
    assert told(extra)["Extra noise"] == "0.3"


def test_colours_can_be_put_right(bench: Any) -> None:
    start = Image.new("RGB", (64, 64), (200, 40, 40))
    start.paste((220, 60, 50), (10, 10, 50, 50))
    request = img2img(bench, start, denoising_strength=0.95)
    plain, right = make(bench, request), make(bench, request, settings={"img2img.color_correction": True})
    target = np.asarray(start).astype(float)

    def reddish(values: np.ndarray) -> float:
        return float((values[..., 0] - values[..., 2]).mean())

    assert abs(reddish(pixels(right)) - reddish(target)) < abs(reddish(pixels(plain)) - reddish(target))


def test_transparent_parts_are_laid_on_the_settings_colour(bench: Any) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    white, red = Image.new("RGB", (64, 64), "#ffffff"), Image.new("RGB", (64, 64), "#ff0000")
    on_red = make(bench, img2img(bench, clear), settings={"img2img.background_color": "#ff0000"})
    assert (pixels(make(bench, img2img(bench, clear))) == pixels(make(bench, img2img(bench, white)))).all()
    assert (pixels(on_red) == pixels(make(bench, img2img(bench, red)))).all()


def test_masks_and_composites_are_saved_and_shown_when_asked(bench: Any, tmp_path: Path) -> None:
    settings = {"saving.save_mask": True, "saving.save_mask_composite": True, "img2img.return_mask": True}
    made = make(bench, inpaint(bench), settings=settings)
    assert len(made.artifacts) == 2
    names = sorted(path.name for path in (tmp_path / "outputs").rglob("*.png"))
    assert [name.split("-", 1)[1] for name in names] == ["5.png", "5-mask.png", "5-mask-composite.png"]
    assert made.info["infotexts"] == [made.artifacts[0].infotext]


def test_a_restart_keeps_finished_pictures_and_makes_the_same_rest(bench: Any) -> None:
    request = replace(inpaint(bench, content=MaskedContent.LATENT_NOISE), batch_count=2, save_grid=False)
    whole = make(bench, request)
    ears = Ears(earlier=(whole.artifacts[0],))
    again = make(bench, request, ears)
    assert again.artifacts[0].path == whole.artifacts[0].path
    assert (pixels(again, 1) == pixels(whole, 1)).all()
    assert len(ears.artifacts) == 1


def test_stop_keeps_what_the_mask_leaves_alone(bench: Any) -> None:
    request = replace(inpaint(bench, blur_x=0, blur_y=0), steps=8)
    made = make(bench, request, Ears(wishes={2: Wish.STOP}))
    painted = np.asarray(square()) > 0
    assert made.stopped
    assert (pixels(made)[~painted] == np.asarray(drawing()).astype(int)[~painted]).all()


def test_an_init_picture_is_kept_once_when_the_setting_says(bench: Any, tmp_path: Path) -> None:
    made = make(bench, replace(img2img(bench), batch_count=2), settings={"saving.save_init_img": True})
    kept = list((tmp_path / "outputs" / "init-images").iterdir())
    assert [path.stem for path in kept] == [hashlib.md5(drawing().tobytes(), usedforsecurity=False).hexdigest()]
    assert told(made, 1)["Init image hash"] == kept[0].stem
    with Image.open(kept[0]) as image:
        assert (np.asarray(image) == np.asarray(drawing())).all()


@pytest.fixture(scope="module")
def wide(small_checkpoint: Path) -> dict[int, str]:
    """Checkpoints beside the small one whose UNet takes 9 (inpainting) or 8 channels (pix2pix)."""
    import torch
    from safetensors.torch import load_file, save_file

    name, made = "model.diffusion_model.input_blocks.0.0.weight", {}
    for channels in (9, 8):
        state = load_file(small_checkpoint)
        torch.manual_seed(channels)
        more = torch.randn(state[name].shape[0], channels - 4, 3, 3).half() * 0.2
        path = small_checkpoint.with_name(f"wide{channels}.safetensors")
        save_file(state | {name: torch.cat([state[name], more], 1)}, path)
        made[channels] = path.stem
    return made


def test_an_inpainting_checkpoint_sees_what_the_mask_leaves(wide: dict[int, str], bench: Any) -> None:
    name = wide[9]
    bench.catalog.scan()
    request = replace(inpaint(bench, blur_x=0, blur_y=0), checkpoint=name)
    hidden, shown = make(bench, request), make(bench, request, settings={"img2img.mask_weight": 0.5})
    assert (pixels(hidden) != pixels(shown)).any()
    assert told(hidden)["Conditional mask weight"] == "1.0"
    assert hidden.info["is_using_inpainting_conditioning"] is True
    painted = np.asarray(square()) > 0
    assert (pixels(hidden)[~painted] == np.asarray(drawing()).astype(int)[~painted]).all()
    assert pixels(make(bench, replace(ASKED, checkpoint=name))).shape == (64, 64, 3)
    plain = make(bench, replace(img2img(bench), checkpoint=name))
    assert "Mask blur" not in told(plain)


def test_a_pix2pix_checkpoint_follows_the_picture_as_strongly_as_asked(wide: dict[int, str], bench: Any) -> None:
    name = wide[8]
    bench.catalog.scan()
    usual = make(bench, replace(img2img(bench), checkpoint=name))
    strong = make(bench, replace(img2img(bench, image_cfg_scale=3.0), checkpoint=name))
    one = make(bench, replace(img2img(bench, image_cfg_scale=1.0), checkpoint=name, prompt="a AND b"))
    assert (pixels(usual) != pixels(strong)).any()
    assert (told(usual)["Image CFG scale"], told(strong)["Image CFG scale"]) == ("1.5", "3.0")
    assert pixels(one).shape == pixels(make(bench, replace(ASKED, checkpoint=name))).shape
    from webui.engine.guidance import AndWithPicture

    with pytest.raises(AndWithPicture):
        make(bench, replace(img2img(bench), checkpoint=name, prompt="a AND b"))
