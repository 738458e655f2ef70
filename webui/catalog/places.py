"""Where models lie: sd-webui-aki's folders under models/, embeddings/ (and models/embeddings), every folder flag,
another A1111's folders.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from webui.domain import ModelKind

FROM_MODELS = "models"
FROM_HOME = "--a1111-home"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder to look in, or one file (`--ckpt`); `origin` says who named it: "models", a flag, "--a1111-home"."""

    path: Path
    origin: str = FROM_MODELS
    home: Path | None = None
    """The other A1111's own folder: this one may be lacking there, the home may not."""


FOLDERS: Mapping[ModelKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ModelKind.CHECKPOINT: (("Stable-diffusion",), ("ckpt", "ckpt_dir")),
    ModelKind.VAE: (("VAE",), ("vae_dir",)),
    ModelKind.LORA: (("Lora", "LyCORIS"), ("lora_dir", "lyco_dir_backcompat")),
    ModelKind.EMBEDDING: (("embeddings",), ("embeddings_dir",)),
    ModelKind.HYPERNETWORK: (("hypernetworks",), ("hypernetwork_dir",)),
    ModelKind.CONTROLNET: (("ControlNet",), ("controlnet_dir",)),
    ModelKind.UPSCALER: (
        ("ESRGAN", "RealESRGAN", "BSRGAN", "SwinIR", "ScuNET", "DAT", "HAT"),
        (
            "esrgan_models_path",
            "realesrgan_models_path",
            "bsrgan_models_path",
            "swinir_models_path",
            "scunet_models_path",
            "dat_models_path",
        ),
    ),
    ModelKind.FACE: (("GFPGAN", "Codeformer"), ("gfpgan_models_path", "codeformer_models_path")),
    ModelKind.PREVIEW: (("VAE-approx", "VAE-taesd"), ()),
}
"""Kind → folders under models/ (sd-webui-aki's names), attributes of the flags."""
CONTROLNET_EXTENSION = Path("extensions", "sd-webui-controlnet", "models")


@dataclass(frozen=True, slots=True)
class A1111Home:
    """An A1111 or sd-webui-aki folder used in place. Nothing is ever written below it."""

    root: Path

    @property
    def styles(self) -> Path:
        return self.root / "styles.csv"

    @property
    def models(self) -> Path:
        return self.root / "models"


def a1111_home_from(flags: object) -> A1111Home | None:
    """The folder that `--a1111-home` (or Forge's `--forge-ref-a1111-home`) names."""
    for name in ("a1111_home", "forge_ref_a1111_home"):
        for path in _paths(flags, name):
            return A1111Home(path)
    return None


def folders_from(flags: object, data_root: Path) -> Mapping[ModelKind, Sequence[Folder]]:
    """Every kind's folders in A1111's order: flags first, then ours, then the other A1111's.

    `flags` is any object whose attributes are the flags (`ckpt_dir`, `lora_dir`, ...): None, one path, or several.
    `models_dir` moves models/ as a whole. A folder named twice is kept once, under the first name.
    """
    home = a1111_home_from(flags)
    models = next(iter(_paths(flags, "models_dir")), data_root / "models")
    return {kind: _places(kind, flags, data_root, models=models, home=home) for kind in FOLDERS}


def make_folders(folders: Mapping[ModelKind, Sequence[Folder]]) -> None:
    """Create our own folders that are not there yet; never one that a flag or `--a1111-home` names."""
    for folder in (folder for places in folders.values() for folder in places if folder.origin == FROM_MODELS):
        if CONTROLNET_EXTENSION.parts[-2:] != folder.path.parts[-2:]:
            folder.path.mkdir(parents=True, exist_ok=True)


def _places(kind: ModelKind, flags: object, data_root: Path, *, models: Path, home: A1111Home | None) -> list[Folder]:
    names, attributes = FOLDERS[kind]
    found = [
        Folder(path=path, origin=f"--{name.replace('_', '-')}") for name in attributes for path in _paths(flags, name)
    ]
    found += [Folder(path=path) for path in _below(kind, data_root, models, names)]
    if home is not None:
        found += [
            Folder(path=path, origin=FROM_HOME, home=home.root) for path in _below(kind, home.root, home.models, names)
        ]
    first: dict[Path, Folder] = {}
    for folder in found:
        first.setdefault(folder.path.absolute(), folder)
    return list(first.values())


def _below(kind: ModelKind, root: Path, models: Path, names: Iterable[str]) -> list[Path]:
    paths = [models / name for name in names]
    if kind is ModelKind.EMBEDDING:
        # A1111's own place stands first; ours in models/ can be part of a checkout.
        paths.insert(0, root / "embeddings")
    if kind is ModelKind.CONTROLNET:
        paths.append(root / CONTROLNET_EXTENSION)
    return paths


def _paths(flags: object, name: str) -> list[Path]:
    value: object = getattr(flags, name, None)
    if value is None or value == "":
        return []
    several = [value] if isinstance(value, str | Path) else list(cast("Iterable[str | Path]", value))
    return [Path(one).expanduser() for one in several if str(one)]
