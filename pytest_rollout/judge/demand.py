"""What a gate demands of its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.samples import Series, Window, all_finite
from pytest_rollout.units import format_duration
from pytest_rollout.verdict import CheckResult, Reason, inconclusive


class Restarts(StrEnum):
    """What a process that began, ended or restarted inside the window means."""

    HOLD = "hold"
    """What it counted after its last scrape is lost, so nothing is proven."""
    CHARGE = "charge"
    """What it may have lost counts as bad: as many as in its busiest time between two scrapes."""
    IGNORE = "ignore"
    """Nobody looks, and the report says so."""


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
    intervals: Mapping[str, float] = field(default_factory=dict)
    """The same by job, where it is known."""
    confidence: float | None = 0.95
    """Two-sided; None compares the observed share itself."""
    restarts: Restarts = Restarts.HOLD
    expect_series: int | None = None
    """How many series (or groups) there must be at least."""

    def pace(self, job: str) -> float:
        """Return how many seconds lie between two scrapes of a job."""
        return self.intervals.get(job, self.interval)

    def certainty(self, window: Window) -> Certainty:
        """Return the promise that bounds have to keep in a window."""
        return Certainty(self.confidence, window.epoch)


def unusable(series: Sequence[Series], what: str) -> CheckResult | None:
    """Return why samples cannot be counted at all, or None."""
    if not all_finite(series):
        return inconclusive(Reason.NOT_A_NUMBER, f"{what} has samples that are not finite numbers; mend the exporter")
    return None


def short_window(window: Window, demand: Demand) -> CheckResult | None:
    """Return "not observed for long enough yet", or None once the window has elapsed."""
    missing = window.wanted - window.length
    # A scrape's jitter must not hold a stage for ever: half an interval of slack, never more.
    if missing <= min(demand.interval / 2, window.wanted / 10):
        return None
    return inconclusive(
        Reason.WINDOW_NOT_ELAPSED,
        f"observed for {format_duration(max(window.length, 0))} of {format_duration(window.wanted)} since the flip; "
        f"decides in about {format_duration(missing)}",
        window=window.bounds,
        ready_in=missing,
    )
