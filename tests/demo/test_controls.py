"""The ControlNets' course steps, their files are the field's key for key, and what is written is what was taught."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from tests.demo.test_checkpoint import sd1_keys  # noqa: E402
from webui.catalog.header import read_safetensors  # noqa: E402
from webui.catalog.identify import identify  # noqa: E402
from webui.demo import checkpoint, controls, text, unet, vae  # noqa: E402
from webui.demo.course import Peers  # noqa: E402
from webui.demo.sample import Parts, sample  # noqa: E402
from webui.domain.model import Family, ModelKind  # noqa: E402

pytestmark = pytest.mark.torch

TINY = controls.Lesson(steps=3, pictures=40, size=32, rows=(2, 1, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    torch.manual_seed(0)
    encoder = text.spread(text.fresh(text.vocabulary(folder)), text.vocabulary(folder))
    return checkpoint.export(
        folder / "base.safetensors", unet=unet.fresh(), vae=vae.fresh(), encoder=encoder, size=32, trained="Not at all."
    )


@pytest.fixture(scope="module")
def taught(folder: Path, base: Path) -> Path:
    """The folder after three steps."""
    controls.encode(folder, base, TINY, peers=Peers())
    controls.train_controls(folder, base, TINY, peers=Peers())
    return folder


@pytest.fixture(scope="module")
def files(taught: Path, base: Path) -> list[Path]:
    return controls.export(taught, base, taught / "out.safetensors", taught)


def control_keys() -> set[str]:
    """The keys of a ControlNet for Stable Diffusion 1 (lllyasviel, cldm): the UNet's encoder, then its own."""
    encoder = ("time_embed.", "input_blocks.", "middle_block.")
    names = [key.removeprefix("model.diffusion_model.") for key in sd1_keys() if "diffusion_model" in key]
    found = {f"control_model.{name}" for name in names if name.startswith(encoder)}
    for ending in ("weight", "bias"):
        found |= {f"control_model.input_hint_block.{place}.{ending}" for place in range(0, 16, 2)}
        found |= {f"control_model.zero_convs.{number}.0.{ending}" for number in range(12)}
        found.add(f"control_model.middle_block_out.0.{ending}")
    return found


def test_the_course_teaches_all_four_parts(taught: Path, base: Path):
    before, words = controls.parts_of(taught, base)
    model, encoder, networks, step = controls.load(taught)
    assert step == 3
    for old, new in ((before, model), (words, encoder)):
        assert any(not torch.equal(a, b) for a, b in zip(old.parameters(), new.parameters(), strict=True))
    for network in networks.values():
        assert all(float(weight.abs().max()) > 0 for weight in network.controlnet_down_blocks.parameters())


def test_an_untaught_control_changes_no_picture_and_a_taught_one_has_something_to_say(taught: Path):
    model, encoder, networks, _ = controls.load(taught)
    known = text.vocabulary(taught)
    parts = Parts(unet=model, vae=vae.fresh().eval(), encoder=text.spread(encoder, known), rows=text.clip_rows())
    maps = [np.full((32, 32, 3), 200, np.uint8)]

    def drawn(asked) -> bytes:
        return sample(parts, ["a red star"], seeds=[1], size=32, steps=2, control=asked)[0].tobytes()

    def said(network) -> float:
        with torch.no_grad():
            down, middle = network(
                torch.ones(1, 4, 4, 4), torch.tensor([500]), torch.zeros(1, 77, text.WIDTH),
                torch.ones(1, 3, 32, 32), return_dict=False,
            )  # fmt: skip
        return sum(float(level.abs().sum()) for level in (*down, middle))

    untaught = controls.fresh_control(model).eval()
    assert drawn((untaught, maps)) == drawn(None)
    assert said(untaught) == 0
    assert all(said(network) > 0 for network in networks.values())


def test_the_files_have_exactly_the_keys_of_a_published_controlnet(files: list[Path]):
    for file in files[1:]:
        assert set(load_file(file)) == control_keys()
        assert file.stat().st_size < 12_000_000


def test_the_catalog_takes_the_files_for_controlnets_of_stable_diffusion_1(files: list[Path]):
    for file in files[1:]:
        found = identify(read_safetensors(file)).found
        assert found is not None
        assert (found.kind, found.family, found.variant) == (ModelKind.CONTROLNET, Family.SD1, "cldm")


def test_the_files_hold_what_was_taught(taught: Path, files: list[Path]):
    from webui.demo.layout import control_layout

    *_, networks, _ = controls.load(taught)
    for network, file in zip(networks.values(), files[1:], strict=True):
        read = load_file(file)
        for key, tensor in control_layout(network.state_dict(), dict(network.config)).items():
            assert torch.equal(read[key], tensor.half()), key


def test_the_decoder_learns_and_the_latents_stay_what_they_were(taught: Path, base: Path):
    controls.sharpen(taught, base, TINY, 2, peers=Peers())
    before = checkpoint.opened(base, text.clip_rows())[0].vae
    controls.export(taught, base, taught / "sharp.safetensors", taught)
    after = checkpoint.opened(taught / "sharp.safetensors", text.clip_rows())[0].vae
    for name, weight in before.state_dict().items():
        if not name.startswith("decoder."):
            assert torch.equal(weight, after.state_dict()[name]), name
    changed = zip(before.decoder.parameters(), after.decoder.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in changed)
    (taught / f"{controls.DECODER}.pt").unlink()


def test_the_course_goes_on_from_the_checkpoint_it_began_with(tmp_path: Path, base: Path):
    source = tmp_path / "demo.safetensors"
    source.write_bytes(b"first")
    kept = controls.kept_base(tmp_path, source)
    source.write_bytes(b"second")
    assert controls.kept_base(tmp_path, source) == kept
    assert kept.read_bytes() == b"first"


def test_words_not_taught_yet_start_as_unknown_ones_and_the_others_as_they_were(folder: Path, base: Path):
    parts, _ = checkpoint.opened(base, text.clip_rows())
    known = text.vocabulary(folder)
    compact = text.gathered(parts.encoder, known)
    line = "a red star on a blue background"
    with torch.no_grad():
        wanted = parts.encoder(input_ids=torch.tensor([text.clip_rows()(line)])).last_hidden_state
        found = compact(input_ids=torch.tensor([known.rows(line, 77)])).last_hidden_state
    assert torch.equal(wanted, found)
