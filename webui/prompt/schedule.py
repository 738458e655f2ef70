"""`[from:to:when]` and `[a|b]`: a prompt that changes while the picture forms, read as A1111 1.10.1 reads it.

A1111 parses with an Earley grammar; the language it accepts is plain enough for one pass and a stack, which takes
linear time on any input:

    text        anything but []():| and lone backslashes; a backslash keeps the next sign
    (x) (x:y)   kept as they stand; emphasis is read later
    [x]         the same
    [x:y:when]  or [y:when]: x until `when`, then y
    [x|y|…]     one after the other, a step each

Whatever does not fit is literal, and so is everything around it, while what stands well-formed inside still counts. A
bar outside of `[a|b]`, or a backslash before a line break or at the end, makes the *whole* prompt literal.

Where a stray bracket or colon touches a schedule (`[a:b:5]]`), A1111's grammar is ambiguous and its answer changes from
one process to the next, with Python's string hashes; here the schedule always counts.

>>> schedule("a [cat:dog:0.5]", 10)
[(5, 'a cat'), (10, 'a dog')]
>>> schedule("[fe|]male", 3)
[(1, 'female'), (2, 'male'), (3, 'female')]
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from webui.prompt.limits import check_length

_PIECE = re.compile(r"(?P<text>(?:[^\\\[\]():|]|\\.)+)|[\[\]():|]")
_WHEN = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Switch:
    """`[before:after:when]`; `when` as written."""

    before: "tuple[_Item, ...]"
    after: "tuple[_Item, ...]"
    when: str


@dataclass(frozen=True, slots=True)
class _Turns:
    """`[a|b]`."""

    choices: "tuple[tuple[_Item, ...], ...]"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A bracket that is kept as written, with what stands in it."""

    items: "tuple[_Item, ...]"


_Item = str | _Switch | _Turns | _Kept


@dataclass(slots=True)
class _Open:
    """A bracket that is still open: its parts so far and the sign after each but the last."""

    bracket: str
    parts: list[list[_Item]] = field(default_factory=lambda: [[]])
    signs: list[str] = field(default_factory=list[str])


class _Literal(Exception):
    """The whole prompt stands for itself."""


def schedule(text: str, steps: int, *, hires_steps: int | None = None, old: bool = False) -> list[tuple[int, str]]:
    """(last step, text) in order, the last one at the pass's last step; steps count from 1. Raises TooLong.

    `hires_steps` asks for the second pass after `steps` of the first: whole numbers go on counting, fractions run from
    1 to 2. `old` is how it was before 1.6: both passes count alike, below 1 is a fraction. Texts of neighbouring
    entries may be equal.
    """
    check_length(text)
    second = hires_steps is not None and not old
    total = hires_steps if hires_steps is not None and not old else steps
    try:
        items = _parse(text)
    except _Literal:
        return [(total, text)]
    ends = {total}
    for item in _walk(items):
        if isinstance(item, _Turns):
            ends.update(range(1, total + 1))
        elif isinstance(item, _Switch):
            end = _end(item.when, total, first=steps if second else 0, old=old)
            if end >= 1:
                ends.add(end)
    first = steps if second else 0
    return [(step, _at(items, step, total, first=first, old=old)) for step in sorted(ends)]


def _end(when: str, total: int, *, first: int, old: bool) -> int:
    """The last step of `before`, at most `total`. A dot means a fraction; `first`: steps of the pass before."""
    value = float(when)
    if old:
        value = value * total if value < 1 else value
    elif "." in when:
        value = (value - (1.0 if first else 0.0)) * total
    else:
        value -= first
    return int(max(-1.0, min(float(total), value)))


def _parse(text: str) -> list[_Item]:
    """Top-level items. Raises _Literal where A1111's grammar fails."""
    top: list[_Item] = []
    stack: list[_Open] = []
    position = 0
    for found in _PIECE.finditer(text):
        if found.start() != position:
            raise _Literal
        position = found.end()
        piece = found[0]
        if found["text"] is not None:
            (stack[-1].parts[-1] if stack else top).append(piece)
        elif piece in "([":
            stack.append(_Open(piece))
        elif not stack:
            top.append(_bare(piece))
        elif piece in ":|":
            stack[-1].signs.append(piece)
            stack[-1].parts.append([])
        else:
            closed = _close(stack[-1], piece)
            if closed is None:
                _give_up(stack, top)
                top.append(piece)
            else:
                stack.pop()
                (stack[-1].parts[-1] if stack else top).append(closed)
    if position != len(text):
        raise _Literal
    _give_up(stack, top)
    return top


def _close(opened: _Open, bracket: str) -> _Item | None:
    """What the bracket turns out to be, or None when it is none of the forms."""
    signs = set(opened.signs)
    if opened.bracket + bracket == "()":
        return _Kept((*_as_written(opened), bracket)) if signs <= {":"} and len(opened.signs) <= 1 else None
    if opened.bracket + bracket != "[]":
        return None
    if not signs:
        return _Kept((*_as_written(opened), bracket))
    if signs == {"|"}:
        return _Turns(tuple(tuple(part) for part in opened.parts))
    when = _when(opened.parts[-1])
    if signs == {":"} and len(opened.signs) <= 2 and when is not None:
        before = opened.parts[0] if len(opened.signs) == 2 else []
        return _Switch(tuple(before), tuple(opened.parts[-2]), when)
    return None


def _when(part: list[_Item]) -> str | None:
    if len(part) != 1 or not isinstance(part[0], str):
        return None
    found = _WHEN.fullmatch(part[0])
    return None if found is None else found[1]


def _as_written(opened: _Open) -> list[_Item]:
    items: list[_Item] = [opened.bracket, *opened.parts[0]]
    for sign, part in zip(opened.signs, opened.parts[1:], strict=True):
        items += [sign, *part]
    return items


def _give_up(stack: list[_Open], top: list[_Item]) -> None:
    """Open brackets that will never close are literal; a bar among them is not allowed to be."""
    for opened in stack:
        for sign in opened.signs:
            _bare(sign)
        top += _as_written(opened)
    stack.clear()


def _bare(sign: str) -> str:
    if sign == "|":
        raise _Literal
    return sign


def _walk(items: "list[_Item]") -> Iterator[_Item]:
    """Every item at every depth, without recursion: prompts may nest deeper than Python does."""
    waiting: list[_Item] = list(items)
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, _Switch):
            waiting += [*item.before, *item.after]
        elif isinstance(item, _Turns):
            waiting += [inner for choice in item.choices for inner in choice]
        elif isinstance(item, _Kept):
            waiting += item.items


def _at(items: "list[_Item]", step: int, total: int, *, first: int, old: bool) -> str:
    """The text in force at a step."""
    out: list[str] = []
    waiting: list[_Item] = list(reversed(items))
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, _Switch):
            chosen = item.before if step <= _end(item.when, total, first=first, old=old) else item.after
            waiting += reversed(chosen)
        elif isinstance(item, _Kept):
            waiting += reversed(item.items)
        else:
            waiting += reversed(item.choices[(step - 1) % len(item.choices)])
    return "".join(out)
