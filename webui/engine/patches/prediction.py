"""A1111's options that change how the model is asked; they are worn like any other change."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel
    from webui.engine.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Quantized:
    """`enable_quantization`: timesteps between two trained ones are rounded to the nearest."""

    def put_on(self, model: "LoadedModel") -> None:
        model.prediction = replace(model.prediction, quantize=True)

    def take_off(self, model: "LoadedModel") -> None:
        model.prediction = replace(model.prediction, quantize=False)


@dataclass(frozen=True, slots=True)
class Apart:
    """`batch_cond_uncond` off: prompt and negative prompt in forwards of their own. Less memory, more time."""

    def put_on(self, model: "LoadedModel") -> None:
        model.apart = True

    def take_off(self, model: "LoadedModel") -> None:
        model.apart = False


class DowncastAlphas:
    """`use_downcasted_alpha_bar`: alphas_cumprod as they were in fp16 before A1111 1.7. Equal to any other of its
    kind.
    """

    def __init__(self) -> None:
        self._kept: Prediction | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DowncastAlphas)

    def __hash__(self) -> int:
        return hash(DowncastAlphas)

    def put_on(self, model: "LoadedModel") -> None:
        self._kept = model.prediction
        model.prediction = replace(model.prediction, alphas_cumprod=model.prediction.alphas_cumprod.half())

    def take_off(self, model: "LoadedModel") -> None:
        assert self._kept is not None
        model.prediction = replace(model.prediction, alphas_cumprod=self._kept.alphas_cumprod)
        self._kept = None
