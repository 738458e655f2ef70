"""The demo's text encoder: CLIP's, four working layers deep, 64 wide, taught to read captions before it guides a UNet.

Token ids are CLIP's own. While training, only the rows in use are kept, with a few `unknown` rows that stand for every
other token and are thrown at random into captions, so that "masterpiece, best quality" does no harm. On export the
table is spread to CLIP's 49408 rows and the layers to Stable Diffusion's twelve: the first eight pass their input on.
"""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from webui.demo.course import Course, Dice, Group, Peers, train
from webui.demo.drawings import LABEL_SIZES, caption, labels, random_spec, split_words, words
from webui.prompt.tokens import ClipTokenizer

WIDTH, HEADS, LAYERS = 64, 4, 4
CLIP_LAYERS, CLIP_ROWS, CLIP_LENGTH = 12, 49408, 77
BOS, EOS = 49406, 49407
UNKNOWN = 16
SHORT = 28
"""Tokens of a training sequence; the longest caption has fewer. Some batches have all 77."""


@dataclass(frozen=True)
class Vocabulary:
    """The words captions are made of, each with its CLIP token ids, and the compact rows these ids get."""

    ids: dict[str, list[int]]

    @cached_property
    def used(self) -> list[int]:
        return sorted({token for word in self.ids.values() for token in word})

    @cached_property
    def _rows(self) -> dict[int, int]:
        return {token: row for row, token in enumerate(self.used)}

    @property
    def bos(self) -> int:
        return len(self.used) + UNKNOWN

    @property
    def eos(self) -> int:
        return self.bos + 1

    @property
    def size(self) -> int:
        return self.bos + 2

    def rows(self, text: str, length: int, *, junk: random.Random | None = None) -> list[int]:
        """Compact rows of a caption: BOS, tokens, EOS to the end, `length` in all. `junk` adds unknown words."""
        rows = [self._rows[token] for word in split_words(text) for token in self.ids[word]]
        if junk is not None and junk.random() < 0.15:
            rows = self._with_junk(rows, junk)
        rows = [self.bos, *rows[: length - 2], self.eos]
        return rows + [self.eos] * (length - len(rows))

    def _with_junk(self, rows: list[int], junk: random.Random) -> list[int]:
        comma = [self._rows[token] for token in self.ids[","]]
        noise = [len(self.used) + junk.randrange(UNKNOWN) for _ in range(junk.randint(1, 4))]
        noise = noise[:2] + comma + noise[2:]
        return noise + comma + rows if junk.random() < 0.3 else rows + comma + noise

    def row_of(self, token: int) -> int:
        """The compact row that stands for a CLIP token."""
        if token in (BOS, EOS):
            return self.bos + token - BOS
        return self._rows.get(token, len(self.used) + token % UNKNOWN)


def vocabulary(folder: Path, encode: Callable[[str], list[int]] | None = None) -> Vocabulary:
    """The captions' vocabulary; written to `folder` on first use. `encode` gives CLIP's ids of one word."""
    file = folder / "words.json"
    if not file.exists():
        encode = encode or ClipTokenizer().encode
        file.write_text(json.dumps({word: encode(word) for word in words()}), encoding="utf-8")
    return Vocabulary(json.loads(file.read_text(encoding="utf-8")))


def clip_rows() -> Callable[[str], list[int]]:
    """What turns a prompt into 77 ids as CLIP's encoder takes them: BOS, tokens, EOS to the end."""
    tokenizer = ClipTokenizer()

    def rows(prompt: str) -> list[int]:
        ids = [BOS, *tokenizer.encode(prompt)[: CLIP_LENGTH - 2]]
        return ids + [EOS] * (CLIP_LENGTH - len(ids))

    return rows


def config(*, rows: int, layers: int, bos: int, eos: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=rows,
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        max_position_embeddings=CLIP_LENGTH,
        hidden_act="quick_gelu",
        projection_dim=WIDTH,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=eos,
        attention_dropout=0.0,
    )


def fresh(vocabulary: Vocabulary) -> CLIPTextModel:
    """An untrained encoder over the compact rows."""
    model = CLIPTextModel(config(rows=vocabulary.size, layers=LAYERS, bos=vocabulary.bos, eos=vocabulary.eos))
    with torch.no_grad():
        table = model.get_input_embeddings()
        assert isinstance(table, nn.Embedding)
        table.weight.normal_(0, 0.3)
    return model


class Reader(nn.Module):
    """One linear answer per fact, asked of the hidden state at a caption's end."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = nn.Linear(WIDTH, sum(LABEL_SIZES))

    def forward(self, state: Tensor) -> list[Tensor]:
        """(batch, width) to one (batch, choices) per fact."""
        return list(self.answers(state).split(LABEL_SIZES, dim=1))


def train_text(folder: Path, steps: int, *, peers: Peers) -> None:
    """Teach the encoder to tell every fact of a caption, at its end and in the padding; state in folder/text.pt."""
    torch.manual_seed(1)
    known = vocabulary(folder)
    model, reader = fresh(known).to(peers.device), Reader().to(peers.device)

    def loss_at(step: int, dice: Dice) -> Tensor:
        del step
        specs = [random_spec(dice.python) for _ in range(64)]
        rows = torch.tensor([known.rows(caption(spec, dice.python), SHORT, junk=dice.python) for spec in specs])
        facts = torch.tensor([labels(spec) for spec in specs]).to(peers.device)
        hidden = model(input_ids=rows.to(peers.device)).last_hidden_state
        ends = (rows == known.eos).int().argmax(1)
        losses = []
        for later in (0, 2):
            state = hidden[torch.arange(len(specs)), (ends + later).clamp(max=SHORT - 1)]
            losses += [functional.cross_entropy(said, fact) for said, fact in zip(reader(state), facts.T, strict=True)]
        return torch.stack(losses).mean()

    course = Course(name="text", folder=folder, steps=steps, rate=1.5e-3, flat=0.5, average=0.98, weight_decay=1e-3)
    train(course, [Group(parts={"text": model, "reader": reader})], loss_at, peers=peers)


@torch.no_grad()
def spread(model: CLIPTextModel, vocabulary: Vocabulary) -> CLIPTextModel:
    """The encoder as Stable Diffusion has it: 49408 rows, twelve layers, the same answers. Clip skip reaches the
    working layers because they come last."""
    wide = CLIPTextModel(config(rows=CLIP_ROWS, layers=CLIP_LAYERS, bos=BOS, eos=EOS))
    state, source = wide.state_dict(), model.state_dict()
    for key, value in source.items():
        if key.endswith("token_embedding.weight"):
            value = value[torch.tensor([vocabulary.row_of(token) for token in range(CLIP_ROWS)])]
        *idle, working = _places(key)
        state[working].copy_(value)
        for place in idle:
            # A layer whose two outputs are nought passes its input on; the rest of it is there to be trained.
            state[place].copy_(torch.zeros_like(value) if ".out_proj." in key or ".fc2." in key else value)
    return wide.eval()


@torch.no_grad()
def gathered(wide: CLIPTextModel, vocabulary: Vocabulary) -> CLIPTextModel:
    """The way back from `spread`: the working layers and the vocabulary's rows. A word the encoder has not been taught
    starts as the unknown word its token has shared a row with."""
    model = fresh(vocabulary)
    source, used = wide.state_dict(), vocabulary.used
    spare = {token % UNKNOWN: token for token in range(1000, 9000) if token not in set(used)}
    tokens = [*used, *(spare[row] for row in range(UNKNOWN)), BOS, EOS]
    for key, value in model.state_dict().items():
        found = source[_places(key)[-1]]
        value.copy_(found[torch.tensor(tokens)] if key.endswith("token_embedding.weight") else found)
    return model


def _places(key: str) -> list[str]:
    """Where a weight of the compact encoder goes in the spread one; the last place is the one that works."""
    head, found, tail = key.partition("layers.")
    if not found:
        return [key]
    layer, _, rest = tail.partition(".")
    return [f"{head}layers.{place}.{rest}" for place in range(int(layer), CLIP_LAYERS, LAYERS)]
