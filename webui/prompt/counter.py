"""The token counter beside a prompt box."""

from collections.abc import Mapping, Sequence

from webui.domain.errors import BadInput
from webui.prompt.chunks import NamedEmbeddings, count
from webui.prompt.comments import strip_comments
from webui.prompt.compose import split_and
from webui.prompt.networks import extract
from webui.prompt.schedule import schedule
from webui.prompt.styles import Style, apply_styles
from webui.prompt.tokens import ClipTokenizer


def count_prompt(
    text: str,
    tokenizer: ClipTokenizer,
    *,
    steps: int = 20,
    negative: bool = False,
    styles: Sequence[Style] = (),
    lengths: Mapping[str, int] | None = None,
    comments: bool = True,
    emphasis: str = "Original",
    backtrack: int = 20,
) -> tuple[int, int]:
    """(tokens, ceiling) of the longest text a prompt becomes; the ceiling is the next multiple of 75.

    Counted as A1111 does: comments and networks left out, the positive prompt split on AND, every entry of its schedule
    looked at. `styles` are counted in when given, `lengths` holds embeddings' vectors by name. Raises TooLong; text
    that is too deeply bracketed is counted as it stands, because somebody is still typing it.
    """
    text = strip_comments(text) if comments else text
    text = apply_styles("", text, styles)[1] if negative else apply_styles(text, "", styles)[0]
    text, _ = extract(text)
    parts = [text] if negative else [part for part, _ in split_and(text)]
    variants = {variant for part in parts for _, variant in schedule(part, max(1, steps))}
    embeddings = NamedEmbeddings(lengths, tokenizer) if lengths else None

    def counted(variant: str) -> tuple[int, int]:
        try:
            return count(variant, tokenizer, emphasis=emphasis, backtrack=backtrack, embeddings=embeddings)
        except BadInput:
            return count(variant, tokenizer, emphasis="None", backtrack=backtrack, embeddings=embeddings)

    return max(map(counted, variants))
