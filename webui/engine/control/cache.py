"""The control networks a worker holds: the last few stay in memory."""

import gc
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from webui.domain.errors import ModelGone
from webui.domain.model import ModelRecord
from webui.engine import keys
from webui.engine.control.networks import ControlNetwork, check_fit, load_network

if TYPE_CHECKING:
    from webui.engine.model import LoadedModel

Stamp = tuple[Path, int, int]
"""(path, size, mtime in ns): a file replaced under the same name is another network."""


@dataclass(frozen=True, slots=True)
class _Held:
    network: ControlNetwork
    base: Hashable
    """The base it was filled over, as far as that matters."""


class ControlCache:
    """`keep` networks stay, the last used (sd-webui-controlnet's control_net_model_cache_size). `loads` counts what was
    read from disk. Hold the device's lease.
    """

    def __init__(self) -> None:
        self.keep = 2
        self.loads = 0
        self._held: dict[Stamp, _Held] = {}

    def load(self, record: ModelRecord, *, base: "LoadedModel") -> ControlNetwork:
        """The network of that file, for that base; read only when it is not in memory for it.

        Raises ControlMisfit, UnsupportedControl, WrongKind, BrokenFile, UnsafeFile, ModelGone.
        """
        stamp = _stamp(record)
        alike, own = _alike(base), _stamp(base.record)
        held = self._held.get(stamp)
        if held is not None and held.base not in ((alike, None), (alike, own)):
            # One that does not fit the other base (a refiner) must not cost the one that is here.
            check_fit(record, base)
            held = None
        self._held.pop(stamp, None)
        if held is None:
            self._let_go(max(1, self.keep) - 1)
            network, over = load_network(record, base)
            held = _Held(network, (alike, own if over else None))
            self.loads += 1
        self._held[stamp] = held
        held.network.record = record
        return held.network

    def unload(self) -> None:
        """Give the memory back."""
        self._let_go(0)

    def leave_device(self) -> None:
        """Networks to main memory: something else needs the device."""
        for held in self._held.values():
            held.network.leave()

    def _let_go(self, kept: int) -> None:
        going = list(self._held)[: max(0, len(self._held) - kept)]
        for stamp in going:
            del self._held[stamp]
        if going:
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _alike(base: "LoadedModel") -> Hashable:
    """What of a base decides how a network is built and where it is put."""
    unet = keys.config_of(base.unet)
    told = ("block_out_channels", "layers_per_block", "attention_head_dim", "norm_num_groups", "cross_attention_dim",
            "projection_class_embeddings_input_dim")  # fmt: skip
    return (base.dtype, base.device, *(_hashable(unet.get(name)) for name in told))


def _hashable(value: object) -> Hashable:
    return tuple(value) if isinstance(value, list | tuple) else str(value)


def _stamp(record: ModelRecord) -> Stamp:
    try:
        facts = record.path.stat()
    except OSError:
        raise ModelGone(name=record.name, path=str(record.path)) from None
    return record.path, facts.st_size, facts.st_mtime_ns
