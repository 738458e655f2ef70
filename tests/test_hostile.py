"""Bad files and bad luck, from the request to the answer: each a clear message, and the next picture comes out."""

import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.small import save_small_checkpoint, stub_checkpoint
from webui import api
from webui.app import Engine, build
from webui.settings.flags import Flags

pytestmark = pytest.mark.torch

GOOD = {"prompt": "a", "steps": 1, "width": 64, "height": 64, "sampler_name": "Euler"}


class Evil:
    """Unpickled by anything careless, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.mark}",)


def evil_checkpoint(path: Path, mark: Path) -> None:
    """A torch zip whose pickle runs a command."""
    with zipfile.ZipFile(path, "w") as file:
        out = io.BytesIO()
        pickle.Pickler(out, protocol=2).dump({"state_dict": Evil(mark)})
        file.writestr("archive/data.pkl", out.getvalue())
        file.writestr("archive/version", "3\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Path]]:
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "models" / "Stable-diffusion"
    good = save_small_checkpoint(folder / "good.safetensors")
    (folder / "truncated.safetensors").write_bytes(good.read_bytes()[:-1000])
    (folder / "empty.safetensors").write_bytes(b"")
    (folder / "text.safetensors").write_text("<html>404 not found</html>" * 100)
    (folder / "huge-header.safetensors").write_bytes((10**12).to_bytes(8, "little") + b"{}" * 100)
    (folder / "huge-tensor.safetensors").write_bytes(huge_tensor())
    evil_checkpoint(folder / "evil.ckpt", root / "mark")
    evil_checkpoint(folder / "evil-renamed.safetensors", root / "mark")
    (folder / "cut.ckpt").write_bytes((folder / "evil.ckpt").read_bytes()[:60])
    (folder / "wrong.safetensors").write_bytes(lora())
    stub_checkpoint(folder / "hollow.safetensors")
    services = build(Flags(data_dir=root))
    services.catalog.scan()
    engine = Engine(services)
    services.jobs.start(engine.workers)
    app = FastAPI()
    api.mount(app, services)
    with TestClient(app, headers={"accept-language": "en"}) as client:
        yield client, root
    services.jobs.close()
    services.catalog.close()


def huge_tensor() -> bytes:
    header = {
        "model.diffusion_model.out.2.weight": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 64


def lora() -> bytes:
    names = [f"lora_unet_down_blocks_0_attentions_0_proj_in.{part}.weight" for part in ("lora_up", "lora_down")]
    header = {
        name: {"dtype": "F16", "shape": [4, 4], "data_offsets": [32 * i, 32 * i + 32]} for i, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 64


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("truncated", "truncated"), ("empty", "empty"), ("text", "text"), ("huge-header", "huge-header"),
        ("huge-tensor", "huge-tensor"), ("evil", "system"), ("evil-renamed", "evil-renamed"), ("cut", "cut"),
        ("wrong", "wrong"), ("hollow", "hollow"),
    ],
)  # fmt: skip
def test_a_bad_checkpoint_is_named_with_its_fault_and_the_next_picture_comes_out(
    server: tuple[TestClient, Path], name: str, says: str
) -> None:
    client, root = server
    answer = client.post("/sdapi/v1/txt2img", json=GOOD | {"override_settings": {"sd_model_checkpoint": name}})
    assert answer.status_code in (403, 422), answer.text
    assert says in answer.json()["detail"]
    assert not answer.json()["detail"].startswith("The job failed")
    assert not (root / "mark").exists()
    assert client.post("/sdapi/v1/txt2img", json=GOOD).status_code == 200


def test_every_bad_file_is_listed_with_a_reason(server: tuple[TestClient, Path]) -> None:
    client, root = server
    names = {each["model_name"] for each in client.get("/sdapi/v1/sd-models").json()}
    assert "good" in names
    assert not (root / "mark").exists()


def test_without_a_choice_a_good_checkpoint_is_taken(server: tuple[TestClient, Path]) -> None:
    client, _ = server
    assert "Model: good" in client.post("/sdapi/v1/txt2img", json=GOOD).json()["info"]
