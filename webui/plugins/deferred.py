"""A hook of an extension that is imported when it is first called, and whose failure stays its own."""

import importlib
import importlib.machinery
import inspect
import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from webui.domain.errors import Failed, MapleError
from webui.domain.progress import ShuttingDown
from webui.hooks import hookimpl
from webui.plugins.found import Extension, State

log = logging.getLogger(__name__)
PACKAGE = "maple_extensions"
"""Extensions' modules are imported as `maple_extensions.<name>.<module>`, so that no two can shadow each other."""


class ExtensionFailed(Failed):
    """What an extension had put around the work of a run raised. Fields: extension, hook, reason."""

    key = "extension_failed"


def package_of(extension: Extension, data_root: Path) -> str:
    """The importable package of an extension's folder. It holds `folder` and `data_root` for `from . import …`."""
    if PACKAGE not in sys.modules:
        sys.modules[PACKAGE] = _package(PACKAGE, [])
    name = f"{PACKAGE}.{extension.name.replace('-', '_').replace('.', '_')}"
    for old in [each for each in sys.modules if each.startswith(f"{name}.")]:
        del sys.modules[old]  # of a server that was there before, in this very process
    package = _package(name, [str(extension.folder)])
    package.folder, package.data_root = extension.folder, data_root
    sys.modules[name] = package
    return name


def _package(name: str, path: list[str]) -> Any:
    package = ModuleType(name)
    package.__path__ = path
    package.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    package.__spec__.submodule_search_locations = path
    return package


def deferred(extension: Extension, hook: str, place: str, package: str) -> Callable[..., Any]:
    """The subscriber for one line of the manifest's [hooks]: takes all the hook's arguments by name, hands on those
    that the function asks for.
    """
    found: list[tuple[Callable[..., Any], frozenset[str]]] = []

    def function() -> tuple[Callable[..., Any], frozenset[str]]:
        if not found:
            module, _, name = place.partition(":")
            wanted = getattr(importlib.import_module(f"{package}.{module}"), name)
            found.append((wanted, frozenset(inspect.signature(wanted).parameters)))
        return found[0]

    def call(**arguments: Any) -> Any:
        if extension.state is not State.ON:
            return None
        began = time.perf_counter()
        try:
            wanted, names = function()
        except Exception as error:  # the extension border
            log.exception("extension %s is left out: %s cannot be imported", extension.name, place)
            extension.failed(error, for_good=True)
            return None
        try:
            answer = wanted(**{name: arguments[name] for name in names if name in arguments})
        except (MapleError, ShuttingDown):
            raise  # said on purpose, to the person who asked
        except Exception as error:  # the extension border
            log.exception("extension %s failed in %s and is passed over", extension.name, hook)
            extension.failed(error, for_good=False)
            return None
        finally:
            extension.spent(began)
        if answer is None or not hook.startswith("wrap_"):
            return answer
        return _careful_context(extension, hook, answer) if hook == "wrap_run" else _named(extension, hook, answer)

    call.takes_all = True  # type: ignore[attr-defined]
    return hookimpl(call)


def _named(extension: Extension, hook: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """What an extension put around a callable, saying whose it is when it raises.

    Passing it over is no choice here: it may have changed what it was given.
    """

    @wraps(inner)
    def named(*arguments: Any, **more: Any) -> Any:
        try:
            return inner(*arguments, **more)
        except Exception as error:
            blamed = _blamed(extension, hook, error)
            if blamed is error:
                raise
            raise blamed from error

    return named


def _blamed(extension: Extension, hook: str, error: Exception) -> Exception:
    """ExtensionFailed where the extension's own code raised; the error itself where it came through from below."""
    frames = list(_files(error))
    inside = [number for number, file in enumerate(frames) if Path(file).is_relative_to(extension.folder)]
    ours = Path(__file__).parents[1]
    below = bool(inside) and any(Path(file).is_relative_to(ours) for file in frames[inside[-1] + 1 :])
    if not inside or below or isinstance(error, MapleError) or type(error).__module__.startswith("webui."):
        return error
    log.error("extension %s failed in %s: %s", extension.name, hook, error)
    extension.failed(error, for_good=False)
    return ExtensionFailed(extension=extension.name, hook=hook, reason=f"{type(error).__name__}: {error}")


def _files(error: BaseException) -> Generator[str]:
    """The file of each frame an error came through, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename
        trace = trace.tb_next


@contextmanager
def _careful_context(extension: Extension, hook: str, context: AbstractContextManager[Any]) -> Generator[None]:
    """An extension's context around a run: failing to open or close it does not take the run along."""
    try:
        context.__enter__()
    except MapleError:
        raise
    except Exception as error:  # the extension border
        log.exception("extension %s failed in %s and is passed over", extension.name, hook)
        extension.failed(error, for_good=False)
        yield
        return
    told: tuple[Any, Any, Any] = (None, None, None)
    try:
        yield
    except BaseException as error:
        told = (type(error), error, error.__traceback__)
        raise
    finally:
        try:
            # What it answers is not asked: an extension does not decide that a run has not failed.
            context.__exit__(*told)
        except Exception as error:  # the extension border
            if error is not told[1]:
                log.exception("extension %s failed at the end of %s", extension.name, hook)
                extension.failed(error, for_good=False)
