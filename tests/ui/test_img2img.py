"""The img2img tab: its ids, what its form means, pictures sent ahead, and batches."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from webui.domain import GenerationRequest, Init, Inpaint, MaskedContent, ResizeMode, Series, SoftInpainting
from webui.gallery import infotext
from webui.gallery.blobs import BlobGone
from webui.intake.folder import FolderEmpty, FolderMissing
from webui.services import Services
from webui.ui import build
from webui.ui.batch_form import FoldersRefused, series_from
from webui.ui.init_form import InitFieldWrong, NoInitImage, NoMaskImage, init_from, init_values

ADA = {"x-test-user": "ada"}

# Ids of A1111's img2img tab in the order of the page.
A1111 = [
    "tab_img2img",
    "img2img_toprow",
    "img2img_prompt",
    "img2img_neg_prompt",
    "img2img_interrupt",
    "img2img_skip",
    "img2img_generate",
    "img2img_styles",
    "img2img_extra_tabs",
    "img2img_settings",
    "mode_img2img",
    "img2img_img2img_tab",
    "img2img_image",
    "img2img_img2img_sketch_tab",
    "img2img_sketch",
    "img2img_inpaint_tab",
    "img2maskimg",
    "img2img_inpaint_sketch_tab",
    "inpaint_sketch",
    "img2img_inpaint_upload_tab",
    "img_inpaint_base",
    "img_inpaint_mask",
    "img2img_batch_tab",
    "img2img_batch_source",
    "img2img_batch_upload",
    "img2img_batch_input_dir",
    "img2img_batch_output_dir",
    "img2img_batch_inpaint_mask_dir",
    "img2img_batch_use_png_info",
    "img2img_batch_png_info_dir",
    "img2img_batch_png_info_props",
    "img2img_copy_to_img2img",
    "img2img_copy_to_sketch",
    "img2img_copy_to_inpaint",
    "img2img_copy_to_inpaint_sketch",
    "resize_mode",
    "inpaint_controls",
    "img2img_mask_blur",
    "img2img_mask_alpha",
    "img2img_mask_mode",
    "img2img_inpainting_fill",
    "img2img_inpaint_full_res",
    "img2img_inpaint_full_res_padding",
    "sampler_selection_img2img",
    "img2img_sampling",
    "img2img_scheduler",
    "img2img_steps",
    "img2img_enable",
    "soft_inpainting_enabled",
    "img2img_tabs_resize",
    "img2img_tab_resize_to",
    "img2img_width",
    "img2img_height",
    "img2img_res_switch_btn",
    "img2img_detect_image_size_btn",
    "img2img_tab_resize_by",
    "img2img_scale",
    "img2img_scale_resolution_preview",
    "img2img_update_resize_to",
    "img2img_batch_count",
    "img2img_batch_size",
    "img2img_cfg_scale",
    "img2img_image_cfg_scale",
    "img2img_denoising_strength",
    "img2img_seed",
    "img2img_override_settings",
    "img2img_results",
    "img2img_gallery",
]


def png(image: Image.Image) -> bytes:
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


@pytest.fixture
def picture(services: Services) -> str:
    pixels = np.random.default_rng(1).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    return services.gallery.blobs.put_image(Image.fromarray(pixels))


@pytest.fixture
def drawing(services: Services) -> str:
    layer = Image.new("RGBA", (100, 80))
    ImageDraw.Draw(layer).rectangle((20, 10, 59, 49), fill=(255, 0, 0, 255))
    return services.gallery.blobs.put_image(layer)


def asked(services: Services, values: Mapping[str, Any], **more: Any) -> Init:
    return init_from({**values, **more}, services.gallery.blobs)


def test_every_control_of_a1111_is_there_in_its_order(services: Services) -> None:
    page = build(services).get_config_file()
    ids = {part["id"]: part["props"].get("elem_id") for part in page["components"]}
    order: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        order.append(ids.get(node["id"]) or "")
        for child in node.get("children") or []:
            walk(child)

    walk(page["layout"])
    assert [name for name in order if name in A1111] == A1111


def test_the_form_becomes_an_init(services: Services, picture: str, drawing: str) -> None:
    init = asked(
        services,
        {
            "img2img_mode": "inpaint", "img2img_picture": picture, "img2img_drawing": drawing,
            "img2img_denoising_strength": 0.6, "resize_mode": "Crop and resize", "img2img_mask_blur": 7,
            "img2img_mask_mode": "Inpaint not masked", "img2img_inpainting_fill": "latent noise",
            "img2img_inpaint_full_res": "Only masked", "img2img_inpaint_full_res_padding": 48,
            "soft_inpainting_enabled-checkbox": True, "soft_inpainting_schedule_bias": 2.5,
            "img2img_resize_by": False, "img2img_scale": 3,
        },
    )  # fmt: skip
    assert init.inpaint is not None
    assert init == Init(
        images=(picture,), denoising_strength=0.6, resize_mode=ResizeMode.CROP,
        inpaint=Inpaint(
            mask=init.inpaint.mask, blur_x=7, blur_y=7, invert=True, content=MaskedContent.LATENT_NOISE,
            only_masked=True, padding=48, round_mask=False, soft=SoftInpainting(schedule_bias=2.5),
        ),
    )  # fmt: skip
    mask = services.gallery.blobs.open(init.inpaint.mask)
    assert (mask.mode, mask.size, mask.getbbox()) == ("L", (100, 80), (20, 10, 60, 50))


def test_resize_by_and_image_cfg_count_only_where_they_are_shown(services: Services, picture: str) -> None:
    values = {"img2img_picture": picture, "img2img_scale": 1.5, "img2img_image_cfg_scale": 1.2}
    plain = asked(services, values)
    assert (plain.scale, plain.image_cfg_scale, plain.inpaint) == (0, None, None)
    shown = asked(services, values, img2img_resize_by=True, img2img_pix2pix=True)
    assert (shown.scale, shown.image_cfg_scale) == (1.5, 1.2)


def test_an_empty_drawing_asks_for_the_whole_picture(services: Services, picture: str) -> None:
    clear = services.gallery.blobs.put_image(Image.new("RGBA", (100, 80)))
    for drawn in ("", clear):
        values = {"img2img_mode": "inpaint", "img2img_picture": picture, "img2img_drawing": drawn}
        assert asked(services, values).inpaint is None


def test_a_sketch_becomes_the_picture(services: Services, picture: str, drawing: str) -> None:
    init = asked(services, {"img2img_mode": "sketch", "img2img_picture": picture, "img2img_drawing": drawing})
    whole = services.gallery.blobs.open(init.images[0])
    assert whole.getpixel((30, 30)) == (255, 0, 0)
    assert whole.getpixel((5, 5)) == services.gallery.blobs.open(picture).getpixel((5, 5))
    assert init.inpaint is None
    assert asked(services, {"img2img_mode": "sketch", "img2img_picture": picture}).images == (picture,)


def test_an_inpaint_sketch_brings_its_mask(services: Services, picture: str, drawing: str) -> None:
    values = {"img2img_picture": picture, "img2img_drawing": drawing, "img2img_mask_blur": 0, "img2img_mask_alpha": 40}
    init = asked(services, values, img2img_mode="inpaint_sketch")
    assert init.inpaint is not None
    mask = services.gallery.blobs.open(init.inpaint.mask)
    assert (mask.getbbox(), mask.getextrema()) == ((19, 9, 61, 51), (0, 153))


def test_an_uploaded_mask_of_another_size_is_fitted(services: Services, picture: str) -> None:
    small = services.gallery.blobs.put_image(Image.new("L", (10, 10), 200))
    values = {"img2img_mode": "inpaint_upload", "img2img_picture": picture}
    init = asked(services, values, img2img_mask=small)
    assert init.inpaint is not None
    assert services.gallery.blobs.size(init.inpaint.mask) == (100, 80)
    with pytest.raises(NoMaskImage):
        asked(services, values)


def test_a_phone_picture_is_stored_upright_and_others_as_they_came(services: Services, picture: str) -> None:
    body = io.BytesIO()
    turned = Image.new("RGB", (40, 20))
    turned.getexif()[0x0112] = 6
    turned.save(body, "JPEG", exif=turned.getexif())
    id = services.gallery.blobs.put(body.getvalue())
    upright = asked(services, {"img2img_picture": id}).images[0]
    assert services.gallery.blobs.open(upright).size == (20, 40)
    assert asked(services, {"img2img_picture": picture}).images == (picture,)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, NoInitImage),
        ({"img2img_picture": "../../config.json"}, BlobGone),
        ({"img2img_picture": "0" * 40 + ".png"}, BlobGone),
        ({"img2img_mode": "everything"}, InitFieldWrong),
        ({"img2img_picture": "?", "resize_mode": "sideways"}, InitFieldWrong),
        ({"img2img_picture": "?", "img2img_denoising_strength": "much"}, InitFieldWrong),
        ({"img2img_picture": "?", "img2img_denoising_strength": float("nan")}, InitFieldWrong),
    ],
)
def test_what_cannot_be_meant_is_refused(
    services: Services, picture: str, values: dict[str, Any], error: type[Exception]
) -> None:
    values = values | {"img2img_picture": picture} if values.get("img2img_picture") == "?" else values
    with pytest.raises(error):
        asked(services, values)


def test_an_infotext_fills_the_tab() -> None:
    text = (
        "a cat\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 64x64, Denoising strength: 0.4, "
        "Mask blur: 8, Inpaint area: Only masked, Masked area padding: 64, Masked content: fill, "
        "Mask mode: Inpaint not masked, Image CFG scale: 1.2, Soft inpainting enabled: True, "
        "Soft inpainting schedule bias: 3"
    )
    init = infotext.init_from(infotext.read(text))
    assert init is not None
    shown = init_values(init)
    assert shown | {
        "img2img_denoising_strength": 0.4, "img2img_mask_blur": 8, "img2img_inpaint_full_res": "Only masked",
        "img2img_inpaint_full_res_padding": 64, "img2img_inpainting_fill": "fill",
        "img2img_mask_mode": "Inpaint not masked", "img2img_image_cfg_scale": 1.2,
        "soft_inpainting_enabled-checkbox": True, "soft_inpainting_schedule_bias": 3,
    } == shown  # fmt: skip


def test_a_pasted_infotext_goes_to_the_tab_that_asks(client: TestClient) -> None:
    text = (
        "a cat\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 12, Size: 128x96, Denoising strength: 0.3, Mask blur: 6"
    )
    found = client.post("/internal/infotext?tab=img2img", json={"text": text}, headers=ADA).json()["values"]
    assert (found["img2img_steps"], found["img2img_mask_blur"], found["img2img_denoising_strength"]) == (7, 6, 0.3)


def test_a_picture_sent_ahead_is_kept_byte_for_byte_and_once(client: TestClient, services: Services) -> None:
    body = png(Image.new("RGB", (9, 7), (1, 2, 3)))
    ids = {client.post("/internal/blobs", files={"picture": ("a.png", body)}).json()["id"] for _ in range(2)}
    assert len(ids) == 1
    assert services.gallery.blobs.path(ids.pop()).read_bytes() == body


@pytest.mark.parametrize("body", [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>"])
def test_what_is_no_picture_is_not_kept(client: TestClient, body: bytes) -> None:
    assert client.post("/internal/blobs", files={"picture": ("a.png", body)}).status_code == 422
    assert client.post("/internal/blobs", json={}).status_code == 422


# --- batches


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(made / f"图 {number}.png")
    return made


def batch(folder: Path | str, **more: Any) -> dict[str, Any]:
    return {"img2img_batch_source": "folder", "img2img_batch_input_dir": str(folder), **more}


def whole(services: Services, values: dict[str, Any], *, owner: bool = True) -> Series:
    request = GenerationRequest(prompt="base", width=64, height=64, sampler="Euler", steps=5, seed=3)
    return series_from(values, request, services, owner=owner)


def test_a_folder_becomes_a_series(services: Services, folder: Path, tmp_path: Path) -> None:
    series = whole(services, batch(folder, img2img_batch_output_dir=str(tmp_path / "out"), img2img_resize_by=True))
    assert [(turn.name, turn.mask, turn.request) for turn in series.turns] == [
        (f"图 {number}", "", None) for number in range(3)
    ]
    assert (series.output, series.scale, series.shown) == (str(tmp_path / "out"), 1, 32)
    assert series.request.init is not None
    assert series.request.init.inpaint is None


def test_a_stranger_on_a_shared_server_names_no_folder(services: Services, folder: Path, picture: str) -> None:
    with pytest.raises(FoldersRefused):
        whole(services, batch(folder), owner=False)
    uploaded = {"img2img_batch_pictures": [{"id": picture, "name": "a.png"}], "img2img_batch_input_dir": "/etc"}
    # What stands in the fields of the other way in is not looked at.
    series = whole(services, {**uploaded, "img2img_batch_inpaint_mask_dir": "/etc"}, owner=False)
    assert [(turn.picture, turn.name) for turn in series.turns] == [(picture, "a")]


def test_the_route_asks_who_it_is(client: TestClient, services: Services, folder: Path) -> None:
    values = batch(folder, img2img_mode="batch", img2img_prompt="x", img2img_sampling="Euler", img2img_steps=2)
    program = {"authorization": "Basic Ym90OnNlY3JldA=="}
    refused = client.post("/internal/submit", json={"tab": "img2img", "values": values}, headers=program)
    assert refused.status_code == 403
    assert str(folder) not in refused.text


def test_masks_and_png_info_of_a_folder(services: Services, folder: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.new("L", (64, 64), 255).save(masks / "图 1.png")
    Image.new("L", (64, 64), 255).save(masks / "other.png")
    told = tmp_path / "told"
    told.mkdir()
    text = "a cat\nSteps: 9, Sampler: Euler a, CFG scale: 3, Seed: 12, Size: 64x64"
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(told / "图 2.png", pnginfo=info)
    series = whole(
        services,
        batch(
            folder, img2img_batch_inpaint_mask_dir=str(masks), img2img_batch_use_png_info=True,
            img2img_batch_png_info_dir=str(told), img2img_batch_png_info_props=["Prompt", "Seed", "Sampler"],
        ),
    )  # fmt: skip
    assert [Path(turn.mask).name for turn in series.turns] == ["", "图 1.png", ""]
    assert series.request.init is not None
    assert series.request.init.inpaint is not None
    changed = series.turns[2].request
    assert changed is not None
    assert (changed.prompt, changed.seed, changed.sampler, changed.steps) == ("base a cat", 12, "Euler a", 5)
    assert [turn.request for turn in series.turns[:2]] == [None, None]


def test_a_batch_without_pictures_says_so(services: Services, tmp_path: Path) -> None:
    for values, error in (
        ({}, NoInitImage),
        (batch(""), NoInitImage),
        (batch(tmp_path / "none"), FolderMissing),
        (batch(tmp_path), FolderEmpty),
        ({"img2img_batch_pictures": ["x"]}, InitFieldWrong),
        ({"img2img_batch_pictures": [{"id": "/etc/passwd"}]}, BlobGone),
    ):
        with pytest.raises(error):
            whole(services, values)


def test_a_series_survives_the_queue(services: Services, folder: Path) -> None:
    from webui.jobs.wire import pack, unpack

    series = whole(services, batch(folder))
    changed = replace(series, turns=(replace(series.turns[0], request=series.request), *series.turns[1:]))
    assert unpack(Series, pack(changed)) == changed
