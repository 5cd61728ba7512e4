"""What can be counted in a window, from both sides: what may have happened there, and what surely did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_rollout.judge.demand import Restarts
from pytest_rollout.judge.samples import Instance, Rise, Series, grown, largest_burst, rises
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
    least: float = 0.0
    """Bad ones that happened in the window even if no birth is believed."""
    apart: float = 0.0
    """Like ``sure``, with the largest number of them that came together as one. More bad ones never lower it."""
    burst: float = 0.0
    """The largest number of bad ones that may have come together."""
    lost: float = 0.0
    """How many of ``bad`` stand for what a process took along when it ended."""


def count(bad: Sequence[Series], total: Sequence[Series], watched: Watched) -> Counts:
    """Count bad events and all events of the processes that ``watched`` tells about."""
    window = watched.window
    bad, total = watched.own(bad), watched.own(total)
    found = list(rises(bad, window))
    sure_ones = [rise for rise in found if watched.surely(rise)]
    burst = largest_burst(found, window.burst)
    together = burst if len(sure_ones) == len(found) else largest_burst(sure_ones, window.burst)
    lost = lost_at_restarts(rises(total, window), watched)
    may, sure = sum(rise.by for rise in found) + lost, sum(rise.by for rise in sure_ones)
    # Births in the denominator may be old requests: they prove nothing. In the numerator they count.
    surely, perhaps = grown(total, window)
    return Counts(
        bad=may,
        total=max(surely + lost, may),
        sure=sure,
        most=max(perhaps, sure),
        least=sum(rise.by for rise in found if rise.inside(window)),
        apart=sure - max(together - 1, 0.0),
        burst=max(burst, lost),
        lost=lost,
    )


def lost_at_restarts(rises_of_all: Iterable[Rise], watched: Watched) -> float:
    """Return how many events the processes that ended may have taken along, if the plan charges for them."""
    if watched.demand.restarts is not Restarts.CHARGE:
        return 0.0
    found = list(rises_of_all)
    return sum(
        _busiest(found, life.instance) * max(_resets(found, life.instance), 1)
        for life in watched.lives
        if life.interrupted(watched.window) or _resets(found, life.instance)
    )


def _busiest(found: Sequence[Rise], instance: Instance) -> float:
    """Return the most that a process counted between two scrapes."""
    between: dict[float, float] = {}
    for rise in found:
        if rise.instance == instance:
            between[rise.at] = between.get(rise.at, 0.0) + rise.by
    return max(between.values(), default=0.0)


def _resets(found: Sequence[Rise], instance: Instance) -> int:
    return len({rise.at for rise in found if rise.reset and rise.instance == instance})
