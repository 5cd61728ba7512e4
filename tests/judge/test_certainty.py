"""Which bound keeps which promise, what a burst counts, and how much more evidence would decide."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import assume, given, strategies as st

from pytest_rollout.judge import binomial, sequence
from pytest_rollout.judge.certainty import Certainty

ONCE, AGAIN, POINT = Certainty(0.95), Certainty(0.95, 1), Certainty(None)
CERTAINTIES = st.sampled_from([ONCE, AGAIN, Certainty(0.95, 3), POINT])


@pytest.mark.parametrize(
    ("certainty", "rule", "tail", "spent"),
    [
        (ONCE, "Clopper-Pearson, two-sided, single look", 0.025, 0.025),
        (Certainty(0.999), "Clopper-Pearson, two-sided, single look", 0.0005, 0.0005),
        (AGAIN, "beta-binomial mixture, time-uniform, stretch 1", 0.025, 0.025 * 6 / math.pi**2),
        (Certainty(0.9, 4), "beta-binomial mixture, time-uniform, stretch 4", 0.05, 0.05 * 6 / math.pi**2 / 16),
        (POINT, "point estimate, no confidence", 0.5, 0.5),
        (Certainty(None, 2), "point estimate, no confidence", 0.5, 0.5 * 6 / math.pi**2 / 4),
    ],
)
def test_a_certainty_says_its_rule_and_what_it_spends(
    certainty: Certainty, rule: str, tail: float, spent: float
) -> None:
    assert certainty.rule == rule
    assert (certainty.tail, certainty.spent) == pytest.approx((tail, spent))


def test_each_certainty_has_its_own_bounds() -> None:
    once, again = ONCE.interval(12, 6012), AGAIN.interval(12, 6012)
    assert (once.low, once.high) == pytest.approx((0.001031778450038563, 0.003484025740471479))
    assert again.high == pytest.approx(0.00459051641395979)
    assert (again.low, again.high) == pytest.approx(
        (sequence.interval(12, 6012, AGAIN.spent).low, sequence.interval(12, 6012, AGAIN.spent).high)
    )
    assert Certainty(0.95, 2).interval(12, 6012).high > again.high > once.high


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_a_point_is_what_was_observed(epoch: int) -> None:
    point = Certainty(None, epoch)
    assert (point.interval(3, 400).low, point.interval(3, 400).high) == (0.0075, 0.0075)
    assert point.highest(3, 400, 3) == 0.0075


@pytest.mark.parametrize("certainty", [ONCE, AGAIN, POINT])
def test_without_data_everything_is_possible(certainty: Certainty) -> None:
    assert (certainty.interval(0, 0).low, certainty.interval(0, 0).high) == (0.0, 1.0)
    assert certainty.highest(0, 0, 0) == 1.0


# --- bursts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burst", [0, 1])
def test_bad_events_one_by_one_are_no_burst(burst: int) -> None:
    assert ONCE.highest(12, 6012, burst) == ONCE.interval(12, 6012).high


def test_a_burst_is_one_event() -> None:
    # 60 of 6,060 all at once: one of 101, not 60 of 6,060.
    assert ONCE.highest(60, 6060, 60) == pytest.approx(binomial.interval(1, 101, 0.025).high)
    assert ONCE.highest(60, 6060, 60) == pytest.approx(0.0539, abs=1e-4)
    assert AGAIN.highest(60, 6060, 60) == pytest.approx(sequence.interval(1, 101, AGAIN.spent).high)


def test_nothing_but_a_burst_bounds_nothing() -> None:
    assert ONCE.highest(60, 60, 60) == 1.0


def test_small_bursts_among_many_do_not_bind() -> None:
    assert ONCE.highest(60, 6060, 2) == ONCE.interval(60, 6060).high


@given(CERTAINTIES, st.floats(0, 40), st.floats(0, 2000), st.floats(0, 50), st.floats(0.1, 20))
def test_bad_events_raise_the_highest_share_and_good_ones_lower_it(
    certainty: Certainty, bad: float, good: float, burst: float, more: float
) -> None:
    burst = min(burst, bad)
    found = certainty.highest(bad, bad + good, burst) * (1 + 1e-9)
    assume(bad + good > 0)
    assert certainty.highest(bad, bad + good + more, burst) <= found
    for larger in (burst, burst + more):
        assert found <= certainty.highest(bad + more, bad + more + good, larger) * (1 + 1e-8)


# --- how much more is needed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "total"), [(0.005, 736), (0.01, 368), (0.05, 72), (0.5, 6)])
def test_without_a_bad_event_the_rule_of_three_holds(limit: float, total: int) -> None:
    assert (1 - limit) ** total < 0.025 <= (1 - limit) ** (total - 1)
    found = ONCE.further_needed(0, 0, 0, limit)
    assert found is not None
    assert total <= found <= max(total, 16)


@pytest.mark.parametrize("certainty", [ONCE, AGAIN, POINT])
@pytest.mark.parametrize(("bad", "total"), [(5, 1000), (6, 1000), (1, 1), (1000, 1000)])
def test_a_share_that_is_not_below_the_limit_is_never_proven_below_it(
    certainty: Certainty, bad: int, total: int
) -> None:
    assert certainty.further_needed(bad, total, 1, 0.005) is None


def test_a_share_next_to_the_limit_is_given_up() -> None:
    begun = time.process_time()
    assert ONCE.further_needed(4_999_999, 10**9, 1, 0.005) is None
    assert time.process_time() - begun < 2


@given(
    CERTAINTIES, st.integers(0, 20), st.integers(1, 5000), st.integers(0, 20), st.sampled_from([0.005, 0.01, 0.05, 0.3])
)
def test_as_many_more_at_the_same_rate_suffice_and_a_tenth_less_does_not(
    certainty: Certainty, bad: int, total: int, burst: int, limit: float
) -> None:
    bad, burst = min(bad, total), min(burst, bad, total)
    more = certainty.further_needed(bad, total, burst, limit)
    assume(certainty.highest(bad, total, burst) >= limit)  # else nobody asks
    if more is None:
        assert bad / total >= limit or certainty.highest(bad / total * 1e10, 1e10, burst) > limit * 0.99
        return
    rate = bad / total
    then, earlier = total + more, total + math.floor(more * 0.9)
    assert certainty.highest(math.ceil(rate * then), then, burst) < limit
    # A part of a bad event more or less decides where there are few.
    if rate * more > 50 or bad == 0:
        assert certainty.highest(rate * earlier, earlier, burst) >= limit * (0.98 if bad else 1) or more < 30
