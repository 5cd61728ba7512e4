"""Two series compared by their ranks, with the labels that Kayenta gives (Netflix's automated canary analysis).

Kayenta follows R's ``wilcox.test(conf.int=TRUE, exact=FALSE, correct=TRUE)``, which searches numerically for the
shifts at which the test turns. It only turns at differences of a point of one side and a point of the other, so here
the bounds are taken from the sorted differences, exactly (Hodges and Lehmann, Annals of Mathematical Statistics 34,
1963; Hollander and Wolfe, Nonparametric Statistical Methods, 4.3). The same series always give the same label: no
noise is added where both sides are constant.

The label ``Pass`` says that no difference was shown, not that there is none: ``low`` and ``high`` say how large a one
there may be.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist, fmean, median
from typing import Literal, NamedTuple, TypeAlias

Direction: TypeAlias = Literal["increase", "decrease", "either"]

_MOST_PAIRS = 10**7


class Label(StrEnum):
    """How the experiment compares with the control; all but the last are spelt as Kayenta does."""

    HIGH = "High"
    LOW = "Low"
    PASS = "Pass"  # noqa: S105 - a label
    NODATA = "Nodata"
    TOO_FEW = "TooFew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """By how much the values of one side are above those of the other, in their own unit."""

    estimate: float
    """The median of all differences (Hodges and Lehmann)."""
    low: float
    high: float
    p_value: float
    """Of "no shift", two-sided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A label and all the numbers it rests on."""

    label: Label
    shift: Shift | None = None
    """None without a verdict."""
    bound: float = math.inf
    """How far from 0 the shift has to be shown to be."""
    effect: float | None = None
    """Mean of the experiment over mean of the control. None if not both are above 0: then it tells nothing."""
    control: int
    """Points that are numbers."""
    experiment: int
    """Points that are numbers."""
    dropped_control: int
    """Points that are not."""
    dropped_experiment: int
    """Points that are not."""
    needed: int
    """Points that each side needs."""


class _Numbers(NamedTuple):
    found: list[float]
    dropped: int


def classify(  # noqa: PLR0913 - the settings of Kayenta's judge
    control: Iterable[float],
    experiment: Iterable[float],
    *,
    direction: Direction,
    tolerance: float = 0.25,
    confidence: float = 0.98,
    allowed_increase: float = 1.0,
    allowed_decrease: float = 1.0,
) -> Comparison:
    """Label the experiment by its control; NaN is dropped first, and counted.

    High if the shift is shown, at ``confidence`` (two-sided), to be above ``tolerance`` times its own estimate, and
    the effect is at least ``allowed_increase``; Low likewise on the other side. An effect that tells nothing is not
    asked for. On fewer points than ``points_needed``, equal ones too, there is no verdict; Kayenta gives one. Raises
    ValueError for infinite points, and for more than ten million pairs of points, which would take seconds.
    """
    x, y = _numbers(experiment), _numbers(control)
    out = Comparison(
        label=Label.TOO_FEW if x.found and y.found else Label.NODATA,
        control=len(y.found),
        experiment=len(x.found),
        dropped_control=y.dropped,
        dropped_experiment=x.dropped,
        needed=points_needed(confidence),
    )
    if min(out.control, out.experiment) < out.needed:
        return out
    found = shift(x.found, y.found, confidence)
    out = replace(
        out,
        label=Label.PASS,
        shift=found,
        bound=tolerance * abs(found.estimate),
        effect=_mean_ratio(x.found, y.found),
    )
    wanted = _quantile(confidence)
    # The same as asking whether the interval is beyond the bound; but where many points are equal, the interval can
    # end on the bound, and only the test tells whether it belongs to it.
    if direction != "decrease" and statistic(x.found, y.found, out.bound) > wanted:
        return replace(out, label=Label.HIGH) if out.effect is None or out.effect >= allowed_increase else out
    if direction != "increase" and statistic(x.found, y.found, -out.bound) < -wanted:
        return replace(out, label=Label.LOW) if out.effect is None or out.effect <= allowed_decrease else out
    return out


def points_needed(confidence: float) -> int:
    """Return how many points each side needs so that the most extreme order of them shows a difference.

    Both by the exact two-sided test, whose smallest p-value is ``2 / C(2n, n)``, and by the normal approximation,
    which decides here. Raises ValueError if ``confidence`` is not between 0 and 1.
    """
    wanted = _quantile(confidence)
    return next(
        n
        for n in itertools.count(2)
        if 2 / math.comb(2 * n, n) < 1 - confidence and statistic(range(n, 2 * n), range(n), 0) > wanted
    )


def shift(x: Sequence[float], y: Sequence[float], confidence: float) -> Shift:
    """Return by how much x is above y, with the interval that the test does not reject at ``confidence``.

    On very few points the interval should be endless, and is cut off at the smallest and largest difference, as in R.
    Takes time and memory for each pair of points.
    """
    pairs = len(x) * len(y)
    if pairs > _MOST_PAIRS:
        raise ValueError(f"{len(x):,} against {len(y):,} points are too many to compare; use a larger step")
    differences = sorted(one - other for one in x for other in y)
    # Between two differences no point of x meets one of y, and only ties within a side remain.
    spread = _spread(len(x), len(y), (*Counter(x).values(), *Counter(y).values()))
    rank = max(math.ceil(pairs / 2 - 0.5 - _quantile(confidence) * spread), 1)
    return Shift(
        estimate=median(differences),
        low=differences[rank - 1],
        high=differences[-rank],
        p_value=math.erfc(abs(statistic(x, y, 0.0)) / math.sqrt(2)),
    )


def statistic(x: Sequence[float], y: Sequence[float], by: float) -> float:
    """Return the standardised statistic of "x is above y by ``by``", corrected for ties and continuity."""
    shifted, ordered = [one - by for one in x], sorted(y)
    wins = sum(bisect_left(ordered, one) + bisect_right(ordered, one) for one in shifted) / 2
    off = wins - len(x) * len(y) / 2
    spread = _spread(len(x), len(y), Counter((*shifted, *y)).values())
    return math.copysign(max(abs(off) - 0.5, 0.0), off) / spread if spread else 0.0


def _spread(n: int, m: int, ties: Iterable[int]) -> float:
    """Return the standard deviation of U, with groups of equal points of these sizes."""
    tied = sum(size**3 - size for size in ties) / ((n + m) * (n + m - 1))
    return math.sqrt(n * m / 12 * (n + m + 1 - tied))


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _mean_ratio(x: Sequence[float], y: Sequence[float]) -> float | None:
    means = fmean(x), fmean(y)
    return means[0] / means[1] if min(means) > 0 else None


def _numbers(points: Iterable[float]) -> _Numbers:
    given = list(points)
    found = [one for one in given if not math.isnan(one)]
    if any(map(math.isinf, found)):
        raise ValueError("an infinite point has no distance from the others; mend the query")
    return _Numbers(found, len(given) - len(found))
