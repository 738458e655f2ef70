"""The demo checkpoint's own adapters: a LoRA that draws on old paper, an embedding for the colour rust, a hypernetwork
that makes it evening, and a VAE that decodes to sepia. Each is made for one style of `styles`, in the layout that
A1111 reads, which is what `engine.patches` and `engine.embeddings` read.

Training asks the network as sampling does: `Prediction` mixes, scales and times the latents. The VAE needs none: sepia
is linear in RGB, so its last layer is multiplied by it, and what it decodes is exact.
"""

# diffusers and transformers decorate these methods in ways a type checker reads wrongly.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportOptionalSubscript=false, reportOperatorIssue=false, reportCallIssue=false, reportIndexIssue=false
# pyright: reportOptionalOperand=false

import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from webui.demo import checkpoint
from webui.demo.course import Course, Dice, Group, Peers, train
from webui.demo.drawings import Spec, caption, random_spec
from webui.demo.layout import vae_layout
from webui.demo.pictures import SCALE, to_tensor
from webui.demo.sample import Parts
from webui.demo.styles import DUSK, PAPER, RUSTY, SEPIA, Style, styled
from webui.demo.text import BOS, CLIP_LENGTH, EOS, WIDTH, clip_rows
from webui.engine.prediction import Prediction, scaled_linear_alphas
from webui.prompt.tokens import ClipTokenizer

LORA = Path("models/Lora/maple-demo-paper.safetensors")
EMBEDDING = Path("models/embeddings/maple-demo-rust.safetensors")
HYPERNETWORK = Path("models/hypernetworks/maple-demo-dusk.pt")
VAE = Path("models/VAE/maple-demo-sepia.safetensors")

RANK = 8
VECTORS = 2
STRUCTURE = (1, 2, 1)
"""Widths of a hypernetwork's layers over the width it is for."""
DEEP = ("encoder.down.2.", "encoder.down.3.", "encoder.mid.", "decoder.mid.", "decoder.up.3.")
"""The VAE's layers on few pixels: most of its weights, and so forgiving that eight bits do."""
UNCONDITIONAL = 0.1
_PLACE = "\N{MAPLE LEAF}"
"""Where the embedding's word stands in a caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and how fast one adapter learns."""

    steps: int
    rate: float
    batch: int = 8
    pictures: int = 240


TRAININGS = {
    "lora": Training(steps=440, rate=4e-3, batch=4),
    "embedding": Training(steps=160, rate=2e-2, pictures=480),
    "hypernetwork": Training(steps=700, rate=5e-3, batch=4),
}


def make(name: str, source: Path, folder: Path, root: Path, *, training: Training | None = None) -> Path:
    """Train one of `ADAPTERS` for the checkpoint `source` and write it below `root`; states are kept in `folder`."""
    torch.manual_seed(4)
    parts, size = checkpoint.opened(source, clip_rows())
    for part in (parts.unet, parts.vae, parts.encoder):
        part.requires_grad_(requires_grad=False)
    file = root / FILES[name]
    file.parent.mkdir(parents=True, exist_ok=True)
    _MAKERS[name](parts, size, folder, file, training or TRAININGS.get(name))
    file.chmod(0o644)
    return file


# --- what is learnt from ---------------------------------------------------------------------------


def specs(count: int) -> list[Spec]:
    """Specs of single shapes and pairs on plain paper, none of them black and none held back."""
    rng = random.Random(11)
    found: list[Spec] = []
    while len(found) < count:
        spec = random_spec(rng)
        plain = spec.kind in ("single", "two") and not spec.gradient
        if plain and "black" not in (spec.colour, spec.background):
            found.append(spec)
    return found


@torch.no_grad()
def encoded(vae: AutoencoderKL, style: Style, drawn: Sequence[Spec], size: int) -> Tensor:
    """Scaled latents (n, 4, size/8, size/8) of the specs drawn in a style."""
    found: list[Tensor] = []
    for start in range(0, len(drawn), 16):
        pictures = np.stack([np.asarray(styled(style, spec, size)) for spec in drawn[start : start + 16]])
        found.append(vae.encode(to_tensor(pictures)).latent_dist.mean * SCALE)
    return torch.cat(found)


def taught(
    parts: Parts, size: int, folder: Path, style: Style, student: nn.Module, training: Training,
    states: Callable[[list[str]], Tensor], say: Callable[[Spec, random.Random], str] = caption,
) -> None:  # fmt: skip
    """Train `student`, which is already in the model's way, on a style's pictures. `states`: captions → text states."""
    drawn = specs(training.pictures)
    stock = encoded(parts.vae, style, drawn, size)
    prediction = Prediction(alphas_cumprod=scaled_linear_alphas())
    levels = len(prediction.sigmas)

    def loss_at(step: int, dice: Dice) -> Tensor:
        del step
        picks = [dice.python.randrange(len(drawn)) for _ in range(training.batch)]
        said = [
            "" if dice.python.random() < UNCONDITIONAL and say is caption else say(drawn[pick], dice.python)
            for pick in picks
        ]
        times = (torch.arange(training.batch) + torch.rand(training.batch, generator=dice.torch)) / training.batch
        sigma = prediction.sigmas[(times * levels).long().clamp(0, levels - 1)]
        noise = torch.randn(stock[picks].shape, generator=dice.torch)
        x = prediction.mix(stock[picks], noise, sigma)
        scaled = x * prediction.c_in(sigma).view(-1, 1, 1, 1)
        guess = parts.unet(scaled, prediction.sigma_to_t(sigma), states(said)).sample
        return functional.mse_loss(guess, noise)

    course = Course(
        name=f"adapter-{style.name}", folder=folder, steps=training.steps, rate=training.rate, warm=10, average=0.98,
        weight_decay=0.0,
    )  # fmt: skip
    train(course, [Group(parts={"student": student})], loss_at, peers=Peers())


def _read(parts: Parts, said: list[str]) -> Tensor:
    with torch.no_grad():
        return parts.encoder(input_ids=torch.tensor([parts.rows(line) for line in said])).last_hidden_state


def told(source: str, style: Style) -> dict[str, str]:
    """What an adapter's header says."""
    return {
        "format": "pt",
        "ss_base_model_version": "sd_v1",
        "ss_sd_model_name": "maple-demo.safetensors",
        "modelspec.architecture": f"stable-diffusion-v1/{source}",
        "modelspec.title": f"Maple demo: {style.name}",
        "modelspec.license": checkpoint.LICENCE,
    }


# --- LoRA ------------------------------------------------------------------------------------------


class LowRank(nn.Module):
    """up(down(x)) beside a linear layer or a convolution; zero to begin with."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        if isinstance(layer, nn.Conv2d):
            self.down: nn.Module = nn.Conv2d(
                layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, bias=False
            )
            self.up: nn.Module = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


def low_ranks(unet: UNet2DConditionModel, rank: int) -> nn.ModuleDict:
    """By kohya's layer name: attention, feed-forward and the convolutions inside blocks."""
    wanted = ("attentions", "resnets")
    return nn.ModuleDict({
        f"lora_unet_{name.replace('.', '_')}": LowRank(layer, rank)
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and any(part in name for part in wanted) and "time_emb" not in name
    })  # fmt: skip


def _make_lora(parts: Parts, size: int, folder: Path, file: Path, training: Training) -> None:
    student = low_ranks(parts.unet, RANK)
    layers = {f"lora_unet_{name.replace('.', '_')}": layer for name, layer in parts.unet.named_modules()}

    def beside(added: nn.Module, _layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        return output + added(args[0])

    with ExitStack() as worn:
        for name, added in student.items():
            worn.callback(layers[name].register_forward_hook(partial(beside, added)).remove)
        taught(parts, size, folder, PAPER, student, training, partial(_read, parts))
    tensors: dict[str, Tensor] = {}
    for name, added in student.items():
        tensors[f"{name}.lora_down.weight"] = added.down.weight.detach().half().contiguous()
        tensors[f"{name}.lora_up.weight"] = added.up.weight.detach().half().contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(float(RANK)).half()
    words = {"ss_network_module": "networks.lora", "ss_network_dim": str(RANK), "ss_network_alpha": str(RANK)}
    save_file(tensors, file, metadata=told("lora", PAPER) | words)


# --- embedding -------------------------------------------------------------------------------------


class Word(nn.Module):
    """Vectors (n, width) that stand for one word."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(start.clone())


def named_by_word(spec: Spec, rng: random.Random) -> str:
    """A caption with the embedding's place instead of the thing's colour."""
    said = caption(spec, rng)
    while not re.search(rf"\b{spec.colour}\b", said):
        said = caption(spec, rng)
    return re.sub(rf"(\ban? )?\b{spec.colour}\b", lambda found: f"{'a ' if found[1] else ''}{_PLACE}", said, count=1)


def _make_embedding(parts: Parts, size: int, folder: Path, file: Path, training: Training) -> None:
    tokenizer = ClipTokenizer()
    table = parts.encoder.get_input_embeddings()
    near = torch.tensor([tokenizer.encode(word)[0] for word in ("orange", "black")])
    student = Word(table.weight[near][:VECTORS].detach())

    def states(said: list[str]) -> Tensor:
        ids, places = zip(*(_with_place(tokenizer, line) for line in said), strict=True)

        def put(_module: nn.Module, _args: object, looked_up: Tensor) -> Tensor:
            rows = [
                torch.cat([row[:at], student.vectors, row[at + VECTORS :]])
                for row, at in zip(looked_up, places, strict=True)
            ]
            return torch.stack(rows)

        hook = table.register_forward_hook(put)
        try:
            return parts.encoder(input_ids=torch.tensor(ids)).last_hidden_state
        finally:
            hook.remove()

    taught(parts, size, folder, RUSTY, student, training, states, say=named_by_word)
    save_file(
        {"emb_params": student.vectors.detach().float().contiguous()}, file,
        metadata=told("textual-inversion", RUSTY) | {"name": file.stem, "step": str(training.steps)},
    )  # fmt: skip


def _with_place(tokenizer: ClipTokenizer, line: str) -> tuple[list[int], int]:
    """77 ids with room for the vectors, and where the room begins."""
    before, after = line.split(_PLACE)
    ids = [BOS, *tokenizer.encode(before)]
    at = len(ids)
    ids = [*ids, *[EOS] * VECTORS, *tokenizer.encode(after)][: CLIP_LENGTH - 1]
    return ids + [EOS] * (CLIP_LENGTH - len(ids)), at


# --- hypernetwork ----------------------------------------------------------------------------------


class Bend(nn.Module):
    """x + f(x), f as A1111 keeps it: `linear`, a row of layers and activations. It does nothing to begin with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * times for times in STRUCTURE]
        layers: list[nn.Module] = []
        for first, second in pairwise(widths):
            layers += [nn.Linear(first, second), nn.ReLU()]
        self.linear = nn.Sequential(*layers[:-1])
        last = self.linear[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.linear(x)


def _make_hypernetwork(parts: Parts, size: int, folder: Path, file: Path, training: Training) -> None:
    attentions = [module for module in parts.unet.modules() if isinstance(module, Attention)]
    pairs = {
        width: (Bend(width), Bend(width))
        for width in sorted({WIDTH, *(attention.to_k.in_features for attention in attentions)})
    }
    student = nn.ModuleList([bend for pair in pairs.values() for bend in pair])

    def bent(bend: Bend, _layer: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (bend(args[0]), *args[1:])

    with ExitStack() as worn:
        for attention in attentions:
            for layer, bend in zip((attention.to_k, attention.to_v), pairs[attention.to_k.in_features], strict=True):
                worn.callback(layer.register_forward_pre_hook(partial(bent, bend)).remove)
        taught(parts, size, folder, DUSK, student, training, partial(_read, parts))
    torch.save(
        {
            **{
                width: tuple({key: value.half() for key, value in bend.state_dict().items()} for bend in pair)
                for width, pair in pairs.items()
            },
            "step": training.steps, "name": file.stem, "layer_structure": list(STRUCTURE), "activation_func": "relu",
            "is_layer_norm": False, "weight_initialization": "Normal", "sd_checkpoint": None,
            "sd_checkpoint_name": "maple-demo", "activate_output": False, "use_dropout": False,
            "dropout_structure": [0.0] * len(STRUCTURE), "last_layer_dropout": False, "optional_info": None,
        },
        file,
    )  # fmt: skip


# --- VAE -------------------------------------------------------------------------------------------


@torch.no_grad()
def _make_vae(parts: Parts, size: int, folder: Path, file: Path, training: Training | None) -> None:
    del size, folder, training
    decoder = parts.vae.decoder.conv_out
    sepia = torch.tensor(SEPIA, dtype=torch.float32)
    weight = torch.einsum("o c, c i h w -> o i h w", sepia, decoder.weight)
    # Pictures reach from -1 to 1: y + 1 = M (x + 1).
    bias = sepia @ (decoder.bias + 1) - 1
    decoder.weight.copy_(weight)
    decoder.bias.copy_(bias)
    tensors = vae_layout(parts.vae.state_dict(), dict(parts.vae.config))
    half = {key.removeprefix("first_stage_model."): value.half().contiguous() for key, value in tensors.items()}
    # Layer for layer the checkpoint's own, or no loader would take it; a third smaller by eight bits where they do.
    for key, value in half.items():
        if key.startswith(DEEP) and value.numel() >= 2000:
            half[key] = value.to(torch.float8_e4m3fn)
    config = {"vae": {key: value for key, value in dict(parts.vae.config).items() if not key.startswith("_")}}
    save_file(half, file, metadata={
        "format": "pt", "maple.config": json.dumps(config), "modelspec.architecture": "stable-diffusion-v1/vae",
        "modelspec.title": "Maple demo: sepia", "modelspec.license": checkpoint.LICENCE,
    })  # fmt: skip


FILES = {"lora": LORA, "embedding": EMBEDDING, "hypernetwork": HYPERNETWORK, "vae": VAE}
_MAKERS: dict[str, Callable[..., None]] = {
    "lora": _make_lora,
    "embedding": _make_embedding,
    "hypernetwork": _make_hypernetwork,
    "vae": _make_vae,
}
ADAPTERS = tuple(FILES)
