"""What a Prometheus knows now that a plan can be held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

from pytest_rollout.errors import QueryRefused
from pytest_rollout.sources.prometheus import Found, Prometheus

_RATE_OVER = "5m"


class LivePrometheus:
    """The facts that ``pytest_rollout.plan.lint`` asks for, as of one instant (unix seconds).

    Every question raises SourceError if the server gives no usable answer: a lint that is blind says so.
    """

    def __init__(self, prometheus: Prometheus, at: float) -> None:
        self._prometheus = prometheus
        self._at = at

    @cached_property
    def metric_names(self) -> frozenset[str]:
        """Every metric that is stored."""
        return self._prometheus.metric_names()

    @cached_property
    def retention(self) -> float | None:
        """For how many seconds samples are kept; None if time does not limit it."""
        return self._prometheus.retention()

    @cached_property
    def scrape_intervals(self) -> Mapping[str, float]:
        """The longest scrape interval of each job, in seconds."""
        return self._prometheus.scrape_intervals()

    def metric_type(self, name: str) -> str | None:
        """Return what live targets say a metric is; None if none of them knows."""
        return self._prometheus.metric_type(name)

    def bucket_bounds(self, selector: str) -> tuple[float, ...] | None:
        """Return the finite upper bounds of the buckets that a selector matches, ascending; None if there are none."""
        found = self._prometheus.query(f"count by (le) ({selector})", self._at)
        bounds = [_number(one.labels.get("le", "")) for one in found.series]
        finite = tuple(sorted(bound for bound in bounds if math.isfinite(bound)))
        return finite if finite and not found.warnings else None

    def series_count(self, selector: str) -> int | None:
        """Return how many series match now; None if the server warns that some may be missing."""
        found = self._prometheus.query(f"count({selector})", self._at)
        return None if found.warnings else round(_value(found) or 0.0)

    def rate(self, selector: str) -> float | None:
        """Return how many events a second the matching counters counted lately; None if they have no samples."""
        return _value(self._prometheus.query(f"sum(rate({selector}[{_RATE_OVER}]))", self._at))

    def check(self, expression: str) -> str | None:
        """Return what the server refuses an expression with, None if it takes it."""
        try:
            self._prometheus.query(expression, self._at)
        except QueryRefused as exc:
            return str(exc)
        return None


def _value(found: Found) -> float | None:
    return found.series[0].samples[-1][1] if found.series else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
