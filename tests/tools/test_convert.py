"""Conversions give every tensor back bit for bit, run nothing, and never spoil what is there."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.small import Ears, save_small_checkpoint, save_small_sdxl, small_sdxl
from webui.domain import ConvertRequest, ModelKind, Wish
from webui.domain.errors import DiskFull, MapleError, UnsafeFile
from webui.domain.model import ModelFormat
from webui.words import explain

pytestmark = pytest.mark.torch
A1111_MEMBERS = r"^([^/]+)/((data/\d+)|version|byteorder|(data\.pkl))$"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SD 1 checkpoint with all that single files carry beside their modules."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("models")
    state = load_file(save_small_checkpoint(folder / "plain.safetensors"))
    state["alphas_cumprod"] = torch.linspace(0.99, 0.01, 1000)
    state["model_ema.diffusion_modelinput_blocks00weight"] = torch.ones(3, dtype=torch.float16)
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, folder / "model.safetensors", {"modelspec.title": "枫叶", "ss_note": "x"})
    return folder / "model.safetensors"


def tensors(path: Path) -> dict[str, Any]:
    from webui.engine.weights import open_weights

    with open_weights(path) as weights:
        return {name: weights.read(name).clone() for name in weights}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    import torch

    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@pytest.mark.parametrize("way", [["a.ckpt"], ["a"], ["a.ckpt", "b"], ["a", "b", "c.pt"], ["a.pth", "b.safetensors"]])
def test_the_way_there_and_back_gives_every_tensor_and_the_metadata(
    checkpoint: Path, tmp_path: Path, way: list[str]
) -> None:
    from webui.engine.weights import open_weights
    from webui.tools import convert

    before = checkpoint
    for name in way:
        before = convert(before, tmp_path / name).path
    back = convert(before, tmp_path / "back.safetensors").path
    assert same(tensors(back), tensors(checkpoint))
    with open_weights(back) as weights:
        metadata = weights.metadata
    assert (metadata["modelspec.title"], metadata["ss_note"]) == ("枫叶", "x")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_seed_gives_the_same_pixels(checkpoint: Path, tmp_path: Path, record: Callable[..., Any]) -> None:
    import torch

    from webui.engine.cache import ModelCache
    from webui.engine.types import Call, StepContext
    from webui.tools import convert

    def made(path: Path) -> tuple[Any, Any]:
        model = ModelCache(torch.device("cpu")).load(record(path), None)
        x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1)) * 14
        text = model.text_encoder(torch.tensor([[49406, 320, 49407]])).last_hidden_state
        call = Call(role="cond", rows=(0,), x=x, sigma=torch.tensor([7.0]), context=text)
        (x0,) = model.denoise([call], StepContext(call=0, step=0, calls=1, steps=1))
        return x0, model.decode(x0)

    wanted = made(checkpoint)
    for name in ("a.ckpt", "b"):
        found = made(convert(checkpoint, tmp_path / name).path)
        assert all(torch.equal(one, other) for one, other in zip(wanted, found, strict=True))


def test_the_folder_is_what_diffusers_loads(checkpoint: Path, tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    from webui.prompt.tokens import ClipTokenizer
    from webui.tools import convert

    folder = convert(checkpoint, tmp_path / "folder").path
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float16)
    stored = tensors(checkpoint)
    name = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
    assert torch.equal(pipeline.text_encoder.final_layer_norm.bias, stored[name])
    assert torch.equal(pipeline.unet.conv_in.weight, stored["model.diffusion_model.input_blocks.0.0.weight"])
    query = pipeline.vae.decoder.mid_block.attentions[0].to_q.weight
    assert torch.equal(query, stored["first_stage_model.decoder.mid.attn_1.q.weight"][:, :, 0, 0])
    ours = ClipTokenizer()
    assert pipeline.tokenizer("a red, circle").input_ids == [ours.start, *ours.encode("a red, circle"), ours.end]


def test_a_diffusers_folder_of_others_becomes_a_single_file(tiny: SimpleNamespace, tmp_path: Path) -> None:
    import torch

    from webui.engine.keys import to_ldm
    from webui.engine.weights import open_weights
    from webui.tools import convert

    for name, module in (("unet", tiny.unet), ("vae", tiny.vae), ("text_encoder", tiny.text)):
        module.save_pretrained(tmp_path / "theirs" / name, safe_serialization=True)
    config = tmp_path / "theirs" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"attention_head_dim": 4}))
    scheduler = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    (tmp_path / "theirs" / "scheduler").mkdir()
    (tmp_path / "theirs" / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (tmp_path / "theirs" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    single = convert(tmp_path / "theirs", tmp_path / "x.safetensors").path
    stored = tensors(single)
    marks = {name: stored.pop(name) for name in ("v_pred", "ztsnr")}
    assert all(mark.numel() == 0 for mark in marks.values())
    wanted = {name: value.contiguous() for name, value in to_ldm(
        unet=tiny.unet, vae=tiny.vae, text_encoder=tiny.text).items()}  # fmt: skip
    assert same(stored, wanted)
    # Its heads are not those that shapes would tell.
    with open_weights(single) as weights:
        metadata = weights.metadata
    assert json.loads(metadata["maple.config"])["unet"]["attention_head_dim"] == 4
    assert torch.is_tensor(stored["model.diffusion_model.out.2.weight"])


@pytest.mark.parametrize("refiner", [False, True])
def test_sdxl_goes_to_a_folder_and_back(tmp_path: Path, refiner: bool) -> None:
    import torch
    from diffusers import DiffusionPipeline

    from webui.tools import convert

    parts = small_sdxl(refiner=refiner)
    source = save_small_sdxl(tmp_path / "x.safetensors", parts, marks=("v_pred",))
    folder = convert(source, tmp_path / "folder").path
    assert same(tensors(convert(folder, tmp_path / "back.safetensors").path), tensors(source))
    pipeline = DiffusionPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.float16)
    assert type(pipeline).__name__ == ("StableDiffusionXLImg2ImgPipeline" if refiner else "StableDiffusionXLPipeline")
    assert pipeline.scheduler.config["prediction_type"] == "v_prediction"
    theirs, ours = pipeline.text_encoder_2.state_dict(), parts.big.half().state_dict()
    assert all(torch.equal(theirs[name], value) for name, value in ours.items())


def test_a_pickle_is_one_that_a1111_and_torch_read(checkpoint: Path, tmp_path: Path) -> None:
    import re

    import torch

    from webui.tools import convert

    path = convert(checkpoint, tmp_path / "a.ckpt").path
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [name for name in archive.namelist() if not re.match(A1111_MEMBERS, name)] == []
    held = torch.load(path, weights_only=True)
    assert held["modelspec.title"] == "枫叶"
    assert same(held["state_dict"], tensors(checkpoint))


def test_half_halves_weights_and_leaves_the_noise_schedule(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    from webui.tools import convert

    full = convert(checkpoint, tmp_path / "full.safetensors", dtype=torch.float32).path
    assert tensors(full)["model.diffusion_model.out.2.weight"].dtype == torch.float32
    half = tensors(convert(full, tmp_path / "half.safetensors", dtype=torch.float16).path)
    assert same(half, tensors(checkpoint))
    assert half["alphas_cumprod"].dtype == torch.float32


def test_numbers_too_large_for_half_are_said(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from webui.tools import convert

    save_file(
        {"a.up.weight": torch.full((2, 2), 1e6), "b.x": torch.ones(2), "c.x": torch.ones(2)}, tmp_path / "x.safetensors"
    )
    done = convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", dtype=torch.float16)
    assert done.notes == (("convert_overflown", {"count": 1}),)


def test_running_averages_can_be_left_out(checkpoint: Path, tmp_path: Path) -> None:
    from webui.tools import convert

    for name in ("a.ckpt", "b"):
        kept = tensors(convert(checkpoint, tmp_path / name, drop_ema=True).path)
        assert not any(key.startswith("model_ema.") for key in kept)


def test_tensors_that_share_or_turn_their_memory_come_out_right(tmp_path: Path) -> None:
    import torch

    from webui.tools import convert

    base = torch.arange(24.0).reshape(4, 6)
    state = {"x.turned": base.t(), "x.part": base[1:3, 2:5], "x.number": torch.tensor(3), "x.none": torch.zeros(0, 4)}
    torch.save(state, tmp_path / "x.pt")
    done = tensors(convert(tmp_path / "x.pt", tmp_path / "x.safetensors").path)
    assert same(done, {name: value.contiguous() for name, value in state.items()})


def test_embeddings_become_what_each_format_calls_them(tmp_path: Path) -> None:
    import torch

    from webui.engine.embeddings import read_vectors
    from webui.engine.weights import open_weights
    from webui.tools import convert

    vectors = torch.randn(3, 768)
    held = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "leaf", "step": 500}
    torch.save(held, tmp_path / "leaf.pt")
    torch.save({"<leaf>": vectors[0]}, tmp_path / "concept.bin")
    tensor = convert(tmp_path / "leaf.pt", tmp_path / "leaf.safetensors").path
    with open_weights(tensor) as weights:
        assert list(weights) == ["emb_params"]
        assert (weights.metadata["name"], weights.metadata["step"]) == ("leaf", "500")
    back = torch.load(convert(tensor, tmp_path / "back.pt").path, weights_only=True)
    assert torch.equal(back["string_to_param"]["*"], vectors)
    assert (back["name"], back["step"], back["string_to_token"]) == ("leaf", 500, {"*": 265})
    concept = convert(tmp_path / "concept.bin", tmp_path / "concept.safetensors").path
    assert torch.equal(read_vectors(concept)[""], vectors[:1])


def test_loras_vaes_and_upscalers_keep_their_names(tmp_path: Path) -> None:
    import torch

    from webui.tools import convert

    lora = {"lora_unet_mid.lora_up.weight": torch.randn(4, 2), "lora_unet_mid.alpha": torch.tensor(2.0)}
    torch.save(lora, tmp_path / "lora.pt")
    assert same(tensors(convert(tmp_path / "lora.pt", tmp_path / "lora.safetensors").path), lora)
    torch.save(
        {"params": {"conv.weight": torch.zeros(1)}, "params_ema": {"conv.weight": torch.ones(1)}}, tmp_path / "up.pth"
    )
    larger = tensors(convert(tmp_path / "up.pth", tmp_path / "up.safetensors").path)
    assert same(larger, {"conv.weight": torch.ones(1)})


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    from webui.tools import convert

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (tmp_path / "owned",)

    with zipfile.ZipFile(tmp_path / "evil.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"state_dict": Evil()}, 2))
    with pytest.raises(UnsafeFile):
        convert(tmp_path / "evil.ckpt", tmp_path / "x.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.ckpt"]


def test_a_file_that_is_there_is_left_unless_told(checkpoint: Path, tmp_path: Path) -> None:
    from webui.tools import convert
    from webui.tools.convert import SameFile
    from webui.tools.targets import AlreadyThere

    (tmp_path / "x.ckpt").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("x.ckpt", "folder"):
        with pytest.raises(AlreadyThere):
            convert(checkpoint, tmp_path / name)
    assert (tmp_path / "x.ckpt").read_bytes() == b"mine"
    convert(checkpoint, tmp_path / "x.ckpt", overwrite=True)
    convert(checkpoint, tmp_path / "folder", overwrite=True)
    assert tensors(tmp_path / "folder").keys()
    with pytest.raises(SameFile):
        convert(checkpoint, checkpoint, overwrite=True)


@pytest.mark.parametrize("target", ["x.safetensors", "x.ckpt", "x"])
def test_a_conversion_that_is_stopped_leaves_nothing(checkpoint: Path, tmp_path: Path, target: str) -> None:
    from webui.tools import convert

    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        convert(checkpoint, tmp_path / target, on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_and_while_writing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    from webui.tools import convert, targets

    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(targets.shutil, "disk_usage", lambda _path: real._replace(free=1000))
    with pytest.raises(DiskFull) as full:
        convert(checkpoint, tmp_path / "x.ckpt")
    assert full.value.fields["free"] == 1000
    assert "x.ckpt" in explain(full.value, "zh-CN")
    monkeypatch.undo()

    def no_space(_fraction: float) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskFull):
        convert(checkpoint, tmp_path / "x.ckpt", on_progress=no_space)
    assert list(tmp_path.iterdir()) == []


def test_a_hypernetwork_says_why_not(tmp_path: Path) -> None:
    import torch

    from webui.tools import convert
    from webui.tools.convert import NotConvertible

    torch.save({768: ({"linear.0.weight": torch.zeros(1)}, {"linear.0.weight": torch.zeros(1)})}, tmp_path / "h.pt")
    with pytest.raises(NotConvertible):
        convert(tmp_path / "h.pt", tmp_path / "h.safetensors")


class Shop:
    """A worker's bench with nothing but a catalogue."""

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog


@pytest.fixture
def shop(checkpoint: Path, tmp_path: Path) -> Shop:
    import shutil

    from webui.catalog import Catalog, Folder

    (tmp_path / "models" / "sub").mkdir(parents=True)
    shutil.copy(checkpoint, tmp_path / "models" / "sub" / "leaf.safetensors")
    catalog = Catalog(tmp_path / "models.db", {ModelKind.CHECKPOINT: [Folder(path=tmp_path / "models")]}, hashes=False)
    catalog.scan()
    return Shop(catalog)


def test_the_job_lists_its_result(shop: Shop, tmp_path: Path) -> None:
    from webui.tools import run_convert

    ears = Ears()
    request = ConvertRequest(model="sub/leaf", to=ModelFormat.PICKLE)
    result = run_convert(request, settings={}, reporter=ears, bench=shop)
    assert (tmp_path / "models" / "sub" / "leaf.ckpt").is_file()
    assert sorted(record.filename for record in shop.catalog.models(ModelKind.CHECKPOINT)) == [
        "sub/leaf.ckpt", "sub/leaf.safetensors",
    ]  # fmt: skip
    assert [key for key, _ in result.notes] == ["converted"]
    fractions = [progress.fraction for progress in ears.progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    folder = ConvertRequest(model="sub/leaf.safetensors", to=ModelFormat.DIFFUSERS, name="as folder")
    run_convert(folder, settings={}, reporter=ears, bench=shop)
    assert "as folder" in [record.name for record in shop.catalog.models(ModelKind.CHECKPOINT)]


def test_nothing_is_written_into_another_a1111s_folders(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    from webui.catalog import Catalog, Folder
    from webui.catalog.places import FROM_HOME
    from webui.tools import run_convert

    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    shutil.copy(checkpoint, tmp_path / "theirs" / "leaf.safetensors")
    folders = [
        Folder(path=tmp_path / "theirs", origin=FROM_HOME, home=tmp_path / "theirs"), Folder(path=tmp_path / "ours"),
    ]  # fmt: skip
    catalog = Catalog(tmp_path / "models.db", {ModelKind.CHECKPOINT: folders}, hashes=False)
    catalog.scan()
    request = ConvertRequest(model="leaf", to=ModelFormat.PICKLE)
    run_convert(request, settings={}, reporter=Ears(), bench=Shop(catalog))
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["leaf.safetensors"]
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["leaf.ckpt"]


def test_the_job_stays_in_its_folder_and_stops_when_told(shop: Shop, tmp_path: Path) -> None:
    from webui.tools import run_convert
    from webui.tools.convert import NameOutside

    before = sorted(tmp_path.rglob("*"))
    for name in ("../x", "/etc/x", ".", "a/../../b"):
        request = ConvertRequest(model="sub/leaf", to=ModelFormat.PICKLE, name=name)
        with pytest.raises((NameOutside, MapleError)):
            run_convert(request, settings={}, reporter=Ears(), bench=shop)
    ears = Ears()
    ears.on_report = lambda progress: setattr(ears, "_wish", Wish.STOP) if progress.fraction > 0.2 else None
    stopped = run_convert(
        ConvertRequest(model="sub/leaf", to=ModelFormat.PICKLE), settings={}, reporter=ears, bench=shop
    )
    assert stopped.stopped
    assert sorted(tmp_path.rglob("*")) == before
