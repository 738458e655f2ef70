"""Stable Diffusion XL: the real single-file layout, and the same answers as diffusers' pipelines."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.small import save_small_sdxl, small_sdxl

pytestmark = pytest.mark.torch

COND, UNCOND = "cond", "uncond"
WHOLE: dict[str, Any] = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20), "cross_attention_dim": 2048,
    "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816, "sample_size": 128, "norm_num_groups": 32,
}  # fmt: skip
"""stabilityai/stable-diffusion-xl-base-1.0's unet/config.json."""
REFINER: dict[str, Any] = WHOLE | {
    "block_out_channels": (384, 768, 1536, 1536),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 4, 4, 4), "attention_head_dim": (6, 12, 24, 24), "cross_attention_dim": 1280,
    "projection_class_embeddings_input_dim": 2560,
}  # fmt: skip
"""The refiner's; where a level has no attention its depth and heads say nothing."""
BIG: dict[str, Any] = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20,
    "hidden_act": "gelu", "projection_dim": 1280, "vocab_size": 49408, "max_position_embeddings": 77,
}  # fmt: skip


@pytest.fixture(scope="module")
def base() -> SimpleNamespace:
    return small_sdxl()


@pytest.fixture(scope="module")
def refiner() -> SimpleNamespace:
    return small_sdxl(refiner=True)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A small checkpoint, saved and loaded in fp32; one model for all who ask for the same, to be left bare."""
    import torch

    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache

    made: dict[tuple[Any, ...], Any] = {}

    def load(parts: Any, *, config: Path | None = None, **how: Any) -> Any:
        key = id(parts), config, repr(how)
        if key not in made:
            path = save_small_sdxl(tmp_path_factory.mktemp("sdxl") / "small.safetensors", parts, **how)
            record = ModelRecord(kind=ModelKind.CHECKPOINT, name="small", path=path, config=config)
            # Kept with its source: the key is only good as long as that lives.
            made[key] = ModelCache(torch.device("cpu")).load(record, None), parts
        return made[key][0]

    return load


def full_size(*, refiner: bool) -> Any:
    """The real layout at full size, shapes only."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    from tests.engine.families.test_sd1 import VAE, _shapes
    from webui.engine.keys import to_ldm

    first = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12, num_hidden_layers=12)
    with torch.device("meta"):
        return _shapes(
            to_ldm(
                unet=UNet2DConditionModel(**(REFINER if refiner else WHOLE)),
                vae=AutoencoderKL(**(VAE | {"scaling_factor": 0.13025})),
                text_encoder=None if refiner else CLIPTextModel(first),
                text_encoder_2=CLIPTextModelWithProjection(CLIPTextConfig(**BIG)),
            )
        )


@pytest.mark.parametrize("second", [False, True])
def test_full_size_shapes_give_the_published_configuration(second: bool) -> None:
    from webui.domain import Family
    from webui.engine.families import configured

    weights = full_size(refiner=second)
    family, parts = configured(weights)
    wanted = REFINER if second else WHOLE
    assert family is (Family.SDXL_REFINER if second else Family.SDXL)
    assert {key: parts.unet[key] for key in wanted} == wanted
    assert [part.name for part in parts.texts] == (["clip_g"] if second else ["clip_l", "clip_g"])
    assert {key: parts.texts[-1].config[key] for key in BIG} == BIG
    assert (parts.scale, (parts.vae or {})["scaling_factor"]) == (0.13025, 0.13025)
    assert parts.native_size == (1024, 1024)
    assert not parts.v_prediction
    assert not parts.zero_terminal_snr


def test_the_full_size_file_has_the_names_real_files_have() -> None:
    """A few of sd_xl_base_1.0.safetensors and sd_xl_refiner_1.0.safetensors, with their shapes."""
    names = {
        False: {
            "conditioner.embedders.0.transformer.text_model.encoder.layers.11.mlp.fc1.weight": (3072, 768),
            "conditioner.embedders.1.model.transformer.resblocks.31.attn.in_proj_weight": (3840, 1280),
            "conditioner.embedders.1.model.text_projection": (1280, 1280),
            "conditioner.embedders.1.model.positional_embedding": (77, 1280),
            "conditioner.embedders.1.model.ln_final.bias": (1280,),
            "model.diffusion_model.label_emb.0.0.weight": (1280, 2816),
            "model.diffusion_model.label_emb.0.2.bias": (1280,),
            "model.diffusion_model.input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
            "model.diffusion_model.middle_block.1.transformer_blocks.9.ff.net.0.proj.weight": (10240, 1280),
            "model.diffusion_model.output_blocks.2.2.conv.weight": (1280, 1280, 3, 3),
            "model.diffusion_model.output_blocks.5.2.conv.weight": (640, 640, 3, 3),
        },
        True: {
            "conditioner.embedders.0.model.transformer.resblocks.0.mlp.c_fc.weight": (5120, 1280),
            "model.diffusion_model.label_emb.0.0.weight": (1536, 2560),
            "model.diffusion_model.middle_block.1.transformer_blocks.3.attn2.to_k.weight": (1536, 1280),
            "model.diffusion_model.output_blocks.2.1.conv.weight": (1536, 1536, 3, 3),
        },
    }
    for second, wanted in names.items():
        weights = full_size(refiner=second)
        assert {name: weights.shape(name) for name in wanted} == wanted


def same(model: Any, parts: Any) -> None:
    """The loaded modules hold the source's weights bit for bit."""
    import torch

    pairs = [(model.unet, parts.unet), (model.vae, parts.vae), (model.texts[-1].module, parts.big)]
    for ours, theirs in [*pairs, *([(model.texts[0].module, parts.text)] if parts.text is not None else [])]:
        known = theirs.state_dict()
        assert list(ours.state_dict()) == list(known)
        assert all(torch.equal(value, known[name]) for name, value in ours.state_dict().items())


def test_base_and_refiner_load_bit_for_bit(
    base: SimpleNamespace, refiner: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    from webui.domain import Family

    for parts, family in ((base, Family.SDXL), (refiner, Family.SDXL_REFINER)):
        model = loaded(parts)
        same(model, parts)
        assert (model.family, model.scale, model.native_size) == (family, 0.13025, (1024, 1024))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_pickled_checkpoint_loads_the_same(
    base: SimpleNamespace, record: Callable[..., Any], tmp_path: Path, dtype: str
) -> None:
    import torch

    from webui.engine.cache import ModelCache
    from webui.engine.keys import to_ldm

    state = to_ldm(unet=base.unet, vae=base.vae, text_encoder=base.text, text_encoder_2=base.big)
    # The projection as it comes from `.T`: a view with strides of its own.
    kept = {name: value.to(getattr(torch, dtype)) for name, value in state.items()}
    torch.save({"state_dict": kept}, tmp_path / "x.ckpt")
    same(ModelCache(torch.device("cpu")).load(record(tmp_path / "x.ckpt"), None), base)


@pytest.mark.parametrize("second", [False, True])
def test_a_diffusers_folder_loads_the_same(
    base: SimpleNamespace, refiner: SimpleNamespace, record: Callable[..., Any], tmp_path: Path, second: bool
) -> None:
    import json

    import torch

    from webui.domain import Family
    from webui.engine.cache import ModelCache

    parts = refiner if second else base
    for name, module in (("unet", parts.unet), ("vae", parts.vae), ("text_encoder_2", parts.big)):
        module.save_pretrained(tmp_path / name)
    if not second:
        parts.text.save_pretrained(tmp_path / "text_encoder")
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    model = ModelCache(torch.device("cpu")).load(record(tmp_path), None)
    assert model.family is (Family.SDXL_REFINER if second else Family.SDXL)
    same(model, parts)


def test_the_single_file_is_what_diffusers_own_converters_read(base: SimpleNamespace, tmp_path: Path) -> None:
    import torch
    from diffusers.loaders import single_file_utils as theirs
    from safetensors.torch import load_file

    state = load_file(save_small_sdxl(tmp_path / "x.safetensors", base))
    unet = theirs.convert_ldm_unet_checkpoint(dict(state), dict(base.unet.config))
    big = theirs.convert_open_clip_checkpoint(base.big, dict(state), prefix="conditioner.embedders.1.model.")
    first = theirs.convert_ldm_clip_checkpoint(dict(state), remove_prefix="conditioner.embedders.0.transformer.")
    known = {name.removeprefix("text_model."): value for name, value in base.text.state_dict().items()}
    found = {name.removeprefix("text_model."): value for name, value in first.items()}
    assert all(torch.equal(found[name].float(), value) for name, value in known.items())
    for made, module in ((unet, base.unet), (big, base.big)):
        wanted = module.state_dict()
        assert set(made) >= set(wanted)
        assert all(torch.equal(made[name].float(), value) for name, value in wanted.items())


def test_a_file_without_its_second_text_encoder_is_said_to_lack_one() -> None:
    from webui.domain.errors import BrokenFile
    from webui.engine.families import configured
    from webui.engine.weights import Weights

    whole = full_size(refiner=False)
    for prefix in ("conditioner.embedders.0.", "conditioner.embedders.1.model."):
        entries = {name: entry for name, entry in whole.entries.items() if not name.startswith(prefix)}
        with pytest.raises(BrokenFile, match="text encoder"):
            configured(Weights(Path("x"), entries | {"conditioner.embedders.1.x": next(iter(entries.values()))}))


# What the file says of its answers and noise levels


def test_velocity_and_pure_noise_are_known_by_marks_metadata_and_yaml(
    base: SimpleNamespace, loaded: Callable[..., Any], tmp_path: Path
) -> None:
    yaml = tmp_path / "small.yaml"
    yaml.write_text(
        "model:\n  params:\n    denoiser_config:\n      params:\n        scaling_config:\n"
        "          target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling\n"
    )
    cases: list[tuple[dict[str, Any], str, bool]] = [
        ({}, "eps", False),
        ({"marks": ("v_pred", "ztsnr")}, "v", True),
        ({"marks": ("v_pred",)}, "v", False),
        ({"metadata": {"modelspec.prediction_type": "v"}}, "v", False),
        ({"metadata": {"ss_v_parameterization": "True", "ss_zero_terminal_snr": "True"}}, "v", True),
        ({"config": yaml}, "v", False),
    ]
    for told, kind, pure in cases:
        prediction = loaded(base, **told).prediction
        assert (prediction.kind, prediction.sigma_max > 4000) == (kind, pure), told


def test_a_folders_scheduler_says_it_too(base: SimpleNamespace, tmp_path: Path) -> None:
    from webui.engine.families.sdxl import configure
    from webui.engine.weights import Weights

    extra = {
        "unet": dict(base.unet.config), "text_encoder": base.text.config.to_dict(),
        "text_encoder_2": base.big.config.to_dict(),
        "scheduler": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    }  # fmt: skip
    parts = configure(Weights(tmp_path, {}, extra=extra))
    assert (parts.v_prediction, parts.zero_terminal_snr) == (True, True)


def test_what_a_person_says_is_worn_over_the_files_word_and_comes_off(
    base: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    import torch

    from webui.engine.patches.prediction import NoiseLevels, Quantized

    model = loaded(base)
    before = model.prediction
    both = NoiseLevels(downcast=True, zero_snr=True, kind="v")
    with model.wearing([both, Quantized()]):
        assert (model.prediction.kind, model.prediction.quantize) == ("v", True)
        assert model.prediction.sigma_max > 4000
        with model.wearing([Quantized()]):
            assert torch.equal(model.prediction.alphas_cumprod, before.alphas_cumprod)
            assert (model.prediction.kind, model.prediction.quantize) == ("eps", True)
    model.bare()
    assert torch.equal(model.prediction.alphas_cumprod, before.alphas_cumprod)
    assert not model.prediction.quantize
    stretched = loaded(base, marks=("ztsnr",))
    known = stretched.prediction.alphas_cumprod.clone()
    with stretched.wearing([NoiseLevels(zero_snr=True)]):
        assert torch.equal(stretched.prediction.alphas_cumprod, known), "not stretched twice"


# Text


def pipeline(cls: Any, parts: Any, scheduler: Any, **more: Any) -> Any:
    """A diffusers pipeline around these very modules, with transformers' own tokenizers."""
    from transformers import CLIPTokenizer

    from webui.prompt.tokens import merges, vocabulary

    pairs = merges()

    def tokenizer(pad: str) -> Any:
        made = CLIPTokenizer(vocab=vocabulary(pairs), merges=pairs, pad_token=pad)
        made.model_max_length = 77
        return made

    return cls(
        vae=parts.vae, text_encoder=parts.text, text_encoder_2=parts.big, unet=parts.unet, scheduler=scheduler,
        tokenizer=None if parts.text is None else tokenizer("<|endoftext|>"), tokenizer_2=tokenizer("!"),
        add_watermarker=False, **more,
    )  # fmt: skip


def euler(*, kind: str = "epsilon", pure: bool = False) -> Any:
    """diffusers' Euler on Stable Diffusion's levels; at 4 steps its timesteps are whole numbers (999, 666, 333, 0)."""
    from diffusers import EulerDiscreteScheduler

    from webui.engine.prediction import scaled_linear_alphas, zero_terminal_snr

    made = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind,
        timestep_spacing="linspace",
    )  # fmt: skip
    if pure:
        # A1111's last level; diffusers' own rescaling ends at 2**-24.
        made.alphas_cumprod = zero_terminal_snr(scaled_linear_alphas())
    return made


def framing(width: int = 64, height: int = 64, **more: Any) -> Any:
    from webui.engine.families.parts import Framing

    return Framing(width=width, height=height, **more)


def encoded(model: Any, prompts: list[str], role: str = COND, **more: Any) -> Any:
    return model.encode_texts(prompts, role, framing=more.pop("framing", framing()), **more)


PROMPT, NEGATIVE = "a red circle above a blue square", "blurry"


def test_prompts_are_heard_as_diffusers_pipeline_hears_them(base: SimpleNamespace, loaded: Callable[..., Any]) -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    model = loaded(base)
    theirs = pipeline(StableDiffusionXLPipeline, base, euler())
    for prompt in (PROMPT, "", "word " * 60, "Café, 2024"):
        states, _, pooled, _ = theirs.encode_prompt(prompt, do_classifier_free_guidance=False)
        (ours,) = encoded(model, [prompt])
        assert torch.allclose(ours.states, states[0], atol=1e-5)
        assert torch.allclose(ours.extras["pooled"], pooled[0], atol=1e-5)
    assert ours.extras["numbers"].tolist() == [64, 64, 0, 0, 64, 64]


def test_an_empty_negative_is_zeros_and_only_when_all_of_it_is_empty(
    base: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    model = loaded(base)
    (silent,) = encoded(model, [""], UNCOND)
    assert not silent.states.any()
    assert not silent.extras["pooled"].any()
    assert silent.extras["numbers"].tolist() == [64, 64, 0, 0, 64, 64]
    assert encoded(model, [""], COND)[0].states.any()
    first, second = encoded(model, ["x", ""], UNCOND)
    assert first.states.any()
    assert second.states.any(), "[x::5] becomes empty later and is then the text of nothing, as in A1111"


def test_size_crop_and_score_are_told_as_a1111_tells_them(
    base: SimpleNamespace, refiner: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    told = framing(832, 1216, crop_top=3, crop_left=5)
    assert loaded(base).told(told, COND) == (1216, 832, 3, 5, 1216, 832)
    model = loaded(refiner)
    assert model.told(told, COND) == (1216, 832, 3, 5, 6.0)
    assert model.told(told, UNCOND) == (1216, 832, 3, 5, 2.5)
    assert model.told(replace(told, score=9.0, negative_score=1.0), UNCOND) == (1216, 832, 3, 5, 1.0)


def test_long_prompts_stand_in_chunks_with_the_pooled_text_of_the_first(
    base: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    import torch

    model = loaded(base)
    (whole,) = encoded(model, ["one, " * 30 + "BREAK two"])
    (first,), (second,) = encoded(model, ["one, " * 30]), encoded(model, ["two"])
    assert whole.states.shape == (154, 128)
    assert torch.allclose(whole.states[:77], first.states, atol=1e-6)
    assert torch.allclose(whole.states[77:], second.states, atol=1e-6)
    assert torch.allclose(whole.extras["pooled"], first.extras["pooled"], atol=1e-6)


def test_emphasis_is_made_up_for_by_each_encoder_apart(base: SimpleNamespace, loaded: Callable[..., Any]) -> None:
    import torch

    from webui.engine.text import listen

    model = loaded(base)
    (both,) = encoded(model, ["a (red:1.5) circle"])
    (plain,) = encoded(model, ["a red circle"])
    for encoder, span in zip(model.texts, (slice(0, 64), slice(64, 128)), strict=True):
        (alone,) = listen(["a (red:1.5) circle"], encoder, model.tokenizer)
        assert torch.equal(both.states[:, span], alone.states)
        assert torch.isclose(both.states[:, span].mean(), plain.states[:, span].mean(), rtol=1e-3)
    assert torch.equal(both.extras["pooled"], plain.extras["pooled"]), "the pooled text knows no weights"


def test_clip_skip_counts_for_the_first_encoder_alone_and_only_when_asked(
    base: SimpleNamespace, loaded: Callable[..., Any]
) -> None:
    import torch

    model = loaded(base)
    (plain,) = encoded(model, [PROMPT])
    assert torch.equal(encoded(model, [PROMPT], clip_skip=2)[0].states, plain.states)
    (same,) = encoded(model, [PROMPT], clip_skip=2, clip_l_skip=True)
    assert torch.equal(same.states, plain.states), "two is where SDXL listens anyway"
    (deeper,) = encoded(model, [PROMPT], clip_skip=3, clip_l_skip=True)
    assert not torch.equal(deeper.states[:, :64], plain.states[:, :64])
    assert torch.equal(deeper.states[:, 64:], plain.states[:, 64:])
    ids = [[49406, *model.tokenizer.encode(PROMPT)]]
    ids = torch.tensor([ids[0] + [49407] * (77 - len(ids[0]))])
    hidden = base.text(ids, output_hidden_states=True).hidden_states
    assert torch.allclose(deeper.states[:, :64], hidden[-3][0], atol=1e-5), "without the final norm"


def test_an_embedding_stands_in_both_encoders_with_its_own_vectors(
    base: SimpleNamespace, loaded: Callable[..., Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.catalog.embeddings import Embedding
    from webui.engine.embeddings import Shelf

    model = loaded(base)
    red = model.tokenizer.encode("red")
    tables = [each.clip.embeddings.token_embedding.weight for each in model.texts]
    save_file({"clip_l": tables[0][red].clone(), "clip_g": tables[1][red].clone()}, tmp_path / "rouge.safetensors")
    pair = Embedding(
        name="rouge", record=record(tmp_path / "rouge.safetensors"), vectors=1, widths=(("clip_l", 64), ("clip_g", 64))
    )
    shelf = Shelf({"rouge": pair}, model.tokenizer, widths=model.text_widths)
    (named,) = encoded(model, ["a rouge circle"], embeddings=shelf.sides)
    (plain,) = encoded(model, ["a red circle"])
    assert torch.equal(named.states, plain.states)
    assert torch.equal(named.extras["pooled"], plain.extras["pooled"])
    narrow = Embedding(name="thin", record=pair.record, vectors=1, widths=(("", 64),))
    assert Shelf({"thin": narrow}, model.tokenizer, widths=model.text_widths).named_in(["thin"]) == ([], ["thin"])


# Pictures


class Said:
    """Conditioning that never changes."""

    def __init__(self, prompt: Any, negative: Any) -> None:
        self.prompt, self.negative = prompt, negative

    def at(self, call: int) -> Any:
        return [[(self.prompt, 1.0)]], [self.negative]


class NoNoise:
    def next(self) -> Any:
        raise AssertionError("Euler draws nothing")

    def between(self, sigma: float, sigma_next: float) -> Any:
        raise AssertionError("Euler draws nothing")


def sampled(model: Any, x: Any, sigmas: Any, *, prompt: str, negative: str, concat: Any = None) -> Any:
    """Our Euler from x down these sigmas; cfg scale 5."""
    from webui.catalog.samplers import SAMPLERS
    from webui.engine.guidance import guided
    from webui.engine.samplers.k import euler as ours

    assert SAMPLERS.find("Euler") is not None
    said = Said(encoded(model, [prompt])[0], encoded(model, [negative], UNCOND)[0])
    guide = guided(model.denoise, said, cfg_scale=5.0, batch=1, steps=len(sigmas) - 1, concat=concat)
    return ours(guide, x, sigmas, noise=NoNoise(), on_step=lambda *_: None)


def noise(seed: int = 3, side: int = 8) -> Any:
    import torch

    return torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(seed))


def near(ours: Any, theirs: Any) -> bool:
    """To 1e-4 of the largest value."""
    return float((ours - theirs).abs().max()) <= 1e-4 * float(theirs.abs().max())


@pytest.mark.parametrize(("kind", "pure"), [("epsilon", False), ("v_prediction", False), ("v_prediction", True)])
@pytest.mark.parametrize("negative", [NEGATIVE, ""])
def test_text_to_image_equals_diffusers_pipeline(
    base: SimpleNamespace, loaded: Callable[..., Any], kind: str, pure: bool, negative: str
) -> None:
    from diffusers import StableDiffusionXLPipeline

    model = loaded(base, marks=("v_pred",) * (kind != "epsilon") + ("ztsnr",) * pure)
    theirs = pipeline(StableDiffusionXLPipeline, base, euler(kind=kind, pure=pure)).__call__(
        PROMPT, negative_prompt=negative or None, num_inference_steps=4, guidance_scale=5.0, width=64, height=64,
        latents=noise(), output_type="latent",
    ).images  # fmt: skip
    sigmas = model.prediction.uniform(4)
    ours = sampled(model, noise() * sigmas[0], sigmas, prompt=PROMPT, negative=negative)
    assert near(ours, theirs)


def test_other_sizes_make_other_pictures(base: SimpleNamespace, loaded: Callable[..., Any]) -> None:
    import torch

    model = loaded(base)
    sigma = torch.tensor([3.0])
    said = [Said(encoded(model, [PROMPT], framing=framing(*size))[0], None) for size in ((64, 64), (1024, 512))]
    from webui.engine.guidance import guided

    small, large = (guided(model.denoise, each, cfg_scale=1.0, batch=1, steps=1)(noise() * 3, sigma) for each in said)
    assert not torch.allclose(small, large, atol=1e-3)


@pytest.fixture
def picture() -> Iterator[Any]:
    import torch

    yield torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(9))


def test_image_to_image_equals_diffusers_pipeline(
    base: SimpleNamespace, loaded: Callable[..., Any], picture: Any
) -> None:
    import torch
    from diffusers import StableDiffusionXLImg2ImgPipeline

    model = loaded(base)
    latent = model.encode(picture)
    mode = base.vae.encode(picture * 2 - 1).latent_dist.mode() * 0.13025
    assert torch.allclose(latent, mode, atol=1e-5)
    theirs = pipeline(StableDiffusionXLImg2ImgPipeline, base, euler()).__call__(
        PROMPT, image=latent, negative_prompt=NEGATIVE, strength=0.75, num_inference_steps=4, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3), original_size=(64, 64), target_size=(64, 64), output_type="latent",
    ).images  # fmt: skip
    sigmas = model.prediction.uniform(4)[1:]
    ours = sampled(model, latent + noise() * sigmas[0], sigmas, prompt=PROMPT, negative=NEGATIVE)
    assert near(ours, theirs)


def test_the_refiner_equals_diffusers_pipeline(
    refiner: SimpleNamespace, loaded: Callable[..., Any], picture: Any
) -> None:
    import torch
    from diffusers import StableDiffusionXLImg2ImgPipeline

    model = loaded(refiner)
    latent = model.encode(picture)
    theirs = pipeline(StableDiffusionXLImg2ImgPipeline, refiner, euler(), requires_aesthetics_score=True).__call__(
        PROMPT, image=latent, negative_prompt=NEGATIVE, strength=0.5, num_inference_steps=4, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3), original_size=(64, 64), target_size=(64, 64), output_type="latent",
    ).images  # fmt: skip
    sigmas = model.prediction.uniform(4)[2:]
    ours = sampled(model, latent + noise() * sigmas[0], sigmas, prompt=PROMPT, negative=NEGATIVE)
    assert near(ours, theirs)


def test_inpainting_with_nine_channels_equals_diffusers_pipeline(loaded: Callable[..., Any], picture: Any) -> None:
    import torch
    from diffusers import StableDiffusionXLInpaintPipeline

    parts = small_sdxl(channels=9)
    model = loaded(parts)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 16:48, 24:56] = 1
    masked = model.encode(torch.where(mask.bool(), torch.full_like(picture, 0.5), picture))
    theirs = pipeline(StableDiffusionXLInpaintPipeline, parts, euler()).__call__(
        PROMPT, image=picture, mask_image=mask, negative_prompt=NEGATIVE, strength=1.0, num_inference_steps=4,
        guidance_scale=5.0, width=64, height=64, latents=noise(), masked_image_latents=masked, output_type="latent",
    ).images  # fmt: skip
    sigmas = model.prediction.uniform(4)
    small = mask[:, :, ::8, ::8]
    ours = sampled(
        model, noise() * sigmas[0], sigmas, prompt=PROMPT, negative=NEGATIVE, concat=torch.cat([small, masked], dim=1)
    )
    assert near(ours, theirs)


def test_adapters_find_its_layers_under_every_trainers_name(base: SimpleNamespace, loaded: Callable[..., Any]) -> None:
    from webui.engine.patches.layers import modules, split

    model = loaded(base)
    table = modules(model)
    for name, module in {
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k.lora_up.weight": (
            model.unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2.to_k
        ),
        "lora_unet_down_blocks_1_attentions_0_proj_in.lora_up.weight": model.unet.down_blocks[1].attentions[0].proj_in,
        "lora_unet_label_emb_0_0.lora_up.weight": model.unet.add_embedding.linear_1,
        "lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight": (
            model.texts[0].clip.encoder.layers[0].self_attn.q_proj
        ),
        "lora_te2_text_model_encoder_layers_1_mlp_fc1.lora_up.weight": model.texts[1].clip.encoder.layers[1].mlp.fc1,
        "lora_te2_text_projection.lora_up.weight": model.texts[1].module.text_projection,
        "text_encoder_2.text_model.encoder.layers.0.self_attn.out_proj.lora_A.weight": (
            model.texts[1].clip.encoder.layers[0].self_attn.out_proj
        ),
    }.items():
        found = split(name)
        assert found is not None
        assert table[found[0]] is module, name
