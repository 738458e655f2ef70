"""Previews: cheap and near the truth, decoders when they are there, a word when they are not."""

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def test_the_fitted_map_finds_a_linear_relation_exactly() -> None:
    import torch
    from torch.nn import functional

    from webui.engine.preview import fitted

    mixing = torch.tensor([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [2.0, 0.0, 1.0, 3.0]])

    def encode(pictures: Any) -> Any:
        means = functional.avg_pool2d(pictures * 2 - 1, 8)
        return torch.einsum("nrhw,rc->nchw", means - 0.25, mixing)

    model: Any = SimpleNamespace(encode=encode, latent_channels=4, factor=8, device=torch.device("cpu"))
    factors, offset = fitted(model)
    assert torch.allclose(mixing @ factors, torch.eye(3), atol=1e-4)
    assert torch.allclose(offset, torch.full((3,), 0.25), atol=1e-4)


def test_several_pictures_stand_in_a_grid(tiny_model: Any) -> None:
    import torch

    from webui.engine.preview import preview

    assert preview(tiny_model, torch.randn(1, 4, 6, 5)).size == (5, 6)
    assert preview(tiny_model, torch.randn(3, 4, 6, 5)).size == (10, 12)


def test_full_is_the_vae(tiny_model: Any) -> None:
    import numpy as np
    import torch

    from webui.engine.preview import preview

    latents = torch.randn(1, 4, 4, 4)
    picture = np.asarray(preview(tiny_model, latents, "Full"))
    assert (picture == (tiny_model.decode(latents)[0] * 255).byte().permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_bytes_are_of_the_kind_asked_for(tiny_model: Any, kind: str) -> None:
    import torch
    from PIL import Image

    from webui.engine.preview import encoded, preview

    data, media_type = encoded(preview(tiny_model, torch.randn(1, 4, 8, 8)), kind)
    assert media_type == f"image/{kind}"
    assert Image.open(io.BytesIO(data)).size == (8, 8)


@pytest.mark.parametrize("method", ["TAESD", "Approx NN"])
def test_a_missing_decoder_is_said_once_and_the_cheap_map_stands_in(
    tiny_model: Any, tmp_path: Path, method: str
) -> None:
    import torch

    from webui.engine.preview import preview

    latents = torch.randn(1, 4, 4, 4)
    for _ in range(2):
        shown = preview(tiny_model, latents, method, folders=[tmp_path, tmp_path / "none"])
    assert shown.tobytes() == preview(tiny_model, latents, "Approx cheap").tobytes()
    assert [key for key, _fields in tiny_model.take_notes()] == ["preview_fell_back"]


def _wide(tiny_model: Any) -> Any:
    """The miniature without a VAE of its own: its latents count as Stable Diffusion 1's."""
    tiny_model.vae = None
    return tiny_model


def test_a_taesd_file_of_either_layout_is_used(tiny_model: Any, tmp_path: Path) -> None:
    import torch
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    from webui.engine.preview import preview

    torch.manual_seed(1)
    taesd = AutoencoderTiny()
    latents = torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        truth = (
            ((taesd.decode(latents).sample[0] + 1) / 2 * 255).clamp(0, 255).byte().permute(1, 2, 0).numpy().tobytes()
        )
    own_names = {}
    for name, value in taesd.decoder.state_dict().items():
        _layers, number, rest = name.split(".", 2)
        own_names[f"{int(number) + 1}.{rest}"] = value
    for folder, state in (("a", own_names), ("b", taesd.state_dict())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "broken.pth").write_bytes(b"no")
        torch.save(state, tmp_path / folder / "taesd_decoder.pth")
        tiny_model.preview_state.clear()
        assert preview(_wide(tiny_model), latents, "TAESD", folders=[tmp_path / folder]).tobytes() == truth
    assert tiny_model.take_notes() == []


def test_an_approximation_network_is_used(tiny_model: Any, tmp_path: Path) -> None:
    import torch

    from webui.engine.preview import Approximation, preview

    network = Approximation()
    torch.save(network.state_dict(), tmp_path / "model.pt")
    shown = preview(_wide(tiny_model), torch.randn(1, 4, 8, 8), "Approx NN", folders=[tmp_path])
    assert shown.size == (16, 16)
    assert tiny_model.take_notes() == []


def test_published_factors_are_for_stable_diffusions_own_latents_alone(
    tiny_model: Any, tiny: SimpleNamespace, record: Callable[..., Any]
) -> None:
    import torch

    from webui.domain import Family
    from webui.engine.preview import preview

    assert tiny_model.speaks == ""
    assert _wide(tiny_model).speaks == "sd1"
    latents = torch.randn(1, 4, 4, 4)
    shown = preview(tiny_model, latents)
    tiny_model.preview_state.clear()
    tiny_model.family = Family.SDXL
    assert tiny_model.speaks == "sdxl"
    assert preview(tiny_model, latents).tobytes() != shown.tobytes()


def test_each_familys_decoder_is_told_by_its_name(tiny_model: Any, tmp_path: Path) -> None:
    import torch
    from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

    from webui.domain import Family

    latents, model = torch.randn(1, 4, 4, 4), _wide(tiny_model)
    made: dict[str, Any] = {}
    for name in ("taesd", "taesdxl"):
        network = AutoencoderTiny()
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
        made[name] = network
    model.small_folders, model.decode_method, model.encode_method = [tmp_path], "TAESD", "TAESD"
    picture = torch.rand(2, 3, 32, 32)
    for family, name in ((Family.SD1, "taesd"), (Family.SDXL, "taesdxl")):
        model.family = family
        model.preview_state.clear()
        with torch.no_grad():
            decoded = (made[name].decode(latents).sample + 1) / 2
            encoded = made[name].encode(picture * 2 - 1).latents
        assert torch.allclose(model.decode(latents), decoded.clamp(0, 1), atol=1e-6)
        assert torch.allclose(model.encode(picture), encoded, atol=1e-6)
    assert model.take_notes() == []


def test_without_taesd_the_full_vae_decodes_and_it_is_said(tiny_model: Any, tmp_path: Path) -> None:
    import torch

    latents = torch.randn(1, 4, 4, 4)
    whole = tiny_model.decode(latents)
    tiny_model.small_folders, tiny_model.decode_method = [tmp_path], "TAESD"
    assert torch.equal(tiny_model.decode(latents), whole)
    assert torch.equal(tiny_model.decode(latents), whole)
    assert [key for key, _fields in tiny_model.take_notes()] == ["taesd_missing"]


DEMOS = sorted(Path(__file__).parents[2].glob("models/Stable-diffusion/*demo*.safetensors"))


@pytest.mark.parametrize("path", DEMOS, ids=lambda path: path.stem)
def test_the_demo_checkpoints_cheap_previews_have_the_pictures_colours(record: Callable[..., Any], path: Path) -> None:
    import numpy as np
    import torch

    from webui.engine.cache import ModelCache
    from webui.engine.preview import preview

    model = ModelCache(torch.device("cpu")).load(record(path), None)
    assert model.parts.embedded, "the demo says its own configuration and size"
    picture = torch.zeros(1, 3, 128, 128)
    picture[:, 2] = 1
    picture[:, :, 32:96, 32:96] = torch.tensor([1.0, 0, 0])[:, None, None]
    shown = np.asarray(preview(model, model.encode(picture))).astype(int)
    assert shown.shape == (16, 16, 3)
    red, blue = shown[6:10, 6:10].mean((0, 1)), shown[1:3, 1:3].mean((0, 1))
    assert red[0] > 140 > 90 > red[2]
    assert blue[2] > 140 > 90 > blue[0]
