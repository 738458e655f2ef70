"""CLIP's tokenizer."""

import random

import pytest

from webui.prompt.tokens import END_TEXT, START_TEXT, ClipTokenizer, merges, normalised


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


def test_the_vocabulary_is_clips(tokenizer: ClipTokenizer) -> None:
    assert len(tokenizer.vocabulary) == 49408
    assert (tokenizer.start, tokenizer.end, tokenizer.comma) == (49406, 49407, 267)
    assert tokenizer.vocabulary["!"] == 0
    assert tokenizer.vocabulary["jekyll</w>"] == 49405


def test_known_words_have_their_known_ids(tokenizer: ClipTokenizer) -> None:
    # CLIP's own examples: `a photo of a cat`, and the pieces of a word it does not know.
    assert tokenizer.encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert tokenizer.encode("masterpiece, 1girl") == [12066, 267, 272, 1611]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("A Photo OF a CAT", "a photo of a cat"),
        ("  a\n\tphoto   of a cat ", "a photo of a cat"),
        ("a cat，a dog", "a cat,a dog"),
        ("（cat）", "(cat)"),
        ("“cat”", '"cat"'),
        ("cafe\u0301", "café"),
        ("a &amp; b", "a & b"),
        ("cat\0", "cat"),
    ],
)
def test_text_is_put_right_before_it_is_cut(tokenizer: ClipTokenizer, text: str, same: str) -> None:
    assert tokenizer.encode(text) == tokenizer.encode(same)


def test_digits_stand_alone_and_contractions_apart(tokenizer: ClipTokenizer) -> None:
    assert len(tokenizer.encode("2024")) == 4
    assert tokenizer.encode("don't") == [847, 713]
    assert tokenizer.encode("dog's") == [1929, 568]


def test_nothing_gives_no_tokens(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.encode("") == []
    assert tokenizer.encode(" \n ") == []


def test_special_tokens_in_the_text_are_themselves(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.encode(f"cat{END_TEXT}{START_TEXT} dog") == [2368, 49407, 49406, 1929]


def test_a_lone_surrogate_is_no_crash(tokenizer: ClipTokenizer) -> None:
    assert tokenizer.encode("cat \ud800 dog")


def test_every_character_has_tokens_that_say_it(tokenizer: ClipTokenizer) -> None:
    for text in ("猫", "😀", "ß", "क", "§"):
        ids = tokenizer.encode(text)
        assert ids
        assert all(0 <= number < 49406 for number in ids)


def test_several_texts_at_once_are_each_as_if_alone(tokenizer: ClipTokenizer) -> None:
    texts = ["a cat", "", "dog, dog", END_TEXT, "猫"]
    assert tokenizer.encode_many(texts) == [tokenizer.encode(text) for text in texts]


def test_a_hundred_thousand_letters_without_a_blank_are_cut(tokenizer: ClipTokenizer) -> None:
    assert len(tokenizer.encode("a" * 100_000)) > 10_000


@pytest.mark.torch
def test_two_thousand_random_texts_are_cut_as_transformers_cuts_them(tokenizer: ClipTokenizer) -> None:
    from transformers import CLIPTokenizer

    theirs = CLIPTokenizer(vocab=tokenizer.vocabulary, merges=merges())
    drawn = random.Random(0)
    pieces = ["a", "cat", "Dog's", "I'LL", "  ", "\n", ",", "!!!", "12345", "héllo", "ÀÉ", "猫", "girl,", "😀",
              "e\u0301",
              "x" * 30, "masterpiece", "1girl", "''", "don't", "²", "½", "_", "-", "(", ":1.2)", "İ"]
    for _ in range(2000):
        text = "".join(drawn.choice(pieces) + drawn.choice(["", " "]) for _ in range(drawn.randint(0, 12)))
        # transformers 5 leaves out ftfy, which CLIP and A1111 have: hand it the mended text.
        assert tokenizer.encode(text) == theirs(normalised(text), add_special_tokens=False)["input_ids"], text
