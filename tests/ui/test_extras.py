"""The Extras tab: its ids, what its form means, who may name folders."""

import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from webui.catalog.upscalers import UnknownUpscaler
from webui.domain import ExtrasRequest
from webui.domain.errors import OutOfRange
from webui.gallery.blobs import BlobGone
from webui.intake.folder import FolderEmpty, FolderMissing
from webui.services import Services
from webui.ui.batch_form import FoldersRefused
from webui.ui.choices import picture_upscalers
from webui.ui.extras import MOST_SHOWN, ExtrasFieldWrong, NoSource, extras, request_from
from webui.ui.gradio6 import gr

# Ids of A1111's Extras tab in the order of the page; face restoration is not built.
A1111 = [
    "tab_extras",
    "mode_extras",
    "extras_single_tab",
    "extras_image",
    "extras_batch_process_tab",
    "extras_image_batch",
    "extras_batch_directory_tab",
    "extras_batch_input_dir",
    "extras_batch_output_dir",
    "extras_show_extras_results",
    "extras_upscale",
    "extras_resize_mode",
    "extras_upscaling_resize",
    "extras_upscale_max_side_length",
    "extras_upscaling_resize_w",
    "extras_upscaling_resize_h",
    "extras_upscaling_crop",
    "extras_upscaler_1",
    "extras_upscaler_2",
    "extras_upscaler_2_visibility",
    "extras_generate_box",
    "extras_generate",
    "extras_gallery",
    "image_buttons_extras",
    "extras_open_folder",
    "extras_send_to_img2img",
    "extras_send_to_inpaint",
    "extras_send_to_extras",
    "html_info_extras",
    "html_log_extras",
]


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    """Props of the tab's blocks by element id, in the order they were made (containers first)."""
    with gr.Blocks() as page:
        extras()
    return {
        part["props"]["elem_id"]: part["props"]
        for part in sorted(page.get_config_file()["components"], key=lambda part: part["id"])
        if part["props"].get("elem_id")
    }


@pytest.fixture
def picture(services: Services) -> str:
    return services.gallery.blobs.put_image(Image.new("RGB", (32, 16), "red"))


def asked(services: Services, *, owner: bool = True, **values: Any) -> ExtrasRequest:
    return request_from(values, services, owner=owner)


def test_the_tab_has_a1111s_ids_in_its_order(drawn: dict[str, Any]) -> None:
    assert [id for id in drawn if id in A1111] == A1111


def test_the_tab_begins_with_a1111s_values(drawn: dict[str, Any]) -> None:
    values = {id: drawn[id]["value"] for id in A1111 if "value" in drawn[id]}
    assert values["extras_upscaling_resize"] == 4
    assert values["extras_upscaling_resize_w"] == values["extras_upscaling_resize_h"] == 512
    assert values["extras_upscaling_crop"] is values["extras_show_extras_results"] is True
    assert values["extras_upscaler_1"] == values["extras_upscaler_2"] == "None"
    assert drawn["extras_upscale-checkbox"]["value"] is True


def test_scale_by_reads_the_factor_and_the_limit(services: Services, picture: str) -> None:
    found = asked(
        services, extras_picture=picture, extras_upscaling_resize=3, extras_upscale_max_side_length=64,
        extras_upscaler_1="Lanczos", extras_upscaling_resize_w=999,
    )  # fmt: skip
    assert (found.images, found.scale, found.max_side, found.width, found.upscaler) == ((picture,), 3, 64, 0, "Lanczos")
    assert found.names == ()
    assert found.save


def test_scale_to_reads_both_sides_and_crop(services: Services, picture: str) -> None:
    found = asked(
        services, extras_picture=picture, extras_scale_to=True, extras_upscaling_resize_w=640,
        extras_upscaling_resize_h=480, extras_upscaling_crop=False, extras_upscaler_2="Nearest",
        extras_upscaler_2_visibility=0.25,
    )  # fmt: skip
    assert (found.width, found.height, found.crop) == (640, 480, False)
    assert (found.second_upscaler, found.second_visibility) == ("Nearest", 0.25)


def test_a_closed_upscale_box_leaves_pictures_as_they_are(services: Services, picture: str) -> None:
    found = asked(services, extras_picture=picture, extras_upscaler_1="Lanczos", **{"extras_upscale-checkbox": False})
    assert found.upscaler == found.second_upscaler == "None"


def test_a_batch_keeps_its_files_names(services: Services, picture: str) -> None:
    found = asked(services, extras_mode="batch", extras_pictures=[{"id": picture, "name": "../小猫.v2.png"}])
    assert (found.images, found.names) == ((picture,), ("小猫.v2",))


def test_a_folder_gives_its_pictures_by_name(services: Services, tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt"):
        Image.new("RGB", (8, 8)).save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).touch()
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    found = asked(
        services, extras_mode="directory", extras_batch_input_dir=f'"{tmp_path}"', extras_batch_output_dir="made/here"
    )
    assert [Path(path).name for path in found.images] == ["a.jpg", "b.png"]
    assert found.names == ("a", "b")
    assert Path(found.output) == services.settings.path.parent / "made" / "here"
    assert found.shown == MOST_SHOWN
    hidden = asked(
        services, extras_mode="directory", extras_batch_input_dir=str(tmp_path), extras_show_extras_results=False
    )
    assert (hidden.shown, hidden.output) == (0, "")


@pytest.mark.parametrize(("values", "error"), [
    ({}, NoSource), ({"extras_mode": "batch"}, NoSource), ({"extras_mode": "directory"}, NoSource),
    ({"extras_mode": "sideways"}, ExtrasFieldWrong),
    ({"extras_mode": "batch", "extras_pictures": ["x"]}, ExtrasFieldWrong),
    ({"extras_picture": "../../etc/passwd"}, BlobGone),
    ({"extras_mode": "batch", "extras_pictures": [{"id": "/etc/passwd"}]}, BlobGone),
    ({"extras_mode": "directory", "extras_batch_input_dir": "/nowhere at all"}, FolderMissing),
])  # fmt: skip
def test_what_cannot_be_worked_on_is_named(services: Services, values: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(services, **values)


@pytest.mark.parametrize(("values", "error"), [
    ({"extras_upscaling_resize": 100}, OutOfRange), ({"extras_upscaling_resize": "big"}, ExtrasFieldWrong),
    ({"extras_upscaling_resize": float("nan")}, OutOfRange),
    ({"extras_upscaler_2_visibility": 2}, OutOfRange), ({"extras_upscaler_1": "Lancoz"}, UnknownUpscaler),
    ({"extras_upscaler_1": "Latent"}, UnknownUpscaler),
    ({"extras_scale_to": True, "extras_upscaling_resize_w": 10**6}, OutOfRange),
])  # fmt: skip
def test_a_wrong_value_is_named(
    services: Services, picture: str, values: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        asked(services, extras_picture=picture, **values)


def test_an_empty_folder_is_named(services: Services, tmp_path: Path) -> None:
    with pytest.raises(FolderEmpty):
        asked(services, extras_mode="directory", extras_batch_input_dir=str(tmp_path))


def test_folders_are_the_owners(services: Services, tmp_path: Path) -> None:
    with pytest.raises(FoldersRefused):
        asked(services, owner=False, extras_mode="directory", extras_batch_input_dir=str(tmp_path))


def test_only_what_works_on_pictures_is_offered(services: Services, client: TestClient) -> None:
    offered = client.get("/internal/choices").json()["picture_upscalers"]
    assert offered == picture_upscalers(services)
    assert offered[0] == "None"
    assert not [name for name in offered if name.startswith("Latent")]


def test_the_form_becomes_a_job_of_the_tab(client: TestClient, services: Services) -> None:
    body = io.BytesIO()
    Image.new("RGB", (16, 16)).save(body, "PNG")
    id = client.post("/internal/blobs", files={"picture": ("a.png", body.getvalue())}).json()["id"]
    answer = client.post("/internal/extras", json={"values": {"extras_picture": id, "extras_upscaler_1": "Nearest"}})
    assert answer.status_code == 200, answer.text
    job = services.jobs.get(answer.json()["id"])
    assert (job.kind, job.request.upscaler, job.request.scale) == ("extras", "Nearest", 4)
    refused = client.post("/internal/extras", json={"values": {}})
    assert refused.status_code == 422
    assert "picture" in refused.json()["detail"]
