"""The table of preprocessors: the field's names, old and new, its dials, and which models fit a type. No torch."""

from pathlib import Path

import pytest

from webui.catalog.detectors import (
    DETECTORS,
    LEFT_OUT,
    TYPES,
    UNION_TYPES,
    DetectorLeftOut,
    UnknownControlType,
    UnknownDetector,
    control_type,
    default_model,
    fetchable,
    find_detector,
    models_for,
    union_types,
)
from webui.domain import Family, ModelKind, ModelRecord


def record(name: str, family: Family = Family.UNKNOWN) -> ModelRecord:
    return ModelRecord(kind=ModelKind.CONTROLNET, name=name, path=Path(f"{name}.safetensors"), family=family)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("depth", "depth_midas"),
        ("normal_map", "normal_midas"),
        ("lineart", "lineart_realistic"),
        ("lineart_standard (from white bg & black line)", "lineart_standard"),
        ("invert (from white bg & black line)", "invert"),
        ("pidinet", "softedge_pidinet"),
        ("hed_safe", "softedge_hedsafe"),
        ("pidinet_scribble", "scribble_pidinet"),
        ("fake_scribble", "scribble_hed"),
        ("color", "t2ia_color_grid"),
        ("inpaint", "inpaint_global_harmonious"),
        ("Canny", "canny"),
        ("None", "none"),
        ("", "none"),
    ],
)
def test_names_of_the_page_and_of_old_scripts_are_found(written: str, meant: str):
    assert find_detector(written).name == meant


def test_an_unknown_preprocessor_is_answered_with_the_nearest_names():
    with pytest.raises(UnknownDetector) as caught:
        find_detector("lineart_anim")
    assert "lineart_anime" in caught.value.fields["closest"]
    with pytest.raises(UnknownControlType) as caught:
        control_type("Linart")
    assert caught.value.fields["closest"][0] == "Lineart"


def test_a_preprocessor_we_have_not_is_told_apart_from_a_wrong_name():
    with pytest.raises(DetectorLeftOut) as caught:
        find_detector("animal_openpose")
    assert "openpose_full" in caught.value.fields["instead"]
    assert not [name for name in LEFT_OUT if DETECTORS.find(name)]
    for name in LEFT_OUT:
        with pytest.raises(DetectorLeftOut):
            find_detector(name)


def test_every_type_names_preprocessors_that_are_there_and_begins_with_one_of_them():
    for kind in TYPES:
        assert kind.detectors[0] == "none"
        assert kind.default in kind.detectors
        assert all(DETECTORS.find(name) for name in kind.detectors)
        assert kind.union in ("", *UNION_TYPES)
        assert kind.name == "All" or kind.tags
    reached = {name for kind in TYPES if kind.name != "All" for name in kind.detectors}
    assert set(DETECTORS.names()) - reached == {"threshold"}, "listed under All alone"


def test_a_dial_left_at_minus_one_or_out_of_its_range_has_its_default():
    canny = find_detector("canny")
    assert (canny.value_a(-1), canny.value_b(-1)) == (100, 200)
    assert (canny.value_a(30), canny.value_b(300)) == (30, 200)
    assert (canny.at(-1), canny.at(768), canny.at(20000)) == (512, 768, 512)
    assert find_detector("softedge_anyline").at(-1) == 1280
    assert find_detector("none").value_a(5) == -1
    for row in DETECTORS:
        for dial in filter(None, (row.a, row.b)):
            assert dial.lo <= dial.default <= dial.hi
            assert dial.step > 0


def test_models_are_narrowed_by_the_words_in_their_names():
    models = [record("t2iadapter_sketch"), record("control_v11p_sd15_lineart"), record("xinsir_union"),
              record("sub/blur-sdxl", Family.SDXL)]  # fmt: skip
    named = lambda kind, **more: [one.name for one in models_for(control_type(kind), models, **more)]  # noqa: E731
    assert named("All") == [one.name for one in models]
    assert named("Lineart") == ["control_v11p_sd15_lineart", "xinsir_union"]
    assert named("Scribble") == ["t2iadapter_sketch", "xinsir_union"]
    assert named("Tile") == ["xinsir_union", "sub/blur-sdxl"]
    assert named("Tile", family=Family.SD1) == ["xinsir_union"]
    assert named("Shuffle") == []


def test_a_type_begins_with_its_first_model_of_version_eleven():
    models = [record("old_canny"), record("control_v11p_sd15_canny"), record("control_v11e_sd15_canny")]
    assert default_model(control_type("Canny"), models) == "control_v11p_sd15_canny.safetensors"
    assert default_model(control_type("Canny"), models[:1]) == "old_canny.safetensors"
    assert default_model(control_type("Depth"), models) == ""
    assert default_model(control_type("All"), models) == ""


def test_a_union_network_hears_what_the_map_is():
    assert union_types(find_detector("lineart_anime")) == "Hard Edge"
    assert union_types(find_detector("scribble_xdog")) == "Soft Edge"
    assert union_types(find_detector("openpose")) == "OpenPose"
    assert union_types(find_detector("shuffle")) == "Unknown"


def test_every_file_can_be_fetched_over_https_and_has_a_folder():
    for row in DETECTORS:
        for file in row.weights:
            if file.name.startswith("maple-demo"):  # comes with Maple, in the folder itself
                continue
            assert file.folders
            assert file.sources
            assert all(source.startswith("https://") for source in file.sources)
            assert fetchable()[file.name] == file
