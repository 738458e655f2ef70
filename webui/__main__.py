"""`python -m webui [flags]`: parse the flags, serve the page. `launch.py` sets up the environment and calls this."""

import logging
import os
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
    from webui.app import serve  # after the flags: a bad one answers at once

    try:
        return serve(flags)
    except MapleError as error:  # such as an account that cannot be read
        print(explain(error, console_language(flags, env=os.environ)), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
