"""Pictures that tile: every convolution of the UNet and the VAE sees the opposite edge instead of zeros."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Tiling:
    """A1111's Tiling: circular padding of every Conv2d."""

    def put_on(self, model: "LoadedModel") -> None:
        for layer in _convolutions(model):
            layer.padding_mode = "circular"

    def take_off(self, model: "LoadedModel") -> None:
        for layer in _convolutions(model):
            layer.padding_mode = "zeros"


def _convolutions(model: "LoadedModel") -> Iterator[nn.Conv2d]:
    for part in (model.unet, model.vae):
        if part is not None:
            yield from (layer for layer in part.modules() if isinstance(layer, nn.Conv2d))
