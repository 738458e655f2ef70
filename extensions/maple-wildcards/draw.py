"""The little language: choices in braces and wildcards between double underscores."""

import fnmatch
import re
from functools import cached_property
from pathlib import Path

DEEPEST = 20
"""Wildcards in wildcards in …: beyond this a file names itself."""
NAME = re.compile(r"__([\w./*-]+?)__")
COUNT = re.compile(r"(\d+)(?:-(\d+))?\$\$")
WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)::")
INNERMOST = re.compile(r"\{([^{}]*)\}")
ESCAPED = {"\\{": "\ue000", "\\|": "\ue001", "\\}": "\ue002"}


class Wildcards:
    """Lists of texts by name: the .txt files below some folders, the first folder's first."""

    def __init__(self, folders):
        self._folders = folders

    @cached_property
    def files(self):
        """Name (path below its folder, without ending) → file."""
        found = {}
        for folder in self._folders:
            for path in sorted(Path(folder).rglob("*.txt")):
                found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        return found

    def lines(self, pattern):
        """Every line that a name or a pattern with * stands for; none where there is no such file."""
        names = [pattern] if pattern in self.files else fnmatch.filter(self.files, pattern)
        found = []
        for name in names:
            text = self.files[name].read_text(encoding="utf-8-sig", errors="replace")
            found += [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        return found


def has_choices(text, wildcards):
    """Whether drawing could change the text.

    >>> has_choices("a {red|blue} circle", Wildcards([])), has_choices("a {{{circle}}}", Wildcards([]))
    (True, False)
    """
    plain = _hidden(text)
    if any(wildcards.lines(name) for name in NAME.findall(plain)):
        return True
    while (one := INNERMOST.search(plain)) is not None:
        if "|" in one[1] or COUNT.match(one[1]):
            return True
        plain = plain[: one.start()] + plain[one.end() :]
    return False


def draw(text, wildcards, rng):
    """The text with every choice made.

    >>> draw("a {red|red} {2$$x|x} \\\\{b\\\\}", Wildcards([]), random.Random(0))
    'a red x, x {b}'
    """
    text = _hidden(text)
    for _ in range(DEEPEST):
        before = text
        text = NAME.sub(lambda found: _line(found, wildcards, rng), text)
        while (one := INNERMOST.search(text)) is not None:
            chosen = _chosen(one[1], rng)
            # Braces without a choice stay; hidden from this loop, and shown again at the end.
            shown = f"\ue000{one[1]}\ue002" if chosen is None else chosen
            text = text[: one.start()] + shown + text[one.end() :]
        if text == before:
            break
    for written, hidden in ESCAPED.items():
        text = text.replace(hidden, written[1])
    return text


def _hidden(text):
    for written, hidden in ESCAPED.items():
        text = text.replace(written, hidden)
    return text


def _line(found, wildcards, rng):
    lines = wildcards.lines(found[1])
    if not lines:
        return found[0]
    return _hidden(_weighted(lines, rng))


def _chosen(inside, rng):
    """What a pair of braces stands for, or None when it offers no choice."""
    count = COUNT.match(inside)
    if count is None:
        return _weighted(inside.split("|"), rng) if "|" in inside else None
    rest, joint = inside[count.end() :], ", "
    if "$$" in rest:
        joint, _, rest = rest.partition("$$")
    options = rest.split("|")
    least = int(count[1])
    wanted = rng.randint(least, max(least, int(count[2] or least)))
    drawn = []
    for _ in range(min(wanted, len(options))):
        one = rng.choices(range(len(options)), [_weight(option) for option in options])[0]
        drawn.append(WEIGHT.sub("", options.pop(one), count=1).strip())
    return joint.join(drawn)


def _weighted(options, rng):
    return WEIGHT.sub("", rng.choices(options, [_weight(option) for option in options])[0], count=1)


def _weight(option):
    found = WEIGHT.match(option)
    return float(found[1]) if found else 1.0
