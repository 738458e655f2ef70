"""A second checkpoint that takes over in the middle of a pass, without the sampler starting anew."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.generate.test_hires import Names, make, pixels
from webui.catalog import Catalog, folders_from
from webui.domain import GenerationRequest, Hires, Refiner
from webui.gallery.infotext import read, request_from
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.settings import Settings
from webui.settings.flags import Flags

pytestmark = pytest.mark.torch

PLAIN = GenerationRequest(
    prompt="a red circle", checkpoint="small", sampler="Euler", steps=4, width=64, height=64, seed=5, subseed=1,
    cfg_scale=4.0,
)  # fmt: skip
ASKED = replace(PLAIN, refiner=Refiner(checkpoint="other", switch_at=0.5))


@pytest.fixture
def two(tmp_path: Path, small_checkpoint: Path) -> Iterator[Any]:
    """A bench with two checkpoints; the other's UNet is turned down."""
    from safetensors.torch import load_file, save_file

    from webui.generate import open_bench

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    state = load_file(small_checkpoint)
    save_file(state, folder / "small.safetensors")
    other = {name: value * 0.9 if "output_blocks" in name else value for name, value in state.items()}
    save_file(other, folder / "other.safetensors")
    flags = Flags(ckpt_dir=(folder,))
    catalog = Catalog(tmp_path / "models.db", folders_from(flags, tmp_path))
    catalog.scan()
    made = open_bench(catalog=catalog, gallery=Gallery(Settings, tmp_path), hooks=Hooks(), flags=flags)
    yield made
    made.close()
    catalog.close()


def test_the_refiner_takes_over_and_the_first_model_comes_back(two: Any) -> None:
    plain, refined = make(two, PLAIN), make(two, ASKED)
    whole = make(two, replace(PLAIN, checkpoint="other"))
    assert (pixels(refined) != pixels(plain)).any()
    assert (pixels(refined) != pixels(whole)).any()
    assert (pixels(make(two, PLAIN)) == pixels(plain)).all()


def test_from_the_first_step_it_is_the_refiners_picture_and_at_the_end_the_first_models(two: Any) -> None:
    first = make(two, replace(ASKED, refiner=Refiner(checkpoint="other", switch_at=0.0)))
    never = make(two, replace(ASKED, refiner=Refiner(checkpoint="other", switch_at=1.0)))
    assert (pixels(first) == pixels(make(two, replace(PLAIN, checkpoint="other")))).all()
    assert (pixels(never) == pixels(make(two, PLAIN))).all()
    assert "Refiner" not in never.artifacts[0].infotext


def test_both_models_stay_in_memory_over_a_runs_batches(two: Any) -> None:
    make(two, replace(ASKED, batch_count=3, save_grid=False))
    assert two.models.loads == 2


def test_with_a_second_pass_the_refiner_works_in_that_one(two: Any) -> None:
    hires = Hires(scale=1.5, denoising_strength=0.6)
    made = make(two, replace(ASKED, hires=hires))
    assert (pixels(made) != pixels(make(two, replace(PLAIN, hires=hires)))).any()


def test_the_infotext_brings_the_refiner_back(two: Any) -> None:
    text = make(two, ASKED).artifacts[0].infotext
    values, _ = request_from(read(text), settings=Settings(), lookup=Names())
    assert values["refiner"].switch_at == 0.5
    assert values["refiner"].checkpoint.startswith("other")
    again = make(two, replace(ASKED, refiner=values["refiner"]))
    assert again.artifacts[0].infotext == text
