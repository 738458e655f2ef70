"""A loaded model: what denoises, decodes and encodes, and what it wears.

`load_model` makes one from a record; `cache.ModelCache` keeps it. Not thread-safe by itself: hold the device's lease.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import yaml
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

from webui.domain.errors import BadInput, NotANumber, OutOfMemory
from webui.domain.model import Family, ModelRecord
from webui.engine import keys, taesd
from webui.engine import vae as vae_room
from webui.engine.budget import Need, unet_run, vae_run
from webui.engine.control.applied import Asked, Guide, residuals
from webui.engine.control.reference import Shown, referred
from webui.engine.device import Precision, free_memory, out_of_memory
from webui.engine.families import configured
from webui.engine.families.parts import Framing, Parts
from webui.engine.loading import OnProgress, empty_text_encoder, empty_unet, fill, unet_names
from webui.engine.patches import Patch
from webui.engine.placing import HOME, Places, Placing, fitting
from webui.engine.prediction import Prediction, scaled_linear_alphas, stretched
from webui.engine.text import EmbeddingVectors, TextEncoder, encode_all
from webui.engine.types import COND, CONTROLS, Call, Encoded, StepContext
from webui.engine.weights import Weights, open_weights
from webui.prompt.tokens import ClipTokenizer

VAE_WIDTHS = (128, 256, 512, 512)
"""Of the published VAEs: latents of other shapes are nobody else's."""
TILES = (64, 32, 16)
"""Latents a side of the VAE's tiles, largest first."""
Note = tuple[str, dict[str, Any]]
Answer = TypeVar("Answer")


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
    decode_method: str = "Full"
    """"Full", or "TAESD": the small network of `small_folders` in the VAE's place, where there is one."""
    encode_method: str = "Full"
    small_folders: Sequence[Path] = ()
    _most_rows: int | None = None
    _tile: int = 0
    """Latents a side of the VAE's tiles; 0: the picture whole."""
    places: Places = field(init=False)
    """Where its parts are: on the device, or in main memory until they are used."""
    placing: Placing = Placing.WHOLE

    def __post_init__(self) -> None:
        # Modules, not the model: nothing here points back to it, so that it goes the moment it is let go.
        parts = {"text": [each.module for each in self.texts], "unet": [self.unet]}
        self.places = Places({**parts, "vae": [] if self.vae is None else [self.vae]}, self.device, self.placing)

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

    @property
    def speaks(self) -> str:
        """Whose published latents these are, which small decoders understand: "sd1", "sdxl", or "" for nobody's."""
        if self.parts.embedded:
            return ""
        if self.vae is not None and tuple(self.vae.config["block_out_channels"]) != VAE_WIDTHS:
            return ""
        return {Family.SD1: "sd1", Family.SD2: "sd1", Family.SDXL: "sdxl", Family.SDXL_REFINER: "sdxl"}.get(
            self.family, ""
        )

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
        while True:
            self.places.take("text")
            try:
                return encode_all(
                    texts, role, self.texts, self.tokenizer, embeddings=embeddings, numbers=self.told(framing, role),
                    zero_empty_negative=self.parts.zero_empty_negative, **options,
                )  # fmt: skip
            except RuntimeError as error:
                failed = out_of_memory(error, doing="CLIP", device=self.device)
                if failed is None:
                    raise
                if not self._move_out():
                    raise failed from error

    @torch.no_grad()
    def denoise(self, calls: Sequence[Call], context: StepContext) -> list[Tensor]:
        """x0 (n, 4, h, w) fp32 for each call. Calls of one text length share a forward, cond before uncond as A1111.

        Raises NotANumber when the network gives NaN, OutOfMemory when not even one picture fits.
        """
        self.places.take("unet")
        answers: dict[int, Tensor] = {}
        for group in [[i] for i in range(len(calls))] if self.apart else _groups(calls):
            x = torch.cat([calls[i].x for i in group]).to(self.device, torch.float32)
            sigma = torch.cat([calls[i].sigma for i in group]).to(self.device, torch.float32)
            states = torch.cat([calls[i].context for i in group]).to(self.device, self.dtype)
            extras = self._extras([calls[i] for i in group])
            guiding = _guiding([calls[i] for i in group])
            x0 = self.prediction.to_x0(x, self._network(x, sigma, states, extras, guiding), sigma)
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

    def _network(
        self, x: Tensor, sigma: Tensor, states: Tensor, extras: Mapping[str, Tensor], guiding: "_Guiding | None"
    ) -> Tensor:
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
                    self._forward(
                        scaled[i : i + most].to(self.dtype),
                        timesteps[i : i + most],
                        states[i : i + most],
                        _added(extras, i, i + most, self.dtype),
                        guiding and guiding.of(i, i + most),
                    )
                    for i in range(0, rows, most)
                ]
                return torch.cat(parts).float()
            except RuntimeError as error:
                failed = out_of_memory(error, doing="UNet", device=self.device)
                if failed is None:
                    raise
                if most > 1:
                    self._most_rows = (most + 1) // 2
                    self._say("memory_split", rows=self._most_rows)
                elif not self._move_out():
                    raise failed from error
            torch.cuda.empty_cache()
            self.places.take("unet")

    def _forward(
        self, x: Tensor, timesteps: Tensor, states: Tensor, added: dict[str, Tensor] | None,
        guiding: "_Guiding | None",
    ) -> Tensor:  # fmt: skip
        """One forward of the UNet, with what control units add inside it."""
        told: dict[str, Any] = {}
        if guiding is not None:
            asked = Asked(
                x=x, timesteps=timesteps, states=states, added=added, pictures=guiding.pictures,
                prompted=guiding.prompted,
            )  # fmt: skip
            # By turns there is room for one network at a time.
            found = residuals(guiding.guides, asked, leaves=not self.places.is_whole)
            told = {} if found is None else found.told()
            shown = [each for each in guiding.guides if isinstance(each, Shown)]
            if shown:
                with referred(self.unet, shown, asked, self.prediction.alphas_cumprod):
                    return self.unet(x, timesteps, states, added_cond_kwargs=added, return_dict=False, **told)[0]
        return self.unet(x, timesteps, states, added_cond_kwargs=added, return_dict=False, **told)[0]

    def decode(self, latents: Tensor, *, retry: torch.dtype | None = torch.float32) -> Tensor:
        """Pictures (batch, 3, height, width) fp32 in [0, 1] on the CPU. Raises NoVae, NotANumber.

        A NaN in half precision is decoded again in `retry`, and noted; without it that raises.
        """
        if (small := self._small("decoder", self.decode_method)) is not None:
            with torch.no_grad():
                return ((small(latents.to(self.device, torch.float32)) + 1) / 2).clamp(0, 1).cpu()
        pictures, retried = self._in_tiles(
            max(latents.shape[2:]),
            lambda tile: vae_room.decode(
                self._vae(), latents, scale=self.scale, check_nan=self.precision.check_nan, retry=retry, tile=tile
            ),
        )
        if retried:
            key = "vae_retried_in_fp32" if retry == torch.float32 else "vae_retried_in_bf16"
            self.notes.append((key, {"model": self.record.stem}))
        return pictures

    def encode(
        self, pictures: Tensor, *, seeds: Sequence[int] | None = None, draws: Sequence[torch.Generator] | None = None
    ) -> Tensor:
        """Latents fp32 of pictures (batch, 3, height, width) in [0, 1]; the mean unless drawn, with a fresh generator
        of the CPU for each of `seeds` or with `draws` as they stand.
        """
        if (small := self._small("encoder", self.encode_method)) is not None:
            with torch.no_grad():
                return small(pictures.to(self.device, torch.float32) * 2 - 1)
        before = [draw.get_state() for draw in draws or ()]

        def run(tile: int) -> Tensor:
            for draw, state in zip(draws or (), before, strict=True):
                draw.set_state(state)  # what an attempt that failed had drawn
            fresh = draws if seeds is None else [torch.Generator().manual_seed(seed) for seed in seeds]
            return vae_room.encode(self._vae(), pictures, scale=self.scale, draws=fresh, tile=tile)

        return self._in_tiles(max(pictures.shape[2:]) // self.factor, run)

    def _small(self, part: Literal["decoder", "encoder"], method: str) -> torch.nn.Module | None:
        """TAESD's half, when it is asked for, fits these latents and is there; else None, and that is said."""
        if method != "TAESD":
            return None
        key = ("TAESD", part)
        if key not in self.preview_state:
            load = taesd.decoder if part == "decoder" else taesd.encoder
            xl = self.speaks == "sdxl"
            network = taesd.found(self.small_folders, load, self.device, xl=xl) if self.speaks else None
            self.preview_state[key] = network
        if self.preview_state[key] is None:
            folder = next((str(each) for each in self.small_folders if "taesd" in each.name), "models/VAE-taesd")
            self._say("taesd_missing", part=part, folder=folder)
        return self.preview_state[key]

    def _in_tiles(self, side: int, run: Callable[[int], Answer]) -> Answer:
        """Run the VAE on pictures of `side` latents: whole, in tiles where that does not fit, ever smaller ones, then
        with all else off the device. Raises OutOfMemory when nothing is left to try.
        """
        while True:
            self.places.take("vae")
            try:
                return run(self._tile if self._tile < side else 0)
            except OutOfMemory:
                smaller = next((tile for tile in TILES if tile < min(side, self._tile or side)), 0)
                if smaller:
                    self._tile = smaller
                    self._say("memory_tiled", side=smaller * self.factor)
                elif not self._move_out():
                    raise
            torch.cuda.empty_cache()

    def _move_out(self) -> bool:
        """Keep fewer parts on the device; False when there are no fewer."""
        if not self.places.tighten():
            return False
        self._say(f"memory_{self.places.placing.value}")
        return True

    def _say(self, key: str, **fields: Any) -> None:
        if (key, fields) not in self.notes:
            self.notes.append((key, fields))

    def need(self, width: int, height: int, batch: int = 1) -> Need:
        """Bytes these pictures will take, both halves of guidance in one call."""
        vae = {} if self.vae is None else {"vae": _bytes(self.vae)}
        weights = {"text": sum(_bytes(each.module) for each in self.texts), "unet": _bytes(self.unet), **vae}
        unet, itemsize = keys.config_of(self.unet), self.dtype.itemsize
        sampling = unet_run(unet, width=width, height=height, rows=2 * batch, itemsize=itemsize)
        decoding = 0
        if self.vae is not None:
            config, itemsize = keys.config_of(self.vae), self.vae.dtype.itemsize
            decoding = vae_run(config, width=width, height=height, itemsize=itemsize)
        return Need(weights=weights, sampling=sampling, decoding=decoding)

    def make_room(self, width: int, height: int, batch: int = 1) -> Note | None:
        """Before pictures are made: settle rows per call and tiles by the memory that is free. A note when it is tight.

        What this foresees does not have to fail first; on the CPU the end of memory may be the end of the program.
        """
        need = self.need(width, height, batch)
        free = free_memory(self.device)
        if not self.places.is_whole:
            # Weights come and go; only the larger part stands beside a run.
            free -= max(need.weights["unet"], need.weights.get("vae", 0)) - self.places.on_device
        self._most_rows, self._tile = None, 0
        if max(need.sampling, need.decoding) <= free:
            return None
        row = need.sampling // (2 * batch)
        if need.sampling > free:
            self._most_rows = max(1, free // row)
        pixels = self.factor**2 * need.decoding // (width * height)
        if need.decoding > free:
            side = max(width, height) // self.factor
            self._tile = next((tile for tile in TILES if tile < side and tile**2 * pixels <= free), 0)
            self._tile = self._tile or next((tile for tile in reversed(TILES) if tile < side), 0)
        most = max(need.sampling, need.decoding)
        return "memory_tight", {"needed": _gigabytes(most), "free": _gigabytes(max(0, free))}

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
        if going or any(patch not in self._worn for patch in wanted):
            self.places.send_home()
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


def _bytes(module: torch.nn.Module) -> int:
    return sum(weight.numel() * weight.dtype.itemsize for weight in module.parameters())


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f}"


def _added(extras: Mapping[str, Tensor], begin: int, end: int, dtype: torch.dtype) -> dict[str, Tensor] | None:
    """What SDXL's UNet is told beside the text states, for some rows."""
    if "numbers" not in extras:
        return None
    return {"text_embeds": extras["pooled"][begin:end].to(dtype), "time_ids": extras["numbers"][begin:end]}


@dataclass(frozen=True, slots=True, eq=False)
class _Guiding:
    """The control units of a forward and, row by row, which picture it is for and whether its prompt is asked."""

    guides: Sequence[Guide | Shown]
    pictures: Sequence[int]
    prompted: Sequence[bool]

    def of(self, begin: int, end: int) -> "_Guiding":
        return _Guiding(self.guides, self.pictures[begin:end], self.prompted[begin:end])


def _guiding(calls: Sequence[Call]) -> _Guiding | None:
    """Of calls that share a forward, and so their units."""
    guides = calls[0].extras.get(CONTROLS, ())
    if not guides:
        return None
    rows = [(picture, call.role == COND) for call in calls for picture in call.rows]
    return _Guiding(guides, [picture for picture, _ in rows], [prompted for _, prompted in rows])


def _groups(calls: Sequence[Call]) -> list[list[int]]:
    """Indices of calls that can share a forward: same text length, picture size and control units; cond first."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, call in enumerate(calls):
        units = tuple(id(guide) for guide in call.extras.get(CONTROLS, ()))
        groups.setdefault((call.context.shape[1:], call.x.shape[1:], units), []).append(i)
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
    placing: Placing | None = None,
    on_progress: OnProgress = lambda _fraction: None,
) -> LoadedModel:
    """Fill a model's modules. `vae` None takes the checkpoint's own, when it has one. Closes `opened`.

    `placing` None: by the memory that is free; when weights do not fit after all, in turns.
    """
    with opened.weights:
        chosen = placing or _placing(opened, device, precision)
        try:
            model = _filled(opened, vae, device, precision, ema, chosen, on_progress)
        except RuntimeError as error:
            failed = out_of_memory(error, doing="loading", device=device)
            if failed is None:
                raise
            if placing is not None or chosen is not Placing.WHOLE or device.type == "cpu":
                raise failed from error
            model = None
        if model is None:
            torch.cuda.empty_cache()
            model = _filled(opened, vae, device, precision, ema, Placing.PARTS, on_progress)
    if vae is not None:
        wear_vae(model, vae)
    if placing is None and not model.places.is_whole:
        model.notes.append((f"memory_{model.places.placing.value}", {}))
    on_progress(1.0)
    return model


def _placing(opened: Opened, device: torch.device, precision: Precision) -> Placing:
    """By the sizes in the header, and what one picture of native size takes."""
    if device.type == "cpu":
        return Placing.WHOLE
    parts = opened.parts
    made = {
        "unet": [empty_unet(parts.unet, opened.weights.path)],
        "text": [empty_text_encoder(part.config, opened.weights.path) for part in parts.texts],
    }
    types = {"unet": precision.unet or torch.float16, "text": precision.text or torch.float16}
    weights = {
        name: sum(weight.numel() for module in modules for weight in module.parameters()) * types[name].itemsize
        for name, modules in made.items()
    }
    width, height = parts.native_size
    need = unet_run(parts.unet, width=width, height=height, rows=1, itemsize=types["unet"].itemsize)
    return fitting(Need(weights=weights, sampling=need, decoding=0), free_memory(device))


def _filled(
    opened: Opened, vae: ModelRecord | None, device: torch.device, precision: Precision, ema: bool, placing: Placing,
    on_progress: OnProgress,
) -> LoadedModel:  # fmt: skip
    weights, parts = opened.weights, opened.parts
    path, folder = weights.path, "unet" in weights.extra
    at = device if placing is Placing.WHOLE else HOME
    unet = empty_unet(parts.unet, path)
    modules = [empty_text_encoder(part.config, path, projected=part.projected) for part in parts.texts]
    count = _counter(weights, on_progress)
    for part, module in zip(parts.texts, modules, strict=True):
        # One table of both: the derived entries are windows on the same file.
        table = Weights(path, {**weights.entries, **part.entries})
        fill(module, table, part.names, dtype=precision.text, device=at, on_bytes=count)
    fill(unet, weights, unet_names(unet, folder=folder, ema=ema), dtype=precision.unet, device=at, on_bytes=count)
    own = None
    if vae is None and parts.vae is not None:
        own = vae_room.vae_from(weights, dtype=precision.vae, device=at, like=parts.vae, on_bytes=count)
    return LoadedModel(
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
        placing=placing,
    )


def wear_vae(model: LoadedModel, vae: ModelRecord | None, *, kept: AutoencoderKL | None = None) -> None:
    """Exchange the VAE alone: an external one, or (None) the checkpoint's own. `kept`: it, read before.

    One that cannot be read changes nothing.
    """
    source = vae.path if vae is not None else model.record.path if model.has_vae else None
    found = kept
    if kept is not None:
        torch.nn.Module.to(kept, model.places.loading)
    if source is not None and found is None:
        found = vae_room.load_vae(source, dtype=model.precision.vae, device=model.places.loading, like=model.parts.vae)
    # What is worn may sit on the old one.
    model.bare()
    model.preview_state.clear()
    model.vae, model.vae_record = found, vae
    model.places.parts["vae"] = [] if found is None else [found]


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
