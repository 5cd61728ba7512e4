"""What a gate demands, and the checks of evidence that all counting gates share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_rollout.judge.samples import Series, Window, all_finite, coverage
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A limit and the evidence it wants. Base units."""

    limit: float
    unit: str
    comparator: str
    coverage: float
    max_gap: float
    """Seconds."""
    interval: float
    """Seconds between two scrapes."""
    confidence: float = 0.95


def unusable(series: Sequence[Series], what: str) -> CheckResult | None:
    """Return why samples cannot be counted at all, or None."""
    if not all_finite(series):
        return inconclusive(Reason.NOT_A_NUMBER, f"{what} has samples that are not finite numbers; mend the exporter")
    return None


def short_window(series: Sequence[Series], window: Window, demand: Demand) -> CheckResult | None:
    """Return "not observed for long enough yet", or None once the window has elapsed."""
    seen = coverage(series, window, demand.interval)
    start = seen.first if seen.first is not None and seen.first - window.start > demand.max_gap else window.start
    missing = window.wanted - (window.end - start)
    # A scrape's jitter must not hold a stage for ever: half an interval of slack, never more.
    if missing <= demand.interval / 2:
        return None
    return inconclusive(
        Reason.WINDOW_NOT_ELAPSED,
        f"observed for {format_duration(max(window.end - start, 0))} of {format_duration(window.wanted)} "
        f"since the flip or the first sample; decides in about {format_duration(missing)}",
        window=window.bounds,
        ready_in=missing,
    )


def thin_coverage(series: Sequence[Series], window: Window, demand: Demand) -> CheckResult | None:
    """Return "the window has holes", or None."""
    seen = coverage(series, window, demand.interval)
    known: dict[str, Any] = {
        "window": window.bounds,
        "ready_in": window.wanted,  # by then no hole of today is inside the window any more
        "derivation": {"coverage": seen.share, "longest_gap": seen.longest_gap},
    }
    if seen.longest_gap > demand.max_gap:
        return inconclusive(
            Reason.COVERAGE,
            f"no sample for {format_duration(seen.longest_gap)} (at most {format_duration(demand.max_gap)} is "
            "allowed); find out why the target was not scraped, then let the window pass again",
            **known,
        )
    if seen.share < demand.coverage:
        return inconclusive(
            Reason.COVERAGE,
            f"only {seen.share:.1%} of the expected scrapes arrived ({demand.coverage:.1%} needed); "
            "find out why, then let the window pass again",
            **known,
        )
    return None
