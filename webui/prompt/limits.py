"""How much prompt is taken: beyond these a clear error, never a hang."""

from webui.domain.errors import BadInput, TooLong

MOST_CHARACTERS = 100_000
"""Of one prompt. About 300 chunks of 75 tokens in English; more than any model can attend to."""
MOST_OPEN_BRACKETS = 256
"""Emphasis brackets open at once. 1.1 ** 256 is 4e10: far deeper ones end in infinities and black pictures."""


class TooDeep(BadInput):
    """More brackets are open at once than emphasis can mean. Fields: field, most."""

    key = "prompt_too_deep"


def check_length(text: str, *, field: str = "prompt") -> str:
    """The text itself. Raises TooLong past MOST_CHARACTERS."""
    if len(text) > MOST_CHARACTERS:
        raise TooLong(field=field, length=len(text), most=MOST_CHARACTERS)
    return text
