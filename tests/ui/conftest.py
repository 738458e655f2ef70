"""The page over a real server in miniature: every part but the model, which a runner that draws stands in for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.small import stub_checkpoint
from webui import ui
from webui.api.errors import add_handlers
from webui.app import build
from webui.domain import ConvertRequest, DetectRequest, ExtrasRequest, FetchRequest, GenerationRequest
from webui.jobs import Jobs, Kind, Threads
from webui.services import Services
from webui.settings.flags import Flags


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("page")
    stub_checkpoint(root / "models" / "Stable-diffusion" / "first.safetensors")
    stub_checkpoint(root / "models" / "Stable-diffusion" / "动漫" / "第二 [v2].safetensors")
    (root / "models" / "VAE").mkdir()
    (root / "styles.csv").write_text(
        "name,prompt,negative_prompt\n油画,oil painting of {prompt},blurry\n", encoding="utf-8-sig"
    )
    outputs = root / "outputs" / "txt2img-images"
    outputs.mkdir(parents=True)
    whole = build(Flags(data_dir=root))
    whole.jobs.close()
    kinds = {
        "txt2img": Kind(request=GenerationRequest, target="tests.ui.drawing:run"),
        "convert": Kind(request=ConvertRequest, target="tests.ui.drawing:converted"),
        "detect": Kind(request=DetectRequest, target="tests.ui.drawing:detected"),
        "fetch-annotator": Kind(request=FetchRequest, target="tests.ui.drawing:fetched"),
        "extras": Kind(request=ExtrasRequest, target="tests.ui.drawing:enlarged"),
    }
    made = replace(whole, jobs=Jobs(root / "cache" / "drawn.db", kinds))
    made.catalog.scan()
    made.jobs.start(Threads(lambda: outputs))
    yield made
    made.jobs.close()
    made.catalog.close()


class Named:
    """Stands where the gate stands: puts the name of a header into the scope."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            name = dict(scope["headers"]).get(b"x-test-user", b"local").decode()
            scope["state"] = {**scope.get("state", {}), "user": name}
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def app(services: Services) -> Any:
    made = FastAPI(docs_url=None, redoc_url=None)
    add_handlers(made)
    ui.mount(made, services, services.flags)
    return Named(made)


@pytest.fixture(scope="session")
def client(app: Any) -> Iterator[TestClient]:
    with TestClient(app, headers={"accept-language": "en"}) as made:
        yield made


@pytest.fixture
def root(services: Services) -> Path:
    return services.settings.path.parent
