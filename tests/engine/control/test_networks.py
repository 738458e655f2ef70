"""Control files of every layout: recognised, filled tensor by tensor, refused by name, kept and let go."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.torch

SD15: dict[str, Any] = {
    "cross_attention_dim": 768, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "attention_head_dim": 8,
}  # fmt: skip
"""lllyasviel/control_v11p_sd15_*'s config.json, as far as it is not diffusers' default."""
SDXL: dict[str, Any] = {
    "cross_attention_dim": 2048, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": (5, 10, 20), "transformer_layers_per_block": (1, 2, 10), "use_linear_projection": True,
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
"""diffusers/controlnet-canny-sdxl-1.0's."""


def same(network: Any, wanted: Any, tolerance: float = 0.0) -> None:
    ours, theirs = network.module.state_dict(), wanted.state_dict()
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name].shape == value.shape, name
        assert float((ours[name] - value).abs().max()) <= tolerance, name


def entries(state: dict[str, Any]) -> Any:
    """A table of weights of these shapes, with no bytes behind it."""
    import torch

    from webui.engine.weights import Entry, MemorySource, Weights

    nothing = MemorySource(bytearray())
    return Weights(
        Path("x.safetensors"),
        {name: Entry(nothing, 0, torch.float16, tuple(value.shape)) for name, value in state.items()},
    )


@pytest.mark.parametrize(("config", "kind"), [(SD15, "controlnet"), (SDXL, "controlnet"), (SDXL, "union")])
@pytest.mark.parametrize("layout", ["cldm", "diffusers"])
def test_published_sizes_are_read_off_the_names_and_shapes_alone(
    config: dict[str, Any], kind: str, layout: str
) -> None:
    import torch

    from webui.engine.control.layouts import recognised, to_cldm
    from webui.engine.control.networks import CLASSES

    more: dict[str, Any] = (
        {"num_control_type": 8, "conditioning_embedding_out_channels": (16, 32, 96, 256)} if kind == "union" else {}
    )
    classes: Any = CLASSES
    with torch.device("meta"):
        whole = classes[kind](**config, **more)
    table = entries(to_cldm(whole) if layout == "cldm" else whole.state_dict())
    found = recognised(table, {})
    assert found.kind == kind
    with torch.device("meta"):
        made = classes[found.kind](**found.config)
    wanted = {name: tuple(value.shape) for name, value in whole.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in made.state_dict().items()} == wanted
    assert all(any(place in table for place in found.names(name)) for name in wanted)
    for name in ("attention_head_dim", "cross_attention_dim", "block_out_channels"):
        assert getattr(made.config, name) == config[name], name


def test_a_cldm_file_has_the_names_of_the_published_ones() -> None:
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    from webui.engine.control.layouts import to_cldm

    with torch.device("meta"):
        state = to_cldm(ControlNetModel(**SD15))
    assert len(state) == 340
    shapes = {name.removeprefix("control_model."): tuple(value.shape) for name, value in state.items()}
    assert shapes["input_hint_block.0.weight"] == (16, 3, 3, 3)
    assert shapes["input_hint_block.14.weight"] == (320, 256, 3, 3)
    assert shapes["zero_convs.0.0.weight"] == (320, 320, 1, 1)
    assert shapes["zero_convs.11.0.bias"] == (1280,)
    assert shapes["middle_block_out.0.weight"] == (1280, 1280, 1, 1)
    assert shapes["input_blocks.3.0.op.weight"] == (320, 320, 3, 3)
    assert shapes["input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight"] == (1280, 768)
    assert shapes["middle_block.1.proj_in.weight"] == (1280, 1280, 1, 1)
    assert shapes["time_embed.2.bias"] == (1280,)


def test_diffusers_own_converter_reads_our_cldm_files(tiny_control: Any) -> None:
    import torch
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    from webui.engine.control.layouts import to_cldm

    made = convert_controlnet_checkpoint(dict(to_cldm(tiny_control)), dict(tiny_control.config))
    wanted = tiny_control.state_dict()
    assert set(made) == set(wanted)
    assert all(torch.equal(made[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("layout", ["cldm", "bare", "diffusers"])
def test_a_network_is_filled_tensor_by_tensor(
    model: Any, tiny_control: Any, save_control: Callable[..., Any], layout: str
) -> None:
    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    state = tiny_control.state_dict()
    if layout != "diffusers":
        state = to_cldm(tiny_control, prefix="" if layout == "bare" else "control_model.")
    same(ControlCache().load(save_control(state), base=model), tiny_control)


def test_a_difference_is_added_to_the_bases_encoder(
    tiny: SimpleNamespace, model: Any, tiny_control: Any, save_control: Callable[..., Any]
) -> None:
    import torch

    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import controlnet_to_cldm

    under = dict(tiny.unet.state_dict())
    state = {
        f"control_model.{controlnet_to_cldm(name, tiny_control.config)}": value - under.get(name, 0)
        for name, value in tiny_control.state_dict().items()
    }
    with_mark = save_control({**state, "difference": torch.zeros(1)})
    same(ControlCache().load(with_mark, base=model), tiny_control, tolerance=2e-3)


def low_rank(control: Any, unet: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A control-LoRA's tensors, and what they make of the base."""
    import torch

    from webui.engine.control.layouts import controlnet_to_cldm

    under, generator = unet.state_dict(), torch.Generator().manual_seed(7)
    state: dict[str, Any] = {"lora_controlnet": torch.zeros(0)}
    made: dict[str, Any] = {}
    for name, value in control.state_dict().items():
        place = controlnet_to_cldm(name, control.config)
        if name not in under or name == "conv_in.bias":
            state[place] = made[name] = value
        elif value.dim() > 1:
            up = torch.randn(value.shape[0], 2, generator=generator).half().float() * 0.125
            down = torch.randn(2, value[0].numel(), generator=generator).half().float() * 0.125
            state[place.removesuffix(".weight") + ".up"] = up if value.dim() == 2 else up[:, :, None, None]
            shape = down.shape if value.dim() == 2 else (2, *value.shape[1:])
            state[place.removesuffix(".weight") + ".down"] = down.view(shape)
            made[name] = under[name] + (up @ down).view(value.shape)
        else:
            made[name] = under[name]
    return state, made


def test_a_control_lora_stands_on_the_base_in_force(
    tiny: SimpleNamespace, model: Any, tiny_control: Any, save_control: Callable[..., Any]
) -> None:
    import torch

    from webui.engine.control import ControlCache

    state, made = low_rank(tiny_control, tiny.unet)
    record = save_control(state, "control-lora-tiny")
    with torch.no_grad():
        weight = model.unet.conv_in.weight
        kept = weight.clone()
        try:
            weight.add_(1)  # what the model wears is no part of the network
            network = ControlCache().load(record, base=model)
        finally:
            weight.copy_(kept)
    ours = network.module.state_dict()
    assert set(ours) == set(made)
    assert all(torch.allclose(ours[name], value, atol=1e-3) for name, value in made.items())


def test_an_sdxl_control_lora_is_built_as_its_base(
    xl: SimpleNamespace, xl_model: Any, save_control: Callable[..., Any]
) -> None:
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    from webui.engine.control import ControlCache

    torch.manual_seed(4)
    like = ControlNetModel.from_unet(xl.unet, conditioning_embedding_out_channels=(16, 16, 32, 32))
    state, made = low_rank(like.half().float(), xl.unet)
    ours = ControlCache().load(save_control(state), base=xl_model).module.state_dict()
    assert set(ours) == set(made)
    assert all(torch.allclose(ours[name], value, atol=1e-3) for name, value in made.items())


def test_heads_and_groups_come_from_the_file_where_it_says_so(
    model: Any, tiny_control: Any, save_control: Callable[..., Any]
) -> None:
    import json

    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    told = {"maple.config": json.dumps({"controlnet": {"attention_head_dim": 4, "norm_num_groups": 16}})}
    network = ControlCache().load(save_control(to_cldm(tiny_control), metadata=told), base=model)
    assert (network.module.config.attention_head_dim, network.module.config.norm_num_groups) == (4, 16)
    plain = ControlCache().load(save_control(to_cldm(tiny_control), "plain"), base=model)
    assert plain.module.config.attention_head_dim == model.unet.config.attention_head_dim


def test_a_network_of_another_family_is_a_misfit_before_a_weight_is_read(
    model: Any, xl: SimpleNamespace, save_control: Callable[..., Any]
) -> None:
    from diffusers.models.controlnets.controlnet import ControlNetModel

    from webui.engine.control import ControlCache, ControlMisfit
    from webui.engine.control.layouts import to_cldm
    from webui.words import explain

    other = ControlNetModel.from_unet(xl.unet, conditioning_embedding_out_channels=(16, 16, 32, 32))
    cache = ControlCache()
    with pytest.raises(ControlMisfit) as raised:
        cache.load(save_control(to_cldm(other), "for_xl"), base=model)
    assert raised.value.fields["model"] == "for_xl"
    assert cache.loads == 0
    for language in ("zh", "en"):
        assert "for_xl" in explain(raised.value, language)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("image_proj.proj.weight", "IP-Adapter"),
        ("lllite_unet_input_blocks_1_1.down.0.weight", "ControlNet-LLLite"),
        ("down_blocks.0.motion_modules.0.temporal_transformer.norm.weight", "SparseCtrl"),
        ("style_embedding", "T2I style adapter"),
    ],
)
def test_what_is_known_but_not_run_is_refused_by_name(
    model: Any, save_control: Callable[..., Any], name: str, found: str
) -> None:
    import torch

    from webui.engine.control import ControlCache, UnsupportedControl

    with pytest.raises(UnsupportedControl) as raised:
        ControlCache().load(save_control({name: torch.zeros(2, 2)}), base=model)
    assert raised.value.fields["found"] == found


def test_a_checkpoint_is_no_control_network(model: Any) -> None:
    from webui.domain.errors import WrongKind
    from webui.engine.control import ControlCache

    with pytest.raises(WrongKind):
        ControlCache().load(model.record, base=model)


def test_a_union_knows_the_types_it_was_trained_with(
    xl: SimpleNamespace, xl_model: Any, save_control: Callable[..., Any]
) -> None:
    from tests.engine.control.test_parity import union_of
    from webui.engine.control import ControlCache, UnknownUnionType
    from webui.engine.control.layouts import to_cldm

    network = ControlCache().load(save_control(to_cldm(union_of(xl.unet, 6), prefix="")), base=xl_model)
    assert [network.type_index(name) for name in ("OpenPose", "Segmentation", "")] == [0, 5, None]
    for unknown in ("Tile", "Nonsense"):
        with pytest.raises(UnknownUnionType):
            network.type_index(unknown)


# What is kept


def test_the_cache_keeps_the_last_used_and_lets_the_others_go(
    model: Any, tiny_control: Any, save_control: Callable[..., Any]
) -> None:
    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    cache = ControlCache()
    records = [save_control(to_cldm(tiny_control), f"n{i}") for i in range(3)]
    first = weakref.ref(cache.load(records[0], base=model).module)
    kept = weakref.ref(cache.load(records[1], base=model).module)
    assert cache.load(records[1], base=model).module is kept()
    assert cache.loads == 2
    cache.load(records[2], base=model)
    gc.collect()
    assert first() is None
    assert kept() is not None
    cache.unload()
    gc.collect()
    assert kept() is None


def test_a_file_replaced_under_its_name_is_read_again(
    model: Any, tiny_control: Any, save_control: Callable[..., Any]
) -> None:
    import os

    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    cache = ControlCache()
    record = save_control(to_cldm(tiny_control))
    cache.load(record, base=model)
    os.utime(record.path, ns=(1, 1))
    cache.load(record, base=model)
    assert cache.loads == 2


def test_a_network_over_a_base_is_read_again_for_another_and_a_plain_one_is_not(
    tiny: SimpleNamespace, model: Any, tiny_control: Any, tiny_checkpoint: Path, save_control: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    import shutil
    from dataclasses import replace

    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    other = tmp_path / "other.safetensors"
    shutil.copy(tiny_checkpoint, other)
    state, _ = low_rank(tiny_control, tiny.unet)
    over, plain = save_control(state, "over"), save_control(to_cldm(tiny_control), "plain")
    cache, mine = ControlCache(), model.record
    for record, loads in ((over, 2), (plain, 1)):
        before = cache.loads
        try:
            cache.load(record, base=model)
            model.record = replace(mine, path=other)
            cache.load(record, base=model)
        finally:
            model.record = mine
        assert cache.loads - before == loads
