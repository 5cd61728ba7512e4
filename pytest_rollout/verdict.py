"""Verdicts of checks, decisions of stages, and the only way from one to the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """Of one check."""

    PASSED = "passed"
    BREACHED = "breached"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Decision(StrEnum):
    """Of one stage, and of a whole run."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


class Reason(StrEnum):
    """Why a verdict is what it is; for machines, so the words stay as they are."""

    # passed
    WITHIN_LIMIT = "within-limit"
    # breached
    LIMIT_BREACHED = "limit-breached"
    CANARY_FAILED = "canary-failed"
    FLAG_MISMATCH = "flag-mismatch"
    TEST_FAILED = "test-failed"
    ATTESTED_NO = "attested-no"
    # inconclusive: more of the same evidence will decide
    WINDOW_NOT_ELAPSED = "window-not-elapsed"
    TOO_FEW_SAMPLES = "too-few-samples"
    TOO_FEW_PASSES = "too-few-passes"
    COVERAGE = "coverage"
    SLOT_MISSED = "slot-missed"
    # inconclusive: something about the evidence has to change
    NO_DATA = "no-data"
    NOT_A_NUMBER = "not-a-number"
    SEVERAL_SERIES = "several-series"
    UNKNOWN_LABEL = "unknown-label"
    SERIES_MISSING = "series-missing"
    RESTART = "restart-in-window"
    RESTART_UNKNOWN = "restart-unknown"
    CLOCK_SKEW = "clock-skew"
    BUCKET_MISSING = "bucket-missing"
    PARTIAL_DATA = "partial-data"
    NOT_A_PART = "not-a-part"
    FLIP_UNKNOWN = "flip-unknown"
    UNPROVEN = "unproven"
    NOT_ATTESTED = "not-attested"
    SAME_PERSON = "same-person"
    NOT_REPORTED = "not-reported"
    DESELECTED = "deselected"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    # error
    SOURCE_UNREACHABLE = "source-unreachable"
    QUERY_REFUSED = "query-refused"
    BAD_ANSWER = "bad-answer"
    CANARY_ERROR = "canary-error"
    EVIDENCE = "evidence-unusable"
    FLAG_NOT_EVALUATED = "flag-not-evaluated"
    TEST_ERROR = "test-error"
    CRASHED = "crashed"
    ENVIRONMENT = "environment"
    BENT_GENERATOR = "bent-generator"
    # golden payloads: breached
    GOLDEN_MISMATCH = "golden-mismatch"
    # golden payloads: inconclusive
    GOLDEN_MISSING = "golden-missing"
    NOT_BLESSED = "not-blessed"
    GOLDEN_EDITED = "golden-edited"
    BLESSED_NOW = "blessed-in-this-run"
    MODE_NOT_CONFIRMED = "mode-not-confirmed"
    TARGET_NOT_PROVEN = "target-not-proven"
    NOT_EXCLUSIVE = "not-exclusive"
    NOT_RUN = "not-run"
    MODES_ALIKE = "modes-alike"
    # golden payloads: error
    STALE_MATCHER = "stale-matcher"
    CASE_UNUSABLE = "case-unusable"


EVIDENCE_MAY_ARRIVE = frozenset(
    {Reason.WINDOW_NOT_ELAPSED, Reason.TOO_FEW_SAMPLES, Reason.TOO_FEW_PASSES, Reason.COVERAGE, Reason.SLOT_MISSED}
)
"""Reasons that waiting can cure; every other inconclusive verdict is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What became of one check. All numbers in base units (seconds, shares, counts)."""

    verdict: Verdict
    reason: Reason
    message: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    samples: int | None = None
    window: tuple[float, float] | None = None
    """Unix seconds, start and end, as really used."""
    ready_in: float | None = None
    """Seconds until waiting could decide it; only with a reason in EVIDENCE_MAY_ARRIVE."""
    derivation: Mapping[str, Any] = field(default_factory=dict)
    """How the verdict came about, builtins only."""
    attachments: tuple[str, ...] = ()
    """Paths of screenshots and the like, for people."""

    @property
    def may_still_arrive(self) -> bool:
        """Whether waiting can decide this check."""
        return self.verdict is Verdict.INCONCLUSIVE and self.reason in EVIDENCE_MAY_ARRIVE

    def because(self, doubt: CheckResult) -> CheckResult:
        """Return this result with the verdict of a doubt about its evidence; the numbers stay."""
        return dataclasses.replace(
            self, verdict=doubt.verdict, reason=doubt.reason, message=doubt.message, ready_in=doubt.ready_in
        )

    def to_dict(self) -> dict[str, Any]:
        """Return builtins only: xdist and JSON take nothing else."""
        out = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        out |= {"verdict": self.verdict.value, "reason": self.reason.value}
        out |= {"window": list(self.window) if self.window else None, "attachments": list(self.attachments)}
        out["derivation"] = dict(self.derivation)
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CheckResult:
        """Undo ``to_dict``; raises ValueError or TypeError on anything else."""
        try:
            window = tuple(data["window"]) if data["window"] else None
            words = {"verdict": Verdict(data["verdict"]), "reason": Reason(data["reason"])}
            return cls(**{**data, **words, "window": window, "attachments": tuple(data["attachments"])})
        except KeyError as exc:
            raise ValueError(f"not a check result: {exc} is missing") from exc


def inconclusive(reason: Reason, message: str, **known: Any) -> CheckResult:
    """Return "the evidence does not decide", with what is known."""
    return CheckResult(verdict=Verdict.INCONCLUSIVE, reason=reason, message=message, **known)


def broken(reason: Reason, message: str, **known: Any) -> CheckResult:
    """Return "the instrument is broken", with what is known."""
    return CheckResult(verdict=Verdict.ERROR, reason=reason, message=message, **known)


def decide(verdicts: Iterable[Verdict]) -> Decision:
    """Return the decision of a stage from the verdicts of every check that had to be decided.

    GO needs at least one check and nothing but passes: an empty stage proves nothing.
    """
    seen = set(verdicts)
    if Verdict.BREACHED in seen:
        return Decision.NO_GO
    return Decision.GO if seen == {Verdict.PASSED} else Decision.HOLD


def overall(decisions: Iterable[Decision]) -> Decision:
    """Return the decision of a run over several stages; none at all is HOLD."""
    seen = set(decisions)
    if Decision.NO_GO in seen:
        return Decision.NO_GO
    return Decision.GO if seen == {Decision.GO} else Decision.HOLD
