"""Text encoding on a tiny real CLIP."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from webui.engine.text import EMPHASIS, encode, original
from webui.prompt.attention import EMPHASIS_MODES
from webui.prompt.chunks import NamedEmbeddings
from webui.prompt.tokens import ClipTokenizer

pytestmark = pytest.mark.torch
WIDTH = 32
START, END, CAT, DOG = 49406, 49407, 2368, 1929


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


@pytest.fixture(scope="module")
def encoder() -> CLIPTextModel:
    torch.manual_seed(0)
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 3}
    model = CLIPTextModel(CLIPTextConfig(vocab_size=49408, **shape)).eval()
    # The default last LayerNorm has mean 0, by which "Original" emphasis divides.
    with torch.no_grad():
        model.final_layer_norm.weight.normal_(1, 0.2)
        model.final_layer_norm.bias.normal_(0.3, 0.2)
    return model


@torch.no_grad()
def states(encoder: CLIPTextModel, tokens: Sequence[int]) -> Tensor:
    """(77, width) of one chunk, straight from the model."""
    ids = [START, *tokens, *[END] * (76 - len(tokens))]
    return encoder(input_ids=torch.tensor([ids])).last_hidden_state[0]


class Vectors(NamedEmbeddings):
    """Embeddings that hold vectors of one number each."""

    def vectors(self, name: str) -> Tensor:
        return torch.full((self._lengths[name], WIDTH), 0.5, dtype=torch.float64)


class Counting:
    """Counts the rows that go through the encoder."""

    def __init__(self, encoder: CLIPTextModel) -> None:
        self.rows = 0
        self._hook = encoder.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _module: object, _args: object, kwargs: dict[str, Tensor]) -> None:
        self.rows += kwargs["input_ids"].shape[0]

    def __enter__(self) -> "Counting":
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def test_plain_text_is_the_models_last_state(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    made, = encode(["cat dog"], encoder, tokenizer)
    torch.testing.assert_close(made, states(encoder, [CAT, DOG]))


def test_padding_is_the_end_token_and_sd2_may_ask_for_another(
    encoder: CLIPTextModel, tokenizer: ClipTokenizer
) -> None:
    seen: list[Tensor] = []
    hook = encoder.register_forward_pre_hook(lambda _m, _a, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True)
    encode(["cat"], encoder, tokenizer)
    encode(["cat"], encoder, tokenizer, pad=0)
    hook.remove()
    assert seen[0].tolist() == [[START, CAT, *[END] * 75]]
    assert seen[1].tolist() == [[START, CAT, END, *[0] * 74]]


def test_long_text_is_chunks_side_by_side(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    made, = encode(["cat " * 75 + "dog"], encoder, tokenizer)
    torch.testing.assert_close(made, torch.vstack([states(encoder, [CAT] * 75), states(encoder, [DOG])]))


def test_shorter_texts_of_one_call_are_filled_with_empty_chunks(
    encoder: CLIPTextModel, tokenizer: ClipTokenizer
) -> None:
    long, short = encode(["cat BREAK dog", "dog"], encoder, tokenizer)
    assert long.shape == short.shape == (154, WIDTH)
    torch.testing.assert_close(short, torch.vstack([states(encoder, [DOG]), states(encoder, [])]))


@pytest.mark.parametrize("mode", ["No norm", "Original", "Ignore"])
def test_weights_multiply_the_states_of_their_tokens(
    encoder: CLIPTextModel, tokenizer: ClipTokenizer, mode: str
) -> None:
    plain = states(encoder, [CAT, DOG])
    expected = plain.clone()
    if mode != "Ignore":
        expected[2] *= 1.5
    if mode == "Original":
        expected *= plain.mean() / expected.mean()
    made, = encode(["cat (dog:1.5)"], encoder, tokenizer, emphasis=mode)
    torch.testing.assert_close(made, expected)


def test_emphasis_none_encodes_the_brackets(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    made, = encode(["(cat:1.5)"], encoder, tokenizer, emphasis="None")
    torch.testing.assert_close(made, states(encoder, tokenizer.encode("(cat:1.5)")))


def test_every_emphasis_mode_has_its_function() -> None:
    assert tuple(EMPHASIS) == EMPHASIS_MODES


def test_texts_encoded_together_share_one_mean(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    plain = torch.stack([states(encoder, [CAT]), states(encoder, [DOG])])
    weighted = plain.clone()
    weighted[0, 1] *= 2
    expected = weighted * (plain.mean() / weighted.mean())
    together = torch.stack(encode(["(cat:2)", "dog"], encoder, tokenizer))
    torch.testing.assert_close(together, expected)
    alone, = encode(["dog"], encoder, tokenizer)
    assert not torch.equal(together[1], alone)


def test_each_chunk_has_a_mean_of_its_own(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    made, = encode(["(cat:2) BREAK dog"], encoder, tokenizer)
    torch.testing.assert_close(made[77:], states(encoder, [DOG]))


def test_repeated_texts_go_through_the_model_once_but_weigh_in_the_mean(
    encoder: CLIPTextModel, tokenizer: ClipTokenizer
) -> None:
    with Counting(encoder) as counted:
        made = torch.stack(encode(["(cat:2)", "dog", "(cat:2)"], encoder, tokenizer))
    assert counted.rows == 2
    cat, dog = states(encoder, [CAT]), states(encoder, [DOG])
    weights = torch.ones(3, 77)
    weights[0, 1] = weights[2, 1] = 2
    torch.testing.assert_close(made, original(torch.stack([cat, dog, cat]), weights))


@pytest.mark.parametrize("skip", [2, 3])
def test_clip_skip_takes_an_earlier_state_and_the_last_layer_norm(
    encoder: CLIPTextModel, tokenizer: ClipTokenizer, skip: int
) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        ids = torch.tensor([[START, CAT, *[END] * 75]])
        hidden = encoder.embeddings(input_ids=ids)
        causal = torch.full((77, 77), float("-inf")).triu(1)[None, None]
        for layer in encoder.encoder.layers[: 4 - skip]:
            hidden = layer(hidden, causal)
        expected = encoder.final_layer_norm(hidden)[0]
    made, = encode(["cat"], encoder, tokenizer, clip_skip=skip)
    torch.testing.assert_close(made, expected)


def test_an_embeddings_vectors_stand_where_its_name_stood(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    vectors = Vectors({"ball": 2}, tokenizer)
    looked_up: list[Tensor] = []
    layer = encoder.encoder.layers[0]
    caught = layer.register_forward_pre_hook(lambda _m, args: looked_up.append(args[0]))
    made, = encode(["cat ball dog"], encoder, tokenizer, embeddings=vectors)
    caught.remove()
    places = encoder.embeddings.position_embedding.weight
    torch.testing.assert_close(looked_up[0][0, 2:4] - places[2:4], torch.full((2, WIDTH), 0.5))
    torch.testing.assert_close(looked_up[0][0, 4] - places[4], encoder.embeddings.token_embedding.weight[DOG])
    assert made.shape == (77, WIDTH)


def test_the_token_table_is_itself_again_after_an_embedding(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    before, = encode(["cat"], encoder, tokenizer)
    encode(["ball"], encoder, tokenizer, embeddings=Vectors({"ball": 2}, tokenizer))
    after, = encode(["cat"], encoder, tokenizer)
    assert torch.equal(before, after)
    assert not encoder.embeddings.token_embedding._forward_hooks


def test_states_have_the_encoders_dtype_and_need_no_gradient(tokenizer: ClipTokenizer) -> None:
    shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
    half = CLIPTextModel(CLIPTextConfig(vocab_size=49408, **shape)).to(torch.bfloat16)
    made, = encode(["(cat:1.5)"], half, tokenizer)
    assert made.dtype == torch.bfloat16
    assert not made.requires_grad


def test_no_texts_give_nothing(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    assert encode([], encoder, tokenizer) == []


def test_old_emphasis_is_one_chunk(encoder: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    made, = encode(["cat " * 100 + "BREAK dog"], encoder, tokenizer, old_emphasis=True)
    torch.testing.assert_close(made, states(encoder, [CAT] * 75))
    weighed, = encode(["cat ((dog))"], encoder, tokenizer, old_emphasis=True, emphasis="No norm")
    expected = states(encoder, [CAT, DOG])
    expected[2] *= 1.1 * 1.1
    torch.testing.assert_close(weighed, expected)
