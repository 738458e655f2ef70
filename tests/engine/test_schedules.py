"""Every schedule's known values, and what the options do to it."""

import pkgutil

import pytest
import torch

from webui.catalog.samplers import SAMPLERS, SamplerRow, TooFewSteps
from webui.catalog.schedules import SCHEDULES
from webui.domain.errors import OutOfRange
from webui.engine.prediction import Prediction, scaled_linear_alphas
from webui.engine.schedules import AYS_SD1, AYS_SDXL, sigmas, timesteps

pytestmark = pytest.mark.torch
EPS = Prediction(alphas_cumprod=scaled_linear_alphas())
# Computed from the formulas of section 3.2 of the reference, at four steps.
KNOWN = {
    "Automatic": [14.6146, 2.9183, 0.9324, 0.0292, 0],
    "Uniform": [14.6146, 2.9183, 0.9324, 0.0292, 0],
    "Karras": [14.6146, 3.1686, 0.4469, 0.0292, 0],
    "Exponential": [14.6146, 1.8400, 0.2317, 0.0292, 0],
    "Polyexponential": [14.6146, 1.8400, 0.2317, 0.0292, 0],
    "SGM Uniform": [14.6146, 4.0861, 1.6156, 0.6951, 0],
    "KL Optimal": [14.6146, 2.1427, 0.9616, 0.4198, 0.0292],
    "Align Your Steps": [14.6150, 2.3939, 0.7425, 0.0290, 0],
    "Simple": [14.6146, 4.0817, 1.6129, 0.6932, 0],
    "Normal": [14.6146, 2.9183, 0.9324, 0.0292, 0],
    "DDIM": [4.1167, 1.6237, 0.6984, 0.0413, 0],
    "Beta": [14.6146, 10.5976, 4.0462, 0.0292, 0],
}


def sampler(name: str) -> SamplerRow:
    row = SAMPLERS.find(name)
    assert row is not None
    return row


def made(name: str, n: int = 4, *, of: str = "Euler", **options: object) -> torch.Tensor:
    row = SCHEDULES.find(name)
    assert row is not None
    return sigmas(row, n, EPS, sampler=sampler(of), options=options)


def test_every_row_resolves():
    for row in SCHEDULES:
        assert row.name == "Automatic" or callable(pkgutil.resolve_name(row.target))


@pytest.mark.parametrize("name", SCHEDULES.names())
def test_known_values(name: str):
    assert torch.allclose(made(name), torch.tensor(KNOWN[name], dtype=torch.float32), atol=1e-4)


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("n", [1, 2, 3, 20, 150])
def test_sigmas_fall_in_fp32_from_any_number_of_steps(name: str, n: int):
    falling = made(name, n)
    assert falling.dtype == torch.float32 and falling.device.type == "cpu"
    assert torch.isfinite(falling).all() and (falling.diff() < 0).all()


def test_align_your_steps_at_eleven_is_its_table():
    assert torch.allclose(made("Align Your Steps", 11)[:-1], torch.tensor(AYS_SD1))
    assert torch.allclose(made("Align Your Steps", 11, sdxl=True)[:-1], torch.tensor(AYS_SDXL))


def test_automatic_is_the_samplers_own_schedule():
    assert torch.equal(made("Automatic", of="DPM++ 2M"), made("Karras"))
    assert torch.equal(made("Automatic", of="DPM++ 2M SDE"), made("Exponential"))
    assert torch.equal(made("Automatic", of="Euler"), made("Uniform"))


def test_discarding_the_penultimate_sigma_keeps_the_count():
    longer = made("Karras", 5)
    expected = torch.cat([longer[:-2], longer[-1:]])
    assert torch.equal(made("Karras", 4, of="DPM2"), expected)
    assert torch.equal(made("Karras", 4, discard_penultimate=True), expected)


def test_rho_and_the_ends_can_be_told():
    assert torch.equal(made("Karras", rho=0.0, sigma_min=0.0), made("Karras"))
    assert float(made("Karras", sigma_max=10.0)[0]) == pytest.approx(10.0, rel=1e-5)
    assert float(made("Karras", sigma_min=0.1)[-2]) == pytest.approx(0.1, rel=1e-4)
    assert not torch.equal(made("Karras", rho=3.0), made("Karras"))
    assert torch.equal(made("Exponential", rho=3.0), made("Exponential"))
    old = made("Karras", use_old_karras_sigmas=True)
    assert float(old[0]) == pytest.approx(10.0, rel=1e-5) and float(old[-2]) == pytest.approx(0.1, rel=1e-4)


def test_beta_follows_its_two_numbers():
    even = made("Beta", 5, beta_alpha=1.0, beta_beta=1.0)
    assert torch.allclose(even[:-1], torch.linspace(EPS.sigma_max, EPS.sigma_min, 5), atol=1e-4)


@pytest.mark.parametrize(("steps", "count"), [(4, 4), (20, 20), (30, 31), (7, 8), (1, 1), (1000, 1000)])
def test_timesteps_are_every_nth_from_one(steps: int, count: int):
    found = timesteps(sampler("DDIM"), steps)
    assert len(found) == count and int(found[0]) == 1 and int(found[-1]) <= 999


def test_timesteps_that_cannot_be_are_refused():
    with pytest.raises(OutOfRange):
        timesteps(sampler("DDIM"), 1001)
    with pytest.raises(TooFewSteps):
        timesteps(sampler("UniPC"), 2, {"unipc_order": 3})
