"""Runs of canaries and looks at gates, kept in SQLite. Rows are added, never changed; nothing is ever seeded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from pytest_rollout.errors import EvidenceError
from pytest_rollout.judge.history import CanaryRun, Looks

_PLACE = ("rollout", "environment", "target")


def _place() -> list[sa.Column[str]]:
    """Return columns for the fields of a Place; no two tables can share them."""
    return [sa.Column(name, sa.String, nullable=False) for name in _PLACE]


_TABLES = sa.MetaData()
_RUNS = sa.Table(
    "canary_runs",
    _TABLES,
    sa.Column("run_id", sa.String, primary_key=True),
    *_place(),
    sa.Column("canary", sa.String, nullable=False),
    sa.Column("started_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float, nullable=False),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("attachments", sa.String, nullable=False),
    sa.Index("by_canary", *_PLACE, "canary", "started_at"),
)
_LOOKS = sa.Table(
    "looks",
    _TABLES,
    *_place(),
    sa.Column("stage", sa.String, nullable=False),
    sa.Column("gate", sa.String, nullable=False),
    sa.Column("flipped_at", sa.Float, nullable=False),
    sa.Column("looked_at", sa.Float, nullable=False),
    sa.Index("by_gate", *_PLACE, "stage", "gate", "flipped_at"),
)
_NO_FLIP = 0.0
_OUTCOMES = frozenset({"ok", "failed", "error"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was seen. Evidence of one place says nothing of another, be it a second sandbox."""

    rollout: str
    environment: str
    target: str
    """The URL."""


class EvidenceLog:
    """One SQLite file, for several processes at once; a write is durable when it returns."""

    def __init__(self, path: Path, patience: float = 10.0) -> None:
        self.path = path
        self._patience = patience
        """Seconds to wait while another process writes."""
        self._engine: sa.Engine | None = None

    def add_run(self, run: CanaryRun, place: Place) -> None:
        """Append one run of a canary. Raises EvidenceError; then nothing was written."""
        if run.outcome not in _OUTCOMES:
            raise EvidenceError(f"a canary run cannot end as {run.outcome!r}")
        row = {
            "run_id": run.run_id,
            **asdict(place),
            "canary": run.canary,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "outcome": run.outcome,
            "message": run.message,
            "attachments": json.dumps(run.attachments),
        }
        with self._connection() as connection:
            connection.execute(_RUNS.insert(), row)

    def runs(self, canary: str, place: Place) -> list[CanaryRun]:
        """Return the runs of a canary in one place, oldest first. Raises EvidenceError."""
        mine = _all(_RUNS, {**asdict(place), "canary": canary})
        with self._connection() as connection:
            rows = connection.execute(sa.select(_RUNS).where(mine).order_by(_RUNS.c.started_at)).mappings().all()
        return [_run(row) for row in rows]

    def run(self, run_id: str) -> CanaryRun | None:
        """Return one run, or None if it was never recorded. Raises EvidenceError."""
        with self._connection() as connection:
            row = connection.execute(sa.select(_RUNS).where(_RUNS.c.run_id == run_id)).mappings().one_or_none()
        return _run(row) if row else None

    def look(self, place: Place, stage: str, gates: Sequence[str], flip: float | None, at: float) -> dict[str, Looks]:
        """Append that gates are looked at, and return by gate what is known of its looks since the flip.

        Raises EvidenceError; then nothing was written.
        """
        since = {**asdict(place), "stage": stage, "flipped_at": _NO_FLIP if flip is None else flip}
        mine = _all(_LOOKS, since)
        counted = sa.select(_LOOKS.c.gate, sa.func.count(), sa.func.min(_LOOKS.c.looked_at))
        with self._connection() as connection:
            connection.execute(_LOOKS.insert(), [{**since, "gate": gate, "looked_at": at} for gate in gates])
            rows = connection.execute(counted.where(mine).group_by(_LOOKS.c.gate)).all()
        return {gate: Looks(count, first) for gate, count, first in rows if gate in gates}

    def close(self) -> None:
        """Close the file."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        try:
            with self._opened().begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as exc:
            raise EvidenceError(
                f"the evidence log {self.path} cannot be used: {_cause(exc)}; "
                "check that the folder is writable and the disk not full, or give another file with --rollout-evidence"
            ) from exc

    def _opened(self) -> sa.Engine:
        if self._engine is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(f"sqlite:///{self.path}", connect_args={"timeout": self._patience})
            sa.event.listen(engine, "connect", _durable)
            with engine.begin() as connection:  # create_all looks first and creates then: two processes would collide
                for table in _TABLES.sorted_tables:
                    connection.execute(CreateTable(table, if_not_exists=True))
                    for index in table.indexes:
                        connection.execute(CreateIndex(index, if_not_exists=True))
            self._engine = engine
        return self._engine


def _all(table: sa.Table, wanted: Mapping[str, object]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[column] == value for column, value in wanted.items()))


def _durable(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _run(row: sa.RowMapping) -> CanaryRun:
    return CanaryRun(
        run_id=row["run_id"],
        canary=row["canary"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        message=row["message"],
        attachments=tuple(json.loads(row["attachments"])),
    )


def _cause(exc: Exception) -> str:
    return str(getattr(exc, "orig", None) or exc)
