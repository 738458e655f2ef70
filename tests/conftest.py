"""What every test stands on: one thread, no network asked for, no telemetry; a browser that must be there."""

import os
import shutil

# Before torch or a tokenizer is imported. Two OpenMP threads on a busy two-core machine are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update({
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
})

from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """The Chromium the browser tests drive: MAPLE_CHROMIUM, then PATH; None is Playwright's own."""
    named = os.environ.get("MAPLE_CHROMIUM")
    return named or next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


@pytest.fixture(autouse=True)
def _settings_of_the_person_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test must not follow the flags of whoever runs it."""
    monkeypatch.delenv("COMMANDLINE_ARGS", raising=False)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """One Playwright for every browser test: a second one cannot start beside it in this thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop in this thread, and then `asyncio.run` will not run."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
