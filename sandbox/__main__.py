"""The sandbox's command line: ``python -m sandbox up`` and ``python -m sandbox faults``."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from sandbox.components import ComponentError, MissingBinaryError
from sandbox.faults import FAULTS, Fault, UnknownFaultError, check_names
from sandbox.prisma.config import FlagSetting
from sandbox.prisma.texts import LOCALES
from sandbox.stack import System, Wish, up

SYSTEMS = ("prisma", "normalization")
_ONLY = {"history": "prisma", "locale": "prisma", "migrated": "normalization"}
_Setting = TypeVar("_Setting")
_UNITS = {"s": 1, "m": 60, "h": 3600}


class UsageError(ValueError):
    """The command line asks for what there is not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 a component died, 2 wrong usage or a missing program."""
    given = _parser().parse_args(arguments)
    if given.command == "faults":
        return _list_faults(_faults(given.system), as_json=given.json)
    try:
        return up(_wish(given))
    except (UsageError, UnknownFaultError, MissingBinaryError) as error:
        return _complain(error, 2)
    except ComponentError as error:
        return _complain(error, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Systems to roll out, and their monitoring.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start everything and run until Ctrl-C")
    start.add_argument("--system", choices=SYSTEMS, default="prisma", help="what to roll out (default: prisma)")
    start.add_argument("--fault", action="append", default=[], metavar="NAME", help="switch on a fault (repeatable)")
    start.add_argument(
        "--flag", action="append", default=[], metavar="NAME=COHORT:VALUE", help="set a flag for a cohort (repeatable)"
    )
    start.add_argument("--directory", type=Path, help="where data and logs go (default: a temporary directory)")
    start.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="write the addresses here, as JSON (default: sandbox.json in the directory)",
    )
    start.add_argument("--leash", action="store_true", help="stop when standard input ends")
    _add_options_of_one_system(start)
    listing = commands.add_parser("faults", help="list the faults")
    listing.add_argument("--system", choices=SYSTEMS, help="of one system (default: of all)")
    listing.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _add_options_of_one_system(start: argparse.ArgumentParser) -> None:
    prisma = start.add_argument_group("prisma")
    prisma.add_argument("--history", type=_duration, metavar="45m", help="start with a past this long")
    prisma.add_argument("--locale", choices=LOCALES, help="language of the pages (default: en)")
    normalization = start.add_argument_group("normalization")
    normalization.add_argument(
        "--migrated", action="store_true", default=None, help="the serving database has been migrated"
    )


def _wish(given: argparse.Namespace) -> Wish:
    """Return what is to be started. Raises UsageError and UnknownFaultError."""
    for option, system in _ONLY.items():
        if getattr(given, option) is not None and given.system != system:
            raise UsageError(f"--{option} is an option of --system {system}, not of {given.system}")
    return Wish(_system(given), given.directory, given.state, given.leash)


def _system(given: argparse.Namespace) -> System:
    """Return the system; only its own modules are loaded."""
    faults = _check_faults(given.system, given.fault)
    if given.system == "normalization":
        from sandbox.normalization.system import FlagSetting as ModeSetting, Normalization

        return Normalization(faults, _flags(ModeSetting.parse, given.flag), migrated=bool(given.migrated))
    from sandbox.prisma.system import Prisma

    flags = _flags(FlagSetting.parse, given.flag)
    return Prisma(faults, flags, history=given.history or 0.0, locale=given.locale or "en")


def _flags(parse: Callable[[str], _Setting], texts: Sequence[str]) -> tuple[_Setting, ...]:
    try:
        return tuple(parse(text) for text in texts)
    except ValueError as error:
        raise UsageError(f"--flag: {error}") from error


def _check_faults(system: str, names: Sequence[str]) -> frozenset[str]:
    """Return the names as a set. Raises UnknownFaultError; a fault of another system is named as that."""
    if not names:
        return frozenset()  # and load no system for it
    try:
        return check_names(names, _faults(system))
    except UnknownFaultError:
        strangers = set(names) - {fault.name for fault in _faults(system)}
        for fault in _faults(None):
            if fault.name in strangers:
                told = f"{fault.name!r} is a fault of --system {fault.system}, not of {system}"
                raise UnknownFaultError(told) from None
        raise


def _faults(system: str | None) -> tuple[Fault, ...]:
    """Return the faults of one system, or of all."""
    if system == "prisma":
        return FAULTS
    from sandbox.normalization.faults import FAULTS as NORMALIZATION

    return NORMALIZATION if system else (*FAULTS, *NORMALIZATION)


def _list_faults(faults: Sequence[Fault], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([fault.as_json() for fault in faults], indent=2))  # noqa: T201
        return 0
    for system, group in groupby(faults, key=lambda fault: fault.system):
        print(f"# {system}")  # noqa: T201
        for fault in group:
            print(f"{fault.name}\n    {fault.does}\n    turns red: {', '.join(fault.turns_red)}")  # noqa: T201
    return 0


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
