"""Precision and threads, decided in one place."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.torch


def test_precision_is_half_on_a_card_and_whole_on_the_cpu() -> None:
    import torch

    from webui.engine.device import Precision

    card, cpu = torch.device("cuda"), torch.device("cpu")
    assert Precision.for_device(card).unet == Precision.for_device(card).vae == torch.float16
    assert Precision.for_device(card, half=False) == Precision.for_device(cpu) == Precision()
    assert Precision.for_device(card, half_vae=False).vae == torch.float32
    assert Precision.for_device(card, half_vae=False).unet == torch.float16
    assert Precision.own().unet is None
    assert Precision.own().vae == torch.float32  # fp16 convolutions take minutes on the CPU


def test_the_cpu_can_be_asked_for() -> None:
    from webui.engine.device import choose

    assert choose(cpu=True).type == "cpu"


@pytest.mark.parametrize("asked", ["1", "3"])
def test_omp_num_threads_wins(asked: str) -> None:
    code = "from webui.engine.device import prepare; import torch; prepare(); print(torch.get_num_threads())"
    environment = os.environ | {"OMP_NUM_THREADS": asked}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == asked


def test_torchs_complaint_becomes_ours_with_bytes() -> None:
    import torch

    from webui.engine.device import out_of_memory

    def needed(error: RuntimeError) -> object:
        failed = out_of_memory(error, doing="UNet", device=torch.device("cpu"))
        return failed.fields["needed"] if failed else None

    assert needed(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has")) == 1.5 * 1024**3
    assert needed(torch.OutOfMemoryError("out of memory")) == "?"
    assert needed(RuntimeError("shapes do not fit")) is None
