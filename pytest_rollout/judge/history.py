"""Gates that look at what was recorded: runs of a canary, readings of flags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, broken, inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRun:
    """One run of a canary. ``outcome`` is ``ok``, ``failed`` (the system) or ``error`` (the instrument)."""

    run_id: str
    canary: str
    started_at: float
    ended_at: float
    outcome: str
    message: str = ""
    attachments: tuple[str, ...] = ()
    plan: str = ""
    """Digest of the plan it was run under."""
    flags: Mapping[str, bool | str | None] = field(default_factory=dict)
    """``FLAG@cohort`` for every flag of the plan, as it was throughout the run; None if it could not be evaluated."""
    slot: float | None = None
    """Time of the slot it was run for."""
    attempt: int = 1
    retryable: bool = False
    """Whether nothing but the transport failed, before any side effect."""
    overran: bool = False
    """Whether it met its deadline."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How often a gate was looked at since a flip, this time included, and when first (unix seconds)."""

    count: int
    first_at: float


@dataclass(frozen=True, slots=True)
class Passes:
    """How many passes a canary gate wants, and how far apart the first and the last must be, in seconds."""

    wanted: int
    across: float


def is_same(one: bool | str | None, other: bool | str | None) -> bool:
    """Whether two values of a flag are the same, with their types: ``True`` is neither ``1`` nor ``"true"``."""
    return type(one) is type(other) and one == other


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under what a pass counts: the version of the plan, and the stage's flags as they have to be."""

    plan: str
    """Digest of the plan; an empty one is no version, and nothing counts under it."""
    flags: Mapping[str, bool | str]
    """``FLAG@cohort`` and its value."""

    def objection(self, plan: str, flags: Mapping[str, bool | str | None]) -> str:
        """Return why something made under another plan or other flags does not count; empty if it does."""
        if not plan or plan != self.plan:
            return "under another plan version"
        for name, wanted in sorted(self.flags.items()):
            value = flags.get(name)
            if not is_same(value, wanted):
                return f"while {name} was {'unknown' if value is None else repr(value)}"
        return ""


def streak(runs: Sequence[CanaryRun], since: float, conditions: Conditions) -> list[CanaryRun]:
    """Return the passes that nothing but passes followed, oldest first, started since a time."""
    out: list[CanaryRun] = []
    for run in runs:
        if run.started_at < since or run.outcome != "ok" or conditions.objection(run.plan, run.flags):
            out.clear()
        else:
            out.append(run)
    return out


def judge_canary(
    runs: Sequence[CanaryRun], passes: Passes, since: float, now: float, conditions: Conditions
) -> CheckResult:
    """Judge the runs of one canary since the flip, in the order in which they were recorded.

    Only passes in a row count, and only those under the conditions. A run that failed is a failure under any.
    """
    recent = [run for run in runs if run.started_at >= since]
    why = {run.run_id: conditions.objection(run.plan, run.flags) for run in recent if run.outcome == "ok"}
    good = streak(runs, since, conditions)  # what is dated before the flip, by another clock, ends a row, too
    known: dict[str, Any] = {
        "value": float(len(good)),
        "limit": float(passes.wanted),
        "unit": "passes",
        "samples": len(recent),
        "window": (since or (recent[0].started_at if recent else now), now),
        "derivation": {
            "rule": "passes in a row",
            "plan": conditions.plan,
            "flags": dict(conditions.flags),
            "runs": [_shown(run, why.get(run.run_id, "")) for run in recent[-20:]],
        },
        "attachments": recent[-1].attachments if recent else (),
    }
    if recent and recent[-1].outcome == "failed":
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.CANARY_FAILED, message=recent[-1].message, **known)
    if recent and recent[-1].outcome != "ok":
        return broken(Reason.CANARY_ERROR, recent[-1].message, **known)
    return _judge_streak(good, passes, now, _refused(why.values()), known)


def _refused(objections: Iterable[str]) -> str:
    """Return how many did not count and why, as the end of a sentence; empty if all did."""
    counted = Counter(filter(None, objections))
    if not counted:
        return ""
    total = counted.total()
    why = ", ".join(f"{count} {said}" for said, count in sorted(counted.items()))
    return f"; {total} {'pass does' if total == 1 else 'passes do'} not count: {why}"


def _judge_streak(
    good: list[CanaryRun], passes: Passes, now: float, refusal: str, known: dict[str, Any]
) -> CheckResult:
    spread = max(good[-1].started_at - good[0].started_at, 0.0) if good else 0.0
    if len(good) >= passes.wanted and spread >= passes.across:
        apart = f", {format_duration(spread)} apart" if passes.across else ""
        said = f"passed {len(good)} of {passes.wanted} times in a row{apart}{refusal}"
        return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known)
    due_in = due_at(good, passes, now) - now
    apart = f" at least {format_duration(passes.across)} apart" if passes.across else ""
    return inconclusive(
        Reason.TOO_FEW_PASSES,
        f"passed {len(good)} times in a row, {passes.wanted} passes{apart} are needed{refusal}; "
        f"next run in {format_duration(max(due_in, 0))}",
        ready_in=max(due_in, 0.0),
        **known,
    )


def due_at(good: Sequence[CanaryRun], passes: Passes, now: float) -> float:
    """Return when the next run is worth making: now, or when it completes the spread."""
    if not good:
        return now
    step = passes.across / max(passes.wanted - 1, 1)
    return max(
        good[-1].started_at + step,
        now if len(good) < passes.wanted - 1 else good[0].started_at + passes.across,
    )


def _shown(run: CanaryRun, why_not: str) -> dict[str, Any]:
    return {
        "run": run.run_id,
        "started_at": run.started_at,
        "outcome": run.outcome,
        "message": run.message,
        "why_not": why_not,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagReading:
    """What a flag service said about one flag for one cohort.

    ``fault`` says why it was not evaluated: then ``value`` is only the caller's default, and proves nothing.
    """

    flag: str
    cohort: str
    value: bool | str | None
    reason: str
    changed_at: float | None
    fault: str = ""
    changed_by: str | None = None
    """Who changed it last, if the service tells."""


def judge_flags(wanted: Mapping[str, bool | str], readings: Sequence[FlagReading], at: float) -> CheckResult:
    """Judge that every flag of a stage has the value the stage is about, and say since when."""
    known: dict[str, Any] = {
        "value": float(sum(is_same(reading.value, wanted[reading.flag]) for reading in readings)),
        "limit": float(len(wanted)),
        "unit": "count",
        "samples": len(readings),
        "derivation": {"rule": "read back", "at": at, "readings": [_reading(reading) for reading in readings]},
    }
    for reading in readings:
        value = wanted[reading.flag]
        if not reading.fault and type(reading.value) is type(value) and reading.value != value:
            said = f"{reading.flag} is {reading.value!r} for {reading.cohort!r}, expected {value!r}"
            return CheckResult(verdict=Verdict.BREACHED, reason=Reason.FLAG_MISMATCH, message=said, **known)
    for reading in readings:
        if fault := reading.fault or _misfit(reading, wanted[reading.flag]):
            return broken(Reason.FLAG_NOT_EVALUATED, f"{reading.flag} was not evaluated: {fault}", **known)
        if reading.changed_at is None:
            return inconclusive(
                Reason.FLIP_UNKNOWN,
                f"the flag service does not say when {reading.flag} was changed, so no window can begin there; "
                "give the time of the flip with --rollout-flipped-at",
                **known,
            )
    if missing := sorted(wanted.keys() - {reading.flag for reading in readings}):
        return broken(Reason.FLAG_NOT_EVALUATED, f"{missing[0]} was not read", **known)
    said = ", ".join(f"{reading.flag} is {reading.value!r} for {reading.cohort!r}" for reading in readings)
    return CheckResult(verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known)


def _misfit(reading: FlagReading, wanted: bool | str) -> str:
    """Return why a value is of no use where another one is wanted; empty if it is of its type."""
    if type(reading.value) is type(wanted):
        return ""
    kind, how = ("boolean", "texts have") if isinstance(wanted, bool) else ("text", "booleans have no")
    return f"the value {reading.value!r} is not a {kind}, and the plan wants {wanted!r}; {how} quotes in a plan"


def _reading(reading: FlagReading) -> dict[str, Any]:
    return {
        "flag": reading.flag,
        "cohort": reading.cohort,
        "value": reading.value,
        "reason": reading.reason,
        "changed_at": reading.changed_at,
        "fault": reading.fault,
        "changed_by": reading.changed_by,
    }
