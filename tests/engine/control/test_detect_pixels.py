"""Preprocessors without a network, against their arithmetic written out; limits, files, and maps kept."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from webui.catalog.detectors import DETECTORS, find_detector
from webui.engine.control.detect import (
    KEPT_MAPS,
    AnnotatorMissing,
    Maps,
    PictureTooLarge,
    PictureTooNarrow,
    detect,
    is_white_background,
)
from webui.engine.control.pixels import mask_shown, padded, resized

pytestmark = pytest.mark.torch


def photo(height: int = 90, width: int = 130, seed: int = 7) -> np.ndarray:
    """Smooth colours with hard edges."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    made = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(made, (width // 2, height // 2), height // 4, (20, 30, 40), -1)
    cv2.line(made, (5, 5), (width - 9, height - 20), (250, 250, 245), 2)
    return made


def drawing(height: int = 96, width: int = 128, ground: int = 250, ink: int = 20, stroke: int = 2) -> np.ndarray:
    made = np.full((height, width, 3), ground, np.uint8)
    cv2.circle(made, (width // 2, height // 2), height // 3, (ink,) * 3, stroke)
    cv2.line(made, (10, 10), (width - 10, height - 16), (ink,) * 3, stroke)
    return made


def of(name: str, picture: np.ndarray, **more) -> np.ndarray:
    return detect(find_detector(name), picture, folders=(), **more).map


def at(picture: np.ndarray, resolution: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = resolution / min(height, width)
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=how)


def test_the_resolution_is_the_shorter_sides_and_the_proportions_stay():
    assert resized(photo(100, 160), 64).shape == (64, 102, 3)
    assert resized(photo(160, 100), 512).shape == (819, 512, 3)
    wide, cut = padded(photo(100, 160), 72)
    assert wide.shape == (128, 128, 3), "whole multiples of 64"
    assert cut(wide).shape == (72, 115, 3)
    assert (wide[100:, :115] == wide[71, :115]).all(), "drawn out from the edge"


def test_canny_hears_both_its_thresholds():
    picture = photo()
    wide = np.pad(at(picture, 64), ((0, 0), (0, -92 % 64), (0, 0)), mode="edge")
    made = of("canny", picture, resolution=64, a=40, b=90)
    assert (made[:, :, 0] == cv2.Canny(wide, 40, 90)[:, :92]).all()
    assert made.shape == (64, 92, 3)
    assert set(np.unique(made)) == {0, 255}
    assert of("canny", picture, resolution=64).sum() < made.sum()


def test_invert_is_what_is_left_to_white():
    assert (of("invert", photo()) == 255 - photo()).all()


def test_none_leaves_the_picture_as_it_is():
    assert (of("none", photo()) == photo()).all()
    assert (of("tile_resample", photo()) == photo()).all()


def test_tile_resample_divides_the_size():
    assert of("tile_resample", photo(90, 130), a=4).shape == (22, 32, 3)
    assert of("tile_resample", photo(3, 2), a=8).shape == (1, 1, 3)


def test_a_threshold_lets_through_what_is_lighter_in_every_channel():
    made = of("threshold", photo(64, 64), resolution=64, a=100)
    assert (made[:, :, 0] == np.where(photo(64, 64).min(axis=2) > 100, 255, 0)).all()


def test_blur_is_a_gaussian_at_the_resolution():
    made = of("blur_gaussian", photo(64, 64), resolution=64, a=3.5)
    assert (made == cv2.GaussianBlur(photo(64, 64), (0, 0), 3.5)).all()


def test_recolour_keeps_lightness_or_intensity_by_gamma():
    picture = photo()
    intensity = of("recolor_intensity", picture, a=1)
    assert (intensity[:, :, 0] == picture.max(axis=2)).all()
    assert (intensity[:, :, 0] == intensity[:, :, 2]).all()
    darker = of("recolor_intensity", picture, a=2)
    wanted = (picture.max(axis=2).astype(np.float32) / 255) ** 2 * 255
    assert np.abs(darker[:, :, 0] - wanted).max() <= 1
    luminance = of("recolor_luminance", picture)
    assert np.abs(luminance[:, :, 0].astype(int) - cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)[:, :, 0]).max() <= 1


def test_standard_line_art_is_white_on_black_where_it_is_darker_than_around():
    made = of("lineart_standard", drawing(), resolution=96)
    assert made[0, 64].max() == 0, "paper"
    assert made[16:19, 64].max() > 120, "stroke"
    paper = np.full((64, 64, 3), 200, np.uint8)
    assert of("lineart_standard", paper, resolution=64).max() == 0


def test_xdog_finds_strokes_and_hears_its_threshold():
    light = of("scribble_xdog", drawing(stroke=1), resolution=96, a=20)
    strict = of("scribble_xdog", drawing(stroke=1), resolution=96, a=64)
    assert set(np.unique(light)) == {0, 255}
    assert 0 < (strict > 0).sum() < (light > 0).sum()


def test_a_colour_grid_has_one_colour_a_cell():
    made = of("t2ia_color_grid", photo(128, 192), resolution=128)
    assert made.shape == (128, 192, 3)
    for top in (0, 64):
        for left in (0, 64, 128):
            cell = made[top : top + 64, left : left + 64].reshape(-1, 3)
            assert (cell == cell[0]).all()


def test_shuffle_keeps_the_colours_and_moves_them_anew_each_time():
    picture = photo(512, 512)
    first, second = (of("shuffle", picture, seed=seed) for seed in (1, 2))
    assert first.shape == (512, 512, 3)
    assert (first != second).any()
    assert (first == of("shuffle", picture, seed=1)).all()
    assert picture.min() <= first.min() <= first.max() <= picture.max()


def test_inpaint_shows_its_mask_half_seen_through():
    mask = np.zeros((90, 130), np.uint8)
    mask[10:20] = 255
    shown = mask_shown(photo(), mask)
    assert shown.shape == (90, 130, 4)
    assert shown[0, 0, 3] == 255
    assert shown[15, 0, 3] == 128
    assert (of("inpaint_only", photo(), mask=mask) == photo()).all()


@pytest.mark.parametrize("row", [row for row in DETECTORS if not row.weights], ids=lambda row: row.name)
def test_every_one_without_a_network_makes_a_map_of_a_grey_thin_picture_and_of_one_pixel(row):
    for picture in (np.full((1, 1, 3), 128, np.uint8), photo(17, 300)):
        made = detect(row, picture, resolution=64, folders=()).map
        assert made.dtype == np.uint8
        assert made.ndim == 3
        assert made.shape[2] == 3


def test_white_paper_is_told_from_what_needs_no_invert():
    assert is_white_background(drawing())
    assert is_white_background(drawing(stroke=1))
    assert is_white_background(drawing(stroke=6))
    assert is_white_background(drawing(ground=215, ink=120))
    assert not is_white_background(255 - drawing())
    assert not is_white_background(photo())
    assert not is_white_background(np.full((64, 64, 3), 255, np.uint8)), "a blank sheet holds no drawing"
    assert not is_white_background(of("canny", photo(), resolution=96))


def test_a_picture_of_twenty_thousand_pixels_is_refused_before_anything_is_made():
    huge = np.broadcast_to(np.uint8(0), (20000, 20000, 3))
    with pytest.raises(PictureTooLarge) as caught:
        of("canny", huge)
    assert (caught.value.fields["width"], caught.value.fields["most"]) == (20000, 16384)
    with pytest.raises(PictureTooNarrow):
        of("canny", np.zeros((4, 4000, 3), np.uint8))


def test_missing_files_are_named_with_where_they_go_and_where_from(tmp_path: Path):
    with pytest.raises(AnnotatorMissing) as caught:
        detect(find_detector("openpose_full"), photo(), folders=(tmp_path / "own", tmp_path / "other"))
    told = caught.value.fields
    assert told["files"] == ["body_pose_model.pth", "hand_pose_model.pth", "facenet.pth"]
    assert told["folder"] == str(tmp_path / "own" / "openpose")
    assert told["searched"] == [str(tmp_path / "own"), str(tmp_path / "other")]
    assert all(source.startswith("https://") for source in told["sources"])


def test_one_map_of_one_picture_is_made_once():
    maps = Maps()
    row = find_detector("canny")
    first = maps.detect(row, photo(), resolution=64, folders=())
    again = maps.detect(row, photo(), resolution=64, a=100, b=200, folders=())
    assert maps.made == 1, "-1 and the default are the same map"
    assert again.map is first.map
    with pytest.raises(ValueError, match="read-only"):
        first.map[0] = 1
    maps.detect(row, photo(), resolution=72, folders=())
    maps.detect(row, photo(seed=8), resolution=64, folders=())
    assert maps.made == 3
    for seed in range(KEPT_MAPS):
        maps.detect(row, photo(seed=100 + seed), resolution=64, folders=())
    maps.detect(row, photo(), resolution=64, folders=())
    assert maps.made == 3 + KEPT_MAPS + 1, "the oldest is forgotten"


def test_a_random_map_is_made_anew():
    maps = Maps()
    first, second = (maps.detect(find_detector("shuffle"), photo(512, 512), folders=()).map for _ in range(2))
    assert (first != second).any()
