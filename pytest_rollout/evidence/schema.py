"""The form of the evidence log: made where there is none, brought forward where it is old, else refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.appending import Appending
from pytest_rollout.evidence.record import EMPTY, Entry, Kind, Place
from pytest_rollout.evidence.tables import HEAD, TABLES, VERSION

SCHEMA = 2
"""1 was tables of runs and of looks, without a chain."""
_FIRST = ("canary_runs", "looks")


def version(connection: sa.Connection, where: str) -> int | None:
    """Return the version of a log's form; None if there is no log. Raises EvidenceError if it is not known here."""
    tables = sa.inspect(connection).get_table_names()
    if VERSION.name not in tables:
        if left := sorted(TABLES.tables.keys() & tables):
            raise EvidenceError(
                f"the evidence log {where} has a table {left[0]} and no schema version; restore it from a copy, "
                "or give it a database of its own"
            )
        return 1 if set(_FIRST) & set(tables) else None
    rows = connection.execute(sa.select(VERSION.c.version)).all()
    if len(rows) != 1:
        raise EvidenceError(f"the evidence log {where} has {len(rows)} schema versions; restore it from a copy")
    found = int(rows[0].version)
    if found != SCHEMA:  # 1 has no version in it
        raise EvidenceError(
            f"the evidence log {where} has schema {found}, and {SCHEMA} is known here; update pytest-rollout"
        )
    return found


def bring_forward(connection: sa.Connection, where: str) -> None:
    """Make the tables, and records of what an older form has. All of it is in the transaction of the connection."""
    if connection.dialect.name == "postgresql":  # SQLite's transaction keeps others out by itself
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('pytest-rollout evidence'))"))
    if version(connection, where) == SCHEMA:  # another process was quicker
        return
    tables = [name for name in _FIRST if sa.inspect(connection).has_table(name)]
    TABLES.create_all(connection)
    connection.execute(VERSION.insert(), {"version": SCHEMA})
    connection.execute(HEAD.insert(), asdict(EMPTY))
    entries = {"canary_runs": _runs, "looks": _looks}
    Appending(connection, where).append([entry for name in tables for entry in entries[name](connection)])
    for name in tables:
        connection.execute(sa.text(f"DROP TABLE {name}"))


def _runs(connection: sa.Connection) -> Iterator[Entry]:
    for row in _rows(connection, "canary_runs", "started_at, run_id"):
        told = {name: row[name] for name in ("run_id", "started_at", "ended_at", "outcome", "message")}
        yield Entry(
            kind=Kind.CANARY_RUN,
            place=_place(row),
            subject=row["canary"],
            at=row["started_at"],
            key=f"run:{row['run_id']}",
            data={**told, "attachments": json.loads(row["attachments"])},
        )


def _looks(connection: sa.Connection) -> Iterator[Entry]:
    first: dict[tuple[Any, ...], tuple[int, float]] = {}
    for row in _rows(connection, "looks", "looked_at"):
        place, flip = _place(row), row["flipped_at"] or None
        subject = f"{row['stage']}/{row['gate']}" + ("" if flip is None else f"@{flip}")
        count, first_at = first.get((place, subject), (0, row["looked_at"]))
        first[place, subject] = count + 1, first_at
        data = {"flip": flip, "count": count + 1, "first_at": first_at}
        yield Entry(kind=Kind.LOOK, place=place, subject=subject, at=row["looked_at"], data=data)


def _rows(connection: sa.Connection, table: str, order: str) -> list[sa.RowMapping]:
    return list(connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY {order}")).mappings())  # noqa: S608


def _place(row: sa.RowMapping) -> Place:
    return Place(row["rollout"], row["environment"], row["target"])
