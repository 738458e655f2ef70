"""`python -m webui.plugins new NAME` writes an extension to start from; `list` says which there are and how they do."""

import argparse
import os
import sys
from pathlib import Path

from webui.domain.errors import MapleError
from webui.hooks import Hooks
from webui.plugins.plugins import CHECKOUT, Plugins
from webui.plugins.skeleton import write_skeleton
from webui.settings import SettingsStore
from webui.settings.flags import Flags, console_language
from webui.words import explain, say


def main(argv: list[str]) -> int:
    """Exit code: 0, or 2 with a sentence on what was wrong."""
    reader = argparse.ArgumentParser(prog="python -m webui.plugins", description=__doc__)
    reader.add_argument("--data-dir", type=Path, default=CHECKOUT, help="where extensions/ and config.json lie")
    steps = reader.add_subparsers(dest="step", required=True)
    new = steps.add_parser("new", help="write an extension that works, with a test")
    new.add_argument("name")
    steps.add_parser("list", help="name every extension, whether it takes part, and what is wrong with it")
    asked = reader.parse_args(argv)
    root: Path = asked.data_dir.resolve()
    flags = Flags(data_dir=root)
    language = console_language(flags, env=os.environ)
    if asked.step == "list":
        return listed(flags, root, language)
    try:
        folder = write_skeleton(asked.name, root / "extensions")
    except MapleError as error:
        print(explain(error, language), file=sys.stderr)
        return 2
    print(say("plugins_written", language, folder=folder))
    return 0


def listed(flags: Flags, root: Path, language: str) -> int:
    """A line for each extension, the last line of what went wrong below it."""
    settings = SettingsStore(root / "config.json").current
    plugins = Plugins.load(flags, settings, root, Hooks())
    for extension in plugins.extensions:
        told = extension.manifest
        print(f"{extension.state.value:7}{told.name} {told.version}  {extension.folder}")
        for trouble in extension.trouble[-1:]:
            print(f"       {trouble.strip().splitlines()[-1]}")
    if not plugins.extensions:
        print(say("plugins_none", language))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
