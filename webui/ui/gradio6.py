"""Gradio, imported the quick and quiet way. Everything in `ui` says `from webui.ui.gradio6 import gr`.

Analytics are switched off before the import (the check is for exactly "True"), and Gradio's writer of .pyi stubs is
made a no-op: it is half of the import's time, litters stub files beside our sources and refuses classes made at run
time.
"""

import importlib.machinery
import os
import sys
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("GRADIO_SSR_MODE", "False")


class _WithoutStubs(MetaPathFinder):
    """Finds gradio.component_meta as Python would, and takes the stub writer out of it once it is loaded."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if fullname != "gradio.component_meta":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            module.create_or_modify_pyi = lambda *_, **__: None  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "gradio" not in sys.modules:
    sys.meta_path.insert(0, _WithoutStubs())

import gradio as gr  # noqa: E402
from gradio.themes import Default  # noqa: E402

__all__ = ["Default", "gr"]
