"""The models a device holds: the last one stays, its VAE is exchanged alone, and one re-entrant lease guards it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from webui.domain.errors import ModelGone
from webui.domain.model import ModelRecord
from webui.engine.device import Precision
from webui.engine.loading import OnProgress
from webui.engine.model import LoadedModel, load_model, open_model, wear_vae

Stamp = tuple[Path, int, int]
"""(path, size, mtime in ns): a file replaced under the same name is another model."""


class ModelCache:
    """One device's models. `loads` and `vae_loads` count what was read from disk."""

    def __init__(self, device: torch.device, precision: Precision | None = None) -> None:
        self.device = device
        self.precision = precision or Precision.for_device(device)
        self.loads = 0
        self.vae_loads = 0
        self._lock = threading.RLock()
        self._model: LoadedModel | None = None
        self._stamp: Stamp | None = None
        self._vae_stamp: Stamp | None = None

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the device; the same thread may hold it again inside."""
        with self._lock:
            yield

    @property
    def current(self) -> LoadedModel | None:
        """The model in memory, if any."""
        return self._model

    def load(
        self, checkpoint: ModelRecord, vae: ModelRecord | None, *, on_progress: OnProgress = lambda _fraction: None
    ) -> LoadedModel:
        """The model with that VAE (None: the checkpoint's own). Reads only what is not in memory yet.

        A file that cannot be used is refused before the model in memory is given up. Raises what `open_model` and
        `load_vae` raise.
        """
        with self._lock:
            stamp, vae_stamp = _stamp(checkpoint), _stamp(vae) if vae else None
            if self._model is None or self._stamp != stamp:
                opened = open_model(checkpoint)
                self.unload()
                self._model = load_model(
                    opened, vae, device=self.device, precision=self.precision, on_progress=on_progress
                )
                self._stamp, self._vae_stamp = stamp, vae_stamp
                self.loads += 1
            elif self._vae_stamp != vae_stamp:
                wear_vae(self._model, vae)
                self._vae_stamp = vae_stamp
                self.vae_loads += 1
            self._model.record = checkpoint
            return self._model

    def unload(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._model = self._stamp = self._vae_stamp = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def _stamp(record: ModelRecord) -> Stamp:
    try:
        facts = record.path.stat()
    except OSError:
        raise ModelGone(name=record.name, path=str(record.path)) from None
    return record.path, facts.st_size, facts.st_mtime_ns
