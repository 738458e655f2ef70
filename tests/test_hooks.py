"""Hooks do what their prefix says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pluggy
import pytest

from webui.domain import GenerationRequest
from webui.hooks import Hooks, hookimpl


class Loud:
    """Makes prompts loud and notes what it saw."""

    def __init__(self, word: str, log: list[str]) -> None:
        self.word, self.log = word, log

    @hookimpl
    def transform_request(self, request: GenerationRequest) -> GenerationRequest:
        return GenerationRequest(prompt=f"{request.prompt} {self.word}")

    @hookimpl
    def wrap_guided(self, guided: Callable[[str], str]) -> Callable[[str], str]:
        return lambda x: f"{self.word}({guided(x)})"

    @hookimpl
    @contextmanager
    def wrap_run(self) -> Iterator[None]:
        self.log.append(f"enter {self.word}")
        yield
        self.log.append(f"leave {self.word}")

    @hookimpl
    def before_save(self) -> dict[str, str]:
        return {self.word: "1"}


@pytest.fixture
def hooks() -> Hooks:
    hooks = Hooks()
    log: list[str] = []
    hooks.register(Loud("one", log), name="one")
    hooks.register(Loud("two", log), name="two")
    return hooks


def test_transforms_are_chained_in_order_of_registration(hooks: Hooks) -> None:
    changed = hooks.transform("transform_request", GenerationRequest(prompt="a"), "request", settings=None)
    assert changed.prompt == "a one two"


def test_the_first_wrapper_is_the_outermost(hooks: Hooks) -> None:
    assert hooks.wrap("wrap_guided", lambda x: x, "guided")("x") == "one(two(x))"


def test_contexts_open_in_order_and_close_in_reverse() -> None:
    hooks, log = Hooks(), []
    hooks.register(Loud("one", log), name="one")
    hooks.register(Loud("two", log), name="two")
    with hooks.around("wrap_run", plan=None):
        log.append("run")
    assert log == ["enter one", "enter two", "run", "leave two", "leave one"]


def test_a_hook_nobody_took_is_not_used(hooks: Hooks) -> None:
    assert hooks.used("wrap_run")
    assert not hooks.used("wrap_denoise")
    hooks.unregister("one")
    hooks.unregister("two")
    assert not hooks.used("wrap_run")


def test_answers_are_gathered(hooks: Hooks) -> None:
    assert hooks.gather("before_save", image=None, infotext="", picture=None) == [{"one": "1"}, {"two": "1"}]


def test_a_plugin_with_an_unknown_argument_is_refused_by_name() -> None:
    class Wrong:
        @hookimpl
        def on_step(self, nonsense: int) -> None: ...

    with pytest.raises(pluggy.PluginValidationError, match="nonsense"):
        Hooks().register(Wrong(), name="wrong")
