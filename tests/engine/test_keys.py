"""LDM names: the same table diffusers' own converter knows, both ways."""

from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def test_every_unet_name_is_what_diffusers_converts_it_from(tiny: SimpleNamespace, tiny_state: dict[str, Any]) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    from webui.engine.keys import UNET, unet_to_ldm

    back = convert_ldm_unet_checkpoint(dict(tiny_state), config=dict(tiny.unet.config))
    assert set(back) == set(tiny.unet.state_dict())
    for name, value in back.items():
        assert tiny_state[UNET + unet_to_ldm(name, tiny.unet.config)] is value


def test_every_vae_name_is_what_diffusers_converts_it_from(tiny: SimpleNamespace, tiny_state: dict[str, Any]) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    back = convert_ldm_vae_checkpoint(dict(tiny_state), config=dict(tiny.vae.config))
    ours = tiny.vae.state_dict()
    assert set(back) == set(ours)
    assert all((back[name].float() == ours[name]).all() for name in ours)


def test_a_full_size_layout_has_stable_diffusions_686_names() -> None:
    import torch
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from webui.engine.keys import unet_to_ldm

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    names = {unet_to_ldm(name, unet.config) for name in unet.state_dict()}
    assert len(names) == 686
    assert {name.split(".")[1] for name in names if name.startswith("input_blocks.")} == {str(i) for i in range(12)}
    assert "output_blocks.2.1.conv.weight" in names
    assert "output_blocks.5.2.conv.weight" in names
    assert "input_blocks.9.0.op.weight" in names


def test_a_name_ldm_does_not_have_is_a_key_error(tiny: SimpleNamespace) -> None:
    from webui.engine.keys import unet_to_ldm

    with pytest.raises(KeyError):
        unet_to_ldm("class_embedding.weight", tiny.unet.config)


def test_running_averages_are_named_without_dots() -> None:
    from webui.engine.keys import ema_name

    assert ema_name("input_blocks.0.0.weight") == "model_ema.diffusion_modelinput_blocks00weight"
