"""How units act on a model's answers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.torch


def calls(batch: int = 1, *, size: int = 8, width: int = 64) -> list[Any]:
    """The prompt's call and the negative one's, of as many pictures."""
    import torch

    from webui.engine.types import COND, UNCOND, Call

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, size, size, generator=generator)
    texts = torch.randn(2, 7, width, generator=generator)
    return [
        Call(
            role=role, rows=tuple(range(batch)), x=x, sigma=torch.full((batch,), 2.0),
            context=text.expand(batch, -1, -1),
        )
        for role, text in zip((COND, UNCOND), texts, strict=True)
    ]  # fmt: skip


def at(call: int = 0, *, steps: int = 10, second_order: bool = False) -> Any:
    from webui.engine.types import StepContext

    per = 2 if second_order else 1
    return StepContext(call=call, step=call // per, calls=steps * per, steps=steps)


def hint(batch: int = 1, *, seed: int = 2, size: int = 64) -> Any:
    import torch

    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def asked(rows: int = 2) -> Any:
    """A forward of the UNet: the first half of its rows for the prompt."""
    import torch

    from webui.engine.control.applied import Asked

    generator = torch.Generator().manual_seed(4)
    half = rows // 2
    return Asked(
        x=torch.randn(rows, 4, 8, 8, generator=generator),
        timesteps=torch.full((rows,), 400.0),
        states=torch.randn(rows, 7, 64, generator=generator),
        added=None,
        pictures=[*range(half)] * 2,
        prompted=[True] * half + [False] * half,
    )


def raw(network: Any, one: Any, hints: Any) -> list[Any]:
    """What the network itself answers: its skips, then its middle."""
    import torch

    with torch.no_grad():
        skips, middle = network(one.x, one.timesteps, one.states, hints, return_dict=False)
    return [*skips, middle]


def added(units: list[Any], one: Any) -> list[Any]:
    from webui.engine.control.applied import Guide, residuals

    found = residuals([Guide(unit) for unit in units], one)
    assert found is not None
    return [*found.skips, found.middle]


def same(ours: list[Any], theirs: list[Any], tolerance: float = 1e-5) -> bool:
    return len(ours) == len(theirs) and all(
        float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max()))
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.fixture
def network(model: Any, cldm_record: Any) -> Any:
    from webui.engine.control import ControlCache

    return ControlCache().load(cldm_record, base=model)


@pytest.fixture
def unit(network: Any) -> Callable[..., Any]:
    from webui.engine.control import Applied

    def make(**how: Any) -> Any:
        return Applied(**{"network": network, "hints": hint(), **how})

    return make


def answers(model: Any, units: list[Any], batch: int = 1, where: Any = None) -> list[Any]:
    from webui.engine.control import controlled

    return controlled(model.denoise, units)(calls(batch), where or at())


def equal(ours: list[Any], theirs: list[Any]) -> bool:
    import torch

    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_unit_of_weight_zero_gives_the_bytes_of_no_control(
    model: Any, network: Any, unit: Callable[..., Any]
) -> None:
    assert equal(answers(model, [unit(weight=0.0)]), answers(model, []))
    assert network.calls == 0


def test_a_unit_changes_what_is_drawn_and_leaves_nothing_behind(
    model: Any, network: Any, unit: Callable[..., Any]
) -> None:
    import torch

    plain = answers(model, [])
    guided = answers(model, [unit()])
    assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(plain, guided, strict=True))
    assert network.calls == 1
    assert equal(answers(model, []), plain), "the bytes come back"


@pytest.mark.parametrize(
    ("start", "end", "guided"),
    [
        (0.0, 1.0, range(10)),
        (0.0, 0.5, range(7)),
        (0.5, 1.0, range(6, 10)),
        (0.2, 0.4, range(3, 6)),
        (0.0, 0.0, (0, 1)),
    ],
)
def test_start_and_end_limit_the_calls(
    model: Any, network: Any, unit: Callable[..., Any], start: float, end: float, guided: Any
) -> None:
    """A1111 counts a step when its evaluation is done: call 1 still sees step 0."""
    from webui.engine.control import controlled

    seen: list[int] = []

    def denoise(asked: Any, context: Any) -> list[Any]:
        if "controls" in asked[0].extras:
            seen.append(context.call)
        return []

    ask = controlled(denoise, [unit(start=start, end=end)])
    for call in range(10):
        ask(calls(), at(call))
    assert seen == list(guided)
    for call in (seen[0], seen[-1], *[call for call in range(10) if call not in seen][:1]):
        answers(model, [unit(start=start, end=end)], where=at(call))
    assert network.calls == 2


def test_the_second_evaluation_of_a_step_sees_its_own_number(unit: Callable[..., Any]) -> None:
    one = unit(start=0.1, end=0.2)
    guided = [call for call in range(20) if one.guides(at(call, second_order=True))]
    assert guided == [3, 4, 5, 6], "step 1's second evaluation to step 3's first"


def test_two_units_sum(tiny_control: Any, network: Any, unit: Callable[..., Any]) -> None:
    one = asked()
    pair = [unit(weight=0.8), unit(hints=hint(seed=5), weight=0.5)]
    expected = [
        0.8 * a + 0.5 * b
        for a, b in zip(
            raw(tiny_control, one, hint().expand(2, -1, -1, -1)),
            raw(tiny_control, one, hint(seed=5).expand(2, -1, -1, -1)),
            strict=True,
        )
    ]
    assert same(added(pair, one), expected)
    assert network.calls == 2


def test_the_three_modes_differ_as_specified(tiny_control: Any, unit: Callable[..., Any]) -> None:
    from webui.domain.controlnet import ControlMode

    one = asked()
    whole = raw(tiny_control, one, hint().expand(2, -1, -1, -1))
    soft = [each * 0.6 * 0.825 ** (12 - i) for i, each in enumerate(whole)]
    assert same(added([unit(weight=0.6)], one), [each * 0.6 for each in whole])
    assert same(added([unit(weight=0.6, mode=ControlMode.PROMPT)], one), soft)
    control = added([unit(weight=0.6, mode=ControlMode.CONTROL)], one)
    assert same([each[:1] for each in control], [each[:1] for each in soft])
    assert all(not each[1:].any() for each in control), "nothing for the negative prompt"
    assert same(added([unit(weight=0.6, soft=True)], one), soft), "edges in a hires pass"


def test_sdxl_has_ten_residuals_of_which_the_middle_counts_most(unit: Callable[..., Any]) -> None:
    from webui.domain.controlnet import ControlMode

    scales = unit(mode=ControlMode.PROMPT).scales(10)
    assert scales == pytest.approx([0.825 ** (12 - i) for i in range(10)])
    assert unit(weight=0.3).scales(10) == [0.3] * 10


def test_a_call_of_the_negative_prompt_alone_asks_no_network_where_control_is_more_important(
    model: Any, network: Any, unit: Callable[..., Any]
) -> None:
    from webui.domain.controlnet import ControlMode
    from webui.engine.control import controlled

    ask = controlled(model.denoise, [unit(mode=ControlMode.CONTROL)])
    assert equal(ask(calls()[1:], at()), model.denoise(calls()[1:], at()))
    assert network.calls == 0


def test_layer_weights_stand_in_the_place_of_the_weight(tiny_control: Any, unit: Callable[..., Any]) -> None:
    one = asked()
    factors = tuple(i / 13 for i in range(13))
    whole = raw(tiny_control, one, hint().expand(2, -1, -1, -1))
    expected = [each * factor for each, factor in zip(whole, factors, strict=True)]
    assert same(added([unit(layer_weights=factors, weight=0.4)], one), expected)


def test_outside_its_region_a_unit_adds_nothing(tiny_control: Any, unit: Callable[..., Any]) -> None:
    import torch

    one = asked()
    region = torch.zeros(1, 1, 64, 64)
    region[..., :32] = 1
    found = added([unit(region=region)], one)
    whole = raw(tiny_control, one, hint().expand(2, -1, -1, -1))
    assert same([found[0][..., :4]], [whole[0][..., :4]])
    assert not found[0][..., 4:].any()
    assert found[0].any()


def test_a_shuffle_network_adds_the_mean_to_the_prompts_rows_alone(
    tiny_control: Any, model: Any, save_control: Callable[..., Any], unit: Callable[..., Any]
) -> None:
    from webui.engine.control import ControlCache
    from webui.engine.control.layouts import to_cldm

    shuffle = ControlCache().load(save_control(to_cldm(tiny_control), "control_v11e_sd15_shuffle"), base=model)
    one = asked()
    found = added([unit(network=shuffle, weight=0.7)], one)
    whole = raw(tiny_control, one, hint().expand(2, -1, -1, -1))
    assert same([each[:1] for each in found], [0.7 * each[:1].mean(dim=(2, 3), keepdim=True) for each in whole])
    assert all(not each[1:].any() for each in found)


def test_each_picture_of_a_batch_has_its_own_hint_and_is_as_alone(model: Any, unit: Callable[..., Any]) -> None:
    import torch

    from webui.engine.control import controlled

    both = answers(model, [unit(hints=hint(2))], batch=2)
    for row in range(2):
        alone = [
            replace(call, rows=(0,), x=call.x[[row]], sigma=call.sigma[[row]], context=call.context[[row]])
            for call in calls(2)
        ]
        found = controlled(model.denoise, [unit(hints=hint(2)[[row]])])(alone, at())
        for together, one in zip(both, found, strict=True):
            assert torch.allclose(together[[row]], one, atol=2e-3)


def test_calls_that_share_no_forward_and_split_ones_are_guided_alike(model: Any, unit: Callable[..., Any]) -> None:
    import torch

    whole = answers(model, [unit(hints=hint(2))], batch=2)
    try:
        model._most_rows = 1
        split = answers(model, [unit(hints=hint(2))], batch=2)
        model._most_rows, model.apart = None, True
        apart = answers(model, [unit(hints=hint(2))], batch=2)
    finally:
        model._most_rows, model.apart = None, False
    for a, b, c in zip(whole, split, apart, strict=True):
        assert torch.allclose(a, b, atol=2e-3)
        assert torch.allclose(a, c, atol=2e-3)


def test_a_hint_of_another_size_is_brought_to_the_pictures(model: Any, unit: Callable[..., Any]) -> None:
    import torch

    small = hint(size=32)
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert equal(answers(model, [unit(hints=small)]), answers(model, [unit(hints=large)]))
    assert not torch.equal(answers(model, [unit(hints=small)])[0], answers(model, [])[0])
