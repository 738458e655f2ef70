"""What is said of memory before a run, from headers alone."""

from pathlib import Path

import pytest

from webui.catalog.header import Tensor
from webui.catalog.need import Fits, Measures, Room, Sizes, sizes, stated
from webui.domain import ModelKind, ModelRecord

GB = 2**30
SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": Tensor("F16", (320, 4, 3, 3)),
    "model.diffusion_model.input_blocks.1.1.norm.weight": Tensor("F16", (320,)),
    "model_ema.diffusion_modelinput_blocks00weight": Tensor("F32", (320, 4, 3, 3)),
    "first_stage_model.decoder.conv_out.weight": Tensor("F16", (3, 128, 3, 3)),
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": Tensor("F16", (768,)),
}
HALF = {"unet": 2, "text": 2, "vae": 2}


def test_parts_are_counted_from_names_and_shapes() -> None:
    found = sizes(SD1)
    assert (found.unet, found.text, found.vae) == (320 * 4 * 9 + 320, 768, 3 * 128 * 9)
    assert (found.channels, found.attended, found.vae_channels) == (320, True, 128)
    assert found.other == 0  # a training's averages are never loaded


def test_a_folders_parts_are_told_apart_by_their_folders() -> None:
    found = sizes({
        "unet/conv_in.weight": Tensor("F16", (320, 4, 3, 3)),
        "vae/decoder.conv_out.weight": Tensor("F16", (3, 128, 3, 3)),
        "text_encoder_2/x": Tensor("F16", (10,)),
    })  # fmt: skip
    assert (found.unet, found.text, found.channels, found.attended, found.vae_channels) == (11520, 10, 320, False, 128)


def record(path: Path = Path("/models/a.safetensors")) -> ModelRecord:
    return ModelRecord(kind=ModelKind.CHECKPOINT, name=path.stem, path=path)


def asked(room: Room, *, size: tuple[int, int] = (512, 512), batch: int = 1, unet: int = GB, **more):
    known = Sizes(unet=unet, text=GB // 10, vae=GB // 20, channels=320, attended=True, vae_channels=128)
    return stated(checkpoint=record(), sizes=known, vae=None, others=(), size=size, batch=batch, room=room, **more)


def test_the_need_grows_with_the_picture_and_the_batch() -> None:
    room = Room(device="cuda", free=8 * GB, itemsize=HALF)
    one, four, large = asked(room), asked(room, batch=4), asked(room, size=(1024, 1024))
    assert four.need.sampling == 4 * one.need.sampling == large.need.sampling
    assert large.need.decoding == 4 * one.need.decoding
    assert one.missing == one.need.whole


def test_what_is_in_memory_is_not_needed_again() -> None:
    fresh = asked(Room(device="cuda", free=4 * GB, itemsize=HALF))
    held = asked(Room(device="cuda", free=2 * GB, itemsize=HALF, held=record().path, held_bytes=2 * GB))
    assert held.missing == held.need.run < fresh.missing
    assert held.free == 2 * GB
    other = asked(Room(device="cuda", free=2 * GB, itemsize=HALF, held=Path("/b"), held_bytes=2 * GB))
    assert (other.missing, other.free) == (fresh.missing, 4 * GB)  # the one there goes first


@pytest.mark.parametrize(("device", "free", "fits"), [
    ("cuda", 8 * GB, Fits.WHOLE), ("cuda", 3 * GB, Fits.TURNS), ("cuda", GB, Fits.TIGHT), ("cpu", 3 * GB, Fits.TIGHT),
    ("cuda", None, Fits.UNKNOWN),
])  # fmt: skip
def test_how_it_will_go_is_foreseen(device: str, free: int | None, fits: Fits) -> None:
    found = asked(Room(device=device, free=free, itemsize=HALF), size=(768, 768))
    assert 2 * GB < found.need.in_turns < 3 * GB < found.need.whole < 8 * GB
    assert found.fits is fits


def test_a_file_is_measured_once_for_each_of_its_versions(tmp_path: Path) -> None:
    from tests.small import stub_checkpoint

    path = tmp_path / "a.safetensors"
    stub_checkpoint(path)
    measures = Measures()
    first = ModelRecord(kind=ModelKind.CHECKPOINT, name="a", path=path, size=1, mtime_ns=1)
    known = measures.of(first)
    assert known is not None
    path.unlink()
    assert measures.of(first) is known
    assert measures.of(ModelRecord(kind=ModelKind.CHECKPOINT, name="a", path=path, size=2, mtime_ns=1)) is None
