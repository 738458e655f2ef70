"""The hook: a request's prompt becomes one prompt for each of its pictures."""

import random
from dataclasses import replace

from . import data_root, folder
from .draw import Wildcards, draw, has_choices


def transform_request(request):
    """Draw every picture's prompt, by the picture's seed; the negative prompt and those of a second pass once."""
    wildcards = Wildcards([data_root / "wildcards", folder / "wildcards"])
    count = request.batch_size * request.batch_count
    written = request.prompts or (request.prompt,)
    seed = request.seed if request.seed >= 0 else random.SystemRandom().randrange(2**32)
    changed = {}
    if any(has_choices(text, wildcards) for text in written):
        given = [written[number % len(written)] for number in range(count)] if request.prompts else written * count
        drawn = [draw(text, wildcards, random.Random(seed + number)) for number, text in enumerate(given)]
        changed["prompts"] = tuple(drawn)
        if not request.prompts:
            changed["prompt"] = drawn[0]
    if has_choices(request.negative_prompt, wildcards):
        changed["negative_prompt"] = draw(request.negative_prompt, wildcards, random.Random(seed))
    if request.hires is not None:
        texts = {
            name: draw(text, wildcards, random.Random(seed))
            for name in ("prompt", "negative_prompt")
            if has_choices(text := getattr(request.hires, name), wildcards)
        }
        if texts:
            changed["hires"] = replace(request.hires, **texts)
    return replace(request, **changed) if changed else None
