"""Quantiles of classic histograms, judged as "the share of requests slower than the limit"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_rollout.judge.demand import Demand, short_window, unusable
from pytest_rollout.judge.samples import Series, Window, rises
from pytest_rollout.judge.share import Counts, judge_counts
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive


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
    whole = _whole_scrapes(buckets)
    if whole is None:
        return inconclusive(
            Reason.BUCKET_MISSING, "the series of the histogram do not all have the same buckets, +Inf and a finite one"
        )
    by_bound = _by_bound(whole, window)
    finite = [bound for bound in by_bound if math.isfinite(bound)]
    if demand.limit > finite[-1] or demand.limit < finite[0]:
        return inconclusive(
            Reason.BUCKET_MISSING,
            f"the limit {format_duration(demand.limit)} lies outside the finite buckets "
            f"({format_duration(finite[0])} to {format_duration(finite[-1])}); add a bucket at the limit",
        )
    return _judge_buckets(q, by_bound, whole, window, demand)


def _whole_scrapes(buckets: Sequence[Series]) -> list[Series] | None:
    """Return the buckets with only those scrapes that brought every one of them, or None if one is missing.

    Buckets of different scrapes cannot be subtracted from each other: a lost sample would hide slow requests.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[float, Series]] = {}
    for one in buckets:
        own = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        groups.setdefault(own, {})[float(one.labels.get("le", "nan"))] = one
    bounds = {frozenset(group) for group in groups.values()}
    if len(bounds) != 1 or math.inf not in (only := bounds.pop()) or len(only) < 2:  # noqa: PLR2004 - +Inf and one more
        return None
    return [series for group in groups.values() for series in _common(list(group.values()))]


def _common(series: Sequence[Series]) -> list[Series]:
    times = set.intersection(*({at for at, _ in one.samples} for one in series))
    return [replace(one, samples=tuple(pair for pair in one.samples if pair[0] in times)) for one in series]


def _judge_buckets(
    q: float, by_bound: dict[float, Counts], buckets: Sequence[Series], window: Window, demand: Demand
) -> CheckResult:
    finite = [bound for bound in by_bound if math.isfinite(bound)]
    lower = max(bound for bound in finite if bound <= demand.limit)
    upper = min(bound for bound in finite if bound >= demand.limit)
    share = replace(demand, limit=1 - q, unit="share", comparator="below")
    what = f"requests slower than {format_duration(demand.limit)}"
    said = judge_counts(by_bound[lower], buckets, window, share, what)
    if said.verdict is Verdict.BREACHED and upper != lower:
        optimist = judge_counts(by_bound[upper], buckets, window, share, what)
        said = optimist if optimist.verdict is Verdict.BREACHED else _disagreement(lower, upper, said, demand)
    estimate = _estimate(q, by_bound)
    shown = f"p{q * 100:g} is about {format_duration(estimate)}; " if estimate is not None else ""
    return replace(said, value=estimate, limit=demand.limit, unit=demand.unit, message=shown + said.message)


def _disagreement(lower: float, upper: float, pessimist: CheckResult, demand: Demand) -> CheckResult:
    return inconclusive(
        Reason.BUCKET_MISSING,
        f"the buckets around the limit ({format_duration(lower)} and {format_duration(upper)}) disagree; "
        f"add a bucket at {format_duration(demand.limit)}",
        samples=pessimist.samples,
        window=pessimist.window,
        derivation=pessimist.derivation,
    )


def _by_bound(buckets: Sequence[Series], window: Window) -> dict[float, Counts]:
    """Return, by upper bound, how many requests were slower, of how many.

    What a histogram held when it was first seen may be old: of that only the slow ones count.
    """
    risen: dict[float, float] = {}
    born: dict[float, float] = {}
    for one in buckets:
        bound = float(one.labels["le"])
        here = list(rises((one,), window))
        risen[bound] = risen.get(bound, 0) + sum(rise.by for rise in here if not rise.born)
        born[bound] = born.get(bound, 0) + sum(rise.by for rise in here if rise.born)
    everything, newborn = risen[math.inf], born[math.inf]
    out = {}
    for bound in sorted(risen):
        slow_newborn = max(newborn - born[bound], 0)
        slow = max(everything - risen[bound], 0) + slow_newborn
        out[bound] = Counts(round(slow), round(everything + slow_newborn))
    return out


def _estimate(q: float, by_bound: dict[float, Counts]) -> float | None:
    """Return the quantile by linear interpolation within a bucket, as ``histogram_quantile`` does."""
    total = by_bound[math.inf].total
    if not total:
        return None
    before_bound, before_count = 0.0, 0.0
    for bound, counts in by_bound.items():
        if math.isinf(bound):
            break
        count = counts.total - counts.bad
        if count >= q * total:
            width = count - before_count
            return before_bound + (bound - before_bound) * ((q * total - before_count) / width if width else 1)
        before_bound, before_count = bound, count
    return before_bound
