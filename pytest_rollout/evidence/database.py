"""Where the evidence log is kept: a SQLite file or a PostgreSQL database."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence import schema, trouble

_POSTGRES = "postgresql"
_PAUSE = 0.01


class Database:
    """One file or database, for several processes at once; what a transaction wrote is durable when it ends."""

    def __init__(self, address: Path | str, patience: float, *, create: bool) -> None:
        self.where = str(address)
        self._url = url_of(address)
        self._patience = patience
        self._create = create
        self._engine: sa.Engine | None = None
        self._file: tuple[int, int] | None = None
        """Which file was opened: one that was put in its place later would be another log."""

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """Begin, and commit or roll back. One that reads sees one instant; of those that write there is one at a time.

        Raises EvidenceError if the database cannot be used; then nothing was written, unless PostgreSQL went away
        in the very moment of the commit.
        """
        try:
            with _begun(self._opened(), write=write) as connection:
                yield connection
        except SQLAlchemyError as exc:
            raise trouble.told(self.where, exc) from exc

    def now(self) -> float:
        """Return the time of the database if it has a clock, else of this machine, in unix seconds."""
        if self._url.get_backend_name() != _POSTGRES:
            return time.time()
        with self.transaction() as connection:
            return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> sa.Engine:
        if self._engine is not None and self._file != self._file_now():
            self.close()
            raise EvidenceError(
                f"the evidence log {self.where} was taken away or replaced while it was in use; "
                "put it back, and find out who did that"
            )
        if self._engine is None:
            engine = self._new_engine()
            try:
                self._make_ready(engine)
            except BaseException:
                engine.dispose()
                raise
            self._engine, self._file = engine, self._file_now()
        return self._engine

    def _file_now(self) -> tuple[int, int] | None:
        if self._url.get_backend_name() == _POSTGRES:
            return None
        try:
            found = Path(self._url.database or "").stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _new_engine(self) -> sa.Engine:
        if self._url.get_backend_name() == _POSTGRES:
            return _postgres(self._url, self._patience)
        file = Path(self._url.database or "")
        if not self._create and not file.is_file():
            raise self._missing()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise trouble.told(self.where, exc) from exc
        return _sqlite(self._url, self._patience)

    def _make_ready(self, engine: sa.Engine) -> None:
        with _begun(engine, write=False) as connection:
            found = schema.version(connection, self.where)
        if found is None and not self._create:
            raise self._missing()
        if found != schema.SCHEMA:
            with _begun(engine, write=True) as connection:
                schema.bring_forward(connection, self.where)

    def _missing(self) -> EvidenceError:
        return EvidenceError(
            f"there is no evidence log at {self.where}; give the file or URL of one with --rollout-evidence"
        )


def url_of(address: Path | str) -> sa.URL:
    """Return the URL that SQLAlchemy knows. Raises EvidenceError, without the credentials that may be in it."""
    if isinstance(address, Path) or "://" not in address:
        return sa.URL.create("sqlite", database=str(Path(address).absolute()))
    scheme = address.partition("://")[0]
    if scheme not in (_POSTGRES, "postgres"):
        raise EvidenceError(f"an evidence log is a file or postgresql://USER@HOST/DATABASE, and not {scheme}://")
    try:
        url = sa.make_url(address).set(drivername=f"{_POSTGRES}+psycopg")
    except (ArgumentError, ValueError):  # their text may hold the whole URL
        raise EvidenceError("the URL of an evidence log is like postgresql://USER@HOST/DATABASE; this is not") from None
    if url.password is not None or any("pass" in name.lower() for name in url.query):
        raise EvidenceError(
            "the URL of the evidence log has a password in it, which everybody on this machine can see; "
            "take it out, and set PGPASSWORD or write the password into ~/.pgpass"
        )
    return url


@contextmanager
def _begun(engine: sa.Engine, *, write: bool) -> Iterator[sa.Connection]:
    options: dict[str, Any] = {"evidence_write": write}
    if engine.name == _POSTGRES:  # who waits for the head has to see it as it is then
        options |= {"isolation_level": "READ COMMITTED" if write else "REPEATABLE READ"}
    with engine.connect() as plain:
        connection = plain.execution_options(**options)
        with connection.begin():
            yield connection


def _sqlite(url: sa.URL, patience: float) -> sa.Engine:
    """Return an engine whose transactions begin where they are begun, not at the first write as sqlite3 has it.

    After https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable.
    """
    engine = sa.create_engine(url, connect_args={"timeout": patience})

    @sa.event.listens_for(engine, "connect")
    def durable(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.text_factory = _text
        _write_ahead(connection, patience)
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("evidence_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection, patience: float) -> None:
    """Have who reads not wait for who writes.

    Two that turn a new file to WAL in the same moment would wait for each other, so SQLite refuses one of them at
    once and does not heed its timeout: https://sqlite.org/c3ref/busy_handler.html.
    """
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return


def _text(raw: bytes) -> str:
    """Read damaged text, too: then its hash does not fit, and the record can be named."""
    return raw.decode(errors="surrogateescape")


def _postgres(url: sa.URL, patience: float) -> sa.Engine:
    try:
        # A server that was restarted since the last use is asked again, not complained about.
        engine = sa.create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": max(2, math.ceil(patience))}
        )
    except ModuleNotFoundError as exc:
        raise EvidenceError(
            "an evidence log in PostgreSQL needs psycopg: pip install 'pytest-rollout[postgres]'"
        ) from exc

    @sa.event.listens_for(engine, "connect")
    def durable(connection: Any, _record: object) -> None:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{math.ceil(patience * 1000)}ms"])
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.commit()

    return engine
