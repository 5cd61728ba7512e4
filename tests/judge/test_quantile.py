"""Quantiles of histograms, judged as the share of requests that are slower than the limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.lives import Watch
from pytest_rollout.judge.quantile import judge_quantile
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import (
    LATENCY,
    LENGTH,
    SCRAPES,
    START,
    WINDOW,
    counted,
    histogram,
    unscraped,
    watch,
    without,
)

FAST = histogram(100, (20, 2, 0))
"""12,000 requests, 2 % slower than 100 ms, none slower than 250 ms."""
SLOW = histogram(100, (40, 10, 1))
"""10 % slower than 100 ms, 1 % slower than 250 ms."""
FINE = watch()
NOT_SAME = "the series of the histogram do not all have the same buckets, +Inf and a finite one"
PASSED, BREACHED, INCONCLUSIVE, _ = Verdict


def judged(
    buckets: Sequence[Series], *, q: float = 0.95, window: Window = WINDOW, demand: Demand = LATENCY, seen: Watch = FINE
) -> CheckResult:
    return judge_quantile(q, buckets, seen, window, demand)


def below(seconds: float) -> Demand:
    return replace(LATENCY, limit=seconds)


def test_few_slow_requests_pass_with_the_numbers_that_decided() -> None:
    result = judged(FAST)
    assert (result.verdict, result.reason) == (PASSED, Reason.WITHIN_LIMIT)
    assert result.message == (
        "p95 lies between 50 ms and 100 ms; 240 requests slower than 100 ms of 12,000; with 95 % confidence the share "
        "lies in 1.76-2.27 %, the limit is 5 %"
    )
    assert (result.limit, result.unit, result.samples) == (0.1, "seconds", 12_000)
    assert result.value == pytest.approx(0.05 + 0.05 * (95 - 80) / (98 - 80))
    assert (result.derivation["bad"], result.derivation["total"]) == (240, 12_000)


def test_many_slow_requests_breach() -> None:
    result = judged(SLOW)
    assert (result.verdict, result.reason) == (BREACHED, Reason.LIMIT_BREACHED)
    assert result.message == (
        "p95 lies between 100 ms and 250 ms; 1,200 requests slower than 100 ms of 12,000; with 95 % confidence the "
        "share lies in 9.47-10.6 %, the limit is 5 %"
    )


def test_around_the_limit_more_requests_are_needed() -> None:
    result = judged(histogram(100, (20, 4.7, 0)))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.ready_in is not None


def test_the_quantile_decides_how_many_may_be_slow() -> None:
    assert judged(SLOW, q=0.8).verdict is PASSED
    assert judged(FAST, q=0.99).verdict is BREACHED


# --- limits between two buckets ------------------------------------------------------------------------------


def test_between_two_buckets_both_agree_on_a_pass() -> None:
    assert judged(FAST, demand=below(0.2)).verdict is PASSED


def test_between_two_buckets_both_agree_on_a_breach() -> None:
    assert judged(histogram(100, (40, 20, 10)), demand=below(0.2)).verdict is BREACHED


def test_between_two_buckets_that_disagree_a_bucket_is_missing() -> None:
    result = judged(SLOW, demand=below(0.2))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.BUCKET_MISSING)
    assert result.message == (
        "p95 lies between 100 ms and 250 ms; the buckets around the limit (100 ms and 250 ms) disagree; add a bucket "
        "at 200 ms"
    )


@pytest.mark.parametrize(("limit", "shown"), [(0.04, "40 ms"), (0.26, "260 ms"), (10.0, "10 s")])
def test_a_limit_outside_the_finite_buckets_cannot_be_judged(limit: float, shown: str) -> None:
    result = judged(FAST, demand=below(limit))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.BUCKET_MISSING)
    assert result.message == (
        f"the limit {shown} lies outside the finite buckets (50 ms to 250 ms); add a bucket at the limit"
    )


@pytest.mark.parametrize(("limit", "verdict"), [(0.05, BREACHED), (0.1, PASSED), (0.25, PASSED)])
def test_a_limit_at_a_bucket_is_judged_by_that_bucket(limit: float, verdict: Verdict) -> None:
    assert judged(FAST, demand=below(limit)).verdict is verdict


@pytest.mark.parametrize("slower", [(0, 0, 0), (100, 0, 0), (100, 100, 0), (100, 100, 100), (50, 50, 50)])
def test_the_quantile_shown_lies_within_the_buckets(slower: tuple[float, ...]) -> None:
    value = judged(histogram(100, slower)).value
    assert value is not None
    assert 0 <= value <= 0.25


# --- which samples count ------------------------------------------------------------------------------------


def test_what_a_histogram_held_when_first_seen_counts_only_if_slow() -> None:
    late = [replace(one, samples=one.samples[7:]) for one in SLOW]
    late = [replace(one, samples=tuple((at, value + 1000) for at, value in one.samples)) for one in late]
    # The first sample holds 1,000 old fast requests and 20 slow ones: 2 scrapes of 10 above 100 ms.
    result = judged(late)
    slow, everything = 119 * 10 + 20, 119 * 100
    assert (result.derivation["bad"], result.derivation["total"]) == (slow, everything)


def test_buckets_of_several_instances_are_added() -> None:
    two = [*histogram(50, (20, 5, 0), {"instance": "a"}), *histogram(50, (20, 5, 1), {"instance": "b"})]
    one, both = judged(SLOW), judged(two, seen=watch("a", "b"))
    assert {**both.derivation, "coverage": None} == {**one.derivation, "coverage": None}
    assert both.derivation["coverage"].keys() == {"app/a", "app/b"}


@pytest.mark.parametrize("place", range(4), ids=["0.05", "0.1", "0.25", "+Inf"])
@pytest.mark.parametrize("lost", [range(1), range(40, 42), range(120, 122)], ids=["first", "middle", "last"])
def test_a_scrape_without_one_bucket_is_no_scrape(place: int, lost: range) -> None:
    ragged = [without(one, lost) if at == place else one for at, one in enumerate(SLOW)]
    assert judged(ragged) == judged([without(one, lost) for one in SLOW])


@pytest.mark.parametrize("place", range(4), ids=["0.05", "0.1", "0.25", "+Inf"])
def test_half_a_bucket_proves_nothing(place: int) -> None:
    ragged = [without(one, range(60, 122)) if at == place else one for at, one in enumerate(FAST)]
    assert judged(ragged).verdict is INCONCLUSIVE


@pytest.mark.parametrize("place", range(4), ids=["0.05", "0.1", "0.25", "+Inf"])
def test_every_instance_has_every_bucket(place: int) -> None:
    second = histogram(100, (0, 0, 0), {"instance": "b"})
    result = judged([*FAST, *second[:place], *second[place + 1 :]])
    assert (result.verdict, result.reason, result.message) == (INCONCLUSIVE, Reason.BUCKET_MISSING, NOT_SAME)


@pytest.mark.parametrize(
    "buckets",
    [FAST[:3], FAST[3:], [counted([1, 2, 3])]],
    ids=["without +Inf", "only +Inf", "not a histogram"],
)
def test_what_is_not_a_histogram_is_not_judged(buckets: Sequence[Series]) -> None:
    result = judged(buckets)
    assert (result.verdict, result.reason, result.message) == (INCONCLUSIVE, Reason.BUCKET_MISSING, NOT_SAME)


# --- what does not decide -----------------------------------------------------------------------------------


def test_no_buckets_are_no_data() -> None:
    result = judged([])
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NO_DATA)
    assert result.message == "no bucket series; check the histogram's name, its labels and the scrape"


def test_no_buckets_yet_is_too_early() -> None:
    assert judged([], window=Window(START, START + 60, LENGTH)).reason is Reason.WINDOW_NOT_ELAPSED


def test_no_requests_are_no_data() -> None:
    result = judged(histogram(0, (0, 0, 0)))
    assert (result.verdict, result.reason, result.value) == (INCONCLUSIVE, Reason.NO_DATA, None)
    assert result.message == "the series exist, but nothing was counted in the window; is there traffic?"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sample_that_is_no_number_decides_nothing(value: float) -> None:
    bent = replace(FAST[0], samples=(*FAST[0].samples[:-1], (FAST[0].samples[-1][0], value)))
    result = judged([bent, *FAST[1:]])
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.NOT_A_NUMBER)
    assert result.message == "the histogram has samples that are not finite numbers; mend the exporter"


def test_shortly_after_the_flip_fast_requests_do_not_pass() -> None:
    result = judged(FAST, window=Window(START + 1200, START + LENGTH, LENGTH))
    assert (result.verdict, result.reason, result.ready_in) == (INCONCLUSIVE, Reason.WINDOW_NOT_ELAPSED, 1200)


def test_a_hole_is_no_observation() -> None:
    seen = replace(FINE, up=(unscraped(FINE.up[0], 600, 900),))
    assert judged([unscraped(one, 600, 900) for one in FAST], seen=seen).reason is Reason.COVERAGE


def test_too_few_requests_do_not_pass() -> None:
    assert judged(histogram(0.5, (0, 0, 0))).reason is Reason.TOO_FEW_SAMPLES
    assert judged(histogram(1, (0, 0, 0))).verdict is PASSED
    assert SCRAPES * 0.5 < 72 < SCRAPES * 1


@pytest.mark.parametrize("le", ["abc", "", "nan"])
def test_a_bound_that_is_no_number_decides_nothing(le: str) -> None:
    odd = replace(FAST[0], labels={**FAST[0].labels, "le": le})
    result = judged((odd, *FAST[1:]))
    assert (result.verdict, result.reason, result.message) == (INCONCLUSIVE, Reason.BUCKET_MISSING, NOT_SAME)
