"""Classifier-free guidance: from the prompts of a batch to the calls a model is asked, and back to one x0.

x0 = uncond + cfg_scale · Σ weight · (cond − uncond), over the AND parts of each picture's prompt (Ho & Salimans 2022;
Liu et al. 2022, "Compositional Visual Generation"). What has unequal token counts goes in separate calls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from webui.domain.errors import BadInput
from webui.engine.blend import Blend
from webui.engine.types import COND, UNCOND, Call, Denoise, Encoded, Guided, StepContext

Parts = Sequence[tuple[Encoded, float]]
"""The AND parts of one picture's prompt and their weights."""


class Conditioning(Protocol):
    """What the prompts of a batch say at each model call."""

    def at(self, call: int) -> tuple[Sequence[Parts], Sequence[Encoded]]:
        """For call 0, 1, …: per picture its AND parts, and per picture the negative."""
        ...


Switch = Callable[[Tensor, StepContext], tuple[Denoise, Conditioning] | None]
"""(sigma (batch,), where the next call stands) → what to ask from now on, or None to go on as before."""


class AndWithPicture(BadInput):
    """AND in a prompt for an instruct-pix2pix checkpoint, whose guidance has no place for a second part."""

    key = "and_with_picture"


class Guidance:
    """A `Guided` that counts its calls. `uncond` is the last negative answer; see `guided`."""

    def __init__(
        self,
        denoise: Denoise,
        conditioning: Conditioning,
        *,
        cfg_scale: float,
        batch: int,
        steps: int,
        second_order: bool,
        options: Mapping[str, Any],
        on_call: Callable[[StepContext], None] | None,
        wrap_guided: Callable[[Guided], Guided] | None,
        switch: Switch | None,
        blend: Blend | None,
        concat: Tensor | None,
        image_cfg_scale: float | None,
    ) -> None:
        self._switch = switch
        self._blend = blend
        self._concat = concat
        self._image_cfg_scale = image_cfg_scale
        self._denoise = denoise
        self._conditioning = conditioning
        self._cfg_scale = cfg_scale
        self._batch = batch
        self._steps = steps
        self._per_step = 2 if second_order else 1
        self._least_sigma = float(options.get("s_min_uncond") or 0.0)
        self._least_sigma_always = bool(options.get("s_min_uncond_all"))
        self._without_early = float(options.get("skip_early_cond") or 0.0)
        self._on_call = on_call
        self._answer = wrap_guided(self._joined) if wrap_guided else self._joined
        self.call = 0
        self.keep_uncond = False
        """True: ask the negative prompt even where the joined answer has no need of it."""
        self.level: Callable[[Tensor], Tensor] | None = None
        """What s_min_uncond is compared with, as a function of sigma; None: sigma itself."""
        self.uncond = torch.empty(0)
        """x0 (batch, c, h, w) of the negative prompt alone at the last call, or of the prompt where that was
        skipped."""
        self.prompted = torch.empty(0)
        """x0 (batch, c, h, w) of each prompt's first part alone at the last call: what previews show."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x0 (batch, c, h, w) for x (batch, c, h, w) at sigma (batch,), in k-diffusion scale."""
        if self._on_call is not None:
            self._on_call(self.context)
        if self._switch is not None and (other := self._switch(sigma, self.context)) is not None:
            self._denoise, self._conditioning = other
        answer = self._answer(x, sigma) if self._blend is None else self._blended(self._blend, x, sigma)
        self.call += 1
        return answer

    def _blended(self, blend: Blend, x: Tensor, sigma: Tensor) -> Tensor:
        """k-samplers have the answer blended; timestep samplers what the model sees: its noise is then theirs."""
        if self.level is None:
            return blend.at(self._answer(x, sigma), sigma[0])
        seen = blend.seen(x, sigma, self.level(sigma[:1])[0])
        answer = self._answer(seen, sigma) + (x - seen)
        self.uncond = self.uncond + (x - seen)
        return answer

    @property
    def context(self) -> StepContext:
        """Where the next call stands. Samplers of adaptive length may go beyond `calls`."""
        step = min(self.call // self._per_step, self._steps - 1)
        return StepContext(call=self.call, step=step, calls=self._steps * self._per_step, steps=self._steps)

    def _joined(self, x: Tensor, sigma: Tensor) -> Tensor:
        prompts, negatives = self._conditioning.at(self.call)
        if self._image_cfg_scale is not None and self._concat is not None:
            return self._edited(x, sigma, prompts, negatives, self._concat, self._image_cfg_scale)
        calls = _cond_calls(x, sigma, prompts)
        skipped = self._skips_uncond(sigma)
        scale = 1.0 if skipped else self._cfg_scale
        needed = not skipped and (self.keep_uncond or _uncond_counts(prompts, scale))
        if needed:
            calls += _uncond_calls(x, sigma, negatives)
        answers = self._denoise(_beside(calls, self._concat), self.context)
        of = list(zip(calls, answers, strict=True))
        self.prompted = self._first_parts(x, of)
        if needed:
            base = _gathered(x, [(call.rows, answer) for call, answer in of if call.role == UNCOND])
        else:
            base = self.prompted
        self.uncond = base
        joined = base.clone()
        for call, answer in of:
            if call.role == COND:
                rows = list(call.rows)
                joined[rows] += (answer - base[rows]) * (call.weight * scale)
        return joined

    def _edited(
        self, x: Tensor, sigma: Tensor, prompts: Sequence[Parts], negatives: Sequence[Encoded], concat: Tensor,
        image_scale: float,
    ) -> Tensor:  # fmt: skip
        """Guidance towards the prompt and, apart from it, towards the picture (Brooks et al. 2023, "InstructPix2Pix",
        equation 3). Raises AndWithPicture.
        """
        if any(len(parts) > 1 for parts in prompts):
            raise AndWithPicture()
        told, shown = _cond_calls(x, sigma, prompts), _uncond_calls(x, sigma, negatives)
        calls = [*_beside(told, concat), *_beside(shown, concat), *_beside(shown, torch.zeros_like(concat))]
        answers = self._denoise(calls, self.context)
        ends = len(told), len(told) + len(shown)
        groups = answers[: ends[0]], answers[ends[0] : ends[1]], answers[ends[1] :]
        rows = [call.rows for call in told], [call.rows for call in shown], [call.rows for call in shown]
        prompt, picture, plain = (
            _gathered(x, list(zip(which, group, strict=True))) for which, group in zip(rows, groups, strict=True)
        )
        self.uncond, self.prompted = plain, prompt
        return plain + self._cfg_scale * (prompt - picture) + image_scale * (picture - plain)

    def _skips_uncond(self, sigma: Tensor) -> bool:
        """Early steps, and below a sigma every second call (or all): guidance is left out, as A1111 does."""
        if self._without_early and self.call / (self._steps * self._per_step) <= self._without_early:
            return True
        if not self._least_sigma or not (self.call % 2 or self._least_sigma_always):
            return False
        level = sigma[:1] if self.level is None else self.level(sigma[:1])
        return float(level) < self._least_sigma

    def _first_parts(self, x: Tensor, answers: Sequence[tuple[Call, Tensor]]) -> Tensor:
        """The answer to each picture's first AND part, which stands for the negative where that is not asked."""
        seen: set[int] = set()
        base = torch.zeros_like(x)
        for call, answer in answers:
            for place, row in enumerate(call.rows):
                if row not in seen:
                    base[row] = answer[place]
                    seen.add(row)
        return base


def guided(
    denoise: Denoise,
    conditioning: Conditioning,
    *,
    cfg_scale: float,
    batch: int,
    steps: int,
    second_order: bool = False,
    options: Mapping[str, Any] | None = None,
    on_call: Callable[[StepContext], None] | None = None,
    wrap_denoise: Callable[[Denoise], Denoise] | None = None,
    wrap_guided: Callable[[Guided], Guided] | None = None,
    switch: Switch | None = None,
    blend: Blend | None = None,
    concat: Tensor | None = None,
    image_cfg_scale: float | None = None,
) -> Guidance:
    """Guidance for one batch and one pass; make a new one for each.

    Options: s_min_uncond, s_min_uncond_all, skip_early_cond. `on_call` is told before each evaluation and may raise
    to end the sampling; `switch` may hand over to another model (the refiner); `blend` keeps what a mask leaves alone;
    `concat` (batch, k, h, w) goes beside x into inpainting and pix2pix models; `image_cfg_scale` is the latter's. At
    cfg_scale 1 the negative prompt has no weight left and is not asked.
    """

    def wrapped(asked: Denoise) -> Denoise:
        return wrap_denoise(asked) if wrap_denoise else asked

    def switched(sigma: Tensor, context: StepContext) -> tuple[Denoise, Conditioning] | None:
        other = switch(sigma, context) if switch else None
        return None if other is None else (wrapped(other[0]), other[1])

    return Guidance(
        wrapped(denoise),
        conditioning,
        cfg_scale=cfg_scale,
        batch=batch,
        steps=steps,
        second_order=second_order,
        options=options or {},
        on_call=on_call,
        wrap_guided=wrap_guided,
        switch=switched if switch else None,
        blend=blend,
        concat=concat,
        # At 1 the picture is no direction of its own: the usual guidance, with which AND works.
        image_cfg_scale=None if image_cfg_scale == 1 else image_cfg_scale,
    )


def _beside(calls: Sequence[Call], concat: Tensor | None) -> list[Call]:
    """The calls with their pictures' further channels."""
    if concat is None:
        return list(calls)
    return [replace(call, extras={**call.extras, "concat": concat[list(call.rows)]}) for call in calls]


def _uncond_counts(prompts: Sequence[Parts], scale: float) -> bool:
    return any(abs(1 - scale * sum(weight for _, weight in parts)) > 1e-9 for parts in prompts)


def _cond_calls(x: Tensor, sigma: Tensor, prompts: Sequence[Parts]) -> list[Call]:
    """One call per place in the AND list, token count and weight, over the pictures that share them."""
    groups: dict[tuple[int, int, float], list[tuple[int, Encoded]]] = {}
    for row, parts in enumerate(prompts):
        for place, (text, weight) in enumerate(parts):
            groups.setdefault((place, text.tokens, weight), []).append((row, text))
    ordered = sorted(groups.items(), key=lambda item: item[0][0])
    return [_call(COND, x, sigma, members, weight) for (_, _, weight), members in ordered]


def _uncond_calls(x: Tensor, sigma: Tensor, negatives: Sequence[Encoded]) -> list[Call]:
    groups: dict[int, list[tuple[int, Encoded]]] = {}
    for row, text in enumerate(negatives):
        groups.setdefault(text.tokens, []).append((row, text))
    return [_call(UNCOND, x, sigma, members, 1.0) for members in groups.values()]


def _call(role: str, x: Tensor, sigma: Tensor, members: Sequence[tuple[int, Encoded]], weight: float) -> Call:
    rows = tuple(row for row, _ in members)
    texts = [text for _, text in members]
    whole = rows == tuple(range(x.shape[0]))
    return Call(
        role=role,
        rows=rows,
        weight=weight,
        context=torch.stack([text.states for text in texts]),
        x=x if whole else x[list(rows)],
        sigma=sigma if whole else sigma[list(rows)],
        extras={name: torch.stack([text.extras[name] for text in texts]) for name in texts[0].extras},
    )


def _gathered(x: Tensor, answers: Sequence[tuple[tuple[int, ...], Tensor]]) -> Tensor:
    """Answers over some rows each, put together in the batch's order."""
    if len(answers) == 1 and answers[0][0] == tuple(range(x.shape[0])):
        return answers[0][1]
    whole = torch.zeros_like(x)
    for rows, answer in answers:
        whole[list(rows)] = answer
    return whole
