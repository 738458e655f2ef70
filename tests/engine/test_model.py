"""A loaded model: the same answers as its modules, whatever the file was; what it refuses; what it wears."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from webui.domain.errors import BrokenFile, NotANumber, OutOfMemory, UnsupportedModel, WrongKind

pytestmark = pytest.mark.torch


def _load(record: Any, **precision: Any) -> Any:
    import torch

    from webui.engine.cache import ModelCache
    from webui.engine.device import Precision

    return ModelCache(torch.device("cpu"), Precision(**precision)).load(record, None)


def _call(role: str, *, tokens: int = 77, seed: int = 0, rows: int = 1) -> Any:
    import torch

    from webui.engine.types import Call

    generator = torch.Generator().manual_seed(seed)
    return Call(
        role=role,
        rows=tuple(range(rows)),
        x=torch.randn(rows, 4, 8, 8, generator=generator) * 3,
        sigma=torch.full((rows,), 3.0),
        context=torch.randn(rows, tokens, 64, generator=generator),
    )


def _where() -> Any:
    from webui.engine.types import StepContext

    return StepContext(call=0, step=0, calls=1, steps=1)


def _save(state: dict[str, Any], path: Path, how: str) -> Path:
    import torch
    from safetensors.torch import save_file

    if how == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state} if how == "wrapped" else state, path)
    return path


def _same_answers(model: Any, tiny: SimpleNamespace) -> None:
    import torch

    x, states = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64)
    with torch.no_grad():
        assert torch.equal(model.unet(x, 5, states)[0], tiny.unet(x, 5, states)[0])
        assert torch.equal(model.vae.decode(x).sample, tiny.vae.decode(x).sample)
        ids = torch.arange(77)[None]
        assert torch.equal(model.text_encoder(ids).last_hidden_state, tiny.text(ids).last_hidden_state)


@pytest.mark.parametrize(
    ("ending", "how"), [("safetensors", "safetensors"), ("ckpt", "wrapped"), ("pt", "bare"), ("pth", "bare")]
)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_checkpoint_answers_bit_for_bit_as_what_it_was_saved_from(
    tiny: SimpleNamespace,
    tiny_state: dict[str, Any],
    record: Callable[..., Any],
    tmp_path: Path,
    ending: str,
    how: str,
    dtype: str,
) -> None:
    import torch

    state = {name: value.to(getattr(torch, dtype)) for name, value in tiny_state.items()}
    _same_answers(_load(record(_save(state, tmp_path / f"模型 (1).{ending}", how))), tiny)


def test_bf16_checkpoints_load(tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path) -> None:
    import torch

    state = {name: value.bfloat16() for name, value in tiny_state.items()}
    model = _load(record(_save(state, tmp_path / "x.safetensors", "safetensors")))
    assert model.dtype == torch.float32
    assert torch.equal(model.unet.conv_in.weight, state["model.diffusion_model.input_blocks.0.0.weight"].float())


def test_in_its_own_type_nothing_is_copied(tiny_checkpoint: Path, record: Callable[..., Any]) -> None:
    import torch

    model = _load(record(tiny_checkpoint), unet=None, text=None, vae=None)
    assert {p.dtype for part in (model.unet, model.vae, model.text_encoder) for p in part.parameters()} == {
        torch.float16
    }
    (x0,) = model.denoise([_call("cond")], _where())
    assert x0.dtype == torch.float32
    assert x0.isfinite().all()


def test_legacy_text_names_and_leftover_keys_load(
    tiny: SimpleNamespace, tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    state = {name.replace("transformer.text_model.", "transformer."): value for name, value in tiny_state.items()}
    state["cond_stage_model.transformer.embeddings.position_ids"] = torch.arange(77)[None]
    state["model_ema.decay"] = torch.tensor(0.9)
    state["cond_stage_model.logit_scale"] = torch.tensor(4.6)
    _same_answers(_load(record(_save(state, tmp_path / "nai.ckpt", "wrapped"))), tiny)


def test_running_averages_are_ignored_unless_asked_for(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    from webui.engine.device import Precision
    from webui.engine.keys import UNET, ema_name
    from webui.engine.model import load_model, open_model

    plain = {name: value for name, value in tiny_state.items() if name.startswith(UNET)}
    averages = {ema_name(name.removeprefix(UNET)): value * 2 for name, value in plain.items()}
    rec = record(_save(tiny_state | averages, tmp_path / "x.safetensors", "safetensors"))

    def first_weight(*, ema: bool) -> Any:
        return load_model(
            open_model(rec), None, device=torch.device("cpu"), precision=Precision(), ema=ema
        ).unet.conv_in.weight

    stored = tiny_state[f"{UNET}input_blocks.0.0.weight"].float()
    assert torch.equal(first_weight(ema=False), stored)
    assert torch.equal(first_weight(ema=True), stored * 2)


def test_a_checkpoint_without_vae_loads_and_says_so_when_asked_to_decode(
    tiny_state: dict[str, Any], tiny_checkpoint: Path, record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    from webui.engine.model import wear_vae
    from webui.engine.vae import NoVae

    state = {name: value for name, value in tiny_state.items() if not name.startswith("first_stage_model.")}
    model = _load(record(_save(state, tmp_path / "bare.safetensors", "safetensors")))
    assert not model.has_vae
    with pytest.raises(NoVae):
        model.decode(torch.zeros(1, 4, 4, 4))
    wear_vae(model, record(tiny_checkpoint))
    assert model.decode(torch.zeros(1, 4, 4, 4)).shape == (1, 3, 32, 32)


def test_a_missing_weight_is_named(tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path) -> None:
    state = {name: value for name, value in tiny_state.items() if name != "model.diffusion_model.out.2.bias"}
    with pytest.raises(BrokenFile, match=r"conv_out\.bias"):
        _load(record(_save(state, tmp_path / "x.safetensors", "safetensors")))


@pytest.mark.parametrize(
    "name",
    [
        "model.diffusion_model.input_blocks.0.0.weight",
        "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "first_stage_model.decoder.conv_in.weight",
        "first_stage_model.decoder.conv_out.weight",
        "first_stage_model.decoder.up.0.block.0.conv1.weight",
    ],
)
def test_a_weight_of_a_senseless_shape_is_a_broken_file(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    import torch

    for shape in ((), (0,), (7, 5)):
        path = _save(tiny_state | {name: torch.zeros(shape).half()}, tmp_path / "x.safetensors", "safetensors")
        with pytest.raises((BrokenFile, WrongKind, UnsupportedModel)):
            _load(record(path))


@pytest.mark.parametrize("channels", [9, 8])
def test_a_network_of_more_channels_reads_them_beside_x_and_says_when_they_are_not_there(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path, channels: int
) -> None:
    from dataclasses import replace

    import torch

    from webui.engine.model import NoPicture

    generator = torch.Generator().manual_seed(5)
    wide = torch.randn(32, channels, 3, 3, generator=generator).half() / 10
    state = tiny_state | {"model.diffusion_model.input_blocks.0.0.weight": wide}
    model = _load(record(_save(state, tmp_path / "x.safetensors", "safetensors")))
    call = _call("cond")
    with pytest.raises(NoPicture):
        model.denoise([call], _where())
    beside = [torch.randn(1, channels - 4, 8, 8, generator=generator) for _ in range(2)]
    seen: list[Any] = []
    model.unet.register_forward_pre_hook(lambda _unet, given: seen.append(given[0].clone()))
    one, other = (model.denoise([replace(call, extras={"concat": each})], _where())[0] for each in beside)
    assert not torch.allclose(one, other)
    assert torch.equal(seen[0][:, 4:], beside[0]), "they are not scaled with sigma"


def test_channels_a_network_has_no_place_for_are_left_out(tiny_model: Any) -> None:
    """A refiner of four channels takes over from an inpainting model."""
    from dataclasses import replace

    import torch

    call = _call("cond")
    with_more = replace(call, extras={"concat": torch.ones(1, 5, 8, 8)})
    assert torch.equal(tiny_model.denoise([with_more], _where())[0], tiny_model.denoise([call], _where())[0])


@pytest.mark.parametrize(
    ("sign", "shape", "family"),
    [
        ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", (320, 1024), "sd2"),
        ("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", (4, 4), "sd3"),
        ("double_blocks.0.img_attn.qkv.weight", (4, 4), "flux"),
    ],
)
def test_other_families_are_refused_by_name(
    record: Callable[..., Any], tmp_path: Path, sign: str, shape: tuple[int, ...], family: str
) -> None:
    import torch

    with pytest.raises(UnsupportedModel) as refused:
        _load(record(_save({sign: torch.zeros(shape)}, tmp_path / "x.safetensors", "safetensors")))
    assert refused.value.fields["family"] == family


@pytest.mark.parametrize(
    ("name", "kind"), [("lora_unet_x.lora_up.weight", "lora"), ("decoder.conv_in.weight", "vae"), ("x", "other")]
)
def test_a_file_that_is_no_checkpoint_says_what_it_is(
    record: Callable[..., Any], tmp_path: Path, name: str, kind: str
) -> None:
    import torch

    with pytest.raises(WrongKind) as refused:
        _load(record(_save({name: torch.zeros(1)}, tmp_path / "x.safetensors", "safetensors")))
    assert refused.value.fields["found"] == kind


def test_weights_that_are_nan_are_an_error_not_a_black_picture(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    state = dict(tiny_state)
    state["model.diffusion_model.out.2.bias"] = state["model.diffusion_model.out.2.bias"] * float("nan")
    model = _load(record(_save(state, tmp_path / "x.safetensors", "safetensors")))
    with pytest.raises(NotANumber):
        model.denoise([_call("cond")], _where())


def test_calls_of_one_length_share_a_forward_cond_first(tiny_model: Any) -> None:
    import torch

    seen: list[Any] = []
    tiny_model.unet.register_forward_pre_hook(lambda _unet, given: seen.append(given[0].clone()))
    uncond, cond = _call("uncond", seed=1), _call("cond", seed=2)
    answers = tiny_model.denoise([uncond, cond], _where())
    assert len(seen) == 1
    scale = tiny_model.prediction.c_in(torch.tensor(3.0))
    assert torch.equal(seen[0], torch.cat([cond.x, uncond.x]) * scale)
    alone = tiny_model.denoise([uncond], _where())[0]
    assert torch.allclose(answers[0], alone, atol=1e-4)
    assert not torch.allclose(answers[1], alone, atol=1e-2)


def test_calls_of_other_lengths_have_forwards_of_their_own(tiny_model: Any) -> None:
    sizes: list[int] = []
    tiny_model.unet.register_forward_pre_hook(lambda _unet, given: sizes.append(len(given[0])))
    tiny_model.denoise([_call("cond", tokens=154, rows=2), _call("uncond", rows=2), _call("cond", rows=2)], _where())
    assert sizes == [2, 4]


def test_what_does_not_fit_in_memory_is_split_and_remembered(tiny_model: Any) -> None:
    import torch

    sizes: list[int] = []

    def small_memory(_unet: Any, given: tuple[Any, ...]) -> None:
        sizes.append(len(given[0]))
        if len(given[0]) > 2:
            raise torch.OutOfMemoryError("out of memory")

    whole = tiny_model.denoise([_call("cond", rows=5)], _where())[0]
    tiny_model.unet.register_forward_pre_hook(small_memory)
    split = tiny_model.denoise([_call("cond", rows=5)], _where())[0]
    assert sizes == [5, 3, 2, 2, 1]
    assert torch.allclose(whole, split, atol=1e-4)
    tiny_model.denoise([_call("cond", rows=5)], _where())
    assert sizes[5:] == [2, 2, 1]


def test_a_picture_that_does_not_fit_alone_is_out_of_memory_in_bytes(tiny_model: Any) -> None:
    def no_memory(_unet: Any, _given: tuple[Any, ...]) -> None:
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error code 12"
        )

    tiny_model.unet.register_forward_pre_hook(no_memory)
    with pytest.raises(OutOfMemory) as failed:
        tiny_model.denoise([_call("cond", rows=3)], _where())
    assert failed.value.fields["needed"] == 4096
    assert failed.value.fields["free"] > 0


def test_other_errors_of_a_network_pass_through(tiny_model: Any) -> None:
    def broken(_unet: Any, _given: tuple[Any, ...]) -> None:
        raise RuntimeError("shapes do not fit")

    tiny_model.unet.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        tiny_model.denoise([_call("cond")], _where())


def test_x0_follows_from_eps_and_from_v(tiny_model: Any) -> None:
    import torch

    call = _call("cond")
    tiny_model.unet.register_forward_hook(lambda _unet, given, _answer: (given[0] * 0 + 1,))
    (x0,) = tiny_model.denoise([call], _where())
    assert torch.allclose(x0, call.x - 3)


def test_v_prediction_is_known_by_key_metadata_or_yaml(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    marked = _save(tiny_state | {"v_pred": torch.tensor([])}, tmp_path / "key.safetensors", "safetensors")
    save_file(tiny_state, tmp_path / "meta.safetensors", metadata={"modelspec.prediction_type": "v"})
    plain = _save(tiny_state, tmp_path / "plain.safetensors", "safetensors")
    yaml = tmp_path / "plain.yaml"
    yaml.write_text("model:\n  params:\n    parameterization: v\n", encoding="utf-8")
    assert _load(record(marked)).prediction.kind == "v"
    assert _load(record(tmp_path / "meta.safetensors")).prediction.kind == "v"
    assert _load(record(plain, config=yaml)).prediction.kind == "v"
    assert _load(record(plain)).prediction.kind == "eps"


def test_the_checkpoints_own_noise_levels_are_used(
    tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    alphas = torch.linspace(0.99, 0.01, 1000)
    model = _load(record(_save(tiny_state | {"alphas_cumprod": alphas}, tmp_path / "x.ckpt", "wrapped")))
    assert torch.equal(model.prediction.alphas_cumprod, alphas)


def test_tiling_joins_the_edges_and_comes_off_bit_for_bit(tiny_model: Any) -> None:
    import torch

    from webui.engine.patches.tiling import Tiling

    call = _call("cond")
    bare = tiny_model.denoise([call], _where())[0]
    picture = tiny_model.decode(bare)
    with tiny_model.wearing([Tiling()]):
        tiled = tiny_model.denoise([call], _where())[0]
        assert not torch.equal(tiled, bare)
        # Seen by circular convolutions, a latent rolled by one decodes to the picture rolled by eight.
        rolled = tiny_model.decode(bare.roll(1, dims=-1))
        assert torch.allclose(rolled, tiny_model.decode(bare).roll(8, dims=-1), atol=1e-4)
    tiny_model.bare()
    assert torch.equal(tiny_model.denoise([call], _where())[0], bare)
    assert torch.equal(tiny_model.decode(bare), picture)


class Counted:
    """A patch that counts."""

    def __init__(self) -> None:
        self.on = self.off = 0

    def put_on(self, _model: Any) -> None:
        self.on += 1

    def take_off(self, _model: Any) -> None:
        self.off += 1


def test_only_the_difference_of_what_is_worn_is_changed(tiny_model: Any) -> None:
    a, b = Counted(), Counted()
    with tiny_model.wearing([a]):
        pass
    with tiny_model.wearing([a, b]):
        with tiny_model.wearing([b]):
            assert (a.on, a.off, b.on, b.off) == (1, 1, 1, 0)
        assert (a.on, a.off) == (2, 1)
    assert (a.off, b.off) == (1, 0), "leaving the outermost block only releases"
    with tiny_model.wearing([]):
        assert (a.off, b.off) == (2, 1)


def test_the_embedded_configuration_is_obeyed(
    tiny: SimpleNamespace, tiny_state: dict[str, Any], record: Callable[..., Any], tmp_path: Path
) -> None:
    import json

    from safetensors.torch import save_file

    config = {
        "unet": {**tiny.unet.config, "norm_num_groups": 8},
        "text_encoder": {**tiny.text.config.to_dict(), "num_attention_heads": 2},
        "native_size": [128, 192],
    }
    path = tmp_path / "x.safetensors"
    save_file(tiny_state, path, metadata={"maple.config": json.dumps(config)})
    model = _load(record(path))
    assert model.native_size == (128, 192)
    assert model.unet.conv_norm_out.num_groups == 8
    assert model.text_encoder.config.num_attention_heads == 2
    save_file(tiny_state, path, metadata={"maple.config": "{"})
    with pytest.raises(BrokenFile):
        _load(record(path))


def test_a_files_configuration_cannot_reach_beyond_sizes(
    tiny_state: dict[str, Any], record: Callable[..., Any], tiny: SimpleNamespace, tmp_path: Path
) -> None:
    """transformers would fetch an attention kernel by this name."""
    import json

    from safetensors.torch import save_file

    config = {"text_encoder": {**tiny.text.config.to_dict(), "attn_implementation": "someone/kernel"}}
    save_file(tiny_state, tmp_path / "x.safetensors", metadata={"maple.config": json.dumps(config)})
    model = _load(record(tmp_path / "x.safetensors"))
    assert model.text_encoder.config._attn_implementation in ("sdpa", "eager")


def test_progress_rises_to_one(tiny_checkpoint: Path, record: Callable[..., Any]) -> None:
    import torch

    from webui.engine.cache import ModelCache

    seen: list[float] = []
    ModelCache(torch.device("cpu")).load(record(tiny_checkpoint), None, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 100
