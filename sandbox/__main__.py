"""The sandbox's command line: ``python -m sandbox up`` and ``python -m sandbox faults``."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.components import ComponentError, MissingBinaryError
from sandbox.faults import FAULTS, UnknownFaultError, check_names
from sandbox.prisma.config import FlagSetting
from sandbox.prisma.texts import LOCALES
from sandbox.stack import Wish, up

_UNITS = {"s": 1, "m": 60, "h": 3600}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 a component died, 2 wrong usage or a missing program."""
    given = _parser().parse_args(arguments)
    if given.command == "faults":
        return _list_faults(as_json=given.json)
    try:
        return up(_wish(given))
    except (UnknownFaultError, MissingBinaryError) as error:
        return _complain(error, 2)
    except ComponentError as error:
        return _complain(error, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The reference target and its monitoring.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and run until Ctrl-C")
    start.add_argument("--fault", action="append", default=[], metavar="NAME", help="switch on a fault (repeatable)")
    start.add_argument(
        "--flag",
        action="append",
        default=[],
        type=_flag,
        metavar="NAME=COHORT:true|false",
        help="set a flag for a cohort (repeatable)",
    )
    start.add_argument("--history", type=_duration, default=0.0, metavar="45m", help="start with a past this long")
    start.add_argument("--locale", choices=LOCALES, default="en", help="language of the pages")
    start.add_argument("--directory", type=Path, help="where data and logs go (default: a temporary directory)")
    start.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="write the addresses here, as JSON (default: sandbox.json in the directory)",
    )
    start.add_argument("--leash", action="store_true", help="stop when standard input ends")
    listing = commands.add_parser("faults", help="list the faults")
    listing.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _wish(given: argparse.Namespace) -> Wish:
    return Wish(
        faults=check_names(given.fault),
        flags=tuple(given.flag),
        history=given.history,
        locale=given.locale,
        directory=given.directory,
        state=given.state,
        leash=given.leash,
    )


def _list_faults(*, as_json: bool) -> int:
    if as_json:
        print(json.dumps([fault.as_json() for fault in FAULTS], indent=2))  # noqa: T201
        return 0
    for fault in FAULTS:
        print(f"{fault.name}\n    {fault.does}\n    turns red: {', '.join(fault.turns_red)}")  # noqa: T201
    return 0


def _flag(text: str) -> FlagSetting:
    try:
        return FlagSetting.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _duration(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 90s, 45m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _complain(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
