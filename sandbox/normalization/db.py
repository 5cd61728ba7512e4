"""The tables, on SQLite: the API's data, the modes, and what the migration leaves behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ForeignKey, Index, UniqueConstraint, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE = "normalization.db"


class Base(DeclarativeBase):
    """The tables' registry."""


class Fund(Base):
    """A fund."""

    __tablename__ = "funds"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[str] = mapped_column("createdAt")


class Company(Base):
    """A company a fund has invested in (whole units); its stage may be in a historic spelling."""

    __tablename__ = "companies"
    __table_args__ = (Index("companies_by_stage", "fundId", "stage", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    fund_id: Mapped[int] = mapped_column("fundId", ForeignKey("funds.id"))
    name: Mapped[str]
    stage: Mapped[str]
    sector: Mapped[str]
    invested: Mapped[int]
    created_at: Mapped[str] = mapped_column("createdAt")
    updated_at: Mapped[str] = mapped_column("updatedAt")


class Strategy(Base):
    """A portfolio strategy; both allocations are JSON objects of name to share, the shares as decimal texts."""

    __tablename__ = "strategies"
    id: Mapped[int] = mapped_column(primary_key=True)
    fund_id: Mapped[int] = mapped_column("fundId", ForeignKey("funds.id"), index=True)
    name: Mapped[str]
    model_type: Mapped[str] = mapped_column("modelType")
    check_min: Mapped[int] = mapped_column("checkMin")
    check_max: Mapped[int] = mapped_column("checkMax")
    sector_allocation: Mapped[str] = mapped_column("sectorAllocation")
    stage_allocation: Mapped[str] = mapped_column("stageAllocation")
    created_at: Mapped[str] = mapped_column("createdAt")
    updated_at: Mapped[str] = mapped_column("updatedAt")


class ModeChange(Base):
    """One change of a mode, for good; ``at`` in unix seconds."""

    __tablename__ = "mode_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    endpoint: Mapped[str]
    cohort: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]
    actor: Mapped[str]
    reason: Mapped[str]
    at: Mapped[float]


class StageAudit(Base):
    """One value the migration has changed; ``run`` is the digest of the approved plan."""

    __tablename__ = "stage_audit"
    __table_args__ = (Index("stage_audit_by_row", "table_name", "row_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[str] = mapped_column(index=True)
    table_name: Mapped[str]
    row_id: Mapped[int]
    before: Mapped[str]
    after: Mapped[str]
    at: Mapped[str]


class StageQuarantine(Base):
    """One value the migration did not recognise and has left as it was."""

    __tablename__ = "stage_quarantine"
    __table_args__ = (UniqueConstraint("table_name", "row_id", "value"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    table_name: Mapped[str]
    row_id: Mapped[int]
    value: Mapped[str]
    at: Mapped[str]


def open_database(path: Path) -> Engine:
    """Open the database, with its tables; a writer waits up to 10 s for another."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10, "isolation_level": "IMMEDIATE"})
    event.listen(engine, "connect", _prepare)
    Base.metadata.create_all(engine)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of the database, whatever is written meanwhile."""
    with engine.begin() as connection:
        connection.exec_driver_sql("BEGIN")
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that is the only writer from its first statement on: what it reads stays true."""
    with engine.begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def _prepare(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for the writer
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
