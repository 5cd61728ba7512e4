"""Two shares compared on counts: against published values, exact arithmetic and the test's own promise."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, strategies as st

from pytest_rollout.judge.fisher import Sample, at_least, at_most, not_worse, worst_ratio_low

TAIL = 0.025
SAMPLES = st.integers(1, 400).flatmap(lambda n: st.builds(Sample, st.integers(0, n), st.just(n)))
ODDS = st.sampled_from([0.25, 0.8, 1.0, 1.25, 2.0, 5.0])


def exact(now: Sample, base: Sample, odds: Fraction) -> tuple[Fraction, Fraction]:
    """The two tails, term by term in whole numbers."""
    bad = now.bad + base.bad
    weights = {
        k: math.comb(now.total, k) * math.comb(base.total, bad - k) * odds**k
        for k in range(max(0, bad - base.total), min(now.total, bad) + 1)
    }
    whole = sum(weights.values(), Fraction(0))
    lower = sum((weight for k, weight in weights.items() if k <= now.bad), Fraction(0))
    upper = sum((weight for k, weight in weights.items() if k >= now.bad), Fraction(0))
    return lower / whole, upper / whole


# scipy 1.17: stats.nchypergeom_fisher(M, n, N, odds).cdf and .sf, of which large counts have eight digits right.
@pytest.mark.parametrize(
    ("now", "base", "odds", "lower", "upper"),
    [
        (Sample(5, 100), Sample(1, 100), 1.0, 0.9855348589884, 0.1058239263478),
        (Sample(3, 20), Sample(7, 25), 2.0, 0.0474124086795, 0.9918725031166),
        (Sample(0, 50), Sample(4, 60), 1.5, 0.0373163646361, 1.0),
        (Sample(12, 40), Sample(3, 45), 0.5, 0.9999945886902, 7.43532626e-05),
        (Sample(250, 10000), Sample(200, 12000), 1.2, 0.99327378364, 0.00875018651),
        (Sample(90, 100), Sample(60, 80), 3.0, 0.57094102370, 0.59556543798),
    ],
)
def test_tails_of_the_noncentral_distribution(
    now: Sample, base: Sample, odds: float, lower: float, upper: float
) -> None:
    assert at_most(now, base, odds) == pytest.approx(lower, rel=1e-9)
    assert at_least(now, base, odds) == pytest.approx(upper, rel=1e-9)


# scipy 1.17: stats.fisher_exact(table, "less") and "greater"; the same as R's fisher.test.
@pytest.mark.parametrize(
    ("now", "base", "less", "greater"),
    [
        (Sample(8, 10), Sample(1, 6), 0.9991258741258742, 0.024475524475524483),
        (Sample(30, 1000), Sample(10, 1000), 0.9996990902116218, 0.0010041667809150047),
        (Sample(1, 24), Sample(9, 12), 2.1031771996896638e-05, 0.9999997403484938),
    ],
)
def test_at_odds_of_one_it_is_fishers_exact_test(now: Sample, base: Sample, less: float, greater: float) -> None:
    assert at_most(now, base, 1.0) == pytest.approx(less, rel=1e-10)
    assert at_least(now, base, 1.0) == pytest.approx(greater, rel=1e-10)


# The same sums in arithmetic of 50 digits (mpmath).
@pytest.mark.parametrize(
    ("now", "base", "odds", "lower", "upper"),
    [
        (Sample(10**6, 10**8), Sample(10**6, 10**8), 1.005, 2.25460840312857541e-4, 0.999774539159687),
        (Sample(10**6, 10**8), Sample(998_000, 10**8), 1.0, 0.922596145216144209, 0.0776102533328148867),
        (Sample(1200, 10**7), Sample(1000, 10**7), 1.25, 0.175774028437829927, 0.835080156369728244),
        (Sample(0, 10**8), Sample(25, 10**8), 1.25, 1.56832622203569469e-9, 1.0),
    ],
)
def test_large_counts_lose_no_digits(now: Sample, base: Sample, odds: float, lower: float, upper: float) -> None:
    assert at_most(now, base, odds) == pytest.approx(lower, rel=1e-11)
    assert at_least(now, base, odds) == pytest.approx(upper, rel=2e-6 if upper > 0.999 else 1e-11)


@pytest.mark.parametrize("totals", [(7, 5), (5, 12), (9, 9)])
@pytest.mark.parametrize("odds", [Fraction(1, 3), Fraction(1), Fraction(7, 2)])
def test_tails_equal_the_sums_in_exact_arithmetic(totals: tuple[int, int], odds: Fraction) -> None:
    for bad in range(totals[0] + 1):
        for other in range(totals[1] + 1):
            now, base = Sample(bad, totals[0]), Sample(other, totals[1])
            lower, upper = exact(now, base, odds)
            assert at_most(now, base, float(odds)) == pytest.approx(float(lower), rel=1e-13)
            assert at_least(now, base, float(odds)) == pytest.approx(float(upper), rel=1e-13)


@pytest.mark.parametrize(
    ("now", "base"),
    [
        (Sample(0, 0), Sample(3, 10)),
        (Sample(3, 10), Sample(0, 0)),
        (Sample(0, 0), Sample(0, 0)),
        (Sample(0, 10**8), Sample(0, 10**8)),
        (Sample(7, 7), Sample(5, 5)),
    ],
)
def test_counts_that_leave_no_choice_prove_nothing(now: Sample, base: Sample) -> None:
    assert (at_most(now, base, 2.0), at_least(now, base, 2.0)) == (1.0, 1.0)
    assert not not_worse(now, base, 1000.0, 0.4)
    assert worst_ratio_low(now, base, TAIL) == 0.0


def test_far_from_the_middle_the_chance_is_nought_or_one() -> None:
    few, many = Sample(1000, 10**8), Sample(10**6, 10**8)
    assert (at_most(few, many, 1.0), at_least(few, many, 1.0)) == (0.0, 1.0)
    assert (at_most(many, few, 1.0), at_least(many, few, 1.0)) == (1.0, 0.0)


@pytest.mark.parametrize(("bad", "total"), [(-1, 5), (6, 5), (0, -1)])
def test_counts_that_cannot_be(bad: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"^{bad} bad of {total} requests cannot be$"):
        Sample(bad, total)


@given(SAMPLES, SAMPLES, ODDS)
def test_swapped_sides_mirror_each_other(now: Sample, base: Sample, odds: float) -> None:
    assert at_most(now, base, odds) == pytest.approx(at_least(base, now, 1 / odds), rel=1e-12)


@given(SAMPLES, SAMPLES, ODDS)
def test_good_and_bad_mirror_each_other(now: Sample, base: Sample, odds: float) -> None:
    turned = [Sample(one.total - one.bad, one.total) for one in (now, base)]
    assert at_most(now, base, odds) == pytest.approx(at_least(turned[0], turned[1], 1 / odds), rel=1e-12)


@given(SAMPLES, SAMPLES, ODDS)
def test_the_more_is_claimed_the_surer_it_is_rejected(now: Sample, base: Sample, odds: float) -> None:
    assert at_most(now, base, odds * 1.5) <= at_most(now, base, odds) * (1 + 1e-12)
    assert at_least(now, base, odds * 1.5) >= at_least(now, base, odds) * (1 - 1e-12)


# --- what can only make a pass harder ------------------------------------------------------------------------


@given(SAMPLES, SAMPLES, ODDS)
def test_one_more_bad_request_now_never_helps(now: Sample, base: Sample, odds: float) -> None:
    before = at_most(now, base, odds) * (1 - 1e-12)
    assert at_most(Sample(now.bad + 1, now.total + 1), base, odds) >= before
    if now.bad < now.total:
        assert at_most(Sample(now.bad + 1, now.total), base, odds) >= before


@given(SAMPLES, SAMPLES, ODDS)
def test_one_bad_request_less_in_the_base_never_helps(now: Sample, base: Sample, odds: float) -> None:
    if base.bad:
        before = at_most(now, base, odds) * (1 - 1e-12)
        assert at_most(now, Sample(base.bad - 1, base.total), odds) >= before
        assert at_most(now, Sample(base.bad - 1, base.total - 1), odds) >= before


@given(SAMPLES, SAMPLES, ODDS)
def test_one_good_request_less_now_never_helps(now: Sample, base: Sample, odds: float) -> None:
    if now.bad < now.total:
        assert at_most(Sample(now.bad, now.total - 1), base, odds) >= at_most(now, base, odds) * (1 - 1e-12)


@given(SAMPLES, SAMPLES, ODDS, st.sampled_from([0.001, TAIL, 0.2]))
def test_not_worse_is_strict_about_its_tail(now: Sample, base: Sample, odds: float, tail: float) -> None:
    assert not_worse(now, base, odds, tail) == (at_most(now, base, odds) < tail)
    assert not not_worse(now, base, odds, at_most(now, base, odds))


# --- how often it errs ---------------------------------------------------------------------------------------


def binomial_chances(total: int, share: float) -> list[float]:
    return [math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(total + 1)]


def error_rate(totals: tuple[int, int], shares: tuple[float, float], wrong: list[list[bool]]) -> float:
    """How often a decision is wrong, over all counts that can come."""
    first, second = (binomial_chances(total, share) for total, share in zip(totals, shares, strict=True))
    return math.fsum(
        chance * other
        for chance, row in zip(first, wrong, strict=True)
        for other, bad in zip(second, row, strict=True)
        if bad
    )


@pytest.mark.parametrize("totals", [(40, 40), (60, 20), (15, 60)])
@pytest.mark.parametrize("ratio", [1.0, 1.25, 2.0])
def test_a_ratio_at_the_limit_passes_no_oftener_than_promised(totals: tuple[int, int], ratio: float) -> None:
    decided = [
        [not_worse(Sample(k, totals[0]), Sample(b, totals[1]), ratio, 0.1) for b in range(totals[1] + 1)]
        for k in range(totals[0] + 1)
    ]
    assert any(map(any, decided))
    for share in (0.01, 0.05, 0.2, 0.4, 0.5):
        assert error_rate(totals, (share * ratio, share), decided) <= 0.1


@pytest.mark.parametrize("totals", [(30, 30), (40, 15), (15, 40)])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_lower_bound_of_the_ratio_is_too_high_no_oftener_than_promised(
    totals: tuple[int, int], ratio: float
) -> None:
    lows = [
        [worst_ratio_low(Sample(k, totals[0]), Sample(b, totals[1]), 0.2) for b in range(totals[1] + 1)]
        for k in range(totals[0] + 1)
    ]
    too_high = [[low > ratio for low in row] for row in lows]
    assert any(map(any, too_high))
    for share in (0.02, 0.1, 0.3):
        assert error_rate(totals, (share * ratio, share), too_high) <= 0.2


def test_drawn_requests_pass_no_oftener_than_promised() -> None:
    random = Random(20)  # noqa: S311 - drawn, not secret
    passed = 0
    for _ in range(2000):
        now = Sample(sum(random.random() < 0.0375 for _ in range(300)), 300)
        base = Sample(sum(random.random() < 0.03 for _ in range(300)), 300)
        passed += not_worse(now, base, 1.25, 0.05)
    assert 0 < passed <= 0.05 * 2000


# --- the lower bound of the ratio ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "base", "low"),
    [
        # Where psi < 1 it is psi: the bound of R's fisher.test at the two-sided 0.95 of one half of 0.05.
        (Sample(5, 100), Sample(1, 100), 0.5641517665869812),
        (Sample(1, 24), Sample(9, 12), 0.00031788830310733204),
        # psi = 1.0088492079 and 1.4464095039 there; the shares of base are at most 0.6412345789 and 0.0183132431.
        (Sample(8, 10), Sample(1, 6), 1.0088492079 / (1 + 0.0088492079 * 0.6412345789)),
        (Sample(30, 1000), Sample(10, 1000), 1.4464095039 / (1 + 0.4464095039 * 0.0183132431)),
    ],
)
def test_known_lower_bounds(now: Sample, base: Sample, low: float) -> None:
    assert worst_ratio_low(now, base, 0.05) == pytest.approx(low, rel=2e-5)


@given(SAMPLES, SAMPLES)
def test_the_lower_bound_puts_the_tail_where_it_promises(now: Sample, base: Sample) -> None:
    low = worst_ratio_low(now, base, TAIL)
    if 0 < low <= 1:
        assert at_least(now, base, low) == pytest.approx(TAIL / 2, rel=2e-5)
        assert at_least(now, base, low) <= TAIL / 2 * (1 + 1e-9)
    elif low > 1:
        assert at_least(now, base, low) <= TAIL / 2  # the odds ratio's bound is above the ratio's


@given(SAMPLES, SAMPLES)
def test_more_bad_requests_now_raise_the_lower_bound(now: Sample, base: Sample) -> None:
    if now.bad < now.total:
        more = worst_ratio_low(Sample(now.bad + 1, now.total), base, TAIL)
        assert more >= worst_ratio_low(now, base, TAIL) * (1 - 2e-5)


@pytest.mark.parametrize(
    ("now", "base"),
    [
        (Sample(10**6, 10**8), Sample(10**6, 10**8)),
        (Sample(10**6, 10**8), Sample(500_000, 10**8)),
        (Sample(1, 10**8), Sample(10**6, 10**8)),
        (Sample(10**6, 10**6), Sample(0, 10**8)),
    ],
)
def test_a_hundred_million_requests_are_judged_at_once(now: Sample, base: Sample) -> None:
    begun = time.process_time()
    assert not not_worse(now, base, 1.0, TAIL) or now.bad == 1
    assert worst_ratio_low(now, base, TAIL) >= 0
    assert time.process_time() - begun < 1
