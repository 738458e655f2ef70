"""Control networks in miniature beside the miniature models: real classes, seeded weights that matter."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.small import save_small_sdxl, small_sdxl


def woken(network: Any, seed: int = 5) -> Any:
    """A network whose zero convolutions are none any more; whole numbers of fp16."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.startswith(("controlnet_", "spatial_ch_projs", "task_embedding")) and not weight.any():
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
    return network.eval().requires_grad_(False).half().float()


@pytest.fixture(scope="session")
def tiny_control(tiny: SimpleNamespace) -> Any:
    """A ControlNet for the tiny Stable Diffusion 1."""
    import torch
    from diffusers.models.controlnets.controlnet import ControlNetModel

    torch.manual_seed(3)
    return woken(ControlNetModel.from_unet(tiny.unet, conditioning_embedding_out_channels=(16, 16, 32, 32)))


@pytest.fixture(scope="session")
def model(tiny_checkpoint: Path) -> Any:
    """The tiny Stable Diffusion 1, loaded once in fp32; to be left bare."""
    import torch

    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache

    record = ModelRecord(kind=ModelKind.CHECKPOINT, name="tiny", path=tiny_checkpoint)
    return ModelCache(torch.device("cpu")).load(record, None)


@pytest.fixture(scope="session")
def xl() -> SimpleNamespace:
    return small_sdxl()


@pytest.fixture(scope="session")
def xl_model(xl: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import torch

    from webui.domain import ModelKind, ModelRecord
    from webui.engine.cache import ModelCache

    path = save_small_sdxl(tmp_path_factory.mktemp("models") / "small_xl.safetensors", xl)
    record = ModelRecord(kind=ModelKind.CHECKPOINT, name=path.stem, path=path)
    return ModelCache(torch.device("cpu")).load(record, None)


@pytest.fixture
def save_control(tmp_path: Path, record: Callable[..., Any]) -> Callable[..., Any]:
    """Save tensors as a control file in fp16; its record."""
    from safetensors.torch import save_file

    from webui.domain import ModelKind

    def save(state: dict[str, Any], name: str = "tiny_control", metadata: dict[str, str] | None = None) -> Any:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.half().clone().contiguous() for key, value in state.items()}, path, metadata=metadata)
        return record(path, ModelKind.CONTROLNET)

    return save


@pytest.fixture
def cldm_record(tiny_control: Any, save_control: Callable[..., Any]) -> Any:
    from webui.engine.control.layouts import to_cldm

    return save_control(to_cldm(tiny_control))
