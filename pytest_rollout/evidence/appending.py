"""Adding records to the chain, inside one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from pytest_rollout.errors import AlreadyRecorded
from pytest_rollout.evidence.record import Entry, Head, Stored, StreamName, draft
from pytest_rollout.evidence.snapshot import Snapshot, Stream
from pytest_rollout.evidence.tables import HEAD, RECORDS, STREAMS

_HELD = sa.select(HEAD.c.count, HEAD.c.hash).with_for_update()
_KNOWN = sa.select(RECORDS.c.key).where(RECORDS.c.key.in_(sa.bindparam("keys", expanding=True))).limit(1)
_GROWN = (
    sa.update(STREAMS)
    .where(STREAMS.c.id == sa.bindparam("stream"))
    .values(count=sa.bindparam("grown_to"), peak=sa.bindparam("risen_to"))
)
_AT_ONCE = 500
"""Keys in one question; databases limit how many values a statement has."""


class Appending(Snapshot):
    """A transaction that writes: nobody else appends until it ends. It rolls back when its block raises."""

    def __init__(self, connection: sa.Connection, where: str) -> None:
        super().__init__(connection, where)
        self.head()  # PostgreSQL waits here until it is free

    def append(self, entries: Sequence[Entry]) -> Head:
        """Append entries and return the new head. Raises AlreadyRecorded, EvidenceError."""
        drafts = [draft(entry) for entry in entries]
        self._refuse_known([one.key for one in drafts if one.key is not None])
        head, rows = self.head(), list[dict[str, Any]]()
        streams: dict[StreamName, Stream] = {}
        for one in drafts:
            name = one.stream
            stream = streams.get(name) or self._stream(name) or self._begun(one)
            row = one.follow(head, stream.count + 1, stream.peak)
            rows.append({**row._asdict(), "stream": stream.id})
            streams[name] = Stream(stream.id, row.nth, row.peak)
            head = Head(row.seq, row.hash)
        if rows:
            self._write(rows, list(streams.values()), head)
            self._known_head = head
        return head

    def _write(self, rows: list[dict[str, Any]], streams: list[Stream], head: Head) -> None:
        grown = [{"stream": one.id, "grown_to": one.count, "risen_to": one.peak} for one in streams]
        self._connection.execute(RECORDS.insert(), rows)
        self._connection.execute(_GROWN, grown)
        self._connection.execute(HEAD.update(), asdict(head))

    def _begun(self, one: Stored) -> Stream:
        new = {**one.stream._asdict(), "count": 0, "peak": one.at}
        made = self._connection.execute(STREAMS.insert().returning(STREAMS.c.id), new)
        return Stream(made.scalar_one(), 0, one.at)

    def _refuse_known(self, keys: Sequence[str]) -> None:
        if twice := [key for key, times in Counter(keys).items() if times > 1]:
            raise AlreadyRecorded(f"{twice[0]} is to be recorded twice at once; nothing was written")
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            if known := self._connection.execute(_KNOWN, {"keys": some}).scalar():
                raise AlreadyRecorded(f"{known} is in the evidence log {self._where} already; nothing was written")

    def _head_statement(self) -> sa.Select[int, str]:
        return _HELD
