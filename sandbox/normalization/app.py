"""One deployment by itself, as a program: ``python -m sandbox.normalization.app``."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.components import ComponentError, start_python
from sandbox.faults import UnknownFaultError, check_names
from sandbox.normalization.config import COMPANIES, PROPAGATION_SECONDS, TOKEN_VARIABLE
from sandbox.normalization.deployment import Deployment, Wish
from sandbox.normalization.faults import FAULTS
from sandbox.normalization.modes import ENDPOINTS, FLAG, Endpoint, Mode
from sandbox.supervision import supervised

LONGEST_PROPAGATION = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 a process died, 2 wrong usage."""
    given = _parser().parse_args(arguments)
    try:
        return _up(given, _wish(given))
    except (UnknownFaultError, ValueError) as error:
        return _complain(error, 2)
    except ComponentError as error:
        return _complain(error, 1)


def initial_modes(environment: Mapping[str, str]) -> dict[Endpoint, Mode]:
    """Return the modes that STAGE_VALIDATION_MODE and the endpoints' own variables ask for; ValueError if unknown."""
    usual = environment.get(FLAG, Mode.OFF)
    return {endpoint: Mode(environment.get(endpoint.flag, usual).strip().lower()) for endpoint in ENDPOINTS}


def _up(given: argparse.Namespace, wish: Wish) -> int:
    """Run until told to stop; prints ``address=127.0.0.1:port`` once everything answers."""
    with supervised(given.directory, name="normalization") as supervision:
        deployment = Deployment(wish, supervision)
        state_file = (given.state or supervision.directory / "normalization.json").resolve()
        if given.traffic:
            front = deployment.front.address
            supervision.keep(start_python("traffic", supervision.directory, "sandbox.normalization.traffic", front))
        supervision.publish(state_file, deployment.state())
        print(f"address={deployment.front.address}\nstate: {state_file}", flush=True)  # noqa: T201 - it is read
        return supervision.watch(deployment.follow)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.normalization.app", description=__doc__)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="switch on a fault (repeatable)")
    parser.add_argument("--companies", type=int, default=COMPANIES, metavar="N", help="rows the database starts with")
    parser.add_argument(
        "--propagation",
        type=_propagation,
        default=PROPAGATION_SECONDS,
        metavar="SECONDS",
        help="after how many seconds the last instance takes up a flip (at most 5)",
    )
    parser.add_argument("--traffic", action="store_true", help="send traffic")
    parser.add_argument("--migrate", type=Path, metavar="SNAPSHOT", help="migrate first; the snapshot goes here")
    parser.add_argument("--directory", type=Path, help="where data and logs go (default: a temporary directory)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="write the addresses here, as JSON")
    return parser


def _wish(given: argparse.Namespace) -> Wish:
    return Wish(
        modes=initial_modes(os.environ),
        companies=given.companies,
        propagation=given.propagation,
        faults=check_names(given.fault, FAULTS),
        token=os.environ.get(TOKEN_VARIABLE, ""),
        snapshot=given.migrate,
    )


def _propagation(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= LONGEST_PROPAGATION:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 0 to {LONGEST_PROPAGATION:g} seconds")
    return seconds


def _complain(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
