"""Prompt text → text states, as A1111 1.10.1's FrozenCLIPEmbedder with custom words makes them.

Chunks of 77 tokens go through the text model one after the other and stand side by side on the token axis; weights
multiply the states of their tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import CLIPTextModel

from webui.prompt.attention import parse_attention
from webui.prompt.chunks import Chunk, Embeddings, chunks, old_chunk
from webui.prompt.tokens import ClipTokenizer


class EmbeddingVectors(Embeddings, Protocol):
    """Embeddings that also hold their vectors."""

    def vectors(self, name: str) -> Tensor:
        """(vectors, width) of one embedding."""
        ...


@torch.no_grad()
def encode(
    texts: Sequence[str],
    encoder: CLIPTextModel,
    tokenizer: ClipTokenizer,
    *,
    emphasis: str = "Original",
    clip_skip: int = 1,
    backtrack: int = 20,
    embeddings: EmbeddingVectors | None = None,
    pad: int | None = None,
    old_emphasis: bool = False,
) -> list[Tensor]:
    """One tensor (77 * chunks, width) per text, on the encoder's device and in its dtype; all of one call are equally
    long.

    A text with fewer chunks than the longest is filled with empty ones. With "Original" emphasis the texts of one call
    share a mean, repeated ones counting repeatedly, so what is encoded together decides the last digits: keep A1111's
    groups (see `conditioning`). Each distinct text goes through the model once. `clip_skip` n takes the n-th last
    hidden state, then the final LayerNorm. `pad` replaces the padding after the end token (SD 2: 0); SD 1 pads with the
    end token itself. `old_emphasis`: A1111's first one, a single chunk in which brackets are tokens.
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
    index = torch.tensor([place[text] for text in texts], device=encoder.device)
    columns: list[Tensor] = []
    for column in range(longest):
        batch = [row[column] if column < len(row) else empty for row in rows]
        states = _states(batch, encoder, tokenizer, clip_skip=clip_skip, embeddings=embeddings, pad=pad)
        weights = torch.tensor([chunk.weights for chunk in batch], device=encoder.device)
        columns.append(weigh(states[index], weights[index]).to(states.dtype))
    return list(torch.hstack(columns)) if columns else []


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
    encoder: CLIPTextModel,
    tokenizer: ClipTokenizer,
    *,
    clip_skip: int,
    embeddings: EmbeddingVectors | None,
    pad: int | None,
) -> Tensor:
    """Text states (chunks, 77, width) of one column of chunks."""
    ids = [_padded(chunk.tokens, tokenizer.end, pad) for chunk in batch]
    with _vectors_in_place(batch, encoder, embeddings):
        outputs: Any = encoder(
            input_ids=torch.tensor(ids, device=encoder.device), output_hidden_states=clip_skip > 1, return_dict=True
        )
    if clip_skip <= 1:
        return outputs.last_hidden_state
    return encoder.final_layer_norm(outputs.hidden_states[-clip_skip])


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
