"""The evidence log: append-only records, each with the hash of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from pytest_rollout.evidence.appending import Appending
from pytest_rollout.evidence.database import Database
from pytest_rollout.evidence.leases import Fence, check_fence
from pytest_rollout.evidence.record import Entry, Head, Kind, Place, Record
from pytest_rollout.evidence.snapshot import Snapshot


class EvidenceLog:
    """A SQLite file, or a PostgreSQL database by its URL. Every method raises EvidenceError.

    Records are added, never changed; what was appended is durable when ``append`` returns.
    """

    def __init__(self, address: Path | str, patience: float = 10.0, *, create: bool = True) -> None:
        """Name a file or a ``postgresql://`` URL; it is opened when it is used.

        ``patience``: seconds to wait while another process writes. ``create``: make a log where there is none.
        """
        self.address = address
        self._database = Database(address, patience, create=create)

    def append(self, entries: Sequence[Entry], *, fence: Fence | None = None) -> Head:
        """Append all entries or none, and return the new head.

        Raises AlreadyRecorded if a key is there, FencedOut if somebody else took the lease over.
        """
        with self.appending(fence) as log:
            return log.append(entries)

    def read(self, kind: Kind, place: Place, subject: str, *, since: float | None = None) -> list[Record]:
        """Return the records of a stream with ``at`` >= since, in the order they were appended.

        Raises EvidenceError unless it is proven that these are all.
        """
        with self.snapshot() as log:
            return log.read(kind, place, subject, since)

    def latest(self, kind: Kind, place: Place, subject: str, *, since: float | None = None) -> Record | None:
        """Return the last one of ``read``, however many there are; None if there is none."""
        with self.snapshot() as log:
            return log.latest(kind, place, subject, since)

    def by_key(self, key: str) -> Record | None:
        """Return the record with a key; None if there is none, which is no proof that there never was one."""
        with self.snapshot() as log:
            return log.by_key(key)

    def head(self) -> Head:
        """Return how many records there are, and the hash of the last one."""
        with self.snapshot() as log:
            return log.head()

    def had(self, head: Head) -> bool:
        """Whether the log had this head once, or has it now."""
        with self.snapshot() as log:
            return log.had(head)

    def records(self, after: int = 0) -> Iterator[Record]:
        """Yield all records after a seq, in order, as they were when the first was asked for."""
        with self.snapshot() as log:
            yield from log.records(after)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Read several things of one instant."""
        with self._database.transaction() as connection:
            yield Snapshot(connection, self._database.where)

    @contextmanager
    def appending(self, fence: Fence | None = None) -> Iterator[Appending]:
        """Append what depends on what is there: nobody else appends meanwhile."""
        with self._database.transaction(write=True) as connection:
            log = Appending(connection, self._database.where)
            if fence is not None:
                check_fence(connection, fence)
            yield log

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Change what stands beside the records."""
        with self._database.transaction(write=True) as connection:
            yield connection

    def now(self) -> float:
        """Return the database's time for PostgreSQL, which all machines share; this machine's else."""
        return self._database.now()

    def close(self) -> None:
        """Close it; the next use opens it again."""
        self._database.close()
