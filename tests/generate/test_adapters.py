"""LoRA, hypernetworks and embeddings named in a prompt: worn for their run, told in the infotext, given back."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.generate.test_run import ASKED, count_calls, make, pixels
from tests.small import Ears
from webui.domain import Result

pytestmark = pytest.mark.torch

TO_K = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"  # (32, 64)
Q_PROJ = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"  # (64, 64)


def rand(*shape: int, seed: int = 1) -> Any:
    import torch

    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def lora(tmp_path: Path, bench: Any) -> Callable[..., Path]:
    """A LoRA of UNet and text encoder in the models folder, listed."""
    from safetensors.torch import save_file

    def save(name: str = "soft", *, width: int = 64, seed: int = 1, **metadata: str) -> Path:
        path = tmp_path / "models" / "Lora" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{TO_K}.lora_up.weight": rand(32, 4, seed=seed) * 3, f"{TO_K}.lora_down.weight": rand(4, width, seed=seed),
            f"{Q_PROJ}.lora_up.weight": rand(64, 4, seed=seed), f"{Q_PROJ}.lora_down.weight": rand(4, width, seed=seed),
        }  # fmt: skip
        save_file(tensors, path, metadata={"ss_base_model_version": "sd_v1"} | metadata)
        bench.catalog.scan()
        return path

    return save


@pytest.fixture
def hypernetwork(tmp_path: Path, bench: Any) -> Path:
    import torch

    path = tmp_path / "models" / "hypernetworks" / "bend.pt"
    path.parent.mkdir(parents=True)
    layers = [{"linear.0.weight": rand(64, 64, seed=n), "linear.0.bias": rand(64, seed=n)} for n in (1, 2)]
    told = {"layer_structure": [1, 1], "activation_func": "linear", "is_layer_norm": False, "activate_output": False}
    torch.save({64: tuple(layers), **told}, path)
    bench.catalog.scan()
    return path


@pytest.fixture
def embedding(tmp_path: Path, bench: Any) -> Callable[..., Path]:
    """An embedding file by its ending."""
    import torch
    from safetensors.torch import save_file

    def save(name: str, *, vectors: int = 2, width: int = 64) -> Path:
        path = tmp_path / "embeddings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensor = rand(vectors, width)
        match path.suffix:
            case ".pt":
                torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": tensor}, "name": "other"}, path)
            case ".bin":
                torch.save({"<thing>": tensor[0] if vectors == 1 else tensor}, path)
            case ".safetensors":
                save_file({"emb_params": tensor}, path)
            case _:
                held = {"name": "pictured", "string_to_param": {"*": {"TORCHTENSOR": tensor.tolist()}}}
                words = PngImagePlugin.PngInfo()
                words.add_text("sd-ti-embedding", base64.b64encode(json.dumps(held).encode()).decode())
                Image.new("RGB", (8, 8)).save(path, pnginfo=words)
        bench.catalog.scan()
        return path

    return save


def asked(prompt: str) -> Any:
    return replace(ASKED, prompt=prompt)


def same(one: Result, other: Result) -> bool:
    return bool((pixels(one) == pixels(other)).all())


def test_a_lora_shows_in_its_run_and_the_bare_picture_comes_back_bit_for_bit(bench: Any, lora: Any) -> None:
    lora()
    plain = make(bench)
    worn = make(bench, asked("a red circle<lora:soft:0.8>"))
    assert not same(plain, worn)
    assert same(plain, make(bench))
    assert same(worn, make(bench, asked("a red circle<lyco:soft:0.8>")))
    assert same(plain, make(bench, asked("a red circle<lora:soft:0>")))


def test_unet_and_text_encoder_answer_to_their_own_strengths(bench: Any, lora: Any) -> None:
    lora()
    pictures = [
        make(bench, asked(f"a red circle<lora:soft:{arguments}>"))
        for arguments in ("1", "0:1", "1:0", "te=0:unet=1", "1:1:2", "dyn=2")
    ]
    assert not any(same(pictures[0], other) for other in pictures[1:])
    assert not same(pictures[1], pictures[2])
    assert same(pictures[1], pictures[3])
    assert same(pictures[4], pictures[5])


def test_text_is_encoded_again_only_when_the_text_encoder_wears_something_else(bench: Any, lora: Any) -> None:
    lora()
    make(bench, asked("a red circle<lora:soft:1:1>"))
    calls = count_calls(bench.models.current.text_encoder)
    make(bench, asked("a red circle<lora:soft:1:0.5>"))
    assert calls == []
    make(bench, asked("a red circle<lora:soft:0.5:1>"))
    assert calls != []


def test_the_same_set_is_not_merged_again_for_the_next_run(bench: Any, lora: Any) -> None:
    lora()
    make(bench, asked("a red circle<lora:soft:1>"))
    calls = bench.models.current.patch_calls
    make(bench, replace(asked("a blue square<lora:soft:1>"), batch_count=2))
    assert bench.models.current.patch_calls == calls


def test_a_tag_given_twice_counts_twice(bench: Any, lora: Any) -> None:
    lora()
    twice = make(bench, asked("a red circle<lora:soft:0.5><lora:soft:0.5>"))
    assert abs(pixels(twice) - pixels(make(bench, asked("a red circle<lora:soft:1>")))).max() <= 1


def test_the_first_prompt_of_a_batch_names_the_networks_of_all(bench: Any, lora: Any) -> None:
    lora()
    prompts = ("a red circle<lora:soft:1>", "a red circle", "a red circle", "a red circle<lora:soft:1>")
    made = make(bench, replace(ASKED, prompts=prompts, batch_size=2, batch_count=2, save_grid=False))
    for number, prompt in enumerate((prompts[0], prompts[0], prompts[1], prompts[1])):
        alone = make(bench, replace(asked(prompt), seed=5 + number))
        assert abs(pixels(made, number) - pixels(alone)).max() <= 1


def test_a_lora_is_found_by_the_name_inside_it_and_named_by_its_hash(bench: Any, lora: Any) -> None:
    path = lora(ss_output_name="velvet")
    data = path.read_bytes()
    digits = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()[:12]
    made = make(bench, asked("a red circle<lora:velvet:1>"))
    assert f'Lora hashes: "velvet: {digits}"' in made.artifacts[0].infotext
    assert f'Lora hashes: "velvet: {digits}"' in make(bench, asked("x<lora:velvet:1>")).artifacts[0].infotext
    assert made.info["extra_generation_params"]["Lora hashes"] == f"velvet: {digits}"
    assert "Lora hashes" not in make(bench).artifacts[0].infotext
    lora("known", sshs_model_hash="0123456789abcdef")
    assert 'Lora hashes: "known: 0123456789ab"' in make(bench, asked("x<lora:known>")).artifacts[0].infotext


def test_what_cannot_be_followed_is_said_and_left_out(bench: Any, lora: Any) -> None:
    lora("hard")
    ears = Ears()
    prompt = "a red circle<lora:hrad:1><lora:hard:much><hypernet:none>"
    made = make(bench, replace(asked(prompt), batch_count=2, save_grid=False), ears)
    assert [key for key, _ in ears.notes] == ["network_unknown", "network_bad_number", "network_unknown"]
    assert ears.notes[0][1]["closest"] == ["hard"]
    assert ears.notes[1][1]["example"] == "<lora:hard:0.8>"
    assert same(made, make(bench))


def test_a_misfit_is_said_with_what_would_fit_before_anything_is_loaded(bench: Any, lora: Any) -> None:
    lora("fitting")
    lora("large", ss_base_model_version="sdxl_base_v1-0")
    ears = Ears()
    told: list[int] = []
    ears.on_report = lambda _progress: told.append(len(ears.notes))
    make(bench, asked("a red circle<lora:large:1>"), ears)
    assert ears.notes == [("network_misfit", {
        "name": "large", "family": "sdxl", "model": "small", "needed": "sd1", "fitting": ["fitting"],
    })]  # fmt: skip
    assert told[0] == 1


def test_a_misfit_says_what_it_would_fit_when_nothing_else_does(bench: Any, lora: Any) -> None:
    lora("large", ss_base_model_version="sdxl_base_v1-0")
    ears = Ears()
    make(bench, asked("a red circle<lora:large:1>"), ears)
    told = {"name": "large", "family": "sdxl", "model": "small", "needed": "sd1"}
    assert ears.notes == [("network_misfit_none", told)]


def test_what_a_person_wrote_of_a_loras_base_counts_more_than_its_header(bench: Any, lora: Any) -> None:
    path = lora("large", ss_base_model_version="sdxl_base_v1-0")
    path.with_suffix(".json").write_text('{"sd version": "SD1"}', encoding="utf-8")
    bench.catalog.scan()
    ears = Ears()
    made = make(bench, asked("a red circle<lora:large:1>"), ears)
    assert [key for key, _ in ears.notes if key.startswith("network_misfit")] == []
    assert not same(made, make(bench))
    path.with_suffix(".json").write_text('{"sd version": "SD2"}', encoding="utf-8")
    bench.catalog.scan()
    ears = Ears()
    make(bench, asked("a red circle<lora:large:1>"), ears)
    assert ears.notes[0][0].startswith("network_misfit") and ears.notes[0][1]["family"] == "sd2"


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("a1.weight", "GLoRA"), ("on_input", "IA³"), ("oft_blocks", "OFT"), ("oft_diag", "OFT")],
)
def test_a_kind_not_read_yet_is_named(ending: str, kind: str, tmp_path: Path, bench: Any) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "models" / "Lora" / "strange.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"{TO_K}.{ending}": rand(4, 4, 4)}, path, metadata={"ss_base_model_version": "sd_v1"})
    bench.catalog.scan()
    ears = Ears()
    made = make(bench, asked("a red circle<lora:strange:1>"), ears)
    assert ears.notes == [("network_kind_not_yet", {"name": "strange", "kind": kind})]
    assert same(made, make(bench))


def test_a_name_two_files_share_inside_leads_to_neither(bench: Any, lora: Any) -> None:
    lora("first", ss_output_name="twin")
    lora("second", seed=2, ss_output_name="Twin")
    lora("addams", seed=3, ss_output_name="addams")
    lora("third", seed=4, ss_output_name="none")
    ears = Ears()
    made = make(bench, asked("a red circle<lora:twin:1><lora:none:1>"), ears)
    assert ears.notes == [
        ("network_ambiguous", {"tag": "lora:twin:1", "files": ["first", "second"]}),
        ("network_ambiguous", {"tag": "lora:none:1", "files": ["third"]}),
    ]
    assert same(made, make(bench))
    heard = Ears()
    make(bench, asked("a red circle<lora:first:1><lora:addams:1>"), heard)
    assert heard.notes == []


def test_settings_add_networks_to_every_prompt_but_to_one_that_names_them(
    bench: Any, lora: Any, hypernetwork: Path
) -> None:
    lora()
    overrides = {"sd_lora": "soft", "sd_hypernetwork": "bend", "extra_networks_default_multiplier": 0.5}
    added = make(bench, replace(ASKED, overrides=overrides))
    written = make(bench, asked(f"{ASKED.prompt}<lora:soft:0.5><hypernet:bend:0.5>"))
    assert same(added, written)
    assert f"{ASKED.prompt}<lora:soft:0.5><hypernet:bend:0.5>\n" in added.artifacts[0].infotext
    own = make(bench, replace(asked("a red circle<lora:soft:0.1>"), overrides={"sd_lora": "soft"}))
    assert same(own, make(bench, asked("a red circle<lora:soft:0.1>")))


def test_hashes_stay_out_of_the_infotext_when_the_settings_say_so(bench: Any, lora: Any, embedding: Any) -> None:
    lora()
    embedding("good.pt")
    overrides = {"lora_add_hashes_to_infotext": False, "textual_inversion_add_hashes_to_infotext": False}
    request = asked("a good circle<lora:soft>")
    assert "Lora hashes" in make(bench, request).artifacts[0].infotext
    text = make(bench, replace(request, overrides=overrides)).artifacts[0].infotext
    assert "Lora hashes" not in text
    assert "TI hashes" not in text


def test_networks_left_unfollowed_leave_their_tags_out_of_the_text_too(bench: Any, lora: Any) -> None:
    lora()
    ears = Ears()
    made = make(bench, replace(asked("a red circle<lora:soft:1><lora:nobody:1>"), networks=False), ears)
    assert same(made, make(bench))
    assert ears.notes == []


def test_an_embedding_bundled_in_a_lora_counts_while_the_lora_is_worn(tmp_path: Path, bench: Any, lora: Any) -> None:
    from safetensors.torch import load_file, save_file

    plain = make(bench, asked("a velvet circle"))
    path = lora()
    bare = make(bench, asked("a velvet circle<lora:soft:1>"))
    tensors = load_file(path) | {"bundle_emb.velvet.string_to_param.*": rand(2, 64)}
    save_file(tensors, path, metadata={"ss_base_model_version": "sd_v1"})
    bench.catalog.scan()
    made = make(bench, asked("a velvet circle<lora:soft:1>"))
    assert not same(made, bare)
    assert "TI hashes" not in made.artifacts[0].infotext
    assert same(plain, make(bench, asked("a velvet circle")))
    # The same vectors as a file of their own make the same picture.
    target = tmp_path / "embeddings" / "velvet.safetensors"
    target.parent.mkdir(exist_ok=True)
    save_file({"emb_params": rand(2, 64)}, target)
    save_file({key: value for key, value in tensors.items() if "bundle" not in key}, path, metadata={
        "ss_base_model_version": "sd_v1"})  # fmt: skip
    bench.catalog.scan()
    assert same(made, make(bench, asked("a velvet circle<lora:soft:1>")))


def test_a_lora_of_another_shape_changes_nothing_and_is_said_once_a_run(bench: Any, lora: Any) -> None:
    lora("odd", width=48)
    for _ in range(2):
        ears = Ears()
        made = make(bench, replace(asked("a red circle<lora:odd:1>"), batch_count=2, save_grid=False), ears)
        assert ears.notes == [("adapter_fits_nothing", {"name": "odd"})]
    assert same(made, make(bench))


def test_a_replaced_file_is_another_lora(bench: Any, lora: Any) -> None:
    lora(seed=1)
    first = make(bench, asked("a red circle<lora:soft:1>"))
    lora(seed=2)
    assert not same(first, make(bench, asked("a red circle<lora:soft:1>")))


def test_a_hypernetwork_shows_and_goes(bench: Any, hypernetwork: Path) -> None:
    plain = make(bench)
    worn = make(bench, asked("a red circle<hypernet:bend:0.1>"))
    assert not same(plain, worn)
    assert not same(worn, make(bench, asked("a red circle<hypernet:bend>")))
    assert same(plain, make(bench))


def test_embeddings_of_every_file_stand_where_their_name_is_written(bench: Any, embedding: Any) -> None:
    plain = make(bench, asked("a thing circle"))
    pictures = []
    for name in ("one.pt", "two.bin", "three.safetensors", "four.png"):
        embedding(name)
        trigger = "pictured" if name.endswith(".png") else name.split(".")[0]
        made = make(bench, asked(f"a {trigger.upper()} circle"))
        pictures.append(made)
        # All hold the same vectors, so all make the same picture.
        assert same(made, pictures[0])
    assert not same(plain, pictures[0])


def test_an_embedding_is_told_by_its_hash_in_prompt_and_negative(bench: Any, embedding: Any) -> None:
    good, bad = embedding("good.pt"), embedding("bad,hands.safetensors")
    request = replace(asked("a (good:1.2) circle [x:y:2]"), negative_prompt="bad,hands")
    digits = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in (good, bad)]
    for _ in range(2):
        text = make(bench, request).artifacts[0].infotext
        assert f'TI hashes: "good: {digits[0]}, badhands: {digits[1]}"' in text


def test_a_new_or_replaced_embedding_counts_at_once(bench: Any, embedding: Any) -> None:
    plain = make(bench, asked("a good circle"))
    embedding("good.pt")
    one = make(bench, asked("a good circle"))
    embedding("good.pt", vectors=3)
    assert not same(plain, one)
    assert not same(one, make(bench, asked("a good circle")))


def test_an_embedding_of_another_width_is_read_as_text_and_said(bench: Any, embedding: Any) -> None:
    plain = make(bench, asked("a wide circle"))
    embedding("wide.pt", width=32)
    ears = Ears()
    made = make(bench, replace(asked("a wide circle"), batch_count=2, save_grid=False), ears)
    assert ears.notes == [("embedding_misfit_none", {"name": "wide", "width": [32], "needed": "64"})]
    assert same(made, plain)
    quiet = Ears()
    make(bench, asked("a red circle"), quiet)
    assert quiet.notes == []


def test_an_embeddings_vectors_are_never_parted(bench: Any, embedding: Any) -> None:
    from webui.prompt.chunks import chunks

    embedding("good.pt", vectors=10)
    make(bench, asked("good"))
    model = bench.models.current
    shelf = bench.shelves.shelf(bench.embeddings.read(bench.catalog), model.tokenizer, widths={"clip_l": 64})
    first, second = chunks([("x " * 70 + "good", 1.0)], model.tokenizer, embeddings=shelf)
    assert (len(first.fixes), [(fix.at, fix.vectors) for fix in second.fixes]) == (0, [(1, 10)])
    assert np.isfinite(shelf.vectors("good").numpy()).all()


def test_the_token_counter_can_count_embeddings(bench: Any, embedding: Any) -> None:
    from webui.catalog.embeddings import lengths
    from webui.prompt.counter import count_prompt
    from webui.prompt.tokens import ClipTokenizer

    embedding("good.pt", vectors=10)
    known = lengths(bench.embeddings.read(bench.catalog))
    assert known == {"good": 10}
    assert count_prompt("a good circle", ClipTokenizer(), lengths=known) == (12, 75)
