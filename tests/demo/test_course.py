"""A course that was stopped and resumed is the course that ran through."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from webui.demo.course import Course, Dice, Group, Peers, averaged, blocks, together, train  # noqa: E402

pytestmark = pytest.mark.torch


def line() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1))


def course(folder: Path, **changes: object) -> Course:
    return replace(Course(name="line", folder=folder, steps=12, rate=1e-2, warm=2), **changes)


def run(plan: Course, *, model: nn.Module, peers: Peers | None = None) -> nn.Module:
    def loss_at(step: int, dice: Dice) -> Tensor:
        x = torch.randn(16, 4, generator=dice.torch)
        return (model(x)[:, 0] - x.sum(1) - dice.python.random() - 0 * step).square().mean()

    train(plan, [Group(parts={"line": model})], loss_at, peers=peers or Peers())
    return model


def weights(model: nn.Module) -> bytes:
    return b"".join(weight.detach().numpy().tobytes() for weight in model.parameters())


def test_a_paused_course_resumes_bit_for_bit(tmp_path: Path):
    (tmp_path / "through").mkdir()
    (tmp_path / "paused").mkdir()
    through = run(course(tmp_path / "through"), model=line())
    run(course(tmp_path / "paused", pause_at=5), model=line())
    # Other starting weights: everything must come from the saved state.
    other = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1))
    assert weights(run(course(tmp_path / "paused"), model=other)) == weights(through)


def test_a_finished_course_is_not_trained_again(tmp_path: Path):
    first = weights(run(course(tmp_path), model=line()))
    saved = course(tmp_path).file.read_bytes()
    assert weights(run(course(tmp_path), model=line())) == first
    assert course(tmp_path).file.read_bytes() == saved


def test_the_state_is_saved_while_it_trains(tmp_path: Path):
    model = line()
    plan = course(tmp_path, save_every=0.0)

    def loss_at(step: int, dice: Dice) -> Tensor:
        del dice
        if step == 7:
            raise KeyboardInterrupt
        return model(torch.ones(1, 4)).square().mean()

    with pytest.raises(KeyboardInterrupt):
        train(plan, [Group(parts={"line": model})], loss_at, peers=Peers())
    assert averaged(plan.file, "line", line()) == 7
    assert not list(tmp_path.glob("*.partial"))


def test_training_brings_the_loss_down(tmp_path: Path):
    model = run(course(tmp_path, steps=300, average=0.9), model=line())
    x = torch.randn(64, 4)
    assert (model(x)[:, 0] - x.sum(1) - 0.5).square().mean() < 1.0


def test_the_learning_rate_rises_stays_and_falls(tmp_path: Path):
    plan = course(tmp_path, steps=100, warm=10)
    assert plan.rate_at(0) == pytest.approx(1e-3)
    assert plan.rate_at(9) == plan.rate_at(59) == pytest.approx(1e-2)
    assert plan.rate_at(80) < plan.rate_at(70) < 1e-2
    assert plan.rate_at(99) == pytest.approx(0.74e-3, rel=0.1)


def _share(file: str, *, peers: Peers) -> None:
    plan = course(Path(file).parent, steps=3)
    model = run(plan, model=line(), peers=peers)
    Path(f"{file}{peers.rank}").write_bytes(weights(model))


def test_two_processes_end_with_the_same_weights(tmp_path: Path):
    together(_share, str(tmp_path / "weights"), processes=2)
    assert (tmp_path / "weights0").read_bytes() == (tmp_path / "weights1").read_bytes()


def test_blocks_cover_everything_once():
    assert [n for part in blocks(10, 4) for n in range(10)[part]] == list(range(10))


ORPHANS = """
import os, sys, time
from pathlib import Path
from webui.demo.course import together

def work(folder, peers):
    Path(folder, str(peers.rank)).write_text(str(os.getpid()))
    time.sleep(120)

if __name__ == "__main__":
    together(work, sys.argv[1], processes=2)
"""


@pytest.mark.skipif(torch.cuda.is_available() or os.name == "nt", reason="a card trains in one process; no fork")
def test_a_killed_training_takes_its_workers_along(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # In the background of a shell SIGINT is ignored, which is what torch would send them.
    ignoring = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    leader = subprocess.Popen([sys.executable, script, tmp_path], env=environment, preexec_fn=ignoring)
    try:
        told = [tmp_path / "0", tmp_path / "1"]
        wait_for(lambda: all(path.is_file() and path.read_text() for path in told))
    finally:
        leader.kill()
        leader.wait()
    wait_for(lambda: not any(psutil.pid_exists(int(path.read_text())) for path in told))


def wait_for(fact: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.05)
