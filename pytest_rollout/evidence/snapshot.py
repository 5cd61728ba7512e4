"""The evidence log as it stands at one instant: what is read is checked, and what is missing is noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

import sqlalchemy as sa

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.record import EMPTY, Head, Kind, Place, Record, Stored, StreamName
from pytest_rollout.evidence.tables import HEAD, RECORDS, STREAMS

_COLUMNS = [RECORDS.c[name] for name in Stored._fields]
_MINE = RECORDS.c.stream == sa.bindparam("stream")
_SINCE = sa.bindparam("since", type_=sa.Double)
_LAST_FIRST = (RECORDS.c.peak.desc(), RECORDS.c.nth.desc())

_HEAD = sa.select(HEAD.c.count, HEAD.c.hash)
_TAIL = sa.select(RECORDS.c.seq, RECORDS.c.hash).order_by(RECORDS.c.seq.desc()).limit(1)
_STREAM = sa.select(STREAMS.c.id, STREAMS.c.count, STREAMS.c.peak).where(
    *(STREAMS.c[name] == sa.bindparam(name) for name in StreamName._fields)
)
_COUNTS = sa.select(*(STREAMS.c[name] for name in StreamName._fields), STREAMS.c.count)
_TOTAL = sa.select(sa.func.coalesce(sa.func.sum(STREAMS.c.count), 0))
_BEFORE = sa.select(RECORDS.c.nth).where(_MINE, RECORDS.c.peak < _SINCE).order_by(*_LAST_FIRST).limit(1)
_FROM = sa.select(*_COLUMNS).where(_MINE, RECORDS.c.peak >= _SINCE).order_by(RECORDS.c.peak, RECORDS.c.nth)
_LAST = sa.select(*_COLUMNS).where(_MINE).order_by(*_LAST_FIRST).limit(1)
_AT = sa.select(*_COLUMNS).where(RECORDS.c.seq == sa.bindparam("seq"))
_KEYED = sa.select(*_COLUMNS).where(RECORDS.c.key == sa.bindparam("key"))
_AFTER = sa.select(*_COLUMNS).where(RECORDS.c.seq > sa.bindparam("after")).order_by(RECORDS.c.seq)
_PAGE = 1000
_EVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Stream:
    """How many records a stream has to have, and their latest time."""

    id: int
    count: int
    peak: float


class Snapshot:
    """A transaction that reads.

    Whatever is handed out is intact, and is all there is: a stream numbers its records, so its count and the numbers
    of those that are there show a missing one wherever it was. The cost is that of reading what is handed out.
    EvidenceError says what is not whole.
    """

    def __init__(self, connection: sa.Connection, where: str) -> None:
        self._connection = connection
        self._where = where
        self._known_head: Head | None = None

    def head(self) -> Head:
        """Return the head, which agrees with the last record."""
        if self._known_head is None:
            self._known_head = self._checked_head()
        return self._known_head

    def had(self, head: Head) -> bool:
        """Whether the log had this head once, or has it now."""
        if head.count > self.head().count:
            return False
        row = self._connection.execute(_AT, {"seq": head.count}).one_or_none()
        if row is None and head.count:
            self._not_whole(f"record {head.count} is missing")
        return head == (self._checked(Stored(*row)).head if row else EMPTY)

    def read(self, kind: Kind, place: Place, subject: str, since: float | None = None) -> list[Record]:
        """Return the records of a stream with ``at`` >= since, in the order they were appended."""
        name = StreamName.of(kind, place, subject)
        stream = self._stream(name)
        if stream is None:
            return []
        known = {"stream": stream.id, "since": _EVER if since is None else since}
        before = self._connection.execute(_BEFORE, known).scalar() or 0
        rows = [Stored(*row) for row in self._connection.execute(_FROM, known)]
        self._refuse_gaps(stream, before, rows)
        records = [self._checked(row, name) for row in rows]
        return [record for record in records if record.at >= known["since"]]

    def latest(self, kind: Kind, place: Place, subject: str, since: float | None = None) -> Record | None:
        """Return the last one of ``read``, however many there are; None if there is none."""
        name = StreamName.of(kind, place, subject)
        stream = self._stream(name)
        if stream is None:
            return None
        row = self._connection.execute(_LAST, {"stream": stream.id}).one_or_none()
        rows = [Stored(*row)] if row else []
        self._refuse_gaps(stream, stream.count - 1, rows)
        last = self._checked(rows[0], name)
        if since is None or last.at >= since:
            return last
        return next(reversed(self.read(kind, place, subject, since)), None)

    def by_key(self, key: str) -> Record | None:
        """Return the record with a key; None if there is none, which is no proof that there never was one."""
        self.head()
        row = self._connection.execute(_KEYED, {"key": key}).one_or_none()
        return self._checked(Stored(*row)) if row else None

    def records(self, after: int = 0) -> Iterator[Record]:
        """Yield all records after a seq, in order; each is intact, the chain is not checked."""
        return (self._checked(row) for row in self.kept_records(after))

    def kept_head(self) -> Head:
        """Return the head as it is kept, be it right or wrong."""
        rows = self._connection.execute(self._head_statement()).all()
        if len(rows) != 1:
            self._not_whole(f"it has {len(rows)} heads")
        count, digest = rows[0]
        return Head(count, digest)

    def kept_records(self, after: int = 0) -> Iterator[Stored]:
        """Yield all records after a seq as they are kept, be they right or wrong, in the order of seq."""
        streaming = self._connection.execution_options(yield_per=_PAGE)
        return (Stored(*row) for row in streaming.execute(_AFTER, {"after": after}))

    def kept_counts(self) -> dict[StreamName, int]:
        """Return how many records each stream has to have, as it is kept, be it right or wrong."""
        return {StreamName(*name): count for *name, count in self._connection.execute(_COUNTS)}

    def _head_statement(self) -> sa.Select[int, str]:
        return _HEAD

    def _checked_head(self) -> Head:
        head, tail = self.kept_head(), self._connection.execute(_TAIL).one_or_none()
        last = Head(*tuple(tail)) if tail else EMPTY
        if last.count != head.count:
            self._not_whole(f"its last record is {last.count}, and {head.count} were written")
        if last.hash != head.hash:
            self._not_whole(f"record {last.count} is not the one that was written")
        return head

    def _stream(self, name: StreamName) -> Stream | None:
        """Return a stream; None if nothing is in it, which the counts of all others prove."""
        head = self.head()
        row = self._connection.execute(_STREAM, name._asdict()).one_or_none()
        if row is None and (total := self._connection.execute(_TOTAL).scalar_one()) != head.count:
            self._not_whole(f"its streams have {total} records, and {head.count} were written")
        return Stream(*tuple(row)) if row else None

    def _refuse_gaps(self, stream: Stream, before: int, rows: Sequence[Stored]) -> None:
        """Refuse rows that are not exactly those between a number and the end of their stream."""
        numbers = [before, *(row.nth for row in rows), stream.count + 1]
        for place, (one, following) in enumerate(pairwise(numbers)):
            if following != one + 1:
                last = f"after record {rows[place - 1].seq}" if place else "before the first of them"
                self._not_whole(f"of the records that belong together one is missing {last}")

    def _checked(self, row: Stored, name: StreamName | None = None) -> Record:
        if not row.intact:
            self._not_whole(f"record {row.seq} is not what was written")
        if name not in (None, row.stream):
            self._not_whole(f"record {row.seq} is taken for one of {name}")
        return row.record()

    def _not_whole(self, what: str) -> NoReturn:
        raise EvidenceError(f"the evidence log {self._where} is not whole: {what}; run: rollout evidence verify")
