"""The page's first load grows with blocks × listeners, so both are counted."""

import pytest

from webui.services import Services
from webui.ui import build

MOST_LISTENERS = 200
MOST_BLOCKS = 500


@pytest.fixture(scope="module")
def config(services: Services) -> dict:
    return build(services).get_config_file()


def test_listeners_stay_within_the_budget(config: dict) -> None:
    assert len(config["dependencies"]) <= MOST_LISTENERS


def test_blocks_stay_within_the_budget(config: dict) -> None:
    assert len(config["components"]) <= MOST_BLOCKS


def test_no_listener_goes_to_the_server(config: dict) -> None:
    assert [listener for listener in config["dependencies"] if listener["backend_fn"]] == []


def test_no_listener_is_part_of_the_api(config: dict) -> None:
    assert {listener["api_visibility"] for listener in config["dependencies"]} == {"private"}
