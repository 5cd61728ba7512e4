"""normalize-stages: give every stored stage its canonical name.

``--plan`` says what would change and changes nothing; ``--apply DIGEST`` does that and nothing else.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from sandbox.faults import UnknownFaultError
from sandbox.normalization.db import StageQuarantine, open_database, reading
from sandbox.normalization.faults import steps_with
from sandbox.normalization.migration.batches import BATCH_ROWS, Batch, MismatchError, PlanChangedError, apply
from sandbox.normalization.migration.plan import make_plan
from sandbox.normalization.migration.snapshot import SnapshotError, restore, take
from sandbox.normalization.migration.steps import Steps
from sandbox.normalization.migration.verification import verify

_LARGEST_BATCH = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 refused or not verified, 2 wrong usage.

    Answers are JSON, one object a line, on standard output.
    """
    given = _parser().parse_args(arguments)
    if not given.database.is_file():
        return _complain(f"there is no database {given.database}", 2)
    try:
        steps = steps_with(given.fault)
    except UnknownFaultError as error:
        return _complain(error, 2)
    engine = open_database(given.database)
    try:
        return 0 if _run(engine, given, steps) else 1
    except MismatchError as error:
        _print(error.batch.as_json())
        return _complain(error, 1)
    except (PlanChangedError, SnapshotError) as error:
        return _complain(error, 1)
    finally:
        engine.dispose()


def migrate_all(database: Path, snapshot: Path, faults: Iterable[str]) -> None:
    """Take a snapshot and migrate, as far as the migration comes with these faults; prints as the commands do."""
    engine, steps = open_database(database), steps_with(faults)
    try:
        take(engine, snapshot)
        with reading(engine) as connection:
            digest = make_plan(connection, steps).as_json(steps)["digest"]
        _apply(engine, digest, BATCH_ROWS, steps)
    except (MismatchError, PlanChangedError) as error:
        _complain(error, 1)
    finally:
        engine.dispose()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.normalization.migrate", description=__doc__)
    parser.add_argument("--database", type=Path, required=True, metavar="FILE")
    command = parser.add_mutually_exclusive_group(required=True)
    command.add_argument("--plan", action="store_true", help="print counts per old and new value, and the digest")
    command.add_argument("--apply", metavar="DIGEST", help="apply the plan of this digest, or finish it")
    command.add_argument("--verify", type=Path, metavar="SNAPSHOT", help="compare with the snapshot from before")
    command.add_argument("--quarantine", action="store_true", help="print every unknown value that was set aside")
    command.add_argument("--snapshot", type=Path, metavar="FILE", help="write a snapshot")
    command.add_argument("--restore", type=Path, metavar="FILE", help="put a snapshot back")
    parser.add_argument("--batch-size", type=_batch_size, default=BATCH_ROWS, metavar="ROWS")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="switch on a fault (repeatable)")
    return parser


def _run(engine: Engine, given: argparse.Namespace, steps: Steps) -> bool:
    """Run the one command that was given and return whether it is well."""
    commands: Mapping[str, Callable[[], bool]] = {
        "plan": lambda: _plan(engine, steps),
        "apply": lambda: _apply(engine, given.apply, given.batch_size, steps),
        "verify": lambda: _verify(engine, given.verify),
        "quarantine": lambda: _quarantine(engine),
        "snapshot": lambda: _print({"snapshot": str(given.snapshot), **take(engine, given.snapshot)}),
        "restore": lambda: _print({"restored": restore(engine, given.restore, steps).as_json()}),
    }
    chosen = next(name for name in commands if getattr(given, name))
    return commands[chosen]()


def _plan(engine: Engine, steps: Steps) -> bool:
    with reading(engine) as connection:
        plan = make_plan(connection, steps)
        steps.planned(connection, plan.edits)
    return _print(plan.as_json(steps))


def _apply(engine: Engine, digest: str, size: int, steps: Steps) -> bool:
    updated = apply(engine, digest, size, steps, _say)
    with reading(engine) as connection:
        aside = connection.scalar(select(func.count()).select_from(StageQuarantine))
    return _print({"applied": digest, "updated": updated, "quarantined": aside})


def _say(batch: Batch) -> None:
    _print(batch.as_json())


def _quarantine(engine: Engine) -> bool:
    aside = StageQuarantine
    wanted = select(aside.table_name, aside.row_id, aside.value, aside.at).order_by(aside.table_name, aside.row_id)
    with reading(engine) as connection:
        return all(_print(dict(row)) for row in connection.execute(wanted).mappings())


def _verify(engine: Engine, snapshot: Path) -> bool:
    report = verify(engine, snapshot)
    _print(report.as_json())
    return report.passed


def _batch_size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_BATCH:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows from 1 to {_LARGEST_BATCH}")
    return int(text)


def _print(answer: Mapping[str, Any]) -> bool:
    """Print one line at once: whoever watches must not see it later than the database does."""
    print(json.dumps(answer, ensure_ascii=False), flush=True)  # noqa: T201
    return True


def _complain(error: object, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
