"""Infotext: A1111's text, byte for byte, and back."""

import random
import re
import string
import time
from dataclasses import fields as fields_of
from dataclasses import replace
from typing import ClassVar

import pytest

from webui.domain import GenerationRequest
from webui.domain.errors import BadInput
from webui.domain.request import Init, Inpaint, MaskedContent, SoftInpainting
from webui.gallery.infotext import (
    Infotext,
    InfotextFields,
    init_from,
    init_pairs,
    inpaint_pairs,
    line_pairs,
    parameters,
    pasted_overrides,
    quote,
    read,
    request_from,
    split_sampler,
    version_of,
    write,
)
from webui.settings import Settings, overlay

PROMPT = "a photo of a cat, masterpiece\nNegative prompt: blurry\n"
HEAD = "Steps: 4, Sampler: Euler, Schedule type: Automatic, CFG scale: 7.0, Seed: 1, Size: 64x64, Model: sd15-random"
CAT = {
    "prompt": "a photo of a cat, masterpiece", "negative": "blurry", "steps": 4, "sampler": "Euler",
    "schedule": "Automatic", "cfg_scale": 7.0, "seed": 1, "width": 64, "height": 64, "model": "sd15-random",
    "version": "1.10.1",
}  # fmt: skip

# Answers of an unpatched A1111 1.10.1, and what they tell.
ANSWERS = [
    (f"{PROMPT}{HEAD}, RNG: CPU, Version: 1.10.1", {"noise_source": "CPU"}),
    (f"{PROMPT}{HEAD}, Version: 1.10.1", {}),
    (f"{PROMPT}{HEAD}, Clip skip: 2, RNG: CPU, Version: 1.10.1", {"noise_source": "CPU", "clip_skip": 2}),
    (f"{PROMPT}{HEAD}, RNG: CPU, Tiling: True, Version: 1.10.1", {"noise_source": "CPU", "tiling": True}),
    (f"{PROMPT}{HEAD}, Seed resize from: 96x48, RNG: CPU, Version: 1.10.1",
     {"noise_source": "CPU", "seed_resize_width": 96, "seed_resize_height": 48}),
    (f"{PROMPT}{HEAD}, Denoising strength: 0.6, RNG: CPU, Hires upscale: 2.0, Hires upscaler: Lanczos, Version: 1.10.1",
     {"noise_source": "CPU", "denoising_strength": 0.6,
      "extras": {"Hires upscale": 2.0, "Hires upscaler": "Lanczos"}}),
    (f"{PROMPT}{HEAD}, RNG: CPU, Sigma churn: 10.0, Sigma noise: 1.003, Version: 1.10.1",
     {"noise_source": "CPU", "extras": {"Sigma churn": 10.0, "Sigma noise": 1.003}}),
    (f"{PROMPT}{HEAD}, RNG: CPU, NGMS: 3.0, Version: 1.10.1", {"noise_source": "CPU", "extras": {"NGMS": 3.0}}),
]  # fmt: skip


class Catalog:
    """What a lookup answers in these tests."""

    samplers: ClassVar = {"euler": "Euler", "euler a": "Euler a", "k_euler_a": "Euler a", "dpm++ 2m": "DPM++ 2M"}
    own: ClassVar = {"DPM++ 2M": "Karras"}

    def sampler(self, name: str, schedule: str) -> tuple[str, str] | None:
        found = self.samplers.get(name.casefold())
        if found is None:
            return None
        schedule = {"karras": "Karras"}.get(schedule.casefold(), schedule)
        return found, "Automatic" if self.own.get(found) == schedule else schedule

    def checkpoint(self, name: str) -> str | None:
        return "other.safetensors [abcdef1234]" if name in ("abcdef1234", "other") else None

    def vae(self, name: str) -> str | None:
        return "Vae" if name.startswith("Vae") else None

    def lora(self, name: str, hash: str) -> str | None:
        return "renamed" if (name, hash) == ("before", "0123456789ab") else None

    def styles(self, prompt: str, negative: str) -> tuple[tuple[str, ...], str, str]:
        if prompt.endswith(", oil painting"):
            return ("Oil",), prompt.removesuffix(", oil painting"), negative
        return (), prompt, negative


def paste(text: str, settings: Settings | None = None):
    return request_from(read(text), settings=settings or Settings(), lookup=Catalog())


@pytest.mark.parametrize(("text", "told"), ANSWERS)
def test_the_text_is_a1111s_byte_for_byte(text: str, told: dict[str, object]):
    assert write(InfotextFields(**CAT | told)) == text  # type: ignore[arg-type]


def test_the_whole_line_stands_in_a1111s_order():
    text = write(InfotextFields(
        prompt="p", steps=20, sampler="Euler a", schedule="Karras", cfg_scale=7, image_cfg_scale=1.5, seed=5,
        face_restoration="CodeFormer", width=8, height=16, model_hash="abcdef1234", model="m", vae_hash="1234567890",
        vae="v.pt", subseed=6, subseed_strength=0.25, seed_resize_width=1, seed_resize_height=2,
        denoising_strength=0.5, mask_weight=0.9, clip_skip=2, ensd=31337, init_image_hash="f00", noise_source="NV",
        tiling=True, extras={"Eta": 0.5, "Gone": None, "Emphasis": "No norm"}, version="v1", user="某人",
    ))  # fmt: skip
    assert text == (
        "p\nSteps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Image CFG scale: 1.5, Seed: 5, "
        "Face restoration: CodeFormer, Size: 8x16, Model hash: abcdef1234, Model: m, VAE hash: 1234567890, VAE: v.pt, "
        "Variation seed: 6, Variation seed strength: 0.25, Seed resize from: 1x2, Denoising strength: 0.5, "
        "Conditional mask weight: 0.9, Clip skip: 2, ENSD: 31337, Init image hash: f00, RNG: NV, Tiling: True, "
        "Eta: 0.5, Emphasis: No norm, Version: v1, User: 某人"
    )


def test_a_key_that_equals_its_value_stands_alone():
    assert write(InfotextFields(extras={"Mark": "Mark"})).endswith(", Mark")


@pytest.mark.parametrize(("value", "shown"), [
    ("plain", "plain"), ("a, b", '"a, b"'), ("a: b", '"a: b"'), ("a\nb", r'"a\nb"'), ('a "b" c', 'a "b" c'),
    ('"whole"', r'"\"whole\""'), (" edge ", '" edge "'), ("模型，甲", "模型，甲"), ("模, 型", '"模, 型"'), (7.0, "7.0"),
    (True, "True"), (r"back\slash", r"back\slash"),
])  # fmt: skip
def test_values_are_quoted_only_when_they_must_be(value: object, shown: str):
    assert quote(value) == shown


@pytest.mark.parametrize(("text", "told"), ANSWERS)
def test_what_was_written_is_read_again(text: str, told: dict[str, object]):
    found = read(text)
    assert (found.prompt, found.negative) == (CAT["prompt"], CAT["negative"])
    assert found.fields["Size-1"] == found.fields["Size-2"] == "64"
    assert found.fields["Model"] == "sd15-random"
    assert found.fields.get("RNG", "GPU") == told.get("noise_source", "GPU")


def test_round_trip_of_random_fields():
    chance = random.Random(2)
    letters = string.ascii_letters + string.digits + " ,:\"\\'()[]<>{}|-_/.#=模型图🎨é\t"

    def text(most: int) -> str:
        return "".join(chance.choice(letters) for _ in range(chance.randrange(most)))

    def lines() -> str:
        """A prompt as forms give it; outer blanks of lines are not part of the format."""
        made = "\n".join(text(40).strip() for _ in range(chance.randrange(4)))
        return made.strip("\n").strip().replace("Negative prompt:", "")

    for _ in range(500):
        extras = {f"Key {n}": value for n in range(chance.randrange(6)) if (value := text(30)) and value != f"Key {n}"}
        fields = InfotextFields(
            prompt=lines(), negative=lines(), steps=chance.randrange(1, 150), sampler="DPM++ 2M", schedule="Karras",
            cfg_scale=chance.randrange(2, 60) / 2, seed=chance.randrange(2**32), width=chance.randrange(64, 2048),
            height=chance.randrange(64, 2048), model=text(20) or None, vae=chance.choice([None, "512x512"]),
            subseed=7, subseed_strength=chance.choice([0.0, 0.5]), clip_skip=chance.randrange(1, 13),
            extras=extras, version="Maple 0.1.0",
        )  # fmt: skip
        found = read(write(fields))
        assert found.prompt == fields.prompt
        assert found.negative == fields.negative
        assert found.fields["Size-1"] == str(fields.width) and found.fields["Size-2"] == str(fields.height)
        assert found.fields.get("Model") == fields.model
        assert found.fields.get("VAE") == fields.vae
        for key, value in extras.items():
            assert found.fields[key] == value
        assert float(found.fields["CFG scale"]) == fields.cfg_scale
        assert found.fields["Version"] == "Maple 0.1.0"
        values, _ = request_from(found, settings=Settings(), lookup=Catalog())
        assert (values["seed"], values["steps"], values["width"]) == (fields.seed, fields.steps, fields.width)


@pytest.mark.parametrize("last", [
    "subject: cat, style: oil, light: soft",
    "a: b, c: d, e: f, g: h",
    "photo, 35mm, f/1.8, ratio 16:9, shot: wide",
    "Steps: slowly, quietly",
])  # fmt: skip
def test_a_last_line_of_the_prompt_that_looks_like_pairs_stays_prompt(last: str):
    assert read(f"a cat\n{last}") == Infotext(prompt=f"a cat\n{last}")


@pytest.mark.parametrize("line", [
    "Steps: 20",
    "Steps: 20, Sampler: Euler",
    "Sampler: Euler, CFG scale: 7, Seed: 5",
    "Postprocess upscale by: 4, Postprocess upscaler: Lanczos, Postprocess crop: True",
])  # fmt: skip
def test_a_line_of_known_keys_is_parameters(line: str):
    found = read(f"a cat\n{line}")
    assert found.prompt == "a cat" and len(found.fields) == line.count(": ")
    assert read(line).prompt == ""


def test_the_reader_follows_a1111s_rules():
    found = read("  first \n\n second\r\nNegative prompt: bad\n worse \n"
                 "Steps: 20, Sampler: Euler a, Empty: , Size: 64x32, "
                 'Lora hashes: "a: 123, b: 456", Bad quotes: "x" y, Model: 512x512')  # fmt: skip
    assert found.prompt == "first\n\nsecond"
    assert found.negative == "bad\nworse"
    assert dict(found.fields) == {
        "Steps": "20", "Sampler": "Euler a", "Size-1": "64", "Size-2": "32", "Lora hashes": "a: 123, b: 456",
        "Bad quotes": '"x" y', "Model": "512x512",
    }  # fmt: skip


def test_an_empty_text_is_an_empty_infotext():
    assert read("") == read("  \n ") == Infotext()


def test_pairs_match_a1111s_own_expression():
    theirs = re.compile(r"\s*(\w[\w \-/]+):\s*(\"(?:\\.|[^\\\"])+\"|[^,]*)(?:,|$)")
    chance = random.Random(5)
    pieces = [
        "Steps",
        "a",
        "Key b",
        ":",
        ": ",
        ",",
        ", ",
        '"',
        '\\"',
        "\\",
        "x y",
        "-/",
        "  ",
        "7",
        "模型",
        "(",
        ")",
        "é_1",
    ]
    for _ in range(3000):
        line = "".join(chance.choice(pieces) for _ in range(chance.randrange(1, 25))).strip()
        assert line_pairs(line) == theirs.findall(line), line


@pytest.mark.parametrize(
    "text",
    [
        "a" * 900_000,
        "a " * 400_000,
        "a:" * 400_000,
        '"' * 900_000,
        'a: "\\"' * 150_000,
        "Steps: 20, " + "a" * 10_000_000,
        " :" * 400_000,
    ],
)
def test_a_hostile_text_costs_no_more_than_a_moment(text: str):
    before = time.process_time()
    read(text)
    assert time.process_time() - before < 5


def test_missing_fields_mean_a1111s_defaults():
    found = parameters(read(f"{PROMPT}{HEAD}, Version: 1.10.1"))
    assert found["Prompt"] == CAT["prompt"] and found["Negative prompt"] == "blurry"
    assert (found["Clip skip"], found["RNG"]) == ("1", "GPU") and "Hires upscaler" not in found
    assert "Emphasis" not in found
    assert parameters(read(f"(cat:1.2)\n{HEAD}"))["Emphasis"] == "Original"
    assert parameters(read("only a prompt")) == {"Prompt": "only a prompt", "Negative prompt": ""}


@pytest.mark.parametrize(("version", "sampler", "prompt", "label", "expected"), [
    ("v1.5.2", "Euler", "[a:b:0.5]", "Old prompt editing timelines", "True"),
    ("v1.6.0", "Euler", "[a:b:0.5]", "Old prompt editing timelines", None),
    ("v1.6.0-RC-28-ga0af2852", "Euler", "[a:b:0.5]", "Old prompt editing timelines", "True"),
    ("v1.5.2", "DDIM", "a", "Pad conds v0", "True"),
    ("v1.5.2", "Euler", "a", "Pad conds v0", None),
    ("v1.7.0", "Euler", "a", "Downcast alphas_cumprod", "True"),
    ("v1.7.0-224-gabcdef", "Euler", "a", "Downcast alphas_cumprod", "True"),
    ("v1.7.0-225-gabcdef", "Euler", "a", "Downcast alphas_cumprod", None),
    ("1.10.1", "DDIM", "[a:b:0.5]", "Downcast alphas_cumprod", None),
    ("Maple 0.1.0", "DDIM", "[a:b:0.5]", "Downcast alphas_cumprod", None),
    ("f2.0.1v1.10.1-previous-1-g", "DDIM", "[a:b:0.5]", "Downcast alphas_cumprod", None),
    (None, "DDIM", "[a:b:0.5]", "Downcast alphas_cumprod", None),
])  # fmt: skip
def test_older_programs_texts_switch_their_behaviour_on(
    version: str | None, sampler: str, prompt: str, label: str, expected: str | None
):
    text = write(InfotextFields(prompt=prompt, sampler=sampler, version=version))
    assert parameters(read(text)).get(label) == expected
    assert label not in parameters(read(text), auto_backcompat=False)


def test_versions_are_ordered():
    order = ["v1.5.2", "v1.6.0-RC-28-ga", "v1.6.0", "v1.6.0-2-gabc", "1.7.0", "v1.7.0-225-gabc", "1.10.1"]
    assert [version_of(text) for text in order] == sorted(version_of(text) or () for text in order)
    assert version_of("ComfyUI") is None and version_of("") is None


def test_older_spellings_become_todays():
    found = parameters(read("a\nSteps: 20, Sampler: Euler, Size: 1024x1024, First pass size: 0x0"))
    assert (found["Size-1"], found["Size-2"], found["Hires resize-1"]) == ("512", "512", "1024")
    found = parameters(read("a\nSteps: 20, Sampler: Euler, Hypernet: anime, Hypernet strength: 0.5"))
    assert found["Prompt"] == "a<hypernet:anime:0.5>"
    found = parameters(read("a\nSteps: 20, AddNet Enabled: True, AddNet Module 1: LoRA, "
                            "AddNet Model 1: foo(abc123), AddNet Weight A 1: 0.8"))  # fmt: skip
    assert found["Prompt"] == "a\n<lora:foo:0.8>"


@pytest.mark.parametrize(("name", "split"), [
    ("DPM++ 2M Karras", ("DPM++ 2M", "Karras")), ("DPM++ 2M SDE Exponential", ("DPM++ 2M SDE", "Exponential")),
    ("DPM++ 2M SDE Heun Karras", ("DPM++ 2M SDE Heun", "Karras")), ("Euler SGM Uniform", ("Euler", "SGM Uniform")),
    ("Euler a", ("Euler a", None)), ("DPM++ 2M SDE Heun", ("DPM++ 2M SDE Heun", None)), ("DDIM", ("DDIM", None)),
])  # fmt: skip
def test_old_sampler_names_are_split(name: str, split: tuple[str, str | None]):
    assert split_sampler(name) == split


def test_a_pasted_text_fills_the_form():
    values, overrides = paste(
        "a cat\nNegative prompt: blurry\nSteps: 25, Sampler: DPM++ 2M, Schedule type: Exponential, CFG scale: 6.5, "
        "Seed: 4294967295, Size: 640x384, Variation seed: 9, Variation seed strength: 0.3, Seed resize from: 96x48"
    )
    assert values == {
        "prompt": "a cat", "negative_prompt": "blurry", "steps": 25, "sampler": "DPM++ 2M", "schedule": "Exponential",
        "cfg_scale": 6.5, "seed": 4294967295, "width": 640, "height": 384, "subseed": 9, "subseed_strength": 0.3,
        "seed_resize_width": 96, "seed_resize_height": 48, "tiling": False, "hires": None,
        "refiner": None,
    }  # fmt: skip
    assert overrides == []
    assert set(values) <= {field.name for field in fields_of(GenerationRequest)}
    GenerationRequest(**values)


def test_a_text_without_variation_clears_the_forms():
    values, _ = paste(f"{PROMPT}{HEAD}")
    assert (values["subseed_strength"], values["seed_resize_width"]) == (0.0, 0)


def test_a_plain_prompt_changes_only_the_prompts():
    assert paste("just a cat") == ({"prompt": "just a cat", "negative_prompt": ""}, [])


def test_sampler_names_of_all_times_are_understood():
    assert paste("a\nSteps: 20, Sampler: DPM++ 2M Karras")[0]["sampler"] == "DPM++ 2M"
    assert paste("a\nSteps: 20, Sampler: DPM++ 2M Karras")[0]["schedule"] == "Automatic"
    assert paste("a\nSteps: 20, Sampler: Euler Karras")[0]["schedule"] == "Karras"
    assert paste("a\nSteps: 20, Sampler: k_euler_a")[0]["sampler"] == "Euler a"
    assert "sampler" not in paste("a\nSteps: 20, Sampler: Unheard of")[0]


def test_settings_that_differ_become_overrides_and_no_others():
    text = f"(cat:1.2)\n{HEAD}, Clip skip: 2, ENSD: 31337, RNG: CPU, Tiling: True, Eta: 0.5, Beta schedule alpha: 0.7"
    _, overrides = paste(text)
    assert overrides == [
        ("Clip skip", "model.clip_skip", 2), ("Tiling", "model.tiling", True),
        ("RNG", "sampling.noise_source", "CPU"), ("ENSD", "sampling.ensd", 31337),
        ("Eta", "sampling.eta_ancestral", 0.5), ("Beta schedule alpha", "sampling.beta_alpha", 0.7),
    ]  # fmt: skip
    settings = overlay(Settings(), {key: value for _, key, value in overrides})
    assert paste(text, settings)[1] == []
    assert paste(f"a\n{HEAD}", settings)[1] == [
        ("Clip skip", "model.clip_skip", 1), ("RNG", "sampling.noise_source", "GPU"),
    ]  # fmt: skip


def test_a1111s_other_spelling_of_the_beta_labels_is_read():
    assert paste(f"a\n{HEAD}, Beta scheduler alpha: 0.9")[1] == [("Beta scheduler alpha", "sampling.beta_alpha", 0.9)]


def test_the_model_is_taken_only_when_asked_and_only_when_here():
    text = f"a\n{HEAD}, Model hash: abcdef1234"
    assert paste(text)[1] == []
    wanted = overlay(Settings(), {"disable_weights_auto_swap": False})
    assert paste(text, wanted)[1] == [("Model hash", "model.checkpoint", "other.safetensors [abcdef1234]")]
    assert paste(f"a\n{HEAD}, Model hash: 0000000000", wanted)[1] == []


def test_the_vae_is_found_by_its_file_name():
    assert paste(f"a\n{HEAD}, VAE: Vae.safetensors")[1] == [("VAE", "model.vae", "Vae")]


def test_bad_values_leave_the_form_alone():
    values, overrides = paste("a\nSteps: 20, CFG scale: nan, Seed: many, Size: 64x64, Clip skip: 99, ENSD: x, RNG: TPU")
    assert "cfg_scale" not in values and "seed" not in values and values["width"] == 64
    assert overrides == []


def test_folders_are_never_taken_from_a_text():
    text = f"a\n{HEAD}, outdir_txt2img_samples: /etc, paths.outdir_samples: /etc, Output directory for images: /etc"
    assert paste(text)[1] == []


@pytest.mark.parametrize(("mode", "styles", "prompt"), [
    ("Ignore", None, "a cat, oil painting"), ("Apply", ("Oil",), "a cat"), ("Discard", None, "a cat"),
    ("Apply if any", ("Oil",), "a cat"),
])  # fmt: skip
def test_styles_are_recognised_as_the_setting_says(mode: str, styles: tuple[str, ...] | None, prompt: str):
    settings = overlay(Settings(), {"infotext_styles": mode})
    values, _ = paste(f"a cat, oil painting\n{HEAD}", settings)
    assert (values.get("styles"), values["prompt"]) == (styles, prompt)
    plain, _ = paste(f"a cat\n{HEAD}", settings)
    assert plain.get("styles") == (() if mode == "Apply" else None)


def test_fields_on_the_skip_list_are_not_pasted():
    settings = overlay(Settings(), {"infotext_skip_pasting": ["Size", "Seed", "Clip skip", "Prompt"]})
    values, overrides = paste(f"a cat\n{HEAD}, Clip skip: 2", settings)
    assert not {"width", "height", "seed", "prompt"} & set(values) and values["steps"] == 4
    assert overrides == []


def test_entries_of_the_override_box_are_read_and_checked():
    assert pasted_overrides(["Clip skip: 2", "ENSD: 31337", "Nobody knows: this"]) == {
        "model.clip_skip": 2, "sampling.ensd": 31337,
    }  # fmt: skip
    with pytest.raises(BadInput):
        pasted_overrides(["Clip skip: many"])


def test_a_lora_that_was_renamed_is_known_by_its_hash():
    text = f"a cat <lora:before:0.8> <lora:other:1:0.5> <lora:before>\nNegative prompt: <lora:before:0.1>\n{HEAD}"
    values, _ = paste(f'{text}, Lora hashes: "before: 0123456789ab, other: 111111111111"')
    assert values["prompt"] == "a cat <lora:renamed:0.8> <lora:other:1:0.5> <lora:renamed>"
    assert values["negative_prompt"] == "<lora:renamed:0.1>"
    assert paste(f'{text}, Lora hashes: "before: 999999999999"')[0]["prompt"].startswith("a cat <lora:before:0.8>")


# --- pictures to start from

MASKED = Inpaint(
    mask="m.png", blur_x=8, blur_y=8, invert=True, content=MaskedContent.FILL, only_masked=True, padding=48
)


def test_a_mask_is_told_in_a1111s_words_and_order():
    soft = replace(MASKED, soft=SoftInpainting(schedule_bias=2))
    assert list(inpaint_pairs(soft).items()) == [
        ("Soft inpainting enabled", True), ("Soft inpainting schedule bias", 2),
        ("Soft inpainting preservation strength", 0.5), ("Soft inpainting transition contrast boost", 4.0),
        ("Soft inpainting mask influence", 0.0), ("Soft inpainting difference threshold", 0.5),
        ("Soft inpainting difference contrast", 2.0), ("Mask mode", "Inpaint not masked"), ("Mask blur", 8),
        ("Inpaint area", "Only masked"), ("Masked area padding", 48), ("Masked content", "fill"),
    ]  # fmt: skip
    assert inpaint_pairs(Inpaint(mask="m.png")) == {"Mask blur": 4}
    assert inpaint_pairs(Inpaint(mask="m.png", blur_x=3, blur_y=4)) == {}, "two blurs have no word"
    assert inpaint_pairs(MASKED, blank=True) == {"Mask mode": "Inpaint not masked", "Mask blur": 8}
    assert init_pairs() == {} and init_pairs(noise_multiplier=1.1, extra_noise=0.2) == {
        "Noise multiplier": 1.1, "Extra noise": 0.2,
    }  # fmt: skip


@pytest.mark.parametrize("inpaint", [
    MASKED, Inpaint(mask="", blur_x=4, blur_y=4), replace(MASKED, content=MaskedContent.LATENT_NOTHING, padding=0),
    replace(MASKED, soft=SoftInpainting(mask_influence=0.25, difference_contrast=8), round_mask=False),
])  # fmt: skip
def test_a_mask_survives_writing_and_reading(inpaint: Inpaint):
    fields = InfotextFields(denoising_strength=0.4, extras=inpaint_pairs(inpaint))
    found = init_from(read(write(fields)))
    assert found == Init(images=(), denoising_strength=0.4, inpaint=replace(inpaint, mask=""))


def test_only_a_text_that_started_from_a_picture_gives_one_back():
    hires = {"Hires upscale": 2, "Hires upscaler": "Latent"}
    assert init_from(read(write(InfotextFields(denoising_strength=0.6, extras=hires)))) is None
    assert init_from(read(f"a\n{HEAD}")) is None
    assert init_from(read(f"a\n{HEAD}, Denoising strength: 0.3")) == Init(images=(), denoising_strength=0.3)
    pix2pix = init_from(read(f"a\n{HEAD}, Image CFG scale: 1.2, Noise multiplier: 1.05"))
    assert pix2pix == Init(images=(), image_cfg_scale=1.2, noise_multiplier=1.05)
    assert init_from(read(f"a\n{HEAD}, Denoising strength: 0.3, Mask blur: 4"), skip=["Mask blur"]) == Init(
        images=(), denoising_strength=0.3
    )
    odd = init_from(read(f"a\n{HEAD}, Denoising strength: high, Mask blur: much, Masked content: sugar"))
    assert odd == Init(images=(), inpaint=Inpaint(mask="", blur_x=0, blur_y=0))


def test_json_that_a_site_put_into_the_line_is_one_value():
    found = read('a\nSteps: 25, Sampler: Euler a, Civitai resources: [{"type":"checkpoint","modelName":"X, v: 2"}], '
                 'Civitai metadata: {}, Clip skip: 2')  # fmt: skip
    assert found.fields["Civitai resources"] == '[{"type":"checkpoint","modelName":"X, v: 2"}]'
    assert found.fields["Clip skip"] == "2" and "type" not in found.fields
