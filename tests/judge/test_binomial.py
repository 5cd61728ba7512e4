"""The exact bounds of a share, against published values, exact arithmetic and their own promise."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.binomial import at_least, at_most, further_needed, interval

CONFIDENCE = 0.95
COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def exact_at_most(k: int, n: int, p: Fraction) -> Fraction:
    q = 1 - p
    return sum((math.comb(n, i) * p**i * q ** (n - i) for i in range(k + 1)), Fraction(0))


# Clopper and Pearson (1934) as tabulated; the same as scipy.stats.binomtest(k, n).proportion_ci("exact").
@pytest.mark.parametrize(
    ("bad", "total", "confidence", "low", "high"),
    [
        (0, 10, 0.95, 0.0, 0.308497),
        (1, 10, 0.95, 0.002529, 0.445016),
        (5, 10, 0.95, 0.187086, 0.812914),
        (10, 10, 0.95, 0.691503, 1.0),
        (4, 20, 0.95, 0.057334, 0.436614),
        (0, 100, 0.95, 0.0, 0.036217),
        (1, 100, 0.95, 0.000253, 0.054459),
        (5, 100, 0.95, 0.016432, 0.112835),
    ],
)
def test_known_intervals(bad: int, total: int, confidence: float, low: float, high: float) -> None:
    found = interval(bad, total, confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-7)


@pytest.mark.parametrize("total", [1, 7, 100, 736, 10**5, 10**7])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_no_bad_and_nothing_but_bad_have_a_closed_form(total: int, confidence: float) -> None:
    tail = (1 - confidence) / 2
    none, all_bad = interval(0, total, confidence), interval(total, total, confidence)
    assert (none.low, all_bad.high) == (0.0, 1.0)
    assert none.high == pytest.approx(-math.expm1(math.log(tail) / total), rel=1e-8)
    assert all_bad.low == pytest.approx(tail ** (1 / total), rel=1e-8)


def test_without_data_everything_is_possible() -> None:
    assert (interval(0, 0, CONFIDENCE).low, interval(0, 0, CONFIDENCE).high) == (0.0, 1.0)


@pytest.mark.parametrize("total", [1, 2, 3, 10, 37, 120])
@pytest.mark.parametrize(
    "share", [Fraction(1, 1000), Fraction(1, 200), Fraction(1, 20), Fraction(1, 2), Fraction(9, 10)]
)
def test_tails_equal_the_sum_in_exact_arithmetic(total: int, share: Fraction) -> None:
    for k in range(total):
        wanted = float(exact_at_most(k, total, share))
        assert at_most(k, total, float(share)) == pytest.approx(wanted, rel=1e-9, abs=1e-13)
        assert at_least(k + 1, total, float(share)) == pytest.approx(1 - wanted, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(
    ("k", "total", "share", "tail"),
    [(0, 10, 0.0, 1.0), (9, 10, 1.0, 0.0), (10, 10, 1.0, 1.0), (10, 10, 0.3, 1.0), (11, 10, 0.3, 1.0)],
)
def test_tails_at_the_edges(k: int, total: int, share: float, tail: float) -> None:
    assert at_most(k, total, share) == tail
    assert at_least(0, total, share) == 1.0


@given(COUNTS, st.sampled_from([0.6, 0.9, 0.95, 0.99]))
def test_the_bounds_put_the_tails_where_they_promise(counts: tuple[int, int], confidence: float) -> None:
    bad, total = counts
    found, tail = interval(bad, total, confidence), (1 - confidence) / 2
    assert 0 <= found.low <= bad / total <= found.high <= 1
    if bad:
        assert at_least(bad, total, found.low) == pytest.approx(tail, rel=1e-6)
    if bad < total:
        assert at_most(bad, total, found.high) == pytest.approx(tail, rel=1e-6)


@given(COUNTS)
def test_one_more_bad_event_raises_both_bounds(counts: tuple[int, int]) -> None:
    bad, total = counts
    if bad < total:
        less, more = interval(bad, total, CONFIDENCE), interval(bad + 1, total, CONFIDENCE)
        assert less.low < more.low
        assert less.high <= more.high


@given(COUNTS)
def test_one_more_good_event_lowers_both_bounds(counts: tuple[int, int]) -> None:
    bad, total = counts
    less, more = interval(bad, total, CONFIDENCE), interval(bad, total + 1, CONFIDENCE)
    assert more.high <= less.high
    assert more.low <= less.low


@given(COUNTS)
def test_bad_and_good_mirror_each_other(counts: tuple[int, int]) -> None:
    bad, total = counts
    found, mirrored = interval(bad, total, CONFIDENCE), interval(total - bad, total, CONFIDENCE)
    assert found.low == pytest.approx(1 - mirrored.high, rel=1e-7, abs=1e-12)


@given(COUNTS)
def test_more_confidence_is_a_wider_interval(counts: tuple[int, int]) -> None:
    loose, tight = interval(*counts, 0.9), interval(*counts, 0.99)
    assert tight.low <= loose.low
    assert loose.high <= tight.high


@pytest.mark.parametrize("total", [5, 20, 60])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_covers_the_truth_as_often_as_promised(total: int, confidence: float) -> None:
    intervals = [interval(k, total, confidence) for k in range(total + 1)]
    for step in range(1, 100):
        share = step / 100
        chances = [math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
        covered = [chance for chance, one in zip(chances, intervals, strict=True) if one.low <= share <= one.high]
        assert math.fsum(covered) >= confidence - 1e-12


@pytest.mark.parametrize("bad", [0, 1, 50, 50_000, 5_000_000, 9_999_999])
def test_ten_million_requests_are_judged_at_once(bad: int) -> None:
    begun = time.perf_counter()
    found = interval(bad, 10**7, CONFIDENCE)
    assert found.low <= bad / 10**7 <= found.high
    assert found.high - found.low < 0.001
    assert time.perf_counter() - begun < 1


# --- how much more is needed ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "total"), [(0.005, 736), (0.01, 368), (0.05, 72), (0.5, 6)])
def test_without_a_bad_event_the_rule_of_three_holds(limit: float, total: int) -> None:
    assert (1 - limit) ** total < 0.025 <= (1 - limit) ** (total - 1)
    assert further_needed(0, 0, limit, CONFIDENCE) == total


@pytest.mark.parametrize(("bad", "total"), [(5, 1000), (6, 1000), (1, 1), (1000, 1000)])
def test_a_share_that_is_not_below_the_limit_is_never_proven_below_it(bad: int, total: int) -> None:
    assert further_needed(bad, total, 0.005, CONFIDENCE) is None


def test_a_share_next_to_the_limit_is_given_up() -> None:
    assert further_needed(4_999_999, 10**9, 0.005, CONFIDENCE) is None


@given(st.integers(0, 20), st.integers(1, 5000), st.sampled_from([0.005, 0.01, 0.05]))
def test_as_many_more_at_the_same_rate_do_prove_it(bad: int, total: int, limit: float) -> None:
    more = further_needed(bad, total, limit, CONFIDENCE)
    if bad / total >= limit:
        assert more is None
    elif more is not None:
        bad_then = math.ceil(bad / total * (total + more))
        assert interval(bad_then, total + more, CONFIDENCE).high < limit
