r"""`# …`: what is hidden from generation, to the end of its line.

>>> strip_comments("a cat # not a dog\n# whole line\nsharp")
'a cat \nsharp'
"""

import re

_WHOLE_LINE = re.compile(r"(^|\n)#[^\n]*(\n|$)")
_REST_OF_LINE = re.compile(r"#[^\n]*(\n|$)")


def strip_comments(text: str) -> str:
    r"""The text without comments. A1111's line breaks are kept, because they show in infotexts; `\#` is no escape."""
    return _REST_OF_LINE.sub("\n", _WHOLE_LINE.sub("\n", text))
