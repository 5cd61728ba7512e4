"""What a migration would change: every row, the counts a person can read, and a digest to approve."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from sandbox.normalization.migration.columns import COLUMNS, Renamed, StageColumn, Stored
from sandbox.normalization.migration.steps import Steps

_CHUNK = 10_000


class Edit(NamedTuple):
    """One row's stage column, before and after."""

    table: str
    id: int
    before: str
    after: str


@dataclass(frozen=True)
class Plan:
    """The rows to change, and the counts per table of: rows, (old, new) values, unknown values."""

    edits: tuple[Edit, ...]
    rows: Mapping[str, int]
    highest: Mapping[str, int]
    renames: Mapping[tuple[str, str, str], int]
    unknown: Mapping[tuple[str, str], int]

    def as_json(self, steps: Steps) -> dict[str, Any]:
        """Return the plan as it is printed."""
        return {
            "digest": digest(self.edits, steps),
            "rows": dict(self.rows),
            "rows_to_change": len(self.edits),
            "changes": [
                {"table": table, "from": old, "to": new, "rows": rows}
                for (table, old, new), rows in sorted(self.renames.items())
            ],
            "quarantine": [
                {"table": table, "value": value, "rows": rows} for (table, value), rows in sorted(self.unknown.items())
            ],
        }


def make_plan(connection: Connection, steps: Steps) -> Plan:
    """Look at every row; changes nothing."""
    edits: list[Edit] = []
    rows: Counter[str] = Counter()
    renames: Counter[tuple[str, str, str]] = Counter()
    unknown: Counter[tuple[str, str]] = Counter()
    for column in COLUMNS:
        table = column.table.name
        for row, renamed in _renamed(connection, column, steps):
            rows[table] += 1
            renames.update((table, old, new) for old, new in renamed.renames)
            unknown.update((table, value) for value in renamed.unknown)
            if renamed.text != row.text:
                edits.append(Edit(table, row.id, row.text, renamed.text))
    highest = {column.table.name: column.highest(connection) for column in COLUMNS}
    return Plan(tuple(edits), rows, highest, renames, unknown)


def digest(edits: Iterable[Edit], steps: Steps) -> str:
    """Return the digest of what will change: every row's table, key, old and new text, in order."""
    return steps.digest(json.dumps(edit) for edit in sorted(set(edits)))


def _renamed(connection: Connection, column: StageColumn, steps: Steps) -> Iterator[tuple[Stored, Renamed]]:
    last, upto = 0, column.highest(connection)
    while rows := column.read(connection, after=last, upto=upto, most=_CHUNK):
        yield from ((row, column.rename(row.text, steps)) for row in rows)
        last = rows[-1].id
