"""Samplers reach closed-form answers with their order, agree with diffusers', and treat a batch as its pictures.

Data here is Gaussian with deviation S: then x0 = x S²/(S² + sigma²) is the exact denoiser, and the exact flow scales x
with sqrt(S² + sigma²).
"""

import math
import pkgutil
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler, UniPCMultistepScheduler
from torch import Tensor

from webui.catalog.samplers import SAMPLERS, SamplerRow, TooFewSteps
from webui.catalog.schedules import SCHEDULES
from webui.domain import NoiseSource
from webui.engine.noise import NoiseStream
from webui.engine.prediction import Prediction, scaled_linear_alphas
from webui.engine.samplers import sample, sampler_options
from webui.engine.samplers.dpm_solver import fast_orders
from webui.engine.samplers.k import multistep_weights, restart_steps
from webui.engine.samplers.timesteps import unipc
from webui.engine.schedules import karras
from webui.engine.types import Interrupted

pytestmark = pytest.mark.torch
S = 0.7
EPS = Prediction(alphas_cumprod=scaled_linear_alphas())
AUTOMATIC = SCHEDULES.find("Automatic")
DIFFUSERS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def gaussian(x: Tensor, sigma: Tensor) -> Tensor:
    return x * (S**2 / (S**2 + sigma**2))[:, None, None, None]


def uneven(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser with channels that bend differently: nothing cancels by symmetry."""
    scale = 1 + sigma[:, None, None, None]
    return torch.tanh(x.roll(1, 1) / scale) * 0.6 + torch.sin(x) / scale * 0.2


class Guided:
    """A denoiser that counts its calls."""

    def __init__(self, denoiser: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.denoiser, self.calls, self.uncond, self.keep_uncond, self.level = denoiser, 0, torch.empty(0), False, None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.calls += 1
        self.uncond = self.denoiser(x, sigma)
        return self.uncond


def noise(seeds: list[int], size: int = 8) -> NoiseStream:
    return NoiseStream(seeds, shape=(4, size, size), source=NoiseSource.CPU)


def silent(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None: ...


def row_of(name: str) -> SamplerRow:
    row = SAMPLERS.find(name)
    assert row is not None
    return row


def made(
    name: str,
    steps: int,
    seeds: list[int],
    denoiser: Callable[[Tensor, Tensor], Tensor] = uneven,
    size: int = 8,
    **options: Any,
) -> Tensor:
    assert AUTOMATIC is not None
    return sample(
        row_of(name),
        Guided(denoiser),
        noise(seeds, size),
        EPS,
        steps=steps,
        schedule=AUTOMATIC,
        options=options,  # type: ignore[arg-type]
        on_step=silent,
    )


def test_every_row_resolves_and_takes_its_options():
    for row in SAMPLERS:
        function = pkgutil.resolve_name(row.target)
        names = (
            function.__code__.co_varnames
            if not hasattr(function, "__wrapped__")
            else function.__wrapped__.__code__.co_varnames
        )
        assert {*row.options, *row.extras} <= set(names), row.name


@pytest.mark.parametrize(
    ("name", "order", "options"),
    [
        ("Euler", 1, {}),
        ("Euler a", 1, {"eta": 0.0}),
        ("Heun", 2, {}),
        ("DPM2", 2, {}),
        ("DPM2 a", 2, {"eta": 0.0}),
        ("DPM++ 2S a", 2, {"eta": 0.0}),
        ("DPM++ 2M", 2, {}),
        ("DPM++ SDE", 2, {"eta": 0.0}),
        ("DPM++ 2M SDE", 2, {"eta": 0.0}),
        ("DPM++ 2M SDE Heun", 2, {"eta": 0.0}),
        ("DPM++ 3M SDE", 2, {"eta": 0.0}),
        ("LMS", 2, {}),
    ],
)
def test_halving_the_steps_divides_the_error_by_its_order(name: str, order: int, options: dict[str, Any]):
    row = row_of(name)
    run = pkgutil.resolve_name(row.target)
    start, end = 10.0, 0.4
    x = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * start
    exact = x * math.sqrt((S**2 + end**2) / (S**2 + start**2))
    errors: list[float] = []
    for steps in (80, 160):
        sigmas = torch.linspace(math.log(start), math.log(end), steps + 1, dtype=torch.float64).exp()
        answer = run(gaussian, x, sigmas, noise=noise([1, 2], 4), on_step=silent, **sampler_options(row, options))
        errors.append(float((answer - exact).norm()))
    assert math.log2(errors[0] / errors[1]) > order - 0.25


def test_dpm_fast_is_close_to_the_exact_flow_without_its_noise():
    x = noise([1]).first() * EPS.sigma_max
    exact = x * math.sqrt((S**2 + EPS.sigma_min**2) / (S**2 + EPS.sigma_max**2))
    for name, steps, bound in (("DPM fast", 30, 2e-3), ("DPM adaptive", 1, 5e-2)):
        answer = made(name, steps, [1], gaussian, eta=0.0)
        assert float((answer - exact).norm() / exact.norm()) < bound, name


@pytest.mark.parametrize("calls", range(1, 13))
def test_dpm_fast_spends_exactly_its_steps(calls: int):
    assert sum(fast_orders(calls)) == calls
    guided = Guided(uneven)
    assert AUTOMATIC is not None
    sample(row_of("DPM fast"), guided, noise([1]), EPS, steps=calls, schedule=AUTOMATIC, options={}, on_step=silent)  # type: ignore[arg-type]
    assert guided.calls == calls


STOCHASTIC = [
    "Euler a",
    "DPM2 a",
    "DPM++ 2S a",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 3M SDE",
    "DPM fast",
]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_fresh_noise_keeps_the_datas_deviation(name: str):
    answer = made(name, 60, [1, 2], gaussian, size=48, eta=1.0)
    # Euler's own error at 60 steps is 6 %; without the noise, or with twice of it, everything here is far off.
    assert float(answer.std()) == pytest.approx(S, rel=0.08 if name == "Euler a" else 0.04)


def test_churn_and_restart_keep_the_datas_deviation():
    for name, options in (("Heun", {"s_churn": 20.0}), ("DPM2", {"s_churn": 20.0}), ("Restart", {})):
        answer = made(name, 60, [1, 2], gaussian, size=48, **options)
        assert float(answer.std()) == pytest.approx(S, rel=0.05), name


def test_restart_below_twenty_steps_is_heun():
    sigmas = karras(12, EPS.sigma_min, EPS.sigma_max)
    x = noise([1]).first() * EPS.sigma_max
    walks = [pkgutil.resolve_name(row_of(name).target) for name in ("Restart", "Heun")]
    one, other = (walk(uneven, x, sigmas, noise=noise([1]), on_step=silent) for walk in walks)
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", [name for name in SAMPLERS.names() if name != "DPM adaptive"])
def test_a_batch_is_its_pictures_made_alone(name: str):
    batch = made(name, 6, [11, 12, 13])
    singles = torch.cat([made(name, 6, [seed]) for seed in (11, 12, 13)])
    assert torch.allclose(batch, singles, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_repeats_are_identical_and_seeds_differ(name: str):
    first = made(name, 5, [3])
    assert torch.isfinite(first).all() and first.dtype == torch.float32
    assert torch.equal(first, made(name, 5, [3]))
    assert not torch.allclose(first, made(name, 5, [4]), atol=1e-2)


@pytest.mark.parametrize("name", [row.name for row in SAMPLERS if row.uses_ensd])
def test_ensd_changes_what_uses_it(name: str):
    assert AUTOMATIC is not None
    shifted = NoiseStream([3], shape=(4, 8, 8), source=NoiseSource.CPU, ensd=31337)
    other = sample(row_of(name), Guided(uneven), shifted, EPS, steps=5, schedule=AUTOMATIC, options={}, on_step=silent)  # type: ignore[arg-type]
    assert not torch.allclose(made(name, 5, [3]), other, atol=1e-3)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_steps_are_told_in_order_and_may_end_the_walk(name: str):
    told: list[int] = []

    def watch(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None:
        told.append(step)
        assert x.shape == x0.shape == (1, 4, 8, 8) and float(sigma) > 0
        if step == 2:
            raise Interrupted(x0)

    assert AUTOMATIC is not None
    with pytest.raises(Interrupted) as left:
        sample(row_of(name), Guided(uneven), noise([1]), EPS, steps=6, schedule=AUTOMATIC, options={}, on_step=watch)  # type: ignore[arg-type]
    assert told == [0, 1, 2] and left.value.latent is not None


@pytest.mark.parametrize(
    ("name", "steps", "calls"),
    [("Euler", 6, 6), ("Heun", 6, 11), ("DPM2", 6, 11), ("DPM++ SDE", 6, 11), ("DPM++ 2M", 6, 6), ("DDIM", 5, 4),
     ("PLMS", 5, 5), ("UniPC", 5, 5), ("LCM", 4, 4)],
)  # fmt: skip
def test_model_calls_are_as_many_as_a1111_makes(name: str, steps: int, calls: int):
    guided = Guided(uneven)
    assert AUTOMATIC is not None
    sample(row_of(name), guided, noise([1]), EPS, steps=steps, schedule=AUTOMATIC, options={}, on_step=silent)  # type: ignore[arg-type]
    assert guided.calls == calls


def test_the_start_is_scaled_by_sigma_or_as_sgm_does():
    starts: list[Tensor] = []

    def watch(step: int, x: Tensor, sigma: Tensor, x0: Tensor) -> None:
        starts.append(x)
        raise Interrupted(None)

    for name, options in (("Euler", {}), ("Euler", {"sgm_noise_multiplier": True}), ("DDIM", {})):
        with pytest.raises(Interrupted):
            sample(
                row_of(name),
                Guided(uneven),
                noise([1]),
                EPS,
                steps=4,
                schedule=AUTOMATIC,
                options=options,
                on_step=watch,
            )  # type: ignore[arg-type]
    plain = noise([1]).first()
    alpha = EPS.alphas_cumprod[751]
    for start, scale in zip(starts, (EPS.sigma_max, math.hypot(1, EPS.sigma_max), float(alpha) ** -0.5), strict=True):
        assert torch.allclose(start, plain * scale, rtol=1e-5)


def test_lms_weights_integrate_polynomials_exactly():
    import numpy as np

    places = np.array([3.0, 5.0, 6.0, 10.0])
    for power in range(4):
        area = sum(w * p**power for w, p in zip(multistep_weights(places, 3.0, 2.0), places, strict=True))
        assert area == pytest.approx((2.0 ** (power + 1) - 3.0 ** (power + 1)) / (power + 1))


def test_restart_climbs_back_from_twenty_steps_on():
    def climbs(steps: int) -> tuple[int, int]:
        walked = restart_steps(karras(steps, 0.03, 14.6))
        ups = sum(bool(after[0] > before[1]) for before, after in pairwise(walked))
        return len(walked), ups

    assert climbs(19) == (19, 0)
    assert climbs(20) == (20, 1)
    assert climbs(40) == (40, 2)


# --- beside diffusers -------------------------------------------------------------------------------------------------


def as_eps(x: Tensor, t: int) -> Tensor:
    """What an eps network would answer for a variance-preserving x at a whole timestep."""
    sigma, alpha = EPS.sigmas[t], EPS.alphas_cumprod[t]
    scaled = x / alpha.sqrt()
    return (scaled - uneven(scaled, sigma.expand(len(x)))) / sigma


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_ddim_is_diffusers_ddim(eta: float):
    steps = 10
    theirs = DDIMScheduler(
        **DIFFUSERS, clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading"
    )
    theirs.set_timesteps(steps)
    stream = noise([5])
    x = stream.first()
    for t in theirs.timesteps[:-1]:  # A1111 ends at timestep 1, one step before diffusers
        fresh = stream.next() if eta else None
        x = theirs.step(as_eps(x, int(t)), int(t), x, eta=eta, variance_noise=fresh).prev_sample
    assert torch.allclose(made("DDIM", steps, [5], eta=eta), x, atol=1e-4)


@pytest.mark.parametrize(("variant", "order"), [("bh1", 2), ("bh1", 3), ("bh2", 2), ("bh2", 3)])
def test_unipc_is_diffusers_unipc(variant: str, order: int):
    steps = 27  # divides 999: then diffusers' whole timesteps and our continuous ones are the same
    theirs = UniPCMultistepScheduler(
        **DIFFUSERS, solver_order=order, solver_type=variant, timestep_spacing="linspace", final_sigmas_type="sigma_min"
    )
    theirs.set_timesteps(steps)
    x = noise([5]).first()
    mine = unipc(
        uneven,
        x,
        torch.arange(steps),
        noise=noise([5]),
        on_step=silent,
        prediction=EPS,
        unipc_variant=variant,
        unipc_order=order,
    )
    for t in theirs.timesteps:
        x = theirs.step(as_eps(x, int(t)), t, x).prev_sample
    assert float((mine - x).norm() / x.norm()) < 1e-3


@pytest.mark.parametrize("variant", ["bh1", "bh2", "vary_coeff"])
@pytest.mark.parametrize("skip", ["time_uniform", "time_quadratic", "logSNR"])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_unipc_in_all_its_ways_follows_the_exact_flow(variant: str, skip: str, order: int):
    answer = made("UniPC", 50, [5], gaussian, unipc_variant=variant, unipc_skip_type=skip, unipc_order=order)
    alpha, last = EPS.alphas_cumprod[-1], EPS.alphas_cumprod[0]
    x = noise([5]).first() / alpha.sqrt()
    exact = x * math.sqrt((S**2 + EPS.sigma_min**2) / (S**2 + EPS.sigma_max**2)) * last.sqrt()
    assert float((answer - exact).norm() / exact.norm()) < 0.03


def test_unipc_with_too_few_steps_is_refused():
    with pytest.raises(TooFewSteps):
        made("UniPC", 2, [1])


def test_plms_follows_the_exact_flow():
    answer = made("PLMS", 50, [5], gaussian)
    begin, end = EPS.alphas_cumprod[981], EPS.alphas_cumprod[1]
    sigma = ((1 - begin) / begin) ** 0.5
    exact = noise([5]).first() / begin.sqrt() * ((S**2 + EPS.sigmas[1] ** 2) / (S**2 + sigma**2)) ** 0.5 * end.sqrt()
    assert float((answer - exact).norm() / exact.norm()) < 0.02


def test_lcm_is_diffusers_lcm():
    theirs = LCMScheduler(**DIFFUSERS, original_inference_steps=50, clip_sample=False)
    theirs.set_timesteps(50)
    stream = noise([5])
    alpha = EPS.alphas_cumprod[999]
    x = stream.first() * EPS.sigmas[999] * alpha.sqrt()
    draws = torch.Generator().manual_seed(5)
    torch.randn(4, 8, 8, generator=draws)
    for t in theirs.timesteps:
        x = theirs.step(as_eps(x, int(t)), int(t), x, generator=draws).prev_sample
    mine = made("LCM", 50, [5])
    assert float((mine - x).norm() / x.norm()) < 2e-3


def test_ddim_cfgpp_without_guidance_is_ddim_with_a_thinner_answer():
    # The joined answer and the negative's are one here, so CFG++ has nothing to add.
    assert torch.allclose(made("DDIM CFG++", 10, [5]), made("DDIM", 10, [5]), atol=1e-5)
