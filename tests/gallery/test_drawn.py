"""A thousand drawn requests: what an infotext carries survives writing and reading, and `maple` brings back all."""

import io
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from webui.domain import GenerationRequest, Hires, Refiner, SamplerOptions
from webui.domain.request import Init, Inpaint, MaskedContent, ResizeMode, SoftInpainting
from webui.gallery.infotext import (
    InfotextFields,
    hashes_of,
    init_from,
    init_pairs,
    inpaint_pairs,
    read,
    request_from,
    write,
)
from webui.gallery.metadata import embed, read_picture
from webui.jobs.wire import pack, unpack
from webui.settings import Settings, overlay

COUNT = 1000
LETTERS = "abz09 ,:;.\"'\\()[]<>{}|-_/#=%&!?模型图，：。「」🎨é\t"
WORDS = ("masterpiece", "(best:1.2)", "[cat:dog:0.5]", "<lora:ink:0.8>", "Steps: 20, Sampler: x", "subject: a, b: c",
         "模型：甲", "AND", "BREAK", "{a|b}", '"quoted, text"', "1:2", "Negative: no", "\\(literal\\)")  # fmt: skip


class Draw:
    """Random requests with everything in them that names and prompts may hold."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self, most: int = 30) -> str:
        pick = self.chance.choice
        made = "".join(
            pick(LETTERS) if self.chance.random() < 0.7 else pick(WORDS) for _ in range(self.chance.randrange(most))
        )
        return made.strip()

    def prompt(self) -> str:
        """As forms give it: outer blanks of lines, and lines that begin "Negative prompt:", are not of the format."""
        lines = [self.text().replace("Negative prompt:", "") for _ in range(self.chance.randrange(4))]
        return "\n".join(lines).strip()

    def name(self) -> str:
        return self.text(12) or "model"

    def often(self) -> bool:
        return self.chance.random() < 0.5

    def number(self, lo: float, hi: float) -> float:
        return round(self.chance.uniform(lo, hi), 2)

    def inpaint(self) -> Inpaint:
        chance = self.chance
        soft = (
            SoftInpainting(schedule_bias=self.number(0, 8), mask_influence=self.number(0, 1)) if self.often() else None
        )
        blur = chance.randrange(1, 64)
        return Inpaint(
            mask=f"{chance.randrange(16**40):040x}.png", blur_x=blur, blur_y=blur, invert=self.often(),
            content=chance.choice(list(MaskedContent)), only_masked=self.often(), padding=chance.randrange(0, 257, 4),
            round_mask=soft is None, soft=soft,
        )  # fmt: skip

    def init(self) -> Init:
        chance = self.chance
        return Init(
            images=tuple(f"{chance.randrange(16**40):040x}.webp" for _ in range(chance.randrange(1, 4))),
            denoising_strength=self.number(0, 1), resize_mode=chance.choice(list(ResizeMode)), scale=self.number(0, 4),
            image_cfg_scale=self.number(0, 3) if self.often() else None,
            inpaint=self.inpaint() if self.often() else None, latent_mask=self.name() if self.often() else "",
            noise_multiplier=self.number(0.5, 1.5) if self.often() else None,
        )  # fmt: skip

    def request(self) -> GenerationRequest:
        chance = self.chance
        hires = Hires(
            scale=self.number(1, 4), width=chance.choice([0, 1024]), height=chance.choice([0, 768]), upscaler="Latent",
            steps=chance.randrange(30), denoising_strength=self.number(0, 1), prompt=self.prompt(),
            negative_prompt=self.prompt(), sampler=chance.choice(["", "Euler a"]), checkpoint=self.name(),
        )  # fmt: skip
        return GenerationRequest(
            prompt=self.prompt(), negative_prompt=self.prompt(),
            prompts=tuple(self.prompt() for _ in range(chance.randrange(3))),
            styles=tuple(self.name() for _ in range(chance.randrange(3))), checkpoint=self.name(), vae=self.name(),
            clip_skip=chance.choice([None, 1, 2]), sampler=chance.choice(["Euler a", "DPM++ 2M"]),
            schedule=chance.choice(["Automatic", "Exponential"]), steps=chance.randrange(1, 150),
            cfg_scale=self.number(1, 30), width=chance.randrange(64, 2048, 8), height=chance.randrange(64, 2048, 8),
            batch_size=chance.randrange(1, 9), seed=chance.randrange(2**32), subseed=chance.randrange(2**32),
            subseed_strength=chance.choice([0.0, self.number(0.01, 1)]), seed_resize_width=chance.choice([0, 512]),
            seed_resize_height=chance.choice([0, 640]), tiling=self.often(),
            init=None if (picked := chance.randrange(3)) else self.init(), hires=hires if picked == 1 else None,
            refiner=Refiner(checkpoint=self.name(), switch_at=self.number(0.01, 1)) if self.often() else None,
            options=SamplerOptions(eta=self.number(0, 1) if self.often() else None),
            overrides={"sampling.ensd": chance.randrange(40000), "模型": self.text()},
        )  # fmt: skip


class Everything:
    """A world in which every name is here, under that very name."""

    def sampler(self, name: str, schedule: str) -> tuple[str, str] | None:
        return name, schedule

    def checkpoint(self, name: str) -> str | None:
        return name

    def vae(self, name: str) -> str | None:
        return name

    def lora(self, name: str, hash: str) -> str | None:
        return None

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        return (), prompt, negative


def drawn(seed: int) -> Iterator[GenerationRequest]:
    draw = Draw(seed)
    for _ in range(COUNT):
        yield draw.request()


def hires_pairs(hires: Hires) -> dict[str, object]:
    sized = {"Hires resize": f"{hires.width}x{hires.height}"} if hires.width or hires.height else {}
    return {
        "Hires prompt": hires.prompt or None, "Hires negative prompt": hires.negative_prompt or None,
        "Hires checkpoint": hires.checkpoint, "Hires sampler": hires.sampler or None,
        **(sized or {"Hires upscale": hires.scale}), "Hires steps": hires.steps or None,
        "Hires upscaler": hires.upscaler,
    }  # fmt: skip


def told(request: GenerationRequest) -> InfotextFields:
    """The fields a finished picture of this request tells."""
    init, hires, extras = request.init, request.hires, dict[str, object]()
    if init is not None:
        extras |= inpaint_pairs(init.inpaint) if init.inpaint else {}
        extras |= init_pairs(noise_multiplier=init.noise_multiplier or 1.0)
    extras |= hires_pairs(hires) if hires else {}
    extras |= {"Lora hashes": f"{request.checkpoint.replace(',', '').replace(':', '').strip() or 'x'}: abcdef123456"}
    if request.refiner:
        extras |= {"Refiner": request.refiner.checkpoint, "Refiner switch at": request.refiner.switch_at}
    strength = init.denoising_strength if init else hires.denoising_strength if hires else None
    return InfotextFields(
        prompt=request.prompt, negative=request.negative_prompt, steps=request.steps, sampler=request.sampler,
        schedule=request.schedule, cfg_scale=request.cfg_scale, seed=request.seed, width=request.width,
        height=request.height, model=request.checkpoint, vae=request.vae, subseed=request.subseed,
        subseed_strength=request.subseed_strength, seed_resize_width=request.seed_resize_width,
        seed_resize_height=request.seed_resize_height, denoising_strength=strength,
        image_cfg_scale=init.image_cfg_scale if init else None, clip_skip=request.clip_skip or 1,
        ensd=int(request.overrides["sampling.ensd"]), tiling=request.tiling, extras=extras, version="Maple 0.1.0",
    )  # fmt: skip


def test_what_a_text_carries_survives_writing_and_reading():
    settings = overlay(Settings(), {"infotext.disregard_model": False, "sampling.noise_source": "CPU"})
    for request in drawn(1):
        text = write(told(request))
        values, overrides = request_from(read(text), settings=settings, lookup=Everything())
        named = {"prompt", "negative_prompt", "steps", "sampler", "schedule", "cfg_scale", "seed", "width", "height",
                 "tiling", "refiner"}  # fmt: skip
        assert {name: values[name] for name in named} == {name: getattr(request, name) for name in named}, text
        assert values["subseed_strength"] == request.subseed_strength
        assert not request.subseed_strength or values["subseed"] == request.subseed
        resized = bool(request.seed_resize_width and request.seed_resize_height)
        assert values["seed_resize_width"] == (request.seed_resize_width if resized else 0)
        assert values["hires"] == (request.hires and hires_read(request.hires)), text
        rows = {key: value for _, key, value in overrides}
        assert rows["model.checkpoint"] == request.checkpoint
        assert rows.get("model.vae", "Automatic") == request.vae
        assert rows.get("model.clip_skip", 1) == (request.clip_skip or 1)
        assert rows.get("sampling.ensd", 0) == request.overrides["sampling.ensd"]
        assert init_from(read(text)) == (request.init and bare(request.init)), text
        assert list(hashes_of(read(text).fields["Lora hashes"]).values()) == ["abcdef123456"]


def hires_read(hires: Hires) -> Hires:
    """What of a second pass stands in a text: a factor or a size, not both."""
    sized = bool(hires.width or hires.height)
    schedule = "Automatic" if hires.sampler else hires.schedule
    return replace(hires, scale=2.0 if sized else hires.scale, schedule=schedule)


def bare(init: Init) -> Init:
    """What of the init stands in a text: not the pictures, and not how they were brought to size."""
    inpaint = init.inpaint and replace(
        init.inpaint, mask="", padding=init.inpaint.padding if init.inpaint.only_masked else 32
    )
    multiplier = None if init.noise_multiplier == 1 else init.noise_multiplier
    return Init(
        images=(), denoising_strength=init.denoising_strength, image_cfg_scale=init.image_cfg_scale, inpaint=inpaint,
        noise_multiplier=multiplier,
    )  # fmt: skip


def test_the_maple_chunk_brings_every_request_back_whole():
    image = Image.new("RGB", (8, 8))
    for number, request in enumerate(drawn(2)):
        body = json.dumps(pack(request), ensure_ascii=False)
        format = ("png", "webp", "jpg")[number % 3]
        made = embed(image, write(told(request)), maple=body, format=format)
        found = read_picture(made.data)
        assert unpack(GenerationRequest, json.loads(found.maple)) == request
        assert found.infotext == write(told(request)).strip(), format


@pytest.mark.parametrize("format", ["png", "jpg", "webp", "avif"])
def test_every_format_carries_the_text_as_a1111_reads_it(format: str):
    text = '猫, "a: b"\nNegative prompt: 🎨\nSteps: 5, Sampler: Euler, Seed: 1, Size: 8x8'
    made = embed(Image.new("RGB", (8, 8)), text, format=format)
    with Image.open(io.BytesIO(made.data)) as image:
        image.load()
        if format == "png":
            assert image.info["parameters"] == text
            return
        comment: Any = image.getexif().get_ifd(0x8769)[0x9286]
        # What piexif.helper.UserComment.load does: eight bytes name the code, UNICODE is UTF-16, big end first.
        assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be") == text
