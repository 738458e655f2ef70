"""The HTTP borders: `/v1` of ours and `/sdapi/v1` spelt as A1111 spells it. pydantic lives here and no deeper.

May import everything below but gradio. The gate stands in front of every route; here a request already has its owner.
Add an
A1111 route in `sdapi.py` with the field names and defaults of A1111 1.10.1, one of ours in `v1.py`; the ControlNet
extension's are in `controlnet.py`.
"""

from fastapi import FastAPI

from webui.api import controlnet, docs, extra_networks, extras, lists, sdapi, v1
from webui.api.errors import add_handlers
from webui.services import Services


def mount(app: FastAPI, services: Services) -> None:
    """Add all routes of the API and the pages that describe them."""
    add_handlers(app)
    app.include_router(v1.routes(services))
    app.include_router(sdapi.routes(services))
    app.include_router(lists.routes(services))
    app.include_router(extras.routes(services))
    app.include_router(extra_networks.routes(services))
    app.include_router(controlnet.routes(services))
    docs.mount(app)


__all__ = ["mount"]
