"""Noise levels, timesteps and x0 of eps and v models."""

import pytest
import torch

from webui.engine.prediction import Prediction, lcm_grid, scaled_linear_alphas, zero_terminal_snr

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def eps() -> Prediction:
    return Prediction(alphas_cumprod=scaled_linear_alphas())


def test_stable_diffusions_ends_are_the_known_ones(eps: Prediction):
    assert eps.sigma_min == pytest.approx(0.0292, abs=1e-4)
    assert eps.sigma_max == pytest.approx(14.6146, abs=1e-4)
    assert len(eps.sigmas) == 1000 and (eps.sigmas.diff() > 0).all()


def test_timesteps_of_the_models_own_sigmas_are_whole(eps: Prediction):
    assert torch.equal(eps.sigma_to_t(eps.sigmas), torch.arange(1000.0))
    assert torch.allclose(eps.t_to_sigma(torch.arange(1000.0)), eps.sigmas)


def test_a_sigma_between_two_has_a_fractional_timestep(eps: Prediction):
    between = (eps.sigmas[400] * eps.sigmas[401]).sqrt()
    assert float(eps.sigma_to_t(between)) == pytest.approx(400.5, abs=1e-2)
    assert float(eps.t_to_sigma(torch.tensor(400.5))) == pytest.approx(float(between), rel=1e-5)


def test_quantized_timesteps_are_the_nearest_whole_ones(eps: Prediction):
    rounded = Prediction(alphas_cumprod=eps.alphas_cumprod, quantize=True)
    assert rounded.sigma_to_t(eps.t_to_sigma(torch.tensor([400.4, 400.6, 998.9]))).tolist() == [400, 401, 999]


def test_sigmas_beyond_the_ends_have_the_end_timesteps(eps: Prediction):
    assert eps.sigma_to_t(torch.tensor([0.001, 100.0])).tolist() == [0, 999]


@pytest.mark.parametrize("kind", ["eps", "v"])
def test_a_perfect_answer_gives_x0_back(eps: Prediction, kind: str):
    prediction = Prediction(kind=kind, alphas_cumprod=eps.alphas_cumprod)  # type: ignore[arg-type]
    x0, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8)
    sigma = torch.tensor([0.7, 9.0])
    x = prediction.mix(x0, noise, sigma)
    alpha = (1 / (1 + sigma**2))[:, None, None, None]
    output = noise if kind == "eps" else alpha.sqrt() * noise - (1 - alpha).sqrt() * x0
    assert torch.allclose(prediction.to_x0(x, output, sigma), x0, atol=1e-4)


def test_the_network_sees_unit_variance(eps: Prediction):
    sigma = torch.tensor([0.03, 1.0, 14.6])
    assert torch.allclose(eps.c_in(sigma) ** 2 * (1 + sigma**2), torch.ones(3))


def test_zero_terminal_snr_ends_in_noise_and_keeps_the_start(eps: Prediction):
    stretched = zero_terminal_snr(eps.alphas_cumprod)
    assert float(stretched[0]) == pytest.approx(float(eps.alphas_cumprod[0]), rel=1e-6)
    assert Prediction(alphas_cumprod=stretched).sigma_max > 4000
    assert (stretched.diff() < 0).all()


def test_the_lcm_grid_is_fifty_of_the_thousand(eps: Prediction):
    grid = lcm_grid(eps)
    assert torch.equal(grid.sigmas, eps.sigmas[19::20])
    assert grid.sigma_to_t(grid.sigmas).tolist() == list(range(19, 1000, 20))
    assert torch.allclose(grid.t_to_sigma(torch.tensor([19.0, 999.0])), grid.sigmas[[0, -1]])
    assert torch.allclose(grid.uniform(50)[:-1], grid.sigmas.flip(0), rtol=1e-5)
