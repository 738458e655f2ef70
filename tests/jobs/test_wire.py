"""A noun written to the queue comes back equal."""

from dataclasses import replace

import pytest

from webui.domain import Artifact, GenerationRequest, Result, SamplerOptions
from webui.jobs.wire import NotStorable, pack, unpack


def test_a_request_comes_back_equal() -> None:
    request = GenerationRequest(
        prompt="红色圆", styles=("a", "b"), seed=5, options=SamplerOptions(eta=0.5), overrides={"sampling.ensd": 31337}
    )
    assert unpack(GenerationRequest, pack(request)) == request


def test_a_result_comes_back_equal() -> None:
    result = Result(
        artifacts=(Artifact(path="a.png", width=1, height=2),), info={"x": [1, "y"]}, timings={"t": 1.5}, stopped=True
    )
    assert unpack(Result, pack(result)) == result


def test_fields_from_another_version_do_no_harm() -> None:
    values = pack(GenerationRequest(prompt="a"))
    values["from_the_future"] = 1
    del values["tiling"]
    assert unpack(GenerationRequest, values) == replace(GenerationRequest(prompt="a"), tiling=False)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(NotStorable):
        pack(GenerationRequest(overrides={"x": object()}))
