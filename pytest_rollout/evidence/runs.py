"""Runs of canaries and looks at gates, as records."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_rollout.errors import EvidenceError
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Kind, Place, Record
from pytest_rollout.judge.history import CanaryRun, Looks
from pytest_rollout.units import format_moment

_OUTCOMES = frozenset({"ok", "failed", "error"})


def add_run(log: EvidenceLog, run: CanaryRun, place: Place) -> None:
    """Append one run of a canary. Raises AlreadyRecorded for its id, EvidenceError; then nothing was written."""
    if run.outcome not in _OUTCOMES:
        raise EvidenceError(f"a canary run cannot end as {run.outcome!r}")
    data = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "outcome": run.outcome,
        "message": run.message,
        "attachments": list(run.attachments),
        "plan": run.plan,
        "flags": dict(run.flags),
        "slot": run.slot,
        "attempt": run.attempt,
        "retryable": run.retryable,
        "overran": run.overran,
    }
    entry = Entry(
        kind=Kind.CANARY_RUN, place=place, subject=run.canary, at=run.started_at, data=data, key=f"run:{run.run_id}"
    )
    log.append([entry])


def start_run(log: EvidenceLog, canary: str, run_id: str, started_at: float, place: Place) -> None:
    """Append that a run is about to begin, so that one which is killed is missed. Raises EvidenceError."""
    data = {"run_id": run_id}
    log.append([Entry(kind=Kind.RUN_STARTED, place=place, subject=canary, at=started_at, data=data)])


def runs(log: EvidenceLog, canary: str, place: Place, since: float | None = None) -> list[CanaryRun]:
    """Return the runs of a canary in one place that started since a time, in the order in which they were recorded.

    One that began and told no outcome is an error. Raises EvidenceError.
    """
    with log.snapshot() as kept:
        ended = kept.read(Kind.CANARY_RUN, place, canary, since)
        begun = kept.read(Kind.RUN_STARTED, place, canary, since)
    told = {record.data["run_id"] for record in ended}
    found = [*ended, *(record for record in begun if record.data["run_id"] not in told)]
    return [_run(record) for record in sorted(found, key=lambda record: record.seq)]


def end_id(run_id: str) -> str:
    """Return the id under which it is recorded that a run which told its outcome ended badly all the same."""
    return f"{run_id}-end"


def find_run(log: EvidenceLog, run_id: str) -> CanaryRun | None:
    """Return one run, or None if it was never recorded. Raises EvidenceError."""
    record = log.by_key(f"run:{run_id}")
    return _run(record) if record else None


def look(  # noqa: PLR0913, PLR0917 - they all name what is looked at
    log: EvidenceLog, place: Place, stage: str, gates: Sequence[str], flip: float | None, at: float
) -> dict[str, Looks]:
    """Append that gates are looked at, and return by gate what is known of its looks since the flip, this one included.

    Raises EvidenceError; then nothing was written.
    """
    with log.appending() as appending:
        looks: dict[str, Looks] = {}
        for gate in gates:
            last = appending.latest(Kind.LOOK, place, _subject(stage, gate, flip))
            seen = Looks(last.data["count"], last.data["first_at"]) if last else Looks(0, at)
            looks[gate] = Looks(seen.count + 1, min(seen.first_at, at))
        appending.append([_look(place, _subject(stage, gate, flip), flip, at, one) for gate, one in looks.items()])
    return looks


def _subject(stage: str, gate: str, flip: float | None) -> str:
    """Return ``stage1/read-latency@1700000000.0``: looks before a flip say nothing of those after it."""
    return f"{stage}/{gate}" if flip is None else f"{stage}/{gate}@{float(flip)}"


def _look(place: Place, subject: str, flip: float | None, at: float, looks: Looks) -> Entry:
    data = {"flip": flip, "count": looks.count, "first_at": looks.first_at}
    return Entry(kind=Kind.LOOK, place=place, subject=subject, at=at, data=data)


def _run(record: Record) -> CanaryRun:
    data = record.data
    if record.kind is Kind.RUN_STARTED:
        began = f"the run of canary {record.subject} that began at {format_moment(record.at)}"
        return CanaryRun(
            run_id=data["run_id"],
            canary=record.subject,
            started_at=record.at,
            ended_at=record.at,
            outcome="error",
            message=f"{began} has told no outcome: it was killed, or still goes on; run this again when none does",
        )
    return CanaryRun(**{**data, "canary": record.subject, "attachments": tuple(data["attachments"])})
