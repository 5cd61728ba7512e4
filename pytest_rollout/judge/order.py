"""Quantiles of single measurements: nearest ranks, and bounds that rest on nothing but the order of the values.

The q-quantile is the least value that at least the share q of all values does not exceed. It is below x exactly when
fewer than 1 - q of all values are x or more, so a bound of that share is a bound of the quantile, whatever the
distribution (David and Nagaraja, Order Statistics, 3rd edition, 7.1).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from pytest_rollout.judge.certainty import Certainty


class Between(NamedTuple):
    """Two values that a quantile surely lies between, both included."""

    low: float
    high: float


def check(q: float) -> None:
    """Raise ValueError for a quantile that nothing could be above, or everything."""
    if not 0 < q < 1:
        raise ValueError(f"a quantile of {q}; it has to be between 0 and 1, such as 0.95")


def slower(q: float) -> float:
    """Return the share of values above the q-quantile, without the rounding of ``1 - q``."""
    return float(1 - Fraction(repr(q)))


def nearest_rank(values: Sequence[float], q: float) -> float:
    """Return the value at rank ``ceil(q * n)`` of sorted values, counted from 1. Raises IndexError without any.

    No value is made up between two others, and it is never one that fewer than q of the values reach.
    """
    return values[max(math.ceil(Fraction(repr(q)) * len(values)), 1) - 1]


def between(q: float, early: Sequence[float], late: Sequence[float], certainty: Certainty) -> Between:
    """Return bounds of the q-quantile of what sorted values were drawn from.

    ``early`` holds each value as low as it may be, ``late`` as high: they differ in values of which only "at least"
    is known. 0 and infinity where there are too few values for a bound.
    """
    share, total = slower(q), len(early)

    def surely_above(value: float) -> bool:
        return certainty.lowest(total - bisect_left(early, value), total) > share

    def surely_below(value: float) -> bool:
        return certainty.highest(total - bisect_right(late, value), total) < share

    above = bisect_left(early, True, key=lambda value: not surely_above(value))
    below = bisect_left(late, True, key=surely_below)
    return Between(early[above - 1] if above else 0.0, late[below] if below < total else math.inf)


def fewest(q: float, certainty: Certainty) -> int:
    """Return how many values there must be for any upper bound of the q-quantile: that many, and none above it.

    With 5 % for a wrong bound 59 for p95, 299 for p99 and 2,995 for p99.9.
    """
    share = slower(q)
    return first(lambda total: certainty.highest(0, total) < share)


def first(holds: Callable[[int], bool]) -> int:
    """Return the least whole number above 0 for which something holds that holds for all larger ones too."""
    high = 1
    while not holds(high):
        high *= 2
    return bisect_left(range(high), True, lo=high // 2, key=holds)
