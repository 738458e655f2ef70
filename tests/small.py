"""A server in miniature for tests: a whole tiny checkpoint that takes real prompts, and every part around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from webui.domain import Artifact, Progress, Wish


def save_small_checkpoint(path: Path, *, with_vae: bool = True) -> Path:
    """A seeded SD 1 checkpoint of a few MB in LDM layout with CLIP's whole vocabulary."""
    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel

    from webui.engine.keys import to_ldm

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(32, 32, 32, 32), cross_attention_dim=64, layers_per_block=2, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4, norm_num_groups=32,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, latent_channels=4, scaling_factor=0.18215,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=1, vocab_size=49408,
            bos_token_id=49406, eos_token_id=49407,
        )
    )  # fmt: skip
    with torch.no_grad():
        # With default gain 1 and bias 0 the mean of the states is 0, which "Original" emphasis divides by.
        text.final_layer_norm.bias.add_(0.3)
        for name, weights in unet.named_parameters():
            if "attn2" in name:
                weights.mul_(4.0)  # so that prompts matter
    state = to_ldm(unet=unet, vae=vae, text_encoder=text)
    kept = {name: value.half().contiguous() for name, value in state.items() if with_vae or "first_stage" not in name}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, path)
    return path


def save_small_control(path: Path, *, seed: int = 5) -> Path:
    """A seeded ControlNet for the small SD 1 checkpoint, in cldm's single-file layout; its zero convolutions are none
    any more, so that it matters.
    """
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel
    from safetensors.torch import save_file

    from webui.engine.control.layouts import to_cldm

    torch.manual_seed(seed)
    network = ControlNetModel(
        block_out_channels=(32, 32, 32, 32), cross_attention_dim=64, layers_per_block=2, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        conditioning_embedding_out_channels=(16, 16, 32, 32),
    )  # fmt: skip
    with torch.no_grad():
        for name, weights in network.named_parameters():
            if name.startswith("controlnet_") and not weights.any():
                weights.copy_(torch.randn(weights.shape) * 0.1)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().clone().contiguous() for name, value in to_cldm(network).items()}, path)
    return path


def small_sdxl(*, refiner: bool = False, channels: int = 4) -> Any:
    """SDXL's real classes, seeded and narrow: `unet`, `vae`, `text` (None in the refiner) and `big`; whole numbers of
    fp16, so that a half-precision file gives them back exactly.
    """
    from types import SimpleNamespace

    import torch
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers.models.clip.configuration_clip import CLIPTextConfig
    from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(20)
    attends = (False, True, True, False) if refiner else (False, True, True)
    widths = (32, 64, 64, 64) if refiner else (32, 64, 128)
    unet = UNet2DConditionModel(
        in_channels=channels, block_out_channels=widths, layers_per_block=2, sample_size=128,
        cross_attention_dim=64 if refiner else 128, use_linear_projection=True,
        down_block_types=tuple("CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attends)),
        transformer_layers_per_block=(1, 2, 2, 2) if refiner else (1, 1, 2),
        attention_head_dim=tuple(max(1, width // 64) for width in widths),
        addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64 + 8 * (5 if refiner else 6),
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4, norm_num_groups=32,
        up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=1, latent_channels=4, scaling_factor=0.13025,
    )  # fmt: skip
    told: dict[str, Any] = {
        "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 1, "vocab_size": 49408,
        "bos_token_id": 49406, "eos_token_id": 49407, "projection_dim": 64,
    }  # fmt: skip
    text = None if refiner else CLIPTextModel(CLIPTextConfig(num_hidden_layers=3, **told))
    big = CLIPTextModelWithProjection(CLIPTextConfig(num_hidden_layers=4, hidden_act="gelu", **told))
    with torch.no_grad():
        for name, weights in unet.named_parameters():
            if "attn2" in name or "add_embedding" in name:
                weights.mul_(4.0)  # so that prompts and sizes matter
    for module in (unet, vae, text, big):
        if module is not None:
            module.eval().requires_grad_(False).half().float()
    return SimpleNamespace(unet=unet, vae=vae, text=text, big=big)


def save_small_sdxl(
    path: Path, parts: Any = None, *, marks: tuple[str, ...] = (), metadata: dict[str, str] | None = None, **kind: Any
) -> Path:
    """A small SDXL checkpoint in the real single-file layout, fp16. `parts`: of `small_sdxl`, which `kind` is told
    otherwise; `marks`: empty tensors of these names ("v_pred", "ztsnr").
    """
    import torch
    from safetensors.torch import save_file

    from webui.engine.keys import to_ldm

    parts = parts if parts is not None else small_sdxl(**kind)
    state = to_ldm(unet=parts.unet, vae=parts.vae, text_encoder=parts.text, text_encoder_2=parts.big)
    kept = {name: value.half().contiguous() for name, value in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept | {mark: torch.tensor([]) for mark in marks}, path, metadata=metadata)
    return path


class Ears:
    """A Reporter that remembers. `wishes`: what is wished when that step is done; `looking`: somebody watches."""

    def __init__(
        self, *, wishes: dict[int, Wish] | None = None, looking: bool = False, earlier: tuple[Artifact, ...] = ()
    ):
        self.wishes = wishes or {}
        self.looking = looking
        self.earlier = earlier
        self.progress: list[Progress] = []
        self.previews: list[tuple[bytes, str]] = []
        self.artifacts: list[Artifact] = []
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.on_report: Callable[[Progress], None] | None = None
        self._wish = Wish.NONE

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)
        if progress.phase == "sampling" and progress.done in self.wishes:
            self._wish = self.wishes.pop(progress.done)
        if self.on_report:
            self.on_report(progress)

    def preview_wanted(self, step: int) -> bool:
        return self.looking

    def preview(self, picture: bytes, media_type: str) -> None:
        self.previews.append((picture, media_type))

    def artifact(self, artifact: Artifact) -> None:
        self.artifacts.append(artifact)

    def finished(self) -> tuple[Artifact, ...]:
        return self.earlier

    def note(self, key: str, **fields: Any) -> None:
        self.notes.append((key, fields))

    def wish(self) -> Wish:
        return self._wish

    def served(self, wish: Wish) -> None:
        if self._wish is wish:
            self._wish = Wish.NONE


def stub_checkpoint(path: Path) -> Path:
    """A file whose header says it is a SD 1 checkpoint; enough where nothing is loaded."""
    import json

    entries = {
        "model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [320, 768],
        "model.diffusion_model.out.2.weight": [4, 320, 3, 3],
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": [49408, 768],
        "first_stage_model.decoder.conv_in.weight": [512, 4, 3, 3],
        "first_stage_model.quant_conv.weight": [8, 8, 1, 1],
    }
    header: dict[str, Any] = {}
    end = 0
    for name, shape in entries.items():
        size = 1
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + 2 * size]}
        end += 2 * size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # sparse: no weight is ever read
    return path
