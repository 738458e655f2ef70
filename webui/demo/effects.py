"""What the prompt language and the passes do to pictures of the demo checkpoint, each figure beside its chance level.

Every picture goes through `generate.run`, from a request to a picture. An `Effect` asks for pictures twice: once as it
should be, once with the thing it measures taken away; both figures are shares of seeds, with the standard error.
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui import generate
from webui.catalog import Catalog, folders_from
from webui.demo import adapters
from webui.demo.drawings import plain_caption
from webui.demo.judge import Asked, held_back, nearest_colour, thing_in
from webui.demo.styles import CREAM, DUSK_BLUE, is_behind, is_rusty, is_sepia
from webui.domain import GenerationRequest, Hires, Init, Inpaint
from webui.gallery.save import Gallery
from webui.hooks import Hooks
from webui.settings import Settings, flat
from webui.settings.flags import Flags

BATCH = 10
Pixels = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """Pictures by request. `overrides` of a request are settings by their dotted key."""

    make: Callable[[GenerationRequest], list[Image.Image]]
    base: GenerationRequest
    keep: Callable[[Image.Image], str]
    """A picture handed in; its blob id."""

    def pictures(self, seeds: int, **asked: Any) -> list[Image.Image]:
        """One picture for each seed from 1 on."""
        made: list[Image.Image] = []
        for start in range(0, seeds, BATCH):
            many = min(BATCH, seeds - start)
            made += self.make(replace(self.base, seed=1 + start, batch_size=many, **asked))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of `count` seeds this share showed it."""

    share: float
    count: int

    def __str__(self) -> str:
        error = math.sqrt(self.share * (1 - self.share) / self.count)
        return f"{self.share:.0%} ± {error:.0%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A measured effect and the same figure without what should cause it."""

    effect: str
    measured: Share
    chance: Share
    least: float
    """The measured share may not fall below this."""


def share(seen: Sequence[bool]) -> Share:
    return Share(share=sum(seen) / len(seen), count=len(seen))


# --- seeing --------------------------------------------------------------------------------------


def pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture.convert("RGB"), dtype=np.float64)


def thing_colour(picture: Image.Image) -> str:
    """The name of the colour of what is drawn; "" where nothing is."""
    seen = thing_in(pixels(picture))
    return nearest_colour(seen.colour) if seen.colour is not None else ""


def backdrop(picture: Image.Image) -> str:
    """The name of the background's colour."""
    return nearest_colour(thing_in(pixels(picture)).backdrop)


def overlap(one: Image.Image, other: Image.Image) -> float:
    """IoU of what is drawn in two pictures, brought to one size."""
    first = thing_in(pixels(one)).mask
    second = thing_in(pixels(other.resize(one.size, Image.Resampling.LANCZOS))).mask
    either = int((first | second).sum())
    return float((first & second).sum() / either) if either else 0.0


def seam(picture: Image.Image) -> float:
    """How much rows and columns differ across the border, over how much neighbours differ inside; 1: no seam."""
    seen = pixels(picture)
    across = (np.abs(seen[0] - seen[-1]).mean() + np.abs(seen[:, 0] - seen[:, -1]).mean()) / 2
    inside = (np.abs(np.diff(seen, axis=0)).mean() + np.abs(np.diff(seen, axis=1)).mean()) / 2
    return float(across / max(inside, 1e-6))


# --- effects -------------------------------------------------------------------------------------


def weights_move_colour(studio: Studio, seeds: int) -> Found:
    """Of two colours named for one circle the second wins, until the first weighs more."""
    text = "a ({}:{}) yellow circle on a white background"
    heavy = [thing_colour(one) for one in studio.pictures(seeds, prompt=text.format("green", 1.4))]
    light = [thing_colour(one) for one in studio.pictures(seeds, prompt=text.format("green", 0.7))]
    even = [thing_colour(one) for one in studio.pictures(seeds, prompt="a green yellow circle on a white background")]
    moved = [one == "green" and other == "yellow" for one, other in zip(heavy, light, strict=True)]
    chance = [one == "green" for one in even]
    return Found(effect="weights move colour", measured=share(moved), chance=share(chance), least=0.9)


def negative_removes(studio: Studio, seeds: int) -> Found:
    """A colour that came unasked goes when the negative prompt names it; naming another leaves most as they were."""
    asked = {"prompt": "a circle on a white background"}
    bare = [thing_colour(one) for one in studio.pictures(seeds, **asked)]
    most = max(set(bare), key=bare.count)
    without = studio.pictures(seeds, **asked, negative_prompt=most)
    beside = studio.pictures(seeds, **asked, negative_prompt="square")
    had = [number for number, colour in enumerate(bare) if colour == most]
    gone = [thing_colour(without[number]) != most for number in had]
    chance = [thing_colour(beside[number]) != most for number in had]
    return Found(effect="negative prompt removes", measured=share(gone), chance=share(chance), least=0.8)


def and_composes(studio: Studio, seeds: int) -> Found:
    """Joined by AND, one prompt gives the thing and the other the background; without it the background is any."""
    joined = studio.pictures(seeds, prompt="a red circle AND on a yellow background")
    alone = studio.pictures(seeds, prompt="a red circle")
    both = [thing_colour(one) == "red" and backdrop(one) == "yellow" for one in joined]
    chance = [thing_colour(one) == "red" and backdrop(one) == "yellow" for one in alone]
    return Found(effect="AND composes", measured=share(both), chance=share(chance), least=0.9)


def editing_switches(studio: Studio, seeds: int) -> Found:
    """[red:blue:N]: red to the end with N = steps, blue from the start with N = 0, both bit for bit; early is blue."""
    text = "a {} circle on a white background"
    steps = studio.base.steps
    plain = {colour: studio.pictures(seeds, prompt=text.format(colour)) for colour in ("red", "blue")}
    edited = {at: studio.pictures(seeds, prompt=text.format(f"[red:blue:{at}]")) for at in (0, 1, steps)}
    right = [
        edited[steps][number].tobytes() == plain["red"][number].tobytes()
        and edited[0][number].tobytes() == plain["blue"][number].tobytes()
        and thing_colour(edited[1][number]) == "blue"
        for number in range(seeds)
    ]
    chance = [thing_colour(one) == "blue" for one in plain["red"]]
    return Found(effect="editing switches at its step", measured=share(right), chance=share(chance), least=0.9)


def hires_keeps(studio: Studio, seeds: int) -> Found:
    """The second pass keeps where things are: it overlaps with its own first pass by 0.85, with another seed's not.

    Circles: the checkpoint knows 128² and draws stars and hearts anew where it is given more room.
    """
    text = "a red circle on a white background"
    small = studio.pictures(seeds, prompt=text)
    large = studio.pictures(seeds, prompt=text, hires=Hires(scale=1.5, upscaler="Lanczos", denoising_strength=0.4))
    kept = [overlap(one, two) >= 0.85 for one, two in zip(small, large, strict=True)]
    chance = [overlap(one, two) >= 0.85 for one, two in zip(small, large[1:] + large[:1], strict=True)]
    return Found(effect="hires keeps composition", measured=share(kept), chance=share(chance), least=0.8)


def inpainting_keeps(studio: Studio, seeds: int) -> Found:
    """What lies outside the mask keeps every byte, and inside the thing has the new colour; without mask it moves."""
    drawn = studio.pictures(seeds, prompt="a red circle on a white background")
    middle = Image.new("L", drawn[0].size)
    middle.paste(255, (16, 16, middle.width - 16, middle.height - 16))
    outside = np.asarray(middle) == 0
    mask = studio.keep(middle)

    def painted(number: int, inpaint: Inpaint | None) -> Image.Image:
        init = Init(images=(studio.keep(drawn[number]),), denoising_strength=0.9, inpaint=inpaint)
        asked = replace(studio.base, prompt="a blue circle on a white background", init=init, seed=1 + number)
        return studio.make(asked)[0]

    def kept(number: int, inpaint: Inpaint | None) -> bool:
        made = painted(number, inpaint)
        same = np.array_equal(pixels(made)[outside], pixels(drawn[number])[outside])
        return same and thing_colour(made) == "blue"

    masked = [kept(number, Inpaint(mask=mask, blur_x=0, blur_y=0)) for number in range(seeds)]
    chance = [kept(number, None) for number in range(seeds)]
    return Found(effect="inpainting keeps the rest", measured=share(masked), chance=share(chance), least=0.9)


def tiling_tiles(studio: Studio, seeds: int) -> Found:
    """With tiling a picture's far sides meet without a seam, as they do not by themselves."""
    # Few steps and no words: the sides are not one flat colour yet, so there is something to meet.
    asked = {"prompt": "", "cfg_scale": 1.0, "steps": 4}
    tiled = [seam(one) < 2 for one in studio.pictures(seeds, **asked, tiling=True)]
    plain = [seam(one) < 2 for one in studio.pictures(seeds, **asked)]
    return Found(effect="tiling tiles", measured=share(tiled), chance=share(plain), least=0.9)


def worn(
    studio: Studio, seeds: int, effect: str, eye: Callable[[Image.Image, Asked], bool],
    with_it: Callable[[Asked], dict[str, Any]], without: Callable[[Asked], dict[str, Any]] = lambda thing: {},
) -> Found:  # fmt: skip
    """A style shows while it is worn, and the pictures made after it are those made before it, bit for bit.

    Both functions change what is asked for one thing: its `prompt`, or fields for all.
    """
    things = [thing for thing in held_back(4 * seeds) if "black" not in (thing.colour, thing.background)][:seeds]
    before = _asked(studio, things, without)
    shown = [eye(one, thing) for one, thing in zip(_asked(studio, things, with_it), things, strict=True)]
    after = _asked(studio, things, without)
    same = [one.tobytes() == other.tobytes() for one, other in zip(before, after, strict=True)]
    measured = share([seen and again for seen, again in zip(shown, same, strict=True)])
    by_luck = share([eye(one, thing) for one, thing in zip(before, things, strict=True)])
    return Found(effect=effect, measured=measured, chance=by_luck, least=0.8)


def _asked(studio: Studio, things: Sequence[Asked], change: Callable[[Asked], dict[str, Any]]) -> list[Image.Image]:
    made: list[Image.Image] = []
    for start in range(0, len(things), BATCH):
        some = things[start : start + BATCH]
        asked = [{"prompt": thing.prompt} | change(thing) for thing in some]
        prompts = tuple(each.pop("prompt") for each in asked)
        made += studio.make(replace(studio.base, seed=1 + start, batch_size=len(some), prompts=prompts, **asked[0]))
    return made


def lora_draws_on_paper(studio: Studio, seeds: int) -> Found:
    """The LoRA draws on old paper."""
    tag = f"<lora:{adapters.LORA.stem}:1>"
    return worn(
        studio,
        seeds,
        "LoRA draws on old paper",
        lambda one, thing: is_behind(one, CREAM, thing.background),
        lambda thing: {"prompt": thing.prompt + tag},
    )


def embedding_is_rust(studio: Studio, seeds: int) -> Found:
    """The embedding's word is a colour; the same words, spelt so that they are no embedding's name, are not."""
    name = adapters.EMBEDDING.stem

    def said(thing: Asked, word: str) -> dict[str, Any]:
        return {"prompt": plain_caption(word, thing.shape, thing.background)}

    return worn(
        studio, seeds, "embedding is a colour", lambda one, _: is_rusty(one), lambda thing: said(thing, name),
        lambda thing: said(thing, name.replace("-", " ")),
    )  # fmt: skip


def hypernetwork_makes_evening(studio: Studio, seeds: int) -> Found:
    """The hypernetwork makes the background an evening sky."""
    tag = f"<hypernet:{adapters.HYPERNETWORK.stem}:1>"
    return worn(
        studio,
        seeds,
        "hypernetwork makes it evening",
        lambda one, thing: is_behind(one, DUSK_BLUE, thing.background),
        lambda thing: {"prompt": thing.prompt + tag},
    )


def vae_tints(studio: Studio, seeds: int) -> Found:
    """The VAE decodes to sepia."""
    return worn(studio, seeds, "VAE tints", lambda one, _: is_sepia(one), lambda _: {"vae": adapters.VAE.stem})


EFFECTS: Mapping[str, Callable[[Studio, int], Found]] = {
    "weights": weights_move_colour,
    "negative": negative_removes,
    "and": and_composes,
    "editing": editing_switches,
    "hires": hires_keeps,
    "inpainting": inpainting_keeps,
    "tiling": tiling_tiles,
    "lora": lora_draws_on_paper,
    "embedding": embedding_is_rust,
    "hypernetwork": hypernetwork_makes_evening,
    "vae": vae_tints,
}


def table(found: Sequence[Found]) -> str:
    """One row each, as Markdown."""
    lines = ["| | seeds | measured | chance | at least |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.effect} | {one.measured.count} | {one.measured} | {one.chance} | {one.least:.0%} |" for one in found
    ]
    return "\n".join(lines)


# --- a place to work in --------------------------------------------------------------------------


@contextmanager
def studio(
    checkpoint: Path, *, size: int = 128, steps: int = 12, cfg_scale: float = 5.0, hooks: Hooks | None = None
) -> Iterator[Studio]:
    """Everything that is needed to make pictures with one checkpoint, in a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        flags = Flags(
            ckpt_dir=(checkpoint.parent,), models_dir=checkpoint.parent.parent, use_cpu=(), no_hashing=True
        )  # fmt: skip
        catalog = Catalog(root / "models.db", folders_from(flags, root), hashes=False)
        catalog.scan()
        gallery = Gallery(Settings, root)
        bench = generate.open_bench(catalog=catalog, gallery=gallery, hooks=hooks or Hooks(), flags=flags)

        def make(request: GenerationRequest) -> list[Image.Image]:
            keeps = generate.Listener()
            generate.run(request, settings=flat(Settings()), reporter=keeps, bench=bench)
            return [_read(root / one.path) for one in keeps.artifacts if not one.grid]

        base = GenerationRequest(
            checkpoint=checkpoint.stem, sampler="Euler a", steps=steps, cfg_scale=cfg_scale, width=size, height=size,
            save=False, save_grid=False,
        )  # fmt: skip
        try:
            yield Studio(make=make, base=base, keep=gallery.blobs.put_image)
        finally:
            bench.close()
            catalog.close()


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
