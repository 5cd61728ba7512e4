"""The whole system by itself: a database, two instances, a load balancer in front of them.

The instances are processes of their own, as in a deployment: each has its own metrics, and takes up a flip in
its own time.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sandbox.components import Component, ComponentError, stop_all
from sandbox.normalization.config import Config
from sandbox.normalization.db import DATABASE, open_database
from sandbox.normalization.faults import FAULTS, UnknownFaultError, check_names
from sandbox.normalization.front import Front
from sandbox.normalization.mode_store import ModeStore
from sandbox.normalization.modes import ENDPOINTS, EVERYBODY, FLAG, Endpoint, Mode, ModeWish
from sandbox.normalization.seed import COMPANIES, seed
from sandbox.stack import LIFETIME_SECONDS, StopRequest

INSTANCES = 2
PROPAGATION_SECONDS, LONGEST_PROPAGATION = 0.2, 5.0
TOKEN_VARIABLE = "SANDBOX_NORMALIZATION_TOKEN"  # noqa: S105 - the variable's name
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Wish:
    """What the system is started with; without a ``directory`` it gets a temporary one."""

    modes: Mapping[Endpoint, Mode]
    companies: int = COMPANIES
    propagation: float = PROPAGATION_SECONDS
    faults: frozenset[str] = frozenset()
    traffic: bool = False
    directory: Path | None = None
    state: Path | None = None
    token: str = ""


def up(wish: Wish) -> int:
    """Run until told to stop and return the exit code: 0, or 1 if a process died.

    Prints ``address=127.0.0.1:port`` of the load balancer once everything answers. Raises ComponentError.
    """
    stop = StopRequest()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.ask())
    with ExitStack() as cleanup:
        directory = wish.directory or Path(tempfile.mkdtemp(prefix="normalization-sandbox-"))
        if wish.directory is None:
            cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        components: list[Component] = []
        cleanup.callback(lambda: stop_all(components))
        _start(wish, directory.resolve(), components, cleanup)
        return _watch(components, stop)


def create_database(directory: Path, modes: Mapping[Endpoint, Mode], companies: int = COMPANIES) -> Path:
    """Make a fresh database with the modes a deployment starts with, and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / DATABASE
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    seed(path, companies)
    engine = open_database(path)
    store = ModeStore(engine)
    for endpoint, mode in modes.items():
        store.change([endpoint], ModeWish(EVERYBODY, mode, "sandbox", "set at start"), at=time.time())
    engine.dispose()
    return path


def initial_modes(environment: Mapping[str, str]) -> dict[Endpoint, Mode]:
    """Return the modes that STAGE_VALIDATION_MODE and the endpoints' own variables ask for; ValueError if unknown."""
    usual = environment.get(FLAG, Mode.OFF)
    return {endpoint: Mode(environment.get(endpoint.flag, usual).strip().lower()) for endpoint in ENDPOINTS}


def _start(wish: Wish, directory: Path, components: list[Component], cleanup: ExitStack) -> None:
    """Start everything, tell the state, and say where it is."""
    database = create_database(directory, wish.modes, wish.companies)
    token = wish.token or secrets.token_urlsafe(24)
    for number in range(1, INSTANCES + 1):
        config = Config(database, number, wish.propagation * number / INSTANCES, wish.faults, token)
        name, module = f"instance-{number}", "sandbox.normalization.instance"
        components.append(_python(name, directory, module, env=config.to_environment()))
    front = Front([component.address for component in components])
    front.start()
    cleanup.callback(front.shutdown)
    state = _state(wish, database, token, front, [component.url for component in components])
    if wish.traffic:
        components.append(_python("traffic", directory, "sandbox.normalization.traffic", front.address))
    state_file = (wish.state or directory / "normalization.json").resolve()
    _write_private(state_file, state)
    cleanup.callback(state_file.unlink, missing_ok=True)
    print(f"address={front.address}\nstate: {state_file}", flush=True)  # noqa: T201 - who started it reads this


def _state(wish: Wish, database: Path, token: str, front: Front, instances: list[str]) -> dict[str, Any]:
    return {
        "id": uuid4().hex,
        "pid": os.getpid(),
        "target": f"http://{front.address}",
        "instances": instances,
        "flags": f"http://{front.address}",
        "flags_token": token,
        "database": str(database),
        "directory": str(database.parent),
        "faults": sorted(wish.faults),
        "migrate": _migration(database, wish.faults),
    }


def _migration(database: Path, faults: frozenset[str]) -> list[str]:
    """Return the command line of this release's migration, faults and all."""
    chosen = [part for name in sorted(faults) for part in ("--fault", name)]
    return [sys.executable, "-m", "sandbox.normalization.migrate", "--database", str(database), *chosen]


def _python(
    name: str, directory: Path, module: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Component:
    """Start a module of this package as a component."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    argv = [sys.executable, "-m", module, *arguments]
    return Component(name, argv, directory, ready="/healthz", env={"PYTHONPATH": path, **(env or {})})


def _write_private(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state in one step; it holds a token, so only its owner may read it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(state, file, indent=2)
    draft.replace(path)


def _watch(components: Sequence[Component], stop: StopRequest) -> int:
    deadline = time.monotonic() + LIFETIME_SECONDS
    while not stop.wait(_POLL_SECONDS) and time.monotonic() < deadline:
        for component in components:
            if component.process.poll() is not None:
                print(component.obituary(), file=sys.stderr)  # noqa: T201
                return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 a process died, 2 wrong usage."""
    given = _parser().parse_args(arguments)
    if given.list_faults:
        print(json.dumps([fault.as_json() for fault in FAULTS], indent=2))  # noqa: T201
        return 0
    try:
        return up(_wish(given))
    except (UnknownFaultError, ValueError) as error:
        return _complain(error, 2)
    except ComponentError as error:
        return _complain(error, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.normalization.app", description=__doc__)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="switch on a fault (repeatable)")
    parser.add_argument("--list-faults", action="store_true", help="print the faults as JSON and stop")
    parser.add_argument("--companies", type=int, default=COMPANIES, metavar="N", help="rows the database starts with")
    parser.add_argument(
        "--propagation",
        type=_propagation,
        default=PROPAGATION_SECONDS,
        metavar="SECONDS",
        help="after how many seconds the last instance takes up a flip (at most 5)",
    )
    parser.add_argument("--traffic", action="store_true", help="send traffic")
    parser.add_argument("--directory", type=Path, help="where data and logs go (default: a temporary directory)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="write the addresses here, as JSON")
    return parser


def _wish(given: argparse.Namespace) -> Wish:
    return Wish(
        modes=initial_modes(os.environ),
        companies=given.companies,
        propagation=given.propagation,
        faults=check_names(given.fault),
        traffic=given.traffic,
        directory=given.directory,
        state=given.state,
        token=os.environ.get(TOKEN_VARIABLE, ""),
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
