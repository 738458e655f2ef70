"""What a header tells of its training, whatever nonsense stands in it."""

import json

import pytest

from webui.catalog.trained import facts, plain, tags


def test_tags_are_counted_over_all_folders_most_frequent_first() -> None:
    told = {"ss_tag_frequency": json.dumps({"a": {"cat ": 2, "dog": 5}, "b": {"cat": 4}})}
    assert tags(told) == [("cat", 6), ("dog", 5)]


def test_of_captions_the_words_are_counted() -> None:
    told = {"ss_tag_frequency": json.dumps({"a": {"a cat sits on the red mat": 2, "the cat sleeps all the day": 1}})}
    assert dict(tags(told))["cat"] == 3
    assert "on" not in dict(tags(told))


def test_training_facts_are_told_in_words_people_know() -> None:
    told = {
        "ss_output_name": "glow", "ss_clip_skip": "None", "ss_training_started_at": "0",
        "ss_bucket_info": json.dumps({"buckets": {"0": {"resolution": [512, 768], "count": 3}}}),
        "ss_dataset_dirs": json.dumps({"a": {"img_count": 3}, "b": {"img_count": 4}}),
    }  # fmt: skip
    assert facts(told) == [
        ("Output name", "glow"), ("Trained", "1970-01-01 00:00"), ("Resolutions", "512×768"),
        ("Training pictures", "7"),
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["", "{", "[]", "7", '{"a": 1}', '{"buckets": {"0": {"resolution": 3}}}'])
def test_nonsense_is_passed_over(value: str) -> None:
    told = dict.fromkeys(("ss_tag_frequency", "ss_bucket_info", "ss_dataset_dirs", "ss_training_started_at"), value)
    assert tags(told) == []
    assert [label for label, _ in facts(told) if label != "Trained"] == []
    assert set(plain(told)) == set(told)
