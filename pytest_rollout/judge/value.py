"""Counters that must not rise, and bare values of PromQL."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_rollout.judge.counts import lost_at_restarts
from pytest_rollout.judge.demand import Demand, short_window, unusable
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.samples import Rise, Series, Window, rises, shown
from pytest_rollout.judge.watch import Watched
from pytest_rollout.units import format_moment, format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_HOLDS = {"below": operator.lt, "at_most": operator.le, "above": operator.gt, "at_least": operator.ge}
_MOST_SHOWN = 20


def judge_counter(series: Sequence[Series], watch: Watch, window: Window, demand: Demand) -> CheckResult:
    """Judge how much counters rose, from raw samples.

    A process that restarted inside the window may have lost increments that were never scraped, so "stayed at
    0" is then not proven. A counter without any series stayed at 0 if every process exports its metric.
    """
    if wrong := unusable(series, "the counter"):
        return wrong
    watched = Watched(tuple(series), watch, window, demand)
    found = sorted(rises(watched.own(series), window), key=lambda rise: (rise.at, shown(rise.labels)))
    sure = [rise for rise in found if watched.surely(rise)]
    lost = lost_at_restarts(found, watched)
    risen, surely = math.fsum(rise.by for rise in found) + lost, math.fsum(rise.by for rise in sure)
    base = CheckResult(
        verdict=Verdict.PASSED,
        reason=Reason.WITHIN_LIMIT,
        message=f"rose by {format_value(risen, 'count')}, at most {format_value(demand.limit, 'count')} is allowed",
        value=risen,
        limit=demand.limit,
        unit=demand.unit,
        samples=sum(1 for one in series for at, _ in one.samples if window.start < at <= window.end),
        window=window.bounds,
        derivation={
            "rule": "raw increments",
            "rises": [_told(rise, surely=rise in sure) for rise in found[:_MOST_SHOWN]],
            "restarts": demand.restarts.value,
            "charged_for_restarts": round(lost),
            "coverage": watched.coverage(),
        },
    )
    if surely > demand.limit:
        first = sure[0]
        where = f"; first at {format_moment(first.at)} on {shown(first.labels)}"
        return replace(base, verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message=base.message + where)
    doubt = _counter_unproven(watched) or (_perhaps(found, watched, lost) if risen > demand.limit else None)
    return base.because(doubt) if doubt else base


def _told(rise: Rise, *, surely: bool) -> dict[str, Any]:
    after = None if rise.born else rise.after
    return {"after": after, "at": rise.at, "by": rise.by, "labels": dict(rise.labels), "surely": surely}


def _counter_unproven(watched: Watched) -> CheckResult | None:
    if short := short_window(watched.window, watched.demand):
        return short
    if not watched.series and not watched.watch.exporters:
        return inconclusive(
            Reason.NO_DATA,
            "no series matches, and no process exports such a metric; a counter that was never born proves nothing",
        )
    return watched.unwatched()


def _perhaps(found: Sequence[Rise], watched: Watched, lost: float) -> CheckResult:
    window = watched.window
    first = next((rise for rise in found if not watched.surely(rise)), None)
    if first is None:
        said = f"{format_value(lost, 'count')} more may be lost with processes that ended; let the window pass again"
        return inconclusive(Reason.RESTART, said)
    by = format_value(first.by, "count")
    return inconclusive(
        Reason.COVERAGE,
        f"{shown(first.labels)} was {by} higher at {format_moment(first.at)}, in the window or before: the scrape that "
        "would tell is missing; let the window pass again",
        ready_in=window.clear_of(first.at),
    )


def judge_value(series: Sequence[Series], window: Window | None, demand: Demand) -> CheckResult:
    """Judge the one value that a query gave. The comparison is made here, never in the query."""
    if window is not None and (short := short_window(window, demand)):
        return short
    if not series:
        return inconclusive(Reason.NO_DATA, "the query gave no series; check the metric's name and the scrape")
    if len(series) > 1:
        names = ", ".join(sorted(shown(one.labels) for one in series)[:3])
        return inconclusive(
            Reason.SEVERAL_SERIES,
            f"the query gave {len(series)} series ({names}); aggregate them to one, or say quantifier: all and "
            "expect_series",
        )
    value = series[0].samples[-1][1]
    if not math.isfinite(value):
        return inconclusive(Reason.NOT_A_NUMBER, f"the query gave {value}; often this is 0/0, no traffic")
    holds = _HOLDS[demand.comparator](value, demand.limit)
    return CheckResult(
        verdict=Verdict.PASSED if holds else Verdict.BREACHED,
        reason=Reason.WITHIN_LIMIT if holds else Reason.LIMIT_BREACHED,
        message=f"the value {value:.6g} {'is' if holds else 'is not'} {demand.comparator.replace('_', ' ')} "
        f"{demand.limit:.6g}",
        value=value,
        limit=demand.limit,
        unit=demand.unit,
        samples=1,
        window=window.bounds if window else None,
        derivation={"rule": "bare value"},
    )
