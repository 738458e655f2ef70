"""The counter beside the prompt boxes."""

import pytest

from webui.domain.errors import TooLong
from webui.prompt.counter import count_prompt
from webui.prompt.styles import Style
from webui.prompt.tokens import ClipTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("a photo of a cat", 5),
        ("a (photo:1.2) of [a] cat", 5),
        ("a cat <lora:some very long name:0.8>", 2),
        ("a cat # a comment of many words", 2),
        ("[cat:a big brown dog:0.5]", 4),
        ("[cat|a big brown dog|]", 4),
        ("cat AND a big dog :0.5", 3),
        ("((((cat", 1),
        ("[cat", 1),
    ],
)
def test_what_the_model_reads_is_counted(tokenizer: ClipTokenizer, text: str, tokens: int) -> None:
    assert count_prompt(text, tokenizer) == (tokens, 75)


def test_and_is_a_word_in_a_negative_prompt(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("cat AND dog", tokenizer, negative=True) == (3, 75)


def test_comments_count_when_they_are_switched_off(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("a # cat", tokenizer, comments=False) == (3, 75)


def test_brackets_count_when_emphasis_is_off(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("(cat)", tokenizer, emphasis="None")[0] == 3


def test_styles_count_when_given(tokenizer: ClipTokenizer) -> None:
    style = Style(name="s", prompt="masterpiece", negative_prompt="blurry, bad")
    assert count_prompt("cat", tokenizer, styles=[style]) == (3, 75)
    assert count_prompt("", tokenizer, styles=[style], negative=True) == (3, 75)


def test_embeddings_count_their_vectors(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("cat, EasyNegative", tokenizer, lengths={"easynegative": 8}) == (10, 75)


def test_the_ceiling_is_the_next_multiple_of_75(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("cat " * 80, tokenizer) == (80, 150)


def test_a_half_typed_prompt_of_many_brackets_is_counted_as_it_stands(tokenizer: ClipTokenizer) -> None:
    assert count_prompt("(" * 300 + "cat", tokenizer)[0] > 1


def test_ten_megabytes_are_refused(tokenizer: ClipTokenizer) -> None:
    with pytest.raises(TooLong):
        count_prompt("cat " * 2_600_000, tokenizer)
