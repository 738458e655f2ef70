"""Hypernetworks of every structure: the attention's keys and values come from the formula, and go back."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torch

SELF = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"  # width 32
CROSS = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"  # width 64


def module(width: int, structure: list[float], activation: str, *, norm: bool, output: bool, dropout: bool) -> Any:
    """A1111's network as it is trained: linear, activation, norm, dropout for each layer."""
    from torch import nn

    kinds: dict[str, Any] = {"swish": nn.Hardswish}
    kinds |= {each.__name__.lower(): each for each in vars(nn.modules.activation).values() if isinstance(each, type)}
    layers: list[Any] = []
    for number, (left, right) in enumerate(pairwise(structure)):
        layers.append(nn.Linear(int(width * left), int(width * right)))
        if activation != "linear" and (number < len(structure) - 2 or output):
            layers.append(kinds[activation]())
        if norm:
            layers.append(nn.LayerNorm(int(width * right)))
        if dropout and number < len(structure) - 2:
            layers.append(nn.Dropout(0.3))
    return nn.Sequential(*layers).eval()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., tuple[Path, Any, Any]]:
    """(file, network for keys, network for values)."""
    import torch

    def save(
        width: int = 64, structure: tuple[float, ...] = (1, 2, 1), activation: str = "relu", *, norm: bool = False,
        output: bool = False, dropout: bool = False, name: str = "hyper", **more: Any,
    ) -> tuple[Path, Any, Any]:  # fmt: skip
        torch.manual_seed(3)
        pair = [module(width, list(structure), activation, norm=norm, output=output, dropout=dropout) for _ in range(2)]
        held = [{f"linear.{key}": value for key, value in each.state_dict().items()} for each in pair]
        told = {"layer_structure": list(structure), "activation_func": activation, "is_layer_norm": norm,
                "activate_output": output, "step": 10, "name": name}  # fmt: skip
        path = tmp_path / f"{name}.pt"
        torch.save({width: tuple(held), **told, **more}, path)
        return path, *pair

    return save


def wear(model: Any, *networks: Any) -> Any:
    from webui.engine.patches.hypernetwork import Hypernetworks

    return model.wearing([Hypernetworks(tuple(networks))])


def hyper(path: Path, strength: float = 1.0) -> Any:
    from webui.engine.patches.hypernetwork import Hypernetwork

    return Hypernetwork(path=path, strength=strength)


STRUCTURES: tuple[tuple[tuple[float, ...], str, dict[str, bool]], ...] = (
    ((1, 1), "linear", {}),
    ((1, 2, 1), "relu", {}),
    ((1, 2, 2, 1), "swish", {"norm": True}),
    ((1, 2, 1), "leakyrelu", {"norm": True, "output": True}),
    ((1, 0.5, 2, 1), "mish", {"dropout": True}),
    ((1, 2, 4, 1), "tanh", {"norm": True, "dropout": True, "output": True}),
    ((1, 2, 2, 1), "prelu", {"norm": True, "output": True}),
    *(((1, 2, 1), name, {}) for name in (
        *("celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "logsigmoid", "logsoftmax"),
        *("relu6", "rrelu", "selu", "sigmoid", "silu", "softmax", "softmax2d", "softmin", "softplus", "softshrink"),
        *("softsign", "tanhshrink"),
    )),
)  # fmt: skip


def test_keys_and_values_come_from_the_formula(tiny_model: Any, saved: Callable[..., Any]) -> None:
    import torch

    attention = tiny_model.unet.get_submodule(CROSS)
    states = torch.randn(2, 77, 64)
    for number, (structure, activation, more) in enumerate(STRUCTURES):
        path, keys, values = saved(64, structure, activation, name=f"hyper{number}", **more)
        with torch.no_grad(), wear(tiny_model, hyper(path, 0.5)):
            found = attention.to_k(states), attention.to_v(states)
            for layer, network, answer in zip((attention.to_k, attention.to_v), (keys, values), found, strict=True):
                expected = (states + 0.5 * network(states)) @ layer.weight.T
                assert torch.allclose(answer, expected, atol=1e-5), STRUCTURES[number]
    tiny_model.bare()
    assert torch.equal(attention.to_k(states), torch.nn.functional.linear(states, attention.to_k.weight))


def test_the_width_decides_where_it_applies(tiny_model: Any, saved: Callable[..., Any]) -> None:
    import torch

    path, *_ = saved(32, name="narrow")
    within, across = tiny_model.unet.get_submodule(SELF), tiny_model.unet.get_submodule(CROSS)
    narrow, wide = torch.randn(1, 9, 32), torch.randn(1, 77, 64)
    plain = within.to_k(narrow), across.to_k(wide)
    with wear(tiny_model, hyper(path)):
        assert not torch.equal(within.to_k(narrow), plain[0])
        assert torch.equal(across.to_k(wide), plain[1])


def test_several_are_fed_one_with_the_other(tiny_model: Any, saved: Callable[..., Any]) -> None:
    import torch

    (one, first, _), (two, second, _) = saved(name="one"), saved(structure=(1, 1), activation="linear", name="two")
    attention = tiny_model.unet.get_submodule(CROSS)
    states = torch.randn(1, 77, 64)
    with torch.no_grad(), wear(tiny_model, hyper(one), hyper(two, 0.25)):
        inner = states + first(states)
        expected = (inner + 0.25 * second(inner)) @ attention.to_k.weight.T
        assert torch.allclose(attention.to_k(states), expected, atol=1e-5)


def test_the_first_layout_of_two_layers_is_read(tiny_model: Any, tmp_path: Path) -> None:
    import torch

    def half() -> dict[str, Any]:
        return {"linear1.weight": torch.randn(128, 64), "linear1.bias": torch.randn(128),
                "linear2.weight": torch.randn(64, 128), "linear2.bias": torch.randn(64)}  # fmt: skip

    keys, path = half(), tmp_path / "old.pt"
    torch.save({64: (keys, half())}, path)
    attention = tiny_model.unet.get_submodule(CROSS)
    states = torch.randn(1, 77, 64)
    with torch.no_grad(), wear(tiny_model, hyper(path)):
        inner = (states @ keys["linear1.weight"].T + keys["linear1.bias"]) @ keys["linear2.weight"].T
        expected = (states + inner + keys["linear2.bias"]) @ attention.to_k.weight.T
        assert torch.allclose(attention.to_k(states), expected, atol=1e-3)


def test_one_that_fits_nothing_or_cannot_be_built_is_said(tiny_model: Any, saved: Callable[..., Any]) -> None:
    from webui.domain.errors import BrokenFile
    from webui.engine.patches.hypernetwork import Hypernetworks

    worn = Hypernetworks((hyper(saved(48, name="other")[0]),))
    with tiny_model.wearing([worn]):
        assert worn.notes(tiny_model) == [("adapter_fits_nothing", {"name": "other"})]
    strange = saved(name="strange", activation_func="no such thing")[0]
    with pytest.raises(BrokenFile, match="no such thing"), wear(tiny_model, hyper(strange)):
        pass
    assert tiny_model.kept == {}
