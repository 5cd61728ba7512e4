"""How long counters were watched around a request, when what moved meanwhile is explained by other requests.

Between two cases the metrics are read, and nothing waits: the reading after the one is that before the other. A case
is proven to be alone all the same, for whatever moved before and after it is exactly what the cases there say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pytest_rollout.golden.deltas import MetricReadings, rises_exactly
from pytest_rollout.golden.exposition import narrows
from pytest_rollout.golden.observation import Observation


def covers(rises: Iterable[str], others: Iterable[str]) -> bool:
    """Whether each of the other selectors selects nothing but what one of these selectors selects, too."""
    return all(any(narrows(other, one) for one in rises) for other in others)


def lengthened(one: Observation, seen: Sequence[Observation], control: float, hold: float) -> MetricReadings | None:
    """Return the readings around a request with all the time that the counters were watched before and after it.

    ``seen`` is everything that was observed in the mode, in the order of sending; ``control`` and ``hold`` are the
    seconds that are enough. A reading that is missing, or that does not fit, ends what is counted.
    """
    mine = one.metrics
    if mine is None:
        return None
    chain = [other.metrics for other in seen if other.instance == one.instance and other.metrics is not None]
    place = next(number for number, other in enumerate(chain) if other is mine)
    return replace(
        mine,
        quiet=_lead(mine, chain[place - 1 :: -1] if place else (), control),
        kept=_tail(mine, chain[place + 1 :], hold),
    )


def _lead(mine: MetricReadings, earlier: Iterable[MetricReadings], enough: float) -> float:
    seconds, latest = mine.quiet, mine
    for one in earlier:
        if seconds >= enough or not _joined(one, latest) or not _explains(one, mine.explained):
            break
        seconds, latest = seconds + one.took + one.quiet, one
    return seconds


def _tail(mine: MetricReadings, later: Iterable[MetricReadings], enough: float) -> float:
    seconds, latest = mine.kept, mine
    for one in later:
        if seconds >= enough or not _joined(latest, one) or not _explains(one, mine.explained):
            break
        seconds, latest = seconds + one.took + one.kept, one
    return seconds


def _joined(earlier: MetricReadings, later: MetricReadings) -> bool:
    """Whether the last readings of the one are the first of the other."""
    ends, begins = (earlier.after, earlier.held), (later.control, later.before)
    return None not in ends and ends == begins


def _explains(one: MetricReadings, rises: Mapping[str, int]) -> bool:
    """Whether what its request is to move is all that some counters did meanwhile."""
    return covers(one.explained, rises) and all(rises_exactly(name, rise, one) for name, rise in one.explained.items())
