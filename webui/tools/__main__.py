"""`python -m webui.tools convert SRC DST`: model files from the console. The ending of DST says the format."""

import argparse
import os
import sys
from pathlib import Path

from webui.domain.errors import MapleError
from webui.settings.flags import console_language
from webui.tools.convert import PRECISIONS, convert
from webui.words import explain, say


def main(arguments: list[str] | None = None) -> int:
    """Read the command line and run the tool it names. Exit code: 0, 1 for what could not be done, 2 for what was not
    understood.
    """
    language = console_language(env=os.environ)
    reader = argparse.ArgumentParser(prog="python -m webui.tools", description=say("tools_help", language))
    tools = reader.add_subparsers(dest="tool", required=True)
    one = tools.add_parser("convert", help=say("convert_help", language), description=say("convert_help", language))
    one.add_argument("source", type=Path, help=say("convert_help_source", language))
    one.add_argument("target", type=Path, help=say("convert_help_target", language))
    types = one.add_mutually_exclusive_group()
    types.add_argument("--half", dest="precision", action="store_const", const="fp16", default="", help="fp16")
    types.add_argument("--bf16", dest="precision", action="store_const", const="bf16", help="bf16")
    types.add_argument("--float", dest="precision", action="store_const", const="fp32", help="fp32")
    one.add_argument("--no-ema", action="store_true", help=say("convert_help_no_ema", language))
    one.add_argument("--overwrite", action="store_true", help=say("convert_help_overwrite", language))
    return _convert(reader.parse_args(arguments), language)


def _convert(asked: argparse.Namespace, language: str) -> int:
    shown = sys.stderr.isatty()

    def told(fraction: float) -> None:
        if shown:
            print(f"\r{fraction:4.0%}", end="", file=sys.stderr, flush=True)

    try:
        done = convert(
            asked.source, asked.target, dtype=PRECISIONS[asked.precision], drop_ema=asked.no_ema,
            overwrite=asked.overwrite, on_progress=told,
        )  # fmt: skip
    except MapleError as error:
        print(f"{chr(13) if shown else ''}{explain(error, language)}", file=sys.stderr)
        return 1
    print(chr(13) if shown else "", end="", file=sys.stderr)
    print(say("converted", language, path=done.path, tensors=done.tensors, megabytes=done.size // 10**6))
    for key, fields in done.notes:
        print(say(key, language, **fields))
    return 0


if __name__ == "__main__":
    sys.exit(main())
