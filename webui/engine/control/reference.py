"""Guiding by a picture alone: while the UNet draws, its self-attention also looks at a reference, or its features take
on the reference's statistics.

The rules are sd-webui-controlnet's (1.1.455: "reference_only", "reference_adain", "reference_adain+attn"): at every
call the reference's latents are noised to the call's level and go through the UNet once, and what its layers saw is
remembered; then the picture goes through. Nothing of the UNet is changed between two calls.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import Tensor, nn

from webui.domain.controlnet import ControlMode
from webui.engine.control.timing import progress
from webui.engine.types import StepContext

if TYPE_CHECKING:
    from webui.engine.control.applied import Asked

ATTENDS = ("reference_only", "reference_adain+attn")
ADAPTS = ("reference_adain", "reference_adain+attn")
LEAST = 1e-6
"""Least variance of a feature."""
_STRIDE = 1_000_003
"""Between the seeds of two calls."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A reference unit, ready: `latents` (n or 1, 4, h, w), one for each picture of the batch or for all; `module` one
    of the three names; `fidelity` 0 to 1: how far the negative prompt's rows go without it; `seeds`: of the pictures,
    for the noise; `hires`: this is a second pass.
    """

    latents: Tensor
    seeds: tuple[int, ...]
    module: str = "reference_only"
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: ControlMode = ControlMode.BALANCED
    fidelity: float = 0.5
    hires: bool = False

    def guides(self, context: StepContext) -> bool:
        """Whether it takes part in this call."""
        return self.weight != 0 and self.start <= progress(context) <= self.end

    def style(self, *, xl: bool) -> float:
        """The fidelity in force. SDXL's attention bears less of it."""
        if self.mode is ControlMode.CONTROL:
            return 1.0
        if self.mode is ControlMode.PROMPT or self.hires:
            return 0.0
        fidelity = min(1.0, max(0.0, self.fidelity))
        return fidelity**3 if xl else fidelity


@dataclass(slots=True, eq=False)
class Referring:
    """A `Reference` for the length of a pass. `calls` counts the UNet's forwards it took."""

    reference: Reference
    calls: int = 0
    _places: tuple["_Places", ...] = ()

    def places(self, unet: nn.Module) -> "_Places":
        """Where the UNet is listened to; looked for once."""
        if not self._places or self._places[0].unet is not unet:
            self._places = (_Places.of(unet),)
        return self._places[0]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A reference at one call of the model."""

    referring: Referring
    call: int

    def noised(self, asked: "Asked", alphas: Tensor) -> Tensor:
        """The reference's latents (rows, 4, h, w) as noisy as these rows, scaled as the UNet sees them.

        Each row's noise depends on its picture's seed, the call and the prompt's side alone, so that a batch equals
        its pictures made alone.
        """
        reference = self.referring.reference
        latents = reference.latents.to(asked.x.device, torch.float32)
        rows = latents[[picture if len(latents) > 1 else 0 for picture in asked.pictures]]
        drawn = [self._noise(picture, prompted, rows[0]) for picture, prompted in _rows(asked)]
        level = alphas.to(rows.device)[asked.timesteps.float().round().long()][:, None, None, None].float()
        noisy = rows * level.sqrt() + torch.stack(drawn).to(rows.device) * (1 - level).sqrt()
        extra = asked.x.shape[1] - noisy.shape[1]
        if extra > 0:  # an inpainting UNet: nothing of it is masked
            noisy = torch.cat([noisy, torch.zeros_like(noisy[:, :1]), rows], dim=1)
        return noisy.to(asked.x.dtype)

    def _noise(self, picture: int, prompted: bool, like: Tensor) -> Tensor:
        seeds = self.referring.reference.seeds
        seed = seeds[picture if len(seeds) > 1 else 0] + _STRIDE * (2 * self.call + 1 + prompted)
        return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed & (2**63 - 1)))


def _rows(asked: "Asked") -> Iterator[tuple[int, bool]]:
    return zip(asked.pictures, asked.prompted, strict=True)


@dataclass(slots=True, eq=False)
class _Memory:
    """What one layer saw of the references, and how faithful to them it is to be."""

    seen: list[Any] = field(default_factory=list[Any])
    styles: list[float] = field(default_factory=list[float])

    @property
    def style(self) -> float:
        return sum(self.styles) / len(self.styles)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Self-attention layers, and blocks whose features are adapted, each with the weight from which on it listens."""

    unet: nn.Module
    attentions: tuple[tuple[nn.Module, float], ...]
    blocks: tuple[tuple[nn.Module, float], ...]

    @staticmethod
    def of(unet: Any) -> "_Places":
        parts = (*unet.down_blocks, unet.mid_block, *unet.up_blocks)
        layers = [each for part in parts for each in part.modules() if isinstance(each, BasicTransformerBlock)]
        # The widest first: a low weight reaches only the innermost. Of one width the encoder's come first.
        layers.sort(key=_narrowness)
        attentions = tuple((layer.attn1, i / len(layers)) for i, layer in enumerate(layers))
        return _Places(unet, attentions, tuple(_adapted(unet)))


def _narrowness(layer: Any) -> int:
    return -int(layer.norm1.weight.shape[0])


def _adapted(unet: Any) -> Iterator[tuple[nn.Module, float]]:
    """The middle, every layer of the encoder below its first level, the first two thirds of the decoder's; the
    innermost listen from the lowest weight on.
    """
    yield unet.mid_block, 0.0
    encoder = [layer for block in list(unet.down_blocks)[1:] for layer in _layers(block)]
    decoder = [layer for block in unet.up_blocks for layer in _layers(block)]
    decoder = decoder[: len(decoder) * 2 // 3]
    for i, layer in enumerate(encoder):
        yield layer, 2 * (1 - i / len(encoder))
    for i, layer in enumerate(decoder):
        yield layer, 2 * i / len(decoder)


def _layers(block: Any) -> list[nn.Module]:
    """What ends each layer of a level: its attention where it has one; the upsampler belongs to the last."""
    attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
    ends = [attention or resnet for resnet, attention in zip(block.resnets, attentions, strict=True)]
    if getattr(block, "upsamplers", None):
        ends[-1] = block.upsamplers[0]
    return ends


@contextmanager
def referred(unet: Any, shown: Sequence[Shown], asked: "Asked", alphas: Tensor) -> Iterator[None]:
    """Let each reference go through the UNet; inside the block the UNet's next forward then looks at them.

    `alphas`: the noise schedule's cumulative products.
    """
    if not shown:
        yield
        return
    xl = asked.added is not None
    attended: dict[nn.Module, _Memory] = {}
    adapted: dict[nn.Module, _Memory] = {}
    for each in shown:
        with _watching(each, unet, attended, adapted, xl=xl):
            noisy = each.noised(asked, alphas)
            each.referring.calls += 1
            unet(noisy, asked.timesteps, asked.states, added_cond_kwargs=asked.added, return_dict=False)
    plain = [i for i, prompted in enumerate(asked.prompted) if not prompted]
    with ExitStack() as stack:
        for layer, memory in attended.items():
            stack.enter_context(_in_place(layer, _attending(layer, memory, plain)))
        for block, memory in adapted.items():
            handle = block.register_forward_hook(_adapting(memory, plain))
            stack.callback(handle.remove)
        yield


@contextmanager
def _watching(
    shown: Shown, unet: Any, attended: dict[nn.Module, _Memory], adapted: dict[nn.Module, _Memory], *, xl: bool
) -> Iterator[None]:
    """Remember what layers see while the reference goes through."""
    reference = shown.referring.reference
    places, style = shown.referring.places(unet), reference.style(xl=xl)
    with ExitStack() as stack:
        for layer, least in places.attentions if reference.module in ATTENDS else ():
            if reference.weight > least:
                hook = layer.register_forward_pre_hook(_attention_seen(attended.setdefault(layer, _Memory()), style))
                stack.callback(hook.remove)
        for block, least in places.blocks if reference.module in ADAPTS else ():
            if reference.weight > least:
                hook = block.register_forward_hook(_features_seen(adapted.setdefault(block, _Memory()), style))
                stack.callback(hook.remove)
        yield


def _attention_seen(memory: _Memory, style: float) -> Callable[..., None]:
    def see(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        memory.seen.append(given[0].detach().clone())
        memory.styles.append(style)

    return see


def _features_seen(memory: _Memory, style: float) -> Callable[..., None]:
    def see(_block: nn.Module, _given: Any, answer: Any) -> None:
        features = answer[0] if isinstance(answer, tuple) else answer
        memory.seen.append(torch.var_mean(features, dim=(2, 3), keepdim=True, correction=0))
        memory.styles.append(style)

    return see


@contextmanager
def _in_place(layer: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Have a layer answer by another function."""
    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward


def _attending(layer: Any, memory: _Memory, plain: list[int]) -> Callable[..., Tensor]:
    """Self-attention that looks at the references too; the negative prompt's rows as far as the style leaves it."""
    attend, style = layer.forward, memory.style

    def forward(hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **how: Any) -> Tensor:
        whole = attend(hidden_states, encoder_hidden_states=torch.cat([hidden_states, *memory.seen], dim=1), **how)
        if not plain or style <= 1e-5:
            return whole
        mixed = whole.clone()
        mixed[plain] = attend(hidden_states[plain], **how)
        return style * mixed + (1 - style) * whole

    return forward


def _adapting(memory: _Memory, plain: list[int]) -> Callable[..., Any]:
    """Features with the references' mean and deviation (Huang & Belongie 2017, "Arbitrary Style Transfer")."""
    style = memory.style
    count = len(memory.seen)
    variance = torch.stack([var for var, _ in memory.seen]).sum(0) / count
    mean = torch.stack([mean for _, mean in memory.seen]).sum(0) / count

    def adapt(_block: nn.Module, _given: Any, answer: Any) -> Any:
        features = answer[0] if isinstance(answer, tuple) else answer
        own_variance, own_mean = torch.var_mean(features, dim=(2, 3), keepdim=True, correction=0)
        deviation = own_variance.clamp_min(LEAST).sqrt()
        made = (features - own_mean) / deviation * variance.clamp_min(LEAST).sqrt() + mean
        if plain and style > 1e-5:
            mixed = made.clone()
            mixed[plain] = features[plain]
            made = style * mixed + (1 - style) * made
        made = made.to(features.dtype)
        return (made, *answer[1:]) if isinstance(answer, tuple) else made

    return adapt
