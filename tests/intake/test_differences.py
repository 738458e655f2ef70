"""Why does this differ: each known factor is named, and nothing is said of what is the same."""

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.small import stub_checkpoint
from webui.app import build
from webui.domain import ModelKind
from webui.intake.differences import FACTORS, Action, Difference, Grade, Here, differences
from webui.intake.known_labels import EXTENSIONS
from webui.services import Services
from webui.settings import Settings, overlay
from webui.settings.flags import Flags
from webui.words import LANGUAGES, say, sentences

HEAD = "a cat\nSteps: 20, Sampler: Euler, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 512x512"
QUIET = {"differs_precision"}


def safetensors(path: Path, metadata: dict[str, str], body: bytes = b"") -> Path:
    header = json.dumps({"__metadata__": metadata}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)
    return path


@pytest.fixture(scope="module")
def services(root: Path) -> Iterator[Services]:
    made = build(Flags(data_dir=root))
    yield made
    made.jobs.close()
    made.catalog.close()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def here(services: Services, root: Path) -> Here:
    models = root / "models"
    stub_checkpoint(models / "Stable-diffusion" / "first.safetensors")
    second = stub_checkpoint(models / "Stable-diffusion" / "second.safetensors")
    with second.open("ab") as file:
        file.write(b"other weights")
    safetensors(
        models / "Lora" / "ink.safetensors", {"sshs_model_hash": "ab" * 32, "ss_network_module": "networks.lora"}
    )
    safetensors(models / "VAE" / "vae-ft.safetensors", {})
    services.catalog.scan()
    for record in services.catalog.models(ModelKind.CHECKPOINT):
        services.catalog.hash(record)
    return Here(names=services.names, settings=overlay(Settings(), {"sampling.noise_source": "CPU"}))


def found(text: str, here: Here, **changes: Any) -> dict[str, Difference]:
    if changes:
        settings = overlay(here.settings, {key.replace("__", "."): value for key, value in changes.items()})
        here = Here(names=here.names, settings=settings)
    return {each.key: each for each in differences(text, here) if each.key not in QUIET}


def model(here: Here, name: str = "first") -> str:
    record = here.names.catalog.find(ModelKind.CHECKPOINT, name)
    assert record is not None
    return f"Model hash: {record.shorthash}, Model: {record.stem}"


def test_nothing_is_said_of_a_picture_that_can_be_repeated(here: Here):
    assert found(f"{HEAD}, {model(here)}, RNG: CPU, Clip skip: 2, Version: v1.10.1", here) == {}
    assert [each.key for each in differences(f"{HEAD}, {model(here)}, RNG: CPU, Version: v1.10.1", here)] == list(QUIET)
    assert differences("a cat", here) == () == differences("", here)


def test_a_missing_or_other_checkpoint_is_named_with_what_to_look_for(here: Here):
    gone = found(f"{HEAD}, Model hash: 0123456789, Model: anime, RNG: CPU, Version: v1.9.0", here)
    assert gone["differs_model_missing"].action == Action(do="copy", value="0123456789")
    other = found(f"{HEAD}, Model hash: 0123456789, Model: first, RNG: CPU, Version: v1.9.0", here)
    assert other["differs_model_hash"].fields["hash"] == "0123456789" and "differs_model_missing" not in other
    assert other["differs_model_hash"].grade is Grade.LARGE
    chosen = found(f"{HEAD}, {model(here, 'second')}, RNG: CPU, Version: v1.9.0", here)
    action = chosen["differs_model_other"].action
    assert action is not None and (action.do, action.value[:18]) == ("checkpoint", "second.safetensors")
    assert found(f"{HEAD}, {model(here, 'second')}, RNG: CPU, Version: v1.9.0", here, model__checkpoint="second") == {}
    assert "differs_model_other" not in found(
        f"{HEAD}, {model(here, 'second')}, RNG: CPU", here, disable_weights_auto_swap=False
    )
    assert "differs_model_untold" in found(f"{HEAD}, RNG: CPU, Version: v1.9.0", here)


def test_a_file_of_the_name_whose_hash_is_not_known_is_not_called_wrong(here: Here, root: Path):
    stub_checkpoint(root / "models" / "Stable-diffusion" / "third.safetensors")
    here.names.catalog.scan()
    told = found(f"{HEAD}, Model hash: 0123456789, Model: third, RNG: CPU", here)
    assert told["differs_model_unhashed"].grade is Grade.UNKNOWN


def test_the_vae_is_compared(here: Here):
    start = f"{HEAD}, {model(here)}, RNG: CPU, Version: v1.9.0"
    assert "differs_vae_missing" in found(f"{start}, VAE hash: 0123456789, VAE: other.pt", here)
    assert found(f"{start}, VAE: vae-ft.safetensors", here) == {}, "the paste chooses it"
    skipped = found(f"{start}, VAE: vae-ft.safetensors", here, infotext_skip_pasting=["VAE"])
    assert skipped["differs_vae_other"].action == Action(do="vae", value="vae-ft.safetensors")
    worn = found(start, here, model__vae="vae-ft.safetensors")
    assert worn["differs_vae_baked"].action == Action(do="vae", value="None")
    old = found(f"{HEAD}, {model(here)}, RNG: CPU", here, model__vae="vae-ft.safetensors")
    assert old["differs_vae_untold"].grade is Grade.UNKNOWN


def test_networks_and_embeddings_are_compared_by_hash(here: Here):
    start = f"<lora:ink:1> <lora:gone:0.5> <hypernet:mood:1> {HEAD}, {model(here)}, RNG: CPU, Version: v1.9.0"
    told = found(f'{start}, Lora hashes: "ink: abababababab, gone: 123456789abc"', here)
    assert told["differs_lora_missing"].fields["name"] == "gone"
    assert told["differs_lora_missing"].action == Action(do="copy", value="123456789abc")
    assert told["differs_hypernet_missing"].fields["name"] == "mood"
    assert "differs_lora_hash" not in told
    other = found(f'{start}, Lora hashes: "ink: 123456789abc", TI hashes: "neg: 0011223344ff"', here)
    assert other["differs_lora_hash"].fields["here"] == "ab" * 6
    assert other["differs_embedding_missing"].fields == {"name": "neg", "hash": "0011223344ff"}


def test_an_embedding_of_another_content_is_named(here: Here, root: Path):
    header = json.dumps({"emb_params": {"dtype": "F32", "shape": [1, 768], "data_offsets": [0, 3072]}}).encode()
    body = struct.pack("<Q", len(header)) + header + b"\0" * 3072
    path = root / "embeddings" / "neg.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    here.names.catalog.scan()
    digits = hashlib.sha256(body).hexdigest()[:12]
    start = f"{HEAD}, {model(here)}, RNG: CPU, Version: v1.9.0"
    assert found(f'{start}, TI hashes: "neg: {digits}"', here) == {}
    told = found(f'{start}, TI hashes: "neg: 0011223344ff"', here)
    assert told["differs_embedding_hash"].fields["here"] == digits


@pytest.mark.parametrize(("more", "key", "about"), [
    ("Sampler: Res Multistep", "differs_sampler", "Sampler"),
    ("Schedule type: Bong Tangent", "differs_schedule", "Schedule type"),
    ("Hires upscale: 2, Hires upscaler: 4x-UltraSharp", "differs_upscaler", "Hires upscaler"),
    ("Hires upscale: 2, Hires upscaler: Latent, Hires checkpoint: gone", "differs_second_model", "Hires checkpoint"),
    ("Refiner: xl_refiner [7440042bbd], Refiner switch at: 0.8", "differs_second_model", "Refiner"),
    ("Denoising strength: 0.5", "differs_init", "Denoising strength"),
    ("Denoising strength: 0.5, Mask blur: 4", "differs_init_mask", "Denoising strength"),
    ("Clip skip: 99", "differs_setting_bad", "Clip skip"),
    ("ADetailer model: face_yolov8n.pt, ADetailer version: 24.1", "differs_extension", "ADetailer"),
    ('ControlNet 0: "Module: canny, Model: None"', "differs_control_picture", "ControlNet 0"),
    ("Face restoration: CodeFormer", "differs_extension", "Face restoration"),
    ("My Own Label: 5", "differs_labels", ""),
    ("Batch size: 4, Batch pos: 2", "differs_batch", "Batch size"),
])  # fmt: skip
def test_each_factor_is_named(more: str, key: str, about: str, here: Here):
    end = f"Seed: 1, Size: 512x512, {model(here)}, RNG: CPU, Version: v1.10.1"
    text = f"a cat\nSteps: 20, Sampler: Euler, {more}, {end}"
    told = found(text, here)
    assert list(told) == [key] and told[key].about == about


def test_a_units_model_preprocessor_and_picture_are_each_named(here: Here):
    unit = 'ControlNet 1: "Module: never heard of, Model: gone [d14c016b]"'
    end = f"Seed: 1, Size: 512x512, {model(here)}, RNG: CPU, Version: v1.10.1"
    told = found(f"a cat\nSteps: 20, Sampler: Euler, {unit}, {end}", here)
    assert list(told) == ["differs_control_missing", "differs_detector_missing", "differs_control_picture"]
    assert {each.about for each in told.values()} == {"ControlNet 1"}
    assert told["differs_control_missing"].fields["name"] == "gone [d14c016b]"


def test_programs_and_versions_have_their_own_rules(here: Here):
    start = f"{HEAD}, {model(here)}, RNG: CPU"
    for version, name in (("f2.0.1v1.10.1-previous-1", "Forge"), ("ComfyUI", "ComfyUI"), ("Fooocus v2.5", "Fooocus")):
        assert found(f"{start}, Version: {version}", here)["differs_program"].fields["program"] == name
    assert found(f"{start}, App: SD.Next, Version: 1a2b3c", here)["differs_program"].fields["program"] == "SD.Next"
    assert found(f"{start}, Version: Maple 0.1.0", here) == {}
    edited = start.replace("a cat", "a [cat:dog:0.5]")
    untold = found(edited, here)["differs_version_untold"]
    assert untold.action == Action(do="override", value="Old prompt editing timelines: True")
    ruled = found(f"{edited}, Version: v1.5.2", here, auto_backcompat=False)
    assert ruled["differs_version_rule"].action == Action(do="override", value="Downcast alphas_cumprod: True") or (
        ruled["differs_version_rule"].about == "Old prompt editing timelines"
    )
    assert "differs_version_rule" not in found(f"{edited}, Version: v1.5.2", here), "a paste sets the rule"


def test_the_noise_of_the_makers_card_is_a_question(here: Here):
    told = found(f"{HEAD}, {model(here)}, Version: v1.10.1", here)
    assert told["differs_noise_gpu"].action == Action(do="override", value="RNG: CPU")
    assert told["differs_noise_gpu"].grade is Grade.UNKNOWN


def test_labels_that_are_not_pasted_become_buttons(here: Here):
    told = found(f"{HEAD}, {model(here)}, RNG: CPU, ENSD: 31337", here, infotext_skip_pasting=["ENSD"])
    assert told["differs_setting"].action == Action(do="override", value="ENSD: 31337")


def test_sizes_and_missing_seeds_are_told(here: Here):
    odd = found(f"a\nSteps: 5, Sampler: Euler, Size: 500x333, {model(here)}, RNG: CPU, Version: v1.10.1", here)
    assert odd["differs_size"].fields["made"] == "496×328" and "differs_seed_untold" in odd


def test_the_weightiest_stand_first_and_every_sentence_is_whole_in_both_languages(here: Here):
    text = (f"<lora:gone:1> {HEAD.replace('512x512', '500x500')}, Model: anime, VAE: v.pt, Hires upscaler: x4, "
            'TI hashes: "neg: 12", Clip skip: 99, Strange thing: 1, Refiner: gone, ControlNet 0: x')  # fmt: skip
    told = differences(text, here)
    assert [each.grade for each in told] == sorted((each.grade for each in told), key=list(Grade).index)
    assert len(told) >= 11
    for each in told:
        for language in LANGUAGES:
            said = say(each.key, language, **each.fields)
            assert "{" not in said and each.key not in said
        assert each.action is None or f"differs_do_{each.action.do}" in sentences()


def test_extensions_are_found_by_how_their_labels_begin():
    assert {name for _, name in EXTENSIONS} >= {"ADetailer", "Tiled Diffusion", "Regional Prompter"}
    assert len(FACTORS) == len(set(FACTORS))


@pytest.mark.parametrize("text", [
    f"{HEAD}, Model hash: zz, VAE: None, Lora hashes: x, TI hashes: :, Version: v1.",
    f"<lora::> <lora:a> <hypernet> <x:y> {HEAD}, Lora hashes: \"a: b: c\"",
    'a\nSteps: 1, Sampler: "", Schedule type: "", Size: 0x0', "x" * 200_000 + f"\n{HEAD}",
    "Steps: 20, Model: ../../etc",
])  # fmt: skip
def test_odd_texts_are_compared_without_harm(text: str, here: Here):
    differences(text, here)
