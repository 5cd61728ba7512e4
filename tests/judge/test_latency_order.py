"""Nearest ranks, and bounds of quantiles by the order of the values."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.certainty import Certainty
from pytest_rollout.judge.order import between, fewest, first, nearest_rank, slower

ONE_SIDED = Certainty(0.9)
"""5 % on either side."""
SECONDS = st.floats(0.001, 10.0)


@pytest.mark.parametrize(
    ("many", "q", "rank"),
    [
        (20, 0.95, 19),  # Locust tells the largest of 20
        (100, 0.99, 99),
        (1933, 0.999, 1932),  # Python's hdrh tells the one below
        (100, 0.07, 7),  # 0.07 * 100 is above 7 for a computer
        (10, 0.5, 5),
        (1, 0.95, 1),
        (3, 0.0, 1),
        (3, 1.0, 3),
    ],
)
def test_a_percentile_is_the_value_at_the_nearest_rank(many: int, q: float, rank: int) -> None:
    assert nearest_rank([float(one) for one in range(1, many + 1)], q) == rank


def test_a_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(IndexError):
        nearest_rank([], 0.95)


def test_the_share_above_a_quantile_has_no_rounding() -> None:
    assert (slower(0.95), slower(0.99), slower(0.999)) == (0.05, 0.01, 0.001)


@pytest.mark.parametrize(("q", "wanted"), [(0.5, 5), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_a_bound_of_a_percentile_needs_enough_values(q: float, wanted: int) -> None:
    assert fewest(q, ONE_SIDED) == wanted
    enough, too_few = ([1.0] * many for many in (wanted, wanted - 1))
    assert between(q, enough, enough, ONE_SIDED).high == 1.0
    assert between(q, too_few, too_few, ONE_SIDED).high == math.inf


def test_looking_again_and_again_needs_more() -> None:
    assert fewest(0.95, Certainty(0.9, epoch=1)) > fewest(0.95, ONE_SIDED)


@pytest.mark.parametrize("answer", [1, 2, 3, 7, 8, 100])
def test_the_first_number_for_which_something_holds(answer: int) -> None:
    assert first(lambda number: number >= answer) == answer


def by_sums(q: float, many: int, tail: float) -> tuple[int | None, int | None]:
    """Return the ranks of both bounds, from sums of binomial chances alone."""

    def at_most(k: int) -> float:  # P(fewer than k + 1 of the values lie below the quantile)
        return math.fsum(math.comb(many, n) * q**n * (1 - q) ** (many - n) for n in range(k + 1))

    low = max((rank for rank in range(1, many + 1) if at_most(rank - 1) < tail), default=None)
    high = min((rank for rank in range(1, many + 1) if 1 - at_most(rank - 1) < tail), default=None)
    return low, high


@pytest.mark.parametrize("many", [1, 4, 5, 30, 58, 59, 100, 300])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.95])
def test_the_bounds_are_those_of_the_textbook(many: int, q: float) -> None:
    values = [float(rank) for rank in range(1, many + 1)]
    low, high = by_sums(q, many, 0.05)
    assert between(q, values, values, ONE_SIDED) == (low or 0.0, high or math.inf)


@given(st.lists(SECONDS, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_value_lies_between_its_bounds(values: list[float], q: float) -> None:
    ordered = sorted(values)
    low, high = between(q, ordered, ordered, ONE_SIDED)
    assert low <= nearest_rank(ordered, q) <= high


@given(st.lists(SECONDS, min_size=1, max_size=150), st.sampled_from([0.5, 0.9, 0.95]), SECONDS)
def test_bounds_of_the_quantile_and_of_the_share_say_the_same(values: list[float], q: float, limit: float) -> None:
    ordered = sorted(values)
    low, high = between(q, ordered, ordered, ONE_SIDED)
    as_slow = len(values) - bisect_left(ordered, limit)
    assert (high < limit) == (ONE_SIDED.highest(as_slow, len(values)) < slower(q))
    assert (low >= limit) == (ONE_SIDED.lowest(as_slow, len(values)) > slower(q))
    assert as_slow >= len(values) - bisect_right(ordered, limit)


@given(st.lists(SECONDS, min_size=1, max_size=150), st.integers(0, 150))
def test_what_is_not_known_widens_the_bounds(values: list[float], unknown: int) -> None:
    ordered = sorted(values)
    late = sorted(ordered[:-unknown] + [math.inf] * unknown) if 0 < unknown <= len(values) else ordered
    known = between(0.9, ordered, ordered, ONE_SIDED)
    wider = between(0.9, ordered, late, ONE_SIDED)
    assert wider.low == known.low
    assert wider.high >= known.high
