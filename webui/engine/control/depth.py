"""Preprocessors that find depth and surface normals with a network.

MiDaS, LeReS, Zoe and Bae are controlnet-aux's classes, Depth Anything is transformers'; the arithmetic around them is
sd-webui-controlnet 1.1.455's. Each takes a picture (height, width, 3) RGB and a `Making`.
"""

import contextlib
import io
import types
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from controlnet_aux.leres.leres.depthmap import estimateboost, estimateleres
from controlnet_aux.leres.leres.multi_depth_model_woauxi import RelDepthModel
from controlnet_aux.leres.pix2pix.models.networks import define_G
from controlnet_aux.midas.midas.dpt_depth import DPTDepthModel
from controlnet_aux.normalbae.nets.NNET import NNET
from controlnet_aux.zoe.zoedepth.models.zoedepth.zoedepth_v1 import ZoeDepth
from controlnet_aux.zoe.zoedepth.utils.config import get_config
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

from webui.engine.control.making import AnnotatorMisfit, Making, Map
from webui.engine.control.pixels import padded
from webui.engine.weights import open_weights

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the pictures most networks were trained on, per channel."""
DEPTH_SIDE, DEPTH_PATCH = 518, 14
SMALLEST = 1e-8


def midas(picture: Map, making: Making) -> Map:
    """Near is light; Ranftl 2021."""
    wide, cut = padded(picture, making.resolution)
    near = _midas(wide, making)
    return cut(_u8(_stretched(near) * 255.0))


def normal_midas(picture: Map, making: Making) -> Map:
    """The slope of MiDaS' depth; flat where it is farther than the dial's share."""
    wide, cut = padded(picture, making.resolution)
    near = _midas(wide, making)
    across, down = (cv2.Sobel(near, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
    far = _stretched(near) < making.a
    normal = np.stack((np.where(far, 0, across), np.where(far, 0, down), np.full_like(near, 2 * np.pi)), axis=2)
    normal /= np.sqrt(np.sum(normal**2, axis=2, keepdims=True))
    return cut(_u8(normal * 127.5 + 127.5)[:, :, ::-1])


def leres(picture: Map, making: Making) -> Map:
    """Near is light; Yin 2021."""
    wide, cut = padded(picture, making.resolution)
    network = making.network(lambda: RelDepthModel(backbone="resnext101"), inside="depth_model")
    return cut(_levels(estimateleres(wide, network, wide.shape[1], wide.shape[0]), making))


def leres_boosted(picture: Map, making: Making) -> Map:
    """The same over patches of the picture, merged by a second network; Miangoleh 2021."""
    wide, cut = padded(picture, making.resolution)
    network = making.network(lambda: RelDepthModel(backbone="resnext101"), inside="depth_model")
    merge = making.network(lambda: define_G(2, 1, 64, "unet_1024", "none", False, "normal", 0.02, []), file=1)
    far = estimateboost(wide, network, 0, _Merging(merge, making.device), max(wide.shape[:2]))
    return cut(_levels(far, making))


def zoe(picture: Map, making: Making) -> Map:
    """Near is light, between the nearest 2 and the farthest 15 per cent; Bhat 2023."""
    wide, cut = padded(picture, making.resolution)
    network = making.network(_quietly(lambda: ZoeDepth.build_from_config(get_config("zoedepth", "infer"))))
    far = network.infer(making.tensor(wide) / 255.0)[0, 0].cpu().numpy()
    nearest, farthest = np.percentile(far, 2), np.percentile(far, 85)
    return cut(_u8((1.0 - (far - nearest) / max(farthest - nearest, SMALLEST)) * 255.0))


def normal_bae(picture: Map, making: Making) -> Map:
    """Bae 2021."""
    wide, cut = padded(picture, making.resolution)
    asked = types.SimpleNamespace(
        mode="client", architecture="BN", pretrained="scannet", sampling_ratio=0.4, importance_ratio=0.7
    )
    network = making.network(_quietly(lambda: NNET(asked)))
    normal = network(_normalised(making.tensor(wide) / 255.0))[0][-1][0, :3]
    return cut(_u8(((normal + 1) * 0.5).clip(0, 1).permute(1, 2, 0).cpu().numpy() * 255.0))


def depth_anything(picture: Map, making: Making) -> Map:
    """Near is light; Yang 2024."""
    return _depth_anything(picture, making, version=1)


def depth_anything_v2(picture: Map, making: Making) -> Map:
    return _depth_anything(picture, making, version=2)


def _midas(wide: Map, making: Making) -> NDArray[np.float32]:
    network = making.network(lambda: DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True))
    return network(making.tensor(wide) / 127.5 - 1.0)[0].cpu().numpy()


def _stretched(near: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 to 1."""
    above = near - near.min()
    return above / max(float(above.max()), SMALLEST)


def _levels(far: NDArray[np.float32], making: Making) -> Map:
    """Light for near; nearer than dial a and farther than dial b (per cent) is cut to one level."""
    levels = _stretched(np.asarray(far, np.float32)) * 65535
    level = np.asarray(cv2.convertScaleAbs(levels.astype(np.uint16), alpha=255 / 65535))
    if making.a:
        level = np.asarray(cv2.threshold(level, making.a / 100 * 255, 255, cv2.THRESH_TOZERO)[1])
    level = 255 - level
    if making.b:
        level = np.asarray(cv2.threshold(level, making.b / 100 * 255, 255, cv2.THRESH_TOZERO)[1])
    return level.astype(np.uint8)


class _Merging:
    """What `estimateboost` merges two estimates with: the three calls it makes of controlnet-aux's trainer class."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device
        self._pair: Tensor | None = None
        self._merged: Tensor | None = None

    def set_input(self, outer: NDArray[np.float32], inner: NDArray[np.float32]) -> None:
        pair = np.stack([_stretched(np.asarray(one, np.float32)) * 2 - 1 for one in (outer, inner)])
        self._pair = torch.from_numpy(pair)[None].to(self._device)

    def test(self) -> None:
        self._merged = self._network(self._pair)

    def get_current_visuals(self) -> dict[str, Tensor | None]:
        return {"fake_B": self._merged}


def _depth_anything(picture: Map, making: Making, *, version: int) -> Map:
    wide, cut = padded(picture, making.resolution)
    height, width = wide.shape[:2]
    path = making.files[0]
    network = making.networks.get(path, f"depth_anything{version}", making.device,
                                  lambda: _load_depth_anything(making, version=version).to(making.device))  # fmt: skip
    scale = max(DEPTH_SIDE / height, DEPTH_SIDE / width)
    sides = tuple(max(DEPTH_SIDE, round(side * scale / DEPTH_PATCH) * DEPTH_PATCH) for side in (width, height))
    # Blue first, as there: it turns a picture that is red first already.
    turned = cv2.resize(wide[:, :, ::-1] / 255.0, sides, interpolation=cv2.INTER_CUBIC)
    given = torch.from_numpy(np.ascontiguousarray(turned)).permute(2, 0, 1)[None].float().to(making.device)
    near = network(_normalised(given)).predicted_depth
    near = functional.interpolate(near[None], (height, width), mode="bilinear", align_corners=False)[0, 0]
    return cut(_u8(_stretched(near.cpu().numpy()) * 255.0))


SIZES = {
    384: {"layers": 12, "heads": 6, "neck": [48, 96, 192, 384], "fusion": 64, "levels": [3, 6, 9, 12]},
    768: {"layers": 12, "heads": 12, "neck": [96, 192, 384, 768], "fusion": 128, "levels": [3, 6, 9, 12]},
    1024: {"layers": 24, "heads": 16, "neck": [256, 512, 1024, 1024], "fusion": 256, "levels": [5, 12, 18, 24]},
}
"""Depth Anything's small, base and large by their width. The first version reads the last four levels instead."""


def depth_anything_network(width: int, *, version: int) -> DepthAnythingForDepthEstimation:
    """transformers' network of that width (384, 768, 1024), empty."""
    size: Any = SIZES[width]
    levels = size["levels"] if version == 2 else list(range(size["layers"] - 3, size["layers"] + 1))
    told: dict[str, Any] = {"out_indices": levels, "apply_layernorm": True, "reshape_hidden_states": False}
    backbone = Dinov2Config(
        image_size=DEPTH_SIDE, patch_size=DEPTH_PATCH, hidden_size=width, num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"], **told,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=width, neck_hidden_sizes=size["neck"],
        fusion_hidden_size=size["fusion"], patch_size=DEPTH_PATCH,
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(config)


def _load_depth_anything(making: Making, *, version: int) -> nn.Module:
    """Filled from the published file, whose names are those of its authors' code."""
    path = making.files[0]
    with open_weights(path) as weights:
        token = "pretrained.cls_token"
        width = weights.shape(token)[-1] if token in weights else 0
        if width not in SIZES:
            raise AnnotatorMisfit(path=str(path), detector=making.detector, reason=f"no {token} of a known size")
        network = depth_anything_network(width, version=version)
        given = {name: tensor for old in weights for name, tensor in renamed(old, weights.read(old)).items()}
    told = network.load_state_dict(given, strict=False)
    if told.missing_keys:
        raise AnnotatorMisfit(path=str(path), detector=making.detector, reason=f"no {told.missing_keys[0]}")
    return network.float().eval().requires_grad_(False)


TOP = {
    "pretrained.cls_token": "backbone.embeddings.cls_token",
    "pretrained.mask_token": "backbone.embeddings.mask_token",
    "pretrained.pos_embed": "backbone.embeddings.position_embeddings",
}
PREFIXES = (
    ("pretrained.patch_embed.proj.", "backbone.embeddings.patch_embeddings.projection."),
    ("pretrained.norm.", "backbone.layernorm."),
    ("pretrained.blocks.", "backbone.encoder.layer."),
    ("depth_head.projects.", "neck.reassemble_stage.layers."),
    ("depth_head.resize_layers.", "neck.reassemble_stage.layers."),
    ("depth_head.scratch.output_conv1.", "head.conv1."),
    ("depth_head.scratch.output_conv2.0.", "head.conv2."),
    ("depth_head.scratch.output_conv2.2.", "head.conv3."),
    *((f"depth_head.scratch.layer{n}_rn.", f"neck.convs.{n - 1}.") for n in (1, 2, 3, 4)),
    *((f"depth_head.scratch.refinenet{n}.", f"neck.fusion_stage.layers.{4 - n}.") for n in (1, 2, 3, 4)),
)
PARTS = (
    ("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1"),
    ("attn.proj.", "attention.o_proj."), ("out_conv.", "projection."), ("resConfUnit", "residual_layer"),
    (".conv1.", ".convolution1."), (".conv2.", ".convolution2."),
)  # fmt: skip


def renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of Depth Anything's file under transformers' names; query, key and value apart."""
    if name in TOP:
        return {TOP[name]: tensor}
    for old, new in PREFIXES:
        if not name.startswith(old):
            continue
        rest = name.removeprefix(old)
        if old == "depth_head.projects.":
            rest = rest.replace(".", ".projection.", 1)
        elif old == "depth_head.resize_layers.":
            rest = rest.replace(".", ".resize.", 1)
        elif not new.startswith("head."):
            for before, after in PARTS:
                rest = rest.replace(before, after)
        if ".attn.qkv." in rest:
            names = [new + rest.replace("attn.qkv", f"attention.{part}_proj") for part in "qkv"]
            return dict(zip(names, tensor.chunk(3), strict=True))
        return {new + rest: tensor}
    return {}


def _normalised(given: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(values, device=given.device).view(1, 3, 1, 1) for values in IMAGENET)
    return (given - mean) / deviation


def _quietly(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Built without the remarks it prints."""

    def made() -> nn.Module:
        with contextlib.redirect_stdout(io.StringIO()):
            return make()

    return made


def _u8(values: NDArray[Any]) -> Map:
    return values.clip(0, 255).astype(np.uint8)
