"""`python -m webui.plugins new NAME`: an extension that works, with a test, to start from."""

from pathlib import Path
from string import Template

from webui.domain.errors import BadInput
from webui.plugins.manifest import API, FILE, NAME


class NameTaken(BadInput):
    """Fields: folder."""

    key = "extension_name_taken"


class BadName(BadInput):
    """Fields: name."""

    key = "extension_name_bad"


MANIFEST = Template("""\
[extension]
name = "$name"
version = "0.1.0"
api = $api
title = "$title"
title_zh = "$title"
about = "Every prompt ends with a word of its own."
about_zh = "给每个提示词加上一个词。"
licence = "MIT"

# Hook = "module:function". The module is imported when the hook is first called.
[hooks]
transform_request = "prompt:transform_request"
before_save = "prompt:before_save"

# Scripts and styles for the page, below this folder:
# [page]
# scripts = ["page.js"]
# styles = ["page.css"]
""")
MODULE = Template('''\
"""Every prompt ends with a word of its own, and the infotext says who put it there."""

from dataclasses import replace

WORD = "bright"


def transform_request(request):
    """The request with the word at the end of its prompt."""
    return replace(request, prompt=f"{request.prompt}, {WORD}")


def before_save():
    """What the infotext tells."""
    return {"$title": WORD}
''')
TEST = Template('''\
"""The extension does what it says, loaded as the server loads it."""

from pathlib import Path

from webui.domain import GenerationRequest
from webui.hooks import Hooks
from webui.plugins.found import extensions_in
from webui.plugins.plugins import subscribe

HERE = Path(__file__).resolve().parents[1]


def test_a_prompt_ends_with_the_word(tmp_path):
    (extension,) = [each for each in extensions_in([HERE.parent]) if each.folder == HERE]
    hooks = Hooks()
    subscribe(extension, hooks, tmp_path)
    asked = GenerationRequest(prompt="a red circle")
    made = hooks.transform("transform_request", asked, "request", settings=None)
    assert made.prompt == "a red circle, bright"
    assert hooks.gather("before_save", image=None, infotext="", picture=None) == [{"$title": "bright"}]
    assert extension.trouble == []
''')


def write_skeleton(name: str, root: Path) -> Path:
    """A new extension's folder below `root`. Raises BadName, NameTaken; nothing is written then."""
    if not NAME.fullmatch(name):
        raise BadName(name=name)
    folder = root / name
    if folder.exists():
        raise NameTaken(folder=str(folder))
    told = {"name": name, "api": API, "title": name.replace("-", " ").replace("_", " ").capitalize()}
    files = {FILE: MANIFEST, "prompt.py": MODULE, "tests/test_prompt.py": TEST}
    for file, template in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.substitute(told), encoding="utf-8")
    return folder
