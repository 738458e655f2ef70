"""ControlNet units in a run: picture → map (once) → hint of each pass's size → what guides the model; and what becomes
of the maps.

A unit's map is made before the first batch and kept for all passes and batches (`Run.guides`), and beyond the run
by what it was made of (`Bench.maps`). What each step does follows sd-webui-controlnet 1.1.455.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from webui.catalog.chosen import control_title
from webui.catalog.detectors import UNKNOWN_UNION, DetectorRow, find_detector, union_types
from webui.domain import (
    ControlResize,
    Init,
    ModelRecord,
    Pass,
    Picture,
    Plan,
    PlannedControl,
    ResizeMode,
    ShuttingDown,
    Wish,
)  # fmt: skip
from webui.engine import mask as masks
from webui.engine.control import Applied, ControlMisfit, controlled
from webui.engine.control.detect import check_size, detect, is_white_background
from webui.engine.control.reference import Reference
from webui.engine.model import LoadedModel
from webui.engine.resize import flattened, resized, upright
from webui.engine.types import UNCOND, Call, Denoise, StepContext
from webui.gallery.control_text import control_text
from webui.generate.maps import Map, blank, fitted, pixel_perfect
from webui.generate.plan import takes_part
from webui.generate.running import Run
from webui.generate.start import mask_ready

LINES = ("lineart", "scribble", "sketch", "canny", "softedge", "hed", "mlsd", "line_", "anyline")
"""What names of models hold that take white lines on black."""
EDGES = ("Hard Edge", "Soft Edge")
EMPTY, FULL = 5, 250
"""A mask with nothing above the first or below the second says nothing."""
SOFT_IN_SECOND_PASS = ("canny", "mlsd")
"""Preprocessors whose hard edges would show in a hires pass."""
RESTORING = "inpaint_only"
"""The preprocessor that also keeps what its mask leaves alone."""
RESIZE_MODES = {
    ControlResize.STRETCH: ResizeMode.STRETCH,
    ControlResize.CROP: ResizeMode.CROP,
    ControlResize.FILL: ResizeMode.FILL,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guide:
    """A unit's map for one picture, before it is brought to a pass's size: uint8 (h, w, 3), for inpainting with the
    mask as a fourth channel.
    """

    map: Map
    resize: ControlResize


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a unit's map is made of: `picture` RGB, `mask` L of the same size (white is painted anew) or None."""

    picture: Image.Image
    mask: Image.Image | None
    resize: ControlResize


# --- which units, when


def in_force(control: PlannedControl, each: Pass, plan: Plan) -> bool:
    """Whether a unit guides this pass. A weight of 0 guides nothing."""
    return control.unit.weight != 0 and takes_part(control.unit, each, several=len(plan.passes) > 1)


def keeps_outside(control: PlannedControl, plan: Plan) -> bool:
    """Whether a unit keeps what its mask leaves alone; img2img's mask does that already."""
    init = plan.request.init
    return control.detector == RESTORING and not (init and init.inpaint)


# --- the maps


def prepare(run: Run, pictures: Sequence[Picture]) -> None:
    """Make the maps these pictures need and nobody has made yet. Raises BlobGone and what the preprocessors raise."""
    if not run.plan.controls:
        return
    with run.meter.phase("control"):
        for control in run.plan.controls:
            for picture in pictures:
                if run.reporter.wish() is Wish.SHUTDOWN:
                    raise ShuttingDown
                guide(run, control, picture)


def guide(run: Run, control: PlannedControl, picture: Picture) -> Guide:
    """The unit's map for a picture; made when it is asked for first."""
    init = run.plan.request.init
    # A unit's own picture is the same for all, unless it is cut out with each init image's mask.
    own = bool(control.unit.image) and not (init and init.inpaint and init.inpaint.only_masked)
    key = control.number, "" if own else picture.init
    if key not in run.guides:
        run.guides[key] = _made(run, control, picture)
    return run.guides[key]


def _made(run: Run, control: PlannedControl, picture: Picture) -> Guide:
    unit, row = control.unit, find_detector(control.detector)
    source = source_of(run, control, row, picture)
    values = np.asarray(source.picture.convert("RGB"))
    if row.takes_mask:
        mask = source.mask or Image.new("L", source.picture.size)
        return Guide(map=np.concatenate([values, np.asarray(mask)[..., None]], axis=2), resize=source.resize)
    base = run.plan.passes[0]
    resolution = row.at(unit.resolution)
    if unit.pixel_perfect:
        resolution = pixel_perfect(source.picture.size, (base.width, base.height), source.resize)
    made = _detected(run, row, values, resolution=resolution, a=unit.threshold_a, b=unit.threshold_b)
    look(run, control, row, made)
    return Guide(map=made, resize=source.resize)


def _detected(run: Run, row: DetectorRow, values: Map, *, resolution: int, a: float, b: float) -> Map:
    maps, device = run.bench.maps, run.bench.models.device
    told: dict[str, Any] = {
        "resolution": resolution, "a": a, "b": b, "folders": run.bench.annotators, "device": device,
    }  # fmt: skip
    if row.random:
        found = detect(row, values, **told, networks=maps.networks, seed=detector_seed(run))
    else:
        found = maps.detect(row, values, **told)
    for key, fields in found.notes:
        run.say_once(key, fields)
    return found.map


def detector_seed(run: Run) -> int:
    """What preprocessors that draw at random are seeded with; the same for all pictures of a run."""
    first = run.plan.pictures[0]
    second = first.subseed if run.plan.request.subseed_strength else first.seed
    return (first.seed + second) & 0xFFFFFFFF


def look(run: Run, control: PlannedControl, row: DetectorRow, made: Map) -> None:
    """Say what a person would want to know of a map before they wonder at the picture."""
    if not row.needs_model:
        return
    if blank(made):
        run.say_once("control_blank_map", {"unit": control.number, "module": row.shown})
    elif control.model is not None and _wants_lines(control, row) and is_white_background(made):
        run.say_once("control_white_ground", {"unit": control.number, "name": control.model.stem})


def _wants_lines(control: PlannedControl, row: DetectorRow) -> bool:
    assert control.model is not None
    name = control.model.stem.casefold()
    if "union" in control.model.variant:
        return union_type(control, row) in EDGES
    return any(word in name for word in LINES)


def union_type(control: PlannedControl, row: DetectorRow) -> str:
    """What a union network is to take the map for; "" for "it is not said"."""
    said = control.unit.union_type or union_types(row)
    return "" if said == UNKNOWN_UNION else said


# --- what a map is made of


def source_of(run: Run, control: PlannedControl, row: DetectorRow, picture: Picture) -> Source:
    """The unit's own picture, else the one that img2img starts from, with its mask; cut out where that is."""
    init = run.plan.request.init
    source = _own(run, control, row) if control.unit.image else _init(run, row, picture)
    if init is None or init.inpaint is None:
        return source
    if row.takes_mask and source.mask is None:
        source = Source(
            picture=source.picture, mask=init_mask(run, init, source.picture.size), resize=source.resize
        )  # fmt: skip
    if init.inpaint.only_masked and control.unit.crop_with_inpaint and row.needs_model:
        return _cut_out(run, init, source, picture)
    return source


def _own(run: Run, control: PlannedControl, row: DetectorRow) -> Source:
    unit, blobs = control.unit, run.bench.gallery.blobs
    check_size(*blobs.size(unit.image))
    # On white, whatever img2img's background is: that is what drawings lie on.
    picture = flattened(upright(blobs.open(unit.image)), "#ffffff")
    if not unit.mask:
        return Source(picture=picture, mask=None, resize=unit.resize_mode)
    mask = flattened(upright(blobs.open(unit.mask)), "#ffffff").getchannel(0)
    if mask.size != picture.size:
        told = {"mask": "{}×{}".format(*mask.size), "picture": "{}×{}".format(*picture.size)}
        run.say_once("control_mask_resized", {"unit": control.number, **told})
        mask = mask.resize(picture.size, Image.Resampling.BILINEAR)
    if row.takes_mask:
        return Source(picture=picture, mask=mask, resize=unit.resize_mode)
    values = np.asarray(mask)
    if not run.settings.control.ignore_noninpaint_mask and values.max() > EMPTY and values.min() < FULL:
        # Drawn on the picture's canvas: the drawing is the picture then.
        picture = mask.convert("RGB")
    return Source(picture=picture, mask=None, resize=unit.resize_mode)


def _init(run: Run, row: DetectorRow, picture: Picture) -> Source:
    init = run.plan.request.init
    assert init is not None, "intake sees to it that there is a picture"
    shown = flattened(upright(run.bench.gallery.blobs.open(picture.init)), run.settings.img2img.background_color)
    modes = {mode: control for control, mode in RESIZE_MODES.items()}
    return Source(picture=shown, mask=None, resize=modes.get(init.resize_mode, ControlResize.STRETCH))


def init_mask(run: Run, init: Init, size: tuple[int, int]) -> Image.Image:
    """img2img's mask as it is painted by, at that size."""
    assert init.inpaint is not None
    mask = masks.mask_of(upright(run.bench.gallery.blobs.open(init.inpaint.mask)), rounded=False)
    mask = ImageOps.invert(mask) if init.inpaint.invert else mask
    mask = masks.blurred(mask, init.inpaint.blur_x, init.inpaint.blur_y)
    return mask if mask.size == size else mask.resize(size, Image.Resampling.LANCZOS)


def _cut_out(run: Run, init: Init, source: Source, picture: Picture) -> Source:
    """Picture and mask cut out as the init image is with "Only masked"."""
    base = run.plan.passes[0]
    original = flattened(upright(run.bench.gallery.blobs.open(picture.init)), run.settings.img2img.background_color)
    masked = mask_ready(run, base, init, original)
    if masked is None or masked.region is None:
        return source
    region, mode = masked.region, RESIZE_MODES[source.resize]

    def cut(image: Image.Image) -> Image.Image:
        whole = resized(image, mode, *original.size).crop(region)
        return resized(whole, ResizeMode.FILL, base.width, base.height)

    mask = None if source.mask is None else cut(source.mask).convert("L")
    return Source(picture=cut(source.picture).convert("RGB"), mask=mask, resize=source.resize)


# --- what guides a pass


def guiding(run: Run, each: Pass, model: LoadedModel, pictures: Sequence[Picture], *, later: bool = False) -> Denoise:
    """What a pass asks: the model, guided by the units in force. `later`: a stage after the first, where a unit that
    does not fit is left out and said.

    Raises ControlMisfit and what loading the networks raises.
    """
    units = [control for control in run.plan.controls if in_force(control, each, run.plan)]
    guides = [_guide(run, each, control, model, pictures, later=later) for control in units]
    denoise = controlled(model.denoise, [guide for guide in guides if guide is not None])
    for control in units:
        denoise = _mended(run, each, control, model, pictures, denoise)
    return denoise


def _guide(
    run: Run, each: Pass, control: PlannedControl, model: LoadedModel, pictures: Sequence[Picture], *, later: bool
) -> Applied | Reference | None:
    if control.model is None:
        return _reference(run, each, control, model, pictures)
    try:
        return _applied(run, each, control, control.model, model, pictures)
    except ControlMisfit:
        if not later:
            raise
        fields = {"unit": control.number, "name": control.model.stem, "model": model.record.stem}
        run.say_once("control_not_in_stage", fields)
        return None


def _reference(
    run: Run, each: Pass, control: PlannedControl, model: LoadedModel, pictures: Sequence[Picture]
) -> Reference:
    unit = control.unit
    shown = torch.cat([to_tensor(values) for values in _distinct(_each(run, each, control, pictures))])
    with run.meter.phase("encoding"):
        latents = model.encode(shown)
    return Reference(
        latents=latents, seeds=tuple(picture.seed for picture in pictures), module=control.detector, weight=unit.weight,
        start=unit.start, end=unit.end, mode=unit.mode, hires=each.enlarge is not None,
        fidelity=find_detector(control.detector).value_a(unit.threshold_a),
    )  # fmt: skip


def _applied(
    run: Run, each: Pass, control: PlannedControl, record: ModelRecord, model: LoadedModel, pictures: Sequence[Picture]
) -> Applied:
    unit = control.unit
    with run.meter.phase("loading"):
        network = run.bench.controls.load(record, base=model)
    return Applied(
        network=network,
        hints=hints(run, each, control, pictures),
        weight=unit.weight,
        start=unit.start,
        end=unit.end,
        mode=unit.mode,
        layer_weights=unit.layer_weights,
        region=region(run, each, control),
        union_type=union_type(control, find_detector(control.detector)),
        low_vram=unit.low_vram,
        soft=each.enlarge is not None and control.detector in SOFT_IN_SECOND_PASS,
    )


def hints(run: Run, each: Pass, control: PlannedControl, pictures: Sequence[Picture]) -> Tensor:
    """The unit's map as the networks read it (n or 1, 3, height, width) in [0, 1]; -1 where an inpainting mask is."""
    return torch.cat([_hint(values) for values in _distinct(_each(run, each, control, pictures))])


def _distinct(found: list[Map]) -> list[Map]:
    """One map where all pictures have the same."""
    return found[:1] if all(one is found[0] for one in found) else found


def _each(run: Run, each: Pass, control: PlannedControl, pictures: Sequence[Picture]) -> list[Map]:
    return [at_size(run, guide(run, control, picture), each) for picture in pictures]


def at_size(run: Run, guide: Guide, each: Pass) -> Map:
    """The map at a pass's size; the same array each time."""
    key = id(guide), each.width, each.height
    if key not in run.fitted:
        run.fitted[key] = fitted(guide.map, guide.resize, each.width, each.height)
    return run.fitted[key]


def _hint(values: Map) -> Tensor:
    hint = to_tensor(values)
    if hint.shape[1] == 3:
        return hint
    mask = (hint[:, 3:] > 0.5).float()
    return hint[:, :3] * (1 - mask) - mask


def to_tensor(values: Map) -> Tensor:
    """A map as fp32 (1, channels, height, width) in [0, 1]."""
    return torch.from_numpy(np.array(values)).permute(2, 0, 1)[None].float() / 255


def region(run: Run, each: Pass, control: PlannedControl) -> Tensor | None:
    """Where the unit has effect, fp32 (1, 1, height, width) in [0, 1]; None: everywhere."""
    if not control.unit.region:
        return None
    mask = flattened(upright(run.bench.gallery.blobs.open(control.unit.region)), "#ffffff").convert("L")
    mask = mask.resize((each.width, each.height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(mask).astype(np.float32) / 255)[None, None]


# --- preprocessors that also mend the answer


def _mended(
    run: Run, each: Pass, control: PlannedControl, model: LoadedModel, pictures: Sequence[Picture], denoise: Denoise
) -> Denoise:
    """With inpaint_only and tile_colorfix the answer is mended as well: by the unit's picture in latents."""
    restoring = keeps_outside(control, run.plan)
    if not restoring and not control.detector.startswith("tile_colorfix"):
        return denoise
    shown = torch.cat([to_tensor(values) for values in _each(run, each, control, pictures)])
    with run.meter.phase("encoding"):
        origin = model.encode(shown[:, :3])
    weight = min(1.0, control.unit.weight)
    if restoring:
        mask = F.max_pool2d(shown[:, 3:], 10, stride=8, padding=1).to(origin)
        return mended(denoise, lambda call, x0: torch.lerp(origin[list(call.rows)], x0, mask[list(call.rows)]), weight)
    row = find_detector(control.detector)
    reach = int(row.value_a(control.unit.threshold_a)) * (2 if each.enlarge is not None else 1)
    sharp = max(0.0, row.value_b(control.unit.threshold_b)) * 0.01

    def coloured(call: Call, x0: Tensor) -> Tensor:
        made = x0 - blurred(x0, reach) + blurred(origin[list(call.rows)].to(x0), reach)
        return torch.lerp(made, blurred(made, reach), sharp) if sharp and call.role == UNCOND else made

    return mended(denoise, coloured, weight)


def mended(denoise: Denoise, mend: Callable[[Call, Tensor], Tensor], weight: float) -> Denoise:
    """A Denoise whose answers go `weight` of the way to what `mend` makes of them."""

    def asked(calls: Sequence[Call], context: StepContext) -> list[Tensor]:
        answers = denoise(calls, context)
        return [torch.lerp(x0, mend(call, x0), weight) for call, x0 in zip(calls, answers, strict=True)]

    return asked


def blurred(x: Tensor, reach: int) -> Tensor:
    """The mean over a square of `reach` to each side; edges repeated."""
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    return F.avg_pool2d(padded, 2 * reach + 1, stride=1)


def finished(run: Run, images: Tensor, pictures: Sequence[Picture]) -> Tensor:
    """Decoded pictures (batch, 3, height, width) after inpaint_only and the recolouring preprocessors had their say."""
    last = run.plan.passes[-1]
    for control in run.plan.controls:
        if control.unit.weight == 0:
            continue
        finish = _finisher(run, control)
        if finish is not None:
            maps = _each(run, last, control, pictures)
            images = torch.stack([finish(image, values) for image, values in zip(images, maps, strict=True)])
    return images


def _finisher(run: Run, control: PlannedControl) -> Callable[[Tensor, Map], Tensor] | None:
    if keeps_outside(control, run.plan):
        sigma = run.settings.control.inpaint_blur_sigma
        return lambda image, values: _outside_kept(image, values, sigma)
    if control.detector == "recolor_luminance":
        return lambda image, values: _recoloured(image, values, cv2.COLOR_RGB2LAB, cv2.COLOR_LAB2RGB, 0)
    if control.detector == "recolor_intensity":
        return lambda image, values: _recoloured(image, values, cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2)
    return None


def _outside_kept(image: Tensor, values: Map, sigma: int) -> Tensor:
    """The unit's own picture where its mask, grown and softened by `sigma` pixels, leaves it alone."""
    mask: Any = values[..., 3].astype(np.float32) / 255
    if sigma:
        mask = cv2.blur(cv2.dilate(mask, np.ones((sigma, sigma), np.uint8)), (sigma, sigma))
    return torch.lerp(to_tensor(values[..., :3])[0], image, torch.from_numpy(mask)).clamp(0, 1)


def _recoloured(image: Tensor, values: Map, there: int, back: int, channel: int) -> Tensor:
    """The picture's colours with the map's lightness."""
    pixels = (image * 255).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    changed: Any = cv2.cvtColor(pixels, there)
    changed[..., channel] = values[..., 0]
    return to_tensor(np.asarray(cv2.cvtColor(changed, back)))[0]


# --- what is told and shown


def control_pairs(run: Run) -> dict[str, object]:
    """What the units add to an infotext."""
    return {f"ControlNet {control.number}": _told(run, control) for control in run.plan.controls}


def _told(run: Run, control: PlannedControl) -> str:
    unit, row = control.unit, find_detector(control.detector)
    return control_text(
        unit,
        module=row.shown,
        model=control_title(run.bench.catalog, control.model) if control.model else "",
        resolution=row.at(unit.resolution) if row.resolution else None,
        a=row.value_a(unit.threshold_a) if row.a else None,
        b=row.value_b(unit.threshold_b) if row.b else None,
    )


def shown(run: Run) -> list[tuple[str, Image.Image]]:
    """(preprocessor, map) of every unit whose maps are to be seen, at the size of each pass it is meant for, the last
    pass first.
    """
    found: list[tuple[str, Image.Image]] = []
    for control in run.plan.controls:
        if not control.unit.save_map:
            continue
        guides = [guide for (number, _), guide in run.guides.items() if number == control.number]
        for each in reversed(run.plan.passes):
            if takes_part(control.unit, each, several=len(run.plan.passes) > 1):
                found += [(control.detector, picture_of(at_size(run, one, each))) for one in guides]
    return found


def picture_of(values: Map) -> Image.Image:
    """A map to look at; where an inpainting mask is, it is half clear."""
    if values.shape[2] == 3:
        return Image.fromarray(values)
    return Image.fromarray(np.concatenate([values[..., :3], 255 - values[..., 3:] // 2], axis=2))
