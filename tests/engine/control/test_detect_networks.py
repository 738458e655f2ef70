"""Preprocessors with networks, on seeded random weights of the real architectures, from local files alone."""

import pickle
import pkgutil
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from webui.catalog.detectors import DETECTORS, find_detector
from webui.domain.errors import UnsafeFile
from webui.engine.control.detect import Maps, detect
from webui.engine.control.making import AnnotatorMisfit

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch):
    def refused(*_args: object, **_more: object) -> None:
        raise AssertionError("a preprocessor reached for the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def photo(height: int = 70, width: int = 100) -> np.ndarray:
    small = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    made = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(made, (width // 2, height // 2), height // 4, (20, 30, 40), -1)
    return made


def made(target: str) -> Callable[[], nn.Module]:
    return pkgutil.resolve_name(target)


def anime() -> nn.Module:
    plain = partial(nn.InstanceNorm2d, affine=False, track_running_stats=False)
    return made("controlnet_aux.lineart_anime:UnetGenerator")(3, 1, 8, 64, norm_layer=plain, use_dropout=False)


def lineart() -> nn.Module:
    return made("controlnet_aux.lineart:Generator")(3, 1, 3)


def wrapped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"module.{name}": tensor for name, tensor in state.items()}


def trained(state: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"epoch": 13, "state_dict": wrapped(state), "optimizer": {"state": {}, "param_groups": []}}


FILES: dict[str, tuple[Callable[[], nn.Module], Callable]] = {
    "ControlNetHED.pth": (lambda: made("controlnet_aux.hed:ControlNetHED_Apache2")(), dict),
    "table5_pidinet.pth": (lambda: made("controlnet_aux.pidi.model:pidinet")(), trained),
    "7_model.pth": (lambda: made("controlnet_aux.teed.ted:TED")(), dict),
    "MTEED.pth": (lambda: made("controlnet_aux.teed.ted:TED")(), dict),
    "sk_model.pth": (lineart, dict),
    "sk_model2.pth": (lineart, dict),
    "netG.pth": (anime, wrapped),
    "erika.pth": (lambda: made("webui.engine.control.manga:MangaLines")(), wrapped),
    "mlsd_large_512_fp32.pth": (
        lambda: made("controlnet_aux.mlsd.models.mbv2_mlsd_large:MobileV2_MLSD_Large")(), wrapped,
    ),
}  # fmt: skip
LINES = [row.name for row in DETECTORS if row.target.startswith("webui.engine.control.lines")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as sd-webui-controlnet keeps it, each file in a folder of its own."""
    root = tmp_path_factory.mktemp("downloads")
    for row in map(find_detector, LINES):
        for file in row.weights:
            path = root / file.folders[0] / file.name
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                torch.manual_seed(0)
                make, wrap = FILES[file.name]
                torch.save(wrap(make().state_dict()), path)
    return root


@pytest.fixture(scope="module")
def maps() -> Maps:
    return Maps()


@pytest.mark.parametrize("name", LINES)
def test_a_map_has_the_pictures_proportions_at_the_resolution(name: str, folder: Path, maps: Maps):
    found = maps.detect(find_detector(name), photo(), resolution=64, folders=(folder,))
    assert found.map.shape == (64, 91, 3)
    assert found.map.dtype == np.uint8
    assert (found.map[:, :, 0] == found.map[:, :, 1]).all()
    if name.startswith("scribble") or name in ("mlsd", "t2ia_sketch_pidi"):
        assert set(np.unique(found.map)) <= {0, 255}


def test_a_network_is_read_once_for_several_maps(folder: Path):
    maps = Maps()
    row = find_detector("softedge_teed")
    for side in (64, 72, 80):
        maps.detect(row, photo(), resolution=side, folders=(folder,))
    assert (maps.made, maps.networks.loads) == (3, 1)
    for name in ("mlsd", "softedge_pidinet"):
        maps.detect(find_detector(name), photo(), resolution=64, folders=(folder,))
    maps.detect(row, photo(), resolution=88, folders=(folder,))
    assert maps.networks.loads == 4, "the two used last stay"


def test_a_safetensors_copy_gives_the_same_map(folder: Path, tmp_path: Path):
    row = find_detector("softedge_teed")
    state = torch.load(folder / "TEED" / "7_model.pth", weights_only=True)
    save_file(state, tmp_path / "7_model.safetensors")
    one, other = (detect(row, photo(), resolution=64, folders=(root,)).map for root in (folder, tmp_path))
    assert (one == other).all()


def test_safe_steps_leave_few_levels(folder: Path):
    row = find_detector("softedge_teed")
    smooth = detect(row, photo(), resolution=64, a=0, folders=(folder,)).map
    steps = detect(row, photo(), resolution=64, a=3, folders=(folder,)).map
    assert len(np.unique(steps)) <= 5 < len(np.unique(smooth))


def test_a_file_that_asks_to_run_something_is_refused_and_nothing_runs(tmp_path: Path):
    ran = tmp_path / "ran"

    class Asks:
        def __reduce__(self):
            return (eval, (f"open({str(ran)!r}, 'w').close()",))

    torch.save({"weight": torch.zeros(1), "more": Asks()}, tmp_path / "7_model.pth", pickle_module=pickle)
    with pytest.raises(UnsafeFile):
        detect(find_detector("softedge_teed"), photo(), resolution=64, folders=(tmp_path,))
    assert not ran.exists()


def test_another_networks_file_is_told(folder: Path, tmp_path: Path):
    (tmp_path / "7_model.pth").write_bytes((folder / "pidinet" / "table5_pidinet.pth").read_bytes())
    with pytest.raises(AnnotatorMisfit) as caught:
        detect(find_detector("softedge_teed"), photo(), resolution=64, folders=(tmp_path,))
    assert caught.value.fields["detector"] == "softedge_teed"


def test_depth_anythings_names_become_transformers():
    """Every tensor of a small network has its place, by names as its authors write them."""
    from webui.engine.control.depth import depth_anything_network, renamed

    with torch.device("meta"):
        own = depth_anything_network(384, version=2).state_dict()
    given: dict[str, torch.Tensor] = {}
    for name in authors(layers=12):
        given |= renamed(name, torch.zeros(3))
    lacking = [name for name in own if name not in given]
    assert lacking == []


def authors(*, layers: int) -> list[str]:
    """The names of a Depth Anything file."""
    both = ("weight", "bias")
    names = ["pretrained.cls_token", "pretrained.mask_token", "pretrained.pos_embed"]
    names += [f"pretrained.{part}.{end}" for part in ("patch_embed.proj", "norm") for end in both]
    for layer in range(layers):
        block = f"pretrained.blocks.{layer}"
        names += [f"{block}.ls1.gamma", f"{block}.ls2.gamma"]
        parts = ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
        names += [f"{block}.{part}.{end}" for part in parts for end in both]
    names += [f"depth_head.projects.{place}.{end}" for place in range(4) for end in both]
    names += [f"depth_head.resize_layers.{place}.{end}" for place in (0, 1, 3) for end in both]
    for place in (1, 2, 3, 4):
        names.append(f"depth_head.scratch.layer{place}_rn.weight")
        fusion = f"depth_head.scratch.refinenet{place}"
        names += [f"{fusion}.out_conv.{end}" for end in both]
        names += [f"{fusion}.resConfUnit{unit}.conv{conv}.{end}" for unit in (1, 2) for conv in (1, 2) for end in both]
    names += [f"depth_head.scratch.{part}.{end}" for part in ("output_conv1", "output_conv2.0", "output_conv2.2")
              for end in both]  # fmt: skip
    return names


def test_every_row_names_a_function_that_is_there():
    for row in DETECTORS:
        if row.target:
            assert callable(pkgutil.resolve_name(row.target)), row.name


def test_normals_and_levels_of_a_known_depth(monkeypatch: pytest.MonkeyPatch):
    """A slope from left to right, with no network in the way."""
    from webui.engine.control import depth
    from webui.engine.control.making import Making

    slope = np.tile(np.linspace(0, 255, 128, dtype=np.float32), (128, 1))
    monkeypatch.setattr(depth, "_midas", lambda wide, making: slope)
    near = depth.midas(np.zeros((128, 128, 3), np.uint8), Making(detector="depth_midas", resolution=128))
    assert near[0, 0] == 0
    assert near[0, -1] == 255
    assert (np.diff(near[64].astype(int)) >= 0).all()
    asked = Making(detector="normal_midas", resolution=128, a=0.4)
    normal = depth.normal_midas(np.zeros((128, 128, 3), np.uint8), asked)
    across = 8 * 255 / 127  # Sobel of side 3 sums four times twice the step
    toward = across / np.hypot(across, 2 * np.pi)
    assert normal[64, 100, 2] == int(toward * 127.5 + 127.5), "red last: x, in the field's turned order"
    assert normal[64, 20, 2] == 127, "flat where it is far"
    levels = depth._levels(slope, Making(detector="depth_leres", resolution=128, a=0, b=0))
    assert levels[0, 0] == 255
    assert levels[0, -1] == 0
    cut = depth._levels(slope, Making(detector="depth_leres", resolution=128, a=25, b=50))
    assert set(np.unique(cut[:, 70:])) == {0}, "far is cut away"
    assert (cut[:, :30] == 255).all(), "near is one level"


def test_openposes_files_name_tensors_without_their_block(tmp_path: Path):
    """A small body network of the same naming, filled by it."""
    from webui.engine.control.making import fill

    class Body(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model0 = nn.Sequential()
            self.model0.add_module("conv1_1", nn.Conv2d(3, 4, 3))
            self.model1_1 = nn.Sequential()
            self.model1_1.add_module("conv5_1_CPM_L1", nn.Conv2d(4, 4, 3))

    torch.manual_seed(1)
    source = Body()
    state = {name.partition(".")[2]: tensor for name, tensor in source.state_dict().items()}
    torch.save(state, tmp_path / "body_pose_model.pth", _use_new_zipfile_serialization=False)
    filled = fill(Body(), tmp_path / "body_pose_model.pth", detector="openpose", tails=True)
    for name, tensor in source.state_dict().items():
        assert torch.equal(filled.state_dict()[name], tensor)
    with pytest.raises(AnnotatorMisfit):
        fill(Body(), tmp_path / "body_pose_model.pth", detector="openpose")


def test_openpose_finds_the_figure_its_networks_answer_with(monkeypatch: pytest.MonkeyPatch):
    """Heat and affinities of a known figure in place of the networks: decoding, hands, face and drawing are real."""
    from webui.engine.control import people
    from webui.engine.control.making import Making
    from webui.engine.control.pose import read_person

    asked: list[str] = []

    def network(self: Making, make: Callable[[], nn.Module], **more: object) -> nn.Module:
        asked.append(getattr(make, "__name__", ""))
        return Known(asked[-1])

    monkeypatch.setattr(Making, "network", network)
    files = tuple(Path(name) for name in ("body", "hand", "face"))
    made = people.openpose_full(photo(512, 512), Making(detector="openpose_full", resolution=512, files=files))
    assert asked == ["bodypose_model", "handpose_model", "FaceNet"]
    assert len(made.people) == 1
    person = read_person(made.people[0])
    for point, wanted in zip(person.body, STANDING, strict=True):
        assert point is not None
        assert np.abs(np.array(point) - 2 * np.array(wanted)).max() < 16, "a cell of the 23 x 23 grid is 22 px"
    left, right = person.left_hand, person.right_hand
    assert len(left) == len(right) == 21
    assert left[0] is not None
    assert right[0] is not None
    assert left[0][0] > 300 > 256 > right[0][0], "each by its wrist"
    assert len(person.face) == 70
    assert made.map.any()
    only = people.openpose_faceonly(photo(512, 512), Making(detector="face", resolution=512, files=files))
    assert set(np.unique(only.map)) == {0, 255}, "the body is found and not drawn"


STANDING = [
    (128, 40), (128, 70), (100, 70), (90, 110), (85, 150), (156, 70), (166, 110), (171, 150), (112, 150), (110, 200),
    (108, 245), (144, 150), (146, 200), (148, 245), (117, 29), (139, 29), (105, 40), (151, 40),
]  # fmt: skip
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
         (0, 14), (14, 16), (0, 15), (15, 17))  # fmt: skip
CHANNELS = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36)
"""Where OpenPose keeps a limb's direction: across, then down."""


class Known(nn.Module):
    """Answers one standing figure, in the shapes of OpenPose's networks."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> object:
        height, width = x.shape[2] // 8, x.shape[3] // 8
        if self.kind == "bodypose_model":
            return self.body(height, width)
        if self.kind == "handpose_model":
            return self.heat([(128, 128)] * 22, height, width)
        return [self.heat([(128, 128)] * 71, 48, 48)]

    def heat(self, places: list[tuple[int, int]], height: int, width: int) -> torch.Tensor:
        down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        near = [(across - x / 256 * width + 0.5) ** 2 + (down - y / 256 * height + 0.5) ** 2 for x, y in places]
        return torch.exp(-torch.stack(near) / 2)[None]

    def body(self, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        toward = torch.zeros(1, 38, height, width)
        for (start, end), channel in zip(LIMBS, CHANNELS, strict=True):
            step = torch.tensor(STANDING[end]).float() - torch.tensor(STANDING[start])
            toward[0, channel : channel + 2] = (step / step.norm()).view(2, 1, 1)
        return toward, torch.cat([self.heat(STANDING, height, width), torch.zeros(1, 1, height, width)], dim=1)
