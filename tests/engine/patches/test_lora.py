"""Adapters of every layout: what they add is the formula's answer, and taking off gives the file's own bits back."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"  # (32, 64)
PROJECTION = "down_blocks.0.attentions.0.proj_in"  # a 1x1 convolution (32, 32)
CONVOLUTION = "down_blocks.1.resnets.0.conv1"  # (32, 32, 3, 3)
NORM = "down_blocks.1.resnets.0.norm1"
TEXT = "encoder.layers.0.self_attn.q_proj"  # (64, 64)


def rand(*shape: int, seed: int = 1) -> Any:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def under(path: str) -> str:
    return path.replace(".", "_")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    from safetensors.torch import save_file

    def save(tensors: dict[str, Any], name: str = "adapter", **metadata: str) -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata=metadata or None)
        return path

    return save


def bits(model: Any) -> dict[str, Any]:
    """Every weight of UNet and text encoder, copied."""
    return {
        f"{part}.{name}": value.clone()
        for part, module in (("unet", model.unet), ("te", model.text_encoder))
        for name, value in module.state_dict().items()
    }


def changed(before: dict[str, Any], model: Any) -> set[str]:
    import torch

    return {name for name, value in bits(model).items() if not torch.equal(value, before[name])}


def wear(model: Any, *loras: Any) -> Any:
    from webui.engine.patches.lora import Merged

    return model.wearing([Merged(tuple(loras))])


def lora(path: Path, **more: Any) -> Any:
    from webui.engine.patches.lora import Lora

    return Lora(path=path, **more)


def cases() -> Iterator[Any]:
    """(name, tensors in the file, module path, the delta they stand for at strength 1)."""
    import torch

    up, down = rand(32, 4), rand(4, 64, seed=2)
    for name, key in {
        "kohya": f"lora_unet_{under(ATTENTION)}.lora_{{}}.weight",
        "kohya under LDM's names": "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_{}.weight",
        "diffusers": f"unet.{ATTENTION}.lora.{{}}.weight",
    }.items():
        yield name, {key.format("up"): up, key.format("down"): down}, ATTENTION, up @ down
    peft = {f"unet.{ATTENTION}.lora_B.weight": up, f"unet.{ATTENTION}.lora_A.weight": down}
    yield "PEFT", peft, ATTENTION, up @ down
    bare = {f"base_model.model.{name.removeprefix('unet.')}": value for name, value in peft.items()}
    yield "PEFT by itself", bare, ATTENTION, up @ down
    old = ATTENTION.replace("attn2.to_k", "attn2.processor.to_k_lora")
    yield "old diffusers", {f"unet.{old}.up.weight": up, f"unet.{old}.down.weight": down}, ATTENTION, up @ down

    layer = f"lora_unet_{under(ATTENTION)}"
    alpha = {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down, f"{layer}.alpha": torch.tensor(2.0)}
    yield "alpha over rank", alpha, ATTENTION, up @ down / 2

    conv = f"lora_unet_{under(CONVOLUTION)}"
    low, high = rand(4, 32, 3, 3), rand(32, 4, 1, 1, seed=2)
    product = torch.einsum("orxy,rihw->oihw", high, low)
    yield "3x3", {f"{conv}.lora_up.weight": high, f"{conv}.lora_down.weight": low}, CONVOLUTION, product
    middle, left, right = rand(4, 4, 3, 3, seed=3), rand(4, 32, 1, 1, seed=4), high
    cp = {f"{conv}.lora_up.weight": right, f"{conv}.lora_down.weight": left, f"{conv}.lora_mid.weight": middle}
    yield "CP", cp, CONVOLUTION, torch.einsum("or,rshw,si->oihw", right[..., 0, 0], middle, left[..., 0, 0])
    flat = f"lora_unet_{under(PROJECTION)}"
    a, b = rand(32, 4), rand(4, 32, seed=2)
    linear = {f"{flat}.lora_up.weight": a, f"{flat}.lora_down.weight": b}
    yield "linear on a 1x1", linear, PROJECTION, (a @ b)[..., None, None]

    w = {name: rand(*shape, seed=number) for number, (name, shape) in enumerate(
        {"hada_w1_a": (32, 4), "hada_w1_b": (4, 64), "hada_w2_a": (32, 4), "hada_w2_b": (4, 64)}.items())}  # fmt: skip
    expected = (w["hada_w1_a"] @ w["hada_w1_b"]) * (w["hada_w2_a"] @ w["hada_w2_b"])
    yield "LoHa", {f"{layer}.{name}": value for name, value in w.items()}, ATTENTION, expected
    t = {name: rand(*shape, seed=number) for number, (name, shape) in enumerate({
        "hada_t1": (4, 4, 3, 3), "hada_w1_a": (4, 32), "hada_w1_b": (4, 32),
        "hada_t2": (4, 4, 3, 3), "hada_w2_a": (4, 32), "hada_w2_b": (4, 32)}.items())}  # fmt: skip
    one, two = (torch.einsum("abhw,ao,bi->oihw", t[f"hada_t{n}"], t[f"hada_w{n}_a"], t[f"hada_w{n}_b"]) for n in "12")
    yield "LoHa CP", {f"{conv}.{name}": value for name, value in t.items()}, CONVOLUTION, one * two

    small, large = rand(4, 8), rand(8, 8, seed=2)
    yield "LoKr", {f"{layer}.lokr_w1": small, f"{layer}.lokr_w2": large}, ATTENTION, torch.kron(small, large)
    k1, k2 = rand(8, 2, seed=5), rand(2, 8, seed=6)
    parted = {f"{layer}.lokr_w1": small, f"{layer}.lokr_w2_a": k1, f"{layer}.lokr_w2_b": k2,
              f"{layer}.alpha": torch.tensor(1.0)}  # fmt: skip
    yield "LoKr of low rank", parted, ATTENTION, torch.kron(small, k1 @ k2) / 2
    c = {"lokr_w1": rand(4, 4), "lokr_w2_a": rand(8, 2, seed=2), "lokr_w2_b": rand(2, 72, seed=3)}
    kron = torch.kron(c["lokr_w1"], c["lokr_w2_a"] @ c["lokr_w2_b"]).reshape(32, 32, 3, 3)
    yield "LoKr 3x3", {f"{conv}.{name}": value for name, value in c.items()}, CONVOLUTION, kron
    tucker = {"lokr_w1": rand(4, 4), "lokr_t2": rand(2, 2, 3, 3, seed=2), "lokr_w2_a": rand(2, 8, seed=3),
              "lokr_w2_b": rand(2, 8, seed=4)}  # fmt: skip
    core = torch.einsum("abhw,ao,bi->oihw", tucker["lokr_t2"], tucker["lokr_w2_a"], tucker["lokr_w2_b"])
    whole = torch.einsum("op,qrhw->oqprhw", tucker["lokr_w1"], core).reshape(32, 32, 3, 3)
    yield "LoKr Tucker", {f"{conv}.{name}": value for name, value in tucker.items()}, CONVOLUTION, whole

    yield "full", {f"{layer}.diff": rand(32, 64)}, ATTENTION, rand(32, 64)


def test_every_layout_adds_what_its_formula_says(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    before = bits(tiny_model)
    for name, tensors, target, delta in cases():
        tiny_model.bare()
        module = tiny_model.unet.get_submodule(target)
        original = module.weight.clone()
        with wear(tiny_model, lora(saved(tensors, name), unet=0.5)):
            assert torch.allclose(module.weight, original + 0.5 * delta.reshape(original.shape), atol=1e-5), name
            assert changed(before, tiny_model) == {f"unet.{target}.weight"}, name
    tiny_model.bare()
    assert changed(before, tiny_model) == set()


@pytest.mark.parametrize("axis", [0, 1])
def test_dora_brings_the_sum_to_the_learned_length(axis: int, tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    module = tiny_model.unet.get_submodule(ATTENTION)
    original, up, down = module.weight.clone(), rand(32, 4) * 0.1, rand(4, 64, seed=2)
    length = rand(32, 1, seed=3).abs() + 1 if axis == 0 else rand(1, 64, seed=3).abs() + 1
    layer = f"lora_unet_{under(ATTENTION)}"
    path = saved({
        f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down, f"{layer}.dora_scale": length,
        f"{layer}.alpha": torch.tensor(2.0),
    })  # fmt: skip
    whole = original + up @ down / 2
    merged = whole * length / whole.norm(dim=1 - axis, keepdim=True)
    with wear(tiny_model, lora(path)):
        assert torch.allclose(module.weight, merged, atol=1e-5)
    with wear(tiny_model, lora(path, unet=0.25)):
        assert torch.allclose(module.weight, original + 0.25 * (merged - original), atol=1e-5)


def test_pefts_magnitude_is_a_length_per_row(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    module = tiny_model.unet.get_submodule(ATTENTION)
    length = rand(32).abs() + 1
    names = {"lora_A.weight": rand(4, 64), "lora_B.weight": rand(32, 4), "lora_magnitude_vector": length}
    with wear(tiny_model, lora(saved({f"unet.{ATTENTION}.{name}": value for name, value in names.items()}))):
        assert torch.allclose(module.weight.norm(dim=1), length, atol=1e-4)


def test_norms_and_biases_are_moved_and_come_back(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    norm, key = tiny_model.unet.get_submodule(NORM), tiny_model.unet.get_submodule(ATTENTION)
    assert key.bias is None
    before, weight, bias = bits(tiny_model), norm.weight.clone(), norm.bias.clone()
    layer = f"lora_unet_{under(NORM)}"
    path = saved({
        f"{layer}.w_norm": rand(32), f"{layer}.b_norm": rand(32, seed=2),
        f"lora_unet_{under(ATTENTION)}.diff": rand(32, 64), f"lora_unet_{under(ATTENTION)}.diff_b": rand(32, seed=3),
    })  # fmt: skip
    with wear(tiny_model, lora(path, unet=2.0)):
        assert torch.allclose(norm.weight, weight + 2 * rand(32))
        assert torch.allclose(norm.bias, bias + 2 * rand(32, seed=2))
        assert torch.allclose(key.get_parameter("bias"), 2 * rand(32, seed=3))
    tiny_model.bare()
    assert key.bias is None
    assert changed(before, tiny_model) == set()


def both(saved: Callable[..., Path], name: str = "both") -> Path:
    """An adapter of the UNet and the text encoder."""
    unet, text = f"lora_unet_{under(ATTENTION)}", f"lora_te_text_model_{under(TEXT)}"
    return saved({
        f"{unet}.lora_up.weight": rand(32, 4), f"{unet}.lora_down.weight": rand(4, 64, seed=2),
        f"{text}.lora_up.weight": rand(64, 4, seed=3), f"{text}.lora_down.weight": rand(4, 64, seed=4),
    }, name)  # fmt: skip


def test_unet_and_text_encoder_have_strengths_of_their_own(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    path, before = both(saved), bits(tiny_model)
    text = tiny_model.text_encoder.get_submodule(TEXT)
    original = text.weight.clone()
    with wear(tiny_model, lora(path, te=0.25, unet=0.0)):
        assert changed(before, tiny_model) == {f"te.{TEXT}.weight"}
        assert torch.allclose(text.weight, original + 0.25 * rand(64, 4, seed=3) @ rand(4, 64, seed=4), atol=1e-5)
    with wear(tiny_model, lora(path, te=0.0)):
        assert changed(before, tiny_model) == {f"unet.{ATTENTION}.weight"}


@pytest.mark.parametrize("prefix", ["text_encoder.text_model.", "base_model.model.text_model.", "lora_te1_text_model_"])
def test_the_text_encoder_is_found_under_every_trainers_name(
    prefix: str, tiny_model: Any, saved: Callable[..., Path]
) -> None:
    before = bits(tiny_model)
    layer = prefix + (under(TEXT) if prefix.endswith("_") else TEXT)
    names = ("lora_up", "lora_down") if prefix.endswith("_") else ("lora_B", "lora_A")
    path = saved({f"{layer}.{names[0]}.weight": rand(64, 4), f"{layer}.{names[1]}.weight": rand(4, 64)})
    with wear(tiny_model, lora(path)):
        assert changed(before, tiny_model) == {f"te.{TEXT}.weight"}


def test_dyn_takes_the_first_ranks_only(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    module = tiny_model.unet.get_submodule(ATTENTION)
    original = module.weight.clone()
    with wear(tiny_model, lora(both(saved), dyn=2)):
        expected = original + rand(32, 4)[:, :2] @ rand(4, 64, seed=2)[:2]
        assert torch.allclose(module.weight, expected, atol=1e-5)


def test_several_add_up_and_one_named_twice_counts_twice(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    module = tiny_model.unet.get_submodule(ATTENTION)
    original, delta = module.weight.clone(), rand(32, 4) @ rand(4, 64, seed=2)
    one, two = lora(both(saved)), lora(both(saved, "other"), unet=-0.5)
    with wear(tiny_model, one, one, two):
        assert torch.allclose(module.weight, original + 1.5 * delta, atol=1e-5)


def test_the_same_set_worn_twice_is_no_work(tiny_model: Any, saved: Callable[..., Path]) -> None:
    path = both(saved)
    with wear(tiny_model, lora(path)):
        calls = tiny_model.patch_calls
    with wear(tiny_model, lora(path)):
        assert tiny_model.patch_calls == calls
    with wear(tiny_model, lora(path, unet=0.5)):
        assert tiny_model.patch_calls == calls + 1


def four(saved: Callable[..., Path]) -> list[Any]:
    """A LoRA, a LoHa, a LoKr and a full one; the first three share a layer, the last has one of its own."""
    key, conv = f"lora_unet_{under(ATTENTION)}", f"lora_unet_{under(CONVOLUTION)}"
    half = {"hada_w1_a": (32, 2), "hada_w1_b": (2, 64), "hada_w2_a": (32, 2), "hada_w2_b": (2, 64)}
    return [
        lora(both(saved, "low"), te=0.5),
        lora(saved({f"{key}.{name}": rand(*shape) for name, shape in half.items()}, "hadamard"), unet=0.3),
        lora(saved({f"{key}.lokr_w1": rand(4, 8), f"{key}.lokr_w2": rand(8, 8)}, "kronecker"), unet=-0.2),
        lora(saved({f"{conv}.diff": rand(32, 32, 3, 3)}, "whole")),
    ]


def test_four_at_once_add_up_and_the_bare_model_comes_back(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    before, worn = bits(tiny_model), four(saved)
    module = tiny_model.unet.get_submodule(ATTENTION)
    with wear(tiny_model, *worn):
        hadamard = (rand(32, 2) @ rand(2, 64)) ** 2
        added = rand(32, 4) @ rand(4, 64, seed=2) + 0.3 * hadamard - 0.2 * torch.kron(rand(4, 8), rand(8, 8))
        assert torch.allclose(module.weight, before[f"unet.{ATTENTION}.weight"] + added, atol=1e-4)
        assert changed(before, tiny_model) == {
            f"unet.{ATTENTION}.weight", f"unet.{CONVOLUTION}.weight", f"te.{TEXT}.weight",
        }  # fmt: skip
    tiny_model.bare()
    assert changed(before, tiny_model) == set()


def test_changing_one_of_four_touches_only_its_own_layers(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    worn = four(saved)
    other = [*worn[:3], lora(worn[3].path, unet=0.5)]
    with wear(tiny_model, *other):
        expected = bits(tiny_model)
    tiny_model.bare()
    before = bits(tiny_model)
    with wear(tiny_model, *worn):
        key, text = tiny_model.unet.get_submodule(ATTENTION).weight, tiny_model.text_encoder.get_submodule(TEXT).weight
        conv = tiny_model.unet.get_submodule(CONVOLUTION).weight
    with wear(tiny_model, *other):
        assert tiny_model.unet.get_submodule(ATTENTION).weight is key
        assert tiny_model.text_encoder.get_submodule(TEXT).weight is text
        assert tiny_model.unet.get_submodule(CONVOLUTION).weight is not conv
        assert all(torch.equal(value, expected[name]) for name, value in bits(tiny_model).items())
    with wear(tiny_model, worn[3]):
        assert changed(before, tiny_model) == {f"unet.{CONVOLUTION}.weight"}
    tiny_model.bare()
    assert changed(before, tiny_model) == set()
    assert tiny_model.kept == {}


def test_a_set_that_cannot_take_over_leaves_the_bare_model(
    tiny_model: Any, saved: Callable[..., Path], tmp_path: Path
) -> None:
    from webui.domain.errors import BrokenFile

    before, broken = bits(tiny_model), tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x20\0\0\0\0\0\0\0{not json")
    with wear(tiny_model, *four(saved)):
        pass
    with pytest.raises(BrokenFile), wear(tiny_model, lora(broken)):
        pass
    assert changed(before, tiny_model) == set()
    assert tiny_model.kept == {}


def test_what_is_told_of_a_set_is_told_again_when_only_another_changes(
    tiny_model: Any, saved: Callable[..., Path]
) -> None:
    from webui.engine.patches.lora import Merged

    layer, conv = f"lora_unet_{under(ATTENTION)}", f"lora_unet_{under(CONVOLUTION)}"
    wide = {f"{layer}.lora_up.weight": rand(99, 4), f"{layer}.lora_down.weight": rand(4, 99)}
    odd = lora(saved(wide | {f"{conv}.diff": rand(32, 32, 3, 3)}, "odd"))
    first, second = Merged((odd, lora(both(saved)))), Merged((odd, lora(both(saved), te=0.5)))
    told = [("adapter_fits_partly", {"name": "odd", "fitted": 1, "unread": 1})]
    for each in (first, second):
        with tiny_model.wearing([each]):
            assert each.notes(tiny_model) == told


def test_one_that_lies_under_another_can_go_first(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import torch

    from webui.engine.patches.lora import Merged

    before = bits(tiny_model)
    lower, upper = (Merged((lora(both(saved, name), unet=strength),)) for name, strength in (("a", 1.0), ("b", 0.5)))
    module = tiny_model.unet.get_submodule(ATTENTION)
    with tiny_model.wearing([upper]):
        alone = module.weight.clone()
    with tiny_model.wearing([lower, upper]):
        pass
    with tiny_model.wearing([upper]):
        assert torch.equal(module.weight, alone)
    tiny_model.bare()
    assert changed(before, tiny_model) == set()
    assert tiny_model.kept == {}


def test_a_broken_file_leaves_the_model_as_it_was(tiny_model: Any, saved: Callable[..., Path], tmp_path: Path) -> None:
    from webui.domain.errors import BrokenFile

    before, broken = bits(tiny_model), tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x20\0\0\0\0\0\0\0{not json")
    with pytest.raises(BrokenFile), wear(tiny_model, lora(both(saved)), lora(broken)):
        pass
    assert changed(before, tiny_model) == set()
    assert tiny_model.kept == {}


def test_what_does_not_fit_is_said(tiny_model: Any, saved: Callable[..., Path]) -> None:
    from webui.engine.patches.lora import Merged

    layer = f"lora_unet_{under(ATTENTION)}"
    wide = {f"{layer}.lora_up.weight": rand(99, 4), f"{layer}.lora_down.weight": rand(4, 99)}
    before = bits(tiny_model)
    nothing = Merged((lora(saved(wide, "wide")),))
    with tiny_model.wearing([nothing]):
        assert nothing.notes(tiny_model) == [("adapter_fits_nothing", {"name": "wide"})]
        assert changed(before, tiny_model) == set()
    conv = f"lora_unet_{under(CONVOLUTION)}"
    partly = Merged((lora(saved(wide | {f"{conv}.diff": rand(32, 32, 3, 3), "clip_thing": rand(1)}, "partly")),))
    with tiny_model.wearing([partly]):
        assert partly.notes(tiny_model) == [("adapter_fits_partly", {"name": "partly", "fitted": 1, "unread": 2})]


def test_diffusers_says_alpha_in_the_header(tiny_model: Any, saved: Callable[..., Path]) -> None:
    import json

    import torch

    module = tiny_model.unet.get_submodule(ATTENTION)
    original = module.weight.clone()
    path = saved(
        {f"unet.{ATTENTION}.lora_B.weight": rand(32, 4), f"unet.{ATTENTION}.lora_A.weight": rand(4, 64, seed=2)},
        lora_adapter_metadata=json.dumps({"unet.lora_alpha": 8, "unet.r": 4}),
    )
    with wear(tiny_model, lora(path)):
        assert torch.allclose(module.weight, original + 2 * rand(32, 4) @ rand(4, 64, seed=2), atol=1e-5)
