"""The controller's list of checks that had to be decided, and what became of each.

Everything starts undecided, so that a check which is deselected, skipped, crashed or simply never reported
cannot end as a pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_rollout.verdict import CheckResult, Decision, Reason, Verdict, decide, inconclusive, overall

SCHEMA = "rollout-verdict/1"
_WORSE = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.ERROR, Verdict.BREACHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One item that a stage needs. ``kind`` is the gate kind, or ``test`` for a Python test."""

    rollout: str
    stage: str
    id: str
    kind: str
    nodeid: str

    @property
    def key(self) -> str:
        """What names it in reports: ``prisma/stage1/read-latency``."""
        return f"{self.rollout}/{self.stage}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInfo:
    """What a report says of a stage beside its checks."""

    rollout: str
    stage: str
    environment: str = ""
    rehearsal: tuple[str, ...] = ()
    started_at: float = field(default_factory=time.time)


class Ledger:
    """Expected checks and their results, for one run."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._results: dict[str, CheckResult] = {}
        self._parts: dict[str, CheckResult] = {}
        self._stages: dict[tuple[str, str], StageInfo] = {}
        self._reruns: dict[str, int] = {}
        self.faults: list[str] = []
        """What keeps the whole run from GO beside any check: a broken plan, a list of tests that never came."""

    def __bool__(self) -> bool:
        """Whether there is anything to decide."""
        return bool(self._checks or self.faults)

    def expect(self, check: Check) -> None:
        """Note a check that has to be decided."""
        self._checks.setdefault(check.key, check)
        self._stages.setdefault((check.rollout, check.stage), StageInfo(rollout=check.rollout, stage=check.stage))

    def describe(self, info: StageInfo) -> None:
        """Note the environment of a stage."""
        self._stages[info.rollout, info.stage] = info

    def record(self, key: str, result: CheckResult) -> None:
        """Note what became of a check; the last report wins."""
        self._results[key] = result

    def record_part(self, key: str, result: CheckResult) -> None:
        """Note what became of a part of a check, such as a subtest: a check is never better than its worst part."""
        self._parts[key] = max(self._parts.get(key, result), result, key=badness)

    def revoke(self, key: str, result: CheckResult) -> None:
        """Note a late fault, such as a failing teardown: it takes a pass away and nothing else."""
        if key not in self._results or self._results[key].verdict is Verdict.PASSED:
            self._results[key] = result

    def note_rerun(self, key: str) -> None:
        """Note that a check was run again; its last run decides, but the report says so."""
        self._reruns[key] = self._reruns.get(key, 0) + 1

    def note_missing(self, keys: Iterable[str], reason: Reason, message: str) -> None:
        """Note why some checks will never report."""
        for key in keys:
            if key in self._checks:
                self.revoke(key, inconclusive(reason, message))

    def by_nodeid(self, nodeid: str) -> str | None:
        """Return the key of a check by its node id."""
        return next((check.key for check in self._checks.values() if check.nodeid == nodeid), None)

    def result(self, key: str) -> CheckResult:
        """Return what became of a check; never reported is inconclusive."""
        said = "never reported: the run was stopped, a worker was lost or the item was not collected; run it again"
        result = self._results.get(key, inconclusive(Reason.NOT_REPORTED, said))
        part = self._parts.get(key)
        if part and part.verdict is not Verdict.PASSED:
            result = max(part, result, key=badness)
        reruns = self._reruns.get(key, 0)
        return replace(result, message=f"{result.message} (run {reruns + 1} times)") if reruns else result

    def document(
        self, *, version: str, finished_at: float, interrupted: bool, more_faults: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Return the verdict document: builtins only. ``more_faults`` keep from GO, too, but are not kept here."""
        faults = [*self.faults, *more_faults]
        doubtful = bool(faults) or interrupted
        stages = [self._stage(info, finished_at, doubtful=doubtful) for info in self._stages.values()]
        decision = overall(Decision(stage["decision"]) for stage in stages)
        return {
            "schema": SCHEMA,
            "decision": decision.value,
            "rehearsal": any(stage["rehearsal"] for stage in stages),
            "complete": True,
            "faults": faults,
            "started_at": min((stage["started_at"] for stage in stages), default=finished_at),
            "finished_at": finished_at,
            "versions": {"pytest-rollout": version},
            "stages": stages,
        }

    def _stage(self, info: StageInfo, finished_at: float, *, doubtful: bool) -> dict[str, Any]:
        mine = [check for check in self._checks.values() if (check.rollout, check.stage) == (info.rollout, info.stage)]
        results = {check.key: self.result(check.key) for check in mine}
        decision = decide(result.verdict for result in results.values())
        if decision is Decision.GO and doubtful:
            decision = Decision.HOLD
        return {
            "rollout": info.rollout,
            "stage": info.stage,
            "environment": info.environment,
            "decision": decision.value,
            "rehearsal": bool(info.rehearsal),
            "rehearsal_reasons": list(info.rehearsal),
            "started_at": info.started_at,
            "finished_at": finished_at,
            "checks": [_entry(check, results[check.key]) for check in mine],
        }


UNFINISHED = "the run has not finished; if it is no longer running, it was killed: run it again"


def pending_document(document: Mapping[str, Any], why: str = UNFINISHED) -> dict[str, Any]:
    """Return what stands in the verdict file while a run goes on, so that no older GO can be taken for its own."""
    return {**document, "decision": Decision.HOLD.value, "complete": False, "faults": [why]}


def badness(result: CheckResult) -> int:
    """Return how far a result is from a pass, to find the worst of several."""
    return _WORSE.index(result.verdict)


def _entry(check: Check, result: CheckResult) -> dict[str, Any]:
    return {"id": check.id, "kind": check.kind, "nodeid": check.nodeid, **result.to_dict()}
