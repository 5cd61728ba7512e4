"""What can be counted in a window, from both sides: what may have happened there, and what surely did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_rollout.judge.demand import Restarts
from pytest_rollout.judge.samples import Instance, Rise, Series, largest_burst, rises
from pytest_rollout.judge.watch import Watched


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events of all events. Whoever wants to pass takes the worse side of both, whoever breaches the better."""

    bad: float
    """All that may have happened in the window."""
    total: float
    """Those that surely did; at least ``bad``."""
    sure: float
    """Bad ones that surely happened in the window."""
    most: float
    """All that may have; at least ``sure``."""
    burst: float = 0.0
    """The largest number of bad ones that may have come together."""
    lost: float = 0.0
    """How many of ``bad`` stand for what a process took along when it ended."""


def count(bad: Sequence[Series], total: Sequence[Series], watched: Watched) -> Counts:
    """Count bad events and all events of the processes that ``watched`` tells about."""
    window = watched.window
    bad_rises, all_rises = list(rises(bad, window)), list(rises(total, window))
    lost = lost_at_restarts(all_rises, watched)
    may = sum(rise.by for rise in bad_rises) + lost
    # Births in the denominator may be old requests: they prove nothing. In the numerator they count.
    surely = sum(rise.by for rise in all_rises if rise.inside(window)) + lost
    sure = sum(rise.by for rise in bad_rises if watched.surely(rise))
    return Counts(
        bad=may,
        total=max(surely, may),
        sure=sure,
        most=max(sum(rise.by for rise in all_rises), sure),
        burst=max(largest_burst(bad_rises, window.burst), lost),
        lost=lost,
    )


def lost_at_restarts(found: Sequence[Rise], watched: Watched) -> float:
    """Return how many events the processes that ended may have taken along, if the plan charges for them."""
    if watched.demand.restarts is not Restarts.CHARGE:
        return 0.0
    return sum(
        _busiest(found, life.instance) * max(_resets(found, life.instance), 1)
        for life in watched.lives
        if life.interrupted(watched.window) or _resets(found, life.instance)
    )


def _busiest(found: Sequence[Rise], instance: Instance) -> float:
    """Return the most that a process counted between two scrapes."""
    between: dict[float, float] = {}
    for rise in found:
        if _instance(rise) == instance:
            between[rise.at] = between.get(rise.at, 0.0) + rise.by
    return max(between.values(), default=0.0)


def _resets(found: Sequence[Rise], instance: Instance) -> int:
    return len({rise.at for rise in found if rise.reset and _instance(rise) == instance})


def _instance(rise: Rise) -> Instance:
    return (rise.labels.get("job", ""), rise.labels.get("instance", ""))
