"""Prompt text → text states, as A1111 1.10.1's FrozenCLIPEmbedder with custom words makes them.

Chunks of 77 tokens go through the text model one after the other and stand side by side on the token axis; weights
multiply the states of their tokens. SDXL's two encoders work each for itself, and their states stand side by side on
the other axis.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from webui.engine.types import UNCOND, Encoded
from webui.prompt.attention import parse_attention
from webui.prompt.chunks import Chunk, Embeddings, chunks, old_chunk
from webui.prompt.tokens import ClipTokenizer


class EmbeddingVectors(Embeddings, Protocol):
    """Embeddings that also hold their vectors."""

    def vectors(self, name: str) -> Tensor:
        """(vectors, width) of one embedding."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextEncoder:
    """A text model and how a family listens to it. `name`: "clip_l" or "clip_g", as files of embeddings call it.

    `pad` replaces the padding after the end token (bigG: 0); None pads with the end token itself. `layer` n takes the
    n-th last hidden state as it is; None the last one, or the one clip skip asks for, through the final LayerNorm.
    """

    name: str
    module: CLIPTextModel | CLIPTextModelWithProjection
    pad: int | None = None
    layer: int | None = None

    @property
    def clip(self) -> CLIPTextModel:
        """The text model itself, without a projection."""
        return self.module.text_model if isinstance(self.module, CLIPTextModelWithProjection) else self.module

    @property
    def width(self) -> int:
        """Of its words' vectors and its states."""
        return int(self.module.config.hidden_size)


def encode(
    texts: Sequence[str],
    encoder: CLIPTextModel,
    tokenizer: ClipTokenizer,
    *,
    pad: int | None = None,
    **options: Any,
) -> list[Tensor]:
    """The states of one CLIP text model, as Stable Diffusion 1 takes them: see `listen`."""
    heard = listen(texts, TextEncoder(name="clip_l", module=encoder, pad=pad), tokenizer, **options)
    return [one.states for one in heard]


def encode_all(
    texts: Sequence[str],
    role: str,
    encoders: Sequence[TextEncoder],
    tokenizer: ClipTokenizer,
    *,
    embeddings: Mapping[str, EmbeddingVectors] | None = None,
    numbers: Sequence[float] = (),
    zero_empty_negative: bool = False,
    clip_l_skip: bool = False,
    clip_skip: int = 1,
    **options: Any,
) -> list[Encoded]:
    """What a model of these encoders is told by each text; those of one call are encoded together (see `listen`).

    `embeddings` by encoder. `numbers` go with every text. `zero_empty_negative`: negative prompts that are all empty
    become zeros (states and pooled text, not the numbers). `clip_l_skip`: clip skip counts for SDXL's CLIP-L too.
    """
    heard: list[list[Encoded]] = []
    for encoder in encoders:
        skipping = clip_l_skip and encoder.name == "clip_l" and encoder.layer is not None
        listening = replace(encoder, layer=clip_skip) if skipping else encoder
        known = (embeddings or {}).get(encoder.name)
        heard.append(listen(texts, listening, tokenizer, embeddings=known, clip_skip=clip_skip, **options))
    joined = [_beside(parts) for parts in zip(*heard, strict=True)]
    if zero_empty_negative and role == UNCOND and not any(texts):
        joined = [_silent(one) for one in joined]
    if not numbers:
        return joined
    told = torch.tensor(list(numbers), dtype=torch.float32, device=encoders[0].module.device)
    return [replace(one, extras={**one.extras, "numbers": told}) for one in joined]


def _beside(parts: Sequence[Encoded]) -> Encoded:
    """One text as several encoders hear it: their states side by side, the last one's pooled text."""
    extras = {name: value for part in parts for name, value in part.extras.items()}
    return parts[0] if len(parts) == 1 else Encoded(torch.cat([part.states for part in parts], dim=1), extras)


def _silent(text: Encoded) -> Encoded:
    extras = {name: torch.zeros_like(value) for name, value in text.extras.items()}
    return Encoded(torch.zeros_like(text.states), extras)


@torch.no_grad()
def listen(
    texts: Sequence[str],
    encoder: TextEncoder,
    tokenizer: ClipTokenizer,
    *,
    emphasis: str = "Original",
    clip_skip: int = 1,
    backtrack: int = 20,
    embeddings: EmbeddingVectors | None = None,
    old_emphasis: bool = False,
) -> list[Encoded]:
    """States (77 * chunks, width) of each text, on the encoder's device and in its dtype, all of one call equally long;
    from an encoder with a projection also "pooled" (width,): of the first chunk, at its end token.

    A text with fewer chunks than the longest is filled with empty ones. With "Original" emphasis the texts of one call
    share a mean, repeated ones counting repeatedly, so what is encoded together decides the last digits: keep A1111's
    groups (see `conditioning`). Each distinct text goes through the model once. `clip_skip` n takes the n-th last
    hidden state, then the final LayerNorm. `old_emphasis`: A1111's first one, a single chunk in which brackets are
    tokens.
    """
    weigh = EMPHASIS[emphasis]
    distinct = list(dict.fromkeys(texts))

    def cut(text: str) -> list[Chunk]:
        if old_emphasis:
            return [old_chunk(text, tokenizer, weigh=emphasis != "None", embeddings=embeddings)]
        return chunks(parse_attention(text, emphasis), tokenizer, backtrack=backtrack, embeddings=embeddings)

    rows = [cut(text) for text in distinct]
    empty = chunks([("", 1.0)], tokenizer)[0]
    longest = max(map(len, rows), default=0)
    place = {text: number for number, text in enumerate(distinct)}
    device = encoder.module.device
    index = torch.tensor([place[text] for text in texts], device=device)
    columns: list[Tensor] = []
    pooled: Tensor | None = None
    for column in range(longest):
        batch = [row[column] if column < len(row) else empty for row in rows]
        states, ends = _states(batch, encoder, tokenizer, clip_skip=clip_skip, embeddings=embeddings)
        if column == 0 and ends is not None:
            pooled = ends[index]
        weights = torch.tensor([chunk.weights for chunk in batch], device=device)
        columns.append(weigh(states[index], weights[index]).to(states.dtype))
    whole = list(torch.hstack(columns)) if columns else []
    if pooled is None:
        return [Encoded(states) for states in whole]
    return [Encoded(states, {"pooled": end}) for states, end in zip(whole, pooled, strict=True)]


def original(states: Tensor, weights: Tensor) -> Tensor:
    """`states` (texts, 77, width) times `weights` (texts, 77), then scaled so that the mean over all of them stays."""
    before = states.mean()
    weighted = states * weights[..., None]
    return weighted * (before / weighted.mean())


def no_norm(states: Tensor, weights: Tensor) -> Tensor:
    """`states` times `weights`, no more."""
    return states * weights[..., None]


def unweighted(states: Tensor, weights: Tensor) -> Tensor:
    """`states` as they are."""
    return states


EMPHASIS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "None": unweighted,
    "Ignore": unweighted,
    "Original": original,
    "No norm": no_norm,
}
"""A1111's emphasis modes by name."""


def _states(
    batch: Sequence[Chunk],
    encoder: TextEncoder,
    tokenizer: ClipTokenizer,
    *,
    clip_skip: int,
    embeddings: EmbeddingVectors | None,
) -> tuple[Tensor, Tensor | None]:
    """Text states (chunks, 77, width) of one column of chunks, and its pooled text (chunks, width) where there is
    any.
    """
    ids = [_padded(chunk.tokens, tokenizer.end, encoder.pad) for chunk in batch]
    hidden = encoder.layer is not None or clip_skip > 1
    with _vectors_in_place(batch, encoder.clip, embeddings):
        given = torch.tensor(ids, device=encoder.module.device)
        outputs: Any = encoder.module(input_ids=given, output_hidden_states=hidden, return_dict=True)
    pooled: Tensor | None = getattr(outputs, "text_embeds", None)
    if encoder.layer is not None:
        return outputs.hidden_states[-encoder.layer], pooled
    if clip_skip <= 1:
        return outputs.last_hidden_state, pooled
    return encoder.clip.final_layer_norm(outputs.hidden_states[-clip_skip]), pooled


def _padded(tokens: Sequence[int], end: int, pad: int | None) -> list[int]:
    if pad is None:
        return list(tokens)
    kept = tokens.index(end) + 1
    return [*tokens[:kept], *[pad] * (len(tokens) - kept)]


@contextmanager
def _vectors_in_place(
    batch: Sequence[Chunk], encoder: CLIPTextModel, embeddings: EmbeddingVectors | None
) -> Iterator[None]:
    """While inside, the token table answers an embedding's vectors where the chunks say so."""
    if embeddings is None or not any(chunk.fixes for chunk in batch):
        yield
        return

    def put(_module: object, _args: object, looked_up: Tensor) -> Tensor:
        filled = looked_up.clone()
        for row, chunk in enumerate(batch):
            for fix in chunk.fixes:
                filled[row, fix.at : fix.at + fix.vectors] = embeddings.vectors(fix.name)[: fix.vectors].to(filled)
        return filled

    hook = encoder.embeddings.token_embedding.register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
