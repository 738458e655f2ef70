"""What the parity check itself promises: it reads requests as they are, and its verdicts can be negative."""

import doctest
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from webui.domain.errors import BrokenFile
from webui.engine.conditioning import BatchConditioning, Scheduled
from webui.engine.types import Encoded
from webui.parity import cases as cases_module
from webui.parity.__main__ import main, row
from webui.parity.cases import SHIPPED, read_cases
from webui.parity.check import Outcome, compared, conditioning_error, relative
from webui.parity.checkpoint import WrongDigest, checked, digest_of

pytestmark = pytest.mark.torch


def write_cases(folder: Path, **requests: dict[str, object]) -> Path:
    entries = {
        name: {"endpoint": asked.pop("endpoint", "txt2img"), "request": asked, "pictures": [f"{name}.png"]}
        for name, asked in requests.items()
    }
    (folder / "cases.json").write_text(json.dumps({"settings": {"randn_source": "CPU"}, "cases": entries}))
    return folder


def test_a_request_is_read_with_a1111s_names_and_defaults(tmp_path: Path):
    asked = {"prompt": "x", "sampler_name": "Euler a", "scheduler": "Karras", "n_iter": 2, "eta": 0.5,
             "seed_resize_from_w": -1, "override_settings": {"randn_source": "NV"}}  # fmt: skip
    (case,) = read_cases(write_cases(tmp_path, one=asked))
    request = case.request
    assert request is not None and not case.needs
    assert (request.sampler, request.schedule, request.steps, request.batch_count) == ("Euler a", "Karras", 50, 2)
    assert request.options.eta == 0.5 and request.seed_resize_width == 0
    assert request.overrides == {"randn_source": "NV"} and case.settings == {"randn_source": "CPU"}
    assert not request.save


def test_what_cannot_be_made_yet_says_why_and_is_no_pass(tmp_path: Path):
    folder = write_cases(
        tmp_path, extras={"endpoint": "extra-single-image"},
        script={"script_name": "X/Y/Z plot"},
    )  # fmt: skip
    needs = [case.needs.removeprefix("parity_needs_") for case in read_cases(folder)]
    assert needs == ["route", "script"]
    assert not Outcome(name="extras", needs="parity_needs_route").passed


def test_a_broken_folder_is_said(tmp_path: Path):
    with pytest.raises(BrokenFile):
        read_cases(tmp_path)
    (tmp_path / "cases.json").write_text('{"cases": {"a": {}}, "settings": {}}')
    with pytest.raises(BrokenFile):
        read_cases(tmp_path)
    assert main([str(tmp_path)]) == 2


def test_the_prompt_matrix_turns_its_second_part_first():
    assert doctest.testmod(cases_module).failed == 0


def test_shipped_cases_have_their_files():
    for case in read_cases(SHIPPED):
        assert case.pictures and all(path.is_file() for path in case.pictures), case.name
        assert (case.latents / f"{case.name}.samples.npy").is_file()


def test_pictures_are_compared_by_bytes():
    known = [np.zeros((4, 4, 3), np.int16)]
    assert compared(known, known) == (0.0, 1.0)
    assert compared([known[0] + 3], known) == (3.0, 0.0)
    assert compared([known[0] + 2], known) == (2.0, 1.0)
    assert compared([known[0][:2]], known) == (math.inf, 0.0)
    assert compared([], known) == (math.inf, 0.0)


def test_latents_are_compared_by_their_norm():
    known = np.ones((1, 4, 2, 2), np.float32)
    assert relative(known, known) == 0
    assert relative(known * 1.01, known) == pytest.approx(0.01, rel=1e-3)
    assert relative(known[:, :2], known) == math.inf
    assert relative(known * np.nan, known) == math.inf


@pytest.mark.parametrize(
    ("errors", "part"),
    [
        ({"mean": 0.01, "within": 1.0, "latent": 1e-5, "noise": 0.0}, ""),
        ({"mean": 9.0, "within": 0.1, "latent": 0.3, "noise": 0.2}, "noise"),
        ({"mean": 9.0, "within": 0.1, "latent": 0.3, "noise": 0.0, "start": 0.2}, "start"),
        ({"mean": 9.0, "within": 0.1, "latent": 0.3, "conditioning": 0.2}, "conditioning"),
        ({"mean": 9.0, "within": 0.1, "latent": 0.3, "noise": 0.0}, "sampling"),
        ({"mean": 9.0, "within": 0.1, "latent": 0.0}, "decoding"),
        ({"mean": 0.01, "within": 0.99}, "decoding"),
        ({"mean": 0.06, "within": 1.0}, "decoding"),
        ({}, "decoding"),
        ({"error": BrokenFile(path="x", reason="y")}, "run"),
    ],
)
def test_a_difference_is_placed_where_it_begins(errors: dict[str, object], part: str):
    outcome = Outcome(name="case", **errors)  # type: ignore[arg-type]
    assert (outcome.part, outcome.passed) == (part, part == "")
    assert "case" in row(outcome, "en") and "case" in row(outcome, "zh-CN")


def test_conditioning_is_compared_in_time_weight_and_value():
    states = torch.ones(77, 8)
    made = BatchConditioning(
        parts=(((Scheduled(((1, Encoded(states)), (4, Encoded(states * 2)))), 0.5),),),
        uncond=(Scheduled(((4, Encoded(states)),)),),
    )
    known = {
        "c.b0.and0.w0.5.s0.end1": states.numpy(),
        "c.b0.and0.w0.5.s1.end4": 2 * states.numpy(),
        "uc.b0.s0.end4": states.numpy(),
    }
    assert conditioning_error(made, known) == 0
    assert conditioning_error(made, known | {"uc.b0.s0.end4": 1.1 * states.numpy()}) == pytest.approx(0.0909, abs=1e-3)
    for wrong in ("c.b0.and0.w1.s0.end1", "c.b0.and0.w0.5.s0.end2", "c.b0.and1.w0.5.s0.end1", "uc.b1.s0.end4", "what"):
        assert conditioning_error(made, {wrong: states.numpy()}) == math.inf, wrong


def test_a_digest_covers_names_and_bytes_and_no_metadata(tmp_path: Path):
    def digest(state: dict[str, torch.Tensor], **metadata: str) -> str:
        save_file(state, tmp_path / "x.safetensors", metadata=metadata or None)
        return digest_of(tmp_path / "x.safetensors")

    one = {"a": torch.arange(4.0), "b": torch.ones(2, 2).half()}
    assert digest(one) == digest(dict(reversed(one.items())), format="pt")
    assert digest(one) != digest(one | {"a": torch.arange(4.0) + 1})
    assert digest(one) != digest({"c": one["a"], "b": one["b"]})


def test_a_truncated_or_missing_checkpoint_has_no_digest(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    assert digest_of(path) == ""
    save_file({"a": torch.arange(400.0)}, path)
    path.write_bytes(path.read_bytes()[:-8])
    assert digest_of(path) == ""
    path.write_bytes(b"\xff" * 64)
    assert digest_of(path) == ""


def test_a_checkpoint_of_another_digest_is_refused_and_removed(tmp_path: Path):
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.arange(4.0)}, path)
    assert checked(path, digest_of(path)) == path
    with pytest.raises(WrongDigest) as caught:
        checked(path, "0" * 16)
    assert caught.value.fields["expected"] == "0" * 16 and not path.exists()
