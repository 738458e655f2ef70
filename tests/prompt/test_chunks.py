"""Chunks of 75, comma backtrack, BREAK, embeddings; and what the counter counts."""

from itertools import pairwise

import pytest

from webui.prompt.attention import parse_attention
from webui.prompt.chunks import Chunk, Fix, NamedEmbeddings, chunks, count, old_chunk
from webui.prompt.tokens import ClipTokenizer

CAT, DOG, COMMA, START, END = 2368, 1929, 267, 49406, 49407


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return ClipTokenizer()


def cut(text: str, tokenizer: ClipTokenizer, **options: object) -> list[Chunk]:
    return chunks(parse_attention(text), tokenizer, **options)  # pyright: ignore[reportArgumentType]


def words(chunk: Chunk) -> list[int]:
    """Tokens between start and padding."""
    inner = list(chunk.tokens[1:-1])
    while inner and inner[-1] == END:
        inner.pop()
    return inner


@pytest.mark.parametrize("text", ["", "cat", "cat " * 75, "cat " * 76, "cat, " * 100, "a BREAK b", "(cat:1.2) " * 90])
def test_every_chunk_is_77_long_between_start_and_end(tokenizer: ClipTokenizer, text: str) -> None:
    for chunk in cut(text, tokenizer):
        assert len(chunk.tokens) == len(chunk.weights) == 77
        assert (chunk.tokens[0], chunk.tokens[-1]) == (START, END)
        assert (chunk.weights[0], chunk.weights[-1]) == (1.0, 1.0)


def test_an_empty_prompt_is_one_chunk_of_padding(tokenizer: ClipTokenizer) -> None:
    assert cut("", tokenizer) == [Chunk((START, *[END] * 76), (1.0,) * 77, (), 0)]


def test_weights_stand_at_their_tokens_and_padding_weighs_one(tokenizer: ClipTokenizer) -> None:
    chunk, = cut("cat (dog:1.5)", tokenizer)
    assert chunk.tokens[:4] == (START, CAT, DOG, END)
    assert chunk.weights[:4] == (1.0, 1.0, 1.5, 1.0)


def test_75_tokens_fill_one_chunk_and_the_76th_begins_another(tokenizer: ClipTokenizer) -> None:
    assert len(cut("cat " * 75, tokenizer)) == 1
    assert [len(words(chunk)) for chunk in cut("cat " * 76, tokenizer)] == [75, 1]


def test_a_full_chunk_breaks_after_a_near_comma(tokenizer: ClipTokenizer) -> None:
    first, second = cut("cat " * 60 + "," + "dog " * 20, tokenizer)
    assert words(first) == [CAT] * 60 + [COMMA]
    assert words(second) == [DOG] * 20


@pytest.mark.parametrize(("before", "moved"), [(54, False), (55, True)])
def test_a_comma_counts_up_to_twenty_tokens_back(tokenizer: ClipTokenizer, before: int, moved: bool) -> None:
    first, _ = cut("cat " * before + "," + "dog " * 30, tokenizer)
    assert (words(first)[-1] == COMMA) is moved


def test_backtrack_zero_breaks_where_the_chunk_is_full(tokenizer: ClipTokenizer) -> None:
    first, second = cut("cat " * 60 + "," + "dog " * 20, tokenizer, backtrack=0)
    assert [len(words(first)), len(words(second))] == [75, 6]


def test_a_comma_as_the_76th_token_begins_the_next_chunk(tokenizer: ClipTokenizer) -> None:
    first, second = cut("cat, " * 5 + "cat " * 65 + ", dog", tokenizer)
    assert len(words(first)) == 75
    assert words(second) == [COMMA, DOG]


def test_break_ends_a_chunk(tokenizer: ClipTokenizer) -> None:
    assert [words(chunk) for chunk in cut("cat BREAK dog", tokenizer)] == [[CAT], [DOG]]


def test_break_inside_brackets_is_a_word(tokenizer: ClipTokenizer) -> None:
    chunk, = cut("(cat BREAK dog:1.2)", tokenizer)
    assert words(chunk) == [CAT, *tokenizer.encode("BREAK"), DOG]
    assert chunk.weights[2] == -1.2


def test_break_at_the_ends_makes_empty_chunks_as_in_a1111(tokenizer: ClipTokenizer) -> None:
    assert [words(chunk) for chunk in cut("BREAK cat BREAK", tokenizer)] == [[], [CAT]]


def embeddings(tokenizer: ClipTokenizer) -> NamedEmbeddings:
    return NamedEmbeddings({"easynegative": 8, "EasyNegative v2": 3, "wide": 75, "wider": 80}, tokenizer)


def test_an_embedding_takes_a_place_per_vector(tokenizer: ClipTokenizer) -> None:
    chunk, = cut("cat (easynegative:1.5) dog", tokenizer, embeddings=embeddings(tokenizer))
    assert chunk.tokens[:11] == (START, CAT, *[0] * 8, DOG)
    assert chunk.weights[1:11] == (1.0, *[1.5] * 8, 1.0)
    assert chunk.fixes == (Fix(2, "easynegative", 8),)


def test_the_longest_name_wins_whatever_its_letter_case(tokenizer: ClipTokenizer) -> None:
    chunk, = cut("EASYNEGATIVE V2 cat", tokenizer, embeddings=embeddings(tokenizer))
    assert chunk.fixes == (Fix(1, "EasyNegative v2", 3),)


def test_an_embedding_is_never_parted(tokenizer: ClipTokenizer) -> None:
    first, second = cut("cat " * 70 + "easynegative dog", tokenizer, embeddings=embeddings(tokenizer))
    assert len(words(first)) == 70
    assert first.fixes == ()
    assert second.fixes == (Fix(1, "easynegative", 8),)
    assert second.tokens[1:10] == (*[0] * 8, DOG)


def test_an_embedding_after_the_comma_moves_with_it(tokenizer: ClipTokenizer) -> None:
    first, second = cut("cat " * 60 + ", easynegative" + " dog" * 10, tokenizer, embeddings=embeddings(tokenizer))
    assert words(first) == [CAT] * 60 + [COMMA]
    assert (first.fixes, second.fixes) == ((), (Fix(1, "easynegative", 8),))
    assert second.tokens[1:19] == (*[0] * 8, *[DOG] * 10)


def test_an_embedding_larger_than_a_chunk_is_cut_to_one(tokenizer: ClipTokenizer) -> None:
    first, second = cut("wider cat", tokenizer, embeddings=embeddings(tokenizer))
    assert first.fixes == (Fix(1, "wider", 75),)
    assert words(second) == [CAT]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 75)), ("cat", (1, 75)), ("cat " * 75, (75, 75)), ("cat " * 76, (76, 150)),
        ("cat " * 60 + "," + "dog " * 20, (95, 150)), ("cat BREAK dog", (76, 150)), ("cat BREAK", (75, 75)),
        ("(cat:1.5)", (1, 75)),
    ],
)
def test_padding_counts_in_all_chunks_but_the_last(
    tokenizer: ClipTokenizer, text: str, expected: tuple[int, int]
) -> None:
    assert count(text, tokenizer) == expected


def test_no_token_is_lost_or_doubled_at_any_length(tokenizer: ClipTokenizer) -> None:
    lengths = [len([t for chunk in cut("cat " * n + ", dog", tokenizer) for t in words(chunk)]) for n in range(60, 160)]
    assert all(later - earlier == 1 for earlier, later in pairwise(lengths))


def test_old_emphasis_reads_brackets_as_tokens(tokenizer: ClipTokenizer) -> None:
    chunk = old_chunk("cat ((dog)) [cat]", tokenizer)
    assert words(chunk) == [CAT, DOG, CAT]
    assert chunk.weights[1:5] == pytest.approx((1.0, 1.21, 1 / 1.1, 1.0))


def test_old_emphasis_knows_no_numbers_and_no_break(tokenizer: ClipTokenizer) -> None:
    chunk = old_chunk("(cat:1.2) BREAK dog", tokenizer)
    assert words(chunk) == tokenizer.encode("cat:1.2 BREAK dog")


def test_old_emphasis_weighs_on_to_the_end_when_a_bracket_stays_open(tokenizer: ClipTokenizer) -> None:
    assert old_chunk("(cat dog", tokenizer).weights[1:3] == (1.1, 1.1)


def test_old_emphasis_cuts_off_after_75_tokens(tokenizer: ClipTokenizer) -> None:
    chunk = old_chunk("cat " * 100, tokenizer)
    assert len(chunk.tokens) == len(chunk.weights) == 77
    assert words(chunk) == [CAT] * 75


def test_old_emphasis_can_be_switched_off(tokenizer: ClipTokenizer) -> None:
    assert words(old_chunk("(cat)", tokenizer, weigh=False)) == tokenizer.encode("(cat)")


def test_old_emphasis_knows_embeddings(tokenizer: ClipTokenizer) -> None:
    chunk = old_chunk("cat " * 70 + "(easynegative)", tokenizer, embeddings=embeddings(tokenizer))
    assert chunk.fixes == (Fix(71, "easynegative", 5),)
    assert chunk.weights[71:76] == (1.1,) * 5
