"""The demo's UNet: Stable Diffusion 1's, narrow, trained on latents of drawn pictures with the text encoder along.

The noise is predicted; the loss of a step is weighted by min(SNR, 5)/SNR (Hang et al. 2023, "Efficient Diffusion
Training via Min-SNR Weighting Strategy"), timesteps are stratified over the batch, a little noise shared by a whole
channel lets the model set a picture's mean colour. Half-size latents come first: they cost a quarter, and what a word
looks like carries over.
"""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from webui.demo import text, vae
from webui.demo.course import Course, Dice, Group, Peers, averaged, train
from webui.demo.drawings import caption
from webui.demo.pictures import latents, specs

CONFIG = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "block_out_channels": (32, 64, 128, 128),
    "layers_per_block": 2,
    "cross_attention_dim": text.WIDTH,
    # diffusers' name for the number of heads of Stable Diffusion 1; on a CPU two are a fifth quicker than four.
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
TIMESTEPS = 1000
SNR_CAP = 5.0
CHANNEL_NOISE = 0.06
UNCONDITIONAL = 0.1
LONG = 0.1
"""The share of batches with all 77 tokens; the others are cut to the captions' length, which costs a third."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One stage of the UNet's training; `after` names the stage whose weights it starts from."""

    name: str
    size: int
    pictures: int
    steps: int
    batch: int
    rate: float
    after: str | None = None
    pause_at: int | None = None


def fresh() -> UNet2DConditionModel:
    """An untrained UNet whose residual branches start silent, which makes the first steps count."""
    unet = UNet2DConditionModel(**CONFIG)
    silent = ("conv2", "proj_out", "conv_out")
    for name, weight in unet.named_parameters():
        if name.rsplit(".", 1)[0].endswith(silent):
            nn.init.zeros_(weight)
    return unet


def signal_to_noise() -> Tensor:
    """SNR (1000,) of Stable Diffusion's scaled-linear betas."""
    kept = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS) ** 2, 0)
    return kept / (1 - kept)


def train_unet(folder: Path, lesson: Lesson, *, peers: Peers) -> None:
    """Train UNet and text encoder through one lesson; `lesson.batch` counts the pictures of one process."""
    torch.manual_seed(2)
    known = text.vocabulary(folder)
    encoder, unet = text.fresh(known), fresh()
    _start(folder, lesson, encoder, unet)
    encoder, unet = encoder.to(peers.device), unet.to(peers.device)
    drawn = specs(lesson.pictures)
    stock = latents(folder, lesson.pictures, size=lesson.size, load_vae=lambda: vae.load(folder), device=peers.device)
    snr = signal_to_noise()
    weights = snr.clamp(max=SNR_CAP) / snr

    def loss_at(step: int, dice: Dice) -> Tensor:
        del step
        picks = [dice.python.randrange(lesson.pictures) for _ in range(lesson.batch)]
        said = ["" if dice.python.random() < UNCONDITIONAL else caption(drawn[pick], dice.python) for pick in picks]
        length = text.CLIP_LENGTH if dice.python.random() < LONG else text.SHORT
        rows = torch.tensor([known.rows(line, length, junk=dice.python if line else None) for line in said])
        clean = stock[picks]
        noise = torch.randn(clean.shape, generator=dice.torch)
        noise = noise + CHANNEL_NOISE * torch.randn(*clean.shape[:2], 1, 1, generator=dice.torch)
        times = stratified(lesson.batch, dice)
        kept = (snr / (1 + snr))[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        states = encoder(input_ids=rows.to(peers.device)).last_hidden_state
        guess = unet(noisy.to(peers.device), times.to(peers.device), states).sample
        error = (guess - noise.to(peers.device)).square().mean((1, 2, 3))
        weight = weights[times].to(peers.device)
        return (error * weight).mean() / weight.mean()

    course = Course(
        name=lesson.name, folder=folder, steps=lesson.steps, rate=lesson.rate, average=0.997, pause_at=lesson.pause_at
    )
    groups = [Group(parts={"unet": unet}), Group(parts={"text": encoder}, share=0.3)]
    train(course, groups, loss_at, peers=peers)


def _start(folder: Path, lesson: Lesson, encoder: CLIPTextModel, unet: UNet2DConditionModel) -> None:
    if lesson.after is None:
        averaged(folder / "text.pt", "text", encoder)
        return
    averaged(folder / f"{lesson.after}.pt", "text", encoder)
    averaged(folder / f"{lesson.after}.pt", "unet", unet)


def stratified(count: int, dice: Dice) -> Tensor:
    """Timesteps (count,), one from each of `count` equal parts of 0-999, in random order."""
    times = (torch.arange(count) + torch.rand(count, generator=dice.torch)) / count * TIMESTEPS
    return times.long().clamp(0, TIMESTEPS - 1)[torch.randperm(count, generator=dice.torch)]


def load(folder: Path, lesson: str) -> tuple[UNet2DConditionModel, CLIPTextModel, int]:
    """The averaged UNet and (compact) text encoder of a lesson, and the step they were saved at."""
    encoder, unet = text.fresh(text.vocabulary(folder)), fresh()
    averaged(folder / f"{lesson}.pt", "text", encoder)
    step = averaged(folder / f"{lesson}.pt", "unet", unet)
    return unet.eval(), encoder.eval(), step
