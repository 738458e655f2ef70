"""A model makes do with the memory there is, and says how; what comes out is what it would have been."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytestmark = pytest.mark.torch


@contextmanager
def at_most(most: int) -> Iterator[list[int]]:
    """An allocator that gives no piece larger than that many bytes; yields the sizes it refused."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    refused: list[int] = []

    class Allocator(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            answer = func(*args, **(kwargs or {}))
            size = answer.numel() * answer.element_size() if isinstance(answer, torch.Tensor) else 0
            if size > most and "convolution" in str(func):
                refused.append(size)
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size / 2**20:.2f} MiB.")
            return answer

    with Allocator():
        yield refused


def _calls(pictures: int, side: int = 16) -> list[Any]:
    import torch

    from webui.engine.types import Call

    x = torch.randn(pictures, 4, side, side, generator=torch.Generator().manual_seed(3)) * 7
    sigma, text = torch.full((pictures,), 7.0), torch.randn(2, 1, 77, 64, generator=torch.Generator().manual_seed(4))
    rows = tuple(range(pictures))
    return [
        Call(role=role, rows=rows, x=x, sigma=sigma, context=text[number].expand(pictures, -1, -1))
        for number, role in enumerate(("cond", "uncond"))
    ]


def test_a_batch_that_does_not_fit_is_split_and_comes_out_the_same(tiny_model: Any) -> None:
    import torch

    from webui.engine.types import StepContext

    where = StepContext(call=0, step=0, calls=1, steps=1)
    whole = tiny_model.denoise(_calls(4), where)
    # The first level's features of eight rows are 8 * 32 * 16 * 16 numbers; half of them fit.
    with at_most(4 * 4 * 32 * 16 * 16) as refused:
        split = tiny_model.denoise(_calls(4), where)
    assert refused
    assert tiny_model.take_notes() == [("memory_split", {"rows": 4})]
    for one, other in zip(whole, split, strict=True):
        assert torch.allclose(one, other, atol=1e-4)
        pictures = [(tiny_model.decode(latents) * 255).round() for latents in (one, other)]
        assert float((pictures[0] - pictures[1]).abs().max()) <= 1


def test_when_not_even_one_fits_it_says_so_with_bytes(tiny_model: Any) -> None:
    from webui.domain.errors import OutOfMemory
    from webui.engine.types import StepContext

    with at_most(100), pytest.raises(OutOfMemory) as failed:
        tiny_model.denoise(_calls(1), StepContext(call=0, step=0, calls=1, steps=1))
    assert failed.value.fields["needed"] > 100


def test_a_picture_too_large_to_decode_is_decoded_in_tiles(tiny_model: Any) -> None:
    import torch

    latents = torch.randn(1, 4, 40, 36, generator=torch.Generator().manual_seed(1))
    whole = tiny_model.decode(latents)
    # Features of the picture's size do not fit; those of a tile of 32 latents do.
    with at_most(4 * 32 * 256 * 256) as refused:
        tiles = tiny_model.decode(latents)
    assert len(refused) == 1
    assert tiny_model.take_notes() == [("memory_tiled", {"side": 256})]
    assert tiles.shape == whole.shape == (1, 3, 320, 288)
    assert float((tiles - whole).abs().mean()) < 2 / 255
    # What fits is not cut.
    small = torch.randn(1, 4, 16, 16)
    with at_most(4 * 32 * 256 * 256) as refused:
        assert torch.equal(tiny_model.decode(small), tiny_model.decode(small))
    assert refused == []


def test_a_picture_too_large_to_encode_is_encoded_in_tiles_by_the_same_draws(tiny_model: Any) -> None:
    import torch

    picture = torch.rand(1, 3, 384, 320, generator=torch.Generator().manual_seed(1))
    draw = torch.Generator().manual_seed(5)
    whole = tiny_model.encode(picture, draws=[torch.Generator().manual_seed(5)])
    with at_most(4 * 32 * 256 * 256) as refused:
        tiles = tiny_model.encode(picture, draws=[draw])
    assert refused and [key for key, _ in tiny_model.take_notes()] == ["memory_tiled"]
    assert tiles.shape == whole.shape == (1, 4, 48, 40)
    spread = float(whole.std())
    assert float((tiles - whole).abs().mean()) < spread / 10
    other = torch.Generator().manual_seed(5)
    torch.randn(whole.shape, generator=other)
    assert torch.equal(draw.get_state(), other.get_state()), "an attempt that failed leaves no draw behind"


def test_a_picture_that_tiles_sees_its_opposite_edge_in_tiles_too() -> None:
    import torch
    from torch import nn

    from webui.engine.tiles import tiled

    layer = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular").requires_grad_(False)
    x = torch.randn(1, 2, 10, 40)
    whole = layer(x)
    made = tiled(layer, x, side=32, overlap=8, network=layer)
    assert made.shape == whole.shape
    for edge in (slice(0, 8), slice(32, 40)):
        assert torch.allclose(made[..., edge], whole[..., edge], atol=1e-5)
    assert layer.padding_mode == "circular"


def test_tiles_of_something_linear_are_exactly_the_whole() -> None:
    import torch
    from torch import nn

    from webui.engine.tiles import tiled

    grow = nn.Upsample(scale_factor=8)
    x = torch.randn(1, 2, 50, 33)
    made = tiled(lambda part: grow(part) * 2, x, side=16, overlap=4, network=grow)
    assert torch.allclose(made, grow(x) * 2, atol=1e-5)


def test_what_is_foreseen_does_not_fail_first(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from webui.engine import model as room

    need = tiny_model.need(320, 320, batch=2)
    assert need.whole > need.in_turns > 0
    monkeypatch.setattr(room, "free_memory", lambda _device: max(need.sampling, need.decoding))
    assert tiny_model.make_room(320, 320, batch=2) is None
    monkeypatch.setattr(room, "free_memory", lambda _device: need.decoding // 2)
    key, fields = tiny_model.make_room(320, 320, batch=2)
    assert key == "memory_tight"
    assert set(fields) == {"needed", "free"}
    # 40 latents a side do not fit whole; tiles of 16 do, and nothing is refused on the way.
    with at_most(4 * 32 * 256 * 256) as refused:
        tiny_model.decode(torch.randn(1, 4, 40, 40))
    assert refused == []
    assert tiny_model.take_notes() == []


def test_parts_take_turns_and_layers_come_and_go(tiny_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch import nn

    from webui.engine import placing
    from webui.engine.placing import Places, Placing

    there: dict[int, str] = {}

    class Box(nn.Linear):
        def to(self, where: Any) -> Any:  # type: ignore[override]
            there[id(self)] = str(where)
            return self

    boxes = {name: [Box(2, 2)] for name in ("text", "unet", "vae")}
    monkeypatch.setattr(placing.torch.cuda, "empty_cache", lambda: None)
    device: Any = torch.device("cuda")
    places = Places(boxes, device, Placing.PARTS)
    assert places.loading == placing.HOME
    for part in ("text", "unet", "unet", "vae"):
        places.take(part)
        on = [name for name, (box,) in boxes.items() if there.get(id(box)) == "cuda"]
        assert on == [part]
    assert places.moves == 3
    places.park()
    assert set(there.values()) == {"cpu"}
    whole = Places(boxes, device, Placing.WHOLE)
    assert whole.tighten() and whole.placing is Placing.PARTS
    assert whole.tighten() and whole.placing is Placing.BLOCKS
    assert not whole.tighten()
    assert not Places(boxes, torch.device("cpu"), Placing.PARTS).tighten()


def test_layer_by_layer_never_has_more_than_one_layer_there_and_spoils_none(tiny_model: Any) -> None:
    import torch

    from webui.engine.placing import Places, Placing

    unet = tiny_model.unet
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    parameters = dict(unet.named_parameters())
    most = 0

    def count(_module: Any, _given: Any) -> None:
        nonlocal most
        most = max(most, sum(each.device.type == "meta" for each in unet.parameters()))

    # "meta" is a device that is not the CPU and is everywhere; what it computes is nothing.
    places = Places({"unet": [unet]}, torch.device("meta"), Placing.BLOCKS)
    places.take("unet")
    for module in unet.modules():
        module.register_forward_pre_hook(count)
    with torch.no_grad(), torch.device("meta"):
        answer = unet(torch.empty(1, 4, 16, 16), torch.empty(1), torch.empty(1, 77, 64), return_dict=False)[0]
    assert answer.shape == (1, 4, 16, 16) and answer.device.type == "meta"
    assert 0 < most <= 2, "a layer is its weight and its bias"
    places.send_home()
    assert dict(unet.named_parameters()).items() == parameters.items()
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())


def test_the_fastest_placing_that_fits_is_chosen() -> None:
    from webui.engine.budget import Need
    from webui.engine.placing import Placing, fitting

    need = Need(weights={"text": 2, "unet": 5, "vae": 1}, sampling=1, decoding=2)
    assert [fitting(need, free) for free in (10, 9, 6, 5)] == [
        Placing.WHOLE, Placing.PARTS, Placing.PARTS, Placing.BLOCKS,
    ]  # fmt: skip


def test_the_budget_is_what_the_real_modules_take() -> None:
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from tests.engine.alive import most_alive
    from webui.engine.budget import SPARE, unet_run, vae_run

    ends = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    wide = {"block_out_channels": (320, 640), "cross_attention_dim": 768, "attention_head_dim": 8, **ends}
    with torch.device("meta"):
        unet = UNet2DConditionModel(**wide).half()
        taken = most_alive(unet, torch.empty(2, 4, 64, 96).half(), torch.empty(2), torch.empty(2, 77, 768).half())
        vae = AutoencoderKL(
            block_out_channels=(128, 256), latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        ).half()  # fmt: skip
        decoded = most_alive(vae.decoder, torch.empty(1, 4, 128, 128).half())
        encoded = most_alive(vae.encoder, torch.empty(1, 3, 256, 256).half())
    told = unet_run(wide, width=768, height=512, rows=2, itemsize=2) / SPARE
    assert 0.8 < told / taken < 1.5
    config = vae.config
    assert 0.9 < vae_run(config, width=256, height=256, itemsize=2) / SPARE / decoded < 1.1
    assert 0.9 < vae_run(config, width=256, height=256, itemsize=2, encoding=True) / SPARE / encoded < 1.3
