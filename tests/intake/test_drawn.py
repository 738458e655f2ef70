"""Drawings become masks and sketches, pixel by pixel."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from webui.intake.drawn import drawn_mask, inpaint_sketch, painted, uploaded_mask, upright, widened

SIZE = (200, 120)


def layer(
    *, box: tuple[int, int, int, int] = (50, 40, 90, 80), colour: tuple[int, ...] = (255, 0, 0, 255)
) -> Image.Image:
    made = Image.new("RGBA", SIZE)
    ImageDraw.Draw(made).rectangle(box, fill=colour)
    return made


def noise(size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def test_a_mask_is_where_something_was_drawn_and_nothing_between() -> None:
    soft = layer(colour=(255, 255, 255, 129))
    mask = drawn_mask(soft, SIZE)
    assert (mask.mode, mask.size, mask.getbbox()) == ("L", SIZE, (50, 40, 91, 81))
    assert sorted(set(np.array(mask).flat)) == [0, 255]
    assert drawn_mask(layer(colour=(255, 255, 255, 128)), SIZE).getbbox() is None


def test_the_colour_of_a_mask_stroke_does_not_matter() -> None:
    black = drawn_mask(layer(colour=(0, 0, 0, 255)), SIZE)
    assert black.tobytes() == drawn_mask(layer(colour=(255, 255, 255, 255)), SIZE).tobytes()


@pytest.mark.parametrize(("value", "masked"), [(128, False), (129, True), (255, True), (0, False)])
def test_an_uploaded_mask_is_cut_at_half(value: int, masked: bool) -> None:
    mask = uploaded_mask(Image.new("L", (40, 30), value), SIZE)
    assert mask.size == SIZE
    assert mask.getextrema() == ((255, 255) if masked else (0, 0))


def test_the_opacity_of_an_uploaded_mask_counts_where_it_has_clear_parts() -> None:
    assert uploaded_mask(layer(colour=(0, 0, 0, 255)), SIZE).getbbox() == (50, 40, 91, 81)


def test_a_sketch_lies_over_the_picture_and_leaves_the_rest_alone() -> None:
    picture = noise()
    whole = painted(picture, layer())
    assert (whole.mode, whole.getpixel((60, 60))) == ("RGB", (255, 0, 0))
    before, after = np.array(picture), np.array(whole)
    before[40:81, 50:91] = after[40:81, 50:91] = 0
    assert (before == after).all()


def test_a_sketch_over_a_clear_picture_stays_clear() -> None:
    whole = painted(Image.new("RGBA", SIZE, (1, 2, 3, 0)), layer())
    assert (whole.mode, whole.getpixel((0, 0)), whole.getpixel((60, 60))) == ("RGBA", (1, 2, 3, 0), (255, 0, 0, 255))


def test_an_inpaint_sketch_masks_what_differs_and_a_little_more() -> None:
    image, mask = inpaint_sketch(noise(), layer())
    reach = int(0.015 * 120)
    assert reach == 1
    assert mask.getbbox() == (50 - reach, 40 - reach, 91 + reach, 81 + reach)
    assert mask.getextrema() == (0, 255)
    assert image.getpixel((60, 60)) == (255, 0, 0)
    outside = np.array(image) != np.array(noise())
    outside[39:82, 49:92] = False
    assert not outside.any()


def test_a_colour_that_was_there_already_is_no_change() -> None:
    grey = Image.new("RGB", SIZE, (9, 9, 9))
    assert inpaint_sketch(grey, layer(colour=(9, 9, 9, 255)))[1].getbbox() is None


def test_transparency_makes_mask_and_colours_fainter() -> None:
    grey = Image.new("RGB", SIZE, (0, 0, 0))
    image, mask = inpaint_sketch(grey, layer(), transparency=60)
    assert mask.getextrema() == (0, 102)
    assert image.getpixel((70, 60)) == (102, 0, 0)


def test_blur_softens_the_edge_of_an_inpaint_sketch() -> None:
    black = Image.new("RGB", SIZE, (0, 0, 0))
    image, _ = inpaint_sketch(black, layer(), blur=4)
    row = np.array(image)[60, :, 0]
    assert 0 < row[46] < row[52] < 255


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 5, 8, 13, 21])
def test_widening_is_a_square_dilation(reach: int) -> None:
    dots = Image.new("L", (90, 70))
    for spot in ((0, 0), (45, 30), (46, 33), (89, 69), (12, 66)):
        dots.putpixel(spot, 255)
    expected = dots.filter(ImageFilter.MaxFilter(2 * reach + 1)) if reach else dots
    assert widened(dots, reach).tobytes() == expected.tobytes()


def test_a_phone_picture_stands_upright() -> None:
    picture = Image.new("RGB", (30, 10))
    picture.getexif()[0x0112] = 6
    assert upright(picture).size == (10, 30)
