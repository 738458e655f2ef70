"""Cases run through the real path (`generate.run`), and where they part from what is known."""

import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from webui import generate
from webui.catalog import Catalog, folders_from
from webui.domain import Artifact, GenerationRequest, Plan
from webui.domain.errors import BrokenFile, MapleError
from webui.engine.conditioning import BatchConditioning
from webui.engine.noise import NoiseStream
from webui.gallery.save import Gallery
from webui.hooks import Hooks, hookimpl
from webui.parity.cases import Case
from webui.parity.checkpoint import NAME, ensure_checkpoint, ensure_second
from webui.settings import Settings, flat, overlay
from webui.settings.flags import Flags

MOST_MEAN = 0.05
"""Mean difference of the bytes of a picture, in 255ths."""
LEAST_WITHIN = 0.995
"""Share of bytes that differ by 2 at most."""
MOST_LATENT = 1e-3
"""Norm of the difference over the norm."""
MOST_NOISE = 1e-5
LAST_SEED = 1
MOST_CONDITIONING = 1e-3

CONDITIONING = re.compile(
    r"(?P<role>c|uc)\.b(?P<row>\d+)(\.and(?P<part>\d+)\.w(?P<weight>.+))?\.s(?P<entry>\d+)\.end(?P<end>\d+)"
)
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one case came out. Errors are None where nothing is known to compare with."""

    name: str
    mean: float | None = None
    within: float | None = None
    latent: float | None = None
    noise: float | None = None
    start: float | None = None
    """Of the init image's latents."""
    conditioning: float | None = None
    seconds: float = 0.0
    needs: str = ""
    """A key into words: what is not built yet. Such a case is neither passed nor failed."""
    error: MapleError | None = None

    @property
    def part(self) -> str:
        """Where it parts from what is known: "noise", "start", "conditioning", "sampling", "decoding", "run", or "" for
        nowhere."""
        if self.error is not None:
            return "run"
        if (self.noise or 0.0) > MOST_NOISE:
            return "noise"
        if (self.start or 0.0) > MOST_LATENT:
            return "start"
        if (self.conditioning or 0.0) > MOST_CONDITIONING:
            return "conditioning"
        if (self.latent or 0.0) > MOST_LATENT:
            return "sampling"
        if self.mean is None or self.within is None or self.mean > MOST_MEAN or self.within < LEAST_WITHIN:
            return "decoding"
        return ""

    @property
    def passed(self) -> bool:
        return not self.needs and not self.part


@dataclass(slots=True)
class Witness:
    """A plugin that keeps what goes by in a run: plans, conditionings and latents, batch by batch."""

    plans: list[Plan] = field(default_factory=list[Plan])
    conditionings: list[BatchConditioning] = field(default_factory=list[BatchConditioning])
    latents: list[Array] = field(default_factory=list[Array])
    starts: list[Array] = field(default_factory=list[Array])
    """Latents that batches started from, where that was not noise alone."""

    @hookimpl
    @contextmanager
    def wrap_run(self, plan: Any) -> Iterator[None]:
        self.plans, self.conditionings, self.latents, self.starts = [plan], [], [], []
        yield

    @hookimpl
    def transform_conditioning(self, conditioning: Any, pictures: Any) -> None:
        self.conditionings.append(conditioning)

    @hookimpl
    def transform_start(self, latent: Any, pictures: Any) -> None:
        self.starts.append(latent.float().cpu().numpy())

    @hookimpl
    def transform_latent(self, latent: Any, pictures: Any) -> None:
        self.latents.append(latent.float().cpu().numpy())


def check(cases: Sequence[Case], folder: Path, *, say: Callable[[str], None] = lambda _key: None) -> Iterator[Outcome]:
    """The outcome of every case, one after the other. Raises as `ready` does."""
    with ready(cases, folder, say=say) as make:
        yield from map(make, cases)


@contextmanager
def ready(
    cases: Sequence[Case], folder: Path, *, say: Callable[[str], None] = lambda _key: None
) -> Iterator[Callable[[Case], Outcome]]:
    """Everything these cases need, and the function that runs one: on the CPU in fp32, as the pictures were made.

    `folder` keeps the checkpoints and scratch files. Raises WrongDigest when a checkpoint cannot be built here; what
    goes wrong in a case is its outcome's `error`.
    """
    if any(not case.needs for case in cases):
        ensure_checkpoint(folder, say)
    if any(case.second_checkpoint for case in cases):
        ensure_second(folder, say)
    witness = Witness()
    with _bench(folder, witness, {case.files for case in cases}) as bench:
        yield lambda case: _outcome(case, bench, witness, folder)


@contextmanager
def _bench(folder: Path, witness: Witness, beside: Iterable[Path]) -> Iterator[generate.Bench]:
    files = tuple(path for path in beside if path.is_dir())
    flags = Flags(
        ckpt_dir=(folder,), lora_dir=files, embeddings_dir=files, hypernetwork_dir=files, use_cpu=("all",),
        no_hashing=True,
    )  # fmt: skip
    hooks = Hooks()
    hooks.register(witness, name="parity")
    catalog = Catalog(folder / "models.db", folders_from(flags, folder), hashes=False)
    try:
        catalog.scan()
        bench = generate.open_bench(catalog=catalog, gallery=Gallery(Settings, folder), hooks=hooks, flags=flags)
        try:
            yield replace(bench, draws=replayed)
        finally:
            bench.close()
            shutil.rmtree(bench.gallery.cache, ignore_errors=True)
    finally:
        catalog.close()


def _outcome(case: Case, bench: generate.Bench, witness: Witness, folder: Path) -> Outcome:
    if case.request is None:
        return Outcome(name=case.name, needs=case.needs)
    began = time.perf_counter()
    settings = overlay(Settings(), {**case.settings, "sd_model_checkpoint": f"{NAME}.safetensors"})
    listener = generate.Listener()
    try:
        request = with_pictures(case, bench)
        generate.run(request, settings=flat(settings), reporter=listener, bench=bench)
    except MapleError as error:
        return Outcome(name=case.name, error=error, seconds=time.perf_counter() - began)
    made = [_pixels(_whole(folder, artifact)) for artifact in listener.artifacts if not artifact.grid]
    mean, within = compared(made, [_pixels(path) for path in case.pictures])
    return Outcome(
        name=case.name, mean=mean, within=within, seconds=time.perf_counter() - began,
        latent=_known(case, "samples", witness.latents),
        noise=_known(case, "noise", [starting_noise(witness.plans[0], case.request)]),
        conditioning=_conditioning(case, witness.conditionings),
        start=_known(case, "init", witness.starts),
    )  # fmt: skip


def with_pictures(case: Case, bench: generate.Bench) -> GenerationRequest:
    """The case's request with its init images and mask in the bench's store. Raises MapleError when one is broken."""
    assert case.request is not None
    init = case.request.init
    if init is None:
        return case.request
    try:
        kept = {name: bench.gallery.blobs.put(path.read_bytes()) for name, path in case.pictures_in.items()}
        inpaint = replace(init.inpaint, mask=kept[init.inpaint.mask]) if init.inpaint else None
        images = tuple(kept[name] for name in init.images)
    except (OSError, KeyError) as error:
        raise BrokenFile(path=str(case.files), reason=repr(error)) from error
    return replace(case.request, init=replace(init, images=images, inpaint=inpaint))


def replayed(seeds: Sequence[int]) -> list[torch.Generator]:
    """What A1111 draws an init image's latent with: the global generator, as the last picture left it. In all known
    cases that picture's seed was 1; the pictures of a batch draw one after the other.
    """
    return [torch.Generator().manual_seed(LAST_SEED)] * len(seeds)


def _whole(folder: Path, artifact: Artifact) -> Path:
    path = Path(artifact.path)
    return path if path.is_absolute() else folder / path


def _pixels(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(np.int16)


def compared(made: Sequence[Array], known: Sequence[Array]) -> tuple[float, float]:
    """(mean difference in 255ths, share of bytes within 2) of pictures; (inf, 0) when number or size differ."""
    if not made or [picture.shape for picture in made] != [picture.shape for picture in known]:
        return math.inf, 0.0
    distance = np.abs(np.stack(made) - np.stack(known))
    return float(distance.mean()), float((distance <= 2).mean())


def relative(made: Array, known: Array) -> float:
    """Norm of the difference over the norm of what is known; inf for another shape."""
    if made.shape != known.shape or not np.isfinite(made).all():
        return math.inf
    return float(np.linalg.norm(made - known) / max(float(np.linalg.norm(known)), 1e-12))


def _known(case: Case, what: str, made: Sequence[Array]) -> float | None:
    """The error of latents against NAME.<what>.npy, NAME.<what>.1.npy, … (one per batch), or None without such
    files."""
    files = [case.latents / f"{case.name}.{what}{'' if batch == 0 else f'.{batch}'}.npy" for batch in range(len(made))]
    if not files or not files[0].is_file():
        return None
    known = [np.load(path) for path in files if path.is_file()]
    if what == "samples" and known[0].shape[1] == 3:
        return None  # after a second pass these are pictures, which are compared by themselves
    return relative(np.concatenate(list(made[: len(known)])), np.concatenate(known))


def starting_noise(plan: Plan, request: GenerationRequest) -> Array:
    """What the first batch of a plan starts from, before it is scaled (batch, 4, height/8, width/8)."""
    base, pictures = plan.passes[0], plan.pictures[: plan.batch_size]
    noise = NoiseStream(
        [picture.seed for picture in pictures], shape=(4, base.height // 8, base.width // 8), source=base.noise_source,
        subseeds=[picture.subseed for picture in pictures], strength=request.subseed_strength,
        seed_resize=(request.seed_resize_width, request.seed_resize_height),
    )  # fmt: skip
    return noise.first().numpy()


def _conditioning(case: Case, made: Sequence[BatchConditioning]) -> float | None:
    path = case.latents / f"{case.name}.cond.npz"
    if not path.is_file() or not made:
        return None
    with np.load(path) as known:
        return conditioning_error(made[0], known)


def conditioning_error(made: BatchConditioning, known: Mapping[str, Array]) -> float:
    """The worst relative error over the entries of a batch's schedules; inf when their shape in time or weights
    differ."""
    worst = 0.0
    for name in known:
        found = CONDITIONING.fullmatch(name)
        if found is None:
            return math.inf
        row, entry, end = (int(found[group]) for group in ("row", "entry", "end"))
        try:
            scheduled, weight = made.parts[row][int(found["part"])] if found["role"] == "c" else (made.uncond[row], 1.0)
            last, text = scheduled.entries[entry]
        except IndexError:
            return math.inf
        if last != end or not math.isclose(weight, float(found["weight"] or 1.0), rel_tol=1e-6):
            return math.inf
        worst = max(worst, relative(text.states.float().cpu().numpy(), known[name]))
    return worst
