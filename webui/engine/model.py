"""A loaded model: what denoises, decodes and encodes, and what it wears.

`load_model` makes one from a record; `cache.ModelCache` keeps it. Not thread-safe by itself: hold the device's lease.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from webui.domain.errors import BadInput, NotANumber
from webui.domain.model import Family, ModelRecord
from webui.engine import vae as vae_room
from webui.engine.device import Precision, out_of_memory
from webui.engine.families import configured
from webui.engine.families.parts import Framing, Parts
from webui.engine.loading import OnProgress, empty_text_encoder, empty_unet, fill, unet_names
from webui.engine.patches import Patch
from webui.engine.prediction import Prediction, scaled_linear_alphas, stretched
from webui.engine.text import EmbeddingVectors, TextEncoder, encode_all
from webui.engine.types import COND, Call, Encoded, StepContext
from webui.engine.weights import Weights, open_weights
from webui.prompt.tokens import ClipTokenizer


@dataclass(slots=True, kw_only=True, eq=False)
class LoadedModel:
    """Modules on a device with all that is needed to sample from them.

    `notes` gathers (key, fields) of what the person should know, until `take_notes` hands them over.
    """

    record: ModelRecord
    family: Family
    parts: Parts
    device: torch.device
    precision: Precision
    prediction: Prediction
    texts: tuple[TextEncoder, ...]
    """In the order their states stand side by side."""
    tokenizer: ClipTokenizer
    unet: UNet2DConditionModel
    vae: AutoencoderKL | None
    vae_record: ModelRecord | None = None
    """The external VAE in use, None for the checkpoint's own."""
    latent_channels: int = 4
    factor: int = 8
    scale: float = 1.0
    """Latents are the VAE's times this."""
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    preview_state: dict[Any, Any] = field(default_factory=dict)
    """What `preview` has worked out or loaded for this model."""
    apart: bool = False
    """Every call in a forward of its own."""
    kept: dict[Any, Any] = field(default_factory=dict)
    """What patches have put aside while they are worn, by patch."""
    patch_calls: int = 0
    """How often a patch was put on or taken off."""
    _worn: tuple[Patch, ...] = ()
    _depth: int = 0
    _most_rows: int | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The number type the UNet computes in."""
        # Not `unet.dtype`: diffusers walks every parameter for it, at each call more than the sampler's own work.
        return self.unet.conv_in.weight.dtype

    @property
    def text_encoder(self) -> CLIPTextModel | CLIPTextModelWithProjection:
        """The first text encoder."""
        return self.texts[0].module

    @property
    def text_encoder_2(self) -> CLIPTextModel | CLIPTextModelWithProjection | None:
        """The second one, where there are two."""
        return self.texts[1].module if len(self.texts) > 1 else None

    @property
    def text_widths(self) -> dict[str, int]:
        """Width of a word's vector by text encoder: what an embedding must fit."""
        return {each.name: each.width for each in self.texts}

    @property
    def native_size(self) -> tuple[int, int]:
        """(width, height) in pixels it was trained at."""
        return self.parts.native_size

    @property
    def has_vae(self) -> bool:
        """Whether the checkpoint carries a VAE of its own."""
        return self.parts.vae is not None

    def told(self, framing: Framing, role: str) -> tuple[float, ...]:
        """The numbers this family is told of a picture beside its text; none for Stable Diffusion 1."""
        return self.parts.numbers(framing, role) if self.parts.numbers else ()

    def encode_texts(
        self,
        texts: Sequence[str],
        role: str,
        *,
        framing: Framing,
        embeddings: Mapping[str, EmbeddingVectors] | None = None,
        **options: Any,
    ) -> list[Encoded]:
        """What the network is told by each text; those of one call are encoded together. See `text.encode_all`."""
        return encode_all(
            texts, role, self.texts, self.tokenizer, embeddings=embeddings, numbers=self.told(framing, role),
            zero_empty_negative=self.parts.zero_empty_negative, **options,
        )  # fmt: skip

    @torch.no_grad()
    def denoise(self, calls: Sequence[Call], context: StepContext) -> list[Tensor]:
        """x0 (n, 4, h, w) fp32 for each call. Calls of one text length share a forward, cond before uncond as A1111.

        Raises NotANumber when the network gives NaN, OutOfMemory when not even one picture fits.
        """
        answers: dict[int, Tensor] = {}
        for group in [[i] for i in range(len(calls))] if self.apart else _groups(calls):
            x = torch.cat([calls[i].x for i in group]).to(self.device, torch.float32)
            sigma = torch.cat([calls[i].sigma for i in group]).to(self.device, torch.float32)
            states = torch.cat([calls[i].context for i in group]).to(self.device, self.dtype)
            extras = self._extras([calls[i] for i in group])
            x0 = self.prediction.to_x0(x, self._network(x, sigma, states, extras), sigma)
            if self.precision.check_nan and torch.isnan(x0).any():
                raise NotANumber(where="UNet")
            answers |= zip(group, x0.split([len(calls[i].x) for i in group]), strict=True)
        return [answers[i] for i in range(len(calls))]

    def _extras(self, calls: Sequence[Call]) -> dict[str, Tensor]:
        """What of these calls' extras the network reads, row by row. Raises NoPicture when it lacks channels."""
        wanted: list[str] = list(_HEARD) if self.parts.numbers else []
        if self.unet.conv_in.in_channels > calls[0].x.shape[1]:
            wanted.append(CONCAT)
        if CONCAT in wanted and any(CONCAT not in call.extras for call in calls):
            raise NoPicture(model=self.record.stem)
        return {name: torch.cat([call.extras[name] for call in calls]).to(self.device) for name in wanted}

    def _network(self, x: Tensor, sigma: Tensor, states: Tensor, extras: Mapping[str, Tensor]) -> Tensor:
        """The UNet's answer fp32, in as many forwards as memory allows."""
        scaled = x * self.prediction.c_in(sigma)[:, None, None, None]
        if CONCAT in extras:
            scaled = torch.cat([scaled, extras[CONCAT]], dim=1)
        timesteps = self.prediction.sigma_to_t(sigma)
        rows = len(x)
        while True:
            most = min(self._most_rows or rows, rows)
            try:
                parts = [
                    self.unet(
                        scaled[i : i + most].to(self.dtype),
                        timesteps[i : i + most],
                        states[i : i + most],
                        added_cond_kwargs=_added(extras, i, i + most, self.dtype),
                        return_dict=False,
                    )[0]
                    for i in range(0, rows, most)
                ]
                return torch.cat(parts).float()
            except RuntimeError as error:
                failed = out_of_memory(error, doing="UNet", device=self.device)
                if failed is None:
                    raise
                if most == 1:
                    raise failed from error
                self._most_rows = (most + 1) // 2
            torch.cuda.empty_cache()

    def decode(self, latents: Tensor, *, retry: bool = True) -> Tensor:
        """Pictures (batch, 3, height, width) fp32 in [0, 1] on the CPU. Raises NoVae, NotANumber.

        A NaN in half precision is decoded again in fp32, and noted; without `retry` it raises.
        """
        pictures, retried = vae_room.decode(
            self._vae(), latents, scale=self.scale, check_nan=self.precision.check_nan, retry=retry
        )
        if retried:
            self.notes.append(("vae_retried_in_fp32", {"model": self.record.stem}))
        return pictures

    def encode(
        self, pictures: Tensor, *, seeds: Sequence[int] | None = None, draws: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Latents fp32 of pictures (batch, 3, height, width) in [0, 1]; the mean unless drawn, with a fresh generator
        of the CPU for each of `seeds` or with `draws` as they stand.
        """
        if seeds is not None:
            draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        return vae_room.encode(self._vae(), pictures, scale=self.scale, draws=draws)

    def _vae(self) -> AutoencoderKL:
        if self.vae is None:
            raise vae_room.NoVae(model=self.record.stem)
        return self.vae

    @contextmanager
    def wearing(self, patches: Sequence[Patch]) -> Iterator[None]:
        """Wear exactly these for the length of the block; only the difference to what is worn is changed.

        Leaving an inner block gives back the outer one's. Leaving the outermost only releases: the next block of the
        same patches finds them on, any other (an empty one too) or `bare` takes them off.
        """
        outer = self._worn if self._depth else None
        self._change(tuple(patches))
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if outer is not None:
                self._change(outer)

    def bare(self) -> None:
        """Take everything off: weights and answers are again those of the file, bit for bit."""
        self._change(())

    def _change(self, wanted: tuple[Patch, ...]) -> None:
        going = self._going(wanted)
        follows = self._follows(going, wanted)
        if follows is not None:
            self.patch_calls += 1
            self._worn = tuple(other for other in self._worn if other != going[0])
            follows.take_over(self, going[0])
            self._worn = (*self._worn, follows)
            going = going[1:]
        for patch in reversed(going):
            self.patch_calls += 1
            patch.take_off(self)
            self._worn = tuple(other for other in self._worn if other != patch)
        for patch in wanted:
            if patch not in self._worn:
                self.patch_calls += 1
                patch.put_on(self)
                self._worn = (*self._worn, patch)

    def _follows(self, going: Sequence[Patch], wanted: Sequence[Patch]) -> Any:
        """The one wanted patch that can take over from the one that merges and goes, when nothing else merges."""
        merging = [patch for patch in self._worn if getattr(patch, "merges", False)]
        new = [patch for patch in wanted if getattr(patch, "merges", False)]
        if len(merging) != 1 or len(new) != 1 or going[:1] != merging or type(new[0]) is not type(merging[0]):
            return None
        return new[0] if hasattr(new[0], "take_over") else None

    def _going(self, wanted: tuple[Patch, ...]) -> list[Patch]:
        """What must come off: all that is not wanted, and what was merged into weights above something merged."""
        going: list[Patch] = []
        uncovered = False
        for patch in self._worn:
            merges = getattr(patch, "merges", False)
            if patch not in wanted or (merges and uncovered):
                going.append(patch)
                uncovered = uncovered or merges
        return going

    def take_notes(self) -> list[tuple[str, dict[str, Any]]]:
        """What happened that the person should know, once."""
        notes, self.notes = self.notes, []
        return notes


class NoPicture(BadInput):
    """A network of more channels (inpainting, pix2pix) is asked without the picture they hold. Fields: model."""

    key = "no_picture_channels"


CONCAT = "concat"
_HEARD = ("pooled", "numbers")


def _added(extras: Mapping[str, Tensor], begin: int, end: int, dtype: torch.dtype) -> dict[str, Tensor] | None:
    """What SDXL's UNet is told beside the text states, for some rows."""
    if "numbers" not in extras:
        return None
    return {"text_embeds": extras["pooled"][begin:end].to(dtype), "time_ids": extras["numbers"][begin:end]}


def _groups(calls: Sequence[Call]) -> list[list[int]]:
    """Indices of calls that can share a forward: same text length and picture size; cond first in each."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, call in enumerate(calls):
        groups.setdefault((call.context.shape[1:], call.x.shape[1:]), []).append(i)
    return [sorted(group, key=lambda i: calls[i].role != COND) for group in groups.values()]


@dataclass(slots=True, eq=False)
class Opened:
    """A checkpoint whose header was read and understood, before any weight is."""

    record: ModelRecord
    weights: Weights
    family: Family
    parts: Parts


def open_model(checkpoint: ModelRecord) -> Opened:
    """Read a checkpoint's header.

    Raises ModelGone, BrokenFile, WrongFormat, WrongKind, UnsafeFile, UnsupportedModel.
    """
    weights = open_weights(checkpoint.path)
    try:
        family, parts = configured(weights)
    except BaseException:
        weights.close()
        raise
    return Opened(checkpoint, weights, family, parts)


def load_model(
    opened: Opened,
    vae: ModelRecord | None,
    *,
    device: torch.device,
    precision: Precision,
    ema: bool = False,
    on_progress: OnProgress = lambda _fraction: None,
) -> LoadedModel:
    """Fill a model's modules. `vae` None takes the checkpoint's own, when it has one. Closes `opened`."""
    with opened.weights as weights:
        path, parts = weights.path, opened.parts
        folder = "unet" in weights.extra
        unet = empty_unet(parts.unet, path)
        modules = [empty_text_encoder(part.config, path, projected=part.projected) for part in parts.texts]
        count = _counter(weights, on_progress)
        for part, module in zip(parts.texts, modules, strict=True):
            # One table of both: the derived entries are windows on the same file.
            table = Weights(path, {**weights.entries, **part.entries})
            fill(module, table, part.names, dtype=precision.text, device=device, on_bytes=count)
        fill(
            unet, weights, unet_names(unet, folder=folder, ema=ema), dtype=precision.unet, device=device, on_bytes=count
        )
        own = None
        if vae is None and parts.vae is not None:
            own = vae_room.vae_from(weights, dtype=precision.vae, device=device, like=parts.vae, on_bytes=count)
        model = LoadedModel(
            record=opened.record,
            family=opened.family,
            parts=parts,
            device=device,
            precision=precision,
            prediction=_prediction(opened),
            texts=tuple(
                TextEncoder(name=part.name, module=module, pad=part.pad, layer=part.layer)
                for part, module in zip(parts.texts, modules, strict=True)
            ),
            tokenizer=ClipTokenizer(),
            unet=unet,
            vae=own,
            scale=float((parts.vae or {}).get("scaling_factor") or parts.scale),
        )
    if vae is not None:
        wear_vae(model, vae)
    on_progress(1.0)
    return model


def wear_vae(model: LoadedModel, vae: ModelRecord | None) -> None:
    """Exchange the VAE alone: an external one, or (None) the checkpoint's own.

    One that cannot be read changes nothing.
    """
    source = vae.path if vae is not None else model.record.path if model.has_vae else None
    found = None
    if source is not None:
        found = vae_room.load_vae(source, dtype=model.precision.vae, device=model.device, like=model.parts.vae)
    # What is worn may sit on the old one.
    model.bare()
    model.preview_state.clear()
    model.vae, model.vae_record = found, vae


def _counter(weights: Weights, on_progress: OnProgress) -> Callable[[int], None]:
    total = sum(entry.size for entry in weights.entries.values()) or 1
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        on_progress(min(1.0, done / total))

    return count


def _prediction(opened: Opened) -> Prediction:
    """Noise levels from the checkpoint's own `alphas_cumprod`, else Stable Diffusion's; eps unless something says v."""
    weights, parts = opened.weights, opened.parts
    alphas = scaled_linear_alphas()
    if "alphas_cumprod" in weights and weights.shape("alphas_cumprod") == tuple(alphas.shape):
        alphas = weights.read("alphas_cumprod").float().clone()
    kind: Literal["eps", "v"] = "v" if parts.v_prediction or _yaml_says_v(opened.record.config) else "eps"
    prediction = Prediction(kind=kind, alphas_cumprod=alphas)
    return stretched(prediction) if parts.zero_terminal_snr else prediction


def _yaml_says_v(path: Path | None) -> bool:
    """Whether the .yaml beside a checkpoint sets `parameterization: v`, or SDXL's denoiser to scale by v.

    An unreadable one says nothing.
    """
    if path is None:
        return False
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        told = config["model"]["params"]
        if told.get("parameterization") == "v":
            return True
        return str(told["denoiser_config"]["params"]["scaling_config"]["target"]).endswith(".VScaling")
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return False
