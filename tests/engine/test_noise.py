"""Noise is A1111's, number for number, and a batch is its pictures."""

import numpy as np
import pytest
import torch

from webui.domain import NoiseSource
from webui.engine.noise import NoiseStream, PhiloxGenerator, available_source, generator_for, paste_centred, slerp

pytestmark = pytest.mark.torch
SHAPE = (4, 8, 8)


def stream(seeds: list[int], **more: object) -> NoiseStream:
    return NoiseStream(seeds, **({"shape": SHAPE, "source": NoiseSource.CPU} | more))  # type: ignore[arg-type]


def test_nv_noise_is_the_published_vector():
    expected = [
        [-0.92466259, -0.42534415, -2.6438457, 0.14518388],
        [-0.12086647, -0.57972564, -0.62285122, -0.32838709],
        [-1.07454231, -0.36314407, -1.67105067, 2.26550497],
    ]
    assert np.allclose(PhiloxGenerator(0).randn((3, 4)).numpy(), expected, atol=1e-6)


def test_nv_noise_goes_on_with_other_numbers_and_takes_any_seed():
    generator = PhiloxGenerator(7)
    assert not torch.equal(generator.randn(SHAPE), generator.randn(SHAPE))
    for seed in (2**32 + 5, -1, 2**70):
        assert torch.isfinite(PhiloxGenerator(seed).randn(SHAPE)).all()
    assert not torch.equal(PhiloxGenerator(2**32 + 5).randn(SHAPE), PhiloxGenerator(5).randn(SHAPE))


def test_cpu_noise_is_torchs_own():
    expected = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    assert torch.equal(stream([1]).first()[0], expected)


def test_nv_stands_for_gpu_where_there_is_no_card():
    assert available_source(NoiseSource.GPU, "cpu") is NoiseSource.NV
    assert available_source(NoiseSource.GPU, "cuda") is NoiseSource.GPU
    assert available_source(NoiseSource.CPU, "cpu") is NoiseSource.CPU
    assert torch.equal(stream([3], source=NoiseSource.GPU).first(), stream([3], source=NoiseSource.NV).first())


@pytest.mark.parametrize("source", [NoiseSource.CPU, NoiseSource.NV])
def test_a_batch_draws_what_its_pictures_draw_alone(source: NoiseSource):
    batch, singles = stream([1, 2, 3], source=source), [stream([seed], source=source) for seed in (1, 2, 3)]
    for draw in (NoiseStream.first, NoiseStream.next, NoiseStream.next):
        assert torch.equal(draw(batch), torch.cat([draw(single) for single in singles]))
    for noise in (batch, *singles):
        noise.span(0.03, 14.6)
    together = batch.between(14.6, 3.0)
    assert torch.equal(together, torch.cat([single.between(14.6, 3.0) for single in singles]))


def test_later_noise_goes_on_with_the_pictures_generator():
    own = torch.Generator().manual_seed(9)
    expected = [torch.randn(SHAPE, generator=own) for _ in range(3)]
    noise = stream([9])
    drawn = [noise.first(), noise.next(), noise.next()]
    assert all(torch.equal(mine[0], theirs) for mine, theirs in zip(drawn, expected, strict=True))


def test_ensd_reseeds_everything_after_the_first_noise():
    plain, shifted = stream([9]), stream([9], ensd=31337)
    assert torch.equal(plain.first(), shifted.first())
    assert torch.equal(shifted.next()[0], torch.randn(SHAPE, generator=torch.Generator().manual_seed(9 + 31337)))


def test_variation_reaches_both_its_seeds():
    there, back = stream([1]).first(), stream([2]).first()
    assert torch.equal(stream([1], subseeds=[2], strength=0.0).first(), there)
    assert torch.allclose(stream([1], subseeds=[2], strength=1.0).first(), back, atol=1e-5)
    middle = stream([1], subseeds=[2], strength=0.5).first()
    assert abs(float(middle.std()) - 1) < 0.1


def test_slerp_keeps_the_length_of_columns():
    low, high = (torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    low, high = low / low.norm(dim=1, keepdim=True), high / high.norm(dim=1, keepdim=True)
    assert torch.allclose(slerp(0.3, low, high).norm(dim=1), torch.ones(4, 8), atol=1e-5)


def test_slerp_of_nearly_equal_noise_is_a_plain_mix_the_other_way_round():
    low = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(slerp(0.25, low, low * 2), low * 0.25 + low * 2 * 0.75)


@pytest.mark.parametrize("size", [(12, 6), (8, 8), (3, 5), (16, 16)])
def test_seed_resize_keeps_the_middle_of_the_other_size(size: tuple[int, int]):
    width, height = size
    small = torch.randn((4, height, width), generator=torch.Generator().manual_seed(5))
    full = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    resized = stream([5], seed_resize=(width * 8, height * 8)).first()[0]
    expected = small if size == (8, 8) else paste_centred(small, full.clone())
    assert torch.equal(resized, expected)
    if width <= 8 and height <= 8:
        top, left = (8 - height) // 2, (8 - width) // 2
        assert torch.equal(resized[:, top : top + height, left : left + width], small)


def test_brownian_noise_before_its_span_is_refused():
    with pytest.raises(RuntimeError):
        stream([1]).between(2.0, 1.0)


def test_generators_of_one_seed_agree():
    for source in NoiseSource:
        one, other = (generator_for(4, source=source, device="cpu") for _ in range(2))
        assert torch.equal(one.randn(SHAPE), other.randn(SHAPE))
