"""Contrast as guidance in the latent: each answer of the model is spread out about its own mean.

It is done while the picture comes into being and not to the finished pixels, so the model answers to it: edges and
shades follow. Most at the first steps, which settle the large shapes' tones, and not at all at the last.
"""

import re
from contextlib import contextmanager
from contextvars import ContextVar

TAG = re.compile(r"<contrast:\s*([+-]?\d*\.?\d+)\s*>")
MOST = 1.0
strength = ContextVar("strength", default=0.0)
"""Of the run that is under way: two workers may have two."""


@contextmanager
def wrap_run(plan):
    """For the length of a run, what its first prompt asks for (as with LoRA, one prompt counts for the batch)."""
    found = TAG.search(plan.pictures[0].prompt) if plan.pictures else None
    token = strength.set(max(-MOST, min(MOST, float(found[1]))) if found else 0.0)
    try:
        yield
    finally:
        strength.reset(token)


def wrap_denoise(denoise):
    """The model with its answers spread out; nothing is put around it when no contrast was asked for."""
    asked = strength.get()
    if asked == 0:
        return None

    def guided(calls, context):
        share = asked * (1 - context.step / max(1, context.steps))
        return [spread(x0, share) for x0 in denoise(calls, context)]

    return guided


def spread(x0, share):
    """Latents (n, channels, height, width) with each channel's distance from its mean made larger by `share`."""
    mean = x0.mean(dim=(2, 3), keepdim=True)
    return mean + (x0 - mean) * (1 + share)
