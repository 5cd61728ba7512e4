"""Counters that must not rise, and bare values of PromQL."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from pytest_rollout.judge.demand import Demand, short_window, thin_coverage, unusable
from pytest_rollout.judge.samples import Series, Window, rises
from pytest_rollout.units import format_value
from pytest_rollout.verdict import CheckResult, Reason, Verdict, inconclusive

_HOLDS = {"below": operator.lt, "at_most": operator.le, "above": operator.gt, "at_least": operator.ge}


def judge_counter(
    series: Sequence[Series], process_starts: Sequence[Series], window: Window, demand: Demand
) -> CheckResult:
    """Judge how much counters rose, from raw samples.

    A process that restarted inside the window may have lost increments that were never scraped, so "stayed at
    0" is then not proven.
    """
    if wrong := unusable(series, "the counter"):
        return wrong
    found = sorted(rises(series, window), key=lambda rise: (rise.at, _labels(rise.labels)))
    risen = math.fsum(rise.by for rise in found)
    known: dict[str, Any] = {
        "value": risen,
        "limit": demand.limit,
        "unit": demand.unit,
        "samples": sum(1 for one in series for at, _ in one.samples if window.start < at <= window.end),
        "window": window.bounds,
        "derivation": {
            "rule": "raw increments",
            "rises": [{"at": rise.at, "by": rise.by, "labels": dict(rise.labels)} for rise in found[:20]],
        },
    }
    said = f"rose by {format_value(risen, 'count')}, at most {format_value(demand.limit, 'count')} is allowed"
    if risen > demand.limit:
        where = f"; first at {found[0].at:.0f} on {_labels(found[0].labels)}"
        return CheckResult(verdict=Verdict.BREACHED, reason=Reason.LIMIT_BREACHED, message=said + where, **known)
    return _counter_unproven(series, process_starts, window, demand) or CheckResult(
        verdict=Verdict.PASSED, reason=Reason.WITHIN_LIMIT, message=said, **known
    )


def _counter_unproven(
    series: Sequence[Series], process_starts: Sequence[Series], window: Window, demand: Demand
) -> CheckResult | None:
    if short := short_window(series, window, demand):
        return short
    if not series:
        return inconclusive(Reason.NO_DATA, "no series matches; a counter that was never born proves nothing")
    if any(rise.reset for rise in rises(series, window)) or _restarted(process_starts, window):
        return inconclusive(
            Reason.RESTART,
            "the process restarted inside the window, so increments may be lost; let the window pass again",
            window=window.bounds,
        )
    return thin_coverage(series, window, demand)


def _restarted(process_starts: Sequence[Series], window: Window) -> bool:
    return any(
        len({value for at, value in one.samples if window.start < at <= window.end}) > 1 for one in process_starts
    )


def judge_value(series: Sequence[Series], window: Window | None, demand: Demand) -> CheckResult:
    """Judge the one value that a query gave. The comparison is made here, never in the query."""
    if window is not None and (short := short_window((), window, demand)):
        return short
    if not series:
        return inconclusive(Reason.NO_DATA, "the query gave no series; check the metric's name and the scrape")
    if len(series) > 1:
        names = ", ".join(sorted(_labels(one.labels) for one in series)[:3])
        return inconclusive(
            Reason.SEVERAL_SERIES, f"the query gave {len(series)} series ({names}); aggregate them to one"
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


def _labels(labels: Any) -> str:
    inner = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()) if key != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"
