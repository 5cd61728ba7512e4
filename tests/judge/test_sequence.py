"""Bounds for all times at once, against values computed elsewhere, their definition and their own promise."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge import binomial
from pytest_rollout.judge.sequence import interval, log_bet, log_bet_above, spent

TAIL = 0.025
COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


# The mixture's integral in 50 digits by mpmath, and where it reaches 1 / tail by bisection.
@pytest.mark.parametrize(
    ("bad", "total", "tail", "high"),
    [
        (0, 10, TAIL, 0.365115011541542),
        (1, 10, TAIL, 0.54735285839034),
        (5, 10, TAIL, 0.89410211898983),
        (9, 10, TAIL, 0.999765403181449),
        (0, 1000, TAIL, 0.00456142658595265),
        (3, 1000, TAIL, 0.011777158585336),
        (50, 1000, TAIL, 0.0765894572540764),
        (12, 6012, TAIL, 0.00443784363088263),
        (12, 6012, 0.01519817754635067, 0.00459051641395979),
        (250, 10**6, TAIL, 0.00031055950711064207),
        (1000, 10**6, 0.001, 0.0011496665165606572),
        (10**5, 10**8, TAIL, 0.001013638845485781),
        (0, 10**8, TAIL, 4.5721516017071164e-08),
    ],
)
def test_known_bounds(bad: int, total: int, tail: float, high: float) -> None:
    precise = 1e-9 if total < 10**7 else 1e-7
    assert interval(bad, total, tail).high == pytest.approx(high, rel=precise)


# The same for the mixture above, which is even in the logarithm.
@pytest.mark.parametrize(
    ("bad", "total", "tail", "low"),
    [
        (1, 10, TAIL, 0.000309259334751305),
        (5, 10, TAIL, 0.109916801730242),
        (10, 10, TAIL, 0.5841869847872874),
        (3, 1000, TAIL, 0.0001921143270292556),
        (50, 1000, TAIL, 0.02962811453107593),
        (12, 6012, TAIL, 0.0006018877254781748),
        (38, 3600, 0.01519817754635067, 0.005463733165741509),
        (250, 10**6, TAIL, 0.0001930595210024075),
        (1000, 10**6, 0.001, 0.0008565796171456571),
    ],
)
def test_known_lower_bounds(bad: int, total: int, tail: float, low: float) -> None:
    assert interval(bad, total, tail).low == pytest.approx(low, rel=1e-8)


@pytest.mark.parametrize(
    ("bad", "total", "share", "wanted"),
    [
        (3, 1000, 0.001, -0.3226053991662154),
        (12, 6012, 0.0005, 5.27838038756094),
        (50, 1000, 0.06, -3.710534966519287),
        (5, 10, 0.5, -0.8165167098990285),
    ],
)
def test_known_bets_above(bad: int, total: int, share: float, wanted: float) -> None:
    assert log_bet_above(bad, total, share) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("share", [0.001, 0.03, 0.3, 0.5])
def test_a_bet_above_is_fair_if_the_share_is_what_it_bets_against(share: float) -> None:
    for bad, total in ((1, 5), (3, 7), (2, 40), (40, 40)):
        later = share * math.exp(log_bet_above(bad + 1, total + 1, share))
        later += (1 - share) * math.exp(log_bet_above(bad, total + 1, share))
        assert later == pytest.approx(math.exp(log_bet_above(bad, total, share)), rel=1e-9)


@pytest.mark.parametrize("below", [0.2, 0.8, 0.99])
def test_a_bet_above_only_loses_if_the_share_is_lower(below: float) -> None:
    truth = 0.3 * below
    for bad, total in ((1, 5), (3, 7), (2, 40)):
        later = truth * math.exp(log_bet_above(bad + 1, total + 1, 0.3))
        later += (1 - truth) * math.exp(log_bet_above(bad, total + 1, 0.3))
        assert later < math.exp(log_bet_above(bad, total, 0.3))


@pytest.mark.parametrize(
    ("bad", "total", "share", "wanted"),
    [
        (0, 10, 0.3, 2.820683152976425),
        (3, 1000, 0.01, 2.466246470666176),
        (12, 6012, 0.005, 5.587539604802203),
        (50, 1000, 0.04, -3.27881516118957),
        (5, 10, 0.5, -1.4020427180880302),
    ],
)
def test_known_bets(bad: int, total: int, share: float, wanted: float) -> None:
    assert log_bet(bad, total, share) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("share", [0.001, 0.03, 0.3, 0.5, 0.9])
def test_a_bet_begins_at_one_and_is_fair_if_the_share_is_what_it_bets_against(share: float) -> None:
    assert log_bet(0, 0, share) == pytest.approx(0.0, abs=1e-9)
    for bad, total in ((0, 0), (0, 5), (3, 7), (2, 40), (40, 40)):
        later = share * math.exp(log_bet(bad + 1, total + 1, share))
        later += (1 - share) * math.exp(log_bet(bad, total + 1, share))
        assert later == pytest.approx(math.exp(log_bet(bad, total, share)), rel=1e-9)


@pytest.mark.parametrize("share", [0.03, 0.3, 0.5])
@pytest.mark.parametrize("above", [1.01, 1.2, 1.9])
def test_a_bet_only_loses_if_the_share_is_higher(share: float, above: float) -> None:
    truth = share * above
    for bad, total in ((0, 0), (0, 5), (3, 7), (2, 40)):
        later = truth * math.exp(log_bet(bad + 1, total + 1, share))
        later += (1 - truth) * math.exp(log_bet(bad, total + 1, share))
        assert later < math.exp(log_bet(bad, total, share))


@pytest.mark.parametrize(("share", "bad", "total"), [(0.0, 0, 10), (0.0, 3, 10), (1.0, 10, 10)])
def test_a_bet_against_what_is_surely_so_is_lost(share: float, bad: int, total: int) -> None:
    assert log_bet(bad, total, share) < -1e6


def test_a_bet_against_nothing_but_bad_is_won_with_the_first_good_one() -> None:
    assert log_bet(9, 10, 1.0) == math.inf


def test_without_data_everything_is_possible() -> None:
    assert (interval(0, 0, TAIL).low, interval(0, 0, TAIL).high) == (0.0, 1.0)


@given(COUNTS, st.sampled_from([0.1, TAIL, 0.001]))
def test_the_bound_is_where_the_bet_is_won(counts: tuple[int, int], tail: float) -> None:
    bad, total = counts
    found = interval(bad, total, tail)
    assert 0 <= found.low <= bad / total <= found.high <= 1
    if 0 < found.high < 1:
        assert log_bet(bad, total, found.high) == pytest.approx(-math.log(tail), abs=1e-4)
    if found.low > 0:
        assert log_bet_above(bad, total, found.low) == pytest.approx(-math.log(tail), abs=1e-4)


@given(COUNTS)
def test_the_price_of_looking_again_is_a_wider_interval(counts: tuple[int, int]) -> None:
    once, again = binomial.interval(*counts, TAIL), interval(*counts, TAIL)
    assert again.low <= once.low
    assert once.high <= again.high


@given(COUNTS)
def test_one_more_bad_event_raises_both_bounds_and_one_more_good_one_lowers_them(counts: tuple[int, int]) -> None:
    bad, total = counts
    found, worse, better = (interval(*pair, TAIL) for pair in (counts, (bad + 1, total + 1), (bad, total + 1)))
    assert found.high <= worse.high * (1 + 1e-9)
    assert found.low <= worse.low * (1 + 1e-9) + 1e-15
    assert better.high <= found.high * (1 + 1e-9)
    assert better.low <= found.low * (1 + 1e-9) + 1e-15


@given(st.floats(0, 50), st.floats(0.1, 500), st.floats(0.01, 20))
def test_parts_of_events_are_taken_as_they_are(bad: float, good: float, more: float) -> None:
    found = interval(bad, bad + good, TAIL)
    worse, better = interval(bad + more, bad + more + good, TAIL), interval(bad, bad + good + more, TAIL)
    assert better.high <= found.high * (1 + 1e-9)
    assert found.high <= worse.high * (1 + 1e-9)


def test_all_stretches_together_spend_what_was_promised() -> None:
    parts = [spent(TAIL, epoch) for epoch in range(1, 100_001)]
    assert parts[0] == pytest.approx(TAIL * 0.6079271018540267)
    assert parts[1] == pytest.approx(parts[0] / 4)
    assert TAIL * 0.99999 < math.fsum(parts) < TAIL


@pytest.mark.parametrize("bad", [0, 1, 1000, 50_000_000, 99_999_999, 100_000_000])
def test_a_hundred_million_requests_are_judged_at_once(bad: int) -> None:
    begun = time.process_time()
    found = interval(bad, 10**8, TAIL)
    assert found.low <= bad / 10**8 <= found.high
    assert found.high - found.low < 0.001
    assert time.process_time() - begun < 2
