"""Whether an evidence log is what was written: every record, their chain, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_rollout.evidence.record import EMPTY, Head, Stored, StreamName


@dataclass(frozen=True, slots=True)
class Broken:
    """The first record that is not as it was written, or not there at all."""

    seq: int
    why: str

    def __str__(self) -> str:
        """Return a line."""
        return f"record {self.seq}: {self.why}"


def verify(
    kept: Iterable[Stored], head: Head, counts: Mapping[StreamName, int], given: Head | None = None
) -> Broken | None:
    """Return the first broken record; None if the log is whole.

    ``kept`` are all records in the order of seq, ``head`` and ``counts`` what the log says of them. ``given`` is a
    head from somewhere else, of now or of earlier: without it, records that were cut off the end together with the
    head, and a chain that was made anew, are not noticed.
    """
    chain = _Chain(given)
    for row in kept:
        if row.seq != chain.count + 1:
            return chain.hole(row.seq)
        if why := chain.extend(row):
            return Broken(row.seq, why)
    return chain.fault_at_end(head, counts)


@dataclass(slots=True)
class _Chain:
    """The records so far, which are whole."""

    given: Head | None
    count: int = EMPTY.count
    hash: str = EMPTY.hash
    streams: dict[StreamName, tuple[int, float]] = field(default_factory=dict)
    """Count and latest time."""

    def hole(self, seq: int) -> Broken:
        if seq <= self.count:
            return Broken(seq, "there are two of it")
        return Broken(self.count + 1, f"it is missing; the next one is {seq}")

    def extend(self, row: Stored) -> str | None:
        """Take the next record, or return why it is not what was written there."""
        if not row.intact:
            return "its hash does not fit its content"
        nth, peak = self.streams.get(row.stream, (0, row.at))
        due = nth + 1, max(peak, row.at)
        if row.prev != self.hash:
            return "it does not follow the record before it: that one's hash is another"
        if (row.nth, row.peak) != due:
            return f"it says {row.nth} and {row.peak} for its nth and peak, which are {due[0]} and {due[1]}"
        if self.given and row.seq == self.given.count and row.hash != self.given.hash:
            return f"it is not the one of the given head: its hash is {row.hash}"
        self.streams[row.stream] = due
        self.count, self.hash = row.seq, row.hash
        return None

    def fault_at_end(self, head: Head, counts: Mapping[StreamName, int]) -> Broken | None:
        """Return what is wrong although every record that is there is right."""
        last, given = self.count, self.given or EMPTY
        for whose, count in (("its own", head.count), ("the given", given.count)):
            if count > last:
                return Broken(last + 1, f"it is missing; {whose} head says that there are {count} records")
        if head != Head(last, self.hash):
            return Broken(last, f"it is the last one, and the log's own head is {head}")
        counted = {stream: nth for stream, (nth, _) in self.streams.items()}
        for stream in sorted(stream for stream in counts.keys() | counted if counts.get(stream) != counted.get(stream)):
            known = (
                f"{counts.get(stream, 0)} records of {stream.kind} {stream.subject} and has {counted.get(stream, 0)}"
            )
            return Broken(last, f"it is the last one, and the log has counted {known}")
        return None
