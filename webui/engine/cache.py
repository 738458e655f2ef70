"""The models a device holds: those in use and the last few stay, a VAE is exchanged alone, and one re-entrant lease
guards them.
"""

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from webui.domain.errors import ModelGone
from webui.domain.model import Family, ModelRecord
from webui.engine.device import Precision
from webui.engine.loading import OnProgress
from webui.engine.model import LoadedModel, load_model, open_model, wear_vae
from webui.engine.placing import HOME, Placing
from webui.engine.upscale import Upscaler, load_upscaler

Stamp = tuple[Path, int, int]
"""(path, size, mtime in ns): a file replaced under the same name is another model."""


@dataclass(slots=True)
class _Held:
    model: LoadedModel
    vae: Stamp | None


class ModelCache:
    """One device's models. `loads` and `vae_loads` count what was read from disk.

    `keep` models stay in memory, the last used (A1111's sd_checkpoints_limit); with `park` only the one in use is on
    the device (sd_checkpoints_keep_in_cpu); `keep_vaes` external VAEs used before stay in main memory
    (sd_vae_checkpoint_cache). `placing` says for a family where its parts are to be, None: as fits.
    """

    def __init__(
        self,
        device: torch.device,
        precision: Precision | None = None,
        *,
        placing: Callable[[Family], Placing | None] = lambda _family: None,
    ) -> None:
        self.device = device
        self.keep = 1
        self.park = True
        self.keep_vaes = 0
        self._placing = placing
        self.precision = precision or Precision.for_device(device)
        self.loads = 0
        self.vae_loads = 0
        self._lock = threading.RLock()
        self._held: dict[Stamp, _Held] = {}
        self._vaes: dict[tuple[Stamp, str], AutoencoderKL] = {}
        self._upscaler: tuple[Stamp, Upscaler] | None = None

    @contextmanager
    def lease(self) -> Iterator[None]:
        """Hold the device; the same thread may hold it again inside."""
        with self._lock:
            yield

    @property
    def current(self) -> LoadedModel | None:
        """The model asked for last, if any is in memory."""
        return next((held.model for held in reversed(self._held.values())), None)

    def load(
        self,
        checkpoint: ModelRecord,
        vae: ModelRecord | None,
        *,
        beside: Sequence[ModelRecord] = (),
        on_progress: OnProgress = lambda _fraction: None,
    ) -> LoadedModel:
        """The model with that VAE (None: the checkpoint's own). Reads only what is not in memory yet.

        `beside`: checkpoints that stay when they are in memory, whatever `keep` says; of the others so many are let go
        before a new one is read that `keep` are left with it. A file that cannot be used is refused before anything is
        given up. Raises what `open_model` and `load_vae` raise.
        """
        with self._lock:
            stamp, vae_stamp = _stamp(checkpoint), _stamp(vae) if vae else None
            held = self._held.pop(stamp, None)
            if held is not None:
                self._park_others()
                held.model.places.wake()
            if held is None:
                opened = open_model(checkpoint)
                self._make_way({_stamp(record) for record in beside})
                model = load_model(
                    opened, vae, device=self.device, precision=self.precision, placing=self._placing(opened.family),
                    on_progress=on_progress,
                )  # fmt: skip
                held = _Held(model, vae_stamp)
                self.loads += 1
            elif held.vae != vae_stamp:
                self._held[stamp] = held  # a VAE that cannot be read must not cost the model
                self._exchange(held, vae, vae_stamp)
                self._held.pop(stamp)
            self._held[stamp] = held
            held.model.record = checkpoint
            return held.model

    def _exchange(self, held: _Held, vae: ModelRecord | None, stamp: Stamp | None) -> None:
        """Another VAE for a model; of external ones the last `keep_vaes` stay in main memory."""
        model, gone, before = held.model, held.vae, held.model.vae
        own = str(model.parts.vae)  # a VAE file is read by what the checkpoint knows of its shape
        kept = self._vaes.pop((stamp, own), None) if stamp else None
        wear_vae(model, vae, kept=kept)
        held.vae = stamp
        self.vae_loads += kept is None
        if gone is not None and before is not None:
            torch.nn.Module.to(before, HOME)
            self._vaes[gone, own] = before
        while len(self._vaes) > self.keep_vaes:
            del self._vaes[next(iter(self._vaes))]

    def upscaler(self, record: ModelRecord) -> Upscaler:
        """The upscaler of that file, on the device; the last one stays. Raises what `load_upscaler` raises."""
        with self._lock:
            stamp = _stamp(record)
            if self._upscaler is None or self._upscaler[0] != stamp:
                half = self.precision.unet == torch.float16
                self._upscaler = stamp, load_upscaler(record.path, device=self.device, half=half)
            return self._upscaler[1]

    def unload(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._upscaler = None
            self._vaes.clear()
            self._let_go_but(set())

    def _make_way(self, beside: set[Stamp]) -> None:
        """Let go of the models used longest ago until one more would make `keep`; those beside stay in any case."""
        others = [stamp for stamp in self._held if stamp not in beside]
        going = others[: max(0, len(self._held) + 1 - max(1, self.keep))]
        self._let_go_but(set(self._held) - set(going))
        self._park_others()

    def _park_others(self) -> None:
        if self.park:
            for held in self._held.values():
                held.model.places.park()

    def _let_go_but(self, kept: set[Stamp]) -> None:
        going = len(self._held) > len(kept & set(self._held))
        self._held = {stamp: held for stamp, held in self._held.items() if stamp in kept}
        if going:
            # A cycle through a hook or an error would keep a whole model until Python looks for it.
            gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _stamp(record: ModelRecord) -> Stamp:
    try:
        facts = record.path.stat()
    except OSError:
        raise ModelGone(name=record.name, path=str(record.path)) from None
    return record.path, facts.st_size, facts.st_mtime_ns
