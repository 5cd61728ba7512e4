"""Quantiles of histograms, judged as "the share of requests slower than the limit"."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.counts import Counts, count
from pytest_rollout.judge.demand import Demand, short_window, unusable
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import Reading, judge_counts
from pytest_rollout.judge.watch import Watched
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive


@dataclass(frozen=True, slots=True)
class Histogram:
    """What the buckets of one histogram say together: every scrape of every process in one."""

    total: tuple[Series, ...]
    """All requests."""
    slower: Mapping[float, tuple[Series, ...]]
    """By upper bound: the requests that were slower, as counters."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A histogram in a window, and why it may not tell all that happened."""

    histogram: Histogram
    watched: Watched
    doubt: CheckResult | None
    _known: dict[float, Counts] = field(default_factory=dict)

    @property
    def bounds(self) -> list[float]:
        """The finite upper bounds of the buckets, ascending, in seconds."""
        return [bound for bound in self.histogram.slower if math.isfinite(bound)]

    def slower(self, bound: float) -> Counts:
        """Return how many requests were slower than a bound."""
        if bound not in self._known:
            self._known[bound] = count(self.histogram.slower[bound], self.histogram.total, self.watched)
        return self._known[bound]


def judge_quantile(q: float, buckets: Sequence[Series], watch: Watch, window: Window, demand: Demand) -> CheckResult:
    """Judge the q-quantile of a classic histogram against a limit in seconds.

    It is below the limit when the share of requests slower than the limit is below 1 - q. A limit between two
    bounds is decided only when both neighbours agree.
    """
    share = replace(demand, limit=1 - q, unit="share", comparator="below")
    measured = measure(buckets, watch, window, share)
    if isinstance(measured, CheckResult):
        return measured
    bounds = measured.bounds
    if not bounds[0] <= demand.limit <= bounds[-1]:
        return inconclusive(
            Reason.BUCKET_MISSING,
            f"the limit {format_duration(demand.limit)} lies outside the finite buckets "
            f"({format_duration(bounds[0])} to {format_duration(bounds[-1])}); add a bucket at the limit",
        )
    return _told(q, measured, _judge(measured, demand), demand)


def measure(buckets: Sequence[Series], watch: Watch, window: Window, demand: Demand) -> Measured | CheckResult:
    """Return what can be counted of a histogram, or why nothing can."""
    if wrong := unusable(buckets, "the histogram"):
        return wrong
    if not buckets:
        return short_window(window, demand) or inconclusive(
            Reason.NO_DATA, "no bucket series; check the histogram's name, its labels and the scrape"
        )
    histogram = read_buckets(buckets)
    if histogram is None:
        return inconclusive(
            Reason.BUCKET_MISSING, "the series of the histogram do not all have the same buckets, +Inf and a finite one"
        )
    doubt = Watched(tuple(buckets), watch, window, demand).unwatched()
    return Measured(histogram, Watched(histogram.total, watch, window, demand), doubt)


def read_buckets(buckets: Sequence[Series]) -> Histogram | None:
    """Return a histogram of only those scrapes that brought every bucket, or None if a bucket is missing.

    Buckets of different scrapes cannot be subtracted from each other: a lost sample would hide slow requests.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[float, Series]] = {}
    for one in buckets:
        own = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        bound = _bound(one.labels.get("le", ""))
        if bound is None:
            return None
        groups.setdefault(own, {})[bound] = one
    bounds = {frozenset(group) for group in groups.values()}
    if len(bounds) != 1 or math.inf not in (only := bounds.pop()) or len(only) < 2:  # noqa: PLR2004 - +Inf and one more
        return None
    whole = [(dict(own), _common(group)) for own, group in groups.items()]
    return Histogram(
        total=tuple(Series(labels, tuple((at, held[math.inf]) for at, held in scrapes)) for labels, scrapes in whole),
        slower={bound: tuple(_slower(labels, scrapes, bound) for labels, scrapes in whole) for bound in sorted(only)},
    )


def _bound(le: str) -> float | None:
    try:
        bound = float(le)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


_Scrapes: TypeAlias = Sequence[tuple[float, Mapping[float, float]]]
"""(time, what each bucket held), in the order of time."""


def _common(group: Mapping[float, Series]) -> _Scrapes:
    by_time: dict[float, dict[float, float]] = {}
    for bound, one in group.items():
        for at, value in one.samples:
            by_time.setdefault(at, {})[bound] = value
    return [(at, held) for at, held in sorted(by_time.items()) if len(held) == len(group)]


def _slower(labels: Mapping[str, str], scrapes: _Scrapes, bound: float) -> Series:
    return Series(labels, tuple((at, held[math.inf] - held[bound]) for at, held in scrapes))


def _judge(measured: Measured, demand: Demand) -> CheckResult:
    lower = max(bound for bound in measured.bounds if bound <= demand.limit)
    upper = min(bound for bound in measured.bounds if bound >= demand.limit)
    pessimist = _slower_than(measured, lower)
    if pessimist.verdict is not Verdict.BREACHED or upper == lower:
        return pessimist
    optimist = _slower_than(measured, upper)
    if optimist.verdict is Verdict.BREACHED:
        return optimist
    return replace(
        pessimist,
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.BUCKET_MISSING,
        message=f"the buckets around the limit ({format_duration(lower)} and {format_duration(upper)}) disagree; "
        f"add a bucket at {format_duration(demand.limit)}",
    )


def _slower_than(measured: Measured, bound: float) -> CheckResult:
    reading = Reading(measured.slower(bound), measured.watched, measured.doubt)
    return judge_counts(reading, f"requests slower than {format_duration(bound)}")


def _told(q: float, measured: Measured, said: CheckResult, demand: Demand) -> CheckResult:
    low, high = bracket(measured, 1 - q, demand.certainty(measured.watched.window))
    estimate = _estimate(q, measured)
    top = format_duration(high) if math.isfinite(high) else "anything"
    shown = f"p{q * 100:g} lies between {format_duration(low)} and {top}; " if estimate is not None else ""
    found = {"quantile": q, "low_bound": low, "high_bound": high if math.isfinite(high) else None}
    return replace(
        said,
        value=estimate,
        limit=demand.limit,
        unit=demand.unit,
        message=shown + said.message,
        derivation={**said.derivation, **found},
    )


def bracket(measured: Measured, slower: float, certainty: Certainty) -> tuple[float, float]:
    """Return two bucket bounds that the quantile lies between, with the certainty asked for; ``slower`` is 1 - q.

    No correction for looking at several bounds is needed: counts fall as bounds rise, so the wrong side is proven at
    any bound only if it is proven at the one next to the quantile.
    """

    def surely_above(bound: float) -> bool:
        counts = measured.slower(bound)
        return certainty.lowest(counts.least, counts.most) > slower

    def surely_below(bound: float) -> bool:
        counts = measured.slower(bound)
        return counts.total > 0 and certainty.highest(counts.bad, counts.total, counts.burst) < slower

    bounds = measured.bounds
    above = bisect_left(bounds, True, key=lambda bound: not surely_above(bound))
    below = bisect_left(bounds, True, key=surely_below)
    return bounds[above - 1] if above else 0.0, bounds[below] if below < len(bounds) else math.inf


def _estimate(q: float, measured: Measured) -> float | None:
    """Return the quantile by linear interpolation within a bucket, as ``histogram_quantile`` does."""

    def share(bound: float) -> float:
        counts = measured.slower(bound)
        return 1 - counts.bad / counts.total if counts.total else 1.0

    bounds = measured.bounds
    if not measured.slower(bounds[0]).total:
        return None
    place = bisect_left(bounds, q, key=share)
    if place == len(bounds):
        return bounds[-1]
    before, reached = (bounds[place - 1], share(bounds[place - 1])) if place else (0.0, 0.0)
    width = share(bounds[place]) - reached
    return before + (bounds[place] - before) * ((q - reached) / width if width else 1)
