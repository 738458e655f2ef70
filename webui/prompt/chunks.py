"""Weighted text → chunks of 75 tokens, as A1111 1.10.1 cuts them.

A chunk that is full breaks after its last comma when that is near enough; BREAK ends a chunk; an embedding's vectors
are never parted. Every chunk comes out 77 long: start, 75 tokens padded with end, end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from webui.prompt.attention import BREAK, parse_attention
from webui.prompt.limits import check_length
from webui.prompt.tokens import ClipTokenizer

SIZE = 75
"""Tokens of a chunk between its start and its end."""


@dataclass(frozen=True, slots=True)
class Fix:
    """Here an embedding's vectors stand: `at` counts from the chunk's start token (0), so the first place is 1."""

    at: int
    name: str
    vectors: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """77 token ids and 77 weights. `counted`: how many of them the token counter counts (75 for all but the last)."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    fixes: tuple[Fix, ...] = ()
    counted: int = SIZE


class Embeddings(Protocol):
    """What knows which token ids name an embedding."""

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        """(name, vectors, tokens consumed) of the embedding named at `position`, the longest name first, or None."""
        ...


class NamedEmbeddings:
    """Embeddings by name and number of vectors. Names are compared as token ids, so letter case does not matter."""

    def __init__(self, lengths: Mapping[str, int], tokenizer: ClipTokenizer) -> None:
        self._by_first: dict[int, list[tuple[list[int], str]]] = {}
        self._lengths = dict(lengths)
        for name, ids in zip(lengths, tokenizer.encode_many(list(lengths)), strict=True):
            if ids:
                self._by_first.setdefault(ids[0], []).append((ids, name))
        for rows in self._by_first.values():
            rows.sort(key=lambda row: len(row[0]), reverse=True)

    def match(self, tokens: Sequence[int], position: int) -> tuple[str, int, int] | None:
        for ids, name in self._by_first.get(tokens[position], ()):
            if list(tokens[position : position + len(ids)]) == ids:
                return name, self._lengths[name], len(ids)
        return None


def chunks(
    parsed: Sequence[tuple[str, float]],
    tokenizer: ClipTokenizer,
    *,
    backtrack: int = 20,
    embeddings: Embeddings | None = None,
) -> list[Chunk]:
    """At least one chunk. A full one breaks after a comma at most `backtrack` tokens back; 0: at its end."""
    ids = tokenizer.encode_many([text for text, _ in parsed])
    builder = _Builder(tokenizer, backtrack)
    for tokens, (text, weight) in zip(ids, parsed, strict=True):
        if (text, weight) == BREAK:
            builder.end()
        else:
            builder.add(tokens, weight, embeddings)
    return builder.finish()


def old_chunk(
    text: str, tokenizer: ClipTokenizer, *, weigh: bool = True, embeddings: Embeddings | None = None
) -> Chunk:
    """The one chunk of A1111's first emphasis: brackets are tokens that change the weight of all that follows.

    What does not fit into 75 tokens is cut off; there is no BREAK and no `(a:1.2)`. `weigh` false: brackets are text.
    Raises TooLong.
    """
    tokens = tokenizer.encode(check_length(text))
    factors = tokenizer.bracket_factors if weigh else {}
    filled: list[int] = []
    weights: list[float] = []
    fixes: list[Fix] = []
    weight, position = 1.0, 0
    while position < len(tokens) and len(filled) < SIZE:
        token = tokens[position]
        found = embeddings.match(tokens, position) if embeddings is not None else None
        consumed = 1
        if token in factors:
            weight *= factors[token]
        elif found is None:
            filled.append(token)
            weights.append(weight)
        else:
            name, vectors, consumed = found
            kept = min(vectors, SIZE - len(filled))
            fixes.append(Fix(len(filled) + 1, name, kept))
            filled += [0] * kept
            weights += [weight] * kept
        position += consumed
    padding = SIZE - len(filled)
    return Chunk(
        (tokenizer.start, *filled, *[tokenizer.end] * padding, tokenizer.end),
        (1.0, *weights, *[1.0] * padding, 1.0),
        tuple(fixes),
        len(filled),
    )


def count(
    text: str,
    tokenizer: ClipTokenizer,
    *,
    emphasis: str = "Original",
    backtrack: int = 20,
    embeddings: Embeddings | None = None,
) -> tuple[int, int]:
    """(tokens, most tokens that take no further chunk) of one text without schedules: what A1111's counter shows."""
    parts = chunks(parse_attention(text, emphasis), tokenizer, backtrack=backtrack, embeddings=embeddings)
    counted = sum(chunk.counted for chunk in parts)
    return counted, -(-max(counted, 1) // SIZE) * SIZE


class _Builder:
    """The chunk being filled and those that are done."""

    def __init__(self, tokenizer: ClipTokenizer, backtrack: int) -> None:
        self._tokenizer = tokenizer
        self._backtrack = backtrack
        self._done: list[Chunk] = []
        self._tokens: list[int] = []
        self._weights: list[float] = []
        self._fixes: list[Fix] = []
        self._comma = -1
        """Where the last comma of this chunk stands, or -1."""

    def add(self, tokens: Sequence[int], weight: float, embeddings: Embeddings | None) -> None:
        position = 0
        while position < len(tokens):
            token = tokens[position]
            if token == self._tokenizer.comma:
                self._comma = len(self._tokens)
            elif self._comma_is_near():
                self._break_after_comma()
            if len(self._tokens) == SIZE:
                self.end()
            found = embeddings.match(tokens, position) if embeddings is not None else None
            if found is None:
                self._tokens.append(token)
                self._weights.append(weight)
                position += 1
            else:
                name, vectors, consumed = found
                self._embed(name, vectors, weight)
                position += consumed

    def end(self, *, last: bool = False) -> None:
        counted = len(self._tokens) if last else SIZE
        padding = SIZE - len(self._tokens)
        tokenizer = self._tokenizer
        tokens = (tokenizer.start, *self._tokens, *[tokenizer.end] * padding, tokenizer.end)
        weights = (1.0, *self._weights, *[1.0] * padding, 1.0)
        self._done.append(Chunk(tokens, weights, tuple(self._fixes), counted))
        self._tokens, self._weights, self._fixes, self._comma = [], [], [], -1

    def finish(self) -> list[Chunk]:
        if self._tokens or not self._done:
            self.end(last=True)
        return self._done

    def _comma_is_near(self) -> bool:
        full = len(self._tokens) == SIZE
        return full and self._backtrack != 0 and self._comma != -1 and SIZE - self._comma <= self._backtrack

    def _break_after_comma(self) -> None:
        at = self._comma + 1
        tokens, weights = self._tokens[at:], self._weights[at:]
        # Embeddings after the comma move along; A1111 leaves their places behind, where padding then stands.
        moved = [Fix(fix.at - at, fix.name, fix.vectors) for fix in self._fixes if fix.at > at]
        self._fixes = [fix for fix in self._fixes if fix.at <= at]
        self._tokens, self._weights = self._tokens[:at], self._weights[:at]
        self.end()
        self._tokens, self._weights, self._fixes = tokens, weights, moved

    def _embed(self, name: str, vectors: int, weight: float) -> None:
        if len(self._tokens) + vectors > SIZE and self._tokens:
            self.end()
        kept = min(vectors, SIZE)
        self._fixes.append(Fix(len(self._tokens) + 1, name, kept))
        self._tokens += [0] * kept
        self._weights += [weight] * kept
