"""Control maps at the sizes they are needed in."""

from typing import Any

import numpy as np
import pytest

from webui.domain import ControlResize

pytestmark = pytest.mark.torch


def noise(height: int, width: int) -> Any:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


def strokes(height: int = 64, width: int = 64, *, thick: int = 1) -> Any:
    values = np.zeros((height, width, 3), np.uint8)
    values[10 : 10 + thick, 5:60] = 255
    values[5:60, 30 : 30 + thick] = 255
    return values


@pytest.mark.parametrize("mode", list(ControlResize))
@pytest.mark.parametrize("size", [(64, 64), (96, 32), (31, 200), (1, 1)])
def test_a_map_comes_to_exactly_the_size_asked_for(mode: ControlResize, size: tuple[int, int]) -> None:
    from webui.generate.maps import fitted

    for values in (noise(40, 90), noise(3, 300), noise(64, 64)):
        assert fitted(values, mode, *size).shape == (size[1], size[0], 3)


def test_cutting_keeps_the_middle_and_filling_shows_all_on_the_borders_median() -> None:
    from webui.generate.maps import fitted

    values = np.full((20, 60, 3), 90, np.uint8)
    values[:, 20:40] = 200
    cut = fitted(values, ControlResize.CROP, 20, 20)
    assert (cut == 200).all()
    filled = fitted(values, ControlResize.FILL, 60, 60)
    assert (filled[:20] == 90).all() and (filled[40:] == 90).all()
    assert (filled[20:40] == values).all()


def test_what_a_fill_adds_to_an_inpaint_map_is_masked() -> None:
    from webui.generate.maps import fitted

    values = np.zeros((20, 60, 4), np.uint8)
    filled = fitted(values, ControlResize.FILL, 60, 60)
    assert (filled[:20, :, 3] == 255).all() and (filled[20:40, :, 3] == 0).all()


@pytest.mark.parametrize("size", [(128, 128), (96, 64), (40, 40)])
def test_black_and_white_stays_black_and_white(size: tuple[int, int]) -> None:
    from webui.generate.maps import scaled

    for thick in (1, 6):
        assert set(np.unique(scaled(strokes(thick=thick), *size))) == {0, 255}


def test_a_line_of_one_pixel_stays_one_pixel_wide_and_a_thick_one_grows() -> None:
    from webui.generate.maps import scaled

    def widths(values: Any) -> Any:
        return (values[:, 40 : values.shape[1] - 40, 0] > 0).sum(axis=0)

    fine, thick = strokes(256, 256), strokes(256, 256, thick=6)
    fine[10, :], thick[10:16, :] = 255, 255
    assert np.median(widths(scaled(fine, 512, 512))) <= 2
    assert np.median(widths(scaled(thick, 512, 512))) >= 10


def test_a_map_of_few_colours_gets_no_new_ones() -> None:
    from webui.generate.maps import scaled

    values = np.zeros((40, 40, 3), np.uint8)
    values[:20], values[20:, :20] = (10, 200, 30), (250, 0, 90)
    for size in ((17, 23), (100, 90)):
        made = scaled(values, *size)
        assert {tuple(each) for each in made.reshape(-1, 3)} == {(10, 200, 30), (250, 0, 90), (0, 0, 0)}


def test_colours_are_counted_no_further_than_needed() -> None:
    from webui.generate.maps import FEW_COLOURS, colour_count

    assert colour_count(noise(600, 600)) == FEW_COLOURS
    assert colour_count(strokes()) == 2
    late = np.zeros((1000, 8, 3), np.uint8)
    late[-1, -1] = 255
    assert colour_count(late) == 2


@pytest.mark.parametrize(
    ("size", "target", "crop", "fill"),
    [((512, 512), (512, 768), 768, 512), ((1000, 500), (512, 512), 512, 256), ((100, 200), (64, 64), 64, 32)],
)
def test_pixel_perfect_is_the_shorter_side_after_scaling(
    size: tuple[int, int], target: tuple[int, int], crop: int, fill: int
) -> None:
    from webui.generate.maps import pixel_perfect

    assert pixel_perfect(size, target, ControlResize.CROP) == crop
    assert pixel_perfect(size, target, ControlResize.STRETCH) == crop
    assert pixel_perfect(size, target, ControlResize.FILL) == fill


def test_a_blank_map_is_known() -> None:
    from webui.generate.maps import blank

    assert blank(np.full((8, 8, 3), 40, np.uint8)) and blank(np.zeros((8, 8, 4), np.uint8))
    assert not blank(strokes())
