"""What a load run tells people and other tools, beside its verdict: percentiles, histograms, a picture, traces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_rollout.judge.latency import QuantileBelow
from pytest_rollout.judge.load_run import Answers, Moments
from pytest_rollout.judge.order import nearest_rank
from pytest_rollout.load.histogram import encode
from pytest_rollout.load.judged import CANDIDATE, Demand, Runs, chosen, kind
from pytest_rollout.load.plot import Curve, Mark, draw, percentile
from pytest_rollout.load.result import Exemplar
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult

_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_MOST = 20
"""Requests that are named one by one."""


def told(runs: Runs, demand: Demand) -> dict[str, Any]:
    """Return all numbers of a run and its extensions, builtins only. Seconds, but for histograms (microseconds)."""
    lags = [result.lag for result in runs]
    return {
        "model": "closed" if runs[0].tail_is_lower_bound else "open",
        "offered_rate": None if runs[0].tail_is_lower_bound else runs[0].asked.rate,
        "achieved_rate": min(result.achieved_rate for result in runs),
        "lag_p99": max(lag.p99 for lag in lags if lag) if all(lags) else None,
        "cpu": max(result.cpu for result in runs),
        "arms": {
            name or "all": _arm(chosen(runs, demand, name)) | {"service": _service(runs, demand, name)}
            for name in _arms(runs)
        },
        "slowest": [one.model_dump() for one in _slowest(runs)],
        "failures": [one.model_dump() for one in _failures(runs)],
    }


def picture(runs: Runs, demand: Demand, results: Mapping[str, CheckResult], title: str) -> str:
    """Return the curve of percentiles as SVG, with the limits; ``results`` are those of each limit, by its name.

    Raises ValueError if there was no request.
    """
    curves = []
    for name in _arms(runs):
        there = chosen(runs, demand, name)
        curves.append(Curve(name or "requests", there.early, there.late))
    marks = [
        _mark(limit, results.get(name)) for name, limit in demand.limits.items() if isinstance(limit, QuantileBelow)
    ]
    return draw(title, curves, marks)


def lines(runs: Runs) -> list[str]:
    """Return the slowest and the failed requests in words, with the trace ids that they were sent with."""
    failed = _failures(runs)
    slowest = [one for one in _slowest(runs) if one not in failed]
    return [
        f"{one.method} {one.name}{_in_brackets(one.arm)}: {_outcome(one)}, trace {one.trace_id or 'unknown'}"
        for one in (*failed, *slowest)
    ]


def _outcome(one: Exemplar) -> str:
    took = format_duration(one.latency)
    if one.outcome == "ok":
        return took
    known = "no answer after" if one.outcome in ("timeout", "unfinished") else "failed after"
    return f"{known} {took}{_in_brackets(one.text)}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _arms(runs: Runs) -> Sequence[str | None]:
    """Return the names of the arms, the candidate first."""
    return sorted((arm.name for arm in runs[0].asked.arms), key=lambda name: name != CANDIDATE) or [None]


def _arm(there: Answers) -> dict[str, Any]:
    return {
        "due": there.due,
        "ok": len(there.ok),
        "failed": len(there.failed),
        "unfinished": len(there.censored),
        "percentiles": _percentiles(there.late),
        "hdr": {
            "ok": _histogram(there.ok),
            "failed": _histogram(there.failed),
            "unfinished": _histogram(there.censored),
        },
    }


def _service(runs: Runs, demand: Demand, arm: str | None) -> dict[str, float | None]:
    """Return percentiles from the real start, without what requests waited for their turn: what others tell."""
    samples = [result.service(kind(runs, demand), demand.name, arm) for result in runs]
    good = sorted(seconds for part in samples for seconds in part.ok)
    return _percentiles([*good, *[math.inf for part in samples for _ in part.failed + part.censored]])


def _percentiles(late: Sequence[float]) -> dict[str, float | None]:
    """Return percentiles; one may be None, since a request without a good answer is slower than all others."""
    return {percentile(q): _finite(nearest_rank(late, q)) for q in _QUANTILES} if late else {}


def _histogram(part: Moments) -> str:
    return encode(seconds for _, seconds in part)


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _mark(limit: QuantileBelow, result: CheckResult | None) -> Mark:
    found = result.derivation if result else {}
    return Mark(limit.q, limit.limit, found.get("low_bound"), found.get("high_bound"))


def _slowest(runs: Runs) -> list[Exemplar]:
    every = [one for result in runs for part in result.parts for one in part.slowest]
    return sorted(every, key=lambda one: -one.latency)[:_MOST]


def _failures(runs: Runs) -> list[Exemplar]:
    every = [one for result in runs for part in result.parts for one in part.failures]
    return sorted(every, key=lambda one: one.at)[:_MOST]
