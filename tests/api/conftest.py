"""The API over a real server in miniature: queue, worker and the small checkpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.small import save_small_checkpoint
from webui import api
from webui.app import Engine, build
from webui.services import Services
from webui.settings.flags import Flags


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("server")
    save_small_checkpoint(root / "models" / "Stable-diffusion" / "small.safetensors")
    made = build(Flags(data_dir=root, gradio_auth="ada:secret-word"))
    made.catalog.scan()
    made.jobs.start(Engine(made).workers)
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


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI(docs_url=None, redoc_url=None)
    api.mount(app, services)
    with TestClient(Named(app), headers={"accept-language": "en"}) as made:
        yield made


@pytest.fixture
def root(services: Services) -> Path:
    return services.settings.path.parent
