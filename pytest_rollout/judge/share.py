"""Shares of requests: error ratios, and quantiles as "the share slower than the limit"."""

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
    return _judge_counts(counts, evidence.total, window, demand, "bad requests")


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


def judge_quantile(q: float, buckets: Sequence[Series], window: Window, demand: Demand) -> CheckResult:
    """Judge the q-quantile of a classic histogram against a limit in seconds.

    It is below the limit when the share of requests slower than the limit is below 1 - q. A limit between two
    bounds is decided only when both neighbours agree.
    """
    if wrong := unusable(buckets, "the histogram"):
        return wrong
    if not buckets:
        return short_window((), window, demand) or inconclusive(
            Reason.NO_DATA, "no bucket series; check the histogram's name, its labels and the scrape"
        )
    by_bound = _by_bound(buckets, window)
    finite = [bound for bound in by_bound if bound != float("inf")]
    if float("inf") not in by_bound or not finite:
        return inconclusive(Reason.NO_DATA, "the histogram has no +Inf bucket or no finite one")
    if demand.limit > finite[-1] or demand.limit < finite[0]:
        return inconclusive(
            Reason.BUCKET_MISSING,
            f"the limit {format_duration(demand.limit)} lies outside the finite buckets "
            f"({format_duration(finite[0])} to {format_duration(finite[-1])}); add a bucket at the limit",
        )
    return _judge_buckets(q, by_bound, buckets, window, demand)


def _judge_buckets(
    q: float, by_bound: dict[float, Counts], buckets: Sequence[Series], window: Window, demand: Demand
) -> CheckResult:
    finite = [bound for bound in by_bound if bound != float("inf")]
    lower = max(bound for bound in finite if bound <= demand.limit)
    upper = min(bound for bound in finite if bound >= demand.limit)
    share = replace(demand, limit=1 - q, unit="share", comparator="below")
    what = f"requests slower than {format_duration(demand.limit)}"
    pessimist = _judge_counts(by_bound[lower], buckets, window, share, what)
    optimist = _judge_counts(by_bound[upper], buckets, window, share, what)
    said = pessimist
    if upper != lower and pessimist.verdict is not optimist.verdict:
        said = inconclusive(
            Reason.BUCKET_MISSING,
            f"the buckets around the limit ({format_duration(lower)} and {format_duration(upper)}) disagree; "
            f"add a bucket at {format_duration(demand.limit)}",
            samples=pessimist.samples,
            window=window.bounds,
        )
        if optimist.verdict is Verdict.BREACHED:
            said = optimist
    estimate = _estimate(q, by_bound)
    shown = f"p{q * 100:g} is about {format_duration(estimate)}; " if estimate is not None else ""
    return replace(said, value=estimate, limit=demand.limit, unit=demand.unit, message=shown + said.message)


def _by_bound(buckets: Sequence[Series], window: Window) -> dict[float, Counts]:
    """Return, by upper bound, how many requests were slower, of how many.

    What a histogram held when it was first seen may be old: of that only the slow ones count.
    """
    risen: dict[float, float] = {}
    born: dict[float, float] = {}
    for one in buckets:
        bound = float(one.labels.get("le", "nan"))
        here = list(rises((one,), window))
        risen[bound] = risen.get(bound, 0) + sum(rise.by for rise in here if not rise.born)
        born[bound] = born.get(bound, 0) + sum(rise.by for rise in here if rise.born)
    everything, newborn = risen.get(float("inf"), 0), born.get(float("inf"), 0)
    out = {}
    for bound in sorted(risen):
        slow_newborn = max(newborn - born[bound], 0)
        slow = max(everything - risen[bound], 0) + slow_newborn
        out[bound] = Counts(round(slow), round(everything + slow_newborn))
    return out


def _estimate(q: float, by_bound: dict[float, Counts]) -> float | None:
    """Return the quantile by linear interpolation within a bucket, as ``histogram_quantile`` does."""
    total = by_bound[float("inf")].total
    if not total:
        return None
    before_bound, before_count = 0.0, 0.0
    for bound, counts in by_bound.items():
        count = counts.total - counts.bad
        if count >= q * total and bound != float("inf"):
            width = count - before_count
            return before_bound + (bound - before_bound) * ((q * total - before_count) / width if width else 1)
        if bound != float("inf"):
            before_bound, before_count = bound, count
    return before_bound


def _judge_counts(counts: Counts, series: Sequence[Series], window: Window, demand: Demand, what: str) -> CheckResult:
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
