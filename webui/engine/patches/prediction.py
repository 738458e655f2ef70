"""A1111's options that change how the model is asked; they are worn like any other change."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from webui.engine.prediction import stretched

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel


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


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """What a person says of the model's noise levels and answers, over what the file says.

    `downcast`: `use_downcasted_alpha_bar`, alphas_cumprod as they were in fp16 before A1111 1.7; `zero_snr`:
    `sd_noise_schedule`, stretched down to pure noise, after that as in A1111; `kind`: "eps" or "v", "" as the file has
    it.
    """

    downcast: bool = False
    zero_snr: bool = False
    kind: Literal["", "eps", "v"] = ""

    def put_on(self, model: "LoadedModel") -> None:
        kept = model.prediction
        model.kept[self] = kept
        changed = replace(kept, kind=self.kind or kept.kind)
        if self.downcast:
            changed = replace(changed, alphas_cumprod=changed.alphas_cumprod.half())
        model.prediction = stretched(changed) if self.zero_snr else changed

    def take_off(self, model: "LoadedModel") -> None:
        kept = model.kept.pop(self)
        # Another patch may have changed the rest meanwhile.
        model.prediction = replace(
            model.prediction, kind=kept.kind, alphas_cumprod=kept.alphas_cumprod, to_pure_noise=kept.to_pure_noise
        )
