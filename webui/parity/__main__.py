"""`python -m webui.parity [FOLDER]`: make known pictures again and print how near they come."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from webui.domain.errors import MapleError
from webui.parity.cases import SHIPPED, read_cases
from webui.parity.check import Outcome, check
from webui.settings.flags import console_language
from webui.words import explain, say

SLOW = ("DPM adaptive",)
"""Samplers left out unless a case is named: they take minutes for a picture.

DPM adaptive does not come out the same anyhow: its step lengths answer to the error, so rounding grows. One part in a
million at the start was nine in a thousand at the end (117 model calls became 120), and other kernels than A1111's
round differently.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every case that can be made is near enough, 1 when one is not, 2 when nothing could be checked."""
    language = console_language(env=os.environ)

    def tell(key: str) -> None:
        print(say(key, language), flush=True)

    parser = argparse.ArgumentParser(prog="python -m webui.parity", description=say("parity_about", language))
    parser.add_argument("folder", nargs="?", type=Path, default=SHIPPED, help=say("parity_folder", language))
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help=say("parity_only", language))
    parser.add_argument(
        "--data-dir", type=Path, default=Path(__file__).parents[2], help=say("parity_data_dir", language)
    )
    given = parser.parse_args(arguments)
    try:
        cases = read_cases(given.folder)
        if given.only:
            cases = [case for case in cases if case.name in given.only]
        else:
            cases = [case for case in cases if not (case.request and case.request.sampler in SLOW)]
        print(header(language))
        outcomes: list[Outcome] = []
        for outcome in check(cases, given.data_dir / "cache" / "parity", say=tell):
            outcomes.append(outcome)
            print(row(outcome, language), flush=True)
    except MapleError as error:
        print(explain(error, language), file=sys.stderr)
        return 2
    failed = [outcome for outcome in outcomes if not outcome.passed and not outcome.needs]
    waiting = sum(bool(outcome.needs) for outcome in outcomes)
    passed = len(outcomes) - len(failed) - waiting
    print(say("parity_sum", language, passed=passed, failed=len(failed), waiting=waiting))
    if not passed and not failed:
        return 2
    return 1 if failed else 0


def header(language: str) -> str:
    titles = [
        say(f"parity_{column}", language) for column in ("case", "mean", "within", "latent", "seconds", "verdict")
    ]
    return "{:<26} {:>10} {:>10} {:>10} {:>8}  {}".format(*titles)


def row(outcome: Outcome, language: str) -> str:
    """One line of the table."""
    mean = "" if outcome.mean is None else f"{outcome.mean:.4f}"
    within = "" if outcome.within is None else f"{outcome.within:.3%}"
    latent = "" if outcome.latent is None else f"{outcome.latent:.1e}"
    return (
        f"{outcome.name:<26} {mean:>10} {within:>10} {latent:>10} {outcome.seconds:>8.1f}  {verdict(outcome, language)}"
    )


def verdict(outcome: Outcome, language: str) -> str:
    if outcome.needs:
        return say(outcome.needs, language)
    if outcome.error is not None:
        return say("parity_error", language, reason=explain(outcome.error, language))
    return say(f"parity_differs_{outcome.part}" if outcome.part else "parity_same", language)


if __name__ == "__main__":
    sys.exit(main())
