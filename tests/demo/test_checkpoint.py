"""The file the recipe writes is a Stable Diffusion 1 checkpoint, key for key, and gives back what it was made of."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors import safe_open  # noqa: E402

from webui.demo import checkpoint, text, unet, vae  # noqa: E402
from webui.demo.drawings import words  # noqa: E402
from webui.demo.sample import sample  # noqa: E402

pytestmark = pytest.mark.torch

PROMPT = "a red circle on a blue background"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> text.Vocabulary:
    return text.vocabulary(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def parts(known: text.Vocabulary):
    torch.manual_seed(0)
    return unet.fresh().eval(), vae.fresh().eval(), text.fresh(known).eval()


@pytest.fixture(scope="module")
def file(parts, known: text.Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, autoencoder, encoder = parts
    return checkpoint.export(
        tmp_path_factory.mktemp("checkpoint") / "demo.safetensors",
        unet=model,
        vae=autoencoder,
        encoder=text.spread(encoder, known),
        size=128,
        trained="Not at all.",
    )


def keys(file: Path) -> set[str]:
    with safe_open(file, "pt") as opened:
        return set(opened.keys())


def sd1_keys() -> set[str]:
    """The keys of Stable Diffusion 1's single file, from the shape of its modules (CompVis, v1-inference.yaml)."""

    def named(prefix: str, *names: str) -> set[str]:
        return {f"{prefix}.{name}.{ending}" for name in names for ending in ("weight", "bias")}

    def residual(prefix: str, *, skips: bool) -> set[str]:
        names = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3"]
        return named(prefix, *names, *(["skip_connection"] if skips else []))

    def attending(prefix: str) -> set[str]:
        block = f"{prefix}.transformer_blocks.0"
        found = named(prefix, "norm", "proj_in", "proj_out")
        found |= named(
            block, "norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2", "attn1.to_out.0", "attn2.to_out.0"
        )
        return found | {f"{block}.attn{n}.to_{what}.weight" for n in (1, 2) for what in "qkv"}

    root = "model.diffusion_model"
    found = named(root, "time_embed.0", "time_embed.2", "input_blocks.0.0", "out.0", "out.2")
    for block in (1, 2, 4, 5, 7, 8, 10, 11):
        found |= residual(f"{root}.input_blocks.{block}.0", skips=block in (4, 7))
        found |= attending(f"{root}.input_blocks.{block}.1") if block < 10 else set()
    for block in (3, 6, 9):
        found |= named(f"{root}.input_blocks.{block}.0", "op")
    found |= residual(f"{root}.middle_block.0", skips=False) | residual(f"{root}.middle_block.2", skips=False)
    found |= attending(f"{root}.middle_block.1")
    for block in range(12):
        found |= residual(f"{root}.output_blocks.{block}.0", skips=True)
        found |= attending(f"{root}.output_blocks.{block}.1") if block > 2 else set()
    for block, place in ((2, 1), (5, 2), (8, 2)):
        found |= named(f"{root}.output_blocks.{block}.{place}", "conv")

    root = "first_stage_model"
    found |= named(root, "quant_conv", "post_quant_conv")
    for half, layers in (("encoder", 2), ("decoder", 3)):
        stem = f"{root}.{half}"
        found |= named(stem, "conv_in", "norm_out", "conv_out")
        found |= named(f"{stem}.mid.attn_1", "norm", "q", "k", "v", "proj_out")
        blocks = [f"{stem}.mid.block_{n}" for n in (1, 2)]
        for level in range(4):
            way = "down" if half == "encoder" else "up"
            blocks += [f"{stem}.{way}.{level}.block.{layer}" for layer in range(layers)]
        for block in blocks:
            found |= named(block, "norm1", "conv1", "norm2", "conv2")
        # Channels change on the way down at levels 1 and 2, on the way up at 1 and 0.
        wider = ("down.1", "down.2") if half == "encoder" else ("up.1", "up.0")
        for place in wider:
            found |= named(f"{stem}.{place}.block.0", "nin_shortcut")
        scaled = (
            [f"down.{n}.downsample" for n in range(3)] if half == "encoder" else [f"up.{n}.upsample" for n in (1, 2, 3)]
        )
        for place in scaled:
            found |= named(f"{stem}.{place}", "conv")

    root = "cond_stage_model.transformer.text_model"
    found |= {
        f"{root}.embeddings.{name}" for name in ("token_embedding.weight", "position_embedding.weight", "position_ids")
    }
    found |= named(root, "final_layer_norm")
    for layer in range(12):
        stem = f"{root}.encoder.layers.{layer}"
        found |= named(stem, "layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2")
        found |= named(f"{stem}.self_attn", "q_proj", "k_proj", "v_proj", "out_proj")
    return found


def test_the_file_has_exactly_the_keys_of_stable_diffusion_1(file: Path):
    assert len(sd1_keys()) == 686 + 248 + 197
    assert keys(file) == sd1_keys()


def test_the_file_is_at_most_thirty_megabytes_of_half_precision(file: Path):
    assert file.stat().st_size <= 30_000_000
    with safe_open(file, "pt") as opened:
        kinds = {opened.get_slice(key).get_dtype() for key in keys(file) if not key.endswith("position_ids")}
    assert kinds == {"F16"}


def test_the_parts_come_back_as_they_were_but_for_rounding(file: Path, parts, known: text.Vocabulary):
    model, autoencoder, encoder = parts
    back, size = checkpoint.opened(file, text.clip_rows())
    assert size == 128
    for made, read in ((model, back.unet), (autoencoder, back.vae), (text.spread(encoder, known), back.encoder)):
        for key, tensor in made.state_dict().items():
            assert torch.equal(tensor.half().float(), read.state_dict()[key]), key


def test_the_spread_encoder_reads_a_prompt_as_the_compact_one_did(parts, known: text.Vocabulary):
    compact = parts[2]
    spread = text.spread(compact, known)
    with torch.no_grad():
        wanted = compact(input_ids=torch.tensor([known.rows(PROMPT, 77)])).last_hidden_state
        found = spread(input_ids=torch.tensor([text.clip_rows()(PROMPT)])).last_hidden_state
    assert torch.equal(wanted, found)


def test_diffusers_reads_the_same_unet_from_the_file(file: Path, parts, tmp_path: Path):
    from diffusers import UNet2DConditionModel

    config = checkpoint.header(file)["unet"]
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text(json.dumps({**config, "_class_name": "UNet2DConditionModel"}))
    read = UNet2DConditionModel.from_single_file(
        str(file), config=str(tmp_path), subfolder="unet", local_files_only=True
    )
    for key, tensor in parts[0].state_dict().items():
        assert torch.equal(tensor.half().float(), read.state_dict()[key]), key


def test_the_header_says_what_weights_cannot(file: Path):
    config = checkpoint.header(file)
    assert config["native_size"] == [128, 128]
    assert config["unet"]["norm_num_groups"] == 4
    assert config["unet"]["attention_head_dim"] == 2
    assert config["vae"]["layers_per_block"] == 2
    assert config["text_encoder"]["num_attention_heads"] == 4
    assert config["prediction_type"] == "epsilon"
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["modelspec.resolution"] == "128x128"


def test_the_same_seed_gives_the_same_picture(file: Path):
    parts, _ = checkpoint.opened(file, text.clip_rows())
    first, again, other = sample(parts, [PROMPT] * 3, seeds=[1, 1, 2], size=64, steps=2)
    assert first.size == (64, 64)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_words_of_captions_keep_their_own_rows_and_others_share_the_unknown_ones(known: text.Vocabulary):
    assert len({tuple(known.ids[word]) for word in words()}) == len(words())
    unknown = known.row_of(9999 if 9999 not in known.used else 9998)
    assert len(known.used) <= unknown < len(known.used) + text.UNKNOWN
    assert known.row_of(text.EOS) == known.eos == known.size - 1


def test_latents_are_standardised_exactly():
    torch.manual_seed(1)
    autoencoder = vae.fresh().eval()
    pictures = torch.rand(6, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        plain = autoencoder.encode(pictures).latent_dist.mean
        answer = autoencoder.decode(plain).sample
        vae.standardise(autoencoder, plain.mean((0, 2, 3)), plain.std((0, 2, 3)) * vae.SCALE)
        moved = autoencoder.encode(pictures).latent_dist.mean
        again = autoencoder.decode(moved).sample
    assert torch.allclose((moved * vae.SCALE).std((0, 2, 3)), torch.ones(4), atol=1e-3)
    assert torch.allclose((moved * vae.SCALE).mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(again, answer, atol=1e-3)
