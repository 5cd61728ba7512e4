"""Apply an approved plan, in batches: each one transaction, with its audit rows and its quarantine."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite

from sandbox.normalization.db import StageAudit, StageQuarantine, reading, writing
from sandbox.normalization.migration.columns import COLUMNS, Renamed, StageColumn, Stored
from sandbox.normalization.migration.plan import Edit, Plan, digest, make_plan
from sandbox.normalization.migration.steps import Steps

BATCH_ROWS = 5000


@dataclass(frozen=True)
class Batch:
    """What one batch did: its keys, its rows, those updated, those not as approved, and unknown values set aside."""

    table: str
    first: int
    last: int
    rows: int
    updated: int
    mismatches: int
    quarantined: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the batch as it is logged."""
        return {"batch": asdict(self)}


class PlanChangedError(RuntimeError):
    """The data is not what the approved plan was made from."""


class MismatchError(RuntimeError):
    """A batch did not leave what it should have, and was rolled back."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(
            f"{batch.mismatches} rows of {batch.table} between {batch.first} and {batch.last} are not as approved; "
            "the batch was rolled back; look at --plan again"
        )
        self.batch = batch


@dataclass(frozen=True)
class _Job:
    run: str
    size: int
    steps: Steps
    approved: frozenset[Edit]


def apply(engine: Engine, approved: str, size: int, steps: Steps, say: Callable[[Batch], None]) -> int:
    """Apply the plan of this digest and return the number of rows updated; every batch is told once it is durable.

    A plan that was interrupted goes on: what is left to do and what the audit says was done must together be
    what was approved. Raises PlanChangedError before the first change, and MismatchError.
    """
    with reading(engine) as connection:
        plan = make_plan(connection, steps)
        _require_approved(plan, _done(connection, approved), approved, steps)
    job, updated = _Job(approved, size, steps, frozenset(plan.edits)), 0
    for column in COLUMNS:
        for batch in _batches(engine, column, plan.highest[column.table.name], job):
            say(batch)
            updated += batch.updated
    return updated


def _require_approved(plan: Plan, done: Sequence[Edit], approved: str, steps: Steps) -> None:
    now = digest((*plan.edits, *done), steps)
    if now != approved:
        raise PlanChangedError(
            f"the data is not what the plan was made from: approved {approved}, now {now}; "
            "nothing was changed; look at --plan again"
        )


def _done(connection: Connection, run: str) -> list[Edit]:
    audit = StageAudit
    wanted = select(audit.table_name, audit.row_id, audit.before, audit.after).where(audit.run == run)
    return [Edit(*row) for row in connection.execute(wanted)]


def _batches(engine: Engine, column: StageColumn, upto: int, job: _Job) -> Iterator[Batch]:
    """Run the batches up to the plan's highest key: later rows were written by the new release."""
    last = 0
    while batch := _batch(engine, column, last, upto, job):
        yield batch
        last = batch.last


def _batch(engine: Engine, column: StageColumn, after: int, upto: int, job: _Job) -> Batch | None:
    """Run one batch; None if there is nothing left."""
    started = time.perf_counter()
    with writing(engine) as connection:
        rows = column.read(connection, after=after, upto=upto, most=job.size)
        if not rows:
            return None
        renamed = [(row, column.rename(row.text, job.steps)) for row in job.steps.looked_at(rows)]
        edits = [Edit(column.table.name, row.id, row.text, new.text) for row, new in renamed if new.text != row.text]
        batch = Batch(
            table=column.table.name,
            first=rows[0].id,
            last=rows[-1].id,
            rows=len(rows),
            updated=_update(connection, column, edits, job.steps),
            mismatches=len(set(edits) - job.approved) + _mismatches(connection, column, renamed),
            quarantined=_set_aside(connection, column, renamed),
            seconds=0.0,
        )
        _audit(connection, edits, job)
        if batch.mismatches:
            raise MismatchError(batch)
    return replace(batch, seconds=round(time.perf_counter() - started, 4))


def _update(connection: Connection, column: StageColumn, edits: Sequence[Edit], steps: Steps) -> int:
    """Change the rows that still have the text they were read with."""
    table, stage = column.table, column.table.c[column.name]
    same = (table.c.id == bindparam("key"), stage == bindparam("before"))
    touched = {name: _now() for name in steps.touches}
    statement = update(table).where(*same).values({stage: bindparam("after"), **touched})
    values = [{"key": edit.id, "before": edit.before, "after": edit.after} for edit in edits]
    return connection.execute(statement, values).rowcount if values else 0


def _mismatches(connection: Connection, column: StageColumn, renamed: Sequence[tuple[Stored, Renamed]]) -> int:
    """Read the rows again and count those that are not as they should be."""
    if not renamed:
        return 0
    first, last = renamed[0][0].id, renamed[-1][0].id
    found = column.read(connection, after=first - 1, upto=last, most=len(renamed) + 1)
    return len({Stored(row.id, new.text) for row, new in renamed}.difference(found))


def _set_aside(connection: Connection, column: StageColumn, renamed: Sequence[tuple[Stored, Renamed]]) -> int:
    """List the unknown values; one that is listed already stays as it is."""
    values = [
        {"table_name": column.table.name, "row_id": row.id, "value": value, "at": _now()}
        for row, new in renamed
        for value in new.unknown
    ]
    if values:
        connection.execute(sqlite.insert(StageQuarantine).on_conflict_do_nothing(), values)
    return len(values)


def _audit(connection: Connection, edits: Sequence[Edit], job: _Job) -> None:
    values = [
        {
            "run": job.run,
            "table_name": edit.table,
            "row_id": edit.id,
            "before": edit.before,
            "after": edit.after,
            "at": _now(),
        }
        for edit in job.steps.audited(edits)
    ]
    if values:
        connection.execute(insert(StageAudit), values)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
