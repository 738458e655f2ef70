"""Every hook, with its signature and what it is for. An extension subscribes with `@hookimpl` functions of the same
name.

The prefix is the contract:

    transform_*   gets a value, returns a new one or None to leave it; subscribers are chained in order
    wrap_*        gets a callable (or opens a context), returns one; the first subscriber is the outermost
    on_*          only watches; what it returns is ignored
    patches_for   returns patches to wear

An implementation may take any subset of the arguments. A hook without subscribers costs nothing: `Hooks.used` is read
once
per run. Only what the core really calls stands here; add a hook together with its call, its row in `docs/extensions.md`
and its test.
"""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import pluggy

PROJECT = "maple"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Value = TypeVar("Value")


class Specs:
    """The hooks. Types named here are those of `webui.domain` and `webui.engine.types`."""

    @hookspec
    def transform_request(self, request: Any, settings: Any) -> Any:
        """A GenerationRequest on its way into the queue, after styles are merged and before seeds are fixed.

        Runs once, in the server's process; must be quick and must not read models.
        """

    @hookspec
    def wrap_run(self, plan: Any) -> Any:
        """A context manager (or None) that is open while the plan is run, in the worker, with the model's lease
        held.
        """

    @hookspec
    def patches_for(self, stage: Any, picture: Any) -> Any:
        """A list of patches for the model to wear during a stage, or None. `picture` is the first of the batch."""

    @hookspec
    def transform_conditioning(self, conditioning: Any, pictures: Any) -> Any:
        """The batch's conditioning after the text was encoded, before sampling."""

    @hookspec
    def transform_start(self, latent: Any, pictures: Any) -> Any:
        """Latents (batch, 4, height/8, width/8) of init images, masked content included, before noise is laid over
        them.
        """

    @hookspec
    def wrap_denoise(self, denoise: Any) -> Any:
        """Gets a Denoise (calls, context) → list of x0, returns one. Sees every conditioned call of every step."""

    @hookspec
    def wrap_guided(self, guided: Any) -> Any:
        """Gets a Guided (x, sigma) → x0 with the calls joined, returns one."""

    @hookspec
    def on_step(self, step: int, x: Any, sigma: Any, x0: Any) -> None:
        """Watches each sampling step. Tensors must not be changed."""

    @hookspec
    def transform_latent(self, latent: Any, pictures: Any) -> Any:
        """Final latents (batch, 4, height/8, width/8) before they are decoded."""

    @hookspec
    def transform_image(self, image: Any, picture: Any) -> Any:
        """One PIL image after decoding, before its infotext is written and it is saved."""

    @hookspec
    def before_save(self, image: Any, infotext: str, picture: Any) -> Any:
        """A dict of infotext extras to add, or None. Last chance before the file is written."""

    @hookspec
    def on_job(self, change: Any) -> None:
        """Watches the queue: a job was accepted, moved on or ended (`webui.jobs.Change`)."""


class Hooks:
    """Subscribers and the ways to call them. One instance per process, handed down from `app.py`."""

    def __init__(self) -> None:
        self._plugins = pluggy.PluginManager(PROJECT)
        self._plugins.add_hookspecs(Specs)

    def register(self, plugin: object, *, name: str) -> None:
        """Add a plugin's hook implementations. Raises pluggy.PluginValidationError for a name or argument unknown
        here.
        """
        self._plugins.register(plugin, name=name)
        self._plugins.check_pending()

    def unregister(self, name: str) -> None:
        self._plugins.unregister(name=name)

    def _subscribers(self, hook: str) -> list[Any]:
        # In order of registration; pluggy's own calls go the other way round.
        return list(getattr(self._plugins.hook, hook).get_hookimpls())

    def used(self, hook: str) -> bool:
        """True when anybody subscribed."""
        return bool(getattr(self._plugins.hook, hook).get_hookimpls())

    def transform(self, hook: str, value: Value, /, name: str, **arguments: Any) -> Value:
        """Pass a value (argument `name` of the hook) through all subscribers in order."""
        for implementation in self._subscribers(hook):
            changed = self._call(implementation, {**arguments, name: value})
            if changed is not None:
                value = changed
        return value

    def wrap(self, hook: str, function: Value, /, name: str) -> Value:
        """Wrap a callable; the first subscriber ends up outermost."""
        for implementation in reversed(self._subscribers(hook)):
            wrapped = self._call(implementation, {name: function})
            if wrapped is not None:
                function = wrapped
        return function

    @contextmanager
    def around(self, hook: str, **arguments: Any) -> Generator[None]:
        """Open every subscriber's context around a block."""
        with ExitStack() as stack:
            for implementation in self._subscribers(hook):
                context = self._call(implementation, arguments)
                if context is not None:
                    stack.enter_context(context)
            yield

    def gather(self, hook: str, **arguments: Any) -> list[Any]:
        """Every subscriber's answer that is not None, in order."""
        answers = (self._call(implementation, arguments) for implementation in self._subscribers(hook))
        return [answer for answer in answers if answer is not None]

    @staticmethod
    def _call(implementation: Any, arguments: dict[str, Any]) -> Any:
        function: Callable[..., Any] = implementation.function
        if getattr(function, "takes_all", False):  # it is imported when first called, and chooses then
            return function(**arguments)
        return function(*(arguments[name] for name in implementation.argnames))
