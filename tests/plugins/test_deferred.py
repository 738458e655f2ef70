"""An extension's module is imported when it is first needed, and its failures stay its own."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import Write
from webui.domain import GenerationRequest
from webui.domain.errors import BadInput
from webui.hooks import Hooks
from webui.plugins.deferred import ExtensionFailed
from webui.plugins.found import Extension, State, extensions_in
from webui.plugins.plugins import subscribe

ASKED = GenerationRequest(prompt="a")


def taking_part(tmp_path: Path, hooks: Hooks) -> dict[str, Extension]:
    found = extensions_in([tmp_path / "extensions"])
    for extension in found:
        subscribe(extension, hooks, tmp_path)
    return {each.name: each for each in found}


def asked(hooks: Hooks) -> str:
    return hooks.transform("transform_request", ASKED, "request", settings=None).prompt


SAYS = "from dataclasses import replace\ndef f(request):\n    return replace(request, prompt=request.prompt + '{}')\n"


def test_nothing_is_imported_until_a_hook_is_called(tmp_path: Path, write: Write) -> None:
    write("lazy-one", "[hooks]\ntransform_request = 'main:f'", {"main.py": SAYS.format("!")})
    hooks = Hooks()
    (extension,) = taking_part(tmp_path, hooks).values()
    module = "maple_extensions.lazy_one.main"
    assert hooks.used("transform_request") and module not in sys.modules
    assert asked(hooks) == "a!"
    assert module in sys.modules and extension.calls == 1


def test_two_extensions_with_modules_of_one_name_do_not_meet(tmp_path: Path, write: Write) -> None:
    for name in ("north", "south"):
        write(name, "[hooks]\ntransform_request = 'main:f'", {"main.py": SAYS.format(f" {name}")})
    hooks = Hooks()
    taking_part(tmp_path, hooks)
    assert asked(hooks) == "a north south"


def test_a_module_finds_its_neighbours_and_the_data_folder(tmp_path: Path, write: Write) -> None:
    write("knows", "[hooks]\nbefore_save = 'main:f'", {
        "main.py": "from . import data_root, folder\nfrom .other import WORD\n"
                   "def f(): return {'a': WORD, 'b': str(data_root), 'c': folder.name}\n",
        "other.py": "WORD = 'here'\n",
    })  # fmt: skip
    hooks = Hooks()
    taking_part(tmp_path, hooks)
    answers = hooks.gather("before_save", image=None, infotext="", picture=None)
    assert answers == [{"a": "here", "b": str(tmp_path), "c": "knows"}]


def test_one_that_cannot_be_imported_is_left_out_and_asked_no_more(tmp_path: Path, write: Write) -> None:
    write("broken", "[hooks]\ntransform_request = 'main:f'", {"main.py": "import not_there_at_all\n"})
    write("whole", "[hooks]\ntransform_request = 'main:f'", {"main.py": SAYS.format("!")})
    hooks = Hooks()
    found = taking_part(tmp_path, hooks)
    assert [asked(hooks), asked(hooks)] == ["a!", "a!"]
    assert found["broken"].state is State.FAILED
    assert len(found["broken"].trouble) == 1 and "not_there_at_all" in found["broken"].trouble[0]
    assert found["whole"].state is State.ON


def test_one_that_raises_is_passed_over_and_asked_again(tmp_path: Path, write: Write) -> None:
    write("raises", "[hooks]\ntransform_request = 'main:f'", {"main.py": "def f(request): return 1 / 0\n"})
    hooks = Hooks()
    (extension,) = taking_part(tmp_path, hooks).values()
    assert [asked(hooks), asked(hooks)] == ["a", "a"]
    assert extension.state is State.ON and len(extension.trouble) == 2
    assert "ZeroDivisionError" in extension.trouble[0]


def test_what_it_says_to_the_person_on_purpose_gets_through(tmp_path: Path, write: Write) -> None:
    write("refuses", "[hooks]\ntransform_request = 'main:f'", {
        "main.py": "from webui.domain.errors import BadInput\ndef f(request): raise BadInput()\n",
    })  # fmt: skip
    hooks = Hooks()
    taking_part(tmp_path, hooks)
    with pytest.raises(BadInput):
        asked(hooks)


AROUND = """
def f(denoise):
    def guided(calls):
        {}
        return denoise(calls)
    return guided
"""


def around(tmp_path: Path, write: Write, line: str, inner: Any) -> tuple[Any, Extension]:
    write("around", "[hooks]\nwrap_denoise = 'main:f'", {"main.py": AROUND.format(line)})
    hooks = Hooks()
    (extension,) = taking_part(tmp_path, hooks).values()
    return hooks.wrap("wrap_denoise", inner, "denoise"), extension


def test_a_wrapper_that_raises_ends_the_run_under_its_own_name(tmp_path: Path, write: Write) -> None:
    wrapped, extension = around(tmp_path, write, "1 / 0", lambda calls: calls)
    with pytest.raises(ExtensionFailed) as caught:
        wrapped([1])
    assert caught.value.fields["extension"] == "around"
    assert "ZeroDivisionError" in extension.trouble[0]


def test_an_error_of_the_core_is_not_blamed_on_the_wrapper_it_passes(tmp_path: Path, write: Write) -> None:
    def core(calls: Any) -> Any:
        raise BadInput()

    wrapped, extension = around(tmp_path, write, "pass", core)
    with pytest.raises(BadInput):
        wrapped([1])
    assert extension.trouble == []


RUN = """
from contextlib import contextmanager
@contextmanager
def f(plan):
    {}
    yield
    {}
"""


@pytest.mark.parametrize(("before", "after"), [("1 / 0", "pass"), ("pass", "1 / 0"), ("pass", "pass")])
def test_a_context_that_fails_leaves_the_run_alone(tmp_path: Path, write: Write, before: str, after: str) -> None:
    write("context", "[hooks]\nwrap_run = 'main:f'", {"main.py": RUN.format(before, after)})
    hooks, ran = Hooks(), []
    (extension,) = taking_part(tmp_path, hooks).values()
    with hooks.around("wrap_run", plan=None):
        ran.append(1)
    assert ran == [1]
    assert bool(extension.trouble) == ("1 / 0" in (before, after))


def test_a_context_does_not_swallow_what_the_run_raises(tmp_path: Path, write: Write) -> None:
    swallows = (
        "class f:\n    def __init__(self, plan): pass\n"
        "    def __enter__(self): pass\n    def __exit__(self, *x): return True\n"
    )
    write("swallows", "[hooks]\nwrap_run = 'main:f'", {"main.py": swallows})
    hooks = Hooks()
    taking_part(tmp_path, hooks)
    with pytest.raises(KeyError), hooks.around("wrap_run", plan=None):
        raise KeyError("x")
