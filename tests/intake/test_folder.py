"""What a batch takes of a folder."""

from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.intake import folder
from webui.services import Services
from webui.settings import Settings


def save(path: Path, text: str = "") -> Path:
    told = PngInfo()
    if text:
        told.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=told)
    return path


def test_pictures_come_by_name_without_links_folders_and_other_files(tmp_path: Path) -> None:
    outside = save(tmp_path / "outside.png")
    inside = tmp_path / "in"
    (inside / "sub.png").mkdir(parents=True)
    for name in ("b.PNG", "a.webp", "C.jpg"):
        (inside / name).write_bytes(b"x")
    (inside / "notes.txt").write_text("x")
    (inside / "link.png").symlink_to(outside)
    assert [path.name for path in folder.pictures_in(inside)] == ["a.webp", "b.PNG", "C.jpg"]


def test_a_missing_and_an_empty_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(folder.FolderMissing):
        folder.pictures_in(tmp_path / "none")
    with pytest.raises(folder.FolderEmpty):
        folder.pictures_in(tmp_path)


def test_masks_go_by_name_and_a_single_one_is_for_all() -> None:
    a, b = Path("/m/a.png"), Path("/m/b.webp")
    assert folder.masks_for(["a", "c"], [a, b]) == {"a": a}
    assert folder.masks_for(["x", "y"], [a]) == {"x": a, "y": a}


def test_a_picture_tells_what_is_asked_of_it_and_nothing_else(tmp_path: Path, services: Services) -> None:
    text = "a cat\nNegative prompt: dog\nSteps: 7, Sampler: Euler a, CFG scale: 3.5, Seed: 12, Size: 64x64"
    data = save(tmp_path / "a.png", text).read_bytes()
    told = folder.remembered(data, ["Prompt", "Seed", "Sampler"], settings=Settings(), lookup=services.names)
    assert (told["prompt"], told["seed"], told["sampler"]) == ("a cat", 12, "Euler a")
    assert "steps" not in told and "negative_prompt" not in told and "cfg_scale" not in told


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_a_picture_that_remembers_nothing_changes_nothing(data: bytes, services: Services) -> None:
    assert folder.remembered(data, ["Prompt"], settings=Settings(), lookup=services.names) == {}
