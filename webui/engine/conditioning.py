"""What every picture of a batch is conditioned on, call by call: schedules and AND parts, encoded once and kept.

A1111's rules: the entry in force is the first whose last step is not below the *0-based* count of model calls;
second-order samplers make two calls a step, so their schedules are laid out over twice the steps; all variants of one
prompt's schedule are encoded together.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from webui.engine.types import COND, UNCOND, Encoded
from webui.prompt.compose import split_and
from webui.prompt.schedule import schedule

Encode = Callable[[Sequence[str], str], list[Encoded]]
"""(texts to be encoded together, role: COND or UNCOND) → one each. SDXL hears the negative prompt differently."""
Padding = Literal["", "empty", "v0"]
"""How prompt and negative are brought to one length: not at all, A1111's "Pad prompt/negative prompt", or its v0."""
MOST_BYTES = 256 * 2**20


class ConditioningCache:
    """Encoded groups of texts, kept from run to run; the longest unused go first past `most_bytes`."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._groups: OrderedDict[Hashable, list[Encoded]] = OrderedDict()

    def encode(self, texts: tuple[str, ...], role: str, encode: Encode, key: Hashable) -> list[Encoded]:
        """The group encoded; `key`: what else that depends on (model, patches, clip skip, emphasis, ...)."""
        whole = (key, role, texts)
        if whole in self._groups:
            self._groups.move_to_end(whole)
            return self._groups[whole]
        group = encode(texts, role)
        self._groups[whole] = group
        self._bytes += _size(group)
        while self._bytes > self._most_bytes and len(self._groups) > 1:
            self._bytes -= _size(self._groups.popitem(last=False)[1])
        return group

    def clear(self) -> None:
        """Let go of every tensor."""
        self._groups.clear()
        self._bytes = 0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One prompt over the pass: (last call it is in force, its text), in order."""

    entries: tuple[tuple[int, Encoded], ...]

    def at(self, call: int) -> Encoded:
        """What is in force at a model call, counted from 0; past the end it is the first again, as in A1111."""
        return next((text for end, text in self.entries if call <= end), self.entries[0][1])


@dataclass(frozen=True, slots=True)
class BatchConditioning:
    """Per picture: its AND parts with their weights, and what to steer away from."""

    parts: tuple[tuple[tuple[Scheduled, float], ...], ...]
    uncond: tuple[Scheduled, ...]
    padding: Padding = ""
    empty: Tensor | None = None
    """(77, width) of the empty prompt, for padding "empty"."""

    @property
    def uneven(self) -> bool:
        """True when some prompt and negative prompt differ in length, so that padding changes the picture."""
        prompts = {text.tokens for picture in self.parts for part, _ in picture for _, text in part.entries}
        return len(prompts | {text.tokens for scheduled in self.uncond for _, text in scheduled.entries}) > 1

    def at(self, call: int) -> tuple[list[list[tuple[Encoded, float]]], list[Encoded]]:
        """([(text, weight), ...] per picture, the negative per picture) at a model call, from 0.

        Prompts are equally long over the whole batch: A1111 repeats the last token's state to fill the shorter ones.
        """
        parts = [[(scheduled.at(call), weight) for scheduled, weight in picture] for picture in self.parts]
        longest = max((text.tokens for picture in parts for text, _ in picture), default=0)
        filled = [[(_filled(text, longest), weight) for text, weight in picture] for picture in parts]
        uncond = [scheduled.at(call) for scheduled in self.uncond]
        if self.padding == "v0":
            cut = [replace(text, states=text.states[:longest]) for text in uncond]
            return filled, [_filled(text, longest) for text in cut]
        if self.padding == "empty" and self.empty is not None:
            empty = self.empty
            longest = max([longest, *(text.tokens for text in uncond)])
            padded = [[(_padded(text, longest, empty), weight) for text, weight in picture] for picture in filled]
            return padded, [_padded(text, longest, empty) for text in uncond]
        return filled, uncond


def build(
    prompts: Sequence[str],
    negatives: Sequence[str],
    encode: Encode,
    *,
    steps: int,
    second_order: bool = False,
    hires_steps: int | None = None,
    hires_second_order: bool = False,
    old: bool = False,
    padding: Padding = "",
    cache: ConditioningCache | None = None,
    key: Hashable = None,
) -> BatchConditioning:
    """The conditioning of one batch in one pass; one prompt and one negative per picture, without network tags.

    `steps`, `second_order`: the first pass and its sampler. `hires_steps`, `hires_second_order`: given for the second
    pass. `old`: schedules as before A1111 1.6. Every distinct prompt is encoded once, from `cache` when it has been
    before under `key`.
    """
    calls = steps * (2 if second_order else 1)
    hires_calls = None if hires_steps is None else hires_steps * (2 if hires_second_order else 1)
    kept = cache if cache is not None else ConditioningCache()

    def scheduled(text: str, role: str) -> Scheduled:
        entries = schedule(text, calls, hires_steps=hires_calls, old=old)
        group = kept.encode(tuple(variant for _, variant in entries), role, encode, key)
        return Scheduled(tuple((end, encoded) for (end, _), encoded in zip(entries, group, strict=True)))

    split = [split_and(prompt) for prompt in prompts]
    uncond = {text: scheduled(text, UNCOND) for text in dict.fromkeys(negatives)}
    cond = {text: scheduled(text, COND) for text in dict.fromkeys(text for parts in split for text, _ in parts)}
    empty = kept.encode(("",), COND, encode, key)[0].states if padding == "empty" else None
    return BatchConditioning(
        parts=tuple(tuple((cond[text], weight) for text, weight in parts) for parts in split),
        uncond=tuple(uncond[text] for text in negatives),
        padding=padding,
        empty=empty,
    )


def _filled(text: Encoded, length: int) -> Encoded:
    missing = length - text.tokens
    if missing == 0:
        return text
    return replace(text, states=torch.vstack([text.states, text.states[-1:].repeat(missing, 1)]))


def _padded(text: Encoded, length: int, empty: Tensor) -> Encoded:
    missing = (length - text.tokens) // empty.shape[0]
    return text if missing <= 0 else replace(text, states=torch.vstack([text.states, empty.repeat(missing, 1)]))


def _size(group: Sequence[Encoded]) -> int:
    return sum(tensor.nbytes for text in group for tensor in (text.states, *text.extras.values()))
