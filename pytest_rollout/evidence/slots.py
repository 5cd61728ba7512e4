"""Slots of canaries, as records: that one was started, and how it ended. Each happens once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pytest_rollout.evidence.leases import Fence
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Kind, Place, Record, canonical
from pytest_rollout.evidence.snapshot import Snapshot
from pytest_rollout.judge.slot import Slot, SlotState

_AT_ONCE = 500
"""Slots in one transaction; others want to write, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A slot whose first attempt was about to begin. Times in unix seconds."""

    at: float
    """The slot's time."""
    run_id: str
    """Of its first attempt; see `attempt_id`."""
    holder: str
    """Who started it."""
    started_at: float


def slot_key(place: Place, canary: str, at: float) -> str:
    """Return the key of a slot's record: no slot ends twice."""
    return f"slot:{_named(place, canary, at)}"


def attempt_id(run_id: str, attempt: int) -> str:
    """Return the run id of a slot's nth attempt, from that of the first: what was started can be looked up."""
    return run_id if attempt == 1 else f"{run_id}-{attempt}"


def start_slot(log: EvidenceLog, place: Place, canary: str, started: Started, fence: Fence) -> None:
    """Append that a slot is about to be run.

    Raises AlreadyRecorded if somebody did that before, FencedOut if the lease is lost, EvidenceError.
    """
    data = {"run_id": started.run_id, "holder": started.holder, "started_at": started.started_at}
    key = f"slot-started:{_named(place, canary, started.at)}"
    entry = Entry(kind=Kind.SLOT_STARTED, place=place, subject=canary, at=started.at, data=data, key=key)
    log.append([entry], fence=fence)


def end_slots(log: EvidenceLog, place: Place, slots: Sequence[Slot], fence: Fence) -> None:
    """Append how slots ended, oldest first.

    Raises AlreadyRecorded if one of them has ended before, FencedOut if the lease is lost, EvidenceError.
    """
    for begin in range(0, len(slots), _AT_ONCE):
        log.append([_entry(place, slot) for slot in slots[begin : begin + _AT_ONCE]], fence=fence)


def find_slot(log: EvidenceLog, place: Place, canary: str, at: float) -> Slot | None:
    """Return how a slot ended, or None if it did not. Raises EvidenceError."""
    record = log.by_key(slot_key(place, canary, at))
    return _slot(record) if record else None


def slots(log: EvidenceLog, canary: str, place: Place, since: float | None = None) -> list[Slot]:
    """Return the ended slots of a canary whose time is not before ``since``, oldest first. Raises EvidenceError."""
    found = [_slot(record) for record in log.read(Kind.SLOT, place, canary, since=since)]
    return sorted(found, key=lambda slot: slot.at)


def left_open(log: EvidenceLog, place: Place, canary: str) -> tuple[Slot | None, list[Started]]:
    """Return the newest ended slot, if any, and what was started after it, oldest first. Raises EvidenceError."""
    with log.snapshot() as snapshot:
        record = snapshot.latest(Kind.SLOT, place, canary)
        last = _slot(record) if record else None
        return last, _started(snapshot, place, canary, last)


def _started(snapshot: Snapshot, place: Place, canary: str, last: Slot | None) -> list[Started]:
    since = None if last is None else last.at
    records = snapshot.read(Kind.SLOT_STARTED, place, canary, since)
    found = [Started(at=record.at, **record.data) for record in records if last is None or record.at > last.at]
    return sorted(found, key=lambda started: started.at)


def _named(place: Place, canary: str, at: float) -> str:
    return canonical([place.rollout, place.environment, place.target, canary, at])


def _entry(place: Place, slot: Slot) -> Entry:
    data = {name: value for name, value in asdict(slot).items() if name not in ("canary", "at")}
    key = slot_key(place, slot.canary, slot.at)
    return Entry(kind=Kind.SLOT, place=place, subject=slot.canary, at=slot.at, data=data, key=key)


def _slot(record: Record) -> Slot:
    data = record.data
    told = {**data, "state": SlotState(data["state"]), "runs": tuple(data["runs"])}
    return Slot(**{**told, "canary": record.subject, "at": record.at, "attachments": tuple(data["attachments"])})
