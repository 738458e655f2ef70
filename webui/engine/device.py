"""Which device and precision to compute with, and how many threads: decided once, here."""

import os
import re
from dataclasses import dataclass

import psutil
import torch

from webui.domain.errors import OutOfMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Number types of the parts. None keeps the file's own type."""

    unet: torch.dtype | None = torch.float32
    text: torch.dtype | None = torch.float32
    vae: torch.dtype | None = torch.float32
    check_nan: bool = True

    @classmethod
    def for_device(
        cls, device: torch.device, *, half: bool = True, half_vae: bool = True, check_nan: bool = True
    ) -> "Precision":
        """A1111's choice: fp16 on an accelerator, fp32 on the CPU.

        `half`/`half_vae` False: --no-half, --no-half-vae.
        """
        if device.type == "cpu" or not half:
            return cls(check_nan=check_nan)
        small = torch.float16
        return cls(unet=small, text=small, vae=small if half_vae else torch.float32, check_nan=check_nan)

    @classmethod
    def own(cls) -> "Precision":
        """Weights as they are stored: the least memory, on the CPU no copy at all. The VAE is fp32, the smallest part:
        the CPU has no quick convolution for fp16 (one of 128 channels took 19 times what fp32 takes).
        """
        return cls(unet=None, text=None, vae=torch.float32)


def choose(*, cpu: bool = False, device_id: str | None = None) -> torch.device:
    """The device to compute on: CUDA, then Apple's, then the CPU. `device_id` picks one of several cards."""
    if cpu:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device(f"cuda:{device_id}" if device_id else "cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def prepare(*, threads: int | None = None) -> None:
    """Settle what is global in torch for this process: threads. Call once, in the worker, before loading.

    OMP_NUM_THREADS wins. Otherwise one thread per core this process may use: more fight each other, and two on one busy
    core were measured twenty times slower than one.
    """
    wanted = threads or int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or _cores()
    torch.set_num_threads(wanted)


def out_of_memory(error: RuntimeError, *, doing: str, device: torch.device) -> OutOfMemory | None:
    """torch's complaint that memory ran out, card's or computer's, as ours with bytes;

    None when it is another error.
    """
    text = str(error)
    if (
        not isinstance(error, torch.OutOfMemoryError)
        and "allocate memory" not in text
        and "not enough memory" not in text
    ):
        return None
    found = re.search(r"allocate ([\d.]+) ?(bytes|KiB|MiB|GiB|TiB)", text)
    power = ("bytes", "KiB", "MiB", "GiB", "TiB").index(found[2]) if found else 0
    needed = int(float(found[1]) * 1024**power) if found else "?"
    return OutOfMemory(doing=doing, needed=needed, free=free_memory(device))


def free_memory(device: torch.device) -> int:
    """Bytes free on the device: what torch keeps for itself and does not use counts, a cap set for it is heeded."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        taken = torch.cuda.memory_allocated(device)
        cap = int(total * torch.cuda.get_per_process_memory_fraction(device)) - taken
        return min(free + torch.cuda.memory_reserved(device) - taken, cap)
    return psutil.virtual_memory().available


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)
