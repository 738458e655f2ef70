"""<contrast:…> shows in pictures of the demo checkpoint, through whole runs."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from webui.demo.effects import Studio, studio
from webui.hooks import Hooks
from webui.plugins import Plugins
from webui.settings import Settings
from webui.settings.flags import Flags

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "models" / "Stable-diffusion" / "maple-demo.safetensors"
pytestmark = pytest.mark.torch
SEEDS = 4
PROMPT = "a red circle on a white background"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    root, hooks = tmp_path_factory.mktemp("data"), Hooks()
    Plugins.load(Flags(data_dir=root), Settings(), root, hooks)
    with studio(CHECKPOINT, steps=8, hooks=hooks) as made:
        yield made


def contrast(pictures: list[Image.Image]) -> list[float]:
    return [float(np.asarray(one, dtype=np.float64).std()) for one in pictures]


def test_more_is_more_and_less_is_less(made: Studio) -> None:
    plain, more, less = (
        contrast(made.pictures(SEEDS, prompt=f"{PROMPT}{tag}")) for tag in ("", "<contrast:0.1>", "<contrast:-0.2>")
    )
    assert all(low < mid < high for low, mid, high in zip(less, plain, more, strict=True)), (less, plain, more)


def test_a_picture_that_asks_for_none_is_the_one_without_the_extension(made: Studio) -> None:
    with studio(CHECKPOINT, steps=8) as without:
        bare = without.pictures(1, prompt=PROMPT)
    assert made.pictures(1, prompt=PROMPT)[0].tobytes() == bare[0].tobytes()
