"""What a run found out: results of checks, changes of flags, stages entered and left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rollout.evidence.appending import Appending
from pytest_rollout.evidence.log import EvidenceLog
from pytest_rollout.evidence.record import Entry, Head, Kind, Place
from pytest_rollout.judge.history import FlagReading
from pytest_rollout.verdict import CheckResult


@dataclass(frozen=True, slots=True)
class StageLog:
    """The part of the evidence log that is about one stage in one place."""

    log: EvidenceLog
    place: Place
    stage: str

    def entered(self, at: float, plan: str) -> Entry:
        """Return that a run began to decide the stage under a version of the plan."""
        return self._entry(Kind.STAGE_ENTERED, at, {"plan": plan})

    def left(self, at: float, decision: str, verdicts: Mapping[str, str]) -> Entry:
        """Return what was decided, with the verdict of every check."""
        return self._entry(Kind.STAGE_LEFT, at, {"decision": decision, "verdicts": dict(verdicts)})

    def add_results(self, results: Mapping[str, CheckResult], readings: Sequence[FlagReading], at: float) -> Head:
        """Append the result of every check, after what became known of the flags. Raises EvidenceError."""
        found = [self._entry(Kind.GATE, at, _told(result), name) for name, result in results.items()]
        with self.log.appending() as appending:
            return appending.append([*_changes(appending, self.place, readings, at), *found])

    def _entry(self, kind: Kind, at: float, data: Mapping[str, Any], check: str = "") -> Entry:
        subject = f"{self.stage}/{check}" if check else self.stage
        return Entry(kind=kind, place=self.place, subject=subject, at=at, data=data)


def add_flags(log: EvidenceLog, place: Place, readings: Sequence[FlagReading], at: float) -> None:
    """Append what became known of flags, unless it is what is known already. Raises EvidenceError."""
    with log.appending() as appending:
        appending.append(list(_changes(appending, place, readings, at)))


def _changes(log: Appending, place: Place, readings: Sequence[FlagReading], at: float) -> Iterator[Entry]:
    """Yield a record for each flag that is not as it was recorded last; what was not evaluated tells nothing."""
    for reading in readings:
        subject = f"{reading.flag}@{reading.cohort}"
        data = {"value": reading.value, "changed_at": reading.changed_at, "changed_by": reading.changed_by}
        last = log.latest(Kind.FLAG, place, subject)
        if not reading.fault and (last is None or dict(last.data) != data):
            yield Entry(kind=Kind.FLAG, place=place, subject=subject, at=at, data=data)


def _told(result: CheckResult) -> dict[str, Any]:
    """Return a result with its raw evidence by digest alone: the bundle has the rest."""
    data = result.to_dict()
    del data["attachments"]
    return {**data, "derivation": {key: value for key, value in result.derivation.items() if key == "evidence"}}
