"""Guidance asks what it must, joins it with the weights, and counts."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from webui.catalog.samplers import SAMPLERS
from webui.catalog.schedules import SCHEDULES
from webui.domain import NoiseSource
from webui.engine.guidance import Guidance, guided
from webui.engine.noise import NoiseStream
from webui.engine.prediction import Prediction, scaled_linear_alphas
from webui.engine.samplers import sample
from webui.engine.types import COND, UNCOND, Call, Denoise, Encoded, Guided, StepContext

pytestmark = pytest.mark.torch
X = torch.ones(2, 4, 2, 2)
SIGMA = torch.tensor([5.0, 5.0])


def states(value: float, tokens: int = 77) -> Encoded:
    return Encoded(torch.full((tokens, 3), value))


class Fixed:
    """The same prompts at every call."""

    def __init__(self, prompts: list[list[tuple[Encoded, float]]], negatives: list[Encoded]) -> None:
        self.prompts, self.negatives, self.asked = prompts, negatives, list[int]()

    def at(self, call: int) -> tuple[list[list[tuple[Encoded, float]]], list[Encoded]]:
        self.asked.append(call)
        return self.prompts, self.negatives


class Model:
    """Answers each row with the mean of its text states, so sums can be checked by hand."""

    def __init__(self) -> None:
        self.heard: list[tuple[Sequence[Call], StepContext]] = []

    def __call__(self, calls: Sequence[Call], context: StepContext) -> list[Tensor]:
        self.heard.append((calls, context))
        return [torch.ones_like(call.x) * call.context.mean(dim=(1, 2))[:, None, None, None] for call in calls]

    def roles(self) -> list[str]:
        return [call.role for call in self.heard[-1][0]]


ONE = Fixed([[(states(3.0), 1.0)], [(states(4.0), 1.0)]], [states(1.0), states(2.0)])


def build(model: Denoise, conditioning: Fixed = ONE, **more: Any) -> Guidance:
    return guided(model, conditioning, **({"cfg_scale": 7.0, "batch": 2, "steps": 4} | more))


def values(x0: Tensor) -> list[float]:
    return x0[:, 0, 0, 0].tolist()


def test_cond_is_pushed_away_from_uncond():
    model = Model()
    answer = build(model)(X, SIGMA)
    assert values(answer) == [1 + 7 * (3 - 1), 2 + 7 * (4 - 2)]
    assert model.roles() == [COND, UNCOND]
    assert all(call.rows == (0, 1) and call.context.shape == (2, 77, 3) for call in model.heard[0][0])


def test_and_parts_add_with_their_weights():
    parts = Fixed(
        [[(states(3.0), 1.0), (states(5.0), 0.5), (states(6.0), -1.0)], [(states(4.0), 1.0)]],
        [states(1.0), states(2.0)],
    )
    model = Model()
    answer = build(model, parts, cfg_scale=2.0)(X, SIGMA)
    assert values(answer) == [1 + 2 * (2 * 1.0 + 4 * 0.5 + 5 * -1.0), 2 + 2 * 2]
    assert [(call.rows, call.weight) for call in model.heard[0][0]] == [
        ((0, 1), 1.0),
        ((0,), 0.5),
        ((0,), -1.0),
        ((0, 1), 1.0),
    ]
    assert model.heard[0][0][1].x.shape[0] == 1


def test_unequal_token_counts_are_separate_calls():
    uneven = Fixed([[(states(3.0, 154), 1.0)], [(states(4.0), 1.0)]], [states(1.0), states(2.0, 154)])
    model = Model()
    assert values(build(model, uneven)(X, SIGMA)) == values(build(Model())(X, SIGMA))
    assert len(model.heard[0][0]) == 4


def test_at_scale_one_the_negative_is_not_asked():
    model = Model()
    assert values(build(model, cfg_scale=1.0)(X, SIGMA)) == [3.0, 4.0]
    assert model.roles() == [COND]


def test_at_scale_one_it_is_asked_when_and_weights_do_not_add_to_one():
    model = Model()
    halves = Fixed([[(states(3.0), 0.5)], [(states(4.0), 1.0)]], [states(1.0), states(2.0)])
    assert values(build(model, halves, cfg_scale=1.0)(X, SIGMA)) == [2.0, 4.0]
    assert model.roles() == [COND, COND, UNCOND]


def test_the_negatives_answer_can_be_kept():
    guide = build(Model(), cfg_scale=1.0)
    guide.keep_uncond = True
    guide(X, SIGMA)
    assert values(guide.uncond) == [1.0, 2.0]


def test_below_the_negatives_least_sigma_every_second_call_goes_without():
    model = Model()
    guide = build(model, options={"s_min_uncond": 6.0})
    roles = [(guide(X, SIGMA), model.roles())[1] for _ in range(4)]
    assert roles == [[COND, UNCOND], [COND], [COND, UNCOND], [COND]]
    assert values(guide(X, torch.tensor([7.0, 7.0]))) == [15.0, 16.0]
    always = build(model, options={"s_min_uncond": 6.0, "s_min_uncond_all": True})
    assert values(always(X, SIGMA)) == [3.0, 4.0]


def test_the_least_sigma_of_timestep_samplers_is_a_timestep():
    guide = build(Model(), options={"s_min_uncond": 6.0, "s_min_uncond_all": True})
    guide.level = lambda sigma: sigma * 100
    assert values(guide(X, SIGMA)) == [15.0, 16.0]
    assert values(guide(X, SIGMA / 100)) == [3.0, 4.0]


def test_early_calls_go_without_the_negative_when_asked():
    model = Model()
    guide = build(model, options={"skip_early_cond": 0.25})
    roles = [(guide(X, SIGMA), model.roles())[1] for _ in range(4)]
    assert roles == [[COND], [COND], [COND, UNCOND], [COND, UNCOND]]
    assert [(build(model)(X, SIGMA), model.roles())[1]] == [[COND, UNCOND]]


def test_without_the_negative_and_parts_still_add():
    parts = Fixed([[(states(3.0), 1.0), (states(5.0), 0.5)]], [states(1.0)])
    guide = build(Model(), parts, options={"s_min_uncond": 9.0, "s_min_uncond_all": True})
    assert values(guide(X[:1], SIGMA[:1])) == [3 + 0.5 * (5 - 3)]


def test_calls_and_steps_are_counted():
    model, seen = Model(), list[StepContext]()
    guide = build(model, Fixed(ONE.prompts, ONE.negatives), second_order=True, on_call=seen.append)
    for _ in range(5):
        guide(X, SIGMA)
    assert [(context.call, context.step) for context in seen] == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)]
    assert {(context.calls, context.steps) for context in seen} == {(8, 4)}
    assert [context for _, context in model.heard] == seen


def test_the_conditioning_is_asked_by_the_count_of_calls():
    prompts = Fixed(ONE.prompts, ONE.negatives)
    guide = build(Model(), prompts)
    for _ in range(3):
        guide(X, SIGMA)
    assert prompts.asked == [0, 1, 2]


def test_on_call_may_end_the_sampling_before_the_model_is_asked():
    model = Model()

    def stop(context: StepContext) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(model, on_call=stop)(X, SIGMA)
    assert not model.heard


def test_wrappers_see_the_calls_and_the_joined_answer():
    def doubled(inner: Denoise) -> Denoise:
        return lambda calls, context: [2 * answer for answer in inner(calls, context)]

    def lowered(inner: Guided) -> Guided:
        return lambda x, sigma: inner(x, sigma) - 1

    answer = build(Model(), wrap_denoise=doubled, wrap_guided=lowered)(X, SIGMA)
    assert values(answer) == [2 * 15 - 1, 2 * 16 - 1]


def test_cfgpp_takes_the_negatives_noise():
    row, automatic = SAMPLERS.find("DDIM CFG++"), SCHEDULES.find("Automatic")
    assert row is not None and automatic is not None
    prediction = Prediction(alphas_cumprod=scaled_linear_alphas())

    def made(scale: float) -> tuple[Tensor, Model]:
        model = Model()
        guide = build(model, cfg_scale=scale)
        stream = NoiseStream([1, 2], shape=(4, 2, 2), source=NoiseSource.CPU)
        return sample(
            row, guide, stream, prediction, steps=5, schedule=automatic, options={}, on_step=lambda *_: None
        ), model

    (at_one, model), (at_full, _), (at_none, _) = made(1.0), made(12.5), made(0.0)
    assert model.roles() == [COND, UNCOND]
    # The answers are constants here: x ends at sqrt(a) x0 and the noise left, which the negative alone leads.
    middle = at_none + (at_full - at_none) / 12.5
    assert torch.allclose(at_one, middle, atol=1e-4)
