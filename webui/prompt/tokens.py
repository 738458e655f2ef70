"""CLIP's byte-pair tokenizer: text to token ids.

The merges in `clip/merges.txt.gz` are OpenAI's (see `clip/NOTICE`); the vocabulary follows from them, so only they are
kept. Text is put right as CLIP's own code does it: ftfy (which also turns full-width `，` into `,`), white space to
single blanks, lower case.
"""

import gzip
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.resources import files

import ftfy
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as Steps

START_TEXT = "<|startoftext|>"
END_TEXT = "<|endoftext|>"
WORD_END = "</w>"

_SPECIAL = re.compile(f"({re.escape(START_TEXT)}|{re.escape(END_TEXT)})")
_SPACE = re.compile(r"\s+")
_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""What one word is to CLIP (Radford et al. 2021, `simple_tokenizer.py`): a contraction, letters, a digit, or signs."""


def merges() -> list[tuple[str, str]]:
    """The 48 894 merges, most frequent first."""
    text = gzip.decompress(files("webui.prompt").joinpath("clip", "merges.txt.gz").read_bytes()).decode("utf-8")
    rows = (line.split(" ") for line in text.splitlines()[1:])
    return [(left, right) for left, right in rows]


def vocabulary(pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Piece → id, 49 408 of them: bytes, bytes that end a word, one piece per merge, then the two special pieces."""
    letters = list(_byte_letters())
    ends = [letter + WORD_END for letter in letters]
    pieces = [*letters, *ends, *(left + right for left, right in pairs), START_TEXT, END_TEXT]
    return {piece: number for number, piece in enumerate(pieces)}


class ClipTokenizer:
    """Text to CLIP's token ids. Holds the tables (about 10 MB); make one and hand it down."""

    def __init__(self) -> None:
        pairs = merges()
        table = vocabulary(pairs)
        self.start: int = table[START_TEXT]
        """49406: begins every chunk."""
        self.end: int = table[END_TEXT]
        """49407: ends every chunk; SD 1.x pads with it."""
        self.comma: int = table["," + WORD_END]
        self.vocabulary: dict[str, int] = table
        self._special = {START_TEXT: self.start, END_TEXT: self.end}
        self._bpe = Tokenizer(BPE(vocab=table, merges=pairs, end_of_word_suffix=WORD_END, unk_token=END_TEXT))
        words = Split(Regex(_WORD), "removed", invert=True)
        letters = ByteLevel(add_prefix_space=False, use_regex=False)
        self._bpe.pre_tokenizer = Steps([words, letters])  # pyright: ignore[reportAttributeAccessIssue]

    @cached_property
    def bracket_factors(self) -> dict[int, float]:
        """Id → what A1111's first emphasis multiplies the weight of all later tokens with."""
        factors = {number: _bracket_factor(piece) for piece, number in self.vocabulary.items()}
        return {number: factor for number, factor in factors.items() if factor != 1.0}

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end. `<|endoftext|>` in the text is the special token itself."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for several texts at once."""
        parts = [[part for part in _SPECIAL.split(text) if part] for text in texts]
        plain = [normalised(part) for row in parts for part in row if part not in self._special]
        encoded = iter(self._bpe.encode_batch_fast(plain, add_special_tokens=False))
        ids = [[[self._special[part]] if part in self._special else next(encoded).ids for part in row] for row in parts]
        return [[number for part in row for number in part] for row in ids]


def _bracket_factor(piece: str) -> float:
    factor = 1.0
    for letter in piece:
        if letter in "(]":
            factor *= 1.1
        elif letter in ")[":
            factor /= 1.1
    return factor


def normalised(text: str) -> str:
    """Text as CLIP reads it: mended by ftfy, white space single, lower case."""
    return _SPACE.sub(" ", ftfy.fix_text(text)).strip().lower()


def _byte_letters() -> Iterator[str]:
    """The letter that stands for each byte in GPT-2's byte-level BPE, in order of the vocabulary."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    yield from map(chr, shown)
    yield from (chr(256 + number) for number in range(256 - len(shown)))
