"""Verify a migration: today's rows against a snapshot from before, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, select

from sandbox.normalization.allocations import from_text
from sandbox.normalization.db import StageAudit, StageQuarantine, reading
from sandbox.normalization.migration.columns import COLUMNS, StageColumn, allocation
from sandbox.normalization.migration.snapshot import Row, rows_of
from sandbox.normalization.migration.steps import Steps
from sandbox.normalization.weights import is_one

CHECKS = {
    "keys": "no row is missing and none has come in between",
    "other-columns": "every other column is as it was",
    "mapping": "every stage is what its old text maps to, and a valid one is unchanged",
    "canonical": "every stage is canonical, or in the quarantine list",
    "sums": "every allocation sums to 1",
    "audited": "every changed row has its audit row",
}
_EXAMPLES = 3
_HEALTHY = Steps()


@dataclass
class Report:
    """What was found: rows compared, rows later than the snapshot, and what is wrong per check."""

    rows: int = 0
    later: int = 0
    changed: int = 0
    wrong: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in CHECKS})

    @property
    def passed(self) -> bool:
        """Whether rows were compared and nothing is wrong."""
        return self.rows > 0 and not any(self.wrong.values())

    def as_json(self) -> dict[str, Any]:
        """Return the report as it is printed."""
        checks = [
            {"name": name, "means": CHECKS[name], "wrong": len(places), "examples": places[:_EXAMPLES]}
            for name, places in self.wrong.items()
        ]
        counts = {"rows": self.rows, "changed": self.changed, "later": self.later}
        return {"passed": self.passed, **counts, "checks": checks}


@dataclass(frozen=True)
class _Trail:
    """What the migration says it did: the last audit row of every row, and the quarantined values."""

    audit: dict[tuple[str, int], tuple[str, str]]
    quarantine: frozenset[tuple[str, int, str]]

    @classmethod
    def read(cls, connection: Connection) -> "_Trail":
        audit, aside = StageAudit, StageQuarantine
        rows = select(audit.table_name, audit.row_id, audit.before, audit.after).order_by(audit.id)
        values = select(aside.table_name, aside.row_id, aside.value)
        return cls(
            {(table, key): (before, after) for table, key, before, after in connection.execute(rows)},
            frozenset((table, key, value) for table, key, value in connection.execute(values)),
        )


class _Pair(NamedTuple):
    """A row before and now; None where it is missing."""

    before: Row | None
    now: Row | None


def verify(engine: Engine, snapshot: Path) -> Report:
    """Compare every row with the snapshot from before the migration; raises SnapshotError."""
    report = Report()
    with reading(engine) as connection:
        trail = _Trail.read(connection)
        for column in COLUMNS:
            table = column.table
            old = (row for name, row in rows_of(snapshot) if name == table.name)
            new = (list(row) for row in connection.execute(select(table).order_by(table.c.id)))
            for pair in _paired(old, new, report):
                _compare(report, column, pair, trail)
    return report


def _paired(old: Iterator[Row], new: Iterator[Row], report: Report) -> Iterator[_Pair]:
    """Pair rows by key, both sides being in that order; rows later than the whole snapshot are only counted."""
    before, now = next(old, None), next(new, None)
    while before is not None:
        if now is None or before[0] < now[0]:
            yield _Pair(before, None)
            before = next(old, None)
        elif now[0] < before[0]:
            yield _Pair(None, now)
            now = next(new, None)
        else:
            yield _Pair(before, now)
            before, now = next(old, None), next(new, None)
    report.later += sum(1 for _ in new) + (now is not None)


def _compare(report: Report, column: StageColumn, pair: _Pair, trail: _Trail) -> None:
    if pair.before is None or pair.now is None:
        row = pair.before or pair.now or []
        report.wrong["keys"].append(f"{column.table.name} {row[0]}")
        return
    report.rows += 1
    place = column.table.columns.keys().index(column.name)
    old, new, key = pair.before[place], pair.now[place], pair.now[0]
    report.changed += old != new
    holds = {
        "other-columns": _without(pair.before, place) == _without(pair.now, place),
        "mapping": new == column.rename(old, _HEALTHY).text,
        "canonical": _is_canonical(column, key, new, trail),
        "sums": column.rename is not allocation or is_one(from_text(new).values()),
        "audited": old == new or trail.audit.get((column.table.name, key)) == (old, new),
    }
    for name in (name for name, fine in holds.items() if not fine):
        report.wrong[name].append(f"{column.table.name} {key}")


def _without(row: Row, place: int) -> Row:
    return row[:place] + row[place + 1 :]


def _is_canonical(column: StageColumn, key: int, text: str, trail: _Trail) -> bool:
    renamed = column.rename(text, _HEALTHY)
    aside = all((column.table.name, key, value) in trail.quarantine for value in renamed.unknown)
    return aside and not renamed.renames
