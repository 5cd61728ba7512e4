"""Shares of requests, judged on counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_rollout.judge import binomial
from pytest_rollout.judge.demand import Demand, short_window, thin_coverage, unusable
from pytest_rollout.judge.samples import Series, Window, rises
from pytest_rollout.units import format_duration, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events of all events. What is uncertain counts as bad: see the functions that count."""

    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class RatioEvidence:
    """The raw counters of a ratio gate."""

    bad: tuple[Series, ...]
    total: tuple[Series, ...]
    bad_is_narrower: bool
    """Whether the bad selector only narrows the total one, so that its absence can mean zero."""
    bad_labels: frozenset[str]
    """Labels that bad series must have."""


def judge_ratio(evidence: RatioEvidence, window: Window, demand: Demand) -> CheckResult:
    """Judge bad/total on counts against a share."""
    series = (*evidence.bad, *evidence.total)
    if wrong := unusable(series, "the ratio") or _absent(evidence, window, demand):
        return wrong
    bad = sum(rise.by for rise in rises(evidence.bad, window))
    total = sum(rise.by for rise in rises(evidence.total, window) if not rise.born)
    # Births in the denominator may be old requests: they prove nothing. In the numerator they count.
    counts = Counts(round(bad), round(max(total, bad)))
    return judge_counts(counts, evidence.total, window, demand, "bad requests")


def _absent(evidence: RatioEvidence, window: Window, demand: Demand) -> CheckResult | None:
    if not evidence.total:
        return short_window((), window, demand) or inconclusive(
            Reason.NO_DATA, "no series matches 'total'; check the metric's name, its labels and the scrape"
        )
    if evidence.bad:
        return None
    if not evidence.bad_is_narrower:
        return inconclusive(
            Reason.NO_DATA,
            "no series matches 'bad', and it is not part of 'total', so nothing proves that it means zero",
        )
    known = frozenset(label for one in evidence.total for label in one.labels)
    if unknown := sorted(evidence.bad_labels - known):
        return inconclusive(
            Reason.UNKNOWN_LABEL,
            f"no series of 'total' has the label {unknown[0]!r} that 'bad' asks for; "
            f"labels there: {', '.join(sorted(known))}",
        )
    return None


def judge_counts(counts: Counts, series: Sequence[Series], window: Window, demand: Demand, what: str) -> CheckResult:
    """Judge a share by the exact interval around it; ``series`` show how well the window was observed."""
    bounds = binomial.interval(counts.bad, counts.total, demand.confidence)
    share = counts.bad / counts.total if counts.total else None
    base = CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=_message(counts, bounds, demand, what),
        value=share,
        limit=demand.limit,
        unit=demand.unit,
        samples=counts.total,
        window=window.bounds,
        derivation={
            "rule": "Clopper-Pearson, two-sided, single look",
            "confidence": demand.confidence,
            "bad": counts.bad,
            "total": counts.total,
            "low": bounds.low,
            "high": bounds.high,
        },
    )
    if counts.total and bounds.low > demand.limit:
        return replace(base, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED)
    short = short_window(series, window, demand) or _no_events(counts) or thin_coverage(series, window, demand)
    if short:
        derivation = {**base.derivation, **short.derivation}
        return replace(base, **_said(short), ready_in=short.ready_in, derivation=derivation)
    if bounds.high < demand.limit:
        return base
    return _undecided(base, counts, window, demand)


def _said(result: CheckResult) -> dict[str, Any]:
    return {"verdict": result.verdict, "reason": result.reason, "message": result.message}


def _no_events(counts: Counts) -> CheckResult | None:
    if counts.total:
        return None
    return inconclusive(Reason.NO_DATA, "the series exist, but nothing was counted in the window; is there traffic?")


def _message(counts: Counts, bounds: binomial.Interval, demand: Demand, what: str) -> str:
    return (
        f"{counts.bad:,} {what} of {counts.total:,}; with {demand.confidence:.0%} confidence the share lies in "
        f"{bounds.low * 100:.3g}-{bounds.high * 100:.3g} %, the limit is {format_value(demand.limit, 'share')}"
    )


def _undecided(base: CheckResult, counts: Counts, window: Window, demand: Demand) -> CheckResult:
    more = binomial.further_needed(counts.bad, counts.total, demand.limit, demand.confidence)
    seconds = None
    hint = "the observed share is not below the limit, but too few requests prove that it is above"
    if more is not None:
        seconds = more / (counts.total / (window.end - window.start))
        hint = f"needs {more:,} more requests, about {format_duration(seconds)} at the current rate"
    return replace(
        base,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.TOO_FEW_SAMPLES,
        message=f"{base.message}; {hint}",
        ready_in=seconds,
    )
