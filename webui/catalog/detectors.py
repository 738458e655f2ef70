"""The table of preprocessors: how a unit's picture becomes the map that guides. Rows only; the functions are in
`engine/control/`.

Names, labels, older names, dials and their defaults are sd-webui-controlnet 1.1.455's. Add one: a function there that
fulfils `engine.control.detect.Detect`, a row here, its name in the types it belongs to. What we have no function for is
no row: `LEFT_OUT` names it, so that the answer can say so.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webui.domain import Family, ModelRecord, Registry
from webui.domain.errors import BadInput

ORIGIN = "webui.catalog.detectors"
DEFAULT_RESOLUTION = 512
RESOLUTIONS = (64, 2048)
"""Least and most pixels of the shorter side a preprocessor may work at."""
HUB = "https://huggingface.co"
ANNOTATORS = f"{HUB}/lllyasviel/Annotators/resolve/main"


class UnknownDetector(BadInput):
    """Fields: name, closest (list of names)."""

    key = "unknown_detector"


class DetectorLeftOut(BadInput):
    """A preprocessor the field has and we have not. Fields: name, instead (list of names)."""

    key = "detector_left_out"


class UnknownControlType(BadInput):
    """Fields: name, closest."""

    key = "unknown_control_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """One of a preprocessor's own numbers (Threshold A, Threshold B)."""

    label: str
    lo: float
    hi: float
    default: float
    step: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """A file a preprocessor needs. `folders` are the names of folders it is kept in below a folder of preprocessor
    models; it may lie in that folder itself too, and a .safetensors copy of the same stem is as good.
    """

    name: str
    folders: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """Addresses it can be fetched from, best first."""
    sha256: str = ""
    """"" where we do not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorRow:
    """One preprocessor. `target` is where its function is found; "" is the picture as it is."""

    name: str
    label: str = ""
    """What the page and infotexts call it; "": its name."""
    type: str = ""
    """The control type it belongs to first; "" under All alone."""
    a1111: str = ""
    """The name sd-webui-controlnet's routes list it under; "": its name."""
    aliases: tuple[str, ...] = ()
    a: Dial | None = None
    b: Dial | None = None
    resolution: bool = False
    """True when it works at a resolution of its own; else the picture's size stays."""
    default_resolution: int = DEFAULT_RESOLUTION
    needs_model: bool = True
    """False when it guides without a network."""
    needs_picture: bool = True
    takes_mask: bool = False
    """True when the mask is part of its map."""
    poses: bool = False
    """True when it finds people, as OpenPose JSON."""
    random: bool = False
    """True when the same picture gives another map each time."""
    weights: tuple[WeightFile, ...] = ()
    extra: str = ""
    """The optional packages it needs (`pip install maple-webui[extra]`)."""
    target: str = ""

    @property
    def shown(self) -> str:
        """Its label."""
        return self.label or self.name

    @property
    def listed(self) -> str:
        """Its name in sd-webui-controlnet's routes."""
        return self.a1111 or self.name

    def value_a(self, asked: float) -> float:
        """Threshold A in force: -1 is the default, and what lies outside the dial becomes the default, as there."""
        return _within(self.a, asked)

    def value_b(self, asked: float) -> float:
        """Threshold B in force."""
        return _within(self.b, asked)

    def at(self, asked: int) -> int:
        """Resolution in force, in pixels of the shorter side; what is out of range becomes the default, as there."""
        return asked if RESOLUTIONS[0] <= asked <= RESOLUTIONS[1] else self.default_resolution


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlType:
    """A choice that narrows preprocessors and models to what fits together."""

    name: str
    detectors: tuple[str, ...]
    """Names, "none" first."""
    default: str
    tags: tuple[str, ...]
    """What a model's file name holds, in lower case; () is every model."""
    union: str = ""
    """What a union network takes its maps for."""


def _within(dial: Dial | None, asked: float) -> float:
    if dial is None:
        return -1
    return asked if dial.lo <= asked <= dial.hi else dial.default


def _file(name: str, folder: str, *sources: str) -> WeightFile:
    return WeightFile(name=name, folders=(folder,), sources=sources or (f"{ANNOTATORS}/{name}",))


CKPTS = f"{HUB}/lllyasviel/ControlNet/resolve/main/annotator/ckpts"
HED = _file("ControlNetHED.pth", "hed")
PIDINET = _file("table5_pidinet.pth", "pidinet")
TEED = _file("7_model.pth", "TEED", f"{HUB}/bdsqlsz/qinglong_controlnet-lllite/resolve/main/Annotators/7_model.pth")
MTEED = _file("MTEED.pth", "TEED", f"{HUB}/TheMistoAI/MistoLine/resolve/main/Anyline/MTEED.pth")
MIDAS = _file("dpt_hybrid-midas-501f0c75.pt", "midas", f"{ANNOTATORS}/dpt_hybrid-midas-501f0c75.pt",
              f"{CKPTS}/dpt_hybrid-midas-501f0c75.pt")  # fmt: skip
MLSD = _file("mlsd_large_512_fp32.pth", "mlsd", f"{ANNOTATORS}/mlsd_large_512_fp32.pth",
             f"{CKPTS}/mlsd_large_512_fp32.pth")  # fmt: skip
LERES = _file("res101.pth", "leres")
PIX2PIX = _file("latest_net_G.pth", "leres")
ZOE = _file("ZoeD_M12_N.pt", "zoedepth")
BAE = _file("scannet.pt", "normal_bae")
BODY = _file("body_pose_model.pth", "openpose")
HAND = _file("hand_pose_model.pth", "openpose")
FACE = _file("facenet.pth", "openpose")
YOLOX = _file("yolox_l.onnx", "openpose", f"{HUB}/yzd-v/DWPose/resolve/main/yolox_l.onnx")
DEMO = WeightFile(name="maple-demo-pose.safetensors")
"""Comes with Maple; it knows the demo checkpoint's figures and nothing else."""
DWPOSE = _file("dw-ll_ucoco_384.onnx", "openpose", f"{HUB}/yzd-v/DWPose/resolve/main/dw-ll_ucoco_384.onnx")
SKETCH = _file("sk_model.pth", "lineart")
SKETCH_COARSE = _file("sk_model2.pth", "lineart")
ANIME = _file("netG.pth", "lineart_anime")
MANGA = _file("erika.pth", "manga_line")
DEPTH_ANYTHING = _file(
    "depth_anything_vitl14.pth", "depth_anything",
    f"{HUB}/spaces/LiheYoung/Depth-Anything/resolve/main/checkpoints/depth_anything_vitl14.pth",
)  # fmt: skip
DEPTH_ANYTHING_2 = _file(
    "depth_anything_v2_vitl.safetensors", "depth_anything_v2",
    f"{HUB}/MackinationsAi/Depth-Anything-V2_Safetensors/resolve/main/depth_anything_v2_vitl.safetensors",
)  # fmt: skip

PIXELS = "webui.engine.control.pixels"
LINES = "webui.engine.control.lines"
DEPTHS = "webui.engine.control.depth"
PEOPLE = "webui.engine.control.people"

FIDELITY = Dial(label="Style Fidelity (only for Balanced mode)", lo=0, hi=1, default=0.5)
GAMMA = Dial(label="Gamma Correction", lo=0.1, hi=2, default=1, step=0.001)
SAFE_STEPS = Dial(label="Safe Steps", lo=0, hi=10, default=2, step=1)
VARIATION = Dial(label="Variation", lo=3, hi=32, default=8, step=1)
NEAR = Dial(label="Remove Near %", lo=0, hi=100, default=0, step=0.1)
BACKGROUND = Dial(label="Remove Background %", lo=0, hi=100, default=0, step=0.1)
WHITE_BACKGROUND = " (from white bg & black line)"

# In sd-webui-controlnet's order: by priority, then by label from Z to A.
# fmt: off
ROWS = (
    DetectorRow(name="none", type="InstructP2P"),
    DetectorRow(name="tile_resample", type="Tile", target=f"{PIXELS}:tile_resample",
                a=Dial(label="Down Sampling Rate", lo=1, hi=8, default=1)),
    DetectorRow(name="softedge_pidinet", type="SoftEdge", a1111="pidinet", resolution=True, weights=(PIDINET,),
                target=f"{LINES}:softedge_pidinet"),
    DetectorRow(name="scribble_pidinet", type="Scribble", a1111="pidinet_scribble", resolution=True,
                weights=(PIDINET,), target=f"{LINES}:scribble_pidinet"),
    DetectorRow(name="reference_only", type="Reference", a=FIDELITY, needs_model=False),
    DetectorRow(name="recolor_luminance", type="Recolor", a=GAMMA, target=f"{PIXELS}:recolor_luminance"),
    DetectorRow(name="openpose_full", type="OpenPose", resolution=True, poses=True, weights=(BODY, HAND, FACE),
                target=f"{PEOPLE}:openpose_full"),
    DetectorRow(name="normal_bae", type="NormalMap", resolution=True, weights=(BAE,), target=f"{DEPTHS}:normal_bae"),
    DetectorRow(name="mlsd", type="MLSD", resolution=True, weights=(MLSD,), target=f"{LINES}:mlsd",
                a=Dial(label="MLSD Value Threshold", lo=0.01, hi=2, default=0.1),
                b=Dial(label="MLSD Distance Threshold", lo=0.01, hi=20, default=0.1)),
    DetectorRow(name="lineart_standard", type="Lineart", label=f"lineart_standard{WHITE_BACKGROUND}", resolution=True,
                target=f"{PIXELS}:lineart_standard"),
    DetectorRow(name="inpaint_only", type="Inpaint", takes_mask=True, target=f"{PIXELS}:inpaint"),
    DetectorRow(name="depth_midas", type="Depth", a1111="depth", resolution=True, weights=(MIDAS,),
                target=f"{DEPTHS}:midas"),
    DetectorRow(name="canny", type="Canny", resolution=True, target=f"{PIXELS}:canny",
                a=Dial(label="Low Threshold", lo=1, hi=255, default=100, step=1),
                b=Dial(label="High Threshold", lo=1, hi=255, default=200, step=1)),
    DetectorRow(name="invert", type="Lineart", label=f"invert{WHITE_BACKGROUND}", target=f"{PIXELS}:invert"),
    DetectorRow(name="tile_colorfix+sharp", type="Tile", a=VARIATION,
                b=Dial(label="Sharpness", lo=0, hi=2, default=1)),
    DetectorRow(name="tile_colorfix", type="Tile", a=VARIATION),
    DetectorRow(name="threshold", resolution=True, target=f"{PIXELS}:threshold", aliases=("binary",),
                a=Dial(label="Binarization Threshold", lo=0, hi=255, default=127, step=1)),
    DetectorRow(name="t2ia_sketch_pidi", type="T2I-Adapter", a1111="pidinet_sketch", resolution=True,
                weights=(PIDINET,), target=f"{LINES}:sketch_pidinet"),
    DetectorRow(name="t2ia_color_grid", type="T2I-Adapter", a1111="color", resolution=True,
                target=f"{PIXELS}:color_grid"),
    DetectorRow(name="softedge_teed", type="SoftEdge", resolution=True, a=SAFE_STEPS, weights=(TEED,),
                target=f"{LINES}:softedge_teed"),
    DetectorRow(name="softedge_pidisafe", type="SoftEdge", a1111="pidinet_safe", resolution=True, weights=(PIDINET,),
                target=f"{LINES}:softedge_pidisafe"),
    DetectorRow(name="softedge_hedsafe", type="SoftEdge", a1111="hed_safe", resolution=True, weights=(HED,),
                target=f"{LINES}:softedge_hedsafe"),
    DetectorRow(name="softedge_hed", type="SoftEdge", a1111="hed", resolution=True, weights=(HED,),
                target=f"{LINES}:softedge_hed"),
    DetectorRow(name="softedge_anyline", type="SoftEdge", resolution=True, default_resolution=1280, a=SAFE_STEPS,
                weights=(MTEED,), target=f"{LINES}:softedge_anyline"),
    DetectorRow(name="shuffle", type="Shuffle", random=True, target=f"{PIXELS}:shuffle"),
    DetectorRow(name="scribble_xdog", type="Scribble", resolution=True, target=f"{PIXELS}:scribble_xdog",
                a=Dial(label="XDoG Threshold", lo=1, hi=64, default=32)),
    DetectorRow(name="scribble_hed", type="Scribble", resolution=True, weights=(HED,), aliases=("fake_scribble",),
                target=f"{LINES}:scribble_hed"),
    DetectorRow(name="reference_adain+attn", type="Reference", a=FIDELITY, needs_model=False),
    DetectorRow(name="reference_adain", type="Reference", a=FIDELITY, needs_model=False),
    DetectorRow(name="recolor_intensity", type="Recolor", a=GAMMA, target=f"{PIXELS}:recolor_intensity"),
    DetectorRow(name="openpose_hand", type="OpenPose", resolution=True, poses=True, weights=(BODY, HAND),
                target=f"{PEOPLE}:openpose_hand"),
    DetectorRow(name="openpose_faceonly", type="OpenPose", resolution=True, poses=True, weights=(BODY, FACE),
                target=f"{PEOPLE}:openpose_faceonly"),
    DetectorRow(name="openpose_face", type="OpenPose", resolution=True, poses=True, weights=(BODY, FACE),
                target=f"{PEOPLE}:openpose_face"),
    DetectorRow(name="openpose_demo", label="openpose_demo (Maple's figures)", type="OpenPose", resolution=True,
                poses=True, weights=(DEMO,), target="webui.engine.control.demo_pose:find_poses"),
    DetectorRow(name="openpose", type="OpenPose", resolution=True, poses=True, weights=(BODY,),
                target=f"{PEOPLE}:openpose"),
    DetectorRow(name="normal_midas", type="NormalMap", a1111="normal_map", resolution=True, weights=(MIDAS,),
                target=f"{DEPTHS}:normal_midas", a=Dial(label="Normal Background Threshold", lo=0, hi=1, default=0.4)),
    DetectorRow(name="lineart_realistic", type="Lineart", a1111="lineart", resolution=True, weights=(SKETCH,),
                target=f"{LINES}:lineart_realistic"),
    DetectorRow(name="lineart_coarse", type="Lineart", resolution=True, weights=(SKETCH_COARSE,),
                target=f"{LINES}:lineart_coarse"),
    DetectorRow(name="lineart_anime_denoise", type="Lineart", resolution=True, weights=(MANGA,),
                target=f"{LINES}:lineart_anime_denoise"),
    DetectorRow(name="lineart_anime", type="Lineart", resolution=True, weights=(ANIME,),
                target=f"{LINES}:lineart_anime"),
    DetectorRow(name="inpaint_global_harmonious", type="Inpaint", a1111="inpaint", takes_mask=True,
                target=f"{PIXELS}:inpaint"),
    DetectorRow(name="dw_openpose_full", type="OpenPose", resolution=True, poses=True, weights=(YOLOX, DWPOSE),
                extra="dwpose", target=f"{PEOPLE}:dw_openpose_full"),
    DetectorRow(name="depth_zoe", type="Depth", resolution=True, weights=(ZOE,), target=f"{DEPTHS}:zoe"),
    DetectorRow(name="depth_leres++", type="Depth", resolution=True, a=NEAR, b=BACKGROUND, weights=(LERES, PIX2PIX),
                target=f"{DEPTHS}:leres_boosted"),
    DetectorRow(name="depth_leres", type="Depth", resolution=True, a=NEAR, b=BACKGROUND, weights=(LERES,),
                target=f"{DEPTHS}:leres"),
    DetectorRow(name="depth_anything_v2", type="Depth", resolution=True, weights=(DEPTH_ANYTHING_2,),
                target=f"{DEPTHS}:depth_anything_v2"),
    DetectorRow(name="depth_anything", type="Depth", resolution=True, weights=(DEPTH_ANYTHING,),
                target=f"{DEPTHS}:depth_anything"),
    DetectorRow(name="blur_gaussian", type="Tile", resolution=True, target=f"{PIXELS}:blur_gaussian",
                a=Dial(label="Sigma", lo=0.01, hi=64, default=9)),
)

LEFT_OUT = {
    "depth_hand_refiner": "Depth", "normal_dsine": "NormalMap", "animal_openpose": "OpenPose", "densepose": "OpenPose",
    "densepose_parula": "OpenPose", "seg_ofade20k": "Segmentation", "oneformer_ade20k": "Segmentation",
    "seg_ofcoco": "Segmentation", "oneformer_coco": "Segmentation", "seg_ufade20k": "Segmentation",
    "segmentation": "Segmentation", "seg_anime_face": "Segmentation", "anime_face_segment": "Segmentation",
    "mobile_sam": "Segmentation", "inpaint_only+lama": "Inpaint", "mediapipe_face": "OpenPose",
    "t2ia_style_clipvision": "T2I-Adapter", "clip_vision": "T2I-Adapter", "revision_clipvision": "",
    "revision_ignore_prompt": "", "ip-adapter-auto": "", "ip-adapter_clip_h": "", "ip-adapter_clip_sd15": "",
    "ip-adapter_clip_g": "", "ip-adapter_clip_sdxl": "", "ip-adapter_clip_sdxl_plus_vith": "",
    "ip-adapter_face_id": "", "ip-adapter_face_id_plus": "", "ip-adapter_pulid": "",
    "instant_id_face_embedding": "", "instant_id_face_keypoints": "",
}
"""Preprocessors sd-webui-controlnet has and we have not → the type whose others may do instead."""

ALL = "All"
TYPES = (
    ControlType(name=ALL, detectors=tuple(row.name for row in ROWS), default="none", tags=()),
    ControlType(name="Canny", detectors=("none", "canny", "invert"), default="canny", tags=("canny",),
                union="Hard Edge"),
    ControlType(name="Depth", detectors=("none", "depth_midas", "depth_zoe", "depth_leres++", "depth_leres",
                                         "depth_anything_v2", "depth_anything"),
                default="depth_midas", tags=("depth",), union="Depth"),
    ControlType(name="Inpaint", detectors=("none", "inpaint_only", "inpaint_global_harmonious"),
                default="inpaint_only", tags=("inpaint",), union="Inpaint"),
    ControlType(name="InstructP2P", detectors=("none",), default="none", tags=("instructp2p", "ip2p")),
    ControlType(name="Lineart", detectors=("none", "lineart_standard", "invert", "lineart_realistic", "lineart_coarse",
                                           "lineart_anime_denoise", "lineart_anime"),
                default="lineart_standard", tags=("lineart",), union="Hard Edge"),
    ControlType(name="MLSD", detectors=("none", "mlsd", "invert"), default="mlsd", tags=("mlsd",), union="Hard Edge"),
    ControlType(name="NormalMap", detectors=("none", "normal_bae", "normal_midas"), default="normal_bae",
                tags=("normalmap", "normal"), union="Normal Map"),
    ControlType(name="OpenPose", detectors=("none", "openpose_full", "openpose_hand", "openpose_faceonly",
                                            "openpose_face", "openpose_demo", "openpose", "dw_openpose_full"),
                default="openpose_full", tags=("openpose", "densepose"), union="OpenPose"),
    ControlType(name="Recolor", detectors=("none", "recolor_luminance", "recolor_intensity"),
                default="recolor_luminance", tags=("recolor",)),
    ControlType(name="Reference", detectors=("none", "reference_only", "reference_adain+attn", "reference_adain"),
                default="reference_only", tags=("reference",)),
    ControlType(name="Scribble", detectors=("none", "scribble_pidinet", "invert", "scribble_xdog", "scribble_hed"),
                default="scribble_pidinet", tags=("scribble", "sketch"), union="Soft Edge"),
    ControlType(name="Segmentation", detectors=("none",), default="none", tags=("segmentation", "seg"),
                union="Segmentation"),
    ControlType(name="Shuffle", detectors=("none", "shuffle"), default="shuffle", tags=("shuffle",)),
    ControlType(name="SoftEdge", detectors=("none", "softedge_pidinet", "softedge_teed", "softedge_pidisafe",
                                            "softedge_hedsafe", "softedge_hed", "softedge_anyline"),
                default="softedge_pidinet", tags=("softedge",), union="Soft Edge"),
    ControlType(name="T2I-Adapter", detectors=("none", "t2ia_sketch_pidi", "t2ia_color_grid"),
                default="t2ia_sketch_pidi", tags=("t2i-adapter", "t2i_adapter", "t2iadapter", "t2ia")),
    ControlType(name="Tile", detectors=("none", "tile_resample", "tile_colorfix+sharp", "tile_colorfix",
                                        "blur_gaussian"),
                default="tile_resample", tags=("tile", "blur"), union="Tile"),
)
# fmt: on
UNION_TYPES = (
    "OpenPose",
    "Depth",
    "Soft Edge",
    "Hard Edge",
    "Normal Map",
    "Segmentation",
    "Tile",
    "Inpaint",
)  # fmt: skip
"""What a union network can take a map for; the place is its number. "Unknown" leaves it untold."""
UNKNOWN_UNION = "Unknown"


def detectors() -> Registry[DetectorRow]:
    """A fresh registry of the built-in rows, found by name, label and older names; plugins add theirs to it."""
    registry: Registry[DetectorRow] = Registry()
    for row in ROWS:
        others = {row.shown, row.listed, *row.aliases} - {row.name}
        registry.add(row.name, row, origin=ORIGIN, aliases=tuple(sorted(others)))
    return registry


DETECTORS = detectors()
"""The built-in rows; read it, and make your own with `detectors()` to add to."""


def find_detector(name: str) -> DetectorRow:
    """The row of a name, label or older name; "" is none. Raises UnknownDetector, DetectorLeftOut."""
    row = DETECTORS.find(name.strip() or "none")
    if row is not None:
        return row
    left = LEFT_OUT.get(name.strip().casefold())
    if left is not None:
        raise DetectorLeftOut(name=name, instead=list(control_type(left).detectors[1:]) if left else ["none"])
    raise UnknownDetector(name=name, closest=difflib.get_close_matches(name, DETECTORS.names(), n=3, cutoff=0.4))


def control_type(name: str) -> ControlType:
    """The type of that name, without regard to case. Raises UnknownControlType."""
    for kind in TYPES:
        if kind.name.casefold() == name.strip().casefold():
            return kind
    names = [kind.name for kind in TYPES]
    raise UnknownControlType(name=name, closest=difflib.get_close_matches(name, names, n=3, cutoff=0.4))


def models_for(kind: ControlType, records: Iterable[ModelRecord], *, family: Family | None = None) -> list[ModelRecord]:
    """The models whose names hold one of the type's tags, and union models where the type is one of theirs.

    With `family`, those known to be of another base model are left out.
    """
    tags = (*kind.tags, "union") if kind.union else kind.tags
    return [
        record
        for record in records
        if (not tags or any(tag in record.name.casefold() for tag in tags))
        and (family is None or Family.UNKNOWN in (family, record.family) or record.family is family)
    ]


def default_model(kind: ControlType, records: Iterable[ModelRecord], *, family: Family | None = None) -> str:
    """The title of the model a type begins with: the first whose name holds "11", else the first; "" for none."""
    if not kind.tags:
        return ""
    found = models_for(kind, records, family=family)
    chosen = next((record for record in found if "11" in record.name), next(iter(found), None))
    return chosen.title if chosen else ""


def union_types(row: DetectorRow) -> str:
    """What a union network is to take the row's map for, or "Unknown"."""
    kind = next((kind for kind in TYPES if kind.name == row.type), None)
    return (kind.union if kind else "") or UNKNOWN_UNION


def fetchable(rows: Sequence[DetectorRow] = ROWS) -> dict[str, WeightFile]:
    """Every file of the table that has an address, by name."""
    return {file.name: file for row in rows for file in row.weights if file.sources}
