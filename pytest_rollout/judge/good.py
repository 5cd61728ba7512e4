"""What of a total was not good, where a metric of its own counts the good ones.

Both are read in the same scrapes of the same processes, so what one rose by in a scrape can be taken from what the
other did. Good ones only count for what surely is theirs: the same process, the same value of every label that both
have, the same scrapes. So a sample that is lost can only leave more that is not good.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pytest_rollout.judge.counts import Counts, lost_at_restarts
from pytest_rollout.judge.samples import Instance, Rise, Series, Window, grown, largest_burst, rises
from pytest_rollout.judge.watch import Watched
from pytest_rollout.verdict import CheckResult, Reason, inconclusive


@dataclass(frozen=True, slots=True)
class Pair:
    """Series of both sides that have the same labels, as far as both sides have them at all."""

    name: str
    good: tuple[Series, ...]
    total: tuple[Series, ...]

    def missing(self, window: Window) -> Iterator[Rise]:
        """Yield what ``total`` rose by and ``good`` did not, between two scrapes that brought both.

        Of that, ``total`` alone tells how much at most happened in the window.
        """
        total, good = dict(_summed(self.total, unborn=0.0)), dict(_summed(self.good))
        both = [(at, total[at], good[at]) for at in sorted(total.keys() & good.keys())]
        rose = list(rises([Series(self.total[0].labels, tuple(total.items()))] if total else (), window))
        places = [at for at, _, _ in both]
        for place, group in itertools.groupby(rose, key=lambda rise: bisect_left(places, rise.at)):
            found = list(group)
            by = sum(rise.by for rise in found)
            if place < len(both):
                by = min(by, _missed(both[place - 1] if place else _NOTHING, both[place], found))
            if by > 0:
                reset = any(rise.reset for rise in found)
                yield Rise(found[0].after, found[-1].at, by, found[0].labels, reset)

    def surely(self, window: Window) -> float:
        """Return how many surely were not good; good ones of any stretch count for all of them."""
        seen = [(one.samples[0][0], one.samples[-1][0]) for one in self.good if one.samples]
        since, until = max((first for first, _ in seen), default=0.0), min((last for _, last in seen), default=math.inf)
        inside = (rise for rise in rises(self.total, window) if rise.inside(window))
        total = sum(rise.by for rise in inside if rise.after >= since and rise.at <= until)
        return max(total - sum(rise.by for rise in rises(self.good, window)), 0.0)

    def extremes(self, window: Window) -> tuple[float, float]:
        """Return how many good ones there surely are, and how many of all there may be."""
        good = sum(rise.by for rise in rises(self.good, window) if rise.inside(window))
        return good, sum(rise.by for rise in rises(self.total, window))


_Both: TypeAlias = tuple[float, float, float]
"""When a scrape brought both sides, what total showed, and what good did."""
_NOTHING: _Both = (-math.inf, 0.0, 0.0)
"""Before both were seen for the first time: all that good is behind by may have happened since."""


def _missed(before: _Both, here: _Both, rose: Sequence[Rise]) -> float:
    """Return how far good fell behind total between two scrapes."""
    behind = here[1] - here[2]
    resets = [place for place, rise in enumerate(rose) if rise.reset]
    if resets:  # what was behind before the restart is gone, so all of that counts
        return behind + sum(rise.by for rise in rose[: resets[-1]])
    return behind if here[2] < before[2] else behind - (before[1] - before[2])


def _summed(series: Sequence[Series], *, unborn: float | None = None) -> Iterator[tuple[float, float]]:
    """Yield what several series showed together, whenever all of them did; ``unborn``: before its first sample."""
    if len(series) == 1:  # nearly always
        yield from series[0].samples
        return
    values = [dict(one.samples) for one in series]
    firsts = [min(samples, default=math.inf) for samples in values]
    for at in sorted(set().union(*values)):
        held = [samples.get(at, unborn if at < first else None) for samples, first in zip(values, firsts, strict=True)]
        known = [value for value in held if value is not None]
        if len(known) == len(held):
            yield at, sum(known)


def pairs_of(good: Sequence[Series], total: Sequence[Series]) -> list[Pair]:
    """Return both sides, matched by all labels that every series of both has."""
    common = frozenset.intersection(*(frozenset(one.labels) for one in (*good, *total))) - {"__name__"}
    sides: dict[tuple[tuple[str, str], ...], tuple[list[Series], list[Series]]] = {}
    for place, side in enumerate((good, total)):
        for one in side:
            key = tuple((label, one.labels[label]) for label in sorted(common))
            sides.setdefault(key, ([], []))[place].append(one)
    return [
        Pair(",".join(f'{label}="{value}"' for label, value in key), tuple(mine), tuple(theirs))
        for key, (mine, theirs) in sides.items()
    ]


def count_missing(pairs: Sequence[Pair], told: frozenset[Instance], watched: Watched) -> Counts:
    """Count what was not good. Only processes that are ``told`` of can surely have had none that were good."""
    window = watched.window
    found = [rise for pair in pairs for rise in pair.missing(window)]
    total = [one for pair in pairs for one in pair.total]
    burst, lost = largest_burst(found, window.burst), lost_at_restarts(rises(total, window), watched)
    may = sum(rise.by for rise in found) + lost
    sure = sum(pair.surely(window) for pair in pairs if all(one.instance in told for one in pair.total))
    surely, perhaps = grown(total, window)
    return Counts(
        bad=may,
        total=max(surely + lost, may),
        sure=sure,
        most=max(perhaps, sure),
        least=sure,
        apart=max(sure - max(burst - 1, 0.0), 0.0),
        burst=max(burst, lost),
        lost=lost,
    )


def untold(pairs: Sequence[Pair], told: frozenset[Instance], watched: Watched) -> CheckResult | None:
    """Return that a process counts ``total`` and nothing tells what was good there, or None."""
    counting = {one.instance for pair in pairs for one in pair.total}
    for life in watched.lives:
        if life.instance in counting - told:
            return inconclusive(
                Reason.NO_DATA,
                f"{life.name} has no series of 'good' and does not export its metric, so nothing tells what was good "
                "there; check the metric's name, its labels and what that process is",
            )
    return None


def unfit(pairs: Sequence[Pair], watched: Watched) -> CheckResult | None:
    """Return that there are more good ones than there can be, or None."""
    for pair in pairs:
        good, most = pair.extremes(watched.window)
        if good > most:
            return inconclusive(
                Reason.NOT_A_PART,
                f"{round(good):,} good ones of at most {round(most):,} in {{{pair.name}}}, so 'good' counts what "
                "'total' does not; give both the same matchers, or mend what is counted",
            )
    return None
