"""Attention computed in fp32 while the rest stays as it is: A1111's "Upcast cross attention layer to float32"."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Upcast:
    """Queries, keys and values of every attention of the UNet leave their layers in fp32; what comes of them goes back.

    Half precision may overflow between queries and keys (Stable Diffusion 2.1 is known for it).
    """

    def put_on(self, model: "LoadedModel") -> None:
        handles: list[Any] = []
        for attention in (module for module in model.unet.modules() if isinstance(module, Attention)):
            for layer in (attention.to_q, attention.to_k, attention.to_v):
                if layer is not None:
                    handles.append(layer.register_forward_hook(_up))
            out: Any = attention.to_out
            handles.append(out[0].register_forward_pre_hook(_down))
        model.kept[self] = handles

    def take_off(self, model: "LoadedModel") -> None:
        for handle in model.kept.pop(self):
            handle.remove()


def _up(_layer: nn.Module, _given: Any, answer: Tensor) -> Tensor:
    return answer.float()


def _down(layer: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weight: Any = layer.weight
    return (given[0].to(weight.dtype), *given[1:])
