"""The demo's two ControlNets, for lines and for poses, and the last course of the checkpoint they belong to.

UNet, text encoder and both ControlNets learn in one course: a third of a batch has no map, a third a line map, a third
a skeleton; the UNet sees all rows at once, with residuals of nought where there is no map. ControlNets are usually
trained for a frozen base (Zhang et al. 2023, "Adding Conditional Control to Text-to-Image Diffusion Models"); here the
base has figures to learn as well, hours on a CPU are what is short, and so each ControlNet always sees the base it is
shipped with. Their first layers do not start at nought, their last ones do: the map counts from the second step.
"""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false, reportIndexIssue=false

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from webui.demo import checkpoint, text
from webui.demo.course import Course, Dice, Group, Peers, averaged, blocks, train
from webui.demo.drawings import Spec, caption, draw, random_spec
from webui.demo.maps import Map, line_map, pose_map
from webui.demo.pictures import SCALE, to_tensor
from webui.demo.unet import CHANNEL_NOISE, LONG, SNR_CAP, fresh, signal_to_noise, stratified
from webui.demo.vae import DECODER_BATCH, DISTURBANCE, difference

NAME = "controls"
DECODER = f"{NAME}-decoder"
SEED = 21
HINT_CHANNELS = (12, 24, 48, 64)
"""Channels of the layers that read a map, from its full size to an eighth."""
KINDS: dict[str, float] = {"single": 36, "two": 6, "pair": 5, "figure": 30, "scene": 8, "cat": 6, "blob": 9}
"""Shares among the pictures of this course."""
PLAIN: dict[str, float] = {"single": 58, "two": 7, "pair": 5, "figure": 20, "scene": 4, "cat": 3, "blob": 3}
LINED: dict[str, float] = {"single": 16, "two": 6, "pair": 6, "figure": 26, "scene": 18, "cat": 12, "blob": 16}
POSED: dict[str, float] = {"figure": 1}
UNCONDITIONAL = 0.1
MAPS: dict[str, Callable[[Spec, int, random.Random], Map]] = {"lines": line_map, "pose": pose_map}
FILES = {
    "lines": Path("models/ControlNet/maple-demo-lineart.safetensors"),
    "pose": Path("models/ControlNet/maple-demo-openpose.safetensors"),
}
SAID = {"lines": "white lines on black", "pose": "OpenPose skeletons of 18 joints"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """The course: `rows` of one process's batch are (without a map, with lines, with a skeleton)."""

    steps: int = 2250
    pictures: int = 13000
    size: int = 128
    rate: float = 6e-4
    rows: tuple[int, int, int] = (7, 5, 4)
    control_share: float = 2.0
    """The ControlNets' learning rate over the UNet's."""
    pause_at: int | None = None


def specs(count: int) -> list[Spec]:
    """The first `count` specs of this course; the same on every machine."""
    return [random_spec(random.Random(f"{SEED} {number}"), KINDS) for number in range(count)]


def fresh_control(unet: UNet2DConditionModel) -> ControlNetModel:
    """A ControlNet that begins as the UNet's encoder and, its last layers being nought, says nothing yet."""
    control = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=HINT_CHANNELS)
    for layer in control.controlnet_cond_embedding.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return control


def kept_base(folder: Path, source: Path) -> Path:
    """A copy of the checkpoint the course starts from, kept in `folder`: `export` writes over the checkpoint, and a
    course that is called again must find what it began with."""
    file = folder / f"{NAME}-base.safetensors"
    if not file.exists():
        partial = file.with_suffix(".partial")
        shutil.copyfile(source, partial)
        partial.replace(file)
    return file


def encode(folder: Path, source: Path, lesson: Lesson, *, peers: Peers) -> None:
    """Draw this process's share of the course's pictures and encode it with the VAE of the checkpoint `source`, into
    `folder`; what is there is kept."""
    file = _share(folder, lesson, peers.rank, peers.count)
    if file.exists():
        return
    drawn = specs(lesson.pictures)[peers.rank :: peers.count]
    autoencoder = checkpoint.opened(source, text.clip_rows())[0].vae.to(peers.device)
    found = []
    with torch.no_grad():
        for part in blocks(len(drawn), 16):
            pictures = np.stack([np.asarray(draw(spec, lesson.size)) for spec in drawn[part]])
            latent = autoencoder.encode(to_tensor(pictures).to(peers.device)).latent_dist.mean
            found.append((latent * SCALE).half().cpu())
    partial = file.with_suffix(".partial")
    torch.save(torch.cat(found), partial)
    partial.replace(file)


def sharpen(folder: Path, source: Path, lesson: Lesson, steps: int, *, peers: Peers) -> None:
    """Teach the decoder of the checkpoint `source` this course's pictures, from their latents, which stay what they
    are; the state lies in folder/controls-decoder.pt."""
    torch.manual_seed(6)
    autoencoder = checkpoint.opened(source, text.clip_rows())[0].vae.requires_grad_(requires_grad=False)
    autoencoder.decoder.requires_grad_(requires_grad=True)
    autoencoder = autoencoder.to(peers.device)
    drawn, stock = specs(lesson.pictures), _latents(folder, lesson, peers.count)

    def loss_at(step: int, dice: Dice) -> Tensor:
        del step
        picks = dice.python.sample(range(lesson.pictures), DECODER_BATCH)
        disturbed = stock[picks] + DISTURBANCE * torch.randn(stock[picks].shape, generator=dice.torch)
        wanted = np.stack([np.asarray(draw(drawn[pick], lesson.size)) for pick in picks])
        return difference(
            autoencoder.decode((disturbed / SCALE).to(peers.device)).sample, to_tensor(wanted).to(peers.device)
        )

    course = Course(name=DECODER, folder=folder, steps=steps, rate=5e-4, flat=0.4, average=0.99, weight_decay=1e-4)
    train(course, [Group(parts={"decoder": autoencoder.decoder})], loss_at, peers=peers)


def _share(folder: Path, lesson: Lesson, rank: int, count: int) -> Path:
    return folder / f"latents-{NAME}-{lesson.size}-{lesson.pictures}-{rank}of{count}.pt"


def _latents(folder: Path, lesson: Lesson, count: int) -> Tensor:
    shares = [torch.load(_share(folder, lesson, rank, count), weights_only=True).float() for rank in range(count)]
    every = torch.empty(lesson.pictures, *shares[0].shape[1:])
    for rank, share in enumerate(shares):
        every[rank::count] = share
    return every


def parts_of(folder: Path, source: Path) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """UNet and compact text encoder of a checkpoint, ready to be taught on with the words of `folder`."""
    parts, _ = checkpoint.opened(source, text.clip_rows())
    unet = fresh()
    unet.load_state_dict(parts.unet.state_dict())
    return unet, text.gathered(parts.encoder, text.vocabulary(folder))


def train_controls(folder: Path, source: Path, lesson: Lesson, *, peers: Peers) -> None:
    """Teach on the checkpoint `source` with both ControlNets; the state lies in folder/controls.pt."""
    torch.manual_seed(5)
    known = text.vocabulary(folder)
    unet, encoder = (part.to(peers.device) for part in parts_of(folder, source))
    controls = {name: fresh_control(unet).to(peers.device) for name in MAPS}
    drawn = specs(lesson.pictures)
    stock = _latents(folder, lesson, peers.count)
    chosen = [_chooser(drawn, shares) for shares in (PLAIN, LINED, POSED)]
    snr = signal_to_noise()
    weights = snr.clamp(max=SNR_CAP) / snr
    plain, lined, posed = lesson.rows
    ends = {"lines": (plain, plain + lined), "pose": (plain + lined, plain + lined + posed)}
    report = _Report(folder / f"{NAME}-rows.log", lesson.rows) if peers.leads else None

    def loss_at(step: int, dice: Dice) -> Tensor:
        picks = [choose(dice.python) for choose, count in zip(chosen, lesson.rows, strict=True) for _ in range(count)]
        said = ["" if dice.python.random() < UNCONDITIONAL else caption(drawn[pick], dice.python) for pick in picks]
        length = text.CLIP_LENGTH if dice.python.random() < LONG else text.SHORT
        rows = torch.tensor([known.rows(line, length, junk=dice.python if line else None) for line in said])
        clean = stock[picks]
        noise = torch.randn(clean.shape, generator=dice.torch)
        noise = noise + CHANNEL_NOISE * torch.randn(*clean.shape[:2], 1, 1, generator=dice.torch)
        times = torch.cat([stratified(count, dice) for count in lesson.rows if count])
        kept = (snr / (1 + snr))[times].view(-1, 1, 1, 1)
        noisy = (kept.sqrt() * clean + (1 - kept).sqrt() * noise).to(peers.device)
        states = encoder(input_ids=rows.to(peers.device)).last_hidden_state
        told = []
        for name, (start, end) in ends.items():
            if end > start:
                hints = _hints(MAPS[name], [drawn[pick] for pick in picks[start:end]], lesson.size, dice.python)
                own = noisy[start:end], times[start:end].to(peers.device), states[start:end], hints.to(peers.device)
                told.append(controls[name](*own, return_dict=False))
        down, middle = _laid(told, plain)
        guess = unet(
            noisy,
            times.to(peers.device),
            states,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
        error = (guess - noise.to(peers.device)).square().mean((1, 2, 3))
        weight = weights[times].to(peers.device)
        if report:
            report.add(step, error.detach() * weight, weight)
        return (error * weight).mean() / weight.mean()

    course = Course(
        name=NAME, folder=folder, steps=lesson.steps, rate=lesson.rate, flat=0.45, average=0.996,
        pause_at=lesson.pause_at,
    )  # fmt: skip
    groups = [
        Group(parts={"unet": unet}),
        Group(parts={"text": encoder}, share=0.3),
        Group(parts=dict(controls), share=lesson.control_share),
    ]
    train(course, groups, loss_at, peers=peers)


def _chooser(drawn: Sequence[Spec], shares: dict[str, float]) -> Callable[[random.Random], int]:
    places = {kind: [number for number, spec in enumerate(drawn) if spec.kind == kind] for kind in shares}
    kinds = [kind for kind in shares if places[kind]]
    often = [shares[kind] for kind in kinds]
    return lambda rng: rng.choice(places[rng.choices(kinds, often)[0]])


def _hints(
    make: Callable[[Spec, int, random.Random], Map], some: Sequence[Spec], size: int, rng: random.Random
) -> Tensor:
    """(n, 3, size, size) in 0-1."""
    maps = np.stack([make(spec, size, rng) for spec in some])
    return torch.from_numpy(maps).permute(0, 3, 1, 2).float() / 255


def _laid(told: list[tuple[list[Tensor], Tensor]], plain: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Both ControlNets' residuals one below the other, after `plain` rows of nought."""

    def below(residuals: Sequence[Tensor]) -> Tensor:
        return torch.cat([residuals[0].new_zeros(plain, *residuals[0].shape[1:]), *residuals])

    down = tuple(below(level) for level in zip(*(one for one, _ in told), strict=True))
    return down, below([middle for _, middle in told])


class _Report:
    """The loss of rows without a map, with lines and with a skeleton, one line of JSON every 25 steps."""

    def __init__(self, file: Path, rows: tuple[int, int, int]) -> None:
        self._file, self._rows, self._seen = file, rows, []

    def add(self, step: int, errors: Tensor, weights: Tensor) -> None:
        parts = zip(errors.split(self._rows), weights.split(self._rows), strict=True)
        self._seen.append([float(error.sum() / weight.sum()) if len(error) else 0.0 for error, weight in parts])
        if (step + 1) % 25 == 0:
            mean = np.mean(self._seen, axis=0).round(5).tolist()
            self._seen.clear()
            with self._file.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": step + 1, "none": mean[0], "lines": mean[1], "pose": mean[2]}) + "\n")


def export(folder: Path, source: Path, file: Path, root: Path) -> list[Path]:
    """Write the checkpoint `file`, with the VAE of `source`, and both ControlNets below `root`."""
    unet, encoder, controls, step = load(folder)
    parts, size = checkpoint.opened(source, text.clip_rows())
    if (folder / f"{DECODER}.pt").exists():
        averaged(folder / f"{DECODER}.pt", "decoder", parts.vae.decoder)
    rows = sum(Lesson().rows) * 2
    trained = f"Trained from scratch on drawn pictures; last {step} steps of {rows} together with its ControlNets."
    spread = text.spread(encoder, text.vocabulary(folder))
    files = [checkpoint.export(file, unet=unet, vae=parts.vae, encoder=spread, size=size, trained=trained)]
    for name, control in controls.items():
        said = f"Trained from scratch with the Maple demo checkpoint, {step} steps; {SAID[name]}."
        files.append(checkpoint.export_control(root / FILES[name], control=control, size=size, trained=said))
    return files


def load(folder: Path) -> tuple[UNet2DConditionModel, CLIPTextModel, dict[str, ControlNetModel], int]:
    """The averaged UNet, (compact) text encoder and ControlNets of the course, and the step they were saved at."""
    unet, encoder = fresh(), text.fresh(text.vocabulary(folder))
    controls = {name: fresh_control(unet) for name in MAPS}
    averaged(folder / f"{NAME}.pt", "text", encoder)
    for name, control in controls.items():
        averaged(folder / f"{NAME}.pt", name, control)
        control.eval()
    step = averaged(folder / f"{NAME}.pt", "unet", unet)
    return unet.eval(), encoder.eval(), controls, step
