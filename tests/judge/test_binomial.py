"""The exact bounds of a share, against published values, exact arithmetic and their own promise."""

from __future__ import annotations

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.binomial import at_least, at_most, interval

TAIL = 0.025
COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def exact_at_most(k: int, n: int, p: Fraction) -> Fraction:
    q = 1 - p
    return sum((math.comb(n, i) * p**i * q ** (n - i) for i in range(k + 1)), Fraction(0))


# Clopper and Pearson (1934) as tabulated, to all digits: quantiles of beta distributions, by scipy 1.x.
@pytest.mark.parametrize(
    ("bad", "total", "tail", "low", "high"),
    [
        (0, 10, 0.025, 0.0, 0.30849710781876083),
        (1, 10, 0.025, 0.0025285785444617848, 0.4450161170281953),
        (5, 10, 0.025, 0.18708602844739855, 0.8129139715526015),
        (10, 10, 0.025, 0.6915028921812392, 1.0),
        (4, 20, 0.025, 0.05733399705003277, 0.4366140029966683),
        (0, 100, 0.025, 0.0, 0.03621669264517642),
        (5, 100, 0.025, 0.016431879182052155, 0.11283491110546276),
        (3, 400, 0.1, 0.0027582648464738063, 0.01662522969659142),
        (12, 6012, 0.025, 0.001031778450038563, 0.003484025740471479),
        (1, 10**6, 0.025, 2.5317807663794178e-08, 5.571630655166941e-06),
        (250, 10**6, 0.0005, 0.0002012286336790612, 0.0003064190861404917),
        (5 * 10**6, 10**7, 0.025, 0.4996900525213711, 0.5003099474786289),
        (7, 10**8, 0.025, 2.814363096347561e-08, 1.4422674833037112e-07),
        (10**5, 10**8, 0.025, 0.0009938145975315303, 0.001006214318570335),
        (10**8 - 1, 10**8, 0.025, 0.9999999442835674, 0.999999999746822),
    ],
)
def test_known_intervals(bad: int, total: int, tail: float, low: float, high: float) -> None:
    found = interval(bad, total, tail)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9 if total < 10**6 else 1e-7)


@pytest.mark.parametrize("total", [1, 7, 100, 736, 10**5, 10**7])
@pytest.mark.parametrize("tail", [0.05, 0.025, 0.0005])
def test_no_bad_and_nothing_but_bad_have_a_closed_form(total: int, tail: float) -> None:
    none, all_bad = interval(0, total, tail), interval(total, total, tail)
    assert (none.low, all_bad.high) == (0.0, 1.0)
    assert none.high == pytest.approx(-math.expm1(math.log(tail) / total), rel=1e-8)
    assert all_bad.low == pytest.approx(tail ** (1 / total), rel=1e-8)


def test_without_data_everything_is_possible() -> None:
    assert (interval(0, 0, TAIL).low, interval(0, 0, TAIL).high) == (0.0, 1.0)


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


@given(COUNTS, st.sampled_from([0.2, 0.05, 0.025, 0.005]))
def test_the_bounds_put_the_tails_where_they_promise(counts: tuple[int, int], tail: float) -> None:
    bad, total = counts
    found = interval(bad, total, tail)
    assert 0 <= found.low <= bad / total <= found.high <= 1
    if bad:
        assert at_least(bad, total, found.low) == pytest.approx(tail, rel=1e-6)
    if bad < total:
        assert at_most(bad, total, found.high) == pytest.approx(tail, rel=1e-6)


@given(COUNTS)
def test_one_more_bad_event_raises_both_bounds(counts: tuple[int, int]) -> None:
    bad, total = counts
    if bad < total:
        less, more = interval(bad, total, TAIL), interval(bad + 1, total, TAIL)
        assert less.low < more.low
        assert less.high <= more.high


@given(COUNTS)
def test_one_more_good_event_lowers_both_bounds(counts: tuple[int, int]) -> None:
    bad, total = counts
    less, more = interval(bad, total, TAIL), interval(bad, total + 1, TAIL)
    assert more.high <= less.high
    assert more.low <= less.low


@given(st.floats(0, 50), st.floats(0, 500), st.floats(0.01, 20))
def test_parts_of_events_are_taken_as_they_are(bad: float, good: float, more: float) -> None:
    found = interval(bad, bad + good, TAIL)
    worse, better = interval(bad + more, bad + more + good, TAIL), interval(bad, bad + good + more, TAIL)
    assert better.high <= found.high * (1 + 1e-9)
    assert found.high <= worse.high * (1 + 1e-9)
    assert better.low <= found.low * (1 + 1e-9)
    assert found.low <= worse.low * (1 + 1e-9)


@given(COUNTS)
def test_bad_and_good_mirror_each_other(counts: tuple[int, int]) -> None:
    bad, total = counts
    found, mirrored = interval(bad, total, TAIL), interval(total - bad, total, TAIL)
    assert found.low == pytest.approx(1 - mirrored.high, rel=1e-7, abs=1e-12)


@given(COUNTS)
def test_more_confidence_is_a_wider_interval(counts: tuple[int, int]) -> None:
    loose, tight = interval(*counts, 0.05), interval(*counts, 0.005)
    assert tight.low <= loose.low
    assert loose.high <= tight.high


@pytest.mark.parametrize("total", [5, 20, 60])
@pytest.mark.parametrize("tail", [0.1, 0.025])
def test_each_bound_is_wrong_as_seldom_as_promised(total: int, tail: float) -> None:
    intervals = [interval(k, total, tail) for k in range(total + 1)]
    for step in range(1, 100):
        share = step / 100
        chances = [math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]
        weighed = list(zip(chances, intervals, strict=True))
        assert math.fsum(chance for chance, one in weighed if one.low > share) <= tail + 1e-12
        assert math.fsum(chance for chance, one in weighed if one.high < share) <= tail + 1e-12


@pytest.mark.parametrize("bad", [0, 1, 50, 50_000, 5_000_000, 9_999_999])
def test_ten_million_requests_are_judged_at_once(bad: int) -> None:
    begun = time.process_time()
    found = interval(bad, 10**7, TAIL)
    assert found.low <= bad / 10**7 <= found.high
    assert found.high - found.low < 0.001
    assert time.process_time() - begun < 1
