"""The demo's VAE: Stable Diffusion 1's, narrow, trained on crops first and whole pictures last."""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false

from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from webui.demo.course import Course, Dice, Group, Peers, averaged, train
from webui.demo.pictures import SCALE, drawn, latents, to_tensor

CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (16, 32, 64, 64),
    "layers_per_block": 2,
    # 32 groups, as in Stable Diffusion, do not fit 16 channels.
    "norm_num_groups": 4,
    "sample_size": 128,
    "scaling_factor": SCALE,
}
# (until this fraction of the course, pictures in a batch, side of the crop): small crops teach colour and edges
# quickly, whole pictures teach the mid block's attention.
LESSONS = ((0.55, 16, 32), (0.85, 6, 64), (1.0, 2, 128))
KL_WEIGHT = 2e-4
DECODER_BATCH = 4
DISTURBANCE = 0.1


def fresh() -> AutoencoderKL:
    """An untrained VAE. Convolutions start at unit gain: with PyTorch's own start one so narrow stays grey for long."""
    vae = AutoencoderKL(**CONFIG)
    for weight in vae.parameters():
        if weight.ndim == 4:
            nn.init.kaiming_normal_(weight, nonlinearity="linear")
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -4.0
    return vae


def course(folder: Path, *, steps: int) -> Course:
    return Course(name="vae", folder=folder, steps=steps, rate=8e-4, flat=0.3, average=0.995, weight_decay=1e-4)


def train_vae(folder: Path, count: int, steps: int, *, peers: Peers) -> None:
    """Train on `count` drawn pictures; the state lies in folder/vae.pt."""
    torch.manual_seed(0)
    vae = fresh().to(peers.device)
    pictures = drawn(folder, count, size=128)

    def loss_at(step: int, dice: Dice) -> Tensor:
        batch = _crops(pictures, step / steps, dice).to(peers.device)
        posterior = vae.encode(batch).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=dice.torch).to(peers.device)
        answer = vae.decode(posterior.mean + posterior.std * noise).sample
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        return difference(answer, batch) + KL_WEIGHT * kl

    train(course(folder, steps=steps), [Group(parts={"vae": vae})], loss_at, peers=peers)


def train_decoder(folder: Path, count: int, steps: int, *, peers: Peers) -> None:
    """Sharpen the decoder alone on whole pictures and their cached latents, slightly disturbed as a UNet's are. The
    latents stay what they were, so this may run after or beside the UNet's training; state in folder/decoder.pt."""
    torch.manual_seed(3)
    vae = load(folder).to(peers.device)
    pictures = drawn(folder, count, size=128)
    stock = latents(folder, count, size=128, load_vae=lambda: load(folder), device=peers.device)
    for weight in vae.post_quant_conv.parameters():
        weight.requires_grad_(False)

    def loss_at(step: int, dice: Dice) -> Tensor:
        del step
        picks = sorted(dice.python.sample(range(count), DECODER_BATCH))
        disturbed = stock[picks] + DISTURBANCE * torch.randn(stock[picks].shape, generator=dice.torch)
        answer = vae.decode((disturbed / SCALE).to(peers.device)).sample
        return difference(answer, to_tensor(pictures[picks]).to(peers.device))

    course = Course(name="decoder", folder=folder, steps=steps, rate=6e-4, flat=0.3, average=0.99, weight_decay=1e-4)
    train(course, [Group(parts={"decoder": vae.decoder})], loss_at, peers=peers)


def _crops(pictures: NDArray[np.uint8], done: float, dice: Dice) -> Tensor:
    count, side = next((count, side) for until, count, side in LESSONS if done < until or until == 1.0)
    room = pictures.shape[1] - side
    picks = []
    for _ in range(count):
        # Nearer the middle more often: that is where the drawn things are.
        y, x = (round(dice.python.triangular(0, room)) for _ in range(2))
        picks.append(pictures[dice.python.randrange(len(pictures)), y : y + side, x : x + side])
    return to_tensor(np.stack(picks))


def difference(answer: Tensor, wanted: Tensor) -> Tensor:
    """L1 and half the squared error, plus L1 between neighbouring pixels' steps, which keeps edges sharp."""
    error = answer - wanted
    steps = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + 0.5 * error.square().mean() + 0.5 * steps


def load(folder: Path) -> AutoencoderKL:
    """The trained VAE, with the sharpened decoder if there is one. Its latents' mean and deviation are absorbed, per
    channel and exactly, into quant_conv and post_quant_conv: a loader that multiplies by 0.18215, as all do, then sees
    unit variance."""
    vae = fresh()
    averaged(folder / "vae.pt", "vae", vae)
    vae.eval()
    with torch.no_grad():
        sample = to_tensor(np.load(_pictures(folder), mmap_mode="r")[:384])
        means = torch.cat([vae.encode(batch).latent_dist.mean for batch in sample.split(32)])
        standardise(vae, means.mean((0, 2, 3)), means.std((0, 2, 3)) * SCALE)
    if (folder / "decoder.pt").exists():
        averaged(folder / "decoder.pt", "decoder", vae.decoder)
    return vae


def _pictures(folder: Path) -> Path:
    return min(folder.glob("pictures-128-*.npy"))


@torch.no_grad()
def fidelity(folder: Path) -> float:
    """PSNR in dB over the first 64 drawn pictures, encoded and decoded."""
    vae = load(folder)
    pictures = to_tensor(np.load(_pictures(folder), mmap_mode="r")[:64])
    answers = torch.cat([vae.decode(vae.encode(batch).latent_dist.mean).sample for batch in pictures.split(16)])
    return float(10 * torch.log10(4 / (answers.clamp(-1, 1) - pictures).square().mean((1, 2, 3))).mean())


@torch.no_grad()
def standardise(vae: AutoencoderKL, mean: Tensor, scale: Tensor) -> None:
    """Make the VAE's latents (z - mean) / scale, per channel, and its decoder undo it."""
    into, back = vae.quant_conv, vae.post_quant_conv
    back.bias += back.weight[:, :, 0, 0] @ mean
    back.weight *= scale[None, :, None, None]
    into.weight[:4] /= scale[:, None, None, None]
    into.bias[:4] = (into.bias[:4] - mean) / scale
    into.bias[4:] -= 2 * torch.log(scale)
