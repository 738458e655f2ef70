"""Hypernetworks: small networks that change what the keys and values of every attention are computed from.

A file holds a pair (for keys, for values) per width of text or picture states; each is `x + m · f(x)` with f a row of
linear layers, activations and norms (A1111's layout, from its published files). They apply in self-attention as in
cross-attention, wherever the width is theirs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn
from torch.nn import functional

from webui.domain.errors import BrokenFile
from webui.engine.weights import Weights, open_weights

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel

Step = Callable[[Tensor], Tensor]
Note = tuple[str, dict[str, Any]]

# A1111 offers every class of torch.nn.modules.activation by its name in lower case; swish is its own word.
_CLASSES = (
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.ReLU6, nn.CELU,
    nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink,
    nn.LogSigmoid, nn.RReLU,
)  # fmt: skip
ACTIVATIONS: Mapping[str, Step] = {
    **{kind.__name__.lower(): kind().eval() for kind in _CLASSES},
    "swish": nn.Hardswish(),
    # Without a dimension torch takes the first of three, the batch: odd, but what such a file was trained with.
    "softmax": partial(functional.softmax, dim=0),
    "softmax2d": partial(functional.softmax, dim=0),
    "softmin": partial(functional.softmin, dim=0),
    "logsoftmax": partial(functional.log_softmax, dim=0),
}
"""Activations by A1111's names that need no weights. GLU, threshold and multi-head attention, which its list has too,
cannot be made or run there either."""
NONE = ("linear", "prelu")
"""No activation, and one whose weight stands among the layers."""

_PLACE = re.compile(r"(\d+)\.([01])\.linear\.?(\d+)\.(weight|bias)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypernetwork:
    """One file at its strength. `size` and `mtime_ns`: a file replaced under its name is another one."""

    path: Path
    strength: float = 1.0
    size: int = 0
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Hypernetworks:
    """Several in order, each fed with what the one before gave. Equal by value."""

    networks: tuple[Hypernetwork, ...]

    def put_on(self, model: "LoadedModel") -> None:
        """Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile, before anything is changed."""
        read = [(network, read_network(network.path, model.device)) for network in self.networks]
        handles: list[Any] = []
        used: set[int] = set()
        for attention in (module for module in model.unet.modules() if isinstance(module, Attention)):
            for place, layer in enumerate((attention.to_k, attention.to_v)):
                for number, (network, pairs) in enumerate(read):
                    steps = pairs.get(layer.in_features) if layer is not None else None
                    if layer is None or steps is None:
                        continue
                    used.add(number)
                    change = partial(_changed, steps[place], network.strength)
                    handles.append(layer.register_forward_pre_hook(change))
        model.kept[self] = (
            handles,
            [
                ("adapter_fits_nothing", {"name": network.path.stem})
                for number, (network, _) in enumerate(read)
                if number not in used
            ],
        )

    def take_off(self, model: "LoadedModel") -> None:
        for handle in model.kept.pop(self)[0]:
            handle.remove()

    def notes(self, model: "LoadedModel") -> list[Note]:
        """What the person should know of how it sits on the model that wears it."""
        return list(model.kept[self][1])


def read_network(path: Path, device: torch.device) -> dict[int, tuple[Sequence[Step], Sequence[Step]]]:
    """Per width the steps for keys and for values, fp32. Raises ModelGone, BrokenFile, WrongFormat, UnsafeFile."""
    with open_weights(path) as weights:
        said = str(weights.extra.get("activation_func") or "linear").lower()
        if said not in NONE and said not in ACTIVATIONS:
            raise BrokenFile(path=str(path), reason=f"its activation “{said}” is unknown")
        activation = ACTIVATIONS.get(said)
        output = bool(weights.extra.get("activate_output", True))
        places: dict[tuple[int, int], dict[int, dict[str, Tensor]]] = {}
        for name in weights:
            found = _PLACE.fullmatch(name)
            if found is not None:
                pair = places.setdefault((int(found[1]), int(found[2])), {})
                pair.setdefault(int(found[3]), {})[found[4]] = _read(weights, name, device)
    widths = {width for width, _ in places}
    try:
        return {
            width: (
                _steps(places[width, 0], activation, activate_output=output, width=width),
                _steps(places[width, 1], activation, activate_output=output, width=width),
            )
            for width in widths
        }
    except (KeyError, ValueError) as error:
        raise BrokenFile(path=str(path), reason=f"its layers do not fit together ({error})") from error


def _read(weights: Weights, name: str, device: torch.device) -> Tensor:
    # A copy: the network outlives the file.
    return weights.read(name, device=device).to(torch.float32, copy=True)


def _steps(
    layers: Mapping[int, Mapping[str, Tensor]], activation: Step | None, *, activate_output: bool, width: int
) -> Sequence[Step]:  # fmt: skip
    """In the file a matrix is a linear layer, a vector a norm, a single number a PReLU; other activations and dropout
    have no weights. An activation stands after every linear layer, after the last only if the output is activated."""
    ordered = [layers[number] for number in sorted(layers)]
    last = max(number for number, layer in enumerate(ordered) if layer["weight"].dim() == 2)
    steps: list[Step] = []
    now = width
    for number, layer in enumerate(ordered):
        if "bias" not in layer and layer["weight"].shape == (1,):
            steps.append(partial(functional.prelu, weight=layer["weight"]))
            continue
        weight, bias = layer["weight"], layer["bias"]
        if weight.shape[-1] != now or bias.shape != weight.shape[:1]:
            raise ValueError(f"{list(weight.shape)} after {now}")
        if weight.dim() == 1:
            steps.append(partial(functional.layer_norm, normalized_shape=(now,), weight=weight, bias=bias))
            continue
        now = weight.shape[0]
        steps.append(partial(functional.linear, weight=weight, bias=bias))
        if activation is not None and (number != last or activate_output):
            steps.append(activation)
    if now != width:
        raise ValueError(f"{now} at the end of {width}")
    return tuple(steps)


def _changed(steps: Sequence[Step], strength: float, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    states, *rest = args
    answer = states.float()
    for step in steps:
        answer = step(answer)
    return ((states.float() + answer * strength).to(states.dtype), *rest)
