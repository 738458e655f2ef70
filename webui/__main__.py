"""`python -m webui [flags]`: parse the flags, serve the page. `launch.py` sets up the environment and calls this."""

import logging
import os
import subprocess
import sys

from webui.domain.errors import MapleError
from webui.settings.flags import BadFlag, console_language, parse
from webui.words import explain


def main(argv: list[str]) -> int:
    """Exit code: 0 after a clean end, 2 for a flag that cannot be read. Unknown flags were named by launch.py."""
    try:
        flags = parse(argv, os.environ)
    except BadFlag as error:
        print(error, file=sys.stderr)
        return 2
    level = flags.loglevel.upper() or "INFO"
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from webui.app import START_AGAIN, serve  # after the flags: a bad one answers at once

    try:
        code = serve(flags)
        return start_again() if code == START_AGAIN else code
    except MapleError as error:  # such as an account that cannot be read
        print(explain(error, console_language(flags, env=os.environ)), file=sys.stderr)
        return 2


def start_again() -> int:
    """The same command in a fresh process, which alone is free of what extensions and settings left in this one."""
    # No second browser window: the page that asked is waiting.
    command = [sys.executable, *(each for each in sys.orig_argv[1:] if each != "--autolaunch")]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
