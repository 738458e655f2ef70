"""Where the files of preprocessors lie: ours, those of sd-webui-controlnet and Forge, another A1111's. Nothing is read
but names.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from webui.catalog.detectors import DetectorRow, WeightFile
from webui.catalog.places import a1111_home_from

OWN = Path("ControlNet", "annotators")
"""Below models/."""
FORGE = "ControlNetPreprocessor"
DOWNLOADS = Path("extensions", "sd-webui-controlnet", "annotator", "downloads")
"""Below an A1111."""
FLAGS = ("controlnet_annotator_models_path", "controlnet_preprocessor_models_dir")


def annotator_folders(flags: object, data_root: Path) -> tuple[Path, ...]:
    """The folders to look in, in order: those a flag names, ours, those of A1111 and Forge beside us, and of
    `--a1111-home`. What is fetched goes into the first.
    """
    home = a1111_home_from(flags)
    models = next(iter(_paths(flags, "models_dir")), data_root / "models")
    found = [path for name in FLAGS for path in _paths(flags, name)]
    found += [models / OWN, data_root / DOWNLOADS, models / FORGE]
    if home is not None:
        found += [home.root / DOWNLOADS, home.models / OWN, home.models / FORGE]
    return tuple(dict.fromkeys(path.absolute() for path in found))


def found(file: WeightFile, folders: Iterable[Path]) -> Path | None:
    """Where the file, or a .safetensors copy of it, lies; None when it is nowhere."""
    names = dict.fromkeys((file.name, str(Path(file.name).with_suffix(".safetensors"))))
    if file.name.endswith(".onnx"):
        names = {file.name: None}
    for folder in folders:
        for below in (*file.folders, ""):
            for name in names:
                path = folder / below / name
                if path.is_file():
                    return path
    return None


def missing(row: DetectorRow, folders: Sequence[Path]) -> list[WeightFile]:
    """The files a preprocessor lacks."""
    return [file for file in row.weights if found(file, folders) is None]


def place(file: WeightFile, folders: Sequence[Path]) -> Path:
    """Where the file goes: its folder in the first of `folders`."""
    return folders[0].joinpath(*file.folders[:1], file.name)


def _paths(flags: object, name: str) -> list[Path]:
    value: object = getattr(flags, name, None)
    if value is None or value == "":
        return []
    several = [value] if isinstance(value, str | Path) else list(cast("Iterable[str | Path]", value))
    return [Path(one).expanduser() for one in several if str(one)]
