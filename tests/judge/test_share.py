"""Ratios on counts: what passes, what breaches, what does not decide, and in which words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_rollout.judge import binomial
from pytest_rollout.judge.demand import Demand
from pytest_rollout.judge.samples import Series, Window
from pytest_rollout.judge.share import RatioEvidence, judge_ratio
from pytest_rollout.verdict import CheckResult, Reason, Verdict
from tests.judge.evidence import (
    LENGTH,
    SHARE,
    START,
    STEP,
    WINDOW,
    Labels,
    counted,
    risen,
    steady,
    unscraped,
)

OK: Labels = {"code": "200"}
BAD: Labels = {"code": "500"}
MANY = steady(50, OK)
"""6,000 requests in the window."""
PASSED, BREACHED, INCONCLUSIVE, _ = Verdict


def judged(
    bad: Series | None, *total: Series, window: Window = WINDOW, demand: Demand = SHARE, narrower: bool = True
) -> CheckResult:
    bads = (bad,) if bad else ()
    return judge_ratio(RatioEvidence(bads, (*total, *bads), narrower, frozenset({"code"})), window, demand)


def said(result: CheckResult) -> tuple[Verdict, Reason, str]:
    return result.verdict, result.reason, result.message


def test_few_bad_of_many_pass_with_the_numbers_that_decided() -> None:
    result = judged(risen(12, BAD), steady(50, OK))
    assert said(result) == (
        PASSED,
        Reason.WITHIN_LIMIT,
        "12 bad requests of 6,012; with 95% confidence the share lies in 0.103-0.348 %, the limit is 0.5 %",
    )
    bounds = binomial.interval(12, 6012, 0.95)
    assert (result.value, result.limit, result.unit) == (12 / 6012, 0.005, "share")
    assert (result.samples, result.window, result.ready_in) == (6012, (START, START + LENGTH), None)
    assert result.derivation == {
        "rule": "Clopper-Pearson, two-sided, single look",
        "confidence": 0.95,
        "bad": 12,
        "total": 6012,
        "low": bounds.low,
        "high": bounds.high,
    }


def test_too_many_bad_breach() -> None:
    assert said(judged(risen(60, BAD), MANY)) == (
        BREACHED,
        Reason.LIMIT_BREACHED,
        "60 bad requests of 6,060; with 95% confidence the share lies in 0.756-1.27 %, the limit is 0.5 %",
    )


def test_between_the_bounds_it_says_how_many_more_are_needed() -> None:
    result = judged(risen(20, BAD), MANY)
    more = binomial.further_needed(20, 6020, 0.005, 0.95)
    assert more is not None
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message == (
        "20 bad requests of 6,020; with 95% confidence the share lies in 0.203-0.513 %, the limit is 0.5 %; "
        f"needs {more:,} more requests, about 5.59 min at the current rate"
    )
    assert result.ready_in == pytest.approx(more / (6020 / LENGTH))


def test_a_share_above_the_limit_that_is_not_proven_says_so() -> None:
    result = judged(risen(35, BAD), MANY)
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.TOO_FEW_SAMPLES)
    assert result.message == (
        "35 bad requests of 6,035; with 95% confidence the share lies in 0.404-0.806 %, the limit is 0.5 %; "
        "the observed share is not below the limit, but too few requests prove that it is above"
    )
    assert result.ready_in is None


@pytest.mark.parametrize(("per_scrape", "verdict"), [(6, INCONCLUSIVE), (7, PASSED)])
def test_without_a_bad_request_736_prove_half_a_per_cent(per_scrape: int, verdict: Verdict) -> None:
    assert judged(None, steady(per_scrape, OK)).verdict is verdict


def test_the_confidence_of_the_plan_decides() -> None:
    assert judged(risen(18, BAD), MANY).verdict is PASSED
    assert judged(risen(18, BAD), MANY, demand=replace(SHARE, confidence=0.99)).verdict is INCONCLUSIVE


# --- what is counted ----------------------------------------------------------------------------------------


def test_what_a_total_held_when_first_seen_proves_nothing() -> None:
    late = steady(50, OK, base=10_000)
    born = replace(late, samples=late.samples[2:])
    assert judged(None, born).samples == 119 * 50


def test_what_a_bad_series_held_when_first_seen_counts() -> None:
    born = counted([60.0] * 99, BAD, first=22)
    result = judged(born, MANY)
    assert (result.verdict, result.derivation["bad"], result.derivation["total"]) == (BREACHED, 60, 6000)


def test_more_bad_than_total_is_all_of_them() -> None:
    born = counted([60.0] * 99, BAD, first=22)
    result = judged(born)
    assert (result.derivation["bad"], result.derivation["total"], result.verdict) == (60, 60, BREACHED)


def test_several_instances_are_added() -> None:
    two = [steady(25, {**OK, "instance": name}, base=1e6) for name in ("a", "b")]
    result = judged(risen(12, BAD, base=500), *two)
    assert (result.derivation["bad"], result.derivation["total"]) == (12, 6012)


def test_a_reset_counts_what_came_after_it() -> None:
    values = [1000.0 + 50 * scrape if scrape < 61 else 50.0 * (scrape - 60) for scrape in range(122)]
    assert judged(None, counted(values, OK)).samples == 59 * 50 + 61 * 50


# --- what does not decide -----------------------------------------------------------------------------------


def test_no_total_is_no_data() -> None:
    assert said(judged(None)) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "no series matches 'total'; check the metric's name, its labels and the scrape",
    )


def test_no_total_yet_is_too_early() -> None:
    young = Window(START, START + 600, LENGTH)
    result = judged(None, window=young)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.WINDOW_NOT_ELAPSED,
        "observed for 10 min of 30 min since the flip or the first sample; decides in about 20 min",
    )
    assert result.ready_in == 1200


def test_no_traffic_is_no_data() -> None:
    assert said(judged(None, counted([7.0] * 122, OK)))[1:] == (
        Reason.NO_DATA,
        "the series exist, but nothing was counted in the window; is there traffic?",
    )


def test_absent_bad_requests_mean_none_only_within_the_total() -> None:
    assert judged(None, MANY).verdict is PASSED
    assert said(judged(None, MANY, narrower=False)) == (
        INCONCLUSIVE,
        Reason.NO_DATA,
        "no series matches 'bad', and it is not part of 'total', so nothing proves that it means zero",
    )


def test_a_label_that_nobody_has_is_a_typing_error() -> None:
    unlabelled = steady(50, {"job": "a", "status": "200"})
    assert said(judged(None, unlabelled)) == (
        INCONCLUSIVE,
        Reason.UNKNOWN_LABEL,
        "no series of 'total' has the label 'code' that 'bad' asks for; labels there: job, status",
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bent", ["bad", "total"])
def test_a_sample_that_is_no_number_decides_nothing(value: float, bent: str) -> None:
    broken = counted([0.0, value, 0.0], BAD)
    result = judged(broken, MANY) if bent == "bad" else judged(None, MANY, broken)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.NOT_A_NUMBER,
        "the ratio has samples that are not finite numbers; mend the exporter",
    )


def test_shortly_after_the_flip_even_many_requests_do_not_pass() -> None:
    young = Window(START + 1200, START + LENGTH, LENGTH)
    result = judged(None, steady(500, OK), window=young)
    assert said(result) == (
        INCONCLUSIVE,
        Reason.WINDOW_NOT_ELAPSED,
        "observed for 10 min of 30 min since the flip or the first sample; decides in about 20 min",
    )
    assert (result.samples, result.ready_in) == (20_000, 1200)


def test_shortly_after_the_flip_a_certain_breach_is_a_breach() -> None:
    young = Window(START + 1200, START + LENGTH, LENGTH)
    assert judged(risen(60, BAD, at=110), steady(50, OK), window=young).verdict is BREACHED


@pytest.mark.parametrize(("short", "verdict"), [(7.5, PASSED), (7.6, INCONCLUSIVE)])
def test_half_a_scrape_is_forgiven_and_no_more(short: float, verdict: Verdict) -> None:
    window = Window(START + short, START + LENGTH, LENGTH)
    assert judged(None, MANY, window=window).verdict is verdict


@pytest.mark.parametrize(("first", "verdict"), [(60.0, PASSED), (75.0, INCONCLUSIVE)])
def test_a_target_that_came_late_was_not_observed(first: float, verdict: Verdict) -> None:
    result = judged(None, unscraped(MANY, -99, first))
    assert result.verdict is verdict
    if verdict is INCONCLUSIVE:
        assert said(result)[1:] == (
            Reason.WINDOW_NOT_ELAPSED,
            "observed for 28.8 min of 30 min since the flip or the first sample; decides in about 75 s",
        )


def test_a_hole_is_no_observation() -> None:
    result = judged(None, unscraped(MANY, 600, 900))
    assert (result.verdict, result.reason) == (INCONCLUSIVE, Reason.COVERAGE)
    assert result.message == (
        "no sample for 5 min (at most 1 min is allowed); find out why the target was not scraped, "
        "then let the window pass again"
    )
    assert result.derivation["longest_gap"] == 300
    assert result.derivation["coverage"] == pytest.approx(101 / 120)
    assert result.ready_in == LENGTH


def test_many_small_holes_are_no_observation_either() -> None:
    thin = replace(MANY, samples=MANY.samples[1::3])
    assert said(judged(None, thin)) == (
        INCONCLUSIVE,
        Reason.COVERAGE,
        "only 33.3% of the expected scrapes arrived (95.0% needed); find out why, then let the window pass again",
    )


def test_a_hole_does_not_excuse_a_breach() -> None:
    assert judged(unscraped(risen(60, BAD), 600, 1200), unscraped(MANY, 600, 1200)).verdict is BREACHED


def test_the_gap_that_the_plan_allows_is_allowed() -> None:
    holed = unscraped(MANY, 600, 675)
    assert judged(None, holed).verdict is INCONCLUSIVE
    assert judged(None, holed, demand=replace(SHARE, max_gap=5 * STEP)).verdict is PASSED
