"""What tests of the evidence log share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from pytest_rollout.evidence.database import url_of
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Kind, Place
from pytest_rollout.evidence.verify import Broken, verify

Address = Path | str
PLACE = Place("shop", "staging", "http://shop")


class Open(Protocol):
    """Opens a log that is closed at the end of the test."""

    def __call__(self, address: Address, patience: float = 10.0) -> EvidenceLog: ...


def entry(subject: str = "smoke", at: float = 1.0, *, kind: Kind = Kind.CANARY_RUN, **other: Any) -> Entry:
    """Return something to be recorded."""
    return Entry(**{"kind": kind, "place": PLACE, "subject": subject, "at": at, **other})


def read(log: EvidenceLog, subject: str = "smoke", since: float | None = None) -> list[float]:
    """Return the times of the records of a canary."""
    return [record.at for record in log.read(Kind.CANARY_RUN, PLACE, subject, since=since)]


def broken(log: EvidenceLog) -> Broken | None:
    """Return what `rollout evidence verify` finds."""
    with log.snapshot() as kept:
        return verify(kept.kept_records(), kept.kept_head(), kept.kept_counts())


@contextmanager
def tampering(address: Address) -> Iterator[sa.Connection]:
    """Change a log behind its back, as whoever holds it can."""
    engine = sa.create_engine(url_of(address))
    with closing(engine.connect()) as connection, connection.begin():
        yield connection
    engine.dispose()


def execute(address: Address, statement: str, values: Mapping[str, object] | None = None) -> None:
    """Change a log behind its back by one statement."""
    with tampering(address) as connection:
        connection.execute(sa.text(statement), values or {})
