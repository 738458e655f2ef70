"""Every layout we claim to know, over headers of real models stripped to a few dozen tensors."""

import json
from pathlib import Path
from typing import Any

import pytest

from webui.catalog.header import Header, Tensor
from webui.catalog.identify import RULES, identify, mismatch, reason_keys
from webui.domain import Family, ModelFormat, ModelKind
from webui.words import sentences

CASES = sorted((Path(__file__).parent / "headers").glob("*.json"))


def read(path: Path) -> tuple[dict[str, Any], Header]:
    case = json.loads(path.read_text(encoding="utf-8"))
    tensors = {name: Tensor("F16", tuple(shape)) for name, shape in case["shapes"].items()}
    return case, Header(format=ModelFormat(case["format"]), tensors=tensors, metadata=case["metadata"])


def header(shapes: dict[str, tuple[int, ...]], **metadata: str) -> Header:
    tensors = {name: Tensor("F16", shape) for name, shape in shapes.items()}
    return Header(format=ModelFormat.SAFETENSORS, tensors=tensors, metadata=metadata)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_real_header_is_recognised(path: Path):
    case, head = read(path)
    identity = identify(head, case["file"])
    assert identity.found is not None, identity.reasons
    found = (identity.found.kind, identity.found.family, identity.found.variant)
    assert found == (case["kind"], case["family"], case["variant"])


def test_the_headers_cover_every_kind_and_family():
    seen = [json.loads(path.read_text(encoding="utf-8")) for path in CASES]
    assert {case["kind"] for case in seen} == {str(kind) for kind in ModelKind}
    assert {case["family"] for case in seen} == {str(family) for family in Family}


def test_the_rules_that_said_no_are_all_kept_with_their_reasons():
    identity = identify(header({"some.weight": (3, 3, 3)}))
    assert identity.found is None
    assert [label for label, _ in identity.reasons] == [label for label, _ in RULES]
    assert all(why for _, why in identity.reasons)


def test_a_checkpoint_of_ours_is_sd1_by_its_layout_though_its_text_is_96_wide():
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (64, 4, 3, 3),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (64, 96),
        "model.diffusion_model.out.2.weight": (4, 64, 3, 3),
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (49408, 96),
    }
    found = identify(header(shapes)).found
    assert found is not None
    assert (found.kind, found.family, found.variant) == (ModelKind.CHECKPOINT, Family.SD1, "")


def test_what_was_trained_on_a_checkpoint_of_ours_is_of_the_family_its_trainer_wrote():
    name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    cases = [
        ({f"{name}.lora_down.weight": (4, 96), f"{name}.lora_up.weight": (64, 4)}, {"ss_base_model_version": "sd_v1"}),
        ({"emb_params": (4, 96)}, {"modelspec.architecture": "stable-diffusion-v1/textual-inversion"}),
        (
            {
                "input_hint_block.0.weight": (16, 3, 3, 3),
                "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (64, 96),
            },
            {"modelspec.architecture": "stable-diffusion-v1/control-net"},
        ),
    ]
    for shapes, metadata in cases:
        found = identify(header(shapes, **metadata)).found
        assert found is not None
        assert found.family is Family.SD1


def test_half_a_unet_is_not_a_checkpoint():
    identity = identify(header({"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}))
    assert identity.found is None
    assert any("half a UNet" in why for _, why in identity.reasons)


def test_a_unet_of_no_known_text_width_says_which_width():
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 555),
        "model.diffusion_model.out.2.weight": (4, 320, 3, 3),
    }
    identity = identify(header(shapes))
    assert identity.found is None
    assert any("555" in why for _, why in identity.reasons)


@pytest.mark.parametrize(
    ("words", "family", "variant"),
    [
        ({"_class_name": "StableDiffusionPipeline", "unet.cross_attention_dim": "768", "unet.in_channels": "4"},
         "sd1", ""),
        ({"_class_name": "StableDiffusionPipeline", "unet.cross_attention_dim": "1024",
          "scheduler.prediction_type": "v_prediction"}, "sd2", "v-prediction"),
        ({"_class_name": "StableDiffusionInpaintPipeline", "unet.cross_attention_dim": "768", "unet.in_channels": "9"},
         "sd1", "inpaint"),
        ({"_class_name": "StableDiffusionXLPipeline", "unet.cross_attention_dim": "2048"}, "sdxl", ""),
        ({"_class_name": "StableDiffusionXLImg2ImgPipeline", "unet.cross_attention_dim": "1280"}, "sdxl-refiner", ""),
        ({"_class_name": "StableDiffusion3Pipeline"}, "sd3", ""),
        ({"_class_name": "FluxPipeline"}, "flux", ""),
    ],
)  # fmt: skip
def test_a_diffusers_folder_is_told_by_its_configurations(words: dict[str, str], family: str, variant: str):
    found = identify(Header(format=ModelFormat.DIFFUSERS, metadata=words)).found
    assert found is not None
    assert (found.kind, found.family, found.variant) == (ModelKind.CHECKPOINT, family, variant)


def test_a_file_in_the_wrong_folder_says_what_it_is():
    assert mismatch(ModelKind.LORA, ModelKind.CHECKPOINT) == "model_is_checkpoint"
    assert mismatch(ModelKind.LORA, ModelKind.LORA) == ""
    assert mismatch(ModelKind.LORA, None) == "model_unknown"


def test_an_unknown_upscaler_is_left_to_its_loader():
    assert mismatch(ModelKind.UPSCALER, None) == ""
    assert mismatch(ModelKind.UPSCALER, ModelKind.LORA) == "model_is_lora"


def test_a_file_that_asks_for_more_than_weights_is_unsafe_whatever_it_is():
    assert mismatch(ModelKind.CHECKPOINT, ModelKind.CHECKPOINT, refused=("os.system",)) == "model_unsafe"


def test_every_reason_has_its_sentence_in_both_languages():
    for key in reason_keys():
        chinese, english = sentences()[key]
        assert chinese
        assert english
